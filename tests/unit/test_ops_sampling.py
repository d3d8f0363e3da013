"""Sampling at computed positions against ONNX Runtime and the reference evaluator."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import check_op


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [0, 1])
def test_grid_sample(mode: str, padding: str, align: int) -> None:
    attrs = {"mode": mode, "padding_mode": padding, "align_corners": align}
    cases = [
        (floats(2, 3, 4, 5), floats(2, 3, 6, 2) * np.float32(1.3)),
        (floats(1, 1, 1, 1), floats(1, 3, 2, 2)),
    ]
    if not align and mode != "cubic":
        cases.append((floats(2, 3, 3, 4, 5), floats(2, 3, 2, 3, 3) * np.float32(1.3)))
    for x, grid in cases:
        check_op("GridSample", {"X": x, "grid": grid}, attrs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_grid_sample_in_double_precision(mode: str) -> None:
    inputs = {"X": floats(1, 1, 2, 3), "grid": floats(1, 3, 2, 2)}
    wide = {name: x.astype(np.float64) for name, x in inputs.items()}
    check_op("GridSample", wide, {"mode": mode})


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (1, 1, 1, 3), (2, 3, 2, 3, 4)])
def test_affine_grid(size: tuple[int, ...], align: int) -> None:
    dims = len(size) - 2
    theta = floats(size[0], dims, dims + 1)
    done = check_op(
        "AffineGrid", {"theta": theta, "size": np.array(size)}, {"align_corners": align}
    )
    assert "linear" in done.ops


REGIONS = np.array([[1, 2, 9, 7.5], [-4, -3, 5, 30], [6, 6, 6.2, 6.1], [0, 0, 40, 40]], np.float32)


@pytest.mark.parametrize("how", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("points", [1, 2, 3])
def test_regions(how: str, mode: str, points: int) -> None:
    inputs = {"X": floats(2, 3, 9, 11), "rois": REGIONS, "batch": np.array([0, 1, 1, 0])}
    attrs: dict[str, Any] = {
        "coordinate_transformation_mode": how,
        "mode": mode,
        "sampling_ratio": points,
        "output_height": 3,
        "output_width": 2,
        "spatial_scale": 0.8,
    }
    check_op("RoiAlign", inputs, attrs, rtol=1e-4, atol=1e-5)


def test_regions_with_points_by_their_size_stay_on_the_host() -> None:
    inputs = {"X": floats(1, 1, 4, 4), "rois": REGIONS[:1], "batch": np.array([0])}
    with pytest.raises(NotLowered, match="as a region is large"):
        check_op("RoiAlign", inputs)


@pytest.mark.parametrize("fixed", [["W", "B"], []])
@pytest.mark.parametrize(("groups", "parts"), [(1, 1), (2, 1), (2, 4)])
def test_deformed_convolutions(groups: int, parts: int, fixed: list[str]) -> None:
    attrs = {
        "group": groups,
        "offset_group": parts,
        "pads": [1, 0, 1, 2],
        "strides": [2, 1],
        "dilations": [1, 2],
        "kernel_shape": [3, 2],
    }
    out = (4, 9)
    inputs = {
        "X": floats(2, 4, 8, 9),
        "W": floats(6, 4 // groups, 3, 2),
        "offset": floats(2, parts * 12, *out),
        "B": floats(6),
        "mask": floats(2, parts * 6, *out),
    }
    for given in (inputs, {k: inputs[k] for k in ("X", "W", "offset")}):
        check_op("DeformConv", given, attrs, constants=fixed, rtol=1e-4, atol=1e-4)
