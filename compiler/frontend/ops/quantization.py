"""Linear quantisation as the model writes it: maps around a rounding.

    QuantizeLinear(x, s, z)    ->  map { clamp(round(x / s) + z) }
    DequantizeLinear(q, s, z)  ->  map { (q - z) * s }, a constant where all three are

Scales and zero points broadcast per tensor, along one axis, or repeat over blocks.
"""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder, is_float
from ....dialects.shapes import row_major
from ....dialects.types import dtype_of, element_name, shape_of
from ..derive_constants import derive
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .scalar_formulas import clamp, divide, map_scalars, normalise_axis, number

FLOAT32 = np.dtype(np.float32)


@lowers("QuantizeLinear")
def lower_quantize(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Halves round to even; values outside the type saturate."""
    x, scale, zero = _parameters(b, node)
    name = element_name(node.out_dtype)
    if is_float(name):
        raise NotLowered(f"quantisation to {node.out_dtype} has no integer codes")
    precise = element_name(dtype_of(scale)) == "f64"

    def quantise(body: BodyBuilder, x: int, scale: int, *zero: int) -> int:
        working = "f64" if precise else "f32"
        ratio = divide(body, body.cast(x, working), body.cast(scale, working))
        zeros = [body.cast(body.unsigned(z, name), working) for z in zero]
        return _code(body, ratio, zeros, node.out_dtype)

    return map_scalars(b, node, (x, scale, *zero), quantise)


@lowers("DequantizeLinear")
def lower_dequantize(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Codes that are constants become a constant, so that quantised weights are stationary."""
    name, out = element_name(dtype_of(node.required(0))), element_name(node.out_dtype)
    if is_float(name):
        raise NotLowered(f"codes of {name} are not integers")
    given = [v for v in node.inputs if v is not None]
    if all(b.is_constant(v) for v in given):
        return _dequantized(b, node, given)
    x, scale, zero = _parameters(b, node)

    def dequantise(body: BodyBuilder, x: int, scale: int, *zero: int) -> int:
        code = body.cast(body.unsigned(x, name), "i32")
        for z in zero:
            code = body.sub(code, body.cast(body.unsigned(z, name), "i32"))
        working = "f64" if out == "f64" else "f32"
        value = body.mul(body.cast(code, working), body.cast(scale, working))
        return body.cast(value, out)

    return map_scalars(b, node, (x, scale, *zero), dequantise)


@lowers("DynamicQuantizeLinear")
def lower_dynamic_quantize(b: GraphBuilder, node: OnnxNode) -> Sequence[SSAValue]:
    """Scale and zero point from the extremes of x and 0, in unsigned 8-bit codes."""
    x = node.required(0)
    axes = range(len(shape_of(x)))
    low, high = b.reduce(x, "min", axes), b.reduce(x, "max", axes)
    body = b.body(low, high)
    zero = number(body, 0, 0)
    low_or_0, high_or_0 = body.binary("minimumf", 0, zero), body.binary("maximumf", 1, zero)
    span = body.sub(high_or_0, low_or_0)
    step = divide(body, span, number(body, 255, span))
    flat = body.cmp("oeq", span, zero)
    scale = b.map([low, high], body.finish(body.select(flat, number(body, 1, span), step)))
    body = b.body(low, scale)
    ratio = divide(body, body.unary("negf", body.binary("minimumf", 0, number(body, 0, 0))), 1)
    uint8 = np.dtype(np.uint8)
    origin = b.map([low, scale], body.finish(body.unsigned(_code(body, ratio, [], uint8), "ui8")))
    body = b.body(x, scale, origin)
    code = _code(body, divide(body, 0, 1), [body.cast(2, "f32")], uint8)
    return [b.map([x, scale, origin], body.finish(body.unsigned(code, "ui8"))), scale, origin]


def _code(body: BodyBuilder, ratio: int, zeros: Sequence[int], dtype: np.dtype) -> int:
    """``clamp(round(ratio) + zero)`` as a signless register of the bits of ``dtype``."""
    code = body.unary("roundeven", ratio)
    for zero in zeros:
        code = body.add(code, zero)
    info = np.iinfo(dtype)
    code = clamp(body, code, float(info.min), float(info.max))
    return body.signless(body.cast(code, element_name(dtype)))


def _dequantized(b: GraphBuilder, node: OnnxNode, given: list[SSAValue]) -> SSAValue:
    """The numbers that constant codes stand for, made when they are needed."""
    shape, precise = node.out_shape, node.out_dtype == np.float64
    working = np.float64 if precise else np.float32

    def fit(value: np.ndarray) -> np.ndarray:
        return _spread(value, shape, int(node.attrs["axis"]), int(node.attrs.get("block_size", 0)))

    def make(codes: np.ndarray, scale: np.ndarray, *zero: np.ndarray) -> np.ndarray:
        whole = codes.astype(np.int32)
        for z in zero:
            whole = whole - fit(z).astype(np.int32)
        return (whole.astype(working) * fit(scale).astype(working)).astype(node.out_dtype)

    return derive(b, given, shape, make, "numbers", node.out_dtype)


def _spread(value: np.ndarray, shape: tuple[int, ...], axis: int, block: int) -> np.ndarray:
    """A scale or zero point in a shape that broadcasts to ``shape``."""
    axis = normalise_axis(axis, len(shape)) if shape else 0
    if block:
        lead = (slice(None),) * axis
        return np.repeat(value, block, axis)[(*lead, slice(0, shape[axis]))]
    if value.size == 1:
        return value.reshape(())
    return value.reshape([n if i == axis else 1 for i, n in enumerate(shape)])


def _parameters(b: GraphBuilder, node: OnnxNode) -> tuple[SSAValue, SSAValue, tuple[SSAValue, ...]]:
    """x, and scale and zero point (if any) in shapes that broadcast to it."""
    x, scale, zero = node.required(0), node.required(1), node.input(2)
    block = node.attrs.get("block_size", 0)

    def fit(value: SSAValue) -> SSAValue:
        return _broadcastable(b, value, shape_of(x), node.attrs["axis"], block)

    return x, fit(scale), () if zero is None else (fit(zero),)


def _broadcastable(
    b: GraphBuilder, value: SSAValue, shape: tuple[int, ...], axis: int, block: int
) -> SSAValue:
    own = shape_of(value)
    if own in ((), (1,)) and not block:
        return b.reshape(value, ())
    axis = normalise_axis(axis, len(shape))
    if not block:
        return b.reshape(value, [n if i == axis else 1 for i, n in enumerate(shape)])
    strides = row_major(own)
    lead, tail = slice(None, axis), slice(axis + 1, None)
    repeated = b.view(
        value,
        (*own[lead], own[axis], block, *own[tail]),
        (*strides[lead], strides[axis], 0, *strides[tail]),
    )
    whole = b.reshape(repeated, (*own[lead], own[axis] * block, *own[tail]))
    if own[axis] * block == shape[axis]:
        return whole
    return b.slice_axis(whole, axis, 0, shape[axis])
