"""Element types as plain data: one table of IR names, numpy dtypes and ONNX's names and numbers.

It imports no xDSL, so that a program runs on a computer without it; ``types.py`` adds the types of
the IR.

A narrow element (float8, float6, float4, integers of four and two bits) is a value, not a number to
compute with: bodies convert it, kernels move it. In memory it takes a byte, its code in the low
bits, as ml_dtypes keep it.
"""

from typing import NamedTuple

import ml_dtypes
import numpy as np


class Element(NamedTuple):
    """``name`` in the IR, bodies and listings; ``number`` and ``onnx_name`` of TensorProto."""

    name: str
    dtype: np.dtype
    number: int
    onnx_name: str
    bits: int

    @property
    def is_float(self) -> bool:
        return self.name.startswith(("f", "bf"))

    @property
    def is_unsigned(self) -> bool:
        return self.name.startswith("ui")

    @property
    def is_narrow(self) -> bool:
        return self.number >= _FIRST_NARROW


_FIRST_NARROW = 17  # ONNX gave all older numbers to types of whole bytes and to complex ones


def _element(name: str, dtype: type, number: int, onnx_name: str, bits: int = 0) -> Element:
    kind = np.dtype(dtype)
    return Element(name, kind, number, onnx_name, bits or 8 * kind.itemsize)


#: The position is an element type's code in program files: new ones go to the end.
ELEMENTS: tuple[Element, ...] = (
    _element("f32", np.float32, 1, "float"),
    _element("f16", np.float16, 10, "float16"),
    _element("bf16", ml_dtypes.bfloat16, 16, "bfloat16"),
    _element("f64", np.float64, 11, "double"),
    _element("i1", np.bool_, 9, "bool", 1),
    _element("i8", np.int8, 3, "int8"),
    _element("i16", np.int16, 5, "int16"),
    _element("i32", np.int32, 6, "int32"),
    _element("i64", np.int64, 7, "int64"),
    _element("ui8", np.uint8, 2, "uint8"),
    _element("ui16", np.uint16, 4, "uint16"),
    _element("ui32", np.uint32, 12, "uint32"),
    _element("ui64", np.uint64, 13, "uint64"),
    _element("f8E4M3FN", ml_dtypes.float8_e4m3fn, 17, "float8e4m3fn"),
    _element("f8E4M3FNUZ", ml_dtypes.float8_e4m3fnuz, 18, "float8e4m3fnuz"),
    _element("f8E5M2", ml_dtypes.float8_e5m2, 19, "float8e5m2"),
    _element("f8E5M2FNUZ", ml_dtypes.float8_e5m2fnuz, 20, "float8e5m2fnuz"),
    _element("f8E8M0FNU", ml_dtypes.float8_e8m0fnu, 24, "float8e8m0"),
    _element("f6E2M3FN", ml_dtypes.float6_e2m3fn, 27, "float6e2m3", 6),
    _element("f6E3M2FN", ml_dtypes.float6_e3m2fn, 28, "float6e3m2", 6),
    _element("f4E2M1FN", ml_dtypes.float4_e2m1fn, 23, "float4e2m1", 4),
    _element("i4", ml_dtypes.int4, 22, "int4", 4),
    _element("ui4", ml_dtypes.uint4, 21, "uint4", 4),
    _element("i2", ml_dtypes.int2, 26, "int2", 2),
    _element("ui2", ml_dtypes.uint2, 25, "uint2", 2),
)
OF_NAME = {e.name: e for e in ELEMENTS}
OF_DTYPE = {e.dtype: e for e in ELEMENTS}
OF_NUMBER = {e.number: e for e in ELEMENTS}
CODE_OF_NAME = {e.name: code for code, e in enumerate(ELEMENTS)}
CODE_OF_DTYPE = {e.dtype: code for code, e in enumerate(ELEMENTS)}


def is_float(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is a floating-point type, those of ml_dtypes included."""
    return dtype in OF_DTYPE and OF_DTYPE[dtype].is_float


def is_narrow(dtype: np.dtype) -> bool:
    """Whether ``dtype`` is a narrow element (see above)."""
    return dtype in OF_DTYPE and OF_DTYPE[dtype].is_narrow


def plain_dtype(dtype: np.dtype) -> np.dtype:
    """``dtype``, or uint8 for a narrow one: what files and numpy's own functions know."""
    return np.dtype(np.uint8) if is_narrow(dtype) else dtype
