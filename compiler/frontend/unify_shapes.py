"""Shapes of inner values that follow from the declared shapes of outputs.

    r = Range(0, n, 1) : [s]   y = Mul(r, x) : [s], declared [10]   ->   s = 10, r : [10]

onnx's shape inference names a dimension that it does not know and carries the name along. Where an
output has such a name and the model declares a number, the number holds wherever the name stands.
"""

from typing import TYPE_CHECKING

from .bind_shapes import substitute_dims
from .model import TensorSpec
from .rename_values import subgraphs_of
from .static_types import spec_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto


def implied_specs(proto: "ModelProto") -> dict[str, TensorSpec]:
    """The static types of the values of ``proto`` by inference and its outputs' declared shapes."""
    from onnx import ModelProto, shape_inference

    probe = ModelProto()
    probe.CopyFrom(proto)
    del probe.graph.value_info[:]  # whose own names of dimensions may say anything
    _keep_typed_nodes(probe.graph)
    for output in probe.graph.output:
        if output.type.HasField("tensor_type"):
            output.type.tensor_type.ClearField("shape")
    try:
        graph = shape_inference.infer_shapes(probe, data_prop=True).graph
    except (shape_inference.InferenceError, RuntimeError, ValueError):
        return {}  # the node at fault will be named when it is looked at by itself
    sizes = _named_sizes(graph, proto.graph)
    specs = {}
    for value in (*graph.value_info, *graph.output):
        substitute_dims(value.type, sizes)
        spec = spec_of(value.type)
        if spec is not None:
            specs[value.name] = spec
    return specs


def _keep_typed_nodes(graph: "GraphProto") -> None:
    """Remove the nodes of which inference may not know the operands' types, and what they yield.

    Some of onnx's inference functions read a missing type through a null pointer (LabelEncoder,
    RegexFullMatch).
    """
    known = {""} | {value.name for value in (*graph.input, *graph.initializer)}
    kept = []
    for node in graph.node:
        if _is_inferred(node) and known.issuperset(node.input):
            kept.append(node)
            known.update(node.output)
    outputs = [output for output in graph.output if output.name in known]
    for field, items in ((graph.node, kept), (graph.output, outputs)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(copies)


def _is_inferred(node: "NodeProto") -> bool:
    """Whether inference of ``node`` needs nothing but the types of its operands."""
    from onnx import defs

    if node.domain != "" or not defs.has(node.op_type) or any(True for _ in subgraphs_of(node)):
        return False
    return bool(defs.get_schema(node.op_type).has_type_and_shape_inference_function)


def _named_sizes(inferred: "GraphProto", declared: "GraphProto") -> dict[str, int]:
    """Name of a dimension -> its number; names with two numbers are left out."""
    found: dict[str, set[int]] = {}
    theirs = {output.name: output.type.tensor_type.shape.dim for output in declared.output}
    for output in inferred.output:
        dims, numbers = output.type.tensor_type.shape.dim, theirs[output.name]
        if len(dims) == len(numbers):
            for dim, number in zip(dims, numbers, strict=True):
                if dim.dim_param and number.HasField("dim_value"):
                    found.setdefault(dim.dim_param, set()).add(number.dim_value)
    return {name: next(iter(sizes)) for name, sizes in found.items() if len(sizes) == 1}
