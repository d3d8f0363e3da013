"""Bring a model to the newest operator set, so that one meaning per operator has to be known.

onnx.version_converter does the work, with what it leaves undone mended by converter_gaps. ``Scan``
of operator set 8 runs over a batch of sequences; it becomes a Scan of today over the batch around a
Scan over the sequence.
"""

from typing import TYPE_CHECKING

from ...errors import ModelError
from .check_model import first_line
from .converter_gaps import mend, prepare
from .rename_values import subgraphs_of

if TYPE_CHECKING:
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
    if version == 8 and _has_scan(proto.graph):
        _refuse_changed_in_9(proto.graph)
        _unbatch_scans(proto.graph)
        entry.version = 9
    prepare(proto, version)
    try:
        newer = version_converter.convert_version(proto, newest)
    except (version_converter.ConvertError, RuntimeError, ValueError, IndexError) as error:
        raise ModelError(
            f"operator set {version} must convert to {newest}: {first_line(error)}",
            help="export the model with a newer opset_version",
        ) from None
    mend(newer, proto, version)
    return newer


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
