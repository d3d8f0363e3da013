"""Where an output position of ONNX Resize lies in the input, and which taps it takes.

Rules of the ONNX operator Resize; arithmetic in float32 as ONNX Runtime has it, because ties of
nearest neighbours are decided by its rounding.
"""

from dataclasses import dataclass

import numpy as np

from .lowering import NotLowered

F32 = np.float32
#: ONNX Runtime takes what is this close to a half for a tie (measured over many ratios).
TIE = 1e-6


@dataclass(frozen=True, slots=True)
class AxisResize:
    """One axis: ``size`` positions become ``out``; ``positions`` are those in the input."""

    axis: int
    size: int
    out: int
    scale: float
    positions: np.ndarray


def source_positions(
    how: str, size: int, out: int, scale: float, crop: tuple[float, float]
) -> np.ndarray:
    """float32 input coordinates [out] by the coordinate transformation mode ``how``."""
    x, s, one, half = np.arange(out, dtype=F32), F32(scale), F32(1), F32(0.5)
    if out == size and s == 1 and how != "tf_crop_and_resize":
        return x
    match how:
        case "half_pixel":
            return (x + half) / s - half
        case "pytorch_half_pixel":
            return (x + half) / s - half if out > 1 else np.zeros(out, F32)
        case "half_pixel_symmetric":
            adjustment = F32(out) / (s * F32(size))
            offset = F32(size) / F32(2) * (one - adjustment)
            # here ONNX Runtime adds in double precision
            moved = (np.arange(out) + 0.5) / float(s) - 0.5
            return (offset + moved).astype(F32)
        case "asymmetric":
            return x / s
        case "align_corners":
            return x * F32(size - 1) / F32(out - 1) if out > 1 else np.zeros(out, F32)
        case "tf_crop_and_resize":
            start, end = F32(crop[0]), F32(crop[1])
            if out == 1:
                return np.full(1, half * (start + end) * F32(size - 1), F32)
            return start * F32(size - 1) + x * (end - start) * F32(size - 1) / F32(out - 1)
    raise NotLowered(f"Resize with coordinates {how}")


def nearest_indices(r: AxisResize, mode: str) -> np.ndarray:
    """int64 input indices [out] by the rounding ``mode``."""
    x = r.positions.astype(np.float64)  # in which adding a half is exact
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
    return np.clip(rounded.astype(np.int64), 0, r.size - 1)


def weighted_taps(
    r: AxisResize, mode: str, *, antialias: bool, exclude_outside: bool, cubic_a: float
) -> tuple[np.ndarray, np.ndarray]:
    """Input indices int64 and weights float32, [out, taps], of linear or cubic interpolation.

    ``antialias`` widens the filter by 1/scale where it shrinks. Taps outside the input repeat its
    border, or are left out with ``exclude_outside``; weights add up to 1.
    """
    radius = {"linear": 1, "cubic": 2}.get(mode)
    if radius is None:
        raise NotLowered(f"Resize with mode {mode}")
    positions = r.positions.astype(np.float64)
    if not antialias and mode == "linear":
        positions = np.clip(positions, 0, r.size - 1)
    shrink = min(r.scale, 1.0) if antialias else 1.0
    reach = int(np.ceil(radius / shrink))
    first = np.floor(positions).astype(np.int64) - reach + 1
    taps = first[:, None] + np.arange(2 * reach)
    distance = np.abs(taps - positions[:, None]) * shrink
    weights = _triangle(distance) if mode == "linear" else _cubic(distance, cubic_a)
    outside = (taps < 0) | (taps >= r.size)
    if exclude_outside:
        weights = np.where(outside, 0.0, weights)
    total = weights.sum(1, keepdims=True)
    weights = weights / np.where(total == 0, 1.0, total)
    return _compact(np.clip(taps, 0, r.size - 1), weights)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - distance, 0)


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    """The cubic convolution kernel of Keys, doi:10.1109/TASSP.1981.1163711."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def _compact(taps: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without tap columns that weigh nothing anywhere."""
    used = (weights != 0).any(0)
    if not used.any():
        used[0] = True
    return taps[:, used], weights[:, used].astype(F32)
