"""Converter ranges of weight tiles: from statistics alone, or from calibration inputs.

A range is the full scale of the slice with the largest column sums, in units of normalised input x
level; the other slices scale with ``targets.slicing.slice_ratio``. Too wide a range loses bits, too
narrow a one clips. Arrays only: this file knows no IR and no executor.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from ...backends.targets.lossless import worst_range
from ...backends.targets.slicing import slice_ratio, slice_weights, tile_levels

Array = NDArray[np.float32]

LOADING = 4.0
"""Range over sigma of least error for a Gaussian at 8 bits: 3.92 (Max, IRE Trans. 1960)."""
PULSE_RMS = math.sqrt(0.5)
"""RMS of a pulse of a bit-serial input: the lower bits of a magnitude are set half of the time."""
_CANDIDATES = np.geomspace(0.1, 1.0, 24, dtype=np.float32)
_SAMPLES = 4096


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
            Gaussian scaled by the largest of its K values, ``typical_rms(K)``. Pulses of bit-serial
            inputs have ``PULSE_RMS`` whatever the inputs.
    """
    out = np.ones(len(tiles), np.float32)
    if target.numerics.input_coding == "bit-serial":
        x_rms = PULSE_RMS
    x_rms = typical_rms(codes.shape[1]) if x_rms is None else x_rms
    rms = np.broadcast_to(np.asarray(x_rms, np.float32), out.shape)
    live = np.where(scale != 0, codes.any(axis=1), False)
    for index, levels in tile_levels(codes, tiles, target):
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


def normalised_rms(x: Array, input_scale: Array | float | None) -> float:
    """RMS of ``x [G, P, K]`` over its scale (None: the largest magnitude of each row)."""
    return float(np.sqrt(np.square(_unit_inputs(x, input_scale), dtype=np.float64).mean()))


def observed_adc_range(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    target: MemcapTarget,
    x: Array,
    input_scale: Array | float | None = None,
    percentile: float | None = None,
    adc_bits: int | None = None,
) -> Array:
    """Range from the column sums that calibration inputs ``x[G, P, K]`` really make, ``[T]``.

    Args:
        scale: float32 ``[G, N]``: a column's error counts with its scale squared.
        input_scale: as the run will use it; None for the largest magnitude of each row.
        percentile: share of magnitudes (in percent) that must not clip; None takes the range of
            least mean squared error, clipping and rounding together.
        adc_bits: resolution of the conversions; None takes the target's.
    """
    drives, importance = _drives(_unit_inputs(x, input_scale), target)
    bits = target.adc.bits if adc_bits is None else adc_bits
    out = np.ones(len(tiles), np.float32)
    for index, levels in tile_levels(codes, tiles, target):
        ratio = slice_ratio(levels)
        for number, tile in enumerate(index):
            group, row0, rows, col0, cols = tiles[tile]
            every = _stride(drives.shape[1] * cols)
            inputs = drives[group, ::every, row0 : row0 + rows]
            if not inputs.size:
                continue
            sums = np.abs(inputs @ levels[:, number])
            if percentile is not None:
                out[tile] = _percentile_range(sums, ratio[:, number], percentile)
                continue
            weight = scale[group, col0 : col0 + cols].astype(np.float64) ** 2
            counts = slice_weights(target).astype(np.float64) ** 2
            out[tile] = _best_range(
                sums, ratio[:, number], weight, counts, bits, importance[::every]
            )
    return out


def _unit_inputs(x: Array, input_scale: Array | float | None) -> Array:
    """``x [G, P, K]`` over its scale; 0 where that is 0."""
    if input_scale is None:
        input_scale = np.abs(x).max(axis=2, keepdims=True)
    input_scale = np.asarray(input_scale, np.float32)
    return np.divide(x, input_scale, out=np.zeros_like(x, np.float32), where=input_scale != 0)


def _drives(unit: Array, target: MemcapTarget) -> tuple[Array, NDArray[np.float64]]:
    """What the rows really carry in each conversion, ``[G, D, K]``, and how much a squared error of
    it counts, ``[D]``: the inputs' codes over their limit, or the pulses of all bits."""
    bits = target.numerics.input_bits
    limit = np.float32(2 ** (bits - 1) - 1)
    codes = np.clip(np.rint(unit * limit), -limit, limit)
    groups, positions, depth = unit.shape
    if target.numerics.input_coding == "amplitude":
        return codes / limit, np.ones(positions)
    from ...runtime.physics.converters import input_pulses

    # Positions outermost, so that taking every n-th drive meets all bits.
    pulses = np.moveaxis(input_pulses(codes, bits), 0, 2).reshape(groups, -1, depth)
    return pulses, np.tile(4.0 ** np.arange(bits - 1), positions)


def _percentile_range(sums: Array, ratio: Array, percentile: float) -> float:
    """Range that holds ``percentile`` of the magnitudes ``sums [slices, drives, cols]``."""
    relative = sums / np.where(ratio > 0, ratio, 1)[:, None, None]
    top = float(np.percentile(relative, percentile, axis=(1, 2)).max())
    return top if top > 0 else 1.0


def _best_range(
    sums: Array,
    ratio: Array,
    weight: NDArray[np.float64],
    counts: NDArray[np.float64],
    bits: int,
    importance: NDArray[np.float64],
) -> float:
    """Range of least squared error for magnitudes ``sums [slices, drives, cols]``; 1 where all
    are 0. ``weight [cols]``, ``counts [slices]`` and ``importance [drives]`` weigh the errors."""
    top = float((sums / np.where(ratio > 0, ratio, 1)[:, None, None]).max())
    if top <= 0:
        return 1.0
    half = 2.0 ** (bits - 1)
    share = importance / importance.sum()
    errors = []
    for candidate in _CANDIDATES * top:
        full = (candidate * ratio)[:, None, None]
        clipped = np.maximum(sums - full, 0)
        rounding = (full / half) ** 2 / 12
        square = np.einsum("sdc,d->sc", clipped.astype(np.float64) ** 2 + rounding, share)
        errors.append(float((square * weight).sum(axis=1) @ counts))
    return float(_CANDIDATES[int(np.argmin(errors))]) * top


def _stride(elements: int) -> int:
    """Take every n-th drive, so that about ``_SAMPLES`` sums of a tile are looked at."""
    return max(1, elements // (16 * _SAMPLES))
