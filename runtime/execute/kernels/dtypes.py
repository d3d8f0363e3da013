"""Element types as the kernels see them: names, accumulators, extremes, casts.

The names are those of scalar bodies ("f32", "bf16", "i8", "ui8", "i1"). They are resolved here by
spelling, without the IR, so that a program runs on a machine that never imports xDSL.
"""

from functools import cache

import ml_dtypes
import numpy as np

from ....errors import ProgramError

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT32 = np.dtype(np.float32)
_SMALL_FLOATS = (np.dtype(np.float16), BFLOAT16)
_NAMED = {"f16": "float16", "f32": "float32", "f64": "float64", "i1": "bool"} | {
    f"{short}{bits}": f"{long}{bits}"
    for short, long in (("i", "int"), ("ui", "uint"))
    for bits in (8, 16, 32, 64)
}


@cache
def dtype_named(name: str) -> np.dtype:
    """The numpy dtype of an element type name. Raises ProgramError for an unknown name."""
    if name == "bf16":
        return BFLOAT16
    if name not in _NAMED:
        raise ProgramError(f"an element type must be one of {sorted(_NAMED)} or bf16, not {name!r}")
    return np.dtype(_NAMED[name])


def is_float(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is a floating-point type, bfloat16 included."""
    return dtype.kind == "f" or dtype == BFLOAT16


def accumulator(dtype: np.dtype) -> np.dtype:
    """The type in which values of ``dtype`` are summed: float32 for the 16-bit floats."""
    return FLOAT32 if dtype in _SMALL_FLOATS else dtype


def lowest(dtype: np.dtype) -> float | int | bool:
    """The identity of ``max``: -inf, the smallest integer, or False."""
    if is_float(dtype):
        return -np.inf
    return False if dtype.kind == "b" else int(np.iinfo(dtype).min)


def highest(dtype: np.dtype) -> float | int | bool:
    """The identity of ``min``: inf, the largest integer, or True."""
    if is_float(dtype):
        return np.inf
    return True if dtype.kind == "b" else int(np.iinfo(dtype).max)


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
    return x.view(f"u{x.dtype.itemsize}")


def signed(x: np.ndarray) -> np.ndarray:
    """The bits of integers as signed integers; a true i1 is -1, as in two's complement."""
    if x.dtype.kind == "b":
        return np.negative(x.view(np.int8))
    return x.view(f"i{x.dtype.itemsize}")
