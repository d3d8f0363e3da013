"""Conversions of element types: one map each.

Cast(x)             ->  map(x) { arith conversion }
Cast(x, saturate)   ->  map(x) { clamp, arith conversion }             to a float8
Cast(x, round_mode) ->  map(x) { arithmetic on the bits of a float64 } to float8e8m0
"""

from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder, is_float
from ....dialects.types import dtype_of, element_name
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .narrow_floats import FLOAT8, to_e8m0, to_float8, widest
from .scalar_formulas import map_scalars

#: Integers to which a float is rounded, halves away from zero; to wider ones it is truncated.
FEW_BITS = ("i4", "ui4", "i2", "ui2")


@lowers("Cast", "CastLike")
def lower_cast(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Integers keep their low bits, anything but 0 is true."""
    x, to = node.required(0), element_name(node.out_dtype)
    if dtype_of(x) == node.out_dtype:
        return x
    body = b.body(x)
    saturate = bool(node.attrs["saturate"])
    if to == "f8E8M0FNU":
        result = to_e8m0(body, 0, saturate=saturate, round_mode=node.attrs["round_mode"])
    elif to in FLOAT8:
        result = to_float8(body, 0, to, saturate=saturate)
    elif to in FEW_BITS and is_float(body.types[0]):
        result = body.cast(body.unary("round", widest(body, 0)), to)
    else:
        result = body.cast(0, to)
    return b.map([x], body.finish(result))


@lowers("BitCast")
def lower_bit_cast(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """The same bits read as another type of the same width."""
    target = element_name(node.out_dtype).removeprefix("u")
    if target == "i1" and dtype_of(node.required(0)) != node.out_dtype:
        raise NotLowered("bytes other than 0 and 1 are no bool")

    def reinterpret(body: BodyBuilder, x: int) -> int:
        if body.types[x] == target:
            return x
        return body.op("extui" if body.types[x] == "i1" else "bitcast", target, x)

    return map_scalars(b, node, (node.required(0),), reinterpret)
