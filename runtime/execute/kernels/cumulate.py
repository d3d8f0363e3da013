"""``cumulate``: running sums and products along one axis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ....errors import ProgramError
from .dtypes import accumulator
from .reduce import normalise_axes


def cumulate(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """ONNX CumSum (or its product) of ``x``: ``exclusive`` leaves the own element out.

    Raises ProgramError for an axis outside ``x`` or an output of another shape.
    """
    (x,) = inputs
    (axis,) = normalise_axes((attrs["axis"],), x.ndim)
    if shape != x.shape:
        raise ProgramError(f"a running {attrs['kind']} keeps the shape {x.shape}, not {shape}")
    ufunc, identity = (np.add, 0) if attrs["kind"] == "sum" else (np.multiply, 1)
    x = x.astype(accumulator(dtype), copy=False)
    source = np.flip(x, axis) if attrs["reverse"] else x
    running = ufunc.accumulate(source, axis=axis, dtype=x.dtype)
    out = np.empty(shape, dtype)
    target = np.flip(out, axis) if attrs["reverse"] else out
    if not attrs["exclusive"]:
        np.copyto(target, running, casting="unsafe")
        return out
    lead = (slice(None),) * axis
    target[(*lead, slice(0, 1))] = identity
    np.copyto(target[(*lead, slice(1, None))], running[(*lead, slice(0, -1))], casting="unsafe")
    return out
