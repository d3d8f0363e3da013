"""Static types of values: what a TypeProto states, what a model declares, what is refused."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...dialects.types import dtype_of_onnx, is_supported, onnx_type_name, onnx_type_of
from ...errors import ModelError
from .model import TensorSpec
from .read_model import newest_opset
from .read_tensor import MAX_TENSOR_BYTES

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TypeProto

# Operators whose first input has the shape of their output.
_SAME_SHAPE = frozenset(
    ("Abs", "Cast", "CastLike", "Exp", "Identity", "Log", "Neg", "Reciprocal", "Sqrt")
)


MAX_RANK = 64  # numpy's


def spec_of(kind: "TypeProto", declared: TensorSpec | None = None) -> TensorSpec | None:
    """The static type that ``kind`` states, with the shape of ``declared`` where it has none."""
    if not kind.HasField("tensor_type"):
        return None
    tensor = kind.tensor_type
    if not is_supported(tensor.elem_type):
        return None
    shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
    if not tensor.HasField("shape") or min(shape, default=0) < 0:
        if declared is None:
            return None
        shape = list(declared.shape)
    return TensorSpec(tuple(shape), dtype_of_onnx(tensor.elem_type))


def declared_specs(graph: "GraphProto") -> dict[str, TensorSpec]:
    """Values to which the model itself gives a static type, or to whose elementwise result."""
    specs = {}
    for value in (*graph.value_info, *graph.output):
        spec = spec_of(value.type)
        if spec is not None:
            specs[value.name] = spec
    for node in reversed(graph.node):
        if node.op_type in _SAME_SHAPE and node.domain == "" and node.output[0] in specs:
            specs.setdefault(node.input[0], specs[node.output[0]])
    return specs


def check_outputs(graph: "GraphProto", specs: Mapping[str, TensorSpec]) -> None:
    """Refuse an output whose declared type contradicts the computed one."""
    for value in graph.output:
        spec, tensor = specs[value.name], value.type.tensor_type
        if tensor.elem_type and tensor.elem_type != onnx_type_of(spec.dtype):
            raise ModelError(
                f"an output must be what the model declares, this one is {spec.dtype.name} and "
                f"not {onnx_type_name(tensor.elem_type)}",
                where=value.name,
            )
        if not tensor.HasField("shape"):
            continue
        dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        same = len(dims) == len(spec.shape) and all(
            d is None or d == s for d, s in zip(dims, spec.shape, strict=True)
        )
        if not same:
            raise ModelError(
                f"an output must have its declared shape {dims}, not {list(spec.shape)}",
                where=value.name,
            )


def no_type(node: "NodeProto", name: str) -> ModelError:
    """The fault of ``node``, whose output ``name`` has no static type."""
    if newest_opset(node.domain) is None:
        return ModelError(
            f"every value must have a static shape; that of output {name!r} of {node.domain}."
            f"{node.op_type} is not known here",
            where=node.name,
            help="declare the output's type and shape in the model, as ONNX Runtime's symbolic "
            "shape inference does",
        )
    return ModelError(
        f"every value must have a static shape and a supported type; output {name!r} of "
        f"{node.op_type} has none (its shape depends on data, or it is no tensor)",
        where=node.name,
        help="give the operands that decide the shape as constants, or declare the output's shape "
        "in the model",
    )


def check_size(spec: TensorSpec, where: str) -> None:
    """Refuse a value larger than any tensor of a sane model, or of more dims than numpy has."""
    if len(spec.shape) > MAX_RANK:
        raise ModelError(
            f"a tensor must have at most {MAX_RANK} dims, not {len(spec.shape)}", where=where
        )
    nbytes = math.prod(spec.shape) * spec.dtype.itemsize
    if nbytes > MAX_TENSOR_BYTES:
        raise ModelError(
            f"a tensor must have at most {MAX_TENSOR_BYTES} bytes, not the {nbytes} of shape "
            f"{list(spec.shape)}",
            where=where,
        )
