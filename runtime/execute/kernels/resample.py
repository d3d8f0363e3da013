"""``resample``: every output position along one axis is a weighted sum of a few input positions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....dialects.elements import is_float
from ....errors import ProgramError
from .dtypes import FLOAT32, accumulator, saturate
from .reduce import normalise_axes


def resample(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """``out[..o..] = sum_t weights[o,t] * x[..indices[o,t]..]``, one pass over the output per tap.

    A single tap of weight one copies, exactly and for any type. Otherwise the sum is float32
    (float64 for float64) and integers truncate and saturate at the end.
    Raises ProgramError for a tap outside ``x`` or tables that do not fit.
    """
    x, indices, weights = inputs
    (axis,) = normalise_axes((attrs["axis"],), x.ndim)
    n = x.shape[axis]
    if indices.ndim != 2 or indices.shape != weights.shape:
        raise ProgramError(f"taps {indices.shape} and weights {weights.shape} must be [out,taps]")
    if (*x.shape[:axis], len(indices), *x.shape[axis + 1 :]) != shape:
        raise ProgramError(f"resampling {x.shape} to {len(indices)} taps does not give {shape}")
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < n:
        raise ProgramError(f"taps must read 0..{n - 1}, not {indices.min()}..{indices.max()}")
    taps = indices.astype(np.intp, copy=False)
    if taps.shape[1] == 1 and bool(np.all(weights == 1)):
        out = np.empty(shape, dtype)
        return np.take(x, taps[:, 0], axis=axis, out=out, mode="clip")
    work = accumulator(x.dtype) if is_float(x.dtype) else FLOAT32
    source = x.astype(work, copy=False)
    along = (-1,) + (1,) * (x.ndim - 1 - axis)
    total = np.zeros(shape, work)
    part = np.empty(shape, work)
    for t in range(taps.shape[1]):
        weight = weights[:, t].astype(work)
        if not weight.any():
            continue  # a padding tap must not turn an infinity into NaN
        np.take(source, taps[:, t], axis=axis, out=part, mode="clip")
        part *= weight.reshape(along)
        total += part
    return saturate(total, dtype)
