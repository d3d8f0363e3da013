"""TopK, Compress and NonZero against ONNX Runtime."""

import numpy as np
import pytest

from semc.runtime.interpret.interpret import interpret_function

from .op_harness import check_op, lower_node, run_reference, single_node

TYPES = [np.float32, np.float64, np.float16, np.int64, np.int32, np.int8, np.uint8]


def top_k(x: np.ndarray, k: int, **attrs: int):
    return check_op("TopK", {"x": x, "k": np.array([k])}, attrs, 2, constants=["k"])


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("largest", [0, 1])
def test_values_and_positions(dtype: type, largest: int) -> None:
    x = np.random.default_rng(1).integers(0, 9, (3, 17)).astype(dtype)
    done = top_k(x, 5, largest=largest)
    assert done.ops == ["argsort", "gather"]


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_axes_and_counts(axis: int, k: int) -> None:
    x = np.random.default_rng(2).normal(size=(3, 4, 5)).astype(np.float32)
    top_k(x, k, axis=axis)


@pytest.mark.parametrize("largest", [0, 1])
def test_infinities_nan_and_the_lowest_integers(largest: int) -> None:
    x = np.array([np.nan, 1, -np.inf, np.inf, np.nan, 2, 0], np.float32)
    done = top_k(x, 7, largest=largest)
    assert np.isnan(done.outputs[0][[0, 1] if largest else [5, 6]]).all()
    top_k(np.array([np.iinfo(np.int64).min, 3, np.iinfo(np.int64).max]), 3, largest=largest)


def test_unsorted_holds_the_same_elements() -> None:
    x = np.random.default_rng(3).permutation(64).astype(np.float32)
    inputs = {"x": x, "k": np.array([9])}
    model = single_node("TopK", inputs, {"sorted": 0}, 2, 24)
    reference = run_reference(model, list(inputs.values()))
    module, weights, free = lower_node(model, inputs, reference, ["k"])
    (function,) = module.body.block.ops
    values, positions = interpret_function(function, free, weights)
    np.testing.assert_array_equal(x[positions], values)
    np.testing.assert_array_equal(np.sort(values), np.sort(reference[0]))


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("condition", [[0, 1, 1], [1, 1], [0, 0], [1]])
def test_compress(axis: int | None, condition: list[int]) -> None:
    x = np.arange(9, dtype=np.int64).reshape(3, 3)
    attrs = {} if axis is None else {"axis": axis}
    check_op("Compress", {"x": x, "condition": np.array(condition, bool)}, attrs)


@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_, np.int32])
def test_non_zero(shape: tuple[int, ...], dtype: type) -> None:
    x = np.random.default_rng(4).integers(0, 2, shape).astype(dtype)
    check_op("NonZero", {"x": x})
