"""What runs when a matrix is driven: bands of tiles with their levels, converters and noise."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from ...backends.targets.slicing import (
    full_scale,
    gather_tiles,
    shape_classes,
    slice_weights,
    split_slices,
)
from ..physics import converters
from ..physics.columns import expected_window, pair_numbers
from ..physics.converters import NO_STEPS, NONE
from ..physics.instance import build_instance, converter_sigma_lsb
from ..physics.streams import derive_key
from .bands import BandClass, are_runs, block_of, rounds, tile_offsets

Array = NDArray[np.float32]
Mode = Literal["quantized", "noisy"]

READ = 6
"""The word of keys that names read noise."""
_PREPARE_ELEMENTS = 1 << 17


@dataclass(frozen=True, slots=True)
class Band:
    """Bands of equal shape; ``n`` is their number, ``width`` their columns."""

    group: NDArray[np.int32]
    row0: NDArray[np.int32]
    rows: int
    cols: NDArray[np.int32]
    """Output column of each band column, ``[n, width]``."""
    starts: tuple[int, ...]
    """Cuts of ``n`` such that the bands between two cuts have distinct groups."""
    runs: bool
    """The columns of every band are contiguous."""
    levels: Array
    """``[slices, n, rows, width]``."""
    per_step: Array
    """Column sum of raw inputs (codes or pulses) to converter steps, ``[slices, n, width]``."""
    post: Array
    """Converter code to output, without the input's scale and a pulse's weight; as above."""
    noise: "BandNoise | None"
    integer: bool = False
    """``levels`` are whole codes, one slice, and there is nothing to convert."""


@dataclass(frozen=True, slots=True)
class BandNoise:
    """What acts before the converter, in its steps; arrays ``[slices, n, width]``."""

    offset: Array
    sigma: Array
    read: Array
    """Variance of the read noise for an input of norm 1; ``NONE`` where there is none, as below."""
    linear: Array
    cubic: Array
    """``converters.inl_coefficients``."""
    steps: Array
    """``converters.bit_steps``, ``[slices, n, bits, width]``, or ``NO_STEPS``."""
    keys: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class StoredTiles:
    """What ``prepare_matrix`` was given, for some of the tiles; ``columns`` is the first column of
    each tile in ``correction``."""

    codes: NDArray[np.int8]
    scale: Array
    tiles: NDArray[np.int32]
    sites: NDArray[np.int32]
    adc_range: Array
    adc_bits: int
    correction: Array | None
    columns: NDArray[np.int64]
    target: MemcapTarget

    def only(self, chosen: NDArray[np.bool_]) -> "StoredTiles":
        """The chosen tiles."""
        parts = {
            name: getattr(self, name)[chosen] for name in ("tiles", "sites", "adc_range", "columns")
        }
        return replace(self, **parts)


def build_band(stored: StoredTiles, mode: Mode, seed: int, band_class: BandClass) -> Band:
    """A band of sliced levels, with the devices of chip ``seed`` in noisy mode."""
    target, tiles, sites, adc_bits = stored.target, stored.tiles, stored.sites, stored.adc_bits
    group, row0, rows, cols, members = band_class
    width, count, slices = cols.shape[1], len(group), target.slices
    flat = np.concatenate(members)
    band_of = np.repeat(np.arange(count), [len(m) for m in members])
    at = tile_offsets(tiles[flat, 4], band_of)
    noisy = mode == "noisy"
    levels = np.empty((slices, count, rows, width), np.float32)
    step, post, offset, sigma, read = (
        np.zeros((slices, count, width), np.float32) for _ in range(5)
    )
    post[...] = 1
    gain, inl = np.zeros_like(step), np.zeros_like(step)
    keys = np.zeros(step.shape, np.uint64)
    uneven: Array | None = None
    for chosen in shape_classes(tiles[flat]):
        size = int(tiles[flat[chosen[0]], 4])
        per_pass = max(1, _PREPARE_ELEMENTS // (slices * rows * size))
        for begin in range(0, len(chosen), per_pass):
            part = chosen[begin : begin + per_pass]
            index = flat[part]
            block = split_slices(gather_tiles(stored.codes, tiles, index), target)
            ranges = stored.adc_range[index].astype(np.float32)
            scales = full_scale(ranges, block, target, adc_bits)
            steps = converters.adc_step(scales, adc_bits)[:, :, None]
            spot = (slice(None), band_of[part][:, None], at[part][:, None] + np.arange(size))
            step[spot] = steps
            if stored.correction is not None:
                first = stored.columns[index][:, None]
                post[spot] = stored.correction[:, first + np.arange(size)]
            if noisy:
                made = build_instance(block, sites[index], target, seed, adc_bits)
                block = made.matrix
                offset[spot] = made.offset / steps + made.adc_offset_lsb
                sigma[spot], read[spot] = made.sigma, made.read_sigma
                gain[spot], inl[spot] = made.adc_gain, made.inl_lsb
                keys[spot] = _column_keys(sites[index], slices, size)
                if made.adc_steps is not None:
                    if uneven is None:
                        uneven = np.empty((slices, count, adc_bits, width), np.float32)
                    _put_tiles(uneven, made.adc_steps, band_of[part], at[part])
            _put_tiles(levels, block, band_of[part], at[part])
    post *= step * stored.scale.astype(np.float32)[group[:, None], cols]
    post *= slice_weights(target)[:, None, None]
    # What one unit of a row is worth: a code is a share of the full voltage, a pulse all of it.
    unit = 1.0
    if target.numerics.input_coding == "amplitude":
        unit = 1.0 / converters.input_limit(target.numerics.input_bits)
    per_step = (1 + gain) * np.float32(unit) / step
    noise = None
    if noisy:
        post /= np.float32(_window(target))
        variance = (sigma * (1 + gain) / step) ** 2 + np.float32(converter_sigma_lsb(target) ** 2)
        linear, cubic = converters.inl_coefficients(inl, adc_bits)
        noise = BandNoise(
            offset,
            np.sqrt(variance),
            (read * per_step) ** 2 if read.any() else _none(slices),
            linear if inl.any() else _none(slices),
            cubic if inl.any() else _none(slices),
            np.tile(NO_STEPS, (slices, 1, 1, 1)) if uneven is None else uneven,
            keys,
        )
    return Band(
        group, row0, rows, cols, rounds(group), are_runs(cols), levels, per_step, post, noise
    )


def _put_tiles(bands: Array, tiles: Array, band_of: NDArray[np.intp], at: NDArray[np.intp]) -> None:
    """``tiles [slices, t, rows, cols]`` into ``bands [slices, n, rows, width]``, from column ``at``
    of their bands on: block by block, which is quicker than one scatter of all columns."""
    for number, (band, first) in enumerate(zip(band_of.tolist(), at.tolist(), strict=True)):
        bands[:, band, :, first : first + tiles.shape[3]] = tiles[:, number]


def fits_float32(target: MemcapTarget) -> bool:
    """Whether products of codes over a whole array are integers that float32 holds exactly."""
    top = 2 ** (target.numerics.weight_bits - 1)
    return target.array.rows * top * converters.input_limit(target.numerics.input_bits) < 1 << 24


def integer_band(stored: StoredTiles, band_class: BandClass) -> Band:
    """A band of whole codes, for tiles whose converters lose nothing."""
    group, row0, rows, cols, _ = band_class
    runs = are_runs(cols)
    limit = converters.input_limit(stored.target.numerics.input_bits)
    parts = [
        block_of(stored.codes, group[n : n + 1], row0[n : n + 1], rows, cols[n : n + 1], runs)
        for n in range(len(group))
    ]
    levels = np.concatenate(parts).astype(np.float32)[None]
    post = stored.scale.astype(np.float32)[group[:, None], cols][None] / np.float32(limit)
    none = np.ones_like(post)
    return Band(group, row0, rows, cols, rounds(group), runs, levels, none, post, None, True)


def _none(slices: int) -> Array:
    return np.tile(NONE, (slices, 1, 1))


def _window(target: MemcapTarget) -> float:
    """Share of the window that the digital side divides by; 1 where nothing can be restored."""
    share = expected_window(target) if target.numerics.window_correction else 1.0
    return share if share > 0 else 1.0


def _column_keys(sites: NDArray[np.int32], slices: int, cols: int) -> NDArray[np.uint64]:
    """A stream for every physical pair of the tiles, ``[slices, tiles, cols]``."""
    layer, row, column = sites[:, 0:1], sites[:, 1:2], sites[:, 2:3]
    return derive_key(READ, layer, row, column, pair_numbers(slices, cols, sites))
