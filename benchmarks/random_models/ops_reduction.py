"""Draws of reductions, softmax and normalisations."""

from math import prod

import numpy as np

from .arrays import FLOATS, dtypes_of
from .model_draw import ModelDraw, draws
from .oracle import Refused, Value, is_real, refuse_overflow

INPUT_AXES = 18


@draws(
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp",
)  # fmt: skip
def reduce_(g: ModelDraw, op_type: str) -> None:
    x = g.pick(dtypes_of(op_type, g.opset))
    refuse_overflow(x)
    if op_type in ("ReduceLogSum", "ReduceLogSumExp") and not is_real(x.dtype):
        raise Refused("a logarithm just below a whole number is cut to the one below")
    if op_type == "ReduceMean" and is_real(x.dtype) and not x.array.size:
        raise Refused("what the mean of no numbers is, is not defined")
    axes = g.axes(x.rank)
    if g.opset < 11:
        axes = [a % x.rank for a in axes]
    attrs = {"keepdims": g.number(0, 1)}
    if g.has(op_type, "axes"):
        g.node(op_type, [x], **attrs, **({"axes": axes} if axes else {}))
        return
    if not axes:
        attrs["noop_with_empty_axes"] = g.number(0, 1)
    listed = [g.ints(axes)] if axes or g.chance(2) else []
    g.node(op_type, [x, *listed], **attrs)


def floats(g: ModelDraw, op_type: str, min_rank: int = 1, max_rank: int = 4) -> Value:
    known = dtypes_of(op_type, g.opset)
    return g.pick([t for t in FLOATS if t in known], min_rank, max_rank)


@draws("Softmax", "LogSoftmax", "Hardmax")
def softmax(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type)
    axis = g.axis(x.rank) if g.opset >= 11 else g.number(0, x.rank - 1)
    g.node(op_type, [x], **({"axis": axis} if not g.chance(4) else {}))


@draws("LayerNormalization", "RMSNormalization")
def layer_norm(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type)
    axis = g.axis(x.rank)
    tail = x.shape[axis:]
    operands = [x, g.new(tail, x.dtype, "positive")]
    if op_type == "LayerNormalization" and g.chance(2):
        operands.append(g.like(x, tail))
    g.node(op_type, operands, axis=axis, epsilon=g.choose([1e-5, 1e-2]))


@draws("InstanceNormalization")
def instance_norm(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type, 3)
    if prod(x.shape[2:]) == 1:
        raise Refused("nothing but rounding is left of a single number less its mean")
    channels = [x.shape[1]]
    g.node(op_type, [x, g.new(channels, x.dtype, "positive"), g.like(x, channels)], epsilon=1e-2)


@draws("GroupNormalization")
def group_norm(g: ModelDraw, op_type: str) -> None:
    groups = g.number(1, 2)
    shape = [g.number(1, 2), groups * g.number(1, 2), *(g.number(1, 3) for _ in range(2))]
    x = g.new(shape, g.dtype([t for t in FLOATS if t in dtypes_of(op_type, g.opset)]))
    count = [groups if g.opset < 21 else shape[1]]
    scale, bias = g.new(count, x.dtype, "positive"), g.like(x, count)
    g.node(op_type, [x, scale, bias], num_groups=groups, epsilon=1e-2)


@draws("BatchNormalization")
def batch_norm(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type, 2)
    channels = [x.shape[1]]
    scale, bias, mean = (g.like(x, channels) for _ in range(3))
    variance = g.new(channels, x.dtype, "positive")
    g.node(op_type, [x, scale, bias, mean, variance], epsilon=g.choose([1e-5, 1e-2]))


@draws("LRN")
def lrn(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type, 4)
    g.node(op_type, [x], size=g.choose([1, 3, 5]), alpha=0.5, beta=0.75, bias=1.0)


@draws("LpNormalization")
def lp_norm(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type)
    g.node(op_type, [x], axis=g.axis(x.rank), p=g.number(1, 2))


@draws("MeanVarianceNormalization")
def mean_variance_norm(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type, 4)
    axes = g.axes(4, 1) if g.chance(2) else [0, 2, 3]
    if prod(x.shape[a] for a in axes) == 1:
        raise Refused("nothing but rounding is left of a single number less its mean")
    g.node(op_type, [x], axes=axes)


@draws("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(g: ModelDraw, op_type: str) -> None:
    x = floats(g, op_type, 3, 5)
    g.node(op_type, [x], **({"p": g.number(1, 3)} if op_type == "GlobalLpPool" else {}))


@draws("SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss")
def loss(g: ModelDraw, op_type: str) -> None:
    x = g.pick([t for t in FLOATS if t in dtypes_of(op_type, g.opset)], 2, 4)
    classes = x.shape[1]
    if not x.array.size:
        raise Refused("what the mean of no numbers is, is not defined")
    rng = np.random.default_rng(g.number(0, 999))
    labels = rng.integers(0, max(classes, 1), (x.shape[0], *x.shape[2:]))
    operands = [x, g.given(labels.astype(np.int64), constant=False)]
    if g.chance(2):
        operands.append(g.new([classes], x.dtype, "positive"))
    assert is_real(x.dtype)
    g.node(op_type, operands, reduction=g.choose(["mean", "sum", "none"]))
