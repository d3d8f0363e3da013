"""Order by value: the positions of the first elements in order, and gathers at them.

TopK(x, k)         ->  positions = argsort(x);  values = gather(x, positions)
Compress, NonZero  ->  the same of true before false, where it is declared how many are true
"""

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.shapes import row_major
from ....dialects.types import shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .scalar_formulas import normalise_axis


@lowers("TopK")
def lower_top_k(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """``sorted = 0`` leaves the order open: it gets the sorted one. k is the result's size."""
    x = node.required(0)
    axis = normalise_axis(int(node.attrs["axis"]), x)
    shape = next(out[0] for out in node.outputs if out is not None)
    order = b.argsort(x, axis, shape[axis], descending=bool(node.attrs["largest"]))
    values = None
    if node.outputs[0] is not None:
        values = b.gather(x, order, mode="elements", axis=axis)
    return [values, order]


@lowers("Compress")
def lower_compress(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """The slices where the condition holds; beyond its end it does not."""
    x, condition = node.required(0), node.required(1)
    given = node.attrs.get("axis")
    if given is None:
        x = b.reshape(x, (prod(shape_of(x)),))
    axis = 0 if given is None else normalise_axis(int(given), x)
    return b.gather(x, _first_true(b, condition, node.out_shape[axis]), axis=axis)


@lowers("NonZero")
def lower_non_zero(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Coordinates [rank, count] of the elements that are not zero, in row-major order."""
    x = node.required(0)
    shape, count = shape_of(x), node.out_shape[1]
    if not shape or 0 in shape:
        raise NotLowered("NonZero of a scalar or of no elements")
    true = b.reshape(b.cast(x, np.dtype(np.bool_)), (prod(shape),))
    places = b.reshape(_first_true(b, true, count), (1, count))
    sizes, steps = (
        b.constant(np.array(v, np.int64).reshape(-1, 1)) for v in (shape, row_major(shape))
    )
    body = b.body(places, steps, sizes)
    along = body.binary("remsi", body.binary("divsi", 0, 1), 2)
    return b.map([places, steps, sizes], body.finish(along))


def _first_true(b: GraphBuilder, flags: SSAValue, count: int) -> SSAValue:
    """Positions [count] of the true ones among ``flags`` [n], of which there are so many."""
    if count > shape_of(flags)[0]:
        raise NotLowered(f"{count} chosen of {shape_of(flags)[0]} elements")
    return b.argsort(flags, 0, count, descending=True)
