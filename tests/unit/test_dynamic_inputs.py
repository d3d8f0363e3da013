"""Ranges of inputs: fixed by samples, or found while running."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import semc
from semc.compiler.passes.choose_input_ranges import dynamic_gain_db
from semc.compiler.quantize.calibration import MatrixStatistics
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


def statistics(rows: np.ndarray) -> MatrixStatistics:
    seen = MatrixStatistics()
    seen.add(rows.astype(np.float32), np.random.default_rng(0))
    return seen


def test_vectors_of_one_size_keep_one_scale() -> None:
    seen = statistics(np.random.default_rng(0).standard_normal((200, 64)))
    assert dynamic_gain_db(seen, 8, seen.input_scale(8)) is None


def test_vectors_of_many_sizes_get_scales_of_their_own() -> None:
    """Half of the vectors a tenth as large: rounded by a fixed scale they are a tenth as good."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 64)) * np.where(rng.random((200, 1)) < 0.97, 0.05, 1.0)
    seen = statistics(rows)
    fixed = seen.input_scale(8)
    gain_db = dynamic_gain_db(seen, 8, fixed)
    assert gain_db is not None
    before, after = seen.code_error(8, np.float32(fixed)), seen.code_error(8, None)
    assert gain_db == pytest.approx(10 * np.log10(before / after))
    assert gain_db > 10


def test_codes_that_are_good_enough_are_left_alone() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 64))
    rows[:20] *= 0.01
    seen = statistics(rows)
    fixed = seen.input_scale(8)
    assert 10 * np.log10(np.square(seen.rows).mean() / seen.code_error(8, np.float32(fixed))) > 36
    assert dynamic_gain_db(seen, 8, fixed) is None
    assert dynamic_gain_db(statistics(np.zeros((8, 4))), 8, 1.0) is None
