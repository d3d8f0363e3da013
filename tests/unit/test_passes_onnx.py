"""ONNX to graph: names, locations, host fallback, and faults that name the node."""

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue

from semc.compiler.context import CompilerContext, new_context
from semc.compiler.frontend import lowering
from semc.compiler.frontend.graph_builder import GraphBuilder
from semc.compiler.frontend.import_onnx import import_model
from semc.compiler.frontend.load import load_model
from semc.compiler.frontend.lowering import NotLowered, OnnxNode
from semc.compiler.pipeline import run_passes
from semc.dialects import graph
from semc.dialects.attributes import node_names
from semc.errors import IRError
from semc.runtime.interpret.interpret import interpret_function

from .onnx_models import info
from .onnx_models import model as onnx_model

FLOAT = onnx.TensorProto.FLOAT


def model_of(
    nodes: list[onnx.NodeProto], outputs: dict[str, list[int]], opset: int = 21
) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((4, 6)), "b": rng.standard_normal(6)}
    return helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info("x", FLOAT, [2, 4])],
            [helper.make_tensor_value_info(n, FLOAT, s) for n, s in outputs.items()],
            [onnx.numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=10,
    )


def imported(model: onnx.ModelProto) -> tuple[ModuleOp, CompilerContext, func.FuncOp]:
    module, weights = import_model(load_model(model))
    (main,) = module.ops
    assert isinstance(main, func.FuncOp)
    return module, new_context(weights), main


def ops_of(main: func.FuncOp) -> list[Operation]:
    return [op for op in main.body.block.ops if not isinstance(op, graph.ConstantOp)]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> dict[str, lowering.Lowering]:
    """The table of lowerings, put back after the test."""
    table = dict(lowering.lowerings())
    monkeypatch.setattr(lowering, "_LOWERINGS", table)
    return table


def test_levels_agree_and_carry_names() -> None:
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"], name="fc"),
        helper.make_node("Relu", ["h"], ["r"], name="act"),
        helper.make_node("Softmax", ["r"], ["y"], name="soft"),
    ]
    model = model_of(nodes, {"y": [2, 6]})
    module, ctx, main = imported(model)
    run_passes(module, "convert-onnx-to-graph", ctx=ctx)
    x = np.random.default_rng(1).standard_normal((2, 4)).astype(np.float32)
    found = {
        op.attributes["value"].data: node_names(op)  # type: ignore[attr-defined]
        for op in ops_of(main)
        if "value" in op.attributes
    }
    assert found == {"h": ["fc"], "r": ["act"], "y": ["soft"]}
    (at_graph,) = interpret_function(main, [x], ctx.weights)
    run_passes(module, "convert-graph-to-tile,fuse-maps,fold-views,cut-tiles", ctx=ctx)
    (at_tile,) = interpret_function(main, [x], ctx.weights)
    (expected,) = ReferenceEvaluator(model).run(None, {"x": x})
    np.testing.assert_allclose(at_graph, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(at_tile, expected, rtol=1e-5, atol=1e-6)
    nodes_seen = {name for op in ops_of(main) for name in node_names(op)}
    assert nodes_seen == {"fc", "act", "soft"}
    fused = [op for op in ops_of(main) if op.attributes.get("value") is not None]
    assert [op.attributes["value"].data for op in fused] == ["r", "y"]  # type: ignore[attr-defined]


def test_a_refusal_leaves_nothing_of_the_attempt(register: dict[str, lowering.Lowering]) -> None:
    def refuse(b: GraphBuilder, node: OnnxNode) -> SSAValue:
        b.unary("exp", b.unary("tanh", node.required(0)))
        raise NotLowered("this test refuses")

    register["Relu"] = refuse
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="act")]
    module, ctx, main = imported(model_of(nodes, {"y": [2, 4]}))
    run_passes(module, "convert-onnx-to-graph", ctx=ctx)
    host, _ = ops_of(main)
    assert host.name == "graph.host"
    assert host.attributes["reason"].data == "this test refuses"  # type: ignore[attr-defined]
    assert host.attributes["op"].data == "Relu"  # type: ignore[attr-defined]
    assert node_names(host) == ["act"]
    x = np.array([[1, -1, 2, -2]] * 2, np.float32)
    (y,) = interpret_function(main, [x], ctx.weights)
    np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_a_lowering_with_a_wrong_type_is_named(register: dict[str, lowering.Lowering]) -> None:
    register["Relu"] = lambda b, node: b.reduce(node.required(0), "max", (0,))
    module, ctx, _ = imported(
        model_of([helper.make_node("Relu", ["x"], ["y"], name="act")], {"y": [2, 4]})
    )
    with pytest.raises(IRError, match=r"act: .* its lowering gives tensor<4xf32>"):
        run_passes(module, "convert-onnx-to-graph", ctx=ctx)


def test_a_lowering_that_breaks_a_rule_is_named(register: dict[str, lowering.Lowering]) -> None:
    register["Relu"] = lambda b, node: b.contract(node.required(0), node.required(0))
    module, ctx, _ = imported(
        model_of([helper.make_node("Relu", ["x"], ["y"], name="act")], {"y": [2, 4]})
    )
    with pytest.raises(IRError, match=r"act: Relu cannot be lowered: .*contract needs"):
        run_passes(module, "convert-onnx-to-graph", ctx=ctx)


def test_unused_outputs_may_have_no_value(register: dict[str, lowering.Lowering]) -> None:
    seen = []

    def split(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
        seen.append(node)
        return [None, b.slice_axis(node.required(0), 1, 2, 2)]

    register["Split"] = split
    nodes = [helper.make_node("Split", ["x"], ["a", "y"], name="cut", axis=1, num_outputs=2)]
    module, ctx, main = imported(model_of(nodes, {"y": [2, 2]}))
    run_passes(module, "convert-onnx-to-graph", ctx=ctx)
    (node,) = seen
    assert node.outputs == (None, ((2, 2), np.dtype(np.float32)))
    assert node.attrs["axis"] == 1
    assert node.name == "cut"
    view, _ = ops_of(main)
    assert view.attributes["value"].data == "y"  # type: ignore[attr-defined]


def test_a_used_output_without_a_value_is_named(register: dict[str, lowering.Lowering]) -> None:
    register["Relu"] = lambda b, node: [None]
    module, ctx, _ = imported(
        model_of([helper.make_node("Relu", ["x"], ["y"], name="act")], {"y": [2, 4]})
    )
    with pytest.raises(IRError, match=r"act: Relu .*no value for an output in use"):
        run_passes(module, "convert-onnx-to-graph", ctx=ctx)


def test_operators_of_other_domains_run_on_the_host() -> None:
    nodes = [helper.make_node("Imputer", ["x"], ["y"], name="s", domain="ai.onnx.ml",
                              imputed_value_floats=[4.0], replaced_value_float=3.0)]  # fmt: skip
    model = model_of(nodes, {"y": [2, 4]})
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    module, ctx, main = imported(model)
    run_passes(module, "convert-onnx-to-graph", ctx=ctx)
    host, _ = ops_of(main)
    assert host.attributes["op"].data == "ai.onnx.ml.Imputer"  # type: ignore[attr-defined]
    (y,) = interpret_function(main, [np.ones((2, 4), np.float32) * 3], ctx.weights)
    np.testing.assert_array_equal(y, np.full((2, 4), 4.0, np.float32))


def test_many_nodes_lower_quickly() -> None:
    nodes = []
    for i in range(150):
        source = "x" if i == 0 else f"v{i}"
        nodes.append(helper.make_node(("Relu", "Tanh", "Gelu")[i % 3], [source], [f"v{i + 1}"]))
    module, ctx, _ = imported(model_of(nodes, {"v150": [2, 4]}))
    lowering.lowerings()
    timings: dict[str, float] = {}
    run_passes(module, "convert-onnx-to-graph", ctx=ctx, timings=timings)
    assert timings["convert-onnx-to-graph"] < 0.3


@pytest.mark.parametrize("turned", [True, False])
def test_quantised_weights_are_stationary(turned: bool) -> None:
    """DequantizeLinear of constant codes, perhaps transposed, is the weight of a linear layer."""
    rng = np.random.default_rng(3)
    codes = rng.integers(-127, 128, (6, 4) if turned else (4, 6), np.int8)
    weights = {"codes": codes, "scale": np.linspace(0.01, 0.02, 6).astype(np.float32)}
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["w"], axis=0 if turned else 1),
        helper.make_node("Transpose", ["w"], ["t"], perm=[1, 0] if turned else [0, 1]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    model = onnx_model(nodes, [info("x", [2, 4])], [info("y", [2, 6])], weights)
    module, ctx, main = imported(model)
    run_passes(module, "convert-onnx-to-graph", ctx=ctx)
    assert [op.name for op in ops_of(main)] == ["graph.linear", "func.return"]
    x = rng.standard_normal((2, 4)).astype(np.float32)
    (came,) = interpret_function(main, [x], ctx.weights)
    np.testing.assert_allclose(came, ReferenceEvaluator(model).run(None, {"x": x})[0], rtol=1e-5)
