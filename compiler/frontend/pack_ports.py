"""Give a model ports of bytes where ONNX has values that are no tensors of the IR.

    f(x: sequence) -> y: string[3]    ==>    f(x: uint8[65536]) -> y: uint8[65536]
                                             { Unpack -> f's nodes -> Pack }

``dialects.records`` says what the bytes are. Unpack and Pack have no schema, so the nodes that use
such values are gathered with them into a subgraph for the host, where they are the types of the
subgraph's own inputs and outputs.
"""

from typing import TYPE_CHECKING

from ...dialects.records import RECORD_BYTES, needs_record
from ...dialects.types import is_supported
from ...errors import ModelError
from .rename_values import rename_uses

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TypeProto, ValueInfoProto

PORT_DOMAIN = "semc.port"
UNPACK, PACK = "Unpack", "Pack"
_UINT8 = 2  # TensorProto.DataType


def pack_ports(model: "ModelProto") -> tuple["ModelProto", dict[str, "TypeProto"]]:
    """``model`` with bytes for each port that the IR has no type for, and these ports' types.

    An output is packed too when neither the model nor onnx's shape inference tells its shape. Ports
    keep their names. The model is the same object where no port needs it.
    """
    import onnx

    inputs, outputs = _foreign_inputs(model), _foreign_outputs(model)
    if not inputs and not outputs:
        return model, {}
    packed = onnx.ModelProto()
    packed.CopyFrom(model)
    graph = packed.graph
    names = {value.name: f"{value.name}/value" for value in inputs}
    names |= {value.name: f"{value.name}/value" for value in outputs}
    for node in graph.node:
        rename_uses(node, names)
        for index, name in enumerate(node.output):
            node.output[index] = names.get(name, name)
    nodes = [_port_node(UNPACK, v.name, names[v.name], v.type) for v in inputs]
    nodes += [*graph.node, *(_port_node(PACK, names[v.name], v.name, v.type) for v in outputs)]
    for value in (*inputs, *outputs):
        inner = graph.value_info.add(name=names[value.name])
        inner.type.CopyFrom(value.type)
    _retype(graph, {value.name: value.type for value in (*inputs, *outputs)})
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)
    packed.opset_import.add(domain=PORT_DOMAIN, version=1)
    return packed, {value.name: value.type for value in (*inputs, *outputs)}


def is_port_node(node: "NodeProto") -> bool:
    """Whether ``node`` is an Unpack or a Pack."""
    return node.domain == PORT_DOMAIN and node.op_type in (UNPACK, PACK)


def port_type(node: "NodeProto") -> "TypeProto":
    """The type of the value that an Unpack yields or a Pack takes."""
    for attribute in node.attribute:
        if attribute.name == "type" and attribute.HasField("tp"):
            return attribute.tp
    raise ModelError("a port must have a type", where=node.name or node.op_type)


def _foreign_inputs(model: "ModelProto") -> list["ValueInfoProto"]:
    initialised = {tensor.name for tensor in model.graph.initializer}
    return [
        value
        for value in model.graph.input
        if value.name not in initialised
        and value.type.WhichOneof("value") is not None
        and not _is_plain(value.type)
    ]


def _is_plain(kind: "TypeProto") -> bool:
    """A tensor of a supported element type; open dimensions of inputs are bound elsewhere."""
    return kind.HasField("tensor_type") and is_supported(kind.tensor_type.elem_type)


def _foreign_outputs(model: "ModelProto") -> list["ValueInfoProto"]:
    from onnx import shape_inference

    foreign = [value for value in model.graph.output if needs_record(value.type)]
    if all(_is_told(value.type) and not _is_plain(value.type) for value in foreign):
        return foreign
    inferred = {
        value.name: value
        for value in shape_inference.infer_shapes(model, data_prop=True).graph.output
    }
    return [
        inferred[value.name]
        for value in foreign
        if _is_told(inferred[value.name].type) and needs_record(inferred[value.name].type)
    ]


def _is_told(kind: "TypeProto") -> bool:
    """Whether there is a type at all; an output without one is left to the compiler."""
    if kind.HasField("tensor_type"):
        return kind.tensor_type.elem_type != 0
    return kind.WhichOneof("value") is not None


def _port_node(op: str, source: str, result: str, kind: "TypeProto") -> "NodeProto":
    from onnx import helper

    name = f"{op.lower()} {source if op == PACK else result}"
    return helper.make_node(op, [source], [result], name, domain=PORT_DOMAIN, type=kind)


def _retype(graph: "GraphProto", types: dict[str, "TypeProto"]) -> None:
    from onnx import helper

    for value in (*graph.input, *graph.output):
        if value.name in types:
            value.type.CopyFrom(helper.make_tensor_type_proto(_UINT8, (RECORD_BYTES,)))
