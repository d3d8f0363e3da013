"""If, Loop and Scan as control flow of the program, at every level and on both machines."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import semc
from semc.check_levels import check_levels, refuse_differences
from semc.compiler.driver import CompileOptions, compile_model
from semc.errors import ModelError, ProgramError
from semc.runtime.interpret.interpret import interpret_function

from .onnx_models import info, model

Inputs = dict[str, np.ndarray]
I64, BOOL = TensorProto.INT64, TensorProto.BOOL
node = helper.make_node


def graph(nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    return helper.make_graph(list(nodes), "body", list(inputs), list(outputs))


def const(name: str, value: Any, dtype: Any = np.int64) -> Any:
    return node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.array(value, dtype)))


def body(
    nodes: Sequence[Any],
    carried: Sequence[tuple[str, str, list[int]]],
    cond: str = "go",
    stacked: Sequence[str] = (),
    suffix: str = "",
) -> Any:
    """A Loop's body: (in, out, shape) of what it carries, and what it stacks."""
    counter, go, go_on = f"i{suffix}", f"go{suffix}", f"go_on{suffix}"
    inputs = [info(counter, [], I64), info(go, [], BOOL), *(info(a, s) for a, _, s in carried)]
    same = [node("Identity", [go], [go_on])] if cond == "go" else []
    outputs = [info(go_on if cond == "go" else cond, [], BOOL)]
    outputs += [info(b, s) for _, b, s in carried] + [info(name, None) for name in stacked]
    return graph([*same, *nodes], inputs, outputs)


def loop(inputs: Sequence[str], outputs: Sequence[str], inner: Any) -> Any:
    return node("Loop", list(inputs), list(outputs), body=inner, name=f"loop {outputs[0]}")


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def counted(trips: int = 3) -> tuple[Any, Inputs]:
    """A state multiplied by a matrix each iteration: the matrix stays in its arrays."""
    inner = body(
        [node("MatMul", ["s", "w"], ["p"]), node("Tanh", ["p"], ["t"])],
        [("s", "t", [2, 4])],
        stacked=["p2"],
    )
    inner.node.append(node("Identity", ["p"], ["p2"]))
    nodes = [const("m", trips), loop(["m", "", "x"], ["y", "all"], inner)]
    w = rng().standard_normal((4, 4)).astype(np.float32)
    found = model(
        nodes, [info("x", [2, 4])], [info("y", [2, 4]), info("all", [trips, 2, 4])], {"w": w}
    )
    return found, {"x": rng().standard_normal((2, 4)).astype(np.float32)}


def swapped() -> tuple[Any, Inputs]:
    """Carried values that trade places: neither may be overwritten before it is read."""
    inner = body(
        [node("Add", ["a", "b"], ["c"])], [("a", "b2", [3]), ("b", "a2", [3]), ("d", "c", [3])]
    )
    inner.node.extend([node("Identity", ["b"], ["b2"]), node("Identity", ["a"], ["a2"])])
    nodes = [const("m", 3), loop(["m", "", "x", "z", "x"], ["u", "v", "q"], inner)]
    outputs = [info(name, [3]) for name in "uvq"]
    found = model(nodes, [info("x", [3]), info("z", [3])], outputs)
    return found, {"x": np.array([1, 2, 3], np.float32), "z": np.array([4, 5, 6], np.float32)}


def until() -> tuple[Any, Inputs]:
    """A condition computed from the data ends the loop; there is no trip count."""
    steps = [
        node("Mul", ["s", "two"], ["t"]),
        node("ReduceMax", ["t"], ["top"], keepdims=0),
        node("Less", ["top", "limit"], ["on"]),
    ]
    inner = body(steps, [("s", "t", [3])], cond="on")
    nodes = [
        const("two", 2, np.float32),
        const("yes", True, np.bool_),
        loop(["", "yes", "x"], ["y"], inner),
    ]
    found = model(nodes, [info("x", [3]), info("limit", [])], [info("y", [3])])
    return found, {"x": np.array([1, 2, 3], np.float32), "limit": np.array(40, np.float32)}


def trips_given() -> tuple[Any, Inputs]:
    """Trip count and first condition are inputs; the counter takes part."""
    steps = [node("Cast", ["i"], ["f"], to=1), node("Add", ["s", "f"], ["t"])]
    nodes = [loop(["m", "start", "x"], ["y"], body(steps, [("s", "t", [2])]))]
    found = model(
        nodes, [info("m", [], I64), info("start", [], BOOL), info("x", [2])], [info("y", [2])]
    )
    return found, {"m": np.array(4, np.int64), "start": np.array(True), "x": np.ones(2, np.float32)}


def chosen() -> tuple[Any, Inputs]:
    """Both branches have work; one only hands a captured value on, and x is used afterwards."""
    then = graph(
        [node("MatMul", ["x", "w"], ["p"]), node("Relu", ["p"], ["t"])],
        [],
        [info("t", [2, 4]), info("p", [2, 4])],
    )
    other = graph(
        [node("Neg", ["x"], ["n"]), node("Identity", ["x"], ["same"])],
        [],
        [info("same", [2, 4]), info("n", [2, 4])],
    )
    nodes = [
        const("zero", 0, np.float32),
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["c"]),
        node("If", ["c"], ["a", "b"], then_branch=then, else_branch=other, name="if"),
        node("Add", ["a", "x"], ["y"]),
    ]
    w = rng().standard_normal((4, 4)).astype(np.float32)
    found = model(nodes, [info("x", [2, 4])], [info("y", [2, 4]), info("b", [2, 4])], {"w": w})
    return found, {"x": rng().standard_normal((2, 4)).astype(np.float32)}


def nested() -> tuple[Any, Inputs]:
    """A loop in a conditional in a loop, with values captured over two levels."""
    inner = body([node("Add", ["r", "x"], ["r2"])], [("r", "r2", [2])], suffix="_inner")
    then = graph([const("two", 2), loop(["two", "", "s"], ["l"], inner)], [], [info("l", [2])])
    other = graph([node("Mul", ["s", "x"], ["q"])], [], [info("q", [2])])
    steps = [
        const("one", 1),
        const("none", 0),
        node("BitwiseAnd", ["i", "one"], ["low"]),
        node("Equal", ["low", "none"], ["even"]),
        node("If", ["even"], ["t"], then_branch=then, else_branch=other),
    ]
    nodes = [
        const("m", 5),
        loop(["m", "", "z"], ["y", "rows"], body(steps, [("s", "t", [2])], stacked=["t2"])),
    ]
    nodes[1].attribute[0].g.node.append(node("Identity", ["t"], ["t2"]))
    found = model(nodes, [info("x", [2]), info("z", [2])], [info("y", [2]), info("rows", [5, 2])])
    return found, {"x": np.array([1, -2], np.float32), "z": np.array([0.5, 3], np.float32)}


def scanned(**attributes: Any) -> tuple[Any, Inputs]:
    """Scan over two sequences with a state and two stacked outputs."""
    inner = graph(
        [
            node("Add", ["s", "a"], ["t"]),
            node("Mul", ["t", "b"], ["u"]),
            node("Identity", ["t"], ["v"]),
        ],
        [info("s", [2]), info("a", [2]), info("b", [])],
        [info("t", [2]), info("u", [2]), info("v", [2])],
    )
    nodes = [
        node(
            "Scan",
            ["z", "p", "q"],
            ["y", "us", "vs"],
            body=inner,
            num_scan_inputs=2,
            name="scan",
            **attributes,
        )
    ]
    first = attributes.get("scan_input_axes", [0])[0] % 2
    shape = [3, 2] if first == 0 else [2, 3]
    outputs = [info("y", [2]), info("us", None), info("vs", None)]
    found = model(nodes, [info("z", [2]), info("p", shape), info("q", [3])], outputs)
    return found, {
        "z": np.array([1, 2], np.float32),
        "p": rng().standard_normal(shape).astype(np.float32),
        "q": np.array([1, -1, 2], np.float32),
    }


def recurrence() -> tuple[Any, Inputs]:
    """Two loops after one another share a matrix that the main graph uses as well."""

    def inner() -> Any:
        return body([node("MatMul", ["s", "w"], ["t"])], [("s", "t", [1, 4])])

    nodes = [
        const("m", 2),
        loop(["m", "", "x"], ["y"], inner()),
        node("MatMul", ["y", "w"], ["between"]),
        loop(["m", "", "between"], ["z"], inner()),
    ]
    w = (rng().standard_normal((4, 4)) / 2).astype(np.float32)
    found = model(nodes, [info("x", [1, 4])], [info("z", [1, 4])], {"w": w})
    return found, {"x": rng().standard_normal((1, 4)).astype(np.float32)}


def on_the_host() -> tuple[Any, Inputs]:
    """A body with a node that only the host can run."""
    steps = [node("Det", ["s"], ["d"]), node("Add", ["s", "d"], ["t"])]
    nodes = [const("m", 2), loop(["m", "", "x"], ["y"], body(steps, [("s", "t", [2, 2])]))]
    found = model(nodes, [info("x", [2, 2])], [info("y", [2, 2])])
    return found, {"x": np.array([[1, 2], [3, 5]], np.float32)}


CASES: dict[str, Callable[[], tuple[Any, Inputs]]] = {
    "counted": counted,
    "no iteration": lambda: counted(0),
    "swapped": swapped,
    "until": until,
    "trips given": trips_given,
    "chosen": chosen,
    "nested": nested,
    "scan": scanned,
    "scan backwards": lambda: scanned(scan_input_directions=[1, 0], scan_output_directions=[0, 1]),
    "scan along others": lambda: scanned(scan_input_axes=[-1, 0], scan_output_axes=[1, -1]),
    "recurrence": recurrence,
    "on the host": on_the_host,
}


def expected(proto: Any, inputs: Inputs) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
@pytest.mark.parametrize("case", CASES)
def test_the_program_agrees_with_onnx_runtime(case: str, target: str) -> None:
    proto, inputs = CASES[case]()
    program = semc.compile(proto, target)
    result = semc.simulate(program, inputs, mode="exact")
    for name, want in zip(
        [o.name for o in proto.graph.output], expected(proto, inputs), strict=True
    ):
        np.testing.assert_allclose(result.outputs[name], want, rtol=1e-5, atol=1e-6)
    assert result.latency_s > 0
    if case != "on the host":
        assert program.manifest["stats"]["host_ops"] == []


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
@pytest.mark.parametrize("case", ["counted", "chosen", "nested", "scan backwards"])
def test_every_level_agrees(case: str, target: str) -> None:
    proto, inputs = CASES[case]()
    options = CompileOptions(target=target, keep_levels=True, interpreter=interpret_function)
    checks = check_levels(compile_model(proto, options), inputs)
    refuse_differences(checks)
    assert all(check.compared for check in checks)


@pytest.mark.parametrize("values", [(4, True, 4), (0, True, 0), (3, False, 0), (-2, True, 0)])
def test_one_program_serves_every_trip_count(values: tuple[int, bool, int]) -> None:
    proto, inputs = trips_given()
    trip, start, runs = values
    inputs |= {"m": np.array(trip, np.int64), "start": np.array(start)}
    result = semc.simulate(semc.compile(proto, "memcap-demo"), inputs, mode="exact")
    np.testing.assert_array_equal(result.outputs["y"], 1 + sum(range(runs)) * np.ones(2))


@pytest.mark.parametrize("sign", [1, -1])
def test_either_branch(sign: int) -> None:
    proto, inputs = chosen()
    x = sign * np.abs(inputs["x"])
    for target in ("memcap-demo", "mesh-small"):
        result = semc.simulate(semc.compile(proto, target), {"x": x}, mode="exact")
        for name, want in zip("yb", expected(proto, {"x": x}), strict=True):
            np.testing.assert_allclose(result.outputs[name], want, rtol=1e-5, atol=1e-6)


def test_a_matrix_is_programmed_once_for_all_iterations() -> None:
    proto, inputs = counted(6)
    program = semc.compile(proto, "memcap-demo", copies=1)
    assert program.manifest["stats"]["arrays"]["used"] == 1
    assert program.manifest["stats"]["work"]["array_macs"] == 6 * 2 * 16
    timed = semc.simulate(program, inputs, mode="exact").timing
    assert timed.array_macs == 6 * 2 * 16


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
def test_time_follows_the_iterations_that_ran(target: str) -> None:
    proto, inputs = trips_given()
    program = semc.compile(proto, target)
    few, many = (
        semc.simulate(program, inputs | {"m": np.array(m, np.int64)}, mode="exact") for m in (2, 8)
    )
    idle = semc.simulate(program, inputs | {"m": np.array(0, np.int64)}, mode="exact")
    ratio = (many.latency_s - idle.latency_s) / (few.latency_s - idle.latency_s)
    assert ratio == pytest.approx(4)
    assert many.energy_j > few.energy_j


def test_noise_differs_from_iteration_to_iteration_and_not_from_run_to_run() -> None:
    """One and the same product in each iteration, read anew by the chip."""
    inner = body([node("MatMul", ["x", "w"], ["p"])], [], stacked=["p"])
    w = {"w": rng().standard_normal((4, 4)).astype(np.float32)}
    nodes = [const("m", 3), loop(["m", ""], ["rows"], inner)]
    proto = model(nodes, [info("x", [1, 4])], [info("rows", [3, 1, 4])], w)
    program = semc.compile(proto, "memcap-demo")
    x = {"x": rng().standard_normal((1, 4)).astype(np.float32)}
    exact = semc.simulate(program, x, mode="exact").outputs["rows"]
    one, two = (semc.simulate(program, x, mode="noisy", seed=3).outputs["rows"] for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(exact[0], exact[1])
    assert not np.array_equal(one[0], one[1])


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
def test_stacked_outputs_that_nobody_uses_are_not_carried(target: str) -> None:
    for proto, inputs in (counted(), scanned(scan_output_axes=[0, 1])):
        used = [proto.graph.output[0], *proto.graph.output[2:]]
        want = expected(proto, inputs)
        del proto.graph.output[:]
        proto.graph.output.extend(used)
        result = semc.simulate(semc.compile(proto, target), inputs, mode="exact")
        assert len(result.outputs) == len(used)
        for output, array in zip(used, [want[0], *want[2:]], strict=True):
            np.testing.assert_allclose(result.outputs[output.name], array, rtol=1e-5, atol=1e-6)


def test_a_loop_that_cannot_end_is_refused() -> None:
    inner = body([node("Neg", ["s"], ["t"])], [("s", "t", [2])])
    proto = model([loop(["", "", "x"], ["y"], inner)], [info("x", [2])], [info("y", [2])])
    with pytest.raises(ModelError, match="a loop must end"):
        semc.compile(proto, "memcap-demo")


def test_a_stack_longer_than_the_model_declares_is_refused() -> None:
    inner = body([node("Neg", ["s"], ["t"])], [("s", "t", [2])], stacked=["t2"])
    inner.node.append(node("Identity", ["t"], ["t2"]))
    inputs = [info("m", [], I64), info("x", [2])]
    nodes = [loop(["m", "", "x"], ["y", "rows"], inner)]
    program = semc.compile(
        model(nodes, inputs, [info("y", [2]), info("rows", [3, 2])]), "memcap-demo"
    )
    x = np.ones(2, np.float32)
    done = semc.simulate(program, {"m": np.array(3, np.int64), "x": x}, mode="exact")
    np.testing.assert_array_equal(done.outputs["rows"][:, 0], [-1, 1, -1])
    with pytest.raises(ProgramError):
        semc.simulate(program, {"m": np.array(4, np.int64), "x": x}, mode="exact")


def test_a_carried_value_that_changes_its_shape_runs_on_the_host() -> None:
    inner = body([node("Concat", ["s", "s"], ["t"], axis=0)], [("s", "t", [None])])  # type: ignore[list-item]
    nodes = [const("m", 2), loop(["m", "", "x"], ["y"], inner)]
    proto = model(nodes, [info("x", [2])], [info("y", [8])])
    program = semc.compile(proto, "memcap-demo")
    assert [op["op"] for op in program.manifest["stats"]["host_ops"]] == ["Loop"]
    x = np.array([1, 2], np.float32)
    np.testing.assert_array_equal(
        semc.simulate(program, {"x": x}, mode="exact").outputs["y"], np.tile(x, 4)
    )
