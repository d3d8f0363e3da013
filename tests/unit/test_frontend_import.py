"""Import into IR: names, constants, locations, and one-node models for the host."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, load_model_from_string
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation

from semc.compiler.context import new_context
from semc.compiler.frontend import (
    host_node_model,
    host_node_operands,
    import_model,
    input_names,
    load_model,
    output_names,
)
from semc.compiler.parse import parse_module
from semc.compiler.weights import WeightStore
from semc.dialects.attributes import WeightAttr, node_names
from semc.dialects.graph import ConstantOp
from semc.dialects.onnx import OnnxOp
from semc.dialects.types import dense_array, shape_of
from semc.errors import IRError

from .onnx_models import info, model, perceptron


def main_block(module: ModuleOp) -> Block:
    (main,) = module.body.block.ops
    assert isinstance(main, FuncOp)
    return main.body.block


def run_on_host(op: Operation, arrays: list[np.ndarray]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        host_node_model(op), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {f"i{k}": array for k, array in enumerate(arrays)})


def interpret(module: ModuleOp, weights: WeightStore, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Run each op through its host model."""
    block = main_block(module)
    values = dict(zip(block.args, inputs, strict=True))
    for op in block.ops:
        if isinstance(op, ConstantOp):
            literal = not isinstance(op.value, WeightAttr)
            values[op.result] = dense_array(op.value) if literal else weights[op.value.data]
        elif isinstance(op, OnnxOp):
            found = run_on_host(op, [values[o] for o in host_node_operands(op)])
            values.update(zip(op.results, found, strict=True))
        else:
            return [values[operand] for operand in op.operands]
    raise AssertionError("a function must return")


def test_perceptron_as_text() -> None:
    module, weights = import_model(load_model(perceptron(hidden=20)))
    module.verify()
    text = str(module)
    assert '#graph.weight<"w"> : tensor<4x20xf32>' in text
    assert '{value = "y"}' in text
    assert list(weights) == ["w"]
    block = main_block(module)
    main = block.parent_op()
    assert isinstance(main, FuncOp)
    assert input_names(main) == ["x"]
    assert output_names(main) == ["z"]
    named = {op.op_type: node_names(op) for op in block.ops if isinstance(op, OnnxOp)}
    assert named == {"MatMul": ["fc"], "Relu": ["act"]}


def test_text_round_trip() -> None:
    module, _ = import_model(load_model(perceptron()))
    again = parse_module(str(module), new_context(), "text")
    assert str(again) == str(module)


def test_small_constants_are_written_out_but_not_infinite_ones() -> None:
    node = helper.make_node("Clip", ["x", "low", "high"], ["y"])
    loaded = load_model(
        model(
            [node],
            [info("x", [2])],
            [info("y", [2])],
            {"low": np.array(-np.inf, np.float32), "high": np.array(6, np.float32)},
        )
    )
    module, weights = import_model(loaded)
    assert "dense<6.000000e+00> : tensor<f32>" in str(module)
    assert list(weights) == ["low"]


def test_hostile_names_stay_inside_their_literals() -> None:
    evil = 'a\n%9 = "evil.op"() : () -> ()\0"'
    made = model(
        [
            helper.make_node("Relu", ["../../x"], [evil], name=evil),
            helper.make_node("Neg", [evil], ["y"], name="n" * 100_000),
            helper.make_node("Mul", ["y", "../w"], ["z\u202e"], name="m"),
        ],
        [info("../../x", [30])],
        [info("z\u202e", [30])],
        {"../w": np.ones(30, np.float32)},
    )
    module, weights = import_model(load_model(made))
    text = str(module)
    assert text.isascii()
    assert all(op.name != "evil.op" for op in parse_module(text, new_context(), "text").walk())
    assert len(text) < 5000
    assert all(".." not in name for name in weights)
    again = parse_module(text, new_context(), "text")
    assert len(list(main_block(again).ops)) == len(list(main_block(module).ops))


def test_ops_run_alone_on_the_host() -> None:
    made = model(
        [
            helper.make_node("Resize", ["x", "", "scales"], ["big"], mode="nearest"),
            helper.make_node("Conv", ["big", "w"], ["c"], pads=[1, 1, 1, 1]),
            helper.make_node("Split", ["c"], ["a", "b"], axis=1, num_outputs=2),
            helper.make_node("TopK", ["a", "k"], ["best", "index"]),
            helper.make_node("Sub", ["a", "b"], ["d"]),
        ],
        [info("x", [1, 2, 4, 4])],
        [info("d", [1, 1, 8, 8]), info("index", [1, 1, 8, 3], TensorProto.INT64)],
        {
            "scales": np.array([1, 1, 2, 2], np.float32),
            "w": np.random.default_rng(0).standard_normal((2, 2, 3, 3)).astype(np.float32),
            "k": np.array([3], np.int64),
        },
    )
    module, weights = import_model(load_model(made))
    module.verify()
    x = np.random.default_rng(1).standard_normal((1, 2, 4, 4)).astype(np.float32)
    found = interpret(module, weights, [x])
    session = onnxruntime.InferenceSession(made.SerializeToString())
    for ours, theirs in zip(found, session.run(None, {"x": x}), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_captures_become_operands() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["v", "step"], ["v2"]),
            helper.make_node("Mul", ["v2", "i0"], ["o1"]),
            helper.make_node("Identity", ["c"], ["c2"]),
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("c", [], TensorProto.BOOL), info("v", [2])],
        [info("c2", [], TensorProto.BOOL), info("o1", [2])],
    )
    made = model(
        [
            helper.make_node("Neg", ["x"], ["step"]),
            helper.make_node("Exp", ["x"], ["i0"]),
            helper.make_node("Loop", ["n", "", "x"], ["y"], body=body, name="loop"),
        ],
        [info("x", [2])],
        [info("y", [2])],
        {"n": np.array(3, np.int64)},
    )
    module, weights = import_model(load_model(made))
    module.verify()
    loop = next(op for op in main_block(module).ops if op.name == "onnx.Loop")
    assert isinstance(loop, OnnxOp)
    assert [name for name, _ in loop.captured] == ["step", "i0"]
    assert len(host_node_operands(loop)) == 3  # the trip count is built in
    x = np.array([0.5, -0.25], np.float32)
    (found,) = interpret(module, weights, [x])
    session = onnxruntime.InferenceSession(made.SerializeToString())
    np.testing.assert_allclose(found, session.run(None, {"x": x})[0], rtol=1e-6)
    again = parse_module(str(module), new_context(), "text")
    assert str(again) == str(module)


def test_foreign_operators_are_subgraphs() -> None:
    made = model(
        [
            helper.make_node("Inverse", ["x"], ["y"], domain="com.microsoft"),
            helper.make_node("Relu", ["y"], ["z"]),
        ],
        [info("x", [2, 2])],
        [info("z", [2, 2])],
    )
    made.graph.value_info.append(info("y", [2, 2]))
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    module, weights = import_model(load_model(made))
    module.verify()
    names = [op.name for op in main_block(module).ops if isinstance(op, OnnxOp)]
    assert names == ["onnx.Subgraph", "onnx.Relu"]
    x = np.array([[0, 2], [-4, 0]], np.float32)
    np.testing.assert_array_equal(interpret(module, weights, [x])[0], [[0, 0], [0.5, 0]])


def test_data_dependent_subgraph_runs() -> None:
    made = model(
        [
            helper.make_node("NonZero", ["x"], ["where"]),
            helper.make_node("Cast", ["where"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("ReduceSum", ["f"], ["y"], keepdims=0),
        ],
        [info("x", [2, 2])],
        [info("y", [])],
    )
    module, weights = import_model(load_model(made))
    (found,) = interpret(module, weights, [np.array([[0, 1], [1, 1]], np.float32)])
    assert found == 1 + 1 + 0 + 1 + 1  # rows 0 1 1 and columns 1 0 1
    assert found.shape == ()


def test_a_host_model_asks_for_the_oldest_set_that_will_do() -> None:
    module, _ = import_model(load_model(perceptron()))
    relu = next(op for op in main_block(module).ops if op.name == "onnx.Relu")
    made = load_model_from_string(host_node_model(relu))
    assert made.opset_import[0].version == 14
    assert shape_of(relu.results[0]) == (2, 3)
    constant = next(op for op in main_block(module).ops if isinstance(op, ConstantOp))
    with pytest.raises(IRError, match="onnx op"):
        host_node_model(constant)


@pytest.mark.parametrize(
    "values", [[1.5, -2.0], [999_999.0], [1_234_567.0], [2.0**40 + 2**20], [3e38], [1_234_567.5]]
)
def test_constants_read_back_as_they_were(values: list[float]) -> None:
    """xDSL prints some floats as bits, and would read those as integers."""
    weights = {"w": np.array(values, np.float32)}
    node = helper.make_node("Mul", ["x", "w"], ["y"])
    count = len(values)
    loaded = load_model(model([node], [info("x", [count])], [info("y", [count])], weights))
    module, _ = import_model(loaded)
    again = parse_module(str(module), new_context(), "text")
    assert str(again) == str(module)
