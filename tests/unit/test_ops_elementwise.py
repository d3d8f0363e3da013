"""Element-wise and cast lowerings against ONNX Runtime, over types and special values."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered
from semc.compiler.frontend.ops.elementwise import MOST_OPERANDS
from semc.dialects.body import scalar_ops
from semc.dialects.types import onnx_type_of

from .op_harness import check_op

F32, F16, F64 = np.float32, np.float16, np.float64
BF16 = ml_dtypes.bfloat16
INTS = (np.int8, np.int16, np.int32, np.int64)
UINTS = (np.uint8, np.uint16, np.uint32, np.uint64)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-30, 88.0, -88.0, 1000.0, -1000.0], F32)


def floats(shape: tuple[int, ...] = (3, 40), dtype: Any = F32, scale: float = 3.0) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(shape) * scale).astype(dtype)


def integers(dtype: Any, shape: tuple[int, ...] = (4, 9), low: int | None = None) -> np.ndarray:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(np.dtype(dtype).num)
    start = info.min if low is None else low
    return rng.integers(start, info.max, shape, dtype, endpoint=True)


def tolerance(dtype: Any) -> dict[str, float]:
    return {F16: {"rtol": 2e-3, "atol": 2e-3}, BF16: {"rtol": 1e-2, "atol": 1e-2}}.get(dtype, {})


REAL = [
    *("Floor", "Ceil", "Round", "Sqrt", "Exp", "Log", "Erf", "Sin", "Cos", "Tan", "Asin", "Acos"),
    *("Atan", "Sinh", "Cosh", "Tanh", "Asinh", "Acosh", "Atanh", "Sigmoid", "Softplus", "Softsign"),
    *("HardSwish", "Mish", "Relu", "Neg", "Abs", "Sign", "Reciprocal"),
]
ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("LeakyRelu", {}),
    ("LeakyRelu", {"alpha": 0.3}),
    ("ThresholdedRelu", {"alpha": 0.7}),
    ("Elu", {"alpha": 1.5}),
    ("Celu", {"alpha": 1.5}),
    ("Selu", {}),
    ("HardSigmoid", {}),
    ("HardSigmoid", {"alpha": 0.4, "beta": 0.6}),
    ("Swish", {}),
    ("Swish", {"alpha": 1.7}),
    ("Gelu", {}),
    ("Gelu", {"approximate": "tanh"}),
    ("Shrink", {"lambd": 1.0, "bias": 0.5}),
]


@pytest.mark.parametrize("op", REAL)
def test_real_functions(op: str) -> None:
    lowered = check_op(op, {"x": floats()})
    assert lowered.ops == ["map"]


@pytest.mark.parametrize("op", REAL)
def test_real_functions_of_special_values(op: str) -> None:
    check_op(op, {"x": SPECIAL})


@pytest.mark.parametrize("dtype", [F16, BF16, F64])
@pytest.mark.parametrize(
    "op", ["Exp", "Sqrt", "Sigmoid", "Softplus", "Mish", "Round", "Neg", "Erf"]
)
def test_real_functions_of_other_floats(op: str, dtype: Any) -> None:
    x = np.abs(floats((5, 7), scale=1.0)).astype(dtype)
    check_op(op, {"x": x}, **tolerance(dtype))


@pytest.mark.parametrize(("op", "attrs"), ACTIVATIONS)
def test_activations(op: str, attrs: dict[str, Any]) -> None:
    check_op(op, {"x": floats()}, attrs)
    # ONNX Runtime's own Swish and Gelu are not defined at infinity (0 * inf)
    finite = SPECIAL[np.isfinite(SPECIAL)]
    check_op(op, {"x": finite}, attrs)


@pytest.mark.parametrize(("op", "attrs"), ACTIVATIONS)
def test_activations_in_half(op: str, attrs: dict[str, Any]) -> None:
    check_op(op, {"x": floats((20,), F16)}, attrs, **tolerance(F16))


def test_softplus_and_mish_do_not_overflow() -> None:
    x = np.array([500.0, 100.0, 30.0, -30.0, -100.0], F32)
    softplus = check_op("Softplus", {"x": x}).outputs[0]
    assert softplus[0] == 500
    assert softplus[3] > 9e-14
    assert np.isfinite(check_op("Mish", {"x": x}).outputs[0]).all()


def test_swiglu() -> None:
    check_op("SwiGLU", {"a": floats(), "b": floats() + 1}, {"alpha": 1.2})


ARITHMETIC = ("Add", "Sub", "Mul", "Div")


@pytest.mark.parametrize("dtype", [F32, F16, BF16, F64, *INTS, *UINTS])
@pytest.mark.parametrize("op", ARITHMETIC)
def test_arithmetic(op: str, dtype: Any) -> None:
    if dtype in (F32, F16, BF16, F64):
        x, y = floats((4, 9), dtype), floats((9,), dtype) + dtype(3)
    else:
        x, y = integers(dtype), integers(dtype, (9,), 1)
    check_op(op, {"x": x, "y": y}, **tolerance(dtype))


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_integer_division_signs(op: str) -> None:
    x = np.array([7, -7, 7, -7, 6, -6, 0, 5], np.int32)
    y = np.array([3, 3, -3, -3, 3, -3, 4, -5], np.int32)
    check_op(op, {"x": x, "y": y})


@pytest.mark.parametrize("dtype", [*INTS, *UINTS])
@pytest.mark.parametrize("fmod", [0, 1])
def test_integer_mod(dtype: Any, fmod: int) -> None:
    y = integers(dtype, (9,), 1)
    check_op("Mod", {"x": integers(dtype), "y": y}, {"fmod": fmod})
    if np.dtype(dtype).kind == "i":
        check_op("Mod", {"x": integers(dtype), "y": -y}, {"fmod": fmod})


@pytest.mark.parametrize("dtype", [F32, F16, F64])
def test_float_mod(dtype: Any) -> None:
    inputs = {"x": floats((4, 9), dtype), "y": floats((9,), dtype) + dtype(0.5)}
    if "remf" in scalar_ops():
        check_op("Mod", inputs, {"fmod": 1}, **tolerance(dtype))
    else:
        with pytest.raises(NotLowered, match="remainder"):
            check_op("Mod", inputs, {"fmod": 1})


def test_broadcast_both_ways_and_scalars() -> None:
    check_op("Add", {"x": floats((2, 1, 3)), "y": floats((4, 1))})
    check_op("Mul", {"x": floats(()), "y": floats((4, 1))})
    check_op("Add", {"x": floats(()), "y": floats(())})
    check_op("Add", {"x": floats((0, 3)), "y": floats((3,))})


@pytest.mark.parametrize("dtype", [F32, np.int64, np.uint8, BF16])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_single_constants_become_immediates(dtype: Any, shape: tuple[int, ...]) -> None:
    x = floats((4, 3)).astype(dtype) if dtype in (F32, BF16) else integers(dtype, (4, 3))
    y = np.full(shape, 3).astype(dtype)
    lowered = check_op("Mul", {"x": x, "y": y}, constants={"y"}, **tolerance(dtype))
    (function,) = lowered.module.body.block.ops
    (used,) = [op for op in function.regions[0].block.ops if op.name == "graph.map"]
    assert len(used.operands) == 1
    check_op("Div", {"y": y, "x": np.maximum(x, dtype(1))}, constants={"y"}, **tolerance(dtype))


def test_only_constants() -> None:
    check_op("Add", {"x": floats((1, 1)), "y": floats(())}, constants={"x", "y"})
    check_op("Add", {"x": floats((5, 5)), "y": floats((5,))}, constants={"x", "y"})


def test_special_constants() -> None:
    for value in SPECIAL:
        check_op("Add", {"x": floats((3,)), "y": value.reshape(())}, constants={"y"})


@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_variadic(op: str, count: int) -> None:
    shapes = [(3, 4), (4,), (1, 4), (3, 1), ()]
    inputs = {f"x{i}": floats(shapes[i]) + i for i in range(count)}
    assert len(check_op(op, inputs).ops) == (count > 1)


@pytest.mark.parametrize("dtype", [F32, F16])
@pytest.mark.parametrize("op", ["Max", "Min", "Sum", "Mean"])
def test_more_operands_than_one_map_takes(op: str, dtype: Any) -> None:
    shapes = [(3, 4), (4,), (1, 4), (3, 1), ()]
    values = floats((150, 3, 4), dtype, 0.2)
    inputs = {f"x{i}": np.resize(values[i], shapes[i % 5]) for i in range(150)}
    bounds = tolerance(dtype) or {"rtol": 1e-5, "atol": 1e-6}
    checked = check_op(op, inputs, **bounds)
    assert len(checked.ops) - 151 * (dtype == F16) == -(-149 // (MOST_OPERANDS - 1))


@pytest.mark.parametrize("dtype", [F16, F64, np.int32, np.int64, np.uint32, np.uint64, np.int8])
@pytest.mark.parametrize("op", ["Max", "Min"])
def test_extremes_of_types(op: str, dtype: Any) -> None:
    x = floats((4, 9), dtype) if dtype in (F16, F64) else integers(dtype)
    check_op(op, {"x": x, "y": x[::-1].copy()})


@pytest.mark.parametrize("op", ["Max", "Min"])
def test_extremes_keep_nan(op: str) -> None:
    one = np.ones_like(SPECIAL)
    assert np.isnan(check_op(op, {"x": SPECIAL, "y": one}).outputs[0][0])
    assert np.isnan(check_op(op, {"y": one, "x": SPECIAL}).outputs[0][0])


def test_relu_and_clip_keep_nan() -> None:
    bounds = {"low": np.array(-1, F32), "high": np.array(2, F32)}
    assert np.isnan(check_op("Relu", {"x": SPECIAL}).outputs[0][0])
    assert np.isnan(check_op("Clip", {"x": SPECIAL, **bounds}).outputs[0][0])


@pytest.mark.parametrize("dtype", [F32, F16, F64, np.int8, np.int64, np.uint8, np.uint64, np.int32])
@pytest.mark.parametrize("bounds", [(1, 5), (1, None), (None, 5), (None, None), (5, 1)])
@pytest.mark.parametrize("fixed", [True, False])
def test_clip(dtype: Any, bounds: tuple[int | None, int | None], fixed: bool) -> None:
    x = floats((4, 9), dtype) if dtype in (F32, F16, F64) else integers(dtype)
    low, high = (None if v is None else np.array(v, dtype) for v in bounds)
    names = {"low", "high"} if fixed else set()
    check_op("Clip", {"x": x, "low": low, "high": high}, constants=names)


@pytest.mark.parametrize("dtype", [F32, F16, F64, *INTS, *UINTS])
@pytest.mark.parametrize("op", ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
def test_comparisons(op: str, dtype: Any) -> None:
    x = floats((4, 9), dtype) if dtype in (F32, F16, F64) else integers(dtype)
    y = x[:, ::-1].copy()
    y[0] = x[0]
    check_op(op, {"x": x, "y": y})


@pytest.mark.parametrize("op", ["Equal", "Less", "GreaterOrEqual"])
def test_comparisons_with_nan(op: str) -> None:
    check_op(op, {"x": SPECIAL, "y": SPECIAL[::-1].copy()})
    check_op(op, {"x": SPECIAL, "y": SPECIAL})


@pytest.mark.parametrize("op", ["And", "Or", "Xor", "Equal"])
def test_logic(op: str) -> None:
    x, y = np.array([[False], [True]]), np.array([False, True])
    check_op(op, {"x": x, "y": y})
    check_op(op, {"x": x, "y": np.array(True)}, constants={"y"})


def test_not() -> None:
    check_op("Not", {"x": np.array([False, True])})


@pytest.mark.parametrize("dtype", [*INTS, *UINTS])
def test_bitwise(dtype: Any) -> None:
    x, y = integers(dtype), integers(dtype, (9,))
    for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor"):
        check_op(op, {"x": x, "y": y})
    check_op("BitwiseNot", {"x": x})


@pytest.mark.parametrize("dtype", UINTS)
@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_bit_shift(dtype: Any, direction: str) -> None:
    x, y = integers(dtype), (np.arange(9) % 8).astype(dtype)
    check_op("BitShift", {"x": x, "y": y}, {"direction": direction})


@pytest.mark.parametrize("dtype", [*INTS, *UINTS])
@pytest.mark.parametrize("op", ["Abs", "Sign"])
def test_integer_sizes(op: str, dtype: Any) -> None:
    check_op(op, {"x": np.append(integers(dtype), [0]).astype(dtype)})


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64])
def test_integer_relu_and_neg(dtype: Any) -> None:
    check_op("Relu", {"x": integers(dtype)})
    check_op("Neg", {"x": integers(dtype)})


@pytest.mark.parametrize("dtype", [F32, F16, F64, np.int32, np.uint32, np.int64, np.uint64])
def test_prelu(dtype: Any) -> None:
    x = floats((2, 3, 4), dtype) if np.dtype(dtype).kind == "f" else integers(dtype, (2, 3, 4)) // 4
    slope = np.array([[2], [3], [0]], dtype)
    check_op("PRelu", {"x": x, "slope": slope}, constants={"slope"}, **tolerance(dtype))
    check_op("PRelu", {"x": x, "slope": slope}, **tolerance(dtype))


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0, 3.0, -1.0, 2.5])
@pytest.mark.parametrize("fixed", [True, False])
def test_pow(exponent: float, fixed: bool) -> None:
    x = np.abs(floats()) if exponent % 1 else floats()
    check_op("Pow", {"x": x, "y": np.array(exponent, F32)}, constants={"y"} if fixed else ())


def test_pow_of_mixed_types() -> None:
    base, power = np.array([3, -2, 1, -1, 10], np.int64), np.array([2, 3, 5, 3, 0], np.int32)
    check_op("Pow", {"x": base, "y": power})
    check_op("Pow", {"x": base.astype(np.int32), "y": power.astype(F32)})
    check_op("Pow", {"x": base.astype(F32), "y": power.astype(np.int64)})
    check_op("Pow", {"x": base.astype(np.int32), "y": np.array(2, np.int64)}, constants={"y"})
    check_op("Pow", {"x": np.array([2, 3, 4], np.int32), "y": np.array([-1, 0, 1], np.int32)})
    check_op("Pow", {"x": SPECIAL, "y": np.array(2, F32)}, constants={"y"})


@pytest.mark.parametrize("dtype", [F32, F64, np.int32, np.int8, np.uint8])
def test_shrink_of_types(dtype: Any) -> None:
    x = floats((20,), dtype) if np.dtype(dtype).kind == "f" else integers(dtype) // 16
    check_op("Shrink", {"x": x}, {"lambd": 1.5, "bias": 1.5})


@pytest.mark.parametrize("dtype", [F32, F16, F64])
def test_not_finite(dtype: Any) -> None:
    x = SPECIAL.astype(dtype)
    check_op("IsNaN", {"x": x})
    for positive in (0, 1):
        for negative in (0, 1):
            check_op("IsInf", {"x": x}, {"detect_positive": positive, "detect_negative": negative})


@pytest.mark.parametrize("dtype", [F32, F16, np.int64, np.uint8, np.bool_])
def test_where(dtype: Any) -> None:
    condition = np.array([[True], [False], [True]])
    x, y = (np.arange(12).reshape(3, 4) % 3).astype(dtype), np.ones((4,), dtype)
    check_op("Where", {"c": condition, "x": x, "y": y})
    zero = np.zeros((), dtype)
    check_op("Where", {"c": condition, "x": x, "y": zero}, constants={"y"})
    check_op("Where", {"c": condition, "x": zero, "y": zero + dtype(1)}, constants={"x", "y"})
    check_op("Where", {"c": np.array(True), "x": x, "y": zero}, constants={"c"})


ALL = (F32, F16, F64, np.bool_, *INTS, *UINTS)


@pytest.mark.parametrize("to", ALL)
@pytest.mark.parametrize("source", ALL)
def test_cast(source: Any, to: Any) -> None:
    x = np.array([0, 1, 2, 3, 100, 127], source)
    if np.dtype(source).kind == "f":
        x = np.array([0, 0.5, 1.9, 2.5, 100, 127], source)
    if np.dtype(source).kind in "if" and np.dtype(to).kind in "if":
        x = np.concatenate([x, -x])
    check_op("Cast", {"x": x}, {"to": onnx_type_of(np.dtype(to))})


@pytest.mark.parametrize("other", [F32, F16, np.int32, np.bool_])
def test_cast_of_bfloat16(other: Any) -> None:
    x = np.array([0, 1, -2, 3.14159, 100.4]).astype(BF16)
    check_op("Cast", {"x": x}, {"to": onnx_type_of(np.dtype(other))})
    check_op("Cast", {"x": x.astype(other)}, {"to": onnx_type_of(np.dtype(BF16))})


def test_narrowing_wraps() -> None:
    x = np.array([300, -300, 2**31, -(2**40) + 7], np.int64)
    for to in (2, 3, 6, 12):
        check_op("Cast", {"x": x}, {"to": to})


def test_cast_like() -> None:
    check_op("CastLike", {"x": floats(), "like": np.zeros((1,), np.int32)})
    check_op("CastLike", {"x": np.array([0, 2], np.int8), "like": np.zeros((1,), np.bool_)})


@pytest.mark.parametrize(
    ("source", "to"), [(F32, np.int32), (np.uint32, F32), (np.int8, np.uint8), (F16, np.uint16)]
)
def test_bit_cast(source: Any, to: Any) -> None:
    x = np.array([0, 1, 2, 100], source)
    check_op("BitCast", {"x": x}, {"to": onnx_type_of(np.dtype(to))})
