"""``gather``, ``scatter`` and ``update``: reads and writes at computed positions.

Indices are data, so every one of them is checked; a negative index counts from the end.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ....errors import ProgramError
from .dtypes import accumulator
from .reduce import normalise_axes

_REDUCTIONS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def gather(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """ONNX Gather (mode axis), GatherElements (elements) and GatherND (nd).

    Raises ProgramError for an index outside ``data`` or shapes that do not fit.
    """
    data, indices = inputs
    mode = attrs["mode"]
    out = np.empty(shape, dtype)
    if mode != "nd" and attrs["batch_dims"]:
        raise ProgramError(f"a gather of mode {mode} has no batch axes")
    if mode == "axis":
        (axis,) = normalise_axes((attrs["axis"],), data.ndim)
        positions = _positions(indices, data.shape[axis])
        return np.take(data, positions, axis=axis, out=out, mode="clip")
    if mode == "elements":
        flat = _flat_elements(data.shape, indices, attrs["axis"])
        return np.take(data.reshape(-1), flat, out=out, mode="clip")
    if mode != "nd":
        raise ProgramError(f"a gather must be of mode axis, elements or nd, not {mode!r}")
    rows, slice_shape = _flat_rows(data.shape, indices, attrs["batch_dims"])
    _must_be("the gathered tensor", shape, (*rows.shape, *slice_shape))
    table = data.reshape(-1, *slice_shape) if data.size else np.empty((1, *slice_shape), dtype)
    return np.take(table, rows, axis=0, out=out, mode="clip")


def scatter(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """ONNX ScatterElements (mode elements) and ScatterND (nd); of equal indices the last one wins.

    With a ``reduction`` 16-bit floats accumulate in float32.
    Raises ProgramError for an index outside ``data`` or shapes that do not fit.
    """
    data, indices, updates = inputs
    _must_be("the scattered tensor", shape, data.shape)
    if attrs["mode"] == "elements":
        flat = _flat_elements(data.shape, indices, attrs["axis"])
    elif attrs["mode"] == "nd":
        rows, slice_shape = _flat_rows(data.shape, indices, 0)
        width = prod(slice_shape)
        flat = (rows[..., None] * width + np.arange(width)).reshape(*rows.shape, *slice_shape)
    else:
        raise ProgramError(f"a scatter must be of mode elements or nd, not {attrs['mode']!r}")
    _must_be("the updates", updates.shape, flat.shape)
    reduction = attrs["reduction"]
    if reduction == "none":
        out = data.astype(dtype, order="C")
        out.reshape(-1)[flat.reshape(-1)] = updates.reshape(-1)
        return out
    if reduction not in _REDUCTIONS:
        raise ProgramError(f"a scatter must reduce by none, add, mul, max or min, not {reduction}")
    total = data.astype(accumulator(dtype), order="C")
    addends = updates.reshape(-1).astype(total.dtype, copy=False)
    _REDUCTIONS[reduction].at(total.reshape(-1), flat.reshape(-1), addends)
    return total.astype(dtype, copy=False)


def update(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """``data`` with its row ``index`` replaced by ``part``.

    Raises ProgramError for an index outside ``data`` or shapes that do not fit.
    """
    data, index, part = inputs
    _must_be("the updated tensor", shape, data.shape)
    out = data.astype(dtype, order="C")
    update_row(out, index, part)
    return out


def update_row(data: np.ndarray, index: np.ndarray, part: np.ndarray) -> None:
    """Replace row ``index`` of ``data`` in place. Raises ProgramError as :func:`update` does."""
    _must_be("the index of an update", index.shape, ())
    _must_be("the row of an update", part.shape, data.shape[1:])
    data[_positions(index, len(data))] = part


def _must_be(what: str, came: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if came != expected:
        raise ProgramError(f"{what} must have shape {expected}, not {came}")


def _positions(indices: np.ndarray, n: int) -> np.ndarray:
    """``indices`` as intp within 0..n-1; raises ProgramError for any outside -n..n-1."""
    positions = indices.astype(np.intp, copy=False)
    if positions.size == 0:
        return positions
    low, high = int(positions.min()), int(positions.max())
    if low < -n or high >= n:
        raise ProgramError(
            f"an index into {n} elements must be in -{n}..{n - 1}, not {low}..{high}"
        )
    return np.where(positions < 0, positions + n, positions) if low < 0 else positions


def _flat_elements(shape: tuple[int, ...], indices: np.ndarray, axis: int) -> np.ndarray:
    """Flat positions in row-major ``shape`` of what GatherElements reads and Scatter writes."""
    (axis,) = normalise_axes((axis,), len(shape))
    fits = indices.ndim == len(shape) and all(
        i == axis or m <= n for i, (m, n) in enumerate(zip(indices.shape, shape, strict=True))
    )
    if not fits:
        raise ProgramError(f"indices {indices.shape} must lie within data {shape}, save one axis")
    flat = _positions(indices, shape[axis]) * prod(shape[axis + 1 :])
    for i, m in enumerate(indices.shape):
        if i != axis:
            along = [1] * len(shape)
            along[i] = m
            flat += (np.arange(m) * prod(shape[i + 1 :])).reshape(along)
    return flat


def _flat_rows(
    shape: tuple[int, ...], indices: np.ndarray, batch_dims: int
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Row numbers of GatherND/ScatterND in data seen as [rows, slice...], and the slice's shape."""
    depth = indices.shape[-1] if indices.ndim else -1
    end = batch_dims + depth
    fits = 0 <= batch_dims < max(indices.ndim, 1) and depth >= 0 and end <= len(shape)
    if not fits or indices.shape[:batch_dims] != shape[:batch_dims]:
        raise ProgramError(
            f"indices {indices.shape} with {batch_dims} batch axes must lie within data {shape}"
        )
    rows = np.zeros(indices.shape[:-1], np.intp)
    for i in range(batch_dims):
        along = [1] * rows.ndim
        along[i] = shape[i]
        rows += np.arange(shape[i]).reshape(along) * prod(shape[i + 1 : end])
    for i in range(depth):
        axis = batch_dims + i
        rows += _positions(indices[..., i], shape[axis]) * prod(shape[axis + 1 : end])
    return rows, shape[end:]
