"""Small models that random search found, over the compiler, a program file and the simulator.

``python benchmarks/fuzz.py`` searches for more. Each is what was left of a larger one.
"""

from collections.abc import Mapping, Sequence
from math import erf

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

import semc
from semc.dialects.types import onnx_type_of

from .op_harness import run_reference

Arrays = Mapping[str, np.ndarray]


def agrees(
    nodes: Sequence[NodeProto],
    inputs: Arrays,
    outputs: Sequence[str],
    constants: Arrays | None = None,
    opset: int = 21,
    rtol: float = 1e-6,
) -> dict[str, np.ndarray]:
    """The outputs on a chip, which must be ONNX Runtime's there and on a mesh."""
    declared = [tensor_info(name, x) for name, x in inputs.items()]
    stored = [numpy_helper.from_array(x, name) for name, x in (constants or {}).items()]

    def model(results: Sequence[ValueInfoProto]) -> ModelProto:
        graph = helper.make_graph(list(nodes), "found", declared, list(results), stored)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
        )

    untyped = model([helper.make_empty_tensor_value_info(name) for name in outputs])
    expected = dict(zip(outputs, run_reference(untyped, list(inputs.values())), strict=True))
    typed = model([tensor_info(name, y) for name, y in expected.items()])
    for target in ("mesh-small", "memcap-demo"):
        found = semc.simulate(semc.compile(typed, target), inputs, mode="exact").outputs
        assert list(found) == list(outputs)
        for name, y in found.items():
            assert y.dtype == expected[name].dtype
            assert y.shape == expected[name].shape
            np.testing.assert_allclose(y, expected[name], rtol, 0, err_msg=f"{target}: {name}")
    return found


def tensor_info(name: str, x: np.ndarray) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx_type_of(x.dtype), x.shape)


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_outputs_keep_the_order_of_the_model() -> None:
    """What the host computes stands at the port before what has to be moved there."""
    agrees(
        [
            helper.make_node("Einsum", ["a", "b"], ["product"], equation="ij,jk->ik"),
            helper.make_node("Compress", ["c", "kept"], ["found"], axis=1),
        ],
        {"a": floats(1, 3), "b": floats(3, 3, seed=1), "c": floats(2, 3, seed=2)},
        ["product", "found"],
        {"kept": np.array([True, False, True])},
    )


def test_products_on_the_host_are_counted_with_their_constants() -> None:
    """Operands that are written into the host's model count as well as those that come."""
    w, r = floats(1, 3, 2), floats(1, 3, 3, seed=1)
    x, start = floats(4, 1, 2, seed=2), floats(1, 1, 3, seed=3)
    agrees(
        [helper.make_node("RNN", ["x", "w", "r", "", "", "h"], ["y"], hidden_size=3, clip=5.0)],
        {"x": x, "h": start},
        ["y"],
        {"w": w, "r": r},
        rtol=1e-5,
    )


def test_constants_are_folded_as_onnx_runtime_computes_them() -> None:
    """The reference evaluator takes the 1-norm for a sum, and rounds codes late."""
    x = floats(3, 4)
    node = helper.make_node("LpNormalization", ["x"], ["y"], p=1, axis=0)
    agrees([node], {}, ["y"], {"x": x})
    codes = {"x": np.array([[[[1, 3, 5, 7]]]], np.uint8), "w": np.full((1, 1, 1, 1), 1, np.uint8)}
    scales = {"one": np.float32(1), "two": np.float32(2)}
    zeros = {"none": np.uint8(0), "three": np.uint8(3)}
    operands = ["x", "one", "none", "w", "one", "none", "two", "three"]
    agrees(
        [helper.make_node("QLinearConv", operands, ["y"])],
        {},
        ["y"],
        {name: np.asarray(array) for name, array in {**codes, **scales, **zeros}.items()},
    )


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_old_pad_may_have_a_value_in_every_mode(mode: str, dtype: type) -> None:
    node = helper.make_node("Pad", ["x"], ["y"], mode=mode, pads=[0, 2], value=1.5)
    agrees([node], {"x": floats(5).astype(dtype)}, ["y"], opset=10)


@pytest.mark.parametrize("op_type", ["ReduceLogSum", "ReduceLogSumExp"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_logarithms_of_integer_sums_until_operator_set_28(op_type: str, dtype: type) -> None:
    x = np.array([[1, 4, 4], [9, 2, 0]], dtype)
    node = helper.make_node(op_type, ["x", "axes"], ["y"], keepdims=0)
    agrees([node], {"x": x}, ["y"], {"axes": np.array([1])}, opset=18)


def test_pooled_and_resized_constants_are_those_of_onnx_runtime() -> None:
    x = np.abs(floats(1, 1, 7))
    pool = helper.make_node("LpPool", ["x"], ["y"], kernel_shape=[2], strides=[2], ceil_mode=1)
    agrees([pool], {}, ["y"], {"x": x})
    x = np.array([[[np.nan, -2, np.nan, 0]]], np.float32)
    resize = helper.make_node(
        "Resize", ["x", "", "scales"], ["y"], mode="nearest", nearest_mode="floor"
    )
    agrees([resize], {}, ["y"], {"x": x, "scales": np.array([1, 1, 2], np.float32)})
    channels = helper.make_node("LRN", ["x"], ["y"], size=3)
    agrees([channels], {}, ["y"], {"x": floats(1, 4, 1, 1)})


@pytest.mark.parametrize("scales", [(1, 1, 2, 3), (1, 1, 0.5, 0.6), (1, 1, 0.5, 1.5)])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_of_operator_set_10(mode: str, scales: tuple[float, ...]) -> None:
    """Its samples lie at ``index / scale``, and it rounds away from none that it drops."""
    node = helper.make_node("Resize", ["x", "scales"], ["y"], mode=mode)
    x = floats(1, 2, 6, 5)
    agrees([node], {"x": x}, ["y"], {"scales": np.array(scales, np.float32)}, opset=10, rtol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample_takes_the_sample_before(mode: str) -> None:
    node = helper.make_node("Upsample", ["x"], ["y"], mode=mode, scales=[1.0, 1.0, 2.0, 1.5])
    agrees([node], {"x": floats(1, 2, 3, 4)}, ["y"], opset=8, rtol=1e-5)


@pytest.mark.parametrize("bounds", [{"min": -0.5, "max": 0.5}, {"max": 0.25}, {}])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_an_old_clip_has_bounds_of_its_operands_type(dtype: type, bounds: dict[str, float]) -> None:
    node = helper.make_node("Clip", ["x"], ["y"], **bounds)
    agrees([node], {"x": floats(7).astype(dtype)}, ["y"], opset=10)


def test_products_of_doubles_stay_double_on_every_device() -> None:
    """Several products at once drive some to devices that multiply in PAL."""
    outputs = [f"y{i}" for i in range(5)]
    nodes = [helper.make_node("MatMul", ["x", f"w{i}"], [y]) for i, y in enumerate(outputs)]
    weights = {f"w{i}": floats(64, 64, seed=i).astype(np.float64) for i in range(5)}
    agrees(nodes, {"x": floats(64, 64).astype(np.float64)}, outputs, weights, rtol=1e-9)


@pytest.mark.parametrize("attrs", [{}, {"axis": 0}, {"axis": 2}])
def test_an_old_hardmax_takes_the_rest_of_the_dimensions_for_one(attrs: dict[str, int]) -> None:
    agrees(
        [helper.make_node("Hardmax", ["x"], ["y"], **attrs)],
        {"x": floats(2, 3, 4)},
        ["y"],
        opset=11,
    )


def test_a_double_constant_keeps_its_precision() -> None:
    """The reference evaluator's Erf is float32's."""
    x = floats(5).astype(np.float64)
    node = helper.make_node("Erf", ["x"], ["y"])
    for target in ("mesh-small", "memcap-demo"):
        graph = helper.make_graph(
            [node], "found", [], [tensor_info("y", x)], [numpy_helper.from_array(x, "x")]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        y = semc.simulate(semc.compile(model, target), {}, mode="exact").outputs["y"]
        np.testing.assert_allclose(y, [erf(v) for v in x], 1e-14)


@pytest.mark.parametrize("constant", [False, True])
def test_the_mean_of_no_integers_is_zero(constant: bool) -> None:
    x = {"x": np.zeros((2, 0), np.int64)}
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0)
    axes = {"axes": np.array([1])}
    agrees([node], {} if constant else x, ["y"], axes | x if constant else axes)


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("start", [-9, -3, -2, 1, 9])
def test_a_slice_backwards_starts_inside(start: int, constant: bool) -> None:
    """A start before the first element is the first element, where numpy takes nothing."""
    x = {"x": floats(2, 2)}
    bounds = {
        name: np.array([n]) for name, n in {"s": start, "e": -(2**31), "a": 1, "t": -1}.items()
    }
    node = helper.make_node("Slice", ["x", "s", "e", "a", "t"], ["y"])
    agrees([node], {} if constant else x, ["y"], bounds | x if constant else bounds)


def test_the_extreme_of_an_empty_axis_in_an_empty_tensor() -> None:
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=2)
    agrees([node], {"x": np.zeros((2, 0, 0), np.float32)}, ["y"])


@pytest.mark.parametrize("op_type", ["Softmax", "LogSoftmax", "Hardmax"])
def test_an_old_softmax_of_an_empty_tensor(op_type: str) -> None:
    node = helper.make_node(op_type, ["x"], ["y"], axis=0)
    agrees([node], {"x": np.zeros((0, 0, 6), np.float32)}, ["y"], opset=11)
