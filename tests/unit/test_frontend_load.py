"""Loading: operator sets, constants, functions, conditionals, what stays for the host."""

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, defs, helper, numpy_helper

from semc.compiler.frontend import LoadedModel, load_model
from semc.compiler.weights import Deferred, constant_values
from semc.dialects.elements import ELEMENTS, Element
from semc.errors import ModelError

from .onnx_models import info, model, perceptron

NEWEST = defs.onnx_opset_version()


def ops(loaded: LoadedModel) -> list[str]:
    return [node.op_type for node in loaded.nodes]


def constant(loaded: LoadedModel, name: str) -> np.ndarray:
    value = loaded.constants[name]
    assert isinstance(value, np.ndarray)
    return value


@pytest.mark.parametrize("opset", range(7, NEWEST + 1))
def test_every_operator_set(opset: int) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"], axis=1),
    ]
    weights = {"w": np.ones((3, 2, 3, 3), np.float32)}
    weights |= {name: np.ones(3, np.float32) for name in "sbmv"}
    made = model(nodes, [info("x", [1, 2, 5, 5])], [info("y", [1, 3])], weights, opset)
    loaded = load_model(made)
    assert loaded.opset == NEWEST
    assert loaded.specs["y"].shape == (1, 3)
    assert ops(loaded)[0] == "Conv"
    assert set(ops(loaded)) >= {"Conv", "BatchNormalization", "Relu", "GlobalAveragePool"}


def test_the_callers_proto_is_not_touched() -> None:
    made = perceptron(hidden=500, opset=11)
    before = made.SerializeToString()
    load_model(made)
    assert made.SerializeToString() == before


def test_path_bytes_and_proto_agree(tmp_path: Path) -> None:
    made = perceptron()
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    loads = [load_model(s) for s in (made, made.SerializeToString(), tmp_path / "m.onnx")]
    loads.append(load_model(str(tmp_path / "m.onnx")))
    assert len({tuple(n.SerializeToString() for n in each.nodes) for each in loads}) == 1


def test_large_weights_leave_the_graph() -> None:
    loaded = load_model(perceptron(hidden=500))
    assert loaded.parameters == 2000
    assert list(loaded.inputs) == ["x"]
    assert constant(loaded, "w")[3, 499] == 1999


def test_initialisers_that_are_inputs_too() -> None:
    made = perceptron()
    made.graph.input.append(info("w", [4, 3]))
    assert list(load_model(made).inputs) == ["x"]


def exported_flatten() -> ModelProto:
    """x.view(x.shape[0], -1) as the TorchScript exporter writes it."""
    one = numpy_helper.from_array(np.array(0, np.int64))
    rest = numpy_helper.from_array(np.array([-1], np.int64))
    return model(
        [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Constant", [], ["i"], value=one),
            helper.make_node("Gather", ["shape", "i"], ["n"], axis=0),
            helper.make_node("Unsqueeze", ["n", "axes"], ["n1"]),
            helper.make_node("Constant", [], ["rest"], value=rest),
            helper.make_node("Concat", ["n1", "rest"], ["target"], axis=0),
            helper.make_node("Identity", ["x"], ["same"]),
            helper.make_node("Reshape", ["same", "target"], ["y"]),
        ],
        [info("x", ["n", 2, 3])],
        [info("y", ["n", 6])],
        {"axes": np.array([0], np.int64)},
    )


def test_shape_arithmetic_folds() -> None:
    loaded = load_model(exported_flatten(), {"n": 5})
    assert ops(loaded) == ["Reshape"]
    assert constant(loaded, "target").tolist() == [5, -1]
    assert list(loaded.nodes[0].input) == ["x", "target"]
    assert loaded.specs["y"].shape == (5, 6)


def test_a_transposed_weight_stays_a_view() -> None:
    weight = np.arange(3000.0, dtype=np.float32).reshape(30, 100)
    loaded = load_model(
        model(
            [
                helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
                helper.make_node("MatMul", ["x", "wt"], ["y"]),
            ],
            [info("x", [2, 100])],
            [info("y", [2, 30])],
            {"w": weight},
        )
    )
    assert ops(loaded) == ["MatMul"]
    folded = constant(loaded, "wt")
    assert folded.shape == (100, 30)
    assert not folded.flags.c_contiguous
    np.testing.assert_array_equal(folded, weight.T)


def test_a_large_cast_is_deferred() -> None:
    weight = np.ones((1024, 1024), np.float16)
    loaded = load_model(
        model(
            [
                helper.make_node("Cast", ["w"], ["w32"], to=TensorProto.FLOAT),
                helper.make_node("MatMul", ["x", "w32"], ["y"]),
            ],
            [info("x", [2, 1024])],
            [info("y", [2, 1024])],
            {"w": weight},
        )
    )
    late = loaded.constants["w32"]
    assert isinstance(late, Deferred)
    assert late.make is not None
    assert late.make().dtype == np.float32
    assert late.make().sum() == 1 << 20


@pytest.mark.parametrize(
    ("starts", "ends", "steps", "expected"),
    [
        ([1], [9], [1], [1, 2, 3, 4]),
        ([-2], [9], [1], [3, 4]),
        ([9], [-9], [-1], [4, 3, 2, 1, 0]),
        ([-1], [0], [-2], [4, 2]),
        ([3], [1], [1], []),
    ],
)
def test_slices_of_constants(
    starts: list[int], ends: list[int], steps: list[int], expected: list[int]
) -> None:
    weights = {"w": np.arange(5.0, dtype=np.float32)}
    names = {"s": starts, "e": ends, "a": [0], "t": steps}
    weights |= {name: np.array(value, np.int64) for name, value in names.items()}
    node = helper.make_node("Slice", ["w", "s", "e", "a", "t"], ["y"])
    loaded = load_model(model([node], [], [info("y", [len(expected)])], weights))
    assert constant(loaded, "y").tolist() == expected


def test_dropout_and_dead_nodes_vanish() -> None:
    loaded = load_model(
        model(
            [
                helper.make_node("Relu", ["x"], ["r"]),
                helper.make_node("Dropout", ["r"], ["d", "mask"]),
                helper.make_node("Exp", ["r"], ["unused"]),
                helper.make_node("Neg", ["d"], ["y"]),
            ],
            [info("x", [2])],
            [info("y", [2]), info("mask", [2], TensorProto.BOOL)],
        )
    )
    assert ops(loaded) == ["Relu", "Neg"]
    assert constant(loaded, "mask").all()


@pytest.mark.parametrize("columns", [2, 300_000])
def test_random_nodes_are_not_folded_but_dequantisation_is(columns: int) -> None:
    codes = np.arange(2 * columns).astype(np.int8).reshape(2, columns)
    loaded = load_model(
        model(
            [
                helper.make_node("RandomNormal", [], ["r"], shape=[2, 2]),
                helper.make_node("DequantizeLinear", ["q", "scale"], ["w"]),
                helper.make_node("MatMul", ["r", "w"], ["y"]),
            ],
            [],
            [info("y", [2, columns])],
            {"q": codes, "scale": np.array(0.5, np.float32)},
        )
    )
    assert ops(loaded) == ["RandomNormal", "MatMul"]
    large = codes.nbytes > 1 << 19
    assert isinstance(loaded.constants["w"], Deferred if large else np.ndarray)
    found = constant_values(loaded.constants["w"])
    np.testing.assert_array_equal(found, codes * np.float32(0.5))


@pytest.mark.parametrize("to", [TensorProto.INT4, TensorProto.FLOAT8E8M0, TensorProto.FLOAT8E5M2])
def test_only_what_is_rounded_as_in_onnx_runtime_is_folded(to: int) -> None:
    nodes = [
        helper.make_node("Cast", ["c"], ["q"], to=to),
        helper.make_node("Cast", ["q"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "f"], ["y"]),
    ]
    values = {"c": np.array([1.5, -1e9], np.float32)}
    loaded = load_model(model(nodes, [info("x", [2])], [info("y", [2])], values, NEWEST))
    folded = to == TensorProto.FLOAT8E5M2
    assert ops(loaded) == (["Mul"] if folded else ["Cast", "Cast", "Mul"])
    if folded:
        assert constant(loaded, "f").tolist() == [1.5, -57344]


def test_a_splat_weight_takes_no_memory() -> None:
    loaded = load_model(
        model(
            [
                helper.make_node("ConstantOfShape", ["s"], ["w"]),
                helper.make_node("MatMul", ["x", "w"], ["y"]),
            ],
            [info("x", [1, 1 << 16])],
            [info("y", [1, 1 << 16])],
            {"s": np.array([1 << 16, 1 << 16], np.int64)},
        )
    )
    assert constant(loaded, "w").strides == (0, 0)


def test_outputs_may_be_inputs_constants_or_the_same() -> None:
    loaded = load_model(
        model(
            [
                helper.make_node("Identity", ["x"], ["a"]),
                helper.make_node("Identity", ["w"], ["b"]),
            ],
            [info("x", [2])],
            [info("a", [2]), info("b", [2]), info("x", [2])],
            {"w": np.ones(2, np.float32)},
        )
    )
    assert loaded.outputs == {"a": "x", "b": "w", "x": "x"}
    assert not loaded.nodes


def test_known_condition_takes_its_branch() -> None:
    then = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "t", [], [info("o", [2])])
    other = helper.make_graph([helper.make_node("Exp", ["x"], ["o"])], "e", [], [info("o", [2])])
    for condition, expected in ((True, "Neg"), (False, "Exp")):
        node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
        made = model([node], [info("x", [2])], [info("y", [2])], {"c": np.array(condition)})
        assert ops(load_model(made)) == [expected]


def test_computed_condition_stays() -> None:
    then = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "t", [], [info("o", [2])])
    other = helper.make_graph([helper.make_node("Exp", ["x"], ["o"])], "e", [], [info("o", [2])])
    node = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    made = model([node], [info("x", [2]), info("c", [], TensorProto.BOOL)], [info("y", [2])])
    assert ops(load_model(made)) == ["If"]


def test_functions_open_unless_kept() -> None:
    made = model(
        [helper.make_node("Gelu", ["x"], ["y"], name="act")],
        [info("x", [2, 3])],
        [info("y", [2, 3])],
        opset=NEWEST,
    )
    assert ops(load_model(made)) == ["Gelu"]
    opened = load_model(made, keep=lambda domain, op_type: op_type != "Gelu")
    assert "Erf" in ops(opened)
    assert "Gelu" not in ops(opened)
    assert all(node.name.startswith("act/") for node in opened.nodes)
    assert opened.specs["y"].shape == (2, 3)


def test_an_operator_whose_body_is_not_static_stays_whole() -> None:
    made = model(
        [helper.make_node("ReduceL2", ["x", "axes"], ["y"], name="norm")],
        [info("x", [2, 3]), info("axes", [1], TensorProto.INT64)],
        [info("y", [2, 1])],
    )
    assert ops(load_model(made, keep=lambda domain, op_type: False)) == ["ReduceL2"]


def test_local_functions_open() -> None:
    body = [
        helper.make_node("Add", ["a", "a"], ["d"]),
        helper.make_node("Neg", ["d"], ["b"]),
    ]
    imports = [helper.make_opsetid("", 21)]
    function = helper.make_function("mine", "DoubleNeg", ["a"], ["b"], body, imports)
    made = model(
        [helper.make_node("DoubleNeg", ["x"], ["y"], domain="mine")],
        [info("x", [2])],
        [info("y", [2])],
        functions=[function],
    )
    made.opset_import.append(helper.make_opsetid("mine", 1))
    assert ops(load_model(made)) == ["Add", "Neg"]


def test_shapes_that_depend_on_data_stay_together() -> None:
    made = model(
        [
            helper.make_node("NonZero", ["x"], ["where"], name="find"),
            helper.make_node("Shape", ["where"], ["shape"]),
            helper.make_node("Gather", ["shape", "one"], ["count"]),
            helper.make_node("Add", ["count", "count"], ["y"]),
        ],
        [info("x", [4, 4])],
        [info("y", [], TensorProto.INT64)],
        {"one": np.array(1, np.int64)},
    )
    loaded = load_model(made)
    assert ops(loaded) == ["Subgraph", "Gather", "Add"]
    assert [n.op_type for n in loaded.nodes[0].attribute[0].g.node] == ["NonZero", "Shape"]


def test_a_subgraph_takes_in_what_lies_between_its_nodes() -> None:
    made = model(
        [
            helper.make_node("NonZero", ["x"], ["where"]),
            helper.make_node("Shape", ["where"], ["shape"]),
            helper.make_node("Neg", ["shape"], ["negative"]),
            helper.make_node("Abs", ["negative"], ["again"]),
            helper.make_node("Expand", ["where", "again"], ["wide"]),
            helper.make_node("ReduceSum", ["wide"], ["y"], keepdims=0),
        ],
        [info("x", [4, 4])],
        [info("y", [], TensorProto.INT64)],
    )
    assert ops(load_model(made)) == ["Subgraph"]


def test_a_data_dependent_output_is_refused() -> None:
    made = model(
        [helper.make_node("NonZero", ["x"], ["y"], name="find")],
        [info("x", [4, 4])],
        [info("y", None, TensorProto.INT64)],
    )
    with pytest.raises(ModelError, match="static shape") as caught:
        load_model(made)
    assert caught.value.where == "find"
    assert "'y'" in caught.value.message


def test_four_bit_weights_become_numbers() -> None:
    codes = helper.make_tensor("q", TensorProto.INT4, [3], [-8, 7, -1])
    made = model(
        [
            helper.make_node("DequantizeLinear", ["q", "s"], ["w"]),
            helper.make_node("Mul", ["x", "w"], ["y"]),
        ],
        [info("x", [3])],
        [info("y", [3])],
        {"s": np.array(0.5, np.float32)},
    )
    made.graph.initializer.append(codes)
    assert constant(load_model(made), "w").tolist() == [-4, 3.5, -0.5]


@pytest.mark.parametrize("element", [e for e in ELEMENTS if e.is_narrow], ids=lambda e: e.name)
@pytest.mark.parametrize("count", [1, 5, 7, 1030])
@pytest.mark.parametrize("raw", [True, False])
def test_narrow_tensors_are_unpacked(element: Element, count: int, raw: bool) -> None:
    codes = (np.arange(count) * 7 % (1 << element.bits)).astype(np.uint8)
    tensor = numpy_helper.from_array(codes.view(element.dtype), "c")
    if not raw:
        data = tensor.raw_data if element.bits != 6 else bytes(codes)  # six bits: one an entry
        tensor.ClearField("raw_data")
        tensor.int32_data.extend(data)
    nodes = [helper.make_node("Identity", ["c"], ["y"])]
    made = model(nodes, [], [info("y", [count], element.number)], opset=NEWEST)
    made.graph.initializer.append(tensor)
    found = constant_values(load_model(made).constants["c"])
    assert found.dtype == element.dtype
    np.testing.assert_array_equal(found.view(np.uint8), codes)


def test_missing_names_are_given() -> None:
    made = perceptron()
    for node in made.graph.node:
        node.name = ""
    assert [n.name for n in load_model(made).nodes] == ["MatMul_0", "Relu_0"]


def test_batched_scan_of_operator_set_8() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "next"], ["out"]),
            helper.make_node("Identity", ["out"], ["scan"]),
        ],
        "body",
        [info("sum", [2]), info("next", [2])],
        [info("out", [2]), info("scan", [2])],
    )
    node = helper.make_node("Scan", ["", "s0", "x"], ["s", "y"], body=body, num_scan_inputs=1)
    made = model(
        [node],
        [info("s0", [3, 2]), info("x", [3, 5, 2])],
        [info("s", [3, 2]), info("y", [3, 5, 2])],
        opset=8,
    )
    loaded = load_model(made)
    assert ops(loaded) == ["Scan"]
    assert loaded.specs["y"].shape == (3, 5, 2)
