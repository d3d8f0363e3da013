"""Elements of a byte and less: casts, quantisation and movement against ONNX Runtime.

ONNX Runtime has no kernels for float4, float6 and two-bit integers; there, and where its float8
differs from the operator's own table, the reference evaluator is the measure.
"""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper

from semc.dialects.elements import ELEMENTS, OF_NAME, Element
from semc.dialects.types import onnx_type_of
from semc.errors import ProgramError
from semc.runtime.execute.kernels.scalar_ops import function_of

from .op_harness import check_op

F32 = np.float32
NARROW = [e for e in ELEMENTS if e.is_narrow]
FLOAT8 = [e for e in NARROW if e.is_float and e.bits == 8 and e.name != "f8E8M0FNU"]
SMALL_FLOATS = [e for e in NARROW if e.is_float and e.bits < 8]
INTEGERS = [e for e in NARROW if not e.is_float]
E8M0 = OF_NAME["f8E8M0FNU"]
WIDE = [F32, np.float16, np.float64, ml_dtypes.bfloat16, np.int32, np.uint8, np.int64, np.bool_]

by_name = {"ids": lambda value: getattr(value, "name", str(value))}


def every_value(element: Element) -> np.ndarray:
    return np.arange(1 << element.bits, dtype=np.uint8).view(element.dtype)


def around(element: Element) -> np.ndarray:
    """Values of the type, the middles between neighbours, and what lies beyond both ends."""
    finite = every_value(element).astype(F32)
    exact = np.unique(finite[np.isfinite(finite)])
    middles = (exact[1:] + exact[:-1]) / 2
    near = np.concatenate([exact, middles, np.nextafter(middles, F32(9e9)), exact * F32(1.01)])
    beyond = exact[-1] * np.array([1.03, 1.2, 2, 1e6], F32)
    special = np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1e-30, -1e-30], F32)
    return np.concatenate([near, beyond, -beyond, special])


@pytest.mark.parametrize("saturate", [1, 0])
@pytest.mark.parametrize("element", FLOAT8, **by_name)
def test_cast_to_float8(element: Element, saturate: int) -> None:
    x = around(element)
    if element.name == "f8E5M2" and not saturate:
        # ONNX Runtime gives NaN from 61440 to 65535, where ONNX's table says infinity
        x = x[(np.abs(x) < 61440) | (np.abs(x) >= 65536) | np.isnan(x)]
    attrs = {"to": element.number, "saturate": saturate}
    lowered = check_op("Cast", {"x": x}, attrs)
    assert lowered.ops == ["map"]
    signs = [np.signbit(y[0].astype(F32)) for y in (lowered.outputs, lowered.reference)]
    numbers = ~np.isnan(lowered.outputs[0].astype(F32))
    np.testing.assert_array_equal(signs[0][numbers], signs[1][numbers])
    with np.errstate(over="ignore"):
        check_op("Cast", {"x": x.astype(np.float16)}, attrs)


def test_float8e5m2_overflows_to_infinity() -> None:
    check = check_op(
        "CastLike",
        {"x": np.array([61440, -65000], ml_dtypes.bfloat16), "like": every_value(FLOAT8[2])[:1]},
        {"saturate": 0},
        opset=25,
    )
    np.testing.assert_array_equal(check.outputs[0].astype(F32), [np.inf, -np.inf])


@pytest.mark.parametrize("element", SMALL_FLOATS, **by_name)
def test_cast_to_smaller_floats(element: Element) -> None:
    check_op("Cast", {"x": around(element)}, {"to": element.number})


@pytest.mark.parametrize("round_mode", ["up", "down", "nearest"])
@pytest.mark.parametrize("saturate", [1, 0])
def test_cast_to_powers_of_two(round_mode: str, saturate: int) -> None:
    exact = 2.0 ** np.array([-149, -128, -127, -126, -1, 0, 1, 7, 126, 127])
    x = np.concatenate([exact * f for f in (1, 1.0001, 1.25, 1.5, 1.75, 1.9999)])
    special = [np.nan, np.inf, -np.inf, 0, -0.0, -1, -3, 3.4e38]
    attrs = {"to": E8M0.number, "saturate": saturate, "round_mode": round_mode}
    with np.errstate(over="ignore"):
        x = np.concatenate([x, special]).astype(F32)
    check_op("Cast", {"x": x}, attrs, opset=24)


@pytest.mark.parametrize("element", INTEGERS, **by_name)
def test_cast_to_few_bits(element: Element) -> None:
    check_op("Cast", {"x": np.arange(-40, 40, dtype=np.int32)}, {"to": element.number})
    check_op("Cast", {"x": np.arange(-40, 40, dtype=np.int64)}, {"to": element.number})
    check_op("Cast", {"x": np.arange(0, 200, dtype=np.uint8)}, {"to": element.number})
    check_op("Cast", {"x": np.array([True, False])}, {"to": element.number})
    info = ml_dtypes.iinfo(element.dtype)
    inside = np.arange(info.min, info.max + 0.49, 0.25, dtype=F32)
    check_op("Cast", {"x": inside}, {"to": element.number})
    check_op("Cast", {"x": inside.astype(np.float64)}, {"to": element.number})


@pytest.mark.parametrize("to", WIDE, ids=lambda t: np.dtype(t).name)
@pytest.mark.parametrize("element", NARROW, **by_name)
def test_cast_from_narrow(element: Element, to: Any) -> None:
    x = every_value(element)
    if np.dtype(to) == np.bool_ and element.is_float:
        # ONNX Runtime looks at the bits here: -0 is true, and 2^-127 of float8e8m0 is not
        x = x[~np.isin(x.view(np.uint8), (0, 128) if element == E8M0 else 1 << (element.bits - 1))]
    if np.dtype(to).kind in "iu":  # beyond the integer's range the result is undefined
        wide = x.astype(np.float64)
        low = 0 if np.dtype(to).kind == "u" else -200
        x = x[(wide >= low) & (wide <= 255)]
    check_op("Cast", {"x": x}, {"to": onnx_type_of(np.dtype(to))})


def _converts(element: Element, to: Element) -> bool:
    try:
        np.zeros(1, element.dtype).astype(to.dtype)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("to", NARROW, **by_name)
@pytest.mark.parametrize("element", NARROW, **by_name)
def test_cast_between_narrow(element: Element, to: Element) -> None:
    x = every_value(element)
    wide = x.astype(np.float64)
    if to == E8M0:
        x = x[(wide > 0) & (wide == 2.0 ** np.rint(np.log2(np.abs(wide) + (wide <= 0))))]
    elif not to.is_float:
        info = ml_dtypes.iinfo(to.dtype)
        x = x[(wide >= info.min) & (wide <= info.max) & (wide == np.rint(wide))]
    if (element in SMALL_FLOATS or to in SMALL_FLOATS) and not _converts(element, to):
        pytest.skip("ml_dtypes, and so the reference evaluator, has no such conversion")
    check_op("Cast", {"x": x}, {"to": to.number})


@pytest.mark.parametrize("element", [*FLOAT8, *SMALL_FLOATS, *INTEGERS], **by_name)
@pytest.mark.parametrize("axis", [None, 0, 1, "blocks"])
def test_quantise_and_back(element: Element, axis: Any) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(4, 6)).astype(F32) * 3
    shape = {None: (), 0: (4,), 1: (6,), "blocks": (4, 3)}[axis]
    attrs = (
        {} if axis is None else {"axis": 1, "block_size": 2} if axis == "blocks" else {"axis": axis}
    )
    scale = np.asarray(rng.uniform(0.2, 0.5, shape), F32)
    zero = np.zeros(shape, element.dtype)
    if not element.is_float:
        zero = np.asarray(rng.integers(0, 2, shape)).astype(element.dtype)
    quantised = check_op("QuantizeLinear", {"x": x, "s": scale, "z": zero}, attrs)
    assert quantised.ops[-1] == "map"
    check_op("QuantizeLinear", {"x": x, "s": scale, "z": zero}, attrs, constants={"s", "z"})
    codes = every_value(element)[rng.integers(0, 1 << element.bits, (4, 6))]
    back = {"x": codes, "s": scale, "z": zero}
    check_op("DequantizeLinear", back, attrs)
    check_op("DequantizeLinear", back, attrs, constants={"s", "z"})
    half = {"x": codes, "s": scale.astype(np.float16)}
    check_op("DequantizeLinear", half, attrs, rtol=1e-3)


@pytest.mark.parametrize("element", [*FLOAT8, OF_NAME["i4"]], **by_name)
def test_quantise_by_output_type(element: Element) -> None:
    x, scale = np.array([-900, -3, 0.3, 1e9], F32), np.array(0.5, F32)
    for saturate in (1, 0):
        attrs = {"output_dtype": element.number, "saturate": saturate}
        check_op("QuantizeLinear", {"x": x, "s": scale}, attrs)


def test_scales_that_are_powers_of_two() -> None:
    scale = np.array([0.5, 4]).astype(E8M0.dtype)
    codes = np.array([[6, -3], [0.5, 1]]).astype(ml_dtypes.float4_e2m1fn)
    attrs = {"axis": 0, "output_dtype": TensorProto.FLOAT}
    check_op("DequantizeLinear", {"x": codes, "s": scale}, attrs)
    attrs = {"axis": 0, "output_dtype": TensorProto.FLOAT4E2M1, "precision": TensorProto.FLOAT}
    check_op("QuantizeLinear", {"x": np.array([[6, -3], [0.5, 1]], F32), "s": scale}, attrs)


@pytest.mark.parametrize("element", NARROW, **by_name)
def test_moved_as_they_are(element: Element) -> None:
    codes = np.arange(24).reshape(2, 3, 4) % (1 << element.bits)
    x = codes.astype(np.uint8).view(element.dtype)
    check_op("Transpose", {"x": x}, {"perm": [2, 0, 1]})
    check_op("Reshape", {"x": x, "shape": np.array([6, -1])}, constants={"shape"})
    check_op("Flatten", {"x": x}, {"axis": 2})
    check_op("Pad", {"x": x, "pads": np.array([0, 1, 0, 0, 0, 2])}, constants={"pads"})
    one = np.array(1).astype(element.dtype)
    pads = {"x": x, "pads": np.array([0, 1, 0, 0, 0, 2]), "value": one}
    check_op("Pad", pads, constants={"pads", "value"})
    check_op("Identity", {"x": x[:0]})


@pytest.mark.parametrize(
    ("source", "to"),
    [("i4", "ui4"), ("ui2", "i2"), ("f8E5M2", "i8"), ("ui8", "f8E4M3FN"), ("i4", "f4E2M1FN")],
)
def test_bit_cast(source: str, to: str) -> None:
    check_op("BitCast", {"x": every_value(OF_NAME[source])}, {"to": OF_NAME[to].number})


def test_no_arithmetic_on_narrow_elements() -> None:
    for name in ("f8E5M2", "i4"):
        dtype = OF_NAME[name].dtype
        with pytest.raises(ProgramError, match="may convert"):
            function_of("addf", None, (dtype, dtype), dtype)


def test_onnx_agrees_with_the_table() -> None:
    for element in ELEMENTS:
        assert helper.tensor_dtype_to_np_dtype(element.number) == element.dtype
        name = TensorProto.DataType.Name(element.number).lower()  # type: ignore[attr-defined]
        assert name == element.onnx_name
