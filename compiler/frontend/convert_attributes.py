"""ONNX attributes as IR attributes and back.

Numbers, strings and small tensors become what they are; subgraphs, sparse tensors and types become
the bytes of their protobuf message, for only the host looks into them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    f32,
)
from xdsl.ir import Attribute

from ...dialects.interned import int_attr, ints_attr
from ...dialects.types import dense_array, dense_attr
from ...errors import ModelError
from ..weights import constant_values
from .external_data import ExternalFiles
from .read_tensor import read_tensor

if TYPE_CHECKING:
    from onnx import AttributeProto, TensorProto

# AttributeProto.AttributeType
FLOAT, INT, STRING, TENSOR, GRAPH = 1, 2, 3, 4, 5
FLOATS, INTS, STRINGS, SPARSE_TENSOR, TYPE_PROTO = 6, 7, 8, 11, 13


def to_attribute(attribute: "AttributeProto", where: str) -> Attribute:
    """The IR form of an ONNX attribute. ``where`` names the node in errors."""
    convert = _TO_IR.get(attribute.type)
    if convert is None:
        raise ModelError(
            f"attribute {attribute.name!r} must be a number, string, tensor, graph or list, "
            f"not type {attribute.type}",
            where=where,
        )
    return convert(attribute, where)


def bytes_attr(data: bytes) -> DenseIntOrFPElementsAttr:
    """Bytes as ``dense<"0x..."> : tensor<Nxui8>``."""
    return dense_attr(np.frombuffer(data, np.uint8))


def attr_bytes(attr: Attribute) -> bytes:
    """The bytes of ``bytes_attr``."""
    if not isinstance(attr, DenseIntOrFPElementsAttr):
        raise ModelError(f"a serialized message must be a dense attribute, not {attr}")
    return dense_array(attr).astype(np.uint8).tobytes()


def from_attribute(name: str, kind: int, attr: Attribute) -> "AttributeProto":
    """The ONNX attribute of an IR attribute whose schema type is ``kind``."""
    import onnx

    made = onnx.AttributeProto(name=name, type=kind)  # type: ignore[arg-type]
    match kind, attr:
        case (2, IntegerAttr()):
            made.i = attr.value.data
        case (1, FloatAttr()):
            made.f = attr.value.data
        case (3, StringAttr()):
            made.s = _encode(attr.data)
        case (7, DenseArrayBase()):
            made.ints.extend(attr.get_values())
        case (6, DenseArrayBase()):
            made.floats.extend(attr.get_values())
        case (8, ArrayAttr()):
            made.strings.extend(_encode(item.data) for item in attr)
        case (4, DenseIntOrFPElementsAttr()):
            made.t.CopyFrom(tensor_proto(dense_array(attr)))
        case (5, _):
            made.g.ParseFromString(attr_bytes(attr))
        case (11, _):
            made.sparse_tensor.ParseFromString(attr_bytes(attr))
        case (13, _):
            made.tp.ParseFromString(attr_bytes(attr))
        case _:
            raise ModelError(f"attribute {name!r} must be of ONNX type {kind}, not {attr}")
    return made


def tensor_proto(array: np.ndarray, name: str = "") -> "TensorProto":
    """An array of any supported dtype as an inline tensor."""
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


@lru_cache(maxsize=4096)
def _string(value: bytes) -> StringAttr:
    # Bytes outside UTF-8 survive as surrogate escapes, which print as backslash escapes.
    return StringAttr(value.decode("utf-8", "backslashreplace"))


def _encode(value: str) -> bytes:
    return value.encode()


def _tensor(attribute: "AttributeProto", where: str) -> Attribute:
    return dense_attr(constant_values(read_tensor(attribute.t, ExternalFiles(None)), where))


_TO_IR: dict[int, Callable[[Any, str], Attribute]] = {
    INT: lambda a, _: int_attr(a.i),
    FLOAT: lambda a, _: FloatAttr(a.f, f32),
    STRING: lambda a, _: _string(a.s),
    INTS: lambda a, _: ints_attr(tuple(a.ints)),
    FLOATS: lambda a, _: DenseArrayBase.from_list(f32, list(a.floats)),
    STRINGS: lambda a, _: ArrayAttr([_string(s) for s in a.strings]),
    TENSOR: _tensor,
    GRAPH: lambda a, _: bytes_attr(a.g.SerializeToString(deterministic=True)),
    SPARSE_TENSOR: lambda a, _: bytes_attr(a.sparse_tensor.SerializeToString(deterministic=True)),
    TYPE_PROTO: lambda a, _: bytes_attr(a.tp.SerializeToString(deterministic=True)),
}
