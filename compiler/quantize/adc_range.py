"""Converter ranges of weight tiles: from statistics alone, or from calibration inputs.

A range is the full scale of the slice with the largest column sums, in units of normalised input x
level; the other slices scale with ``targets.slicing.slice_ratio``. Too wide a range loses bits, too
narrow a one clips. Arrays only: this file knows no IR and no executor.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from ...backends.targets.slicing import (
    gather_tiles,
    shape_classes,
    slice_ratio,
    slice_weights,
    split_slices,
    worst_range,
)

Array = NDArray[np.float32]

LOADING = 4.0
"""Range over sigma of least error for a Gaussian at 8 bits: 3.92 (Max, IRE Trans. 1960)."""
_CANDIDATES = np.geomspace(0.1, 1.0, 24, dtype=np.float32)
_SAMPLES = 4096
_ELEMENTS = 1 << 22


def default_adc_range(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    target: MemcapTarget,
    x_rms: float | Array | None = None,
    sigmas: float = LOADING,
) -> Array:
    """Range without data, float32 ``[T]``: ``sigmas`` times the spread of a random input's column
    sum, never above the worst case.

    Args:
        codes: int8 ``[G, K, N]``; columns whose ``scale [G, N]`` is 0 are ignored.
        tiles: int32 ``[T, 5]``: group, row0, rows, col0, cols.
        x_rms: RMS of the inputs over their scale, one value or one per tile; None takes a
            Gaussian scaled by the largest of its K values, ``typical_rms(K)``.
    """
    out = np.ones(len(tiles), np.float32)
    x_rms = typical_rms(codes.shape[1]) if x_rms is None else x_rms
    rms = np.broadcast_to(np.asarray(x_rms, np.float32), out.shape)
    live = np.where(scale != 0, codes.any(axis=1), False)
    for index, levels in _tile_levels(codes, tiles, target):
        keep = np.stack([live[g, c : c + levels.shape[-1]] for g, c in tiles[index][:, [0, 3]]])
        norm = np.sqrt(np.einsum("strc,strc->stc", levels, levels) * keep).max(axis=(0, -1))
        worst = worst_range(levels).max(axis=0)
        spread = np.minimum(sigmas * rms[index] * norm, worst)
        out[index] = np.where(spread > 0, spread, 1.0)
    return out


def typical_rms(depth: int) -> float:
    """RMS of ``depth`` Gaussian values over the largest magnitude among them, about
    1 / sqrt(2 ln depth) (extreme-value theory; 0.28 for 512)."""
    return 1.0 / math.sqrt(max(1.0, 2.0 * math.log(max(depth, 1))))


def observed_adc_range(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    target: MemcapTarget,
    x: Array,
    input_scale: Array | float | None = None,
    percentile: float | None = None,
) -> Array:
    """Range from the column sums that calibration inputs ``x[G, P, K]`` really make, ``[T]``.

    Args:
        scale: float32 ``[G, N]``: a column's error counts with its scale squared.
        input_scale: as the run will use it; None for the largest magnitude of each row.
        percentile: share of magnitudes (in percent) that must not clip; None takes the range of
            least mean squared error, clipping and rounding together.
    """
    if input_scale is None:
        input_scale = np.abs(x).max(axis=2, keepdims=True)
    input_scale = np.asarray(input_scale, np.float32)
    unit = np.divide(x, input_scale, out=np.zeros_like(x, np.float32), where=input_scale != 0)
    limit = np.float32(2 ** (target.numerics.input_bits - 1) - 1)
    unit = np.clip(np.rint(unit * limit), -limit, limit) / limit
    out = np.ones(len(tiles), np.float32)
    for index, levels in _tile_levels(codes, tiles, target):
        ratio = slice_ratio(levels)
        for number, tile in enumerate(index):
            group, row0, rows, col0, cols = tiles[tile]
            inputs = unit[group, :: _stride(unit.shape[1] * cols), row0 : row0 + rows]
            if not inputs.size:
                continue
            sums = np.abs(inputs @ levels[:, number])
            weight = scale[group, col0 : col0 + cols].astype(np.float64) ** 2
            out[tile] = _best_range(sums, ratio[:, number], weight, target, percentile)
    return out


def _best_range(
    sums: Array,
    ratio: Array,
    weight: NDArray[np.float64],
    target: MemcapTarget,
    percentile: float | None,
) -> float:
    """Range for magnitudes ``sums [slices, positions, cols]``; 1 where all are 0."""
    relative = sums / np.where(ratio > 0, ratio, 1)[:, None, None]
    if percentile is not None:
        top = float(np.percentile(relative, percentile, axis=(1, 2)).max())
        return top if top > 0 else 1.0
    top = float(relative.max())
    if top <= 0:
        return 1.0
    codes = 2.0 ** (target.adc.bits - 1)
    counts = slice_weights(target).astype(np.float64) ** 2
    errors = []
    for candidate in _CANDIDATES * top:
        full = (candidate * ratio)[:, None, None]
        clipped = np.maximum(sums - full, 0)
        rounding = (full / codes) ** 2 / 12
        square = (clipped.astype(np.float64) ** 2 + rounding).mean(axis=1)
        errors.append(float((square * weight).sum(axis=1) @ counts))
    return float(_CANDIDATES[int(np.argmin(errors))]) * top


def _tile_levels(
    codes: NDArray[np.int8], tiles: NDArray[np.int32], target: MemcapTarget
) -> Iterator[tuple[NDArray[np.intp], Array]]:
    """Equal-shaped tiles, a bounded number at a time: (indices, ``[slices, n, rows, cols]``)."""
    for chosen in shape_classes(tiles):
        _, _, rows, _, cols = tiles[chosen[0]]
        per_pass = max(1, _ELEMENTS // int(target.slices * rows * cols))
        for begin in range(0, len(chosen), per_pass):
            index = chosen[begin : begin + per_pass]
            yield index, split_slices(gather_tiles(codes, tiles, index), target)


def _stride(elements: int) -> int:
    """Take every n-th position, so that about ``_SAMPLES`` sums of a tile are looked at."""
    return max(1, elements // (16 * _SAMPLES))
