"""Convolutions: constant kernels become stationary weights, computed ones a direct window."""

from collections.abc import Callable
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.shapes import Shape, row_major
from ....dialects.types import shape_of
from ..derive_constants import cast, derive
from ..exact_products import (
    add_parts,
    centred,
    combined_scale,
    exact_parts,
    requantize,
)
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..window_geometry import Window, transposed_window_of, window_of


@lowers("Conv")
def lower_conv(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Convolution in one to three spatial dims, any groups, strides, dilations and padding."""
    x, w, bias = node.required(0), node.required(1), node.input(2)
    window = window_of(node, shape_of(x)[2:], shape_of(w)[2:], node.out_shape[2:])
    if not b.is_constant(w):
        y = _direct(b, x, w, node.out_shape, window, node.attrs["group"])
        return _add_channels(b, y, bias)
    return _conv(b, x, w, bias, node.out_shape, window, node.attrs["group"])


def _conv(
    b: GraphBuilder,
    x: SSAValue,
    w: SSAValue,
    bias: SSAValue | None,
    out_shape: Shape,
    window: Window,
    groups: int,
    transposed: bool = False,
) -> SSAValue:
    stored = bias if b.is_constant(bias) else None
    y = b.conv(
        x,
        w,
        stored,
        out_shape,
        groups=groups,
        transposed=transposed,
        strides=window.strides,
        dilations=window.dilations,
        low=window.low,
        high=window.high,
    )
    return y if stored is not None else _add_channels(b, y, bias)


def _direct(
    b: GraphBuilder, x: SSAValue, w: SSAValue, out_shape: Shape, window: Window, groups: int
) -> SSAValue:
    return b.window(
        [x, w],
        out_shape,
        kind="dot",
        kernel=window.kernel,
        groups=groups,
        strides=window.strides,
        dilations=window.dilations,
        low=window.low,
        high=window.high,
    )


def _add_channels(b: GraphBuilder, y: SSAValue, bias: SSAValue | None) -> SSAValue:
    """``y`` [N, C, ...] plus ``bias`` [C]."""
    if bias is None:
        return y
    shaped = b.reshape(bias, (shape_of(bias)[0], *[1] * (len(shape_of(y)) - 2)))
    return b.binary("add", y, shaped)


@lowers("ConvTranspose")
def lower_conv_transpose(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Transposed convolution; a computed kernel runs over the input spread by the strides."""
    x, w, bias = node.required(0), node.required(1), node.input(2)
    size, kernel = shape_of(x)[2:], shape_of(w)[2:]
    window = transposed_window_of(node, size, kernel, node.out_shape[2:])
    groups = node.attrs["group"]
    if b.is_constant(w):
        return _conv(b, x, w, bias, node.out_shape, window, groups, transposed=True)
    low = [s - 1 - lo for s, lo in zip(window.spans, window.low, strict=True)]
    high = [s - 1 - hi for s, hi in zip(window.spans, window.high, strict=True)]
    between = [0, 0, *[s - 1 for s in window.strides]]
    spread = b.pad(x, [0, 0, *low], [0, 0, *high], interior=between)
    rank = len(kernel)
    ones, zeros = (1,) * rank, (0,) * rank
    dense = Window(kernel, ones, window.dilations, zeros, zeros)
    y = _direct(b, spread, _mirrored(b, w, groups), node.out_shape, dense, groups)
    return _add_channels(b, y, bias)


def _mirrored(b: GraphBuilder, w: SSAValue, groups: int) -> SSAValue:
    """ConvTranspose weights [C, O/G, k..] as the mirrored Conv weights [O, C/G, k..]."""
    channels, outs, *kernel = shape_of(w)
    inner = channels // groups
    step = row_major(shape_of(w))
    shape = (groups, outs, inner, *kernel)
    strides = (inner * step[0], step[1], step[0], *[-s for s in step[2:]])
    offset = sum((k - 1) * s for k, s in zip(kernel, step[2:], strict=True))
    return b.reshape(b.view(w, shape, strides, offset), (groups * outs, inner, *kernel))


@lowers("ConvInteger")
def lower_conv_integer(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Convolution of 8-bit integers less their zero points, as int32."""
    zeros = node.input(2), node.input(3)
    return _integer_conv(b, node, node.required(0), node.required(1), *zeros)


@lowers("QLinearConv")
def lower_qlinear_conv(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """An integer convolution plus bias, scaled back to 8 bits."""
    x, w, bias = node.required(0), node.required(3), node.input(8)
    acc = _integer_conv(b, node, x, w, node.required(2), node.required(5))
    acc = _add_channels(b, acc, bias)
    scales = node.required(1), node.required(4), node.required(6)
    tail = (1,) * (len(node.out_shape) - 2)
    by_output = (prod(shape_of(scales[1])), *tail)
    scale = combined_scale(b, *scales, [(1,), by_output, (1,)])
    return requantize(b, acc, scale, node.required(7), node.out_dtype)


def _integer_conv(
    b: GraphBuilder,
    node: OnnxNode,
    x: SSAValue,
    w: SSAValue,
    x_zero: SSAValue | None,
    w_zero: SSAValue | None,
) -> SSAValue:
    """The int32 accumulators, from float32 convolutions that are exact."""
    tail = (1,) * (len(shape_of(w)) - 1)
    # padding stands for the zero point, which is 0 once it is taken off
    left = centred(b, x, x_zero)
    right = centred(b, w, w_zero, None if w_zero is None else (prod(shape_of(w_zero)), *tail))
    window = window_of(node, shape_of(x)[2:], shape_of(w)[2:], node.out_shape[2:])
    groups, out = node.attrs["group"], node.out_shape
    if not b.is_constant(right):
        i32 = np.dtype(np.int32)
        return _direct(b, cast(b, left, i32), cast(b, right, i32), out, window, groups)
    inner = shape_of(w)[1]
    parts = exact_parts(b, right, inner, _channel_norms)
    if len(parts) == 1:
        return add_parts(b, [_conv(b, left, right, None, out, window, groups)])
    if groups != 1:
        raise NotLowered("its integer sums pass 2^24 in a grouped convolution")
    sums = []
    for start, stop in parts:
        shape = (shape_of(w)[0], stop - start, *window.kernel)
        some = derive(b, [right], shape, _channels(start, stop), f"from{start}", is_view=True)
        part = b.slice_axis(left, 1, start, stop - start)
        sums.append(_conv(b, part, some, None, out, window, 1))
    return add_parts(b, sums)


def _channel_norms(w: np.ndarray) -> np.ndarray:
    """Sum of magnitudes by (output, channel)."""
    return np.abs(w).reshape(*w.shape[:2], -1).sum(2)


def _channels(start: int, stop: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array[:, start:stop]
