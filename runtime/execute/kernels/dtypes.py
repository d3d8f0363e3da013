"""Element types as the kernels see them: names, accumulators, extremes, casts.

The names are those of scalar bodies ("f32", "bf16", "i8", "ui8", "i1").
"""

import ml_dtypes
import numpy as np

from ....dialects.elements import OF_DTYPE, OF_NAME, is_float
from ....errors import ProgramError

FLOAT32 = np.dtype(np.float32)


def dtype_named(name: str) -> np.dtype:
    """The numpy dtype of an element type name. Raises ProgramError for an unknown name."""
    if name not in OF_NAME:
        raise ProgramError(f"an element type must be one of {sorted(OF_NAME)}, not {name!r}")
    return OF_NAME[name].dtype


def accumulator(dtype: np.dtype) -> np.dtype:
    """The type in which values of ``dtype`` are summed: float32 for floats of at most 16 bits."""
    return FLOAT32 if is_float(dtype) and dtype.itemsize <= 2 else dtype


def lowest(dtype: np.dtype) -> float | int | bool:
    """The identity of ``max``: -inf, the smallest integer, or False."""
    if is_float(dtype):
        return -np.inf
    return False if dtype.kind == "b" else int(ml_dtypes.iinfo(dtype).min)


def highest(dtype: np.dtype) -> float | int | bool:
    """The identity of ``min``: inf, the largest integer, or True."""
    if is_float(dtype):
        return np.inf
    return True if dtype.kind == "b" else int(ml_dtypes.iinfo(dtype).max)


def scalar_of(value: float, dtype: np.dtype) -> np.ndarray:
    """``value`` as a 0-d array; integers saturate, so that -inf is the lowest value of any type."""
    if is_float(dtype):
        return np.array(value).astype(dtype)
    if dtype.kind == "b":
        return np.array(value != 0)
    if value != value:
        return np.zeros((), dtype)
    low, high = int(lowest(dtype)), int(highest(dtype))
    whole = value if isinstance(value, int) else low if value == -np.inf else high
    if isinstance(value, float) and np.isfinite(value):
        whole = int(value)
    return np.array(min(max(whole, low), high), dtype)


def saturate(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats ``x`` as ``dtype``; to integers they truncate toward zero and saturate."""
    if is_float(dtype) or dtype == x.dtype:
        return x.astype(dtype, copy=False)
    if dtype.kind == "b":
        return x != 0
    # the largest integer of a wide type is no float: np.clip would round it up and out of range
    low, high = int(lowest(dtype)), int(highest(dtype))
    too_high = x >= float(high)
    whole = np.where(too_high | (x < low), 0, x).astype(dtype)
    np.copyto(whole, low, where=x < low)
    np.copyto(whole, high, where=too_high)
    return whole


def unsigned(x: np.ndarray) -> np.ndarray:
    """The bits of integers or booleans as unsigned integers, without a copy."""
    return x.view(_with_sign(x.dtype, "ui"))


def signed(x: np.ndarray) -> np.ndarray:
    """The bits of integers as signed integers; a true i1 is -1, as in two's complement."""
    if x.dtype.kind == "b":
        return np.negative(x.view(np.int8))
    return x.view(_with_sign(x.dtype, "i"))


def _with_sign(dtype: np.dtype, letters: str) -> np.dtype:
    """The integer type named by ``letters`` of as many bits (a boolean's are the 8 of its byte)."""
    bits = 8 if dtype.kind == "b" else OF_DTYPE[dtype].bits
    return OF_NAME[f"{letters}{bits}"].dtype
