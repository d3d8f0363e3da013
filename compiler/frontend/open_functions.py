"""Open an operator that ONNX defines by other operators: its body with the caller's names.

Two kinds of body: a fixed one, and one that depends on types and attributes of the call. Bodies
were written for some operator set; where an operator in it has changed since, it is converted.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from .check_model import first_line
from .rename_values import rename_uses, subgraphs_of

if TYPE_CHECKING:
    from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto


def has_body(schema: Any) -> bool:
    """Whether ONNX defines the operator (an OpSchema) by other operators."""
    return bool(schema.has_function or schema.has_context_dependent_function)


def open_function(
    node: "NodeProto",
    schema: Any,
    input_types: Sequence["TypeProto"],
    opset: int,
    prefix: str,
) -> list["NodeProto"]:
    """The nodes of the operator's body; inner values are named ``prefix/value``.

    ``input_types`` has an empty TypeProto for an omitted input. Raises ModelError where the
    operator has no body for these types.
    """
    body = _body_of(node, schema, input_types, opset)
    if body is None:
        raise ModelError(
            "the operator must have a function body for its input types",
            where=node.name or node.op_type,
        )
    nodes = _converted(body, input_types, opset)
    attributes = {a.name: a for a in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in attributes and attribute.default_value.type:
            attributes[name] = attribute.default_value
    for default in body.attribute_proto:
        attributes.setdefault(default.name, default)
    return _instantiate(nodes, body, node, attributes, prefix)


def _body_of(
    node: "NodeProto", schema: Any, input_types: Sequence["TypeProto"], opset: int
) -> "FunctionProto | None":
    import onnx

    data: bytes | None = None
    if schema.has_context_dependent_function:
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
        types = [t.SerializeToString() for t in input_types]
        for version in sorted(versions, reverse=True):
            data = schema.get_context_dependent_function_with_opset_version(
                version, node.SerializeToString(), types
            )
            if data:
                break
    if not data and schema.has_function:
        fixed = [v for v in schema.function_opset_versions if v <= opset]
        if fixed:
            data = schema.get_function_with_opset_version(max(fixed))
    return onnx.FunctionProto.FromString(data) if data else None


def _converted(
    body: "FunctionProto", input_types: Sequence["TypeProto"], opset: int
) -> list["NodeProto"]:
    """The body's nodes for the newest operator set, converted only where one became invalid."""
    from onnx import checker, helper, version_converter

    version = next((o.version for o in body.opset_import if o.domain == ""), opset)
    context = checker.C.CheckerContext()
    context.ir_version = 13
    context.opset_imports = {"": opset}
    try:
        for node in body.node:
            if not any(a.ref_attr_name for a in node.attribute):
                checker.check_node(node, context)
        return list(body.node)
    except checker.ValidationError:
        pass
    inputs = []
    for name, kind in zip(body.input, input_types, strict=False):
        value = helper.make_empty_tensor_value_info(name)
        value.type.CopyFrom(kind)
        inputs.append(value)
    outputs = [helper.make_empty_tensor_value_info(name) for name in body.output]
    graph = helper.make_graph(list(body.node), "body", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    try:
        return list(version_converter.convert_version(model, opset).graph.node)
    except (version_converter.ConvertError, RuntimeError, ValueError) as error:
        raise ModelError(f"the body of {body.name} must convert: {first_line(error)}") from None


def _instantiate(
    nodes: Sequence["NodeProto"],
    body: "FunctionProto",
    call: "NodeProto",
    attributes: dict[str, "AttributeProto"],
    prefix: str,
) -> list["NodeProto"]:
    names = dict.fromkeys((*body.input, *body.output), "")
    names.update(zip(body.input, call.input, strict=False))
    names.update(
        (formal, actual) for formal, actual in zip(body.output, call.output, strict=False) if actual
    )
    for formal in body.output:
        if not names[formal]:
            names[formal] = f"{prefix}/{formal}"
    opened = []
    for index, original in enumerate(nodes):
        node = type(original)()
        node.CopyFrom(original)
        node.name = f"{prefix}/{node.op_type}_{index}"
        rename_uses(node, names)
        for position, output in enumerate(node.output):
            if output:
                names.setdefault(output, f"{prefix}/{output}")
                node.output[position] = names[output]
        _bind_attributes(node, attributes)
        opened.append(node)
    return opened


def _bind_attributes(node: "NodeProto", attributes: dict[str, "AttributeProto"]) -> None:
    """Give attributes that refer to the caller's their values; drop those it does not have."""
    bound = []
    for attribute in node.attribute:
        if attribute.ref_attr_name:
            given = attributes.get(attribute.ref_attr_name)
            if given is None:
                continue
            name = attribute.name
            attribute = type(given)()
            attribute.CopyFrom(given)
            attribute.name = name
        bound.append(attribute)
    copies = [type(a)() for a in bound]
    for copy, attribute in zip(copies, bound, strict=True):
        copy.CopyFrom(attribute)
    del node.attribute[:]
    node.attribute.extend(copies)
    for graph in subgraphs_of(node):
        for inner in graph.node:
            _bind_attributes(inner, attributes)
