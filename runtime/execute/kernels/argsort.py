"""``argsort``: the positions of elements in the order of their values along one axis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import ProgramError
from .dtypes import accumulator
from .reduce import normalise_axes


def argsort(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Positions of the first ``count`` of the sorted elements of ``x``.

    Equal elements keep their order, also when ``descending``; NaN is larger than any number.
    Raises ProgramError for an axis outside ``x`` or a count that ``x`` does not have.
    """
    (x,) = inputs
    (axis,) = normalise_axes((attrs["axis"],), x.ndim)
    n, count = x.shape[axis], attrs["count"]
    expected = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    if not 0 <= count <= n or shape != expected:
        raise ProgramError(f"a sort of {x.shape} that keeps {count} cannot give {shape}")
    keys = x.astype(accumulator(x.dtype), copy=False)
    if attrs["descending"]:
        # the last of the reversed order, so that ties and NaN stand as in the docstring
        order = n - 1 - np.flip(np.argsort(np.flip(keys, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(keys, axis, kind="stable")
    out = np.empty(shape, dtype)
    np.copyto(out, order[(slice(None),) * axis + (slice(0, count),)], casting="unsafe")
    return out
