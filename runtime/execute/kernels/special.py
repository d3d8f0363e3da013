"""Functions that numpy lacks: the error function."""

import math

import numpy as np

# erf(x) = x P(x**2) up to SPLIT and 1 - exp(Q(x)) above. Both are minimax fits of our own (least
# squares with weights iterated to equal ripple, against C's erf and erfc), with relative errors of
# erf of 1.2e-8 and 2e-9 in exact arithmetic; rounding in float32 then dominates.
SPLIT = 0.9
END = 4.0  # erf rounds to 1 in float32 from 3.92 on
P = (1.1283791, -0.37612525, 0.11282141, -0.02677891, 0.0050119655, -0.0006090371)
Q = (
    -0.00014238173,
    -1.1278987,
    -0.636802,
    -0.10426919,
    0.022391433,
    -0.0030849096,
    0.00020022805,
)


def erf(x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """The error function, elementwise: 2e-7 relative in float32, as libm's in float64."""
    if x.dtype == np.float64:
        return np.asarray(_erf64(x), np.float64)
    shape, x = np.shape(x), np.atleast_1d(x)
    square = np.multiply(x, x)
    near = _polynomial(square, P)
    near *= x
    size = np.minimum(np.absolute(x), np.float32(END), out=square)
    far = _polynomial(size, Q)
    np.exp(far, out=far)
    np.subtract(np.float32(1), far, out=far)
    np.copysign(far, x, out=far)
    # NaN compares false and so takes the near branch, which keeps it
    np.copyto(near, far, where=size > np.float32(SPLIT))
    return near.reshape(shape)


_erf64 = np.frompyfunc(math.erf, 1, 1)


def _polynomial(x: np.ndarray, coefficients: tuple[float, ...]) -> np.ndarray:
    """Horner's rule in the type of ``x``, in place."""
    total = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total *= x
        total += np.float32(c)
    return total
