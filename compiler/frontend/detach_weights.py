"""Take the weights out of the protobuf, so that everything done to the graph stays small.

A large or external initialiser becomes a typed graph input whose values live in a table of
constants; so does a large ``Constant`` node. Those of subgraphs move to the main graph and are
captured from there. Small tensors stay, for the checker and the opset converter look at them.
"""

from typing import TYPE_CHECKING, TypeVar

from ...dialects.types import is_supported, onnx_type_name, onnx_type_of
from ...errors import ModelError
from ..weights import Constant, unique_name
from .external_data import ExternalFiles
from .read_tensor import read_sparse_tensor, read_tensor
from .rename_values import rename_free, subgraphs_of

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

INLINE_ELEMENTS = 1024  # tensors up to this size stay in the graph
_TENSOR, _SPARSE_TENSOR, _TENSORS = 4, 11, 9  # AttributeProto.AttributeType
_EXTERNAL = 1
_Message = TypeVar("_Message", "TensorProto", "NodeProto")


def detach_weights(
    proto: "ModelProto", files: ExternalFiles, *, may_be_absent: bool = False
) -> dict[str, Constant]:
    """Remove the large tensors of ``proto`` (in place); returns them by value name."""
    constants: dict[str, Constant] = {}
    taken = _all_names(proto.graph)
    _detach_graph(proto.graph, proto.graph, files, may_be_absent, constants, taken)
    for function in proto.functions:
        for node in function.node:
            _refuse_external_attributes(node)
    return constants


def is_large(tensor: "TensorProto") -> bool:
    """Whether a tensor is taken out: it is external, or has more than INLINE_ELEMENTS elements."""
    if tensor.data_location == _EXTERNAL:
        return True
    size = 1
    for dim in tensor.dims:
        size *= abs(dim)
    return size > INLINE_ELEMENTS


def _detach_graph(
    graph: "GraphProto",
    main: "GraphProto",
    files: ExternalFiles,
    may_be_absent: bool,
    constants: dict[str, Constant],
    taken: set[str],
) -> None:
    renamed: dict[str, str] = {}

    def move(name: str, constant: Constant) -> None:
        new = name
        if graph is not main:
            new = unique_name(name, taken)
            renamed[name] = new
            taken.add(new)
        constants[new] = constant
        _declare_input(main, new, constant)

    _refuse_duplicates(graph)
    kept = []
    for tensor in graph.initializer:
        if is_large(tensor):
            move(tensor.name, read_tensor(tensor, files, may_be_absent=may_be_absent))
        else:
            _check_small(tensor, files)
            kept.append(tensor)
    if len(kept) < len(graph.initializer):
        kept = [_copy(tensor) for tensor in kept]
        del graph.initializer[:]
        graph.initializer.extend(kept)
    for sparse in graph.sparse_initializer:
        move(sparse.values.name, read_sparse_tensor(sparse, files))
    del graph.sparse_initializer[:]

    remaining = []
    for node in graph.node:
        constant = _large_constant(node, files, may_be_absent)
        if constant is not None:
            move(node.output[0], constant)
            continue
        _refuse_external_attributes(node)
        for body in subgraphs_of(node):
            _detach_graph(body, main, files, may_be_absent, constants, taken)
        remaining.append(node)
    if len(remaining) < len(graph.node):
        nodes = [_copy(node) for node in remaining]
        del graph.node[:]
        graph.node.extend(nodes)
    if renamed:
        rename_free(graph, renamed)


def _large_constant(
    node: "NodeProto", files: ExternalFiles, may_be_absent: bool
) -> Constant | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.output) != 1:
        return None
    for attribute in node.attribute:
        if attribute.name == "value" and attribute.type == _TENSOR and is_large(attribute.t):
            return read_tensor(attribute.t, files, may_be_absent=may_be_absent)
        if attribute.name == "sparse_value" and attribute.type == _SPARSE_TENSOR:
            return read_sparse_tensor(attribute.sparse_tensor, files)
    return None


def _refuse_external_attributes(node: "NodeProto") -> None:
    for attribute in node.attribute:
        tensors = [attribute.t] if attribute.type == _TENSOR else list(attribute.tensors)
        if any(tensor.data_location == _EXTERNAL for tensor in tensors):
            raise ModelError(
                f"only initialisers and Constant nodes may have external data, "
                f"not attribute {attribute.name!r}",
                where=node.name or node.op_type,
            )


def _check_small(tensor: "TensorProto", files: ExternalFiles) -> None:
    """Refuse a small tensor that contradicts itself; strings and the like may stay."""
    foreign = onnx_type_name(tensor.data_type)
    if is_supported(tensor.data_type) or foreign.startswith("type "):
        read_tensor(tensor, files)


def _refuse_duplicates(graph: "GraphProto") -> None:
    seen: set[str] = set()
    names = [t.name for t in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    for name in names:
        if not name:
            raise ModelError("every initialiser must have a name")
        if name in seen:
            raise ModelError("an initialiser must be defined once", where=name)
        seen.add(name)


def _declare_input(main: "GraphProto", name: str, constant: Constant) -> None:
    if any(value.name == name for value in main.input):
        return
    value = main.input.add()
    value.name = name
    tensor = value.type.tensor_type
    tensor.elem_type = onnx_type_of(constant.dtype)
    tensor.shape.SetInParent()
    for dim in constant.shape:
        tensor.shape.dim.add().dim_value = dim


def _all_names(graph: "GraphProto") -> set[str]:
    names = {value.name for value in graph.input}
    names.update(tensor.name for tensor in graph.initializer)
    for node in graph.node:
        names.update(node.output)
        for body in subgraphs_of(node):
            names |= _all_names(body)
    return names


def _copy(message: _Message) -> _Message:
    """A copy that survives clearing the field it was in."""
    duplicate = type(message)()
    duplicate.CopyFrom(message)
    return duplicate
