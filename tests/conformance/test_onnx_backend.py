"""ONNX's own backend tests over the whole way: compiler, program file, simulator.

Every case runs, each in a process that it may bring down, and must pass unless
``known_failures.toml`` says why not; one that is known to fail must fail.
``python benchmarks/onnx_coverage.py`` runs the same and writes docs/onnx-coverage.md.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from semc import onnx_backend
from semc.backends.program import Program
from semc.errors import InputError, ModelError

#: The cases are cut into parts, for as many workers as there are.
PARTS = 16


@pytest.fixture(scope="module")
def suite(repository: Path) -> ModuleType:
    """benchmarks/onnx_cases.py, which is in no package."""
    spec = importlib.util.spec_from_file_location(
        "onnx_cases", repository / "benchmarks" / "onnx_cases.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["onnx_cases"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cases(suite: ModuleType) -> list[Any]:
    return suite.load_cases()


def test_what_is_known_to_fail_exists(suite: ModuleType, cases: list[Any]) -> None:
    fails, undecided = suite.known_failures()
    assert set(fails) | set(undecided) <= {case.name for case in cases}
    assert not set(fails) & set(undecided)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_case(suite: ModuleType, cases: list[Any], part: int) -> None:
    chosen = cases[part::PARTS]
    verdicts = list(suite.run_cases(chosen, jobs=1))
    assert sorted(v.name for v in verdicts) == sorted(c.name for c in chosen)
    assert suite.surprises(verdicts) == []


def test_surprises_are_both_ways(suite: ModuleType) -> None:
    fails, undecided = suite.known_failures()
    known, either = next(iter(fails)), next(iter(undecided))
    told = suite.surprises(
        [
            suite.Verdict(known, True),
            suite.Verdict("test_new", False, "ValueError: wrong"),
            suite.Verdict("test_good", True),
            suite.Verdict(either, True),
            suite.Verdict(either, False),
        ]
    )
    assert len(told) == 2
    assert "known to fail" in told[0]
    assert told[1] == "test_new: ValueError: wrong"


def _model(nodes, inputs, outputs, opset: int = 21) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def _info(name: str, shape, kind: int = TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def test_the_module_is_a_backend() -> None:
    assert onnx_backend.supports_device("CPU")
    assert not onnx_backend.supports_device("CUDA")
    model = _model([helper.make_node("Relu", ["x"], ["y"])], [_info("x", [3])], [_info("y", [3])])
    x = np.array([-1, 0, 2], np.float32)
    (y,) = onnx_backend.run_model(model, [x])
    np.testing.assert_array_equal(y, [0, 0, 2])
    (y,) = onnx_backend.run_node(helper.make_node("Neg", ["x"], ["y"]), [x])
    np.testing.assert_array_equal(y, [1, 0, -2])
    prepared = onnx_backend.prepare(model, target="mesh-small")
    assert isinstance(prepared.program, Program)
    assert prepared.program.target.name == "mesh-small"
    with pytest.raises(InputError, match="has 1 inputs, 2 came"):
        prepared.run([x, x])
    with pytest.raises(InputError, match="device must be CPU"):
        onnx_backend.prepare(model, "CUDA")


def test_symbolic_dimensions_follow_the_inputs() -> None:
    node = helper.make_node("Add", ["x", "x"], ["y"])
    model = _model([node], [_info("x", ["n", 2])], [_info("y", ["n", 2])])
    prepared = onnx_backend.prepare(model)
    for rows in (1, 3):
        x = np.ones((rows, 2), np.float32)
        (y,) = prepared.run([x])
        np.testing.assert_array_equal(y, x + x)


def test_values_that_are_no_tensors_cross_as_bytes() -> None:
    nodes = [
        helper.make_node("SequenceInsert", ["s", "x"], ["t"]),
        helper.make_node("SequenceLength", ["t"], ["n"]),
        helper.make_node("Cast", ["x"], ["text"], to=TensorProto.STRING),
        helper.make_node("NonZero", ["x"], ["where"]),
    ]
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    longer = helper.make_tensor_sequence_value_info("t", TensorProto.FLOAT, None)
    outputs = [
        longer,
        _info("n", [], TensorProto.INT64),
        _info("text", [2], TensorProto.STRING),
        _info("where", [1, None], TensorProto.INT64),
    ]
    model = _model(nodes, [sequence, _info("x", [2])], outputs)
    x = np.array([0, 2], np.float32)
    t, n, text, where = onnx_backend.run_model(model, [[np.ones(3, np.float32)], x])
    assert [list(part) for part in t] == [[1, 1, 1], [0, 2]]
    assert int(n) == 2
    assert [float(entry) for entry in text] == [0, 2]
    np.testing.assert_array_equal(where, [[1]])
    with pytest.raises(InputError, match="at most 65528 bytes"):
        onnx_backend.run_model(model, [[np.ones(20000, np.float32)], x])
    with pytest.raises(InputError, match="fit its type"):
        onnx_backend.run_model(model, [5, x])


def test_a_forged_port_is_refused() -> None:
    kind = helper.make_tensor_type_proto(TensorProto.STRING, [2])
    unpack = helper.make_node("Unpack", ["x"], ["v"], domain="semc.port", type=kind)
    del unpack.attribute[:]
    cast = helper.make_node("Cast", ["v"], ["y"], to=TensorProto.FLOAT)
    model = _model([unpack, cast], [_info("x", [2], TensorProto.UINT8)], [_info("y", [2])])
    model.opset_import.add(domain="semc.port", version=1)
    with pytest.raises(ModelError, match="port must have a type"):
        onnx_backend.prepare(model)
