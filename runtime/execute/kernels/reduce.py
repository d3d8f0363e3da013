"""``reduce``: sums, means, extremes, products and arg-extremes along axes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ....dialects.elements import is_float
from ....errors import ProgramError
from .dtypes import accumulator, highest, lowest

# Along an outer axis numpy adds row after row, so that the error grows with the length; longer
# sums than this go through float64 (along the innermost axis numpy already adds pairwise).
LONGEST_PLAIN_SUM = 256


def reduce(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Reduce ``x`` along ``axes``; float16 and bfloat16 accumulate in float32, integers wrap.

    An empty maximum is -inf or the lowest integer (minimum alike), an empty mean NaN
    or the integer 0.
    Raises ProgramError for axes that are not distinct axes of ``x``.
    """
    (x,) = inputs
    kind = attrs["kind"]
    axes = normalise_axes(attrs["axes"], x.ndim)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    x = x.astype(accumulator(x.dtype), copy=False)
    if kind in ("argmax", "argmin"):
        result = _arg_extreme(x, kind, axes, attrs["select_last"])
    elif kind == "sum":
        result = _sum(x, axes)
    elif kind == "mean":
        result = _mean(x, axes)
    elif kind == "prod":
        result = np.multiply.reduce(x, axis=axes, dtype=x.dtype)
    elif kind in ("max", "min"):
        result = _extreme(x, kind, axes)
    else:
        raise ProgramError(f"a reduction must be a sum, mean, max, min, prod or arg, not {kind!r}")
    expected = kept if attrs["keepdims"] else tuple(n for i, n in enumerate(kept) if i not in axes)
    if expected != shape:
        raise ProgramError(f"a reduction of {x.shape} along {axes} gives {expected}, not {shape}")
    out = np.empty(shape, dtype)
    np.copyto(out, np.reshape(result, shape), casting="unsafe")
    return out


def normalise_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """``axes`` counted from the front; raises ProgramError unless distinct and below ``rank``."""
    positive = tuple(a + rank if a < 0 else a for a in axes)
    if any(not 0 <= a < rank for a in positive) or len(set(positive)) != len(positive):
        raise ProgramError(f"axes must be distinct and within rank {rank}, not {tuple(axes)}")
    return positive


def _sum(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    outer = prod(x.shape[a] for a in axes if a != x.ndim - 1)
    if x.dtype == np.float32 and outer > LONGEST_PLAIN_SUM and not _is_one_run(x, axes):
        return np.add.reduce(x, axis=axes, dtype=np.float64)
    return np.add.reduce(x, axis=axes, dtype=x.dtype)


def _is_one_run(x: np.ndarray, axes: tuple[int, ...]) -> bool:
    """Whether ``axes`` are the last axes: numpy sums them as one contiguous run, pairwise."""
    return sorted(axes) == list(range(x.ndim - len(axes), x.ndim)) and x.flags.c_contiguous


def _mean(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    count = prod(x.shape[a] for a in axes)
    if is_float(x.dtype):
        return np.true_divide(_sum(x, axes), count)
    total = np.add.reduce(x, axis=axes, dtype=np.uint64 if x.dtype.kind == "u" else np.int64)
    if count == 0:
        return total
    return (total - np.fmod(total, total.dtype.type(count))) // total.dtype.type(count)


def _extreme(x: np.ndarray, kind: str, axes: tuple[int, ...]) -> np.ndarray:
    ufunc, identity = (np.maximum, lowest) if kind == "max" else (np.minimum, highest)
    if prod(x.shape[a] for a in axes) == 0:
        return ufunc.reduce(x, axis=axes, initial=identity(x.dtype))
    return ufunc.reduce(x, axis=axes)


def _arg_extreme(x: np.ndarray, kind: str, axes: tuple[int, ...], select_last: bool) -> np.ndarray:
    if len(axes) != 1:
        raise ProgramError(f"{kind} must reduce one axis, not {len(axes)}")
    (axis,) = axes
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    if 0 in rest:  # numpy looks at the axis first, which may be empty as well
        return np.zeros(rest, np.int64)
    find = np.argmax if kind == "argmax" else np.argmin
    if select_last:
        return x.shape[axis] - 1 - find(np.flip(x, axis), axis=axis)
    return find(x, axis=axis)
