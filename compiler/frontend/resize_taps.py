"""Where an output position of ONNX Resize lies in the input, and which taps it takes.

Rules of the ONNX operator Resize; arithmetic in float32 as ONNX Runtime has it, because ties of
nearest neighbours are decided by its rounding. The formulas take arrays, or traced values where a
scale or a region is computed while running.
"""

from typing import Any

import numpy as np

from .lowering import NotLowered

F32, F64 = np.float32, np.float64
#: ONNX Runtime takes what is this close to a half for a tie (measured over many ratios).
TIE = 1e-6
#: Half the width of a filter, in elements of the input.
RADIUS = {"linear": 1, "cubic": 2}


def source_position(
    how: str, size: int, out: int, x: Any, scale: Any, start: Any = None, end: Any = None
) -> Any:
    """float32 input coordinate of position ``x`` of ``out`` by the transformation mode ``how``.

    ``start`` and ``end`` are the region of tf_crop_and_resize, as shares of the axis. All four are
    float32.
    """
    if how == "tf_crop_and_resize":
        if out == 1:
            return F32(0.5) * (start + end) * F32(size - 1) + F32(0) * x
        return start * F32(size - 1) + x * (end - start) * F32(size - 1) / F32(out - 1)
    position = _scaled_position(how, size, out, x, scale)
    return np.where(scale == F32(1), x, position) if out == size else position


def _scaled_position(how: str, size: int, out: int, x: Any, scale: Any) -> Any:
    half = F32(0.5)
    match how:
        case "half_pixel":
            return (x + half) / scale - half
        case "pytorch_half_pixel":
            return (x + half) / scale - half if out > 1 else F32(0) * x
        case "half_pixel_symmetric":
            adjustment = F32(out) / (scale * F32(size))
            offset = F32(size) / F32(2) * (F32(1) - adjustment)
            # here ONNX Runtime adds in double precision
            moved = (x.astype(F64) + 0.5) / scale.astype(F64) - 0.5
            return (offset.astype(F64) + moved).astype(F32)
        case "asymmetric":
            return x / scale
        case "align_corners":
            return x * F32(size - 1) / F32(out - 1) if out > 1 else F32(0) * x
    raise NotLowered(f"Resize with coordinates {how}")


def nearest_index(position: Any, size: int, mode: str) -> Any:
    """int64 index of the input element at a float32 position by the rounding ``mode``."""
    x = position.astype(F64)  # in which adding a half is exact
    match mode:
        case "round_prefer_floor":
            rounded = np.ceil(x - 0.5 - TIE)
        case "round_prefer_ceil":
            rounded = np.floor(x + 0.5 + TIE)
        case "floor":
            rounded = np.floor(x)
        case "ceil":
            rounded = np.ceil(x)
        case _:
            raise NotLowered(f"Resize with nearest mode {mode}")
    return within(rounded.astype(np.int64), size)


def tap_index(position: Any, offset: Any, size: int) -> Any:
    """int64 index of the tap ``offset`` (float64) from a position; outside it is the border's."""
    return within((np.floor(position) + offset).astype(np.int64), size)


def tap_weight(
    position: Any,
    offset: Any,
    shrink: Any,
    size: int,
    mode: str,
    *,
    exclude_outside: bool,
    cubic_a: float,
) -> Any:
    """float64 weight, not yet normalised, of the tap ``offset`` from a float64 position.

    The filter is wider by 1 / ``shrink``. With ``exclude_outside`` taps outside weigh nothing.
    """
    tap = np.floor(position) + offset
    distance = np.absolute(tap - position) * shrink
    weight = _triangle(distance) if mode == "linear" else _cubic(distance, cubic_a)
    outside = (tap < 0) | (tap >= size)
    return np.where(outside, 0.0, weight) if exclude_outside else weight


def normalised(weight: Any, total: Any) -> Any:
    """float32 weights that add up to 1, from weights and their sum."""
    return (weight / np.where(total == 0, 1.0, total)).astype(F32)


def tap_offsets(mode: str, shrink: float) -> np.ndarray:
    """float64 offsets of all taps within a filter that is wider by 1 / ``shrink``."""
    reach = int(np.ceil(RADIUS[mode] / shrink))
    return np.arange(2 * reach, dtype=F64) - reach + 1


def within(place: Any, size: int | None) -> Any:
    """The place in an axis of ``size`` that is nearest to ``place``; None is an endless axis."""
    return place if size is None else np.minimum(np.maximum(place, 0), size - 1)


def _triangle(distance: Any) -> Any:
    return np.maximum(1 - distance, 0)


def _cubic(d: Any, a: float) -> Any:
    """The cubic convolution kernel of Keys, doi:10.1109/TASSP.1981.1163711."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def without_idle_taps(taps: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both [out, taps] without the tap columns that weigh nothing anywhere."""
    used = (weights != 0).any(0)
    if not used.any():
        used[0] = True
    return taps[:, used], weights[:, used]
