"""What onnx.version_converter leaves undone, before and after it.

- ``PRelu`` before operator set 7 has one slope per channel, and today's broadcasting does not.
- ``Pad`` before 11 has an attribute ``value`` in every mode, which stays where none is used.
- Values that became operands in 11 (of ``Clip`` and ``Pad``) come as float32 whatever they meet.
- ``Upsample``, and ``Resize`` of 10, take the sample at ``index / scale``; today's default is to
  align the centres.
- ``Hardmax`` before 13 takes all dimensions from ``axis`` on for one, as ``Softmax`` did;
  what the converter makes of the latter loses dimensions of size 0.
- ``ReduceLogSum`` and ``ReduceLogSumExp`` took integers until 28.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def prepare(proto: "ModelProto", version: int) -> None:
    """Change a model of operator set ``version`` so that the converter can take it."""
    if version < 7:
        _spread_slopes(proto)
    if version < 11:
        _drop_pad_values(proto)
    if version < 28:
        _cast_around_logarithms(proto)


def mend(proto: "ModelProto", old: "ModelProto", version: int) -> None:
    """Change the converted ``proto`` so that it means what ``old`` meant in ``version``."""
    if version < 11:
        _type_former_attributes(proto, old)
        _keep_corners(proto)
    if version < 13:
        _flatten_hardmax(proto)
        _keep_zeros(proto, old)


def _drop_pad_values(proto: "ModelProto") -> None:
    """Pad that repeats or reflects what is there: without ``value``."""
    for node in proto.graph.node:
        modes = {a.name: a.s for a in node.attribute}
        if node.op_type == "Pad" and modes.get("mode", b"constant") != b"constant":
            kept = [a for a in node.attribute if a.name != "value"]
            del node.attribute[:]
            node.attribute.extend(kept)


#: Operators with numbers that became operands: how many follow the first operands.
_FORMER_ATTRIBUTES = {"Clip": 1, "Pad": 2}


def _type_former_attributes(proto: "ModelProto", old: "ModelProto") -> None:
    """Constants that the converter made, in the type of the operand that they are for."""
    from onnx import TensorProto, helper, numpy_helper

    if not _has(proto, *_FORMER_ATTRIBUTES):
        return
    types = _element_types(old)
    makers = {node.output[0]: node for node in proto.graph.node if node.op_type == "Constant"}
    for node in proto.graph.node:
        if node.op_type not in _FORMER_ATTRIBUTES:
            continue
        own = types.get(node.input[0], TensorProto.FLOAT)
        for name in node.input[_FORMER_ATTRIBUTES[node.op_type] :]:
            if own != TensorProto.FLOAT and name in makers and name not in types:
                tensor = makers[name].attribute[0].t
                with np.errstate(over="ignore"):  # the least float32, where there was no bound
                    value = numpy_helper.to_array(tensor).astype(
                        helper.tensor_dtype_to_np_dtype(own)
                    )
                tensor.CopyFrom(numpy_helper.from_array(value))


def _keep_corners(proto: "ModelProto") -> None:
    """Resize with the coordinates that operator sets before 11 have.

    Among the nearest samples ONNX Runtime takes the one before where it adds samples, and the one
    behind where it drops some; an operator that does both becomes two. Scales that are computed
    while running are taken to add.
    """
    from onnx import helper, numpy_helper

    if not _has(proto, "Resize"):
        return
    constants = {t.name: numpy_helper.to_array(t) for t in proto.graph.initializer}
    constants |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t)
        for node in proto.graph.node
        if node.op_type == "Constant" and node.attribute[0].name == "value"
    }
    nodes = []
    for node in proto.graph.node:
        if node.op_type != "Resize":
            nodes.append(node)
            continue
        mode = {a.name: a.s for a in node.attribute}.get("mode", b"nearest").decode()
        scales = constants.get(node.input[2])
        common: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
        x, result, name = node.input[0], node.output[0], node.name or node.output[0]
        if mode != "nearest" or scales is None or (scales >= 1).all() or (scales <= 1).all():
            shrinks = scales is not None and bool((scales < 1).any())
            common["nearest_mode"] = "ceil" if shrinks else "floor"
            nodes.append(
                helper.make_node("Resize", [x, "", node.input[2]], [result], name=name, **common)
            )
            continue
        for part, rule, ends in (
            (np.maximum(scales, 1), "floor", (x, f"{result}/grown")),
            (np.minimum(scales, 1), "ceil", (f"{result}/grown", result)),
        ):
            factors = f"{ends[1]}/scales"
            proto.graph.initializer.append(numpy_helper.from_array(part, factors))
            nodes.append(
                helper.make_node(
                    "Resize",
                    [ends[0], "", factors],
                    [ends[1]],
                    name=f"{name}/{rule}",
                    nearest_mode=rule,
                    **common,
                )
            )
    _replace_nodes(proto, nodes)


def _flatten_hardmax(proto: "ModelProto") -> None:
    """Hardmax(x) -> Reshape(Hardmax(Flatten(x)), Shape(x)), as the converter does to Softmax."""
    from onnx import helper

    if not _has(proto, "Hardmax"):
        return
    nodes = []
    for node in proto.graph.node:
        if node.op_type != "Hardmax":
            nodes.append(node)
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
        x, y = node.input[0], node.output[0]
        name = node.name or y
        rows, marks, shape = f"{y}/rows", f"{y}/marks", f"{y}/shape"
        nodes += [
            helper.make_node("Shape", [x], [shape], name=f"{name}/shape"),
            helper.make_node("Flatten", [x], [rows], name=f"{name}/rows", axis=axis),
            helper.make_node("Hardmax", [rows], [marks], name=name, axis=-1),
            helper.make_node("Reshape", [marks, shape], [y], name=f"{name}/back", allowzero=1),
        ]
    _replace_nodes(proto, nodes)


def _keep_zeros(proto: "ModelProto", old: "ModelProto") -> None:
    """The Reshape behind a flattened Softmax takes a size of 0 for what it is."""
    from onnx import helper

    results = {n.output[0] for n in old.graph.node if n.op_type in ("Softmax", "LogSoftmax")}
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.output[0] in results:
            node.attribute.append(helper.make_attribute("allowzero", 1))


def _cast_around_logarithms(proto: "ModelProto") -> None:
    """ReduceLogSum(integers) -> Cast(ReduceLogSum(Cast(integers, double)), their type)."""
    from onnx import TensorProto, helper

    if not _has(proto, "ReduceLogSum", "ReduceLogSumExp"):
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


def _has(proto: "ModelProto", *op_types: str) -> bool:
    return any(node.op_type in op_types for node in proto.graph.node)


def _element_types(proto: "ModelProto") -> dict[str, int]:
    """TensorProto.DataType of the values that inference knows."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(proto).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _replace_nodes(proto: "ModelProto", nodes: list["NodeProto"]) -> None:
    copies = [type(node)() for node in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del proto.graph.node[:]
    proto.graph.node.extend(copies)


def _spread_slopes(proto: "ModelProto") -> None:
    """PRelu-6(x [N, C, ...], slope [C]) -> PRelu(x, Unsqueeze(slope) [C, 1, ...])."""
    from onnx import helper, shape_inference

    if not _has(proto, "PRelu"):
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
