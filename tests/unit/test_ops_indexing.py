"""Lowerings of gathers, scatters and quantisation against ONNX Runtime."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from semc.dialects.types import onnx_type_of
from semc.errors import ProgramError
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import check_op

F32, I64 = np.float32, np.int64


def ramp(*shape: int, dtype: Any = F32) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def floats(*shape: int, dtype: Any = F32) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(shape) * 3).astype(dtype)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("indices", [0, -1, [0, 1], [1, 0], [[0, 1], [-1, 0]], [], [1, 1, 0]])
@pytest.mark.parametrize("fixed", [True, False])
def test_gather(axis: int, indices: Any, fixed: bool) -> None:
    inputs = {"x": ramp(2, 3, 4), "i": np.array(indices, I64)}
    check_op("Gather", inputs, {"axis": axis}, constants={"i"} if fixed else ())


@pytest.mark.parametrize(
    ("indices", "op"),
    [(2, "view"), ([1, 3, 5], "view"), ([5, 4, 3], "view"), ([-1], "view"), ([0, 1, 3], "gather")],
)
def test_gather_of_a_constant_run_is_a_view(indices: Any, op: str) -> None:
    inputs = {"x": ramp(2, 6, 3), "i": np.array(indices, np.int32)}
    assert check_op("Gather", inputs, {"axis": 1}, constants={"i"}).ops == [op]


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.bool_, np.float64])
def test_gather_of_types(dtype: Any) -> None:
    check_op("Gather", {"x": ramp(4, 3, dtype=dtype), "i": np.array([2, 0, -4])})


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_elements(axis: int) -> None:
    indices = np.array([[0, 1, 1], [1, -1, 0]], I64)
    check_op("GatherElements", {"x": ramp(3, 3), "i": indices}, {"axis": axis})
    check_op("GatherElements", {"x": ramp(3, 3), "i": indices}, {"axis": axis}, constants={"i"})


@pytest.mark.parametrize(
    ("batch", "indices"),
    [
        (0, [[0, 1], [1, 0]]),
        (0, [[1], [-1]]),
        (0, [[[0, 0, 1]], [[1, 2, 3]]]),
        (1, [[1], [2]]),
        (1, [[[0, 1], [1, 3]], [[2, 0], [0, -1]]]),
        (2, [[[0], [1], [2]], [[3], [2], [1]]]),
    ],
)
def test_gather_nd(batch: int, indices: Any) -> None:
    inputs = {"x": ramp(2, 3, 4), "i": np.array(indices, I64)}
    check_op("GatherND", inputs, {"batch_dims": batch})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scatter_elements(reduction: str, axis: int) -> None:
    inputs = {
        "x": floats(3, 4),
        "i": np.array([[0, 1, 2], [2, -1, 1]], I64),
        "u": floats(2, 3) + 1,
    }
    if reduction != "none":
        inputs["i"] = np.array([[0, 0, 2], [2, -1, 0]], I64)
    check_op("ScatterElements", inputs, {"axis": axis, "reduction": reduction})


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", [F32, np.int32, np.float64])
def test_scatter_nd(reduction: str, dtype: Any) -> None:
    again = 2 if reduction == "none" else 1
    inputs = {
        "x": floats(4, 3, 2, dtype=dtype),
        "i": np.array([[1, 0], [-1, 2], [again, 0]], I64),
        "u": floats(3, 2, dtype=dtype),
    }
    check_op("ScatterND", inputs, {"reduction": reduction})
    whole = {"x": inputs["x"], "i": np.array([[1], [3]], I64), "u": floats(2, 3, 2, dtype=dtype)}
    check_op("ScatterND", whole, {"reduction": reduction})


@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [-2, 1, -1])
def test_tensor_scatter(mode: str, axis: int) -> None:
    update = (2, 2, 3, 5) if axis == -2 else (2, 1, 4, 5) if axis == 1 else (2, 2, 4, 2)
    starts = np.array([1, 0], I64)
    if mode == "circular":
        starts = np.array([7, 2], I64)
    inputs = {"cache": floats(2, 2, 4, 5), "update": ramp(*update), "start": starts}
    check_op("TensorScatter", inputs, {"mode": mode, "axis": axis})
    check_op("TensorScatter", {**inputs, "start": None}, {"mode": mode, "axis": axis})


CODES = (np.int8, np.uint8, np.int16, np.uint16)


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("zero", [True, False])
def test_quantize_per_tensor(dtype: Any, zero: bool) -> None:
    info = np.iinfo(dtype)
    origin = np.array(info.max // 3, dtype)
    scale = np.array(12 / (info.max - info.min), F32)
    x = np.concatenate([floats(200), [100, -100, 0, 0.5 * scale, 1.5 * scale, 2.5 * scale]])
    inputs = {"x": x.astype(F32), "s": scale, "z": origin if zero else None}
    attrs = {} if zero else {"output_dtype": onnx_type_of(np.dtype(dtype))}
    lowered = check_op("QuantizeLinear", inputs, attrs, constants={"s", "z"})
    assert lowered.ops == ["map"]
    check_op("QuantizeLinear", inputs, attrs)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_quantize_per_axis(axis: int) -> None:
    size = (3, 4, 5)[axis]
    inputs = {
        "x": floats(3, 4, 5),
        "s": np.linspace(0.01, 0.05, size).astype(F32),
        "z": ramp(size, dtype=np.uint8),
    }
    check_op("QuantizeLinear", inputs, {"axis": axis}, constants={"s", "z"})


@pytest.mark.parametrize("block", [2, 3])
def test_quantize_blocks(block: int) -> None:
    scale = np.linspace(0.01, 0.05, 3 * -(-6 // block) * 2).reshape(3, -1, 2).astype(F32)
    inputs = {"x": floats(3, 6, 2), "s": scale, "z": (scale * 100).astype(np.int8)}
    attrs = {"axis": 1, "block_size": block}
    check_op("QuantizeLinear", inputs, attrs, constants={"s", "z"})
    codes = (floats(3, 6, 2) * 20).astype(np.int8)
    check_op("DequantizeLinear", {**inputs, "x": codes}, attrs, constants={"s", "z"})
    assert check_op("DequantizeLinear", {**inputs, "x": codes}, attrs, constants="xsz").ops == []


def test_blocks_that_do_not_divide() -> None:
    inputs = {"x": ramp(7, 2, dtype=np.int8), "s": ramp(3, 2) + 1, "z": ramp(3, 2, dtype=np.int8)}
    for constants in ("sz", "xsz"):
        check_op("DequantizeLinear", inputs, {"axis": 0, "block_size": 3}, constants=constants)


@pytest.mark.parametrize("dtype", [*CODES, np.int32])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_dequantize(dtype: Any, axis: int | None) -> None:
    info = np.iinfo(dtype)
    x = np.random.default_rng(2).integers(info.min, info.max, (3, 4), dtype, endpoint=True)
    size = () if axis is None else (x.shape[axis],)
    zero = None if dtype == np.int32 else np.full(size, info.max // 3, dtype)
    inputs = {"x": x, "s": np.full(size, 0.25, F32) + ramp(*size) / 8, "z": zero}
    for constants in ("", "xsz"):
        check_op("DequantizeLinear", inputs, {} if axis is None else {"axis": axis}, 1, constants)


def test_quantisation_in_half() -> None:
    x, scale = floats(3, 4, dtype=np.float16), np.array(0.05, np.float16)
    check_op("QuantizeLinear", {"x": x, "s": scale, "z": np.array(3, np.int8)})
    codes = ramp(3, 4, dtype=np.uint8)
    inputs = {"x": codes, "s": scale, "z": np.array(3, np.uint8)}
    for constants in ("", "xsz"):
        check_op("DequantizeLinear", inputs, {}, 1, constants)


def test_dequantize_to_bfloat16() -> None:
    scale = np.array(0.05).astype(ml_dtypes.bfloat16)
    codes = {"x": ramp(3, 4, dtype=np.int8), "s": scale}
    check_op("DequantizeLinear", codes, rtol=1e-2)


@pytest.mark.parametrize("offset", [-20.0, 0.0, 20.0])
def test_dynamic_quantize(offset: float) -> None:
    check_op("DynamicQuantizeLinear", {"x": floats(6, 7) + F32(offset)}, n_outputs=3)


def test_dynamic_quantize_of_zeros() -> None:
    check_op("DynamicQuantizeLinear", {"x": np.zeros((2, 3), F32)}, n_outputs=3)


def test_computed_positions_out_of_range_are_refused() -> None:
    lowered = check_op("Gather", {"x": ramp(4, 3), "i": np.array([2, 0])})
    (function,) = lowered.module.body.block.ops
    with pytest.raises(ProgramError, match="index"):
        interpret_function(function, [ramp(4, 3), np.array([4, 0])], {})
