"""Element types of the IR: the table of ``elements.py``, and xDSL's types.

Signed integers are signless in the IR (``i8`` is int8), unsigned ones carry their sign (``ui8``).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from xdsl.dialects.builtin import (
    BFloat16Type,
    BytesAttr,
    DenseIntOrFPElementsAttr,
    Float4E2M1FNType,
    Float6E2M3FNType,
    Float6E3M2FNType,
    Float8E4M3FNType,
    Float8E4M3FNUZType,
    Float8E5M2FNUZType,
    Float8E5M2Type,
    Float8E8M0FNUType,
    Float16Type,
    Float32Type,
    Float64Type,
    IntegerType,
    NoneType,
    Signedness,
    TensorType,
)
from xdsl.ir import Attribute, SSAValue

from ..errors import ModelError
from .elements import ELEMENTS, OF_DTYPE, OF_NAME, OF_NUMBER, Element

_FLOATS: tuple[type[Attribute], ...] = (
    BFloat16Type, Float16Type, Float32Type, Float64Type,
    Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type, Float8E5M2FNUZType, Float8E8M0FNUType,
    Float6E2M3FNType, Float6E3M2FNType, Float4E2M1FNType,
)  # fmt: skip
_FLOAT_OF_NAME = {kind.name: kind() for kind in _FLOATS}


def _element_of(entry: Element) -> Attribute:
    if entry.is_float:
        return _FLOAT_OF_NAME[entry.name]
    sign = Signedness.UNSIGNED if entry.is_unsigned else Signedness.SIGNLESS
    return IntegerType(entry.bits, sign)


_ELEMENT_OF_DTYPE = {entry.dtype: _element_of(entry) for entry in ELEMENTS}
_DTYPE_OF_ELEMENT = {element: dtype for dtype, element in _ELEMENT_OF_DTYPE.items()}
_SUPPORTED = ", ".join(entry.onnx_name for entry in ELEMENTS)

# onnx.proto names of the types outside the table, for messages only.
_UNSUPPORTED_ONNX = {
    0: "undefined",
    8: "string",
    14: "complex64",
    15: "complex128",
}


def is_supported(onnx_type: int) -> bool:
    """Whether the ONNX element type number has a dtype here."""
    return onnx_type in OF_NUMBER


def onnx_type_name(onnx_type: int) -> str:
    """The ONNX spelling of an element type number, for messages ("float8e5m2", "type 999")."""
    if onnx_type in OF_NUMBER:
        return OF_NUMBER[onnx_type].dtype.name
    return _UNSUPPORTED_ONNX.get(onnx_type, f"type {onnx_type}")


def dtype_of_onnx(onnx_type: int, value: str | None = None) -> np.dtype:
    """The numpy dtype of an ONNX element type number. ``value`` names the tensor in the error."""
    if onnx_type not in OF_NUMBER:
        raise ModelError(
            f"tensor elements must be one of {_SUPPORTED}, not {onnx_type_name(onnx_type)}",
            where=value,
        )
    return OF_NUMBER[onnx_type].dtype


def onnx_type_of(dtype: np.dtype) -> int:
    """The ONNX TensorProto.DataType number of a supported numpy dtype."""
    return OF_DTYPE[_checked(dtype)].number


def element_name(dtype: np.dtype) -> str:
    """The IR's name of a numpy dtype: "f32", "bf16", "i64", "ui8", "i1"."""
    return OF_DTYPE[_checked(dtype)].name


def dtype_named(name: str) -> np.dtype:
    """The numpy dtype of an IR element name; the inverse of ``element_name``."""
    if name not in OF_NAME:
        raise ModelError(f"an element type must be one of {sorted(OF_NAME)}, not {name!r}")
    return OF_NAME[name].dtype


def element_type(dtype: np.dtype) -> Attribute:
    """The xDSL element type of a numpy dtype."""
    return _ELEMENT_OF_DTYPE[_checked(dtype)]


def tensor_type(shape: Sequence[int], dtype: np.dtype | type) -> TensorType[Any]:
    """The (cached) xDSL tensor type of a static shape and a numpy dtype."""
    return _tensor_type(tuple(int(d) for d in shape), np.dtype(dtype))


@lru_cache(maxsize=65536)
def _tensor_type(shape: tuple[int, ...], dtype: np.dtype) -> TensorType[Any]:
    return TensorType(element_type(dtype), list(shape))


def shape_of(value: SSAValue | Attribute) -> tuple[int, ...]:
    """The static shape of a tensor value or tensor type."""
    return _tensor(value).get_shape()


def dtype_of(value: SSAValue | Attribute) -> np.dtype:
    """The numpy dtype of a tensor value or tensor type (or of a bare element type)."""
    kind = value.type if isinstance(value, SSAValue) else value
    element = kind.element_type if isinstance(kind, TensorType) else kind
    dtype = _DTYPE_OF_ELEMENT.get(element)
    if dtype is None:
        raise ModelError(f"tensor elements must be one of {_SUPPORTED}, not {element}")
    return dtype


def is_absent(value: SSAValue) -> bool:
    """Whether ``value`` stands for an omitted optional operand."""
    return isinstance(value.type, NoneType)


def _tensor(value: SSAValue | Attribute) -> TensorType:
    kind = value.type if isinstance(value, SSAValue) else value
    if not isinstance(kind, TensorType):
        raise ModelError(f"a value must be a tensor, not {kind}")
    return kind


def _checked(dtype: np.dtype | type) -> np.dtype:
    dtype = np.dtype(dtype)
    if dtype not in OF_DTYPE:
        raise ModelError(f"tensor elements must be one of {_SUPPORTED}, not {dtype}")
    return dtype


LITERAL_ELEMENTS = 16  # constants up to this size are written into the IR


def is_literal(array: np.ndarray) -> bool:
    """Whether ``array`` is written into the IR, others belong in the weight store.

    It is small, and its text reads back: xDSL 0.74 prints NaN, infinities and whole floats of more
    than six digits as hexadecimal bits, which it reads as integers in a dense literal.
    """
    if not 0 < array.size <= LITERAL_ELEMENTS:
        return False
    if array.dtype.kind in "biu":
        return True
    wide = array.astype(np.float64)
    return bool((np.isfinite(wide) & ((abs(wide) < 1e6) | (wide != np.trunc(wide)))).all())


def dense_attr(array: np.ndarray) -> DenseIntOrFPElementsAttr:
    """``array`` as a dense attribute. True is stored as 0xFF, as xDSL's own parser does."""
    stored = np.ascontiguousarray(array).astype(_dense_dtype(array.dtype), copy=False)
    data = (-stored if array.dtype == np.bool_ else stored).tobytes()
    return DenseIntOrFPElementsAttr(tensor_type(array.shape, array.dtype), BytesAttr(data))


def dense_array(attr: DenseIntOrFPElementsAttr) -> np.ndarray:
    """The array of a dense attribute (read-only); splats are written out."""
    dtype = dtype_of(attr.type)
    flat = np.frombuffer(attr.data.data, _dense_dtype(dtype)).astype(dtype, copy=False)
    flat.flags.writeable = False
    shape = attr.get_shape()
    return np.broadcast_to(flat.reshape(()), shape) if flat.size == 1 else flat.reshape(shape)


def _dense_dtype(dtype: np.dtype) -> np.dtype:
    """What xDSL keeps elements as: integers of less than a byte in a byte, with their sign."""
    entry = OF_DTYPE[dtype]
    if entry.is_float or dtype.kind in "iu":
        return dtype
    return np.dtype(np.uint8 if entry.is_unsigned or entry.name == "i1" else np.int8)
