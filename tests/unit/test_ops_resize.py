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
    attrs["extrapolation_value"] = 10.0
    outside = (0, 0, 0.2, 0.1, 1, 1, 1.9, 0.8)
    resize(floats(1, 2, 5, 7), sizes=(1, 2, 3, 4), roi=outside, **attrs)
    inputs = {"X": floats(1, 2, 5, 7), "roi": np.array(roi, np.float32), "scales": None}
    more = [outside, (0, 0, -0.2, 0.3, 1, 1, 0.5, 1.3), (0, 0, 0, 0, 1, 1, 1, 1)]
    also = [{"roi": np.array(region, np.float32)} for region in more]
    for sizes in ((1, 2, 3, 4), (1, 2, 6, 9), (1, 2, 1, 1)):
        sized = {**inputs, "sizes": np.array(sizes)}
        check_op("Resize", sized, attrs, also=also, rtol=1e-4, atol=1e-5)


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


def scales(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


#: Scales for which [1, 2, 5, 7] becomes the same shape.
RANGES = [
    [scales(1, 1, 2, 2), scales(1, 1, 2.1, 2.05), scales(1, 1, 2.19, 2.14)],
    [scales(1, 1, 0.6, 0.8), scales(1, 1, 0.75, 0.72), scales(1, 1, 0.7, 0.85)],
    [scales(1, 1, 1, 0.5), scales(1, 1, 1.1, 0.45), scales(1, 1, 1.19, 0.57)],
]


@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_one_program_takes_many_scales(how: str, rounding: str) -> None:
    attrs = {"coordinate_transformation_mode": how, "nearest_mode": rounding}
    for first, *more in RANGES:
        also = [{"scales": values} for values in more]
        check_op(
            "Resize", {"X": floats(1, 2, 5, 7), "roi": None, "scales": first}, attrs, also=also
        )
    line = np.arange(14, dtype=np.float32).reshape(1, 1, 14)
    inputs = {"X": line, "roi": None, "scales": scales(1, 1, 0.3)}
    check_op("Resize", inputs, attrs, also=[{"scales": scales(1, 1, 0.35)}])


@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("antialias", [0, 1])
def test_one_program_interpolates_by_many_scales(how: str, mode: str, antialias: int) -> None:
    attrs = {"coordinate_transformation_mode": how, "mode": mode, "antialias": antialias}
    for first, *more in RANGES:
        inputs = {"X": floats(1, 2, 5, 7), "roi": None, "scales": first}
        also = [{"scales": values} for values in more]
        check_op("Resize", inputs, attrs, also=also, rtol=1e-4, atol=1e-5)
        if mode == "cubic":
            attrs |= {"exclude_outside": 1, "cubic_coeff_a": -0.5}
            check_op("Resize", inputs, attrs, also=also, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_one_program_takes_many_sizes(policy: str, mode: str) -> None:
    attrs = {"mode": mode, "keep_aspect_ratio_policy": policy, "axes": [2, 3]}
    inputs = {"X": floats(1, 2, 5, 7), "roi": None, "scales": None, "sizes": np.array([9, 13])}
    # each becomes 9 by 13 under its policy
    more = {"stretch": [], "not_larger": [(9, 20), (15, 13)], "not_smaller": [(9, 12), (8, 13)]}
    also = [{"sizes": np.array(sizes)} for sizes in more[policy]]
    lowered = check_op("Resize", inputs, attrs, also=also, rtol=1e-4, atol=1e-5)
    if policy == "stretch":
        assert lowered.ops == (["gather"] if mode == "nearest" else ["resample"]) * 2


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialias_leaves_axes_alone_that_keep_their_size(mode: str) -> None:
    for scale in (1.1, 1.19):
        resize(floats(1, 2, 5, 7), (1, 1, scale, 0.5), mode=mode, antialias=1)


def test_one_op_an_axis() -> None:
    x = floats(1, 2, 5, 7)
    assert resize(x, (1, 1, 2, 2)).ops == ["gather", "gather"]
    assert resize(x, (1, 1, 2, 1), mode="linear").ops == ["resample"]
    assert resize(x, (1, 1, 1, 1), mode="cubic").ops == []


def test_what_stays_on_the_host() -> None:
    with pytest.raises(NotLowered, match="integers"):
        resize(np.ones((1, 1, 4, 4), np.uint8), (1, 1, 2, 2), mode="linear")
    inputs = {"X": np.ones((1, 1, 4, 4), np.int8), "roi": None, "scales": scales(1, 1, 2, 2)}
    with pytest.raises(NotLowered, match="integers"):
        check_op("Resize", inputs, {"mode": "linear"})
