"""Lower each ONNX operator to the graph level; what has no lowering runs on the host.

    onnx.Relu  -> graph.map {value = "y"}
    onnx.NonMaxSuppression -> graph.host {op = "NonMaxSuppression", reason = "..."}

The op that yields an ONNX value carries its name as ``value`` (``values`` on an op with several
results) and the location of its node.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import UNKNOWN_LOC, ArrayAttr, Attribute, ModuleOp, StringAttr
from xdsl.ir import OpResult, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint
from xdsl.utils.exceptions import VerifyException

from ...dialects import graph
from ...dialects.onnx import OnnxOp, SubgraphOp
from ...dialects.types import dtype_of, shape_of
from ...errors import IRError
from ..context import weights_of
from ..diagnostics import single_line, where_of
from ..frontend.graph_builder import GraphBuilder
from ..frontend.host_node import host_node_model, host_node_operands, subgraph_operators
from ..frontend.lowering import HOST_OPERATORS, NotLowered, OnnxNode, lowerings
from ..rewriting import VALUE_NAMES, Replacements, erase_dead, function_blocks, name_result


@dataclass(frozen=True)
class ConvertOnnxToGraph(ModulePass):
    """No options."""

    name = "convert-onnx-to-graph"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for block in function_blocks(op):
            erase_dead(block)  # what a body computed for an output that nobody uses
            builder = GraphBuilder(weights_of(ctx), InsertPoint.at_start(block), UNKNOWN_LOC)
            replacements = Replacements()
            for inner in list(block.ops):
                replacements.rename_operands(inner)
                if isinstance(inner, OnnxOp):
                    builder.point = InsertPoint.before(inner)
                    builder.location = inner.location
                    replacements.replace(inner, _convert(builder, inner))
            replacements.erase_converted()
            erase_dead(block)


def _convert(b: GraphBuilder, op: OnnxOp) -> Sequence[SSAValue | None]:
    try:
        values = _lower(b, op)
    except NotLowered as refusal:
        return _host(b, op, str(refusal))
    for result, value in zip(op.results, values, strict=True):
        name = _value_name(op, result)
        if value is not None and name is not None:
            name_result(value, name)
    return values


def _lower(b: GraphBuilder, op: OnnxOp) -> list[SSAValue | None]:
    """One value a result, None for a result that nothing uses. Raises NotLowered."""
    if isinstance(op, SubgraphOp):
        kinds = ", ".join(subgraph_operators(op))
        raise NotLowered(f"{kinds}: foreign, or values that are no tensors of static shape")
    lowering = lowerings().get(op.op_type) if not op.domain else None
    if lowering is None:
        raise NotLowered(HOST_OPERATORS.get(op.op_type, "no lowering of this operator"))
    b.created.clear()
    node = onnx_node(op)
    try:
        lowered = lowering(b, node)
    except NotLowered:
        for made in reversed(b.created):
            made.detach()
            made.erase()
        raise
    except VerifyException as error:
        raise _fault(op, single_line(str(error))) from error
    values = [lowered] if isinstance(lowered, SSAValue) else list(lowered)
    values += [None] * (len(op.outputs) - len(values))
    present = [v for v, result in zip(values, op.outputs, strict=False) if result is not None]
    for result, value in zip(op.results, present, strict=True):
        if value is None and result.first_use is not None:
            raise _fault(op, "its lowering gives no value for an output in use")
        if value is not None and value.type != result.type:
            raise _fault(op, f"its lowering gives {value.type} for an output {result.type}")
    return present


def onnx_node(op: OnnxOp) -> OnnxNode:
    """``op`` as lowerings see it."""
    attrs: dict[str, Any] = dict(op.SIGNATURE.defaults)
    for name in op.properties:
        if name not in _INTERNAL:
            attrs[name] = op.attribute(name)
    return OnnxNode(
        op=op.op_type,
        name=where_of(op) or "",
        inputs=tuple(op.inputs),
        outputs=tuple(_spec(result) for result in op.outputs),
        attrs=attrs,
        bodies=tuple(op.regions),
    )


_INTERNAL = ("operandSegmentSizes", "resultSegmentSizes", "capture_names")


def _spec(result: OpResult | None) -> tuple[tuple[int, ...], Any] | None:
    if result is None or result.first_use is None:
        return None
    return shape_of(result), dtype_of(result)


def _host(b: GraphBuilder, op: OnnxOp, reason: str) -> Sequence[OpResult]:
    host = graph.HostOp.make(
        host_node_operands(op), result_types=list(op.result_types), model=host_node_model(op)
    )
    name = f"{op.domain}.{op.op_type}" if op.domain else op.op_type
    host.attributes["op"] = StringAttr(name)
    host.attributes["reason"] = StringAttr(reason)
    host.attributes |= {key: op.attributes[key] for key in VALUE_NAMES if key in op.attributes}
    b.insert(host)
    return host.results


def _value_name(op: OnnxOp, result: OpResult) -> Attribute | None:
    """The name of the ONNX value that ``result`` is, from the op's ``value`` or ``values``."""
    names: Sequence[Attribute] = ()
    match op.attributes.get("value"), op.attributes.get("values"):
        case StringAttr() as name, _:
            names = (name,)
        case _, ArrayAttr() as several:
            names = tuple(several)
    return names[result.index] if result.index < len(names) else None


def _fault(op: OnnxOp, text: str) -> IRError:
    return IRError(f"{op.op_type} cannot be lowered: {text}", where=where_of(op))
