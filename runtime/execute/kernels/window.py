"""``window``: what slides over space - im2col, pooling and direct grouped convolution.

    position read along an axis = out * stride + k * dilation - low       k = 0..kernel-1

Pooling is separable, so it goes axis by axis over the positions that exist and never pads. The
other two copy ``x`` into its padded extent once and then loop over kernel positions, each a strided
slice; nothing is ever ``prod(kernel)`` times as large as it has to be.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, starmap
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np

from ....dialects.elements import is_float
from ....dialects.shapes import channels_first
from ....errors import ProgramError
from .dtypes import accumulator, lowest

# From this innermost kernel extent on, one copy in runs of that length beats a strided write for
# every kernel position (measured: 1 to 3 times faster at 5 and 7, 1 to 3 times slower at 3).
LONG_RUN = 5


def _at(*index: int | slice | EllipsisType) -> tuple[int | slice | EllipsisType, ...]:
    """An index put together from parts of several types."""
    return index


@dataclass(frozen=True, slots=True)
class Axis:
    """Geometry along one spatial axis, in elements."""

    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    high: int
    out: int = 0

    def floor_out(self) -> int:
        """Number of windows wholly inside the padded input."""
        room = self.size + self.low + self.high - (self.kernel - 1) * self.dilation - 1
        return room // self.stride + 1 if room >= 0 else 0

    def reach(self) -> int:
        """Padded positions the windows touch; past ``high`` when the output was rounded up."""
        return max(0, self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def reads(self, k: int) -> tuple[slice, slice]:
        """Outputs whose ``k``-th position exists in the input, and those input positions."""
        shift = k * self.dilation - self.low
        begin, end = max(0, -self.low), self.size + min(0, self.high)
        first = max(0, -((shift - begin) // self.stride))
        last = min(self.out - 1, (end - 1 - shift) // self.stride)
        if last < first:
            return slice(0, 0), slice(0, 0)
        start = first * self.stride + shift
        return slice(first, last + 1), slice(start, last * self.stride + shift + 1, self.stride)

    def counts(self, include_pad: bool) -> np.ndarray:
        """How many positions of each window count: existing ones, or ones in the padded input."""
        steps = np.arange(self.out)[:, None] * self.stride
        position = steps + np.arange(self.kernel) * self.dilation - self.low
        begin, end = max(0, -self.low), self.size + min(0, self.high)
        if include_pad:
            begin, end = -self.low, self.size + self.high
        return np.count_nonzero((begin <= position) & (position < end), axis=1)


def window(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Run a window kernel over ``x [N,C,spatial...]``; the result's layout depends on ``kind``.

    im2col: [P, C*prod(kernel)], grouped [G, P, C/G*prod(kernel)], P = N*prod(out spatial);
    max, mean: [N,C,out...]; dot with w [O,C/G,kernel...]: [N,O,out...]. With ``channels_last``, x
    and the results of all but im2col have their channels behind the others.
    Raises ProgramError for a geometry that is not that of ``x`` or of ``shape``.
    """
    if attrs["channels_last"]:
        first = {**attrs, "channels_last": False}
        ins = [np.moveaxis(inputs[0], -1, 1), *inputs[1:]]
        if attrs["kind"] == "im2col":
            return window(first, ins, shape, dtype)
        moved = np.moveaxis(window(first, ins, channels_first(shape), dtype), 1, -1)
        return np.ascontiguousarray(moved)
    x, kind = inputs[0], attrs["kind"]
    axes = _axes(attrs, x, None if kind == "im2col" else shape[2:])
    groups = attrs["groups"]
    if groups < 1 or x.shape[1] % groups:
        raise ProgramError(f"{x.shape[1]} channels do not split into {groups} groups")
    if kind == "im2col":
        return _im2col(x, axes, groups, shape, dtype)
    if kind == "dot":
        return _dot(x, inputs[1], axes, groups, shape, dtype)
    if shape[:2] != x.shape[:2]:
        raise ProgramError(f"pooling keeps batch and channels {x.shape[:2]}, not {shape[:2]}")
    if kind == "max":
        return _max(x, axes, dtype)
    if kind == "mean":
        return _mean(x, axes, attrs["count_include_pad"], dtype)
    raise ProgramError(f"a window must be im2col, max, mean or dot, not {kind!r}")


def _axes(attrs: Mapping[str, Any], x: np.ndarray, out: Sequence[int] | None) -> list[Axis]:
    names = ("kernel", "strides", "dilations", "low", "high")
    columns = [tuple(attrs[name]) for name in names]
    if x.ndim < 2 or any(len(column) != x.ndim - 2 for column in columns):
        raise ProgramError(f"a window over {x.shape} needs {names} of rank {x.ndim - 2}")
    if min((v for column in columns[:3] for v in column), default=1) < 1:
        raise ProgramError("kernel, strides and dilations of a window must be at least 1")
    if out is not None and len(out) != x.ndim - 2:
        raise ProgramError(f"a window over {x.shape} must give the same rank, not {len(out) + 2}")
    rows = list(zip(x.shape[2:], *columns, strict=True))
    if out is None:
        return [replace(a, out=a.floor_out()) for a in starmap(Axis, rows)]
    return [replace(Axis(*row), out=n) for row, n in zip(rows, out, strict=True)]


def _padded(x: np.ndarray, axes: Sequence[Axis], dtype: np.dtype) -> np.ndarray:
    """``x`` in zeros, exactly as far as the windows reach (positions past ``high`` are zeros)."""
    if all(
        a.low == 0 and a.high >= 0 and a.reach() <= a.size for a in axes
    ):  # nothing outside is read
        return x.astype(dtype, copy=False)
    out = np.zeros((*x.shape[:2], *(a.reach() for a in axes)), dtype)
    source, target = [], []
    for a in axes:
        begin = max(0, -a.low)
        end = min(a.size + min(0, a.high), a.reach() - a.low)
        count = max(0, end - begin)
        source.append(slice(begin, begin + count))
        target.append(slice(begin + a.low, begin + a.low + count))
    out[_at(..., *target)] = x[_at(..., *source)]
    return out


def _slices(
    padded: np.ndarray, axes: Sequence[Axis]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each kernel position with the view [N,C,out...] of the elements under it."""
    for position in product(*(range(a.kernel) for a in axes)):
        starts = [k * a.dilation for k, a in zip(position, axes, strict=True)]
        cut = tuple(
            slice(start, start + (a.out - 1) * a.stride + 1 if a.out else start, a.stride)
            for start, a in zip(starts, axes, strict=True)
        )
        yield position, padded[_at(..., *cut)]


def _im2col(
    x: np.ndarray, axes: Sequence[Axis], groups: int, shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    n, channels = x.shape[0], x.shape[1]
    rank = len(axes)
    sizes, kernel = [a.out for a in axes], [a.kernel for a in axes]
    rows, columns = n * prod(sizes), channels // groups * prod(kernel)
    expected = (rows, columns) if groups == 1 else (groups, rows, columns)
    if shape != expected:
        raise ProgramError(f"these windows over {x.shape} give {expected}, not {shape}")
    out = np.empty((groups, n, *sizes, channels // groups, *kernel), dtype)
    if out.size == 0:
        return out.reshape(shape)
    padded = _padded(x, axes, dtype)
    order = (1, 0, *range(3, 3 + rank), 2)  # [N,G,C/G,out...] -> [G,N,out...,C/G]
    split = (n, groups, channels // groups)
    if rank and kernel[-1] >= LONG_RUN:
        extents = [(a.kernel - 1) * a.dilation + 1 for a in axes]
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, extents, axis=tuple(range(2, 2 + rank))
        )
        cut = [slice(0, (a.out - 1) * a.stride + 1, a.stride) for a in axes]
        taps = [slice(None, None, a.dilation) for a in axes]
        windows = windows[_at(..., *cut, *taps)]
        windows = windows.reshape(*split, *windows.shape[2:])
        np.copyto(out, windows.transpose(*order, *range(3 + rank, 3 + 2 * rank)))
        return out.reshape(shape)
    for position, part in _slices(padded, axes):
        out[_at(..., *position)] = part.reshape(*split, *sizes).transpose(order)
    return out.reshape(shape)


def _max(x: np.ndarray, axes: Sequence[Axis], dtype: np.dtype) -> np.ndarray:
    out = x
    for i, a in enumerate(axes):
        out = _combine(out, i + 2, a, np.maximum, lowest(x.dtype))
    return np.array(out, dtype, order="C")


def _mean(x: np.ndarray, axes: Sequence[Axis], include_pad: bool, dtype: np.dtype) -> np.ndarray:
    out = x.astype(accumulator(x.dtype) if is_float(x.dtype) else np.int64, copy=False)
    count = np.ones((), np.int64)
    for i, a in enumerate(axes):
        out = _combine(out, i + 2, a, np.add, 0)
        count = count[..., None] * a.counts(include_pad)
    np.maximum(count, 1, out=count)
    if not is_float(out.dtype):
        return np.array((out - np.fmod(out, count)) // count, dtype, order="C")
    return np.array(out / count.astype(out.dtype), dtype, order="C")


def _combine(
    x: np.ndarray, axis: int, a: Axis, ufunc: np.ufunc, identity: float | int | bool
) -> np.ndarray:
    """Combine the ``a.kernel`` elements of every window along ``axis``."""
    lead = (slice(None),) * axis
    out = np.full((*x.shape[:axis], a.out, *x.shape[axis + 1 :]), identity, x.dtype)
    if a.out == 1 and a.dilation == 1 and x.size:
        begin, end = max(0, -a.low), min(a.size + min(0, a.high), a.kernel - a.low)
        if end > begin:
            whole = x[(*lead, slice(begin, end))]
            return ufunc.reduce(whole, axis=axis, keepdims=True, dtype=x.dtype)
        return out
    for k in range(a.kernel):
        written, read = a.reads(k)
        target = out[(*lead, written)]
        ufunc(target, x[(*lead, read)], out=target)
    return out


def _dot(
    x: np.ndarray,
    w: np.ndarray,
    axes: Sequence[Axis],
    groups: int,
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> np.ndarray:
    """Grouped convolution, one kernel position at a time."""
    n, channels = x.shape[:2]
    filters, depth = w.shape[0], channels // groups
    sizes, kernel = tuple(a.out for a in axes), tuple(a.kernel for a in axes)
    if filters % groups or w.shape != (filters, depth, *kernel):
        raise ProgramError(f"weights must be [O,{depth},{kernel}] with {groups} | O, not {w.shape}")
    if shape != (n, filters, *sizes):
        raise ProgramError(f"a grouped convolution gives {(n, filters, *sizes)}, not {shape}")
    work = accumulator(dtype)
    padded = _padded(x, axes, work)
    w = w.astype(work, copy=False).reshape(groups, filters // groups, depth, *kernel)
    total = np.zeros((n, groups, filters // groups, *sizes), work)
    if depth == 1:
        _dot_depthwise(padded, w, axes, total)
    else:
        points = total.reshape(n, groups, filters // groups, prod(sizes))
        for position, part in _slices(padded, axes):
            under = part.reshape(n, groups, depth, prod(sizes))
            points += np.matmul(w[_at(..., *position)], under)
    return total.reshape(shape).astype(dtype, copy=False)


def _dot_depthwise(
    padded: np.ndarray, w: np.ndarray, axes: Sequence[Axis], total: np.ndarray
) -> None:
    """One input channel a group: multiply and add channel by channel, within a cache."""
    n, groups, multiple = total.shape[:3]
    plane = max(1, prod(total.shape[3:]) * multiple)
    chunk = max(1, 65536 // plane)
    scale = (-1, multiple) + (1,) * len(axes)
    for image in range(n):
        for start in range(0, groups, chunk):
            some = slice(start, start + chunk)
            target = total[image, some]
            product_ = np.empty_like(target)
            for position, part in _slices(padded[image : image + 1, some], axes):
                weight = w[_at(some, slice(None), 0, *position)].reshape(scale)
                np.multiply(part[0][:, None], weight, out=product_)
                target += product_
