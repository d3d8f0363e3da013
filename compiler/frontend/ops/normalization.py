"""Normalisations: constant statistics fold to a scale and a shift, others become graph.norm."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, element_name, shape_of
from ..derive_constants import cast, derive, reshaped
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..traced_formula import map_formula
from .scalar_formulas import normalise_axis

F32 = np.dtype(np.float32)


def _wide(b: GraphBuilder, x: SSAValue) -> SSAValue:
    """``x`` in at least float32, in which ONNX takes the statistics of half-precision tensors."""
    return cast(b, x, F32) if element_name(dtype_of(x)) in ("f16", "bf16") else x


def _norm(
    b: GraphBuilder,
    x: SSAValue,
    axes: Sequence[int],
    epsilon: float,
    scale: SSAValue | None = None,
    bias: SSAValue | None = None,
    *,
    center: bool = True,
) -> SSAValue:
    """``graph.norm`` in at least float32, its result in the type of ``x``."""
    wide = _wide(b, x)
    extra = [None if v is None else cast(b, v, dtype_of(wide)) for v in (scale, bias)]
    y = b.norm(wide, axes, epsilon, center=center, scale=extra[0], bias=extra[1])
    return b.cast(y, dtype_of(x))


def _by_channel(x: SSAValue, channels: int) -> tuple[int, ...]:
    """The shape in which [C] broadcasts to x [N, C, ...]."""
    return (channels, *[1] * max(len(shape_of(x)) - 2, 0))


@lowers("BatchNormalization")
def lower_batch_normalization(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """``x * s + t`` with s and t by channel, folded when the statistics are constants."""
    if node.attrs["training_mode"]:
        return _normalise_batch(b, node)
    if any(node.outputs[1:]):
        raise NotLowered("BatchNormalization with statistics that only training updates")
    x = node.required(0)
    stats = [node.required(i) for i in range(1, 5)]
    epsilon = float(node.attrs["epsilon"])
    shape = _by_channel(x, shape_of(stats[0])[0])
    wide = np.dtype(np.float64) if dtype_of(x) == np.float64 else F32
    if all(b.is_constant(v) for v in stats):

        def scale(s: np.ndarray, _b: np.ndarray, _m: np.ndarray, v: np.ndarray) -> np.ndarray:
            return _f64(s) / np.sqrt(_f64(v) + epsilon)

        def shift(s: np.ndarray, c: np.ndarray, m: np.ndarray, v: np.ndarray) -> np.ndarray:
            return _f64(c) - _f64(m) * scale(s, c, m, v)

        folded = [
            derive(b, stats, shape, _reshaping(make, shape), suffix, wide)
            for make, suffix in ((scale, "scale"), (shift, "shift"))
        ]
    else:
        folded = [b.reshape(v, shape) for v in _fold_computed(b, stats, epsilon, wide)]
    body = b.body(x, *folded)
    result = body.add(body.mul(body.cast(0, element_name(wide)), 1), 2)
    y = b.map([x, *folded], body.finish(body.cast(result, element_name(dtype_of(x)))))
    return [y, *[None] * (len(node.outputs) - 1)]


def _normalise_batch(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Training: by the statistics of the batch, with which the running ones are updated."""
    x, scale, bias = (node.required(i) for i in range(3))
    wide = _wide(b, x)
    axes = [axis for axis in range(len(shape_of(x))) if axis != 1]
    mean, variance = _moments(b, wide, axes)
    columns = [reshaped(b, cast(b, v, dtype_of(wide)), shape_of(mean)) for v in (scale, bias)]
    epsilon = float(node.attrs["epsilon"])

    def normal(x: Any, mean: Any, variance: Any, scale: Any, bias: Any) -> Any:
        return (x - mean) / np.sqrt(variance + epsilon) * scale + bias

    y = map_formula(b, normal, wide, mean, variance, *columns, dtype=dtype_of(x))
    momentum = float(node.attrs["momentum"])

    def updated(old: Any, new: Any) -> Any:
        return old * momentum + new * (1 - momentum)

    running: list[SSAValue | None] = []
    for index, new in ((3, mean), (4, variance)):
        old = node.required(index)
        own = b.reshape(b.cast(new, dtype_of(old)), shape_of(old))
        running.append(map_formula(b, updated, old, own))
    return [y, *running][: len(node.outputs)]


def _f64(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _reshaping(
    make: Callable[..., np.ndarray], shape: tuple[int, ...]
) -> Callable[..., np.ndarray]:
    return lambda *arrays: make(*arrays).reshape(shape)


def _fold_computed(
    b: GraphBuilder, stats: Sequence[SSAValue], epsilon: float, wide: np.dtype
) -> tuple[SSAValue, SSAValue]:
    """Scale and shift [C] from computed scale, bias, mean and variance."""
    name = element_name(wide)
    body = b.body(stats[0], stats[3])
    spread = body.unary("sqrt", body.add(body.cast(1, name), body.const(epsilon, name)))
    scale = b.map(
        [stats[0], stats[3]], body.finish(body.binary("divf", body.cast(0, name), spread))
    )
    body = b.body(stats[1], stats[2], scale)
    moved = body.mul(body.cast(1, name), 2)
    shift = b.map([stats[1], stats[2], scale], body.finish(body.sub(body.cast(0, name), moved)))
    return scale, shift


@lowers("LayerNormalization")
def lower_layer_normalization(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Normalisation over the dims from ``axis`` on; mean and 1/deviation where they are used."""
    x, scale, bias = node.required(0), node.required(1), node.input(2)
    _need_float_stash(node)
    rank = len(shape_of(x))
    axes = list(range(normalise_axis(int(node.attrs["axis"]), rank), rank))
    epsilon = float(node.attrs["epsilon"])
    outputs: list[SSAValue | None] = [_norm(b, x, axes, epsilon, scale, bias)]
    if any(node.outputs[1:]):
        outputs += _statistics(b, _wide(b, x), axes, epsilon)
    return [
        None if declared is None or value is None else b.cast(value, declared[1])
        for value, declared in zip(outputs, node.outputs, strict=False)
    ]


def _need_float_stash(node: OnnxNode) -> None:
    if node.attrs["stash_type"] != 1:
        raise NotLowered(f"{node.op} with stash_type {node.attrs['stash_type']}")


def _statistics(
    b: GraphBuilder, x: SSAValue, axes: Sequence[int], epsilon: float
) -> tuple[SSAValue, SSAValue]:
    mean, variance = _moments(b, x, axes)
    body = b.body(variance)
    inverse = body.unary("rsqrt", body.add(0, body.const(epsilon, body.types[0])))
    return mean, b.map([variance], body.finish(inverse))


def _moments(b: GraphBuilder, x: SSAValue, axes: Sequence[int]) -> tuple[SSAValue, SSAValue]:
    """Mean and variance over ``axes``, which stay as dims of 1."""
    mean = b.reduce(x, "mean", axes, keepdims=True)
    square = map_formula(b, lambda x, mean: (x - mean) * (x - mean), x, mean)
    return mean, b.reduce(square, "mean", axes, keepdims=True)


@lowers("RMSNormalization")
def lower_rms_normalization(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Division by the root of the mean square over the dims from ``axis`` on."""
    x, scale = node.required(0), node.required(1)
    _need_float_stash(node)
    rank = len(shape_of(x))
    axes = list(range(normalise_axis(int(node.attrs["axis"]), rank), rank))
    return _norm(b, x, axes, float(node.attrs["epsilon"]), scale, center=False)


@lowers("InstanceNormalization")
def lower_instance_normalization(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Normalisation of each channel of each sample."""
    x, scale, bias = (node.required(i) for i in range(3))
    shape = _by_channel(x, shape_of(x)[1])
    extra = [reshaped(b, v, shape) for v in (scale, bias)]
    axes = list(range(2, len(shape_of(x))))
    if not axes:
        raise NotLowered("InstanceNormalization without spatial dims")
    return _norm(b, x, axes, float(node.attrs["epsilon"]), *extra)


@lowers("GroupNormalization")
def lower_group_normalization(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Normalisation of each group of channels of each sample."""
    x, scale, bias = (node.required(i) for i in range(3))
    _need_float_stash(node)
    batch, channels, *space = shape_of(x)
    groups = int(node.attrs["num_groups"])
    split = (groups, channels // groups)
    extra = [reshaped(b, v, (*split, 1)) for v in (scale, bias)]
    grouped = b.reshape(x, (batch, *split, prod(space)))
    y = _norm(b, grouped, [2, 3], float(node.attrs["epsilon"]), *extra)
    return b.reshape(y, node.out_shape)


@lowers("LpNormalization")
def lower_lp_normalization(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Division by the 1- or 2-norm along an axis; a vector of zeros stays zero."""
    x, p = node.required(0), int(node.attrs["p"])
    if p not in (1, 2):
        raise NotLowered(f"LpNormalization with p = {p}")
    wide = _wide(b, x)
    body = b.body(wide)
    power = body.mul(0, 0) if p == 2 else body.unary("absf", 0)
    axis = normalise_axis(int(node.attrs["axis"]), x)
    total = b.reduce(b.map([wide], body.finish(power)), "sum", [axis], keepdims=True)
    body = b.body(wide, total)
    size = body.unary("sqrt", 1) if p == 2 else 1
    zero = body.const(0.0, body.types[0])
    quotient = body.select(body.cmp("oeq", size, zero), zero, body.binary("divf", 0, size))
    return b.cast(b.map([wide, total], body.finish(quotient)), dtype_of(x))


@lowers("MeanVarianceNormalization")
def lower_mean_variance_normalization(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Normalisation over ``axes``; ONNX adds 1e-9 to the deviation, so 1e-18 to the variance."""
    x = node.required(0)
    rank = len(shape_of(x))
    axes = sorted(int(a) % rank for a in node.attrs["axes"])
    return _norm(b, x, axes, 1e-18)


@lowers("LRN")
def lower_lrn(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Division by a power of the mean square of neighbouring channels."""
    x, size = node.required(0), int(node.attrs["size"])
    wide = _wide(b, x)
    batch, channels, *space = shape_of(x)
    plane = (batch, 1, channels, prod(space))
    square = b.reshape(b.binary("mul", wide, wide), plane)
    # Channels are the window's first dim; positions outside count as zeros, so mean = sum / size.
    # A window that reaches beyond all channels is cut there, and alpha scaled for it.
    low, high = min((size - 1) // 2, channels), min(size // 2, channels)
    kernel = low + high + 1
    mean = b.window(
        [square],
        plane,
        kind="mean",
        kernel=(kernel, 1),
        strides=(1, 1),
        dilations=(1, 1),
        low=(low, 0),
        high=(high, 0),
        count_include_pad=True,
    )
    mean = b.reshape(mean, shape_of(x))
    body = b.body(wide, mean)
    name = body.types[0]
    alpha, beta, bias = (float(node.attrs[key]) for key in ("alpha", "beta", "bias"))
    alpha *= kernel / size
    base = body.add(body.const(bias, name), body.mul(body.const(alpha, name), 1))
    result = body.binary("divf", 0, body.binary("powf", base, body.const(beta, name)))
    return b.cast(b.map([wide, mean], body.finish(result)), dtype_of(x))


@lowers("Softmax", "LogSoftmax")
def lower_softmax(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Softmax along one axis, or its logarithm."""
    x = node.required(0)
    axis = normalise_axis(int(node.attrs["axis"]), x)
    return b.softmax(x, axis, log=node.op == "LogSoftmax")
