"""Elements of a byte and less over the whole way: IR text, program files, both machines."""

from io import StringIO
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from onnx import ModelProto, TensorProto, defs, helper
from xdsl.dialects.builtin import ModuleOp
from xdsl.printer import Printer

import semc
from semc.arrays import read_arrays, write_arrays
from semc.backends.tables import decode_constants
from semc.check_levels import check_levels, refuse_differences
from semc.compiler.context import new_context
from semc.compiler.driver import CompileOptions, compile_model
from semc.compiler.parse import parse_module
from semc.dialects.elements import ELEMENTS, Element
from semc.errors import InputError, ModelError, ProgramError

from .onnx_models import info, model

NEWEST = defs.onnx_opset_version()
NARROW = [e for e in ELEMENTS if e.is_narrow]
TARGETS = ["memcap-demo", "mesh-small"]


def codes_of(element: Element, *shape: int) -> np.ndarray:
    codes = np.arange(np.prod(shape)) * 5 % (1 << element.bits)
    return codes.astype(np.uint8).reshape(shape).view(element.dtype)


def moving(element: Element) -> ModelProto:
    """A narrow input moved and widened, a number made narrow, stored and literal constants.

    No operator of ONNX moves elements of six bits.
    """
    moved = "x" if element.bits == 6 else "t"
    nodes = [
        helper.make_node("Cast", [moved], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["n"], ["made"], to=element.number),
        helper.make_node("Identity", ["stored"], ["c"]),
        helper.make_node("Identity", ["literal"], ["l"]),
    ]
    outputs = [
        info("wide", [4, 5]),
        info("made", [3], element.number),
        info("c", [3, 7], element.number),
        info("l", [2], element.number),
    ]
    if moved == "t":
        nodes.insert(0, helper.make_node("Flatten", ["x"], ["f"], axis=2))
        nodes.insert(1, helper.make_node("Transpose", ["f"], ["t"]))
        outputs.append(info("t", [1, 20], element.number))
        outputs[0] = info("wide", [1, 20])
    weights = {"stored": codes_of(element, 3, 7), "literal": np.ones(2).astype(element.dtype)}
    inputs = [info("x", [4, 5], element.number), info("n", [3])]
    return model(nodes, inputs, outputs, weights, NEWEST)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("element", NARROW, ids=lambda e: e.name)
def test_values_survive_every_level_and_file(element: Element, target: str, tmp_path: Path) -> None:
    compilation = compile_model(moving(element), CompileOptions(target=target, keep_levels=True))
    for level in compilation.levels.values():
        text = _text(level)
        assert f"{element.name}>" in text
        assert _text(parse_module(text, new_context(), "text")) == text
    assert compilation.program.manifest["stats"]["host_ops"] == []
    compilation.program.save(tmp_path / "a.semc")
    program = semc.load(tmp_path / "a.semc")
    x = codes_of(element, 4, 5)
    numbers = np.array([1, 1, 0.5 if element.is_float else 0], np.float32)
    moved = x if element.bits == 6 else x.reshape(1, 20)
    feeds = {"x": x, "n": numbers}
    for each in (compilation.program, program):
        found = semc.simulate(each, feeds).outputs
        expected = {
            "t": moved,
            "wide": moved.astype(np.float32),
            "made": numbers.astype(element.dtype),
            "c": codes_of(element, 3, 7),
            "l": np.ones(2).astype(element.dtype),
        }
        for name, array in found.items():
            assert array.dtype == expected[name].dtype
            assert array.tobytes() == expected[name].tobytes(), name
    quantised = semc.simulate(program, feeds, mode="quantized").outputs
    assert quantised["made"].tobytes() == numbers.astype(element.dtype).tobytes()


def _text(module: ModuleOp) -> str:
    out = StringIO()
    Printer(out).print_op(module)
    return out.getvalue()


@pytest.mark.parametrize("target", TARGETS)
def test_levels_agree(target: str) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=0),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"], axis=0),
        helper.make_node("Cast", ["x"], ["r"], to=TensorProto.INT4),
        helper.make_node("Cast", ["x"], ["p"], to=TensorProto.FLOAT8E8M0, round_mode="nearest"),
        helper.make_node("Cast", ["r"], ["y"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["p"], ["w"], to=TensorProto.FLOAT),
    ]
    weights = {
        "s": np.array([0.1, 0.3], np.float32),
        "z": np.array([-1, 2]).astype(ml_dtypes.int4),
    }
    outputs = [info(name, [2, 40]) for name in ("d", "y", "w")]
    made = model(nodes, [info("x", [2, 40])], outputs, weights, NEWEST)
    compilation = compile_model(made, CompileOptions(target=target, keep_levels=True))
    x = np.random.default_rng(3).uniform(-3, 3, (2, 40)).astype(np.float32)
    checks = check_levels(compilation, {"x": x}, tolerance=0)
    refuse_differences(checks)
    assert min(check.compared for check in checks) >= 3


def four_bit_product(element: Element, kind: str, zero: bool) -> ModelProto:
    """x [4, 64] times dequantised weights [64, 32]."""
    rng = np.random.default_rng(5)
    shape = {"tensor": (), "axis": (32,), "blocks": (4, 32)}[kind]
    attrs = {"tensor": {}, "axis": {"axis": 1}, "blocks": {"axis": 0, "block_size": 16}}[kind]
    weights = {
        "q": codes_of(element, 64, 32),
        "s": np.asarray(rng.uniform(0.05, 0.1, shape), np.float32),
    }
    if zero:
        weights["z"] = np.asarray(codes_of(element, max(1, int(np.prod(shape))))).reshape(shape)
    nodes = [
        helper.make_node("DequantizeLinear", list(weights), ["w"], **attrs),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return model(nodes, [info("x", [4, 64])], [info("y", [4, 32])], weights)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("kind", ["tensor", "axis", "blocks"])
@pytest.mark.parametrize("name", ["i4", "ui4"])
def test_four_bit_weights_reach_the_arrays(name: str, kind: str, zero: bool, target: str) -> None:
    import onnxruntime

    made = four_bit_product(next(e for e in NARROW if e.name == name), kind, zero)
    program = semc.compile(made, target)
    work = program.manifest["stats"]["work"]
    assert work["elementwise"] == 0
    assert program.manifest["stats"]["tiles"] > 0
    if target == "memcap-demo":
        assert work["array_macs"] == work["macs"] == 4 * 64 * 32
    x = np.random.default_rng(6).normal(size=(4, 64)).astype(np.float32)
    options = onnxruntime.SessionOptions()  # optimised, it would quantise x as well
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    made.ir_version = 10
    session = onnxruntime.InferenceSession(made.SerializeToString(), options)
    (expected,) = session.run(None, {"x": x})
    found = semc.simulate(program, {"x": x}).outputs["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_four_bit_shapes_are_enough(tmp_path: Path) -> None:
    made = four_bit_product(NARROW[-4], "blocks", zero=True)
    for tensor in made.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="absent.bin")
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    options = CompileOptions(target="memcap-demo", weights=False)
    program = compile_model(tmp_path / "m.onnx", options).program
    assert program.manifest["stats"]["tiles"] > 0


def test_data_files_keep_narrow_arrays(tmp_path: Path) -> None:
    element = NARROW[0]
    x, numbers = codes_of(element, 4, 5), np.ones(3, np.float32)
    write_arrays(tmp_path / "x.npz", {"x": x, "n": numbers})
    program = semc.compile(moving(element), "memcap-demo")
    found = semc.simulate(program, read_arrays(tmp_path / "x.npz")).outputs
    assert found["t"].tobytes() == x.tobytes()
    with pytest.raises(InputError, match="'x' must be float8_e4m3fn"):
        semc.simulate(program, {"x": x.view(np.uint8), "n": numbers})


def test_a_constant_of_the_wrong_size_is_refused() -> None:
    program = semc.compile(moving(NARROW[0]), "memcap-demo")
    from semc.backends.memcap.decode import decode_program

    decoded = decode_program(program)
    tensors = dict(program.tensors)
    section = next(name for _, name in decoded.constants)
    assert tensors[section].dtype == np.uint8
    tensors[section] = tensors[section].astype(np.int16)
    with pytest.raises(ProgramError, match="must hold the elements"):
        decode_constants(tensors, decoded.buffers)


def test_a_type_that_the_operator_does_not_take_is_refused() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    inputs, outputs = ([info(name, [2], TensorProto.INT4)] for name in "xy")
    with pytest.raises(ModelError):
        semc.compile(model(nodes, inputs, outputs), "memcap-demo")
