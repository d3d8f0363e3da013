"""Order by value: TopK as the positions of the first k in order, and a gather of their values.

TopK(x, k)  ->  positions = argsort(x);  values = gather(x, positions)
"""

from xdsl.ir import SSAValue

from ..graph_builder import GraphBuilder
from ..lowering import OnnxNode, lowers
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
