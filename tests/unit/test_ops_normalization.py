"""Normalisations and softmax against ONNX Runtime."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from .op_harness import NEWEST, check_op, interpret_function, lower_node, single_node

SHAPES = [(2, 6, 5), (2, 6, 4, 3), (1, 6, 2, 3, 4)]
TOLERANCE = {"f4": 1e-4, "f2": 1e-2, "f8": 1e-6}


def floats(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(dtype)


def close(dtype: str = "f4") -> dict[str, float]:
    return {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}


def statistics(dtype: str = "f4") -> dict[str, np.ndarray]:
    values = {"s": floats(3), "b": floats(3) + 1, "m": floats(3) - 1, "v": abs(floats(3)) + 0.1}
    return {name: value.astype(dtype) for name, value in values.items()}


@pytest.mark.parametrize("constants", ["s b m v", "", "s b"])
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 5), (2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_batch(shape: tuple[int, ...], constants: str) -> None:
    inputs = {"x": floats(*shape), **statistics()}
    known = constants.split()
    lowered = check_op("BatchNormalization", inputs, {"epsilon": 1e-3}, constants=known, **close())
    if len(known) == 4:
        assert lowered.ops == ["map"]


@pytest.mark.parametrize("dtype", ["f2", "f8"])
def test_batch_types(dtype: str) -> None:
    inputs = {"x": floats(2, 3, 4, dtype=dtype), **statistics(dtype)}
    check_op("BatchNormalization", inputs, constants=["s", "b", "m", "v"], **close(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 2, 4, 5)])
def test_batch_in_training(shape: tuple[int, ...], dtype: str) -> None:
    inputs = {"x": floats(*shape, dtype=dtype), **statistics(dtype)}
    attrs = {"training_mode": 1, "momentum": 0.7, "epsilon": 1e-3}
    for known in ((), ("s", "b"), ("s", "b", "m", "v")):
        check_op("BatchNormalization", inputs, attrs, 3, known, **close(dtype))
    check_op("BatchNormalization", inputs, attrs, **close(dtype))


@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
@pytest.mark.parametrize("axis", [-1, 1, 2, 0])
@pytest.mark.parametrize("constants", ["s b", ""])
def test_layer_and_rms(axis: int, dtype: str, constants: str) -> None:
    shape = (2, 3, 4)
    tail = shape[axis:]
    inputs = {"x": floats(*shape, dtype=dtype), "s": floats(*tail, dtype=dtype)}
    known = constants.split()
    bias = {"b": floats(*tail, dtype=dtype) + 1}
    for outputs in (1, 3):
        check_op(
            "LayerNormalization",
            {**inputs, **bias},
            {"axis": axis},
            outputs,
            known,
            **close(dtype),
        )
    check_op("LayerNormalization", inputs, {"axis": axis}, constants=known, **close(dtype))
    attrs = {"axis": axis, "epsilon": 1e-3}
    check_op("RMSNormalization", inputs, attrs, constants=known, **close(dtype))


def test_layer_of_bfloat16() -> None:
    dtype = ml_dtypes.bfloat16
    inputs = {"x": floats(2, 3, 4, dtype=dtype), "s": floats(4, dtype=dtype)}
    check_op("LayerNormalization", inputs, constants=["s"], rtol=2e-2, atol=2e-2)


def test_layer_is_one_norm() -> None:
    inputs = {"x": floats(2, 3, 4), "s": floats(4), "b": floats(4)}
    lowered = check_op("LayerNormalization", inputs, constants=["s", "b"], **close())
    assert lowered.ops == ["norm"]


@pytest.mark.parametrize("constants", ["s b", ""])
@pytest.mark.parametrize("shape", SHAPES)
def test_instance_and_group(shape: tuple[int, ...], constants: str) -> None:
    inputs = {"x": floats(*shape), "s": floats(6), "b": floats(6) + 1}
    known = constants.split()
    check_op("InstanceNormalization", inputs, {"epsilon": 1e-2}, constants=known, **close())
    for groups in (1, 2, 6):
        attrs = {"num_groups": groups}
        check_op("GroupNormalization", inputs, attrs, constants=known, **close())


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_lp(p: int, axis: int) -> None:
    x = floats(3, 4, 5)
    x[1] = 0
    x[:, 2] = 0
    check_op("LpNormalization", {"x": x}, {"p": p, "axis": axis}, **close())


@pytest.mark.parametrize("axes", [None, [0, -1], [1]])
def test_mean_variance(axes: list[int] | None) -> None:
    attrs = {} if axes is None else {"axes": axes}
    check_op("MeanVarianceNormalization", {"x": floats(2, 3, 4, 5) + 2}, attrs, **close())


def test_mean_variance_of_a_constant_is_zero() -> None:
    """ONNX Runtime divides 0 by 0 here, which the operator's 1e-9 is there to prevent."""
    inputs = {"x": np.full((1, 2, 3, 3), 5, np.float32)}
    model = single_node("MeanVarianceNormalization", inputs, {}, 1, NEWEST)
    module, weights, free = lower_node(model, inputs, [inputs["x"]], ())
    (function,) = module.body.block.ops
    (y,) = interpret_function(function, free, weights)  # type: ignore[arg-type]
    np.testing.assert_array_equal(y, np.zeros((1, 2, 3, 3), np.float32))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 13, 41])
def test_lrn(size: int) -> None:
    # as many samples as channels: the reference evaluator, asked for even sizes, counts them so
    attrs = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5}
    check_op("LRN", {"x": floats(6, 6, 3, 4)}, attrs, **close())


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
@pytest.mark.parametrize("dtype", ["f4", "f2", "f8"])
def test_softmax(op: str, axis: int, dtype: str) -> None:
    x = floats(2, 6, 4, 3) * 4
    tolerance = 1e-2 if dtype == "f2" else 1e-5
    lowered = check_op(op, {"x": x.astype(dtype)}, {"axis": axis}, rtol=tolerance, atol=tolerance)
    assert "softmax" in lowered.ops
