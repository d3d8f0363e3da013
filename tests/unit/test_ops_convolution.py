"""Convolutions against ONNX Runtime: geometry, groups, constant and computed kernels, integers."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered, OnnxNode
from semc.compiler.frontend.window_geometry import window_of

from .op_harness import Lowered, check_op

SPACES = {1: (9,), 2: (8, 7), 3: (5, 4, 5)}
KERNEL = (3, 2, 2)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def codes(dtype: Any, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.random.default_rng(shape).integers(info.min, info.max, shape, dtype, endpoint=True)


def check(op: str, inputs: dict[str, Any], attrs: dict[str, Any], constants: str) -> Lowered:
    return check_op(op, inputs, attrs, constants=constants.split(), rtol=1e-4, atol=1e-4)


def padding(how: str, rank: int) -> dict[str, Any]:
    if how == "pads":
        return {"pads": [*[1, 0, 2][:rank], *[2, 1, 0][:rank]]}
    return {} if how == "none" else {"auto_pad": how}


@pytest.mark.parametrize("constants", ["W B", "W", "B"])
@pytest.mark.parametrize("how", ["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_geometry(rank: int, how: str, constants: str) -> None:
    space = SPACES[rank]
    for groups, stride, dilation in ((1, 1, 1), (2, 2, 1), (1, 3, 1), (2, 2, 2)):
        attrs = {
            "group": groups,
            "strides": [stride] * rank,
            "dilations": [dilation] * rank,
            **padding(how, rank),
        }
        bias = floats(6) if stride == 2 or "W" not in constants else None
        x = {"X": floats(2, 4, *space)}
        kernel = KERNEL[:rank]
        if dilation == 1 or not how.startswith("SAME"):  # which ONNX Runtime refuses
            check("Conv", {**x, "W": floats(6, 4 // groups, *kernel), "B": bias}, attrs, constants)
        weights = {"W": floats(4, 6 // groups, *kernel), "B": bias}
        check("ConvTranspose", {**x, **weights}, attrs, constants)


@pytest.mark.parametrize(
    ("constants", "expected"),
    [("W B", ["conv"]), ("W", ["conv", "view", "map"]), ("", ["window", "view", "map"])],
)
def test_conv_becomes(constants: str, expected: list[str]) -> None:
    inputs = {"X": floats(1, 4, 5, 5), "W": floats(6, 4, 3, 3), "B": floats(6)}
    assert check("Conv", inputs, {}, constants).ops == expected


def test_depthwise() -> None:
    inputs = {"X": floats(1, 4, 6, 6), "W": floats(8, 1, 3, 3)}
    for constants in ("W", ""):
        check("Conv", inputs, {"group": 4, "pads": [1, 1, 1, 1]}, constants)


def test_dilated_same_padding_keeps_the_size() -> None:
    """ONNX Runtime refuses dilation with auto_pad; by hand from the rule of the operator."""
    attrs = {"auto_pad": "SAME_UPPER", "dilations": [2, 3], "strides": [1, 2]}
    node = OnnxNode("Conv", "node", (), (), attrs)
    window = window_of(node, (9, 9), (3, 2), (9, 5))
    assert (window.low, window.high) == ((2, 1), (2, 2))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_types(dtype: Any) -> None:
    inputs = {"X": floats(1, 3, 5, 4).astype(dtype), "W": floats(4, 3, 3, 3).astype(dtype)}
    check_op("Conv", inputs, constants=["W"], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("constants", ["W", ""])
@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_output_size(groups: int, constants: str) -> None:
    inputs = {"X": floats(1, 4, 5, 4), "W": floats(4, 6 // groups, 3, 3)}
    for attrs in (
        {"strides": [2, 2], "output_padding": [1, 1]},
        {"strides": [3, 3], "output_padding": [1, 2], "pads": [1, 1, 1, 1]},
        {"strides": [2, 2], "output_shape": [10, 8]},
        {"strides": [2, 2], "output_shape": [10, 8], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "output_shape": [10, 8], "auto_pad": "SAME_LOWER"},
        {"strides": [3, 3], "output_shape": [15, 14], "output_padding": [1, 2]},
        {"strides": [3, 3], "dilations": [2, 1], "auto_pad": "SAME_UPPER"},
    ):
        check("ConvTranspose", inputs, {"group": groups, **attrs}, constants)


@pytest.mark.parametrize("types", [("u1", "u1"), ("u1", "i1"), ("i1", "i1")])
@pytest.mark.parametrize(("channels", "groups"), [(4, 1), (4, 2), (60, 1)])
@pytest.mark.parametrize("constants", ["", "w wz", "w wz xs ws ys B"])
def test_integers(types: tuple[str, str], channels: int, groups: int, constants: str) -> None:
    attrs = {"group": groups, "pads": [1, 1, 0, 1], "strides": [2, 1]}
    x, w = codes(types[0], 2, channels, 6, 5), codes(types[1], 6, channels // groups, 3, 3)
    known = " ".join(set(constants.split()) & {"w", "wz"})
    zeros = {"xz": codes(types[0]), "wz": codes(types[1])}
    check("ConvInteger", {"x": x, "w": w}, attrs, known.replace("wz", ""))
    check("ConvInteger", {"x": x, "w": w, **zeros}, attrs, known)
    for by_output in (False, True):
        w_zero = zeros["wz"]
        if by_output and types[1] == "u1":
            w_zero = np.full(6, w_zero)
        quantized = {
            "x": x,
            "xs": np.float32(0.02),
            "xz": zeros["xz"],
            "w": w,
            "ws": floats(6) ** 2 / 10 + np.float32(0.01) if by_output else np.float32(0.03),
            "wz": w_zero,
            "ys": np.float32(0.9),
            "yz": codes(types[0]),
            "B": codes("i2", 6).astype(np.int32),
        }
        check("QLinearConv", quantized, attrs, constants)


def test_long_integer_sums_are_cut_into_exact_parts() -> None:
    inputs = {"x": np.full((1, 60, 4, 4), 255, np.uint8), "w": np.full((2, 60, 3, 3), 255, "u1")}
    assert check("ConvInteger", inputs, {}, "w").ops.count("conv") == 3
    grouped = {"x": np.full((1, 120, 4, 4), 255, np.uint8), "w": inputs["w"]}
    with pytest.raises(NotLowered, match="2\\^24"):
        check("ConvInteger", grouped, {"group": 2}, "w")


def test_four_spatial_dims_stay_on_the_host() -> None:
    inputs = {"X": floats(1, 2, 2, 2, 2, 2), "W": floats(2, 2, 1, 1, 1, 1)}
    with pytest.raises(NotLowered, match="4 spatial dims"):
        check("Conv", inputs, {}, "W")
