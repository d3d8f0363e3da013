"""Pools against ONNX Runtime: geometry, ceil mode, what counts as a position."""

from typing import Any

import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator

from semc.compiler.frontend.lowering import NotLowered
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import check_op, lower_node, single_node

SPACES = {1: (9,), 2: (8, 7), 3: (5, 6, 5)}


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def geometries(rank: int, how: str) -> list[dict[str, Any]]:
    found = []
    for stride, dilation in ((1, 1), (2, 1), (2, 2), (3, 1)):
        if how.startswith("SAME") and (dilation > 1 or stride > 2):
            continue  # ONNX Runtime pads by another rule, or refuses
        attrs: dict[str, Any] = {
            "kernel_shape": (3, 2, 2)[:rank],
            "strides": [stride] * rank,
            "dilations": [dilation] * rank,
        }
        if how == "pads":
            attrs["pads"] = [*[1, 0, 1][:rank], *[1, 1, 0][:rank]]
        elif how != "none":
            attrs["auto_pad"] = how
        found.append(attrs)
    return found


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("how", ["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pools(rank: int, how: str, ceil: int) -> None:
    inputs = {"X": floats(2, 3, *SPACES[rank])}
    for geometry in geometries(rank, how):
        attrs = {**geometry, "ceil_mode": ceil}
        check_op("MaxPool", inputs, attrs)
        for include in (0, 1):
            check_op("AveragePool", inputs, {**attrs, "count_include_pad": include})
        if rank < 3:
            for p in (1, 2, 3) if rank == 1 else (2,):
                check_op("LpPool", inputs, {**attrs, "p": p}, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["i1", "u1", "f8"])
def test_max_types(dtype: str) -> None:
    x = (floats(1, 2, 6, 6) * 50 - 60 * (dtype == "i1")).clip(-128, 127)
    x = abs(x) if dtype == "u1" else x
    check_op("MaxPool", {"X": x.astype(dtype)}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})


def test_one_window_each() -> None:
    x = {"X": floats(1, 2, 6, 6)}
    assert check_op("MaxPool", x, {"kernel_shape": [2, 2]}).ops == ["window"]
    assert check_op("AveragePool", x, {"kernel_shape": [2, 2]}).ops == ["window"]


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("how", ["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_positions_of_the_largest(rank: int, how: str, order: int) -> None:
    x = np.random.default_rng(rank).integers(0, 5, (2, 3, *SPACES[rank])).astype(np.float32)
    for geometry in geometries(rank, how):
        for ceil in (0, 1):
            attrs = {**geometry, "storage_order": order, "ceil_mode": ceil}
            check_op("MaxPool", {"X": x}, attrs, n_outputs=2)


@pytest.mark.parametrize("dtype", ["i1", "u1", "f8", "f2"])
def test_the_lowest_number_wins_against_padding(dtype: str) -> None:
    kind = np.dtype(dtype)
    lowest = -np.inf if kind.kind == "f" else np.iinfo(kind).min
    attrs = {"kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}
    check_op("MaxPool", {"X": np.full((1, 1, 2, 2), lowest, dtype)}, attrs, n_outputs=2)


def test_unpooling() -> None:
    x = floats(2, 3, 6, 8)
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2]}
    values, positions = check_op("MaxPool", {"X": x}, attrs, n_outputs=2).outputs
    done = check_op("MaxUnpool", {"X": values, "I": positions}, attrs)
    assert done.outputs[0].shape == x.shape


def test_unpooling_to_a_larger_output_fills_up_with_zeros() -> None:
    """As in onnx: ONNX Runtime reads the positions as those of the larger output."""
    x = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    positions = np.array([[[[5, 7], [13, 15]]]])
    inputs = {"X": x, "I": positions, "shape": np.array([1, 1, 5, 6])}
    model = single_node("MaxUnpool", inputs, {"kernel_shape": [2, 2], "strides": [2, 2]}, 1, 22)
    expected = ReferenceEvaluator(model).run(None, inputs)
    module, weights, free = lower_node(model, inputs, expected, ["shape"])
    (function,) = module.body.block.ops
    (came,) = interpret_function(function, free, weights)
    np.testing.assert_array_equal(came, expected[0])


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4"])
@pytest.mark.parametrize(
    ("size", "block", "attrs"),
    [
        ((5, 5), (1, 5), {}),
        ((6, 7), (3, 2), {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 2]}),
        ((4, 5, 3), (2, 3, 1), {"strides": [1, 2, 1]}),
        ((9,), (3,), {"dilations": [2], "pads": [2, 2]}),
    ],
)
def test_blocks_add_up_to_an_image(size: Any, block: Any, attrs: Any, dtype: str) -> None:
    rank = len(size)
    strides, dilations = (attrs.get(k, [1] * rank) for k in ("strides", "dilations"))
    pads = attrs.get("pads", [0] * 2 * rank)
    count = np.prod(
        [
            (size[i] + pads[i] + pads[rank + i] - dilations[i] * (block[i] - 1) - 1) // strides[i]
            + 1
            for i in range(rank)
        ]
    )
    # ONNX Runtime loses all but the first channel of a one-dimensional image
    lead = (1, 1) if rank == 1 else (2, 3)
    x = (floats(lead[0], lead[1] * int(np.prod(block)), int(count)) * 9).astype(dtype)
    inputs = {"x": x, "image": np.array(size), "block": np.array(block)}
    tolerance = 1e-2 if dtype == "f2" else 1e-5
    check_op("Col2Im", inputs, attrs, constants=["block"], rtol=tolerance, atol=tolerance)


def test_another_number_of_positions_stays_on_the_host() -> None:
    attrs = {"kernel_shape": [3], "dilations": [2], "auto_pad": "SAME_UPPER"}
    with pytest.raises(NotLowered, match="positions"):
        check_op("MaxPool", {"X": floats(1, 1, 9)}, attrs)
