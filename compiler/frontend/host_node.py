"""An ``onnx`` op as a one-node ONNX model, to be run on the host processor.

The model asks for the oldest operator set in which its operators mean what they mean today, so
that a runtime behind the newest set runs it as well. Small constant operands are built in. Values
that come or go as records (dialects.records) have their own type, and say so in ``doc_string``.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.ir import Operation, SSAValue

from ...dialects.graph import ConstantOp
from ...dialects.onnx import OnnxOp, SubgraphOp
from ...dialects.records import RECORD
from ...dialects.types import dense_array, dtype_of, onnx_type_of, shape_of
from ...errors import IRError
from .convert_attributes import attr_bytes, from_attribute, tensor_proto
from .pack_ports import PACK, UNPACK, is_port_node, port_type
from .rename_values import rename_free, subgraphs_of

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

_IR_VERSION = 10  # any runtime of the last years reads it; newer features are not used here


def host_node_operands(op: Operation) -> list[SSAValue]:
    """The operands that are inputs of ``host_node_model(op)``, in order: all but constants
    written into the IR."""
    return [operand for operand in op.operands if not _is_literal(operand)]


def host_node_model(op: Operation) -> bytes:
    """The serialized model whose inputs are ``host_node_operands`` and outputs the op's results.

    Inputs are named ``i0..``, outputs ``o0..``. Raises IRError for an op of another dialect.
    """
    from onnx import TensorProto, helper

    if not isinstance(op, OnnxOp):
        raise IRError(f"a host model must be made of an onnx op, not {op.name}")
    names = _operand_names(op)
    graph_inputs: list[ValueInfoProto] = []
    initializers: list[TensorProto] = []
    for operand, name in zip(op.operands, names, strict=True):
        if _is_literal(operand):
            value = operand.owner.value  # type: ignore[union-attr]
            initializers.append(tensor_proto(dense_array(value), name))
        else:
            graph_inputs.append(_value_info(name, operand))
    results = [f"o{index}" for index in range(len(op.results))]
    outputs = [_value_info(n, r) for n, r in zip(results, op.results, strict=True)]
    nodes = (
        _subgraph_nodes(op, names, results)
        if isinstance(op, SubgraphOp)
        else [_node_of(op, names, results)]
    )
    nodes = _open_ports(nodes, {value.name: value for value in (*graph_inputs, *outputs)})
    graph = helper.make_graph(nodes, "host", graph_inputs, outputs, initializers)
    imports = [helper.make_opsetid(d, v) for d, v in sorted(_operator_sets(nodes).items())]
    model: ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=_IR_VERSION)
    return model.SerializeToString(deterministic=True)


def _is_literal(operand: SSAValue) -> bool:
    owner = operand.owner
    return isinstance(owner, ConstantOp) and isinstance(owner.value, DenseIntOrFPElementsAttr)


def _operand_names(op: OnnxOp) -> list[str]:
    """``iK`` for what is passed in, ``cK`` for constants; K counts each apart."""
    names = []
    passed = built_in = 0
    for operand in op.operands:
        if _is_literal(operand):
            names.append(f"c{built_in}")
            built_in += 1
        else:
            names.append(f"i{passed}")
            passed += 1
    return names


def _node_of(op: OnnxOp, names: list[str], results: list[str]) -> "NodeProto":
    import onnx
    from onnx import defs

    supply = iter(names)
    node = onnx.NodeProto(op_type=op.op_type, domain=op.domain, name="host")
    node.input.extend("" if operand is None else next(supply) for operand in op.inputs)
    produced = iter(results)
    node.output.extend("" if result is None else next(produced) for result in op.outputs)
    schema = defs.get_schema(op.op_type, domain=op.domain)
    for name, attribute in schema.attributes.items():
        if name in op.properties:
            kind: Any = attribute.type  # an enumeration, to which onnx's stubs give no value
            node.attribute.append(from_attribute(name, int(kind.value), op.properties[name]))
    captures = dict(zip((name for name, _ in op.captured), supply, strict=True))
    for graph in subgraphs_of(node):
        _avoid(graph, set(captures.values()) | set(results))
        rename_free(graph, captures)
    return node


def subgraph_operators(op: SubgraphOp) -> list[str]:  # type: ignore[valid-type]
    """The distinct operators in ``onnx.Subgraph``, at most six, without those of its ports."""
    import onnx

    graph = onnx.GraphProto()
    graph.ParseFromString(attr_bytes(op.properties["body"]))  # type: ignore[attr-defined]
    kinds = dict.fromkeys(node.op_type for node in graph.node if not is_port_node(node))
    return list(kinds)[:6]


def _subgraph_nodes(op: OnnxOp, names: list[str], results: list[str]) -> list["NodeProto"]:
    """The nodes of ``onnx.Subgraph``, with everything they define named ``s_...``."""
    import onnx

    graph = onnx.GraphProto()
    graph.ParseFromString(attr_bytes(op.properties["body"]))
    renamed = {name: f"s_{name}" for name in _defined(graph) if name}
    renamed |= {v.name: new for v, new in zip(graph.input, names, strict=True)}
    renamed |= {v.name: new for v, new in zip(graph.output, results, strict=True)}
    _rename_all(graph, renamed)
    return list(graph.node)


def _open_ports(nodes: list["NodeProto"], ends: dict[str, "ValueInfoProto"]) -> list["NodeProto"]:
    """``nodes`` without Unpack and Pack: the model's own inputs and outputs get their types.

    ``ends`` are these inputs and outputs; one that crosses the model's border as a record says so
    in its ``doc_string``, which the host processor reads.
    """
    ports = [node for node in nodes if is_port_node(node)]
    if not ports:
        return nodes
    others = [node for node in nodes if not is_port_node(node)]
    made = {name for node in others for name in node.output}
    names = {port.output[0]: port.input[0] for port in ports if port.op_type == UNPACK}
    for port in ports:
        outside = port.input[0] if port.op_type == UNPACK else port.output[0]
        ends[outside].type.CopyFrom(port_type(port))
        ends[outside].doc_string = RECORD
        if port.op_type == PACK and port.input[0] in made and port.input[0] not in names:
            names[port.input[0]] = outside
        elif port.op_type == PACK:
            others.append(_same(port.input[0], outside))
    _rename_nodes(others, names)
    return others


def _same(source: str, result: str) -> "NodeProto":
    from onnx import helper

    return helper.make_node("Identity", [source], [result])


def _avoid(graph: object, taken: set[str]) -> None:
    """Rename what a subgraph defines, so that it cannot meet the names used around it."""
    names = {name: f"s_{name}" for name in _defined(graph) if name in taken or name[:2] == "s_"}
    if names:
        _rename_all(graph, names)


def _defined(graph: object) -> Iterator[str]:
    for value in graph.input:  # type: ignore[attr-defined]
        yield value.name
    for tensor in graph.initializer:  # type: ignore[attr-defined]
        yield tensor.name
    for node in graph.node:  # type: ignore[attr-defined]
        yield from node.output
        for inner in subgraphs_of(node):
            yield from _defined(inner)


def _rename_all(graph: object, names: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):  # type: ignore[attr-defined]
        value.name = names.get(value.name, value.name)
    _rename_nodes(graph.node, names)  # type: ignore[attr-defined]


def _rename_nodes(nodes: Iterable["NodeProto"], names: dict[str, str]) -> None:
    for node in nodes:
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = names.get(name, name)
        for inner in subgraphs_of(node):
            _rename_all(inner, names)


def _value_info(name: str, value: SSAValue) -> "ValueInfoProto":
    from onnx import helper

    return helper.make_tensor_value_info(name, onnx_type_of(dtype_of(value)), shape_of(value))


def _operator_sets(nodes: Iterable["NodeProto"]) -> dict[str, int]:
    """The oldest version of each domain with today's form of all operators used."""
    from onnx import defs

    versions: dict[str, int] = {}
    for node in nodes:
        version = 1
        if defs.has(node.op_type, domain=node.domain):
            version = defs.get_schema(node.op_type, domain=node.domain).since_version
        versions[node.domain] = max(versions.get(node.domain, 1), version)
        for graph in subgraphs_of(node):
            for domain, inner in _operator_sets(graph.node).items():
                versions[domain] = max(versions.get(domain, 1), inner)
    return versions
