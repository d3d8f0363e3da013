"""Softmax and normalisation as reductions and maps.

    softmax  max -> exp(x - max) -> sum -> e / sum            log: x - max - log(sum)
    norm     mean -> (x - mean)^2 -> mean -> 1 / sqrt(. + eps) -> (x - mean) * . * scale + bias

A softmax is what ONNX's function body says, in the type of its operand (sums of 16-bit floats are
accumulated in float32). A norm of float16 or bfloat16 operands is computed in float32
and rounded once, at the end, as ONNX's ``stash_type`` asks.
"""

from collections.abc import Sequence
from typing import cast

from xdsl.ir import SSAValue

from ..dialects import graph
from ..dialects.body import BodyBuilder
from ..dialects.types import dtype_of, element_name
from .tile_builder import TileBuilder


def lower_softmax(b: TileBuilder, op: graph.SoftmaxOp, x: SSAValue) -> SSAValue:
    """The softmax of ``x`` along the axis of ``op``, or its logarithm."""
    axes = (op.axis.value.data,)
    top = b.reduce(x, "max", axes)
    body = b.body(x, top)
    e = b.map([x, top], body.finish(body.unary("exp", body.sub(0, 1))))
    total = b.reduce(e, "sum", axes)
    if op.log is None:
        body = b.body(e, total)
        return b.map([e, total], body.finish(body.binary("divf", 0, 1)))
    body = b.body(x, top, total)
    result = body.sub(body.sub(0, 1), body.unary("log", 2))
    return b.map([x, top, total], body.finish(result))


def lower_norm(
    b: TileBuilder, op: graph.NormOp, x: SSAValue, scale: SSAValue | None, bias: SSAValue | None
) -> SSAValue:
    """``x`` normalised over the axes of ``op``, scaled and shifted."""
    axes = cast(Sequence[int], op.axes.get_values())
    wide = _wide(x)
    mean: list[SSAValue] = []
    if op.center.value.data:
        mean = [b.reduce(_widened(b, x, wide), "mean", axes)]
    body = b.body(x, *mean)
    centred = _centred(body, wide, bool(mean))
    square = b.map([x, *mean], body.finish(body.mul(centred, centred)))
    inverse = _inverse_root(b, b.reduce(square, "mean", axes), op.epsilon.value.data)
    extras = [value for value in (scale, bias) if value is not None]
    operands = [x, *mean, inverse, *extras]
    body = b.body(*operands)
    registers = iter(range(1 + len(mean), len(operands)))
    result = body.mul(_centred(body, wide, bool(mean)), next(registers))
    if scale is not None:
        result = body.mul(result, body.cast(next(registers), wide))
    if bias is not None:
        result = body.add(result, body.cast(next(registers), wide))
    return b.map(operands, body.finish(body.cast(result, _name(x))))


def _inverse_root(b: TileBuilder, variance: SSAValue, epsilon: float) -> SSAValue:
    """``1 / sqrt(variance + epsilon)`` in a map of its own: once a row, not once an element."""
    body = b.body(variance)
    name = body.types[0]
    root = body.unary("sqrt", body.add(0, body.const(epsilon, name)))
    return b.map([variance], body.finish(body.binary("divf", body.const(1.0, name), root)))


def _centred(body: BodyBuilder, wide: str, has_mean: bool) -> int:
    """``x - mean`` of the first two inputs, or ``x`` alone."""
    x = body.cast(0, wide)
    return body.sub(x, 1) if has_mean else x


def _widened(b: TileBuilder, x: SSAValue, wide: str) -> SSAValue:
    if _name(x) == wide:
        return x
    body = b.body(x)
    return b.map([x], body.finish(body.cast(0, wide)))


def _name(x: SSAValue) -> str:
    return element_name(dtype_of(x))


def _wide(x: SSAValue) -> str:
    """The type that values of ``x`` are computed in."""
    return "f32" if _name(x) in ("f16", "bf16") else _name(x)
