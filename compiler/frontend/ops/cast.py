"""Conversions of element types: one map each.

Cast(x)  ->  map(x) { arith conversion }
"""

from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.types import dtype_of, element_name
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .scalar_formulas import map_scalars


@lowers("Cast", "CastLike")
def lower_cast(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Floats truncate to integers, integers keep their low bits, anything but 0 is true."""
    return b.cast(node.required(0), node.out_dtype)


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
