"""Rounding that pays an error of one weight back with the weights after it.

Nearest rounding makes the error of each weight small; what counts is the error of the products. For
inputs X and a column w of scale s, rounded to codes q,

    |X (w - s q)|^2 = (w - s q)^T H (w - s q),     H = X^T X + damping,

is made small row by row: after row k is rounded, its error moves to the rows not yet rounded by the
optimal update of H^-1 (optimal brain surgeon), for all columns at once (GPTQ: Frantar et al., ICLR
2023, arXiv 2210.17323; AdaRound, Nagel et al., ICML 2020, is the same objective by descent). Rows
with the most energy go first, while there are many left to pay.

Arrays cut a matrix's rows into blocks and add the partial sums of blocks digitally, after their
converters. An error in one block can therefore be paid back in another, and H spans all rows; a
converter's own rounding does not follow from the weights' and cannot be paid back.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .calibration import MatrixStatistics

Array = NDArray[np.float32]

DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to it (Frantar et al. 2022, section 3.3)."""
LEAST_ROWS = 32
"""Below so many inputs to fit on, nothing is tried."""
_BLOCK = 32


@dataclass(frozen=True, slots=True)
class Rounded:
    """Codes int8 ``[G, K, N]``, None where nearest ones are to be kept, and why, in words."""

    codes: NDArray[np.int8] | None
    note: str


def round_compensated(
    weight: np.ndarray,
    nearest: NDArray[np.int8],
    scale: Array,
    bits: int,
    seen: MatrixStatistics | None,
) -> Rounded:
    """Codes of ``weight [G, K, N]`` under ``scale [G, N]`` that lower the products' error.

    Fitted on three quarters of the inputs of ``seen``, and taken only if the other quarter shows
    an error below that of the ``nearest`` codes.
    """
    if seen is None or not seen.rows.size:
        return Rounded(None, "no calibration samples")
    fit, held_out = seen.split()
    if fit.shape[1] < LEAST_ROWS:
        return Rounded(None, f"{fit.shape[1]} inputs to fit on, fewer than {LEAST_ROWS}")
    codes = np.stack([_round_group(weight[g], scale[g], bits, fit[g]) for g in range(len(weight))])
    before = product_error(weight, nearest, scale, held_out)
    after = product_error(weight, codes, scale, held_out)
    if not after < before:
        return Rounded(None, "held-out inputs show no lower error")
    gain_db = 10 * np.log10(before / after) if after > 0 else np.inf
    return Rounded(codes, f"error of held-out products {gain_db:.1f} dB lower")


def product_error(weight: np.ndarray, codes: NDArray[np.int8], scale: Array, x: Array) -> float:
    """Sum of squares of ``x (weight - codes * scale)``, ``x [G, P, K]``."""
    residue = weight.astype(np.float32) - codes * scale[:, None]
    return float(np.square(np.matmul(x, residue), dtype=np.float64).sum())


def _round_group(weight: np.ndarray, scale: Array, bits: int, x: Array) -> NDArray[np.int8]:
    """Codes of one matrix ``[K, N]`` for inputs ``x [P, K]``."""
    top = 2 ** (bits - 1) - 1
    x = x.astype(np.float64)
    hessian = x.T @ x
    energy = np.diag(hessian).copy()
    order = np.argsort(-energy, kind="stable")
    # Rows that no input drives may keep their nearest codes: their error costs nothing.
    mean = float(energy.mean()) or 1.0
    hessian = hessian[np.ix_(order, order)]
    hessian[np.diag_indices_from(hessian)] += DAMPING * mean
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T.astype(np.float32)
    rest = weight[order].astype(np.float32)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    codes = np.empty(rest.shape, np.int8)
    for begin in range(0, len(rest), _BLOCK):
        end = min(begin + _BLOCK, len(rest))
        errors = np.empty((end - begin, rest.shape[1]), np.float32)
        for k in range(begin, end):
            code = np.clip(np.rint(rest[k] * inverse), -top, top)
            codes[k] = code
            errors[k - begin] = (rest[k] - code * scale) / upper[k, k]
            rest[k + 1 : end] -= upper[k, k + 1 : end, None] * errors[k - begin]
        rest[end:] -= upper[begin:end, end:].T @ errors
    out = np.empty_like(codes)
    out[order] = codes
    return out
