"""``view``, ``pad``, ``concat``: data movement without arithmetic.

Programs come from files, so a view is checked against its input before any memory is touched.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ....dialects.elements import plain_dtype
from ....errors import ProgramError
from .dtypes import scalar_of

# Side of the square in which matrices are transposed: halves the time where the sides are large
# powers of two, whose rows fall on the same cache lines.
TRANSPOSE_TILE = 128


def view(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """``out[i...] = x.ravel()[offset + sum(i * strides)]``, strides in elements of row-major x.

    Raises ProgramError when an element lies outside ``x``.
    """
    (x,) = inputs
    out = np.empty(shape, dtype)
    offset, strides = int(attrs["offset"]), [int(s) for s in attrs["strides"]]
    if len(strides) != len(shape):
        raise ProgramError(f"a view of rank {len(shape)} needs as many strides, not {len(strides)}")
    if out.size == 0:
        return out
    reach = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    first = offset + sum(r for r in reach if r < 0)
    last = offset + sum(r for r in reach if r > 0)
    if first < 0 or last >= x.size:
        raise ProgramError(
            f"a view must stay in the {x.size} elements of its input, not {first} to {last}"
        )
    steps = [
        s * x.itemsize if n > 1 else 0 for n, s in zip(shape, strides, strict=True)
    ]  # the stride of a single element may be any number
    flat = np.ascontiguousarray(x).reshape(-1)[offset:]
    source = as_strided(flat.view(plain_dtype(x.dtype)), shape, steps)
    _copy_tiled(out.view(plain_dtype(dtype)), source)
    return out


def _copy_tiled(out: np.ndarray, source: np.ndarray) -> None:
    """Copy, in squares where the source runs along another axis than the last."""
    last = source.ndim - 1
    axis = min(
        (i for i in range(source.ndim) if source.strides[i] > 0 and source.shape[i] > 1),
        key=lambda i: (source.strides[i], -i),
        default=last,
    )
    if axis == last or min(source.shape[axis], source.shape[last]) <= TRANSPOSE_TILE:
        np.copyto(out, source)
        return
    lead, between = (slice(None),) * axis, (slice(None),) * (last - axis - 1)
    for row in range(0, source.shape[axis], TRANSPOSE_TILE):
        for column in range(0, source.shape[last], TRANSPOSE_TILE):
            square = (
                *lead,
                slice(row, row + TRANSPOSE_TILE),
                *between,
                slice(column, column + TRANSPOSE_TILE),
            )
            np.copyto(out[square], source[square])


def concat(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """The inputs one after another along ``axis``; numpy refuses shapes that do not fit."""
    out = np.empty(shape, dtype)
    np.concatenate(inputs, axis=attrs["axis"], out=out, casting="same_kind")
    return out


def pad(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Pad as XLA does: ``low``/``high`` may be negative (crop), ``interior`` lies between elements.

    The other modes crop first and then repeat what is left (as ONNX Runtime does).
    Raises ProgramError for interior padding in another mode, or sizes that are not ``shape``.
    """
    (x,) = inputs
    low, high, interior = attrs["low"], attrs["high"], attrs["interior"]
    if not len(low) == len(high) == len(interior) == x.ndim:
        raise ProgramError(f"padding of rank {x.ndim} needs as many low, high and interior values")
    if min(interior, default=0) < 0:
        raise ProgramError(f"interior padding must be at least 0, not {tuple(interior)}")
    expected = tuple(
        lo + hi + (n + (n - 1) * gap if n else 0)
        for n, lo, hi, gap in zip(x.shape, low, high, interior, strict=True)
    )
    if expected != shape:
        raise ProgramError(f"padding {x.shape} gives {expected}, not {shape}")
    if attrs["mode"] == "constant":
        return _pad_constant(x, low, interior, shape, scalar_of(attrs["value"], dtype))
    if any(interior):
        raise ProgramError(f"interior padding needs the mode constant, not {attrs['mode']}")
    return _pad_repeat(x, low, high, attrs["mode"])


def _pad_constant(
    x: np.ndarray,
    low: Sequence[int],
    interior: Sequence[int],
    shape: tuple[int, ...],
    value: np.ndarray,
) -> np.ndarray:
    out = np.full(shape, value, value.dtype)
    source, target = [], []
    for n, size, start, gap in zip(x.shape, shape, low, interior, strict=True):
        step = gap + 1
        first = max(0, -(start // step))  # the first element at or after the edge
        count = max(0, min(n, (size - 1 - start) // step + 1) - first)
        source.append(slice(first, first + count))
        begin = start + first * step
        target.append(slice(begin, begin + count * step, step) if count else slice(0, 0))
    out[tuple(target)] = x[tuple(source)]
    return out


def _pad_repeat(x: np.ndarray, low: Sequence[int], high: Sequence[int], mode: str) -> np.ndarray:
    crop = zip(x.shape, low, high, strict=True)
    x = x[tuple(slice(max(0, -lo), n + min(0, hi)) for n, lo, hi in crop)]
    for axis in range(x.ndim):
        before, after = max(0, low[axis]), max(0, high[axis])
        if before or after:
            x = np.take(x, _repeated(x.shape[axis], before, after, mode), axis=axis)
    return np.array(x, order="C")


def _repeated(n: int, before: int, after: int, mode: str) -> np.ndarray:
    """The source position of every element along one padded axis of ``n``."""
    if n == 0:
        raise ProgramError(f"an empty axis cannot be padded in mode {mode}")
    position = np.arange(-before, n + after)
    if mode == "edge":
        return np.clip(position, 0, n - 1)
    if mode == "wrap":
        return position % n
    if mode != "reflect":
        raise ProgramError(f"padding must be constant, reflect, edge or wrap, not {mode!r}")
    period = max(1, 2 * (n - 1))
    position %= period
    return np.minimum(position, period - position) if n > 1 else np.zeros_like(position)
