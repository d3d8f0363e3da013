"""Malformed and hostile models: one clear line each, in bounded time."""

from collections.abc import Callable

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from semc.compiler.frontend import import_model, load_model
from semc.errors import ModelError


def info(name: str, shape: list[int] | None, kind: int = TensorProto.FLOAT) -> object:
    return helper.make_tensor_value_info(name, kind, shape)


def base() -> ModelProto:
    """x [2, 4] -> MatMul w [4, 3] -> Relu -> z."""
    return of(
        [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Relu", ["y"], ["z"])],
        [info("x", [2, 4])],
        [info("z", [2, 3])],
        w=np.ones((4, 3), np.float32),
    )


def of(nodes: list, inputs: list, outputs: list, **weights: np.ndarray) -> ModelProto:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def changed(change: Callable[[ModelProto], object]) -> ModelProto:
    made = base()
    change(made)
    return made


def weight(change: Callable[[TensorProto], object]) -> ModelProto:
    return changed(lambda m: change(m.graph.initializer[0]))


def one(op_type: str, shape: list[int], inputs: dict, out: list[int] | None, **attrs) -> ModelProto:
    """One node over x and constants."""
    node = helper.make_node(op_type, ["x", *inputs], ["y"], name="node", **attrs)
    return of([node], [info("x", shape)], [info("y", out)], **inputs)


def functions(calls: dict[str, list[str]]) -> ModelProto:
    """Local functions that call one another, and one call of the first."""
    made = of(
        [helper.make_node(next(iter(calls)), ["x"], ["y"], domain="loc")],
        [info("x", [1])],
        [info("y", [1])],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("loc", 1)]
    for name, body in calls.items():
        values = ["a", *(f"t{k}" for k in range(len(body) - 1)), "b"]
        nodes = [
            helper.make_node(op, [values[k]], [values[k + 1]], domain="loc" if op in calls else "")
            for k, op in enumerate(body)
        ]
        made.functions.append(helper.make_function("loc", name, ["a"], ["b"], nodes, imports))
    made.opset_import.append(helper.make_opsetid("loc", 1))
    return made


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def resized(size: list[int]) -> Callable[[TensorProto], object]:
    def change(tensor: TensorProto) -> None:
        del tensor.dims[:]
        tensor.dims.extend(size)

    return change


BAD: dict[str, tuple[Callable[[], ModelProto | bytes], str]] = {
    "empty": (lambda: b"", "must have a graph"),
    "text": (lambda: b"this is not a model\n" * 100, "whole protobuf message"),
    "truncated": (lambda: base().SerializeToString()[:-7], "whole protobuf message"),
    "no graph": (lambda: changed(lambda m: m.ClearField("graph")), "must have a graph"),
    "no opset": (lambda: changed(lambda m: m.ClearField("opset_import")), "import an operator set"),
    "ir version": (lambda: changed(lambda m: setattr(m, "ir_version", 999)), "not 999"),
    "future opset": (
        lambda: changed(lambda m: setattr(m.opset_import[0], "version", 9999)),
        "not 9999",
    ),
    "opset twice": (
        lambda: changed(lambda m: m.opset_import.append(helper.make_opsetid("ai.onnx", 7))),
        "imported once",
    ),
    "cycle": (
        lambda: of(
            [
                helper.make_node("Add", ["x", "b"], ["a"]),
                helper.make_node("Relu", ["a"], ["b"]),
            ],
            [info("x", [2])],
            [info("b", [2])],
        ),
        "topologically sorted",
    ),
    "undefined value": (
        lambda: changed(lambda m: m.graph.node[0].input.__setitem__(1, "nowhere")),
        "nowhere",
    ),
    "missing initialiser": (lambda: changed(lambda m: m.graph.ClearField("initializer")), "w"),
    "output twice": (
        lambda: changed(
            lambda m: m.graph.node.append(helper.make_node("Neg", ["x"], ["z"], name="again"))
        ),
        "single assignment|SSA",
    ),
    "initialiser twice": (
        lambda: changed(lambda m: m.graph.initializer.append(m.graph.initializer[0])),
        "w: an initialiser must be defined once",
    ),
    "output of nothing": (
        lambda: changed(lambda m: m.graph.output.append(info("ghost", [2]))),
        "ghost",
    ),
    "unknown operator": (lambda: one("Frobnicate", [2], {}, [2]), "Frobnicate"),
    "unknown domain": (
        lambda: changed(lambda m: setattr(m.graph.node[1], "domain", "evil.example")),
        "evil.example",
    ),
    "unknown attribute": (lambda: one("Relu", [2], {}, [2], nope=3), "nope"),
    "wrong attribute": (lambda: one("Softmax", [2], {}, [2], axis="one"), "axis"),
    "string output": (
        lambda: one("Cast", [2], {}, [2], to=TensorProto.STRING),
        "no tensor",
    ),
    "negative dims": (lambda: weight(resized([-4, 3])), "none negative"),
    "overflowing dims": (lambda: weight(resized([1 << 32, 1 << 32])), "must have at most"),
    "short data": (lambda: weight(lambda t: setattr(t, "raw_data", b"\0" * 8)), "must have"),
    "both data": (lambda: weight(lambda t: t.float_data.extend([1.0] * 12)), "not both|multiple"),
    "foreign type": (lambda: weight(lambda t: setattr(t, "data_type", 999)), "999"),
    "matmul": (lambda: one("MatMul", [2, 5], {"w": np.ones((4, 3), np.float32)}, None), "node: "),
    "lying output": (
        lambda: changed(lambda m: m.graph.output[0].CopyFrom(info("z", [7, 7]))),
        r"declared shape \[7, 7\], not \[2, 3\]",
    ),
    "lying type": (
        lambda: changed(lambda m: m.graph.output[0].CopyFrom(info("z", [2, 3], 6))),
        "float32 and not int32",
    ),
    "mixed types": (
        lambda: one("Add", [2], {"k": ints(1, 2)}, [2]),
        "operands of Add must fit|Type",
    ),
    "input dim": (lambda: one("Relu", [-7], {}, None), "must not be negative"),
    "reshape": (lambda: one("Reshape", [2, 4], {"s": ints(3, 5)}, None), "has 8 elements"),
    "two minus one": (lambda: one("Reshape", [2, 4], {"s": ints(-1, -1)}, None), "node: "),
    "perm": (lambda: one("Transpose", [2, 4], {}, None, perm=[0, 0]), "node: "),
    "groups": (
        lambda: one("Conv", [1, 2, 5, 5], {"w": np.ones((3, 2, 3, 3), np.float32)}, None, group=0),
        "do not divide into 0 groups",
    ),
    "channels": (
        lambda: one("Conv", [1, 4, 5, 5], {"w": np.ones((3, 2, 3, 3), np.float32)}, None),
        "the input has 4 channels",
    ),
    "kernel": (
        lambda: one("Conv", [1, 2, 2, 2], {"w": np.ones((3, 2, 3, 3), np.float32)}, None),
        "the kernel covers 3",
    ),
    "hidden size": (
        lambda: one(
            "LSTM",
            [3, 1, 4],
            {"w": np.ones((1, 16, 4), np.float32), "r": np.ones((1, 16, 4), np.float32)},
            None,
            hidden_size=5,
        ),
        "hidden size 5",
    ),
    "recursion": (lambda: functions({"f": ["f"]}), "must not call itself"),
    "mutual recursion": (lambda: functions({"f": ["g"], "g": ["f"]}), "must not call itself"),
    "billion laughs": (
        lambda: functions(
            {f"f{k}": [f"f{k + 1}"] * 2 for k in range(30)} | {"f30": ["Neg", "Neg"]}
        ),
        "at most",
    ),
    "pad bomb": (lambda: one("Pad", [2, 2], {"p": ints(*[1 << 30] * 4)}, None), "at most"),
    "huge constant": (
        lambda: of(
            [
                helper.make_node("ConstantOfShape", ["s"], ["c"], name="bomb"),
                helper.make_node("ReduceSum", ["c"], ["r"], keepdims=0),
                helper.make_node("Add", ["x", "r"], ["y"]),
            ],
            [info("x", [1])],
            [info("y", [1])],
            s=ints(1 << 20, 1 << 20),
        ),
        "c: a tensor must have at most",
    ),
    "input bomb": (lambda: one("Relu", [1 << 40, 1 << 40], {}, None), "at most"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_in_one_line(name: str) -> None:
    make, message = BAD[name]
    with pytest.raises(ModelError, match=message) as caught:
        import_model(load_model(make()))
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_files_that_are_none(tmp_path) -> None:
    with pytest.raises(ModelError, match="must exist"):
        load_model(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match="regular file"):
        load_model(tmp_path)


def test_deep_and_wide_models_are_taken() -> None:
    chain = [helper.make_node("Relu", [f"v{k}" if k else "x"], [f"v{k + 1}"]) for k in range(3000)]
    assert len(load_model(of(chain, [info("x", [1])], [info("v3000", [1])])).nodes) == 3000
    wide = [helper.make_node("Neg", ["x"], [f"v{k}"]) for k in range(1000)]
    wide.append(helper.make_node("Sum", [f"v{k}" for k in range(1000)], ["y"]))
    assert len(load_model(of(wide, [info("x", [1])], [info("y", [1])])).nodes) == 1001


def test_many_paths_are_no_trouble() -> None:
    nodes, last = [], "x"
    for k in range(60):
        nodes.append(helper.make_node("Relu", [last], [f"a{k}"]))
        nodes.append(helper.make_node("Add", [f"a{k}", last], [f"b{k}"]))
        last = f"b{k}"
    assert len(load_model(of(nodes, [info("x", [1])], [info(last, [1])])).nodes) == 120
