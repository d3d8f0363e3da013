"""Pooling windows: maximum, mean and p-norm; and back: MaxUnpool, Col2Im."""

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.shapes import Shape, row_major
from ....dialects.types import dtype_of, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from ..window_geometry import (
    Window,
    block_window,
    tap_positions,
    unpooled_shape,
    window_counts,
    window_of,
)


def _pool(
    b: GraphBuilder, x: SSAValue, node: OnnxNode, kind: str, *, include_pad: bool = False
) -> tuple[SSAValue, Window]:
    window = window_of(node, shape_of(x)[2:], node.attrs["kernel_shape"], node.out_shape[2:])
    y = b.window(
        [x],
        node.out_shape,
        kind=kind,
        kernel=window.kernel,
        count_include_pad=include_pad,
        strides=window.strides,
        dilations=window.dilations,
        low=window.low,
        high=window.high,
    )
    return y, window


@lowers("MaxPool")
def lower_max_pool(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Window maximum; padding never wins."""
    x = node.required(0)
    if len(node.outputs) == 1 or node.outputs[1] is None:
        return [_pool(b, x, node, "max")[0]]
    shape = node.outputs[1][0]
    window = window_of(node, shape_of(x)[2:], node.attrs["kernel_shape"], shape[2:])
    return _pool_with_indices(b, x, window, shape, column_major=bool(node.attrs["storage_order"]))


def _pool_with_indices(
    b: GraphBuilder, x: SSAValue, window: Window, shape: Shape, *, column_major: bool
) -> list[SSAValue | None]:
    """The taps of each window side by side: the largest, and its position in the whole of x.

    ``column_major`` counts the position within the spatial dims with the first one running fastest.
    """
    size = shape_of(x)[2:]
    planes, pixels, windows = prod(shape[:2]), prod(size), prod(shape[2:])
    taps = _inside(tap_positions(window, size, shape[2:], row_major(size)), pixels)
    rows = b.gather(b.reshape(x, (planes, pixels)), b.constant(taps, "taps"), axis=1)
    values = b.reduce(rows, "max", [2])
    best = b.reduce(rows, "argmax", [2], keepdims=True)
    named = taps
    if column_major:
        named = np.ravel_multi_index(np.unravel_index(taps, size), size, order="F")
    names = b.expand(b.constant(named[None], "positions"), (planes, *named.shape))
    within = b.reshape(b.gather(names, best, mode="elements", axis=2), (planes, windows))
    first = b.constant(pixels * np.arange(planes).reshape(planes, 1), "planes")
    return [b.reshape(values, shape), b.reshape(b.binary("add", within, first), shape)]


def _inside(taps: np.ndarray, pixels: int) -> np.ndarray:
    """``taps`` [P, K] with those in the padding moved to the first one of their window inside.

    So no value has to be made up that never wins against the lowest number of its type.
    """
    inside = taps < pixels
    if not inside.any(1).all():
        raise NotLowered("MaxPool with a window that lies in the padding")
    first = np.take_along_axis(taps, inside.argmax(1)[:, None], 1)
    return np.where(inside, taps, first)


@lowers("MaxUnpool")
def lower_max_unpool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Values written where MaxPool took them from, among zeros.

    Positions count in the input of that MaxPool; a larger output has more zeros behind it.
    """
    x, indices = node.required(0), node.required(1)
    pooled = unpooled_shape(node, shape_of(x))
    zeros = b.view(b.constant(np.zeros((), dtype_of(x))), (prod(pooled),), (0,))
    flat = [b.reshape(v, (prod(shape_of(v)),)) for v in (indices, x)]
    y = b.reshape(b.scatter(zeros, *flat, mode="elements"), pooled)
    more = [n - own for n, own in zip(node.out_shape, pooled, strict=True)]
    return b.pad(y, (0,) * len(more), more)


@lowers("Col2Im")
def lower_col2im(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Blocks [N, C * taps, windows] added up where they overlap in the image; padding is cut."""
    x = node.required(0)
    kernel = constant_ints(b, node.required(2), "the block's shape")
    assert kernel is not None
    batch, channels, *size = node.out_shape
    taps, windows = prod(kernel), shape_of(x)[2]
    window = block_window(node, size, kernel)
    at = tap_positions(window, size, window_counts(window, size), row_major(tuple(size)))
    if at.shape != (windows, taps):
        raise NotLowered(f"{windows} blocks, where the image has {at.shape[0]}")
    rows = b.transpose(b.reshape(x, (batch * channels, taps, windows)), [2, 1, 0])
    image = (prod(size) + 1, batch * channels)  # the last row is what falls into the padding
    zeros = b.view(b.constant(np.zeros((), dtype_of(x))), image, (0, 0))
    total = b.scatter(zeros, b.constant(at[..., None], "pixels"), rows, mode="nd", reduction="add")
    kept = b.slice_axis(total, 0, 0, prod(size))
    return b.reshape(b.transpose(kept, [1, 0]), node.out_shape)


@lowers("AveragePool")
def lower_average_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Window mean over the positions that exist, with or without the padding."""
    include = bool(node.attrs["count_include_pad"])
    return _pool(b, node.required(0), node, "mean", include_pad=include)[0]


@lowers("LpPool")
def lower_lp_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Window p-norm: the mean of the powers, times the positions that it was divided by."""
    x, p = node.required(0), int(node.attrs["p"])
    mean, window = _pool(b, _power(b, x, p), node, "mean", include_pad=True)
    return _root(b, mean, p, _positions(window, shape_of(x)[2:], node.out_shape[2:]))


def _positions(window: Window, size: tuple[int, ...], out: tuple[int, ...]) -> np.ndarray:
    """Positions of each window inside the padded input, [out spatial...] or [1...]."""
    counts: np.ndarray = np.ones(())
    for i, n in enumerate(out):
        starts = np.arange(n) * window.strides[i]
        taps = starts[:, None] + np.arange(window.kernel[i]) * window.dilations[i]
        inside = (taps < window.low[i] + size[i] + window.high[i]).sum(1)
        counts = np.multiply.outer(counts, inside)
    return counts.reshape(-1)[:1].reshape((1,) * len(out)) if np.ptp(counts) == 0 else counts


def _power(b: GraphBuilder, x: SSAValue, p: int) -> SSAValue:
    """``|x| ** p``."""
    body = b.body(x)
    if p == 2:
        return b.map([x], body.finish(body.mul(0, 0)))
    size = body.unary("absf", 0)
    return b.map([x], body.finish(size if p == 1 else _pow(body, size, float(p))))


def _root(b: GraphBuilder, x: SSAValue, p: int, factor: np.ndarray | None = None) -> SSAValue:
    """``(x * factor) ** (1/p)``."""
    ins = [x]
    if factor is not None:
        ins.append(b.constant(factor.astype(dtype_of(x)), "positions"))
    body = b.body(*ins)
    total = 0 if factor is None else body.mul(0, 1)
    if p == 1:
        result = total
    elif p == 2:
        result = body.unary("sqrt", total)
    else:
        result = _pow(body, total, 1 / p)
    return b.map(ins, body.finish(result))


def _pow(body: BodyBuilder, x: int, exponent: float) -> int:
    return body.binary("powf", x, body.const(exponent, body.types[x]))
