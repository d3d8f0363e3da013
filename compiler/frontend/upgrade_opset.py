"""Bring a model to the newest operator set, so that one meaning per operator has to be known.

onnx.version_converter does the work, but for a few operators. ``Scan`` of operator set 8 runs over
a batch of sequences; it becomes a Scan of today over the batch around a Scan over the sequence.
``PRelu`` before operator set 7 has one slope per channel, and today's broadcasting does not.
``Pad`` before operator set 11 has an attribute ``value`` in every mode, which the converter leaves
where it pads with no value, and takes for float32. ``ReduceLogSum`` and ``ReduceLogSumExp`` took
integers until operator set 28.
"""

from typing import TYPE_CHECKING

from ...errors import ModelError
from .check_model import first_line
from .rename_values import subgraphs_of

if TYPE_CHECKING:
    import numpy as np
    from onnx import GraphProto, ModelProto, NodeProto


def upgrade_opset(proto: "ModelProto") -> "ModelProto":
    """The model at the newest operator set onnx knows; the same object where it is there already.

    Raises ModelError where an operator has no form in the newest set.
    """
    from onnx import defs, version_converter

    newest = defs.onnx_opset_version()
    entry = next((o for o in proto.opset_import if o.domain == ""), None)
    if entry is None or entry.version == newest:
        return proto
    version = entry.version
    if version < 7:
        _spread_slopes(proto)
    if version == 8 and _has_scan(proto.graph):
        _refuse_changed_in_9(proto.graph)
        _unbatch_scans(proto.graph)
        entry.version = 9
    if version < 11:
        _drop_pad_values(proto)
    if version < 28:
        _cast_around_logarithms(proto)
    try:
        return _type_pad_values(proto, version_converter.convert_version(proto, newest))
    except (version_converter.ConvertError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(
            f"operator set {version} must convert to {newest}: {first_line(error)}",
            help="export the model with a newer opset_version",
        ) from None


def _drop_pad_values(proto: "ModelProto") -> None:
    """Pad that repeats or reflects what is there: without ``value``."""
    for node in proto.graph.node:
        modes = {a.name: a.s for a in node.attribute}
        if node.op_type == "Pad" and modes.get("mode", b"constant") != b"constant":
            kept = [a for a in node.attribute if a.name != "value"]
            del node.attribute[:]
            node.attribute.extend(kept)


def _type_pad_values(old: "ModelProto", new: "ModelProto") -> "ModelProto":
    """``new`` with the padding values that were attributes in the type of what is padded."""
    from onnx import numpy_helper

    padded = {n.output[0]: n.input[0] for n in old.graph.node if _has_value(n)}
    if not padded:
        return new
    types = _element_types(old)
    makers = {node.output[0]: node for node in new.graph.node}
    for result, x in padded.items():
        tensor = makers[makers[result].input[2]].attribute[0].t
        if types.get(x, tensor.data_type) != tensor.data_type:
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(value.astype(_numpy_type(types[x]))))
    return new


def _has_value(node: "NodeProto") -> bool:
    return node.op_type == "Pad" and any(a.name == "value" for a in node.attribute)


def _cast_around_logarithms(proto: "ModelProto") -> None:
    """ReduceLogSum(integers) -> Cast(ReduceLogSum(Cast(integers, double)), their type)."""
    from onnx import TensorProto, helper

    if all(node.op_type not in ("ReduceLogSum", "ReduceLogSumExp") for node in proto.graph.node):
        return
    types = _element_types(proto)
    real = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    nodes = []
    for node in proto.graph.node:
        own = types.get(node.input[0], TensorProto.FLOAT) if node.input else TensorProto.FLOAT
        if not node.op_type.startswith("ReduceLogSum") or own in real:
            nodes.append(node)
            continue
        operand, logarithm = f"{node.output[0]}/operand", f"{node.output[0]}/logarithm"
        nodes.append(helper.make_node("Cast", [node.input[0]], [operand], to=TensorProto.DOUBLE))
        inner = type(node)()
        inner.CopyFrom(node)
        inner.input[0], inner.output[0] = operand, logarithm
        nodes += [inner, helper.make_node("Cast", [logarithm], [node.output[0]], to=own)]
    _replace_nodes(proto, nodes)


def _element_types(proto: "ModelProto") -> dict[str, int]:
    """TensorProto.DataType of the values that inference knows."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(proto).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _numpy_type(element: int) -> "np.dtype":
    from onnx import helper

    return helper.tensor_dtype_to_np_dtype(element)


def _replace_nodes(proto: "ModelProto", nodes: list["NodeProto"]) -> None:
    copies = [type(node)() for node in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del proto.graph.node[:]
    proto.graph.node.extend(copies)


def _spread_slopes(proto: "ModelProto") -> None:
    """PRelu-6(x [N, C, ...], slope [C]) -> PRelu(x, Unsqueeze(slope) [C, 1, ...])."""
    from onnx import helper, shape_inference

    if all(node.op_type != "PRelu" for node in proto.graph.node):
        return
    graph = shape_inference.infer_shapes(proto).graph
    rank = {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    rank |= {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    nodes = []
    for node in proto.graph.node:
        if node.op_type == "PRelu" and rank.get(node.input[0], 0) > 2 and rank[node.input[1]] == 1:
            axes = list(range(1, rank[node.input[0]] - 1))
            slope = f"{node.output[0]}/slope"
            nodes.append(helper.make_node("Unsqueeze", [node.input[1]], [slope], axes=axes))
            node.input[1] = slope
        nodes.append(node)
    _replace_nodes(proto, nodes)


def _has_scan(graph: "GraphProto") -> bool:
    return any(
        node.op_type == "Scan" or any(map(_has_scan, subgraphs_of(node))) for node in graph.node
    )


def _refuse_changed_in_9(graph: "GraphProto") -> None:
    """Upsample is the one operator whose form of set 8 is not also valid in set 9."""
    for node in graph.node:
        if node.op_type == "Upsample":
            raise ModelError(
                "a model of operator set 8 must not have both Scan and Upsample",
                where=node.name or "Upsample",
                help="export the model with opset_version 9 or later",
            )


def _unbatch_scans(graph: "GraphProto") -> None:
    for node in graph.node:
        for body in subgraphs_of(node):
            _unbatch_scans(body)
        if node.op_type == "Scan" and node.domain == "":
            node.CopyFrom(_over_batch(node))


def _over_batch(node: "NodeProto") -> "NodeProto":
    """Scan-8(lens, states, xs) -> Scan(states, xs) { Scan(state, x) { body } }."""
    from onnx import helper

    where = node.name or "Scan"
    if node.input[0]:
        raise ModelError("Scan of operator set 8 must have no sequence_lens", where=where)
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    body, scanned = attributes["body"], attributes["num_scan_inputs"]
    operands = list(node.input[1:])
    inside = [f"{where}/in_{index}" for index in range(len(operands))]
    outside = [f"{where}/out_{index}" for index in range(len(node.output))]
    inner = helper.make_node(
        "Scan",
        inside,
        outside,
        name=f"{where}/sequence",
        body=body,
        num_scan_inputs=scanned,
        scan_input_directions=attributes.get("directions") or [0] * scanned,
    )
    batch = helper.make_graph(
        [inner],
        f"{where}/batch",
        [helper.make_empty_tensor_value_info(name) for name in inside],
        [helper.make_empty_tensor_value_info(name) for name in outside],
    )
    return helper.make_node(
        "Scan", operands, list(node.output), name=where, body=batch, num_scan_inputs=len(operands)
    )
