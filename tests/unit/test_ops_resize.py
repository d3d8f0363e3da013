"""Resize against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import Lowered, check_op

COORDINATES = [
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
SCALES = [(1, 1, 2, 2), (1, 1, 0.6, 0.8), (1, 1, 1.3, 2.5)]
SIZES = [(1, 2, 10, 3), (1, 2, 1, 1), (1, 2, 8, 15)]


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def resize(x: np.ndarray, scales: Any = None, sizes: Any = None, **attrs: Any) -> Lowered:
    roi = attrs.pop("roi", None)
    inputs = {
        "X": x,
        "roi": None if roi is None else np.array(roi, np.float32),
        "scales": None if scales is None else np.array(scales, np.float32),
        "sizes": None if sizes is None else np.array(sizes, np.int64),
    }
    known = ["roi", "scales", "sizes"]
    return check_op("Resize", inputs, attrs, constants=known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_nearest(how: str, rounding: str) -> None:
    attrs = {"coordinate_transformation_mode": how, "nearest_mode": rounding}
    for whole in SCALES:
        resize(floats(1, 2, 5, 7), whole, **attrs)
    # many ratios of a line, whose ties hang on float32 rounding
    for size, scales in ((9, (0.6, 1.2, 1.7)), (14, (0.3, 0.7))):
        for scale in scales:
            resize(np.arange(size, dtype=np.float32).reshape(1, 1, size), (1, 1, scale), **attrs)


@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("antialias", [0, 1])
def test_interpolation(how: str, mode: str, antialias: int) -> None:
    x = floats(1, 2, 5, 7)
    attrs = {"coordinate_transformation_mode": how, "mode": mode, "antialias": antialias}
    for scales in SCALES:
        resize(x, scales, **attrs)
        if mode == "cubic":  # the only mode for which ONNX Runtime has it
            resize(x, scales, exclude_outside=1, cubic_coeff_a=-0.5, **attrs)
    for sizes in SIZES:
        resize(x, sizes=sizes, **attrs)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_aspect_ratio(policy: str, mode: str) -> None:
    attrs = {"mode": mode, "keep_aspect_ratio_policy": policy, "axes": [2, 3]}
    resize(floats(1, 2, 5, 7), sizes=(9, 9), **attrs)
    resize(floats(1, 2, 5, 7), sizes=(3, 20), **attrs)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_crop(mode: str) -> None:
    attrs = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": mode}
    roi = (0, 0, 0.2, 0.1, 1, 1, 0.9, 0.8)
    resize(floats(1, 2, 5, 7), sizes=(1, 2, 3, 4), roi=roi, **attrs)
    resize(floats(1, 2, 5, 7), sizes=(1, 2, 1, 9), roi=roi, **attrs)
    outside = (0, 0, 0.2, 0.1, 1, 1, 1.9, 0.8)
    with pytest.raises(NotLowered, match="extrapolates"):
        resize(floats(1, 2, 5, 7), sizes=(1, 2, 3, 4), roi=outside, **attrs)


@pytest.mark.parametrize("shape", [(7,), (4, 7), (2, 4, 7), (1, 2, 3, 4, 5)])
def test_ranks(shape: tuple[int, ...]) -> None:
    for mode in ("nearest", "linear"):
        scales = [2.0 if i >= len(shape) - 2 else 1.0 for i in range(len(shape))]
        if mode == "nearest" or len(shape) in (2, 4, 5):
            resize(floats(*shape), scales, mode=mode)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.float16])
def test_nearest_types(dtype: Any) -> None:
    resize((floats(1, 1, 4, 4) * 9).clip(0, 100).astype(dtype), (1, 1, 2, 2))


def test_half_precision_interpolation() -> None:
    x = floats(1, 1, 4, 4).astype(np.float16)
    inputs = {"X": x, "roi": None, "scales": np.array([1, 1, 2, 2], np.float32)}
    check_op("Resize", inputs, {"mode": "linear"}, constants=["scales"], rtol=1e-2, atol=1e-2)


def test_one_op_an_axis() -> None:
    x = floats(1, 2, 5, 7)
    assert resize(x, (1, 1, 2, 2)).ops == ["gather", "gather"]
    assert resize(x, (1, 1, 2, 1), mode="linear").ops == ["resample"]
    assert resize(x, (1, 1, 1, 1), mode="cubic").ops == []


def test_what_stays_on_the_host() -> None:
    with pytest.raises(NotLowered, match="integers"):
        resize(np.ones((1, 1, 4, 4), np.uint8), (1, 1, 2, 2), mode="linear")
    inputs = {"X": floats(1, 1, 4, 4), "roi": None, "scales": np.array([1, 1, 2, 2], np.float32)}
    with pytest.raises(NotLowered, match="scales are computed"):
        check_op("Resize", inputs)
