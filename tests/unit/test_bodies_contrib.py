"""What ONNX Runtime's optimiser fuses, against ONNX Runtime."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import semc
from semc.compiler.frontend.load import load_model
from semc.errors import ModelError

from .body_harness import MICROSOFT, check_foreign
from .onnx_models import info, model

F32, F16 = np.float32, np.float16
rng = np.random.default_rng(9)


def floats(*shape: int, dtype: Any = F32) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("op", ["Gelu", "FastGelu", "QuickGelu"])
def test_activations(op: str) -> None:
    assert check_foreign(op, {"x": floats(3, 5)}).ops == ["map"]
    if op == "FastGelu":
        check_foreign(op, {"x": floats(3, 5), "b": floats(5)}, constants=["b"])
    if op == "QuickGelu":
        check_foreign(op, {"x": floats(3, 5)}, {"alpha": 0.7})


def test_bias_gelu() -> None:
    check_foreign("BiasGelu", {"x": floats(2, 3, 5), "b": floats(5)}, constants=["b"])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("beta", [True, False])
@pytest.mark.parametrize("total", [True, False])
def test_skip_layer_normalization(bias: bool, beta: bool, total: bool) -> None:
    inputs = {
        "x": floats(2, 3, 8),
        "skip": floats(2, 3, 8),
        "gamma": floats(8),
        "beta": floats(8) if beta else None,
        "bias": floats(8) if bias else None,
    }
    outputs = [F32, None, None, F32] if total else [F32]
    constants = ["gamma", "beta", "bias"]
    check_foreign("SkipLayerNormalization", inputs, {"epsilon": 1e-3}, outputs, constants)
    del inputs["beta"]
    check_foreign("SkipSimplifiedLayerNormalization", inputs, {}, outputs, constants, atol=1e-4)


@pytest.mark.parametrize("shape", [(4, 3), (2, 4, 3), (2, 2, 4, 3)])
@pytest.mark.parametrize("turn", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_fused_products(shape: tuple[int, ...], turn: tuple[int, int]) -> None:
    def operand(turned: int, rows: int, columns: int) -> np.ndarray:
        return floats(*shape[:-2], *((columns, rows) if turned else (rows, columns)))

    inputs = {"a": operand(turn[0], 4, 3), "b": operand(turn[1], 3, 5)}
    attrs = {"transA": turn[0], "transB": turn[1], "alpha": 0.5}
    check_foreign("FusedMatMul", inputs, attrs, constants=["b"])
    check_foreign("FusedMatMul", inputs, attrs)


def test_products_with_the_batch_behind() -> None:
    inputs = {"a": floats(4, 2, 3, 6), "b": floats(2, 3, 6, 5)}
    check_foreign("FusedMatMul", inputs, {"transBatchA": 1})


ACTIVATIONS = [("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.3])]


@pytest.mark.parametrize(
    ("kind", "parameters"), [*ACTIVATIONS, ("Clip", [-0.5, 0.5]), ("HardSigmoid", [0.1, 0.6])]
)
def test_fused_convolutions(kind: str, parameters: list[float]) -> None:
    attrs: dict[str, Any] = {"activation": kind, "pads": [1, 1, 1, 1], "strides": [2, 1]}
    if parameters:
        attrs["activation_params"] = parameters
    inputs = {"x": floats(2, 3, 7, 6), "w": floats(4, 3, 3, 3), "b": floats(4)}
    check_foreign("FusedConv", inputs, attrs, constants=["w", "b"], atol=1e-4)
    inputs["z"] = floats(2, 4, 4, 6)
    check_foreign("FusedConv", inputs, attrs, constants=["w", "b"], atol=1e-4)


@pytest.mark.parametrize(("kind", "parameters"), ACTIVATIONS)
def test_fused_gemm(kind: str, parameters: list[float]) -> None:
    attrs: dict[str, Any] = {"activation": kind, "transB": 1, "alpha": 0.5, "beta": 2.0}
    if parameters:
        attrs["activation_alpha"] = parameters[0]
    inputs = {"a": floats(2, 3), "b": floats(4, 3), "c": floats(4)}
    check_foreign("FusedGemm", inputs, attrs, constants=["b", "c"], atol=1e-4)


@pytest.mark.parametrize(
    ("k", "block", "bits", "zero"),
    [
        (32, 16, 4, "none"),
        (40, 16, 4, "codes"),
        (40, 16, 4, "floats"),
        (48, 32, 8, "none"),
        (48, 32, 8, "codes"),
    ],
)
def test_blocks_of_few_bits(k: int, block: int, bits: int, zero: str) -> None:
    n, blocks = 6, -(-k // block)
    codes = rng.integers(0, 256, (n, blocks, block * bits // 8), np.uint8)
    zeros: np.ndarray | None = None
    if zero == "codes":
        zeros = rng.integers(0, 256, n * -(-blocks * bits // 8), np.uint8)
    elif zero == "floats":
        zeros = rng.uniform(0, 15, (n, blocks)).astype(F32)
    inputs = {
        "a": floats(2, 3, k),
        "b": codes,
        "scales": rng.uniform(0.01, 0.1, n * blocks).astype(F32),
        "zeros": zeros,
        "order": None,
        "bias": floats(n),
    }
    attrs = {"K": k, "N": n, "bits": bits, "block_size": block}
    constants = ["b", "scales", "zeros", "bias"]
    done = check_foreign("MatMulNBits", inputs, attrs, constants=constants, rtol=1e-4, atol=1e-3)
    assert "linear" in done.ops


def test_rms_norm_in_the_domain_of_onnx() -> None:
    """Exporters write it there, although ONNX does not define it."""
    inputs = {"x": floats(2, 3, 8), "scale": floats(8)}
    attrs = {"axis": -1, "epsilon": 1e-3}
    name = "SimplifiedLayerNormalization"
    done = check_foreign(name, inputs, attrs, constants=["scale"], domain="")
    assert done.ops == ["norm"]


def inverse(*, declared: bool) -> onnx.ModelProto:
    """x [3, 3] -> its inverse, by an operator that has no body here -> Relu -> y."""
    nodes = [
        helper.make_node("Inverse", ["x"], ["h"], name="own", domain=MICROSOFT),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    made = model(nodes, [info("x", [3, 3])], [info("y", None)])
    made.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    if declared:
        made.graph.value_info.append(info("h", [3, 3]))
    return made


def test_other_operators_need_a_declared_shape_and_run_on_the_host() -> None:
    with pytest.raises(ModelError, match=r"output 'h' of com\.microsoft\.Inverse is not known"):
        load_model(inverse(declared=False))
    program = semc.compile(inverse(declared=True), target="memcap-demo")
    (host,) = program.manifest["stats"]["host_ops"]
    assert "Inverse" in host["reason"]
    x = np.eye(3, dtype=F32) + floats(3, 3) / 9
    (y,) = semc.simulate(program, {"x": x}, mode="exact").outputs.values()
    np.testing.assert_allclose(y, np.maximum(np.linalg.inv(x), 0), rtol=1e-4, atol=1e-5)


def test_a_body_that_does_not_fit_leaves_the_operator_whole() -> None:
    """Columns in another order: the product stays with ONNX Runtime, nothing of it is left over."""
    node = helper.make_node(
        "MatMulNBits", ["a", "b", "s", "", "g"], ["y"], name="own", domain=MICROSOFT,
        K=16, N=2, bits=4, block_size=16,
    )  # fmt: skip
    weights = {
        "b": np.zeros((2, 1, 8), np.uint8),
        "s": np.ones(2, F32),
        "g": np.zeros(16, np.int32),
    }
    made = model([node], [info("a", [3, 16])], [info("y", [3, 2])], weights)
    made.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    loaded = load_model(made)
    assert [n.op_type for n in loaded.nodes] == ["MatMulNBits"]
    assert set(loaded.constants) == set(weights)
