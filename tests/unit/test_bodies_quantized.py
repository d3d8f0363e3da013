"""Operators of ONNX Runtime's QOperator format against ONNX Runtime, within one code."""

from typing import Any

import numpy as np
import pytest

from .body_harness import check_foreign

F32 = np.float32
CODES = [np.uint8, np.int8]
rng = np.random.default_rng(8)


def codes(dtype: Any, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def scale(value: float) -> np.ndarray:
    return np.array(value, F32)


def check(op: str, inputs: dict[str, Any], attrs: dict[str, Any], dtype: Any, moving: str):
    constants = [name for name in inputs if name not in moving.split()]
    return check_foreign(op, inputs, attrs, [dtype], constants, atol=1)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
def test_two_operands(op: str, dtype: Any) -> None:
    def zero(value: int) -> np.ndarray:
        return np.array(value, dtype)

    inputs = {
        "a": codes(dtype, 2, 3, 4), "a_scale": scale(0.02), "a_zero": zero(7),
        "b": codes(dtype, 3, 1), "b_scale": scale(0.03), "b_zero": zero(100),
        "c_scale": scale(0.04), "c_zero": zero(50),
    }  # fmt: skip
    check(op, inputs, {}, dtype, "a b")


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("QLinearSigmoid", {}),
        ("QLinearLeakyRelu", {"alpha": 0.2}),
        ("QLinearSoftmax", {"axis": 1, "opset": 13}),
        ("QLinearSoftmax", {"axis": 1, "opset": 11}),
        ("QLinearGlobalAveragePool", {}),
        ("QLinearGlobalAveragePool", {"channels_last": 1}),
        ("QLinearAveragePool", {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]}),
        ("QLinearAveragePool", {"kernel_shape": [2, 2], "channels_last": 1}),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "ceil_mode": 1, "strides": [2, 2]}),
    ],
)
def test_one_operand(op: str, attrs: dict[str, Any], dtype: Any) -> None:
    inputs = {
        "x": codes(dtype, 2, 3, 6, 7), "x_scale": scale(0.05), "x_zero": np.array(11, dtype),
        "y_scale": scale(0.006), "y_zero": np.array(-20 % 100, dtype),
    }  # fmt: skip
    check(op, inputs, attrs, dtype, "x")


@pytest.mark.parametrize("dtype", CODES)
def test_concat(dtype: Any) -> None:
    inputs: dict[str, Any] = {"scale": scale(0.04), "zero": np.array(3, dtype)}
    for i, n in enumerate((2, 1, 4)):
        inputs[f"x{i}"] = codes(dtype, 2, n)
        inputs[f"scale{i}"] = scale(0.03 + i / 100)
        inputs[f"zero{i}"] = np.array(5 * i, dtype)
    check("QLinearConcat", inputs, {"axis": 1}, dtype, "x0 x1 x2")


@pytest.mark.parametrize("per_column", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("floats", [True, False])
def test_gemm(dtype: Any, bias: bool, per_column: bool, floats: bool) -> None:
    b_scale = rng.uniform(0.01, 0.03, 5).astype(F32) if per_column else scale(0.02)
    inputs = {
        "a": codes(dtype, 4, 7), "a_scale": scale(0.02), "a_zero": np.array(9, dtype),
        "b": codes(np.int8, 5, 7), "b_scale": b_scale,
        "b_zero": np.zeros(b_scale.shape, np.int8),
        "c": rng.integers(-999, 999, 5).astype(np.int32) if bias else None,
        "y_scale": None if floats else scale(0.3), "y_zero": None if floats else np.array(9, dtype),
    }  # fmt: skip
    while list(inputs.values())[-1] is None:
        inputs.popitem()
    attrs = {"transB": 1, "alpha": 1.0}
    done = check("QGemm", inputs, attrs, F32 if floats else dtype, "a")
    assert "linear" in done.ops
    if floats:
        np.testing.assert_allclose(done.outputs[0], done.reference[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_integer_products_to_floats(bias: bool) -> None:
    own = rng.normal(size=5).astype(F32) if bias else None
    inputs = {
        "a": codes(np.uint8, 2, 4, 7), "b": codes(np.int8, 7, 5),
        "a_scale": scale(0.02), "b_scale": rng.uniform(0.01, 0.03, 5).astype(F32),
        "a_zero": np.array(9, np.uint8), "b_zero": np.zeros(5, np.int8), "bias": own,
    }  # fmt: skip
    fixed = ["b", "b_scale", "b_zero", "bias"]
    check_foreign("MatMulIntegerToFloat", inputs, {}, constants=fixed, atol=1e-4)


@pytest.mark.parametrize("bias", [True, False])
def test_products_quantised_while_running(bias: bool) -> None:
    inputs = {
        "a": rng.normal(size=(2, 4, 7)).astype(F32), "b": codes(np.int8, 7, 5),
        "b_scale": scale(0.02), "b_zero": np.array(3, np.int8),
        "bias": rng.normal(size=5).astype(F32) if bias else None,
    }  # fmt: skip
    fixed = ["b", "b_scale", "b_zero", "bias"]
    done = check_foreign("DynamicQuantizeMatMul", inputs, {}, constants=fixed, atol=1e-4)
    assert "linear" in done.ops


@pytest.mark.parametrize("axis", [0, 1])
def test_codes_along_an_axis(axis: int) -> None:
    x = rng.normal(size=(3, 4)).astype(F32)
    steps = rng.uniform(0.01, 0.03, x.shape[axis]).astype(F32)
    zeros = np.full(steps.shape, 100, np.uint8)
    inputs = {"x": x, "scale": steps, "zero": zeros}
    check("QuantizeLinear", inputs, {"axis": axis}, np.uint8, "x")
    inputs["x"] = codes(np.uint8, 3, 4)
    check_foreign("DequantizeLinear", inputs, {"axis": axis}, constants=["scale", "zero"])
