"""Element types: one table between ONNX, numpy and xDSL.

Supported are float32/16/64, bfloat16, bool and the signed and unsigned integers of 8 to 64 bits.
Signed integers are signless in the IR (``i8`` is int8), unsigned ones carry their sign (``ui8``).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.dialects.builtin import (
    BFloat16Type,
    BytesAttr,
    DenseIntOrFPElementsAttr,
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

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)

# (ONNX TensorProto.DataType number, numpy dtype, name in IR, xDSL element type); the numbers are
# fixed by onnx.proto and repeated here so that this module does not import onnx.
_TABLE: tuple[tuple[int, np.dtype, str, Attribute], ...] = (
    (1, np.dtype(np.float32), "f32", Float32Type()),
    (2, np.dtype(np.uint8), "ui8", IntegerType(8, Signedness.UNSIGNED)),
    (3, np.dtype(np.int8), "i8", IntegerType(8)),
    (4, np.dtype(np.uint16), "ui16", IntegerType(16, Signedness.UNSIGNED)),
    (5, np.dtype(np.int16), "i16", IntegerType(16)),
    (6, np.dtype(np.int32), "i32", IntegerType(32)),
    (7, np.dtype(np.int64), "i64", IntegerType(64)),
    (9, np.dtype(np.bool_), "i1", IntegerType(1)),
    (10, np.dtype(np.float16), "f16", Float16Type()),
    (11, np.dtype(np.float64), "f64", Float64Type()),
    (12, np.dtype(np.uint32), "ui32", IntegerType(32, Signedness.UNSIGNED)),
    (13, np.dtype(np.uint64), "ui64", IntegerType(64, Signedness.UNSIGNED)),
    (16, BFLOAT16, "bf16", BFloat16Type()),
)
_DTYPE_OF_ONNX = {number: dtype for number, dtype, _, _ in _TABLE}
_ONNX_OF_DTYPE = {dtype: number for number, dtype, _, _ in _TABLE}
_NAME_OF_DTYPE = {dtype: name for _, dtype, name, _ in _TABLE}
_DTYPE_OF_NAME = {name: dtype for _, dtype, name, _ in _TABLE}
_ELEMENT_OF_DTYPE = {dtype: element for _, dtype, _, element in _TABLE}
_DTYPE_OF_ELEMENT = {element: dtype for _, dtype, _, element in _TABLE}
_SUPPORTED = "float16/32/64, bfloat16, bool, int8..int64 and uint8..uint64"

# onnx.proto names of the types outside the table, for messages only.
_UNSUPPORTED_ONNX = {
    0: "undefined",
    8: "string",
    14: "complex64",
    15: "complex128",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
    25: "uint2",
    26: "int2",
}


def supported_dtypes() -> tuple[np.dtype, ...]:
    """Every numpy dtype a tensor of the IR may have."""
    return tuple(dtype for _, dtype, _, _ in _TABLE)


def is_supported(onnx_type: int) -> bool:
    """Whether the ONNX element type number has a dtype here."""
    return onnx_type in _DTYPE_OF_ONNX


def onnx_type_name(onnx_type: int) -> str:
    """The ONNX spelling of an element type number, for messages ("float8e5m2", "type 999")."""
    if onnx_type in _DTYPE_OF_ONNX:
        return _DTYPE_OF_ONNX[onnx_type].name
    return _UNSUPPORTED_ONNX.get(onnx_type, f"type {onnx_type}")


def dtype_of_onnx(onnx_type: int, value: str | None = None) -> np.dtype:
    """The numpy dtype of an ONNX element type number. ``value`` names the tensor in the error."""
    dtype = _DTYPE_OF_ONNX.get(onnx_type)
    if dtype is None:
        raise ModelError(
            f"tensor elements must be one of {_SUPPORTED}, not {onnx_type_name(onnx_type)}",
            where=value,
        )
    return dtype


def onnx_type_of(dtype: np.dtype) -> int:
    """The ONNX TensorProto.DataType number of a supported numpy dtype."""
    return _ONNX_OF_DTYPE[_checked(dtype)]


def element_name(dtype: np.dtype) -> str:
    """The IR's name of a numpy dtype: "f32", "bf16", "i64", "ui8", "i1"."""
    return _NAME_OF_DTYPE[_checked(dtype)]


def dtype_named(name: str) -> np.dtype:
    """The numpy dtype of an IR element name; the inverse of ``element_name``."""
    dtype = _DTYPE_OF_NAME.get(name)
    if dtype is None:
        raise ModelError(f"an element type must be one of {sorted(_DTYPE_OF_NAME)}, not {name!r}")
    return dtype


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
    if dtype not in _NAME_OF_DTYPE:
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
    flat = np.ascontiguousarray(array)
    if flat.dtype == np.bool_:
        data = (flat.view(np.uint8) * np.uint8(255)).tobytes()
    else:
        data = flat.tobytes()
    return DenseIntOrFPElementsAttr(tensor_type(array.shape, array.dtype), BytesAttr(data))


def dense_array(attr: DenseIntOrFPElementsAttr) -> np.ndarray:
    """The array of a dense attribute (read-only); splats are written out."""
    dtype = dtype_of(attr.type)
    flat = np.frombuffer(attr.data.data, np.uint8 if dtype == np.bool_ else dtype)
    if dtype == np.bool_:
        flat = flat != 0
    shape = attr.get_shape()
    return np.broadcast_to(flat.reshape(()), shape) if flat.size == 1 else flat.reshape(shape)
