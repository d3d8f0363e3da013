"""Ranges of inputs: fixed by samples, or found while running."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import semc
from semc.compiler.recipe import Quantization


def test_ranges_found_while_running_follow_each_vector_and_are_charged() -> None:
    """Rows of very different size: one scale for all rounds the small ones away."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((64, 16)).astype(np.float32)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [8, 64])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 16])],
            [numpy_helper.from_array(weight, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
    )
    size = np.geomspace(0.01, 10, 8, dtype=np.float32)[:, None]
    x = {"x": rng.standard_normal((8, 64)).astype(np.float32) * size}
    expected = x["x"] @ weight
    share, results = [], []
    for dynamic in (False, True):
        program = semc.compile(
            model,
            target="memcap-phone",
            calibrate={"x": x["x"]},
            quantization=Quantization(dynamic_inputs=dynamic),
        )
        results.append(semc.simulate(program, x, mode="quantized"))
        error = results[-1].outputs["y"] - expected
        share.append(np.linalg.norm(error[0]) / np.linalg.norm(expected[0]))
    assert share[1] < 0.1 < 0.5 < share[0]
    assert results[1].latency_s > results[0].latency_s
    assert results[1].energy_j > results[0].energy_j
