"""Numerics of stationary matrices on crossbar tiles: exact, quantized, noisy.

``y = x W`` for ``G`` independent matrices ``[K, N]`` cut into tiles. Tiles that see the same input
are joined (``bands``): one GEMM per band and slice, then the converters on the whole block, in
pieces that stay in cache.

Per tile and slice, with codes x_i in +-(2^(input_bits-1) - 1) and signed slice levels m_ij:

    s_j = sum_i x_i m_ij / x_max          column sum, normalised input x level
    a_j = clip(round(s_j / step)) step    converter over +-full_scale, step = 2 full_scale / 2^bits
    y_j = input_scale scale_j sum_slices slice_weight a_j

and tiles add up in float32. With bit-serial inputs the first two lines hold for each pulse p in
{-1, 0, 1} alone, s_j = sum_i p_i m_ij, and the a_j of the pulses add up with weights 2^bit / x_max.

In ``noisy`` mode m_ij are the levels of one chip instance and noise, offsets and curvature act
before the converter (``runtime/physics``). In ``quantized`` mode the column sums are integers that
float32 holds exactly (rows * x_max * levels < 2^24), so a result does not depend on batching to the
last bit.
"""

from dataclasses import dataclass
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
from ..physics.converters import NO_DRAWS, NO_STEPS, NONE
from ..physics.instance import build_instance, converter_sigma_lsb
from ..physics.streams import derive_key, position_normals
from .bands import (
    BLOCK,
    MOST_COLUMNS,
    BandClass,
    accumulate,
    are_runs,
    band_classes,
    batches,
    block_of,
    check_tiles,
    rounds,
    rows_of,
    tile_offsets,
)

Array = NDArray[np.float32]
Mode = Literal["quantized", "noisy"]

_READ = 6
_PREPARE_ELEMENTS = 1 << 17
_POSITIONS = 256
"""Positions of a block at least, so that large weights are not fetched too often."""


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
class PreparedMatrix:
    """A matrix on its arrays, ready to be driven; ``shape`` is (G, K, N)."""

    shape: tuple[int, int, int]
    mode: Mode
    target: MemcapTarget
    seed: int
    adc_bits: int
    bands: tuple[Band, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the stored levels."""
        return sum(band.levels.nbytes for band in self.bands)


def prepare_matrix(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    sites: NDArray[np.int32],
    target: MemcapTarget,
    mode: Mode,
    seed: int,
    adc_range: Array,
    *,
    partial: bool = False,
    adc_bits: int | None = None,
    correction: Array | None = None,
) -> PreparedMatrix:
    """Cut ``codes`` into tiles, slice them, fold the devices in and join bands.

    Args:
        codes: signed weight codes int8 ``[G, K, N]``; w = code * scale.
        scale: float32 ``[G, N]``.
        tiles: int32 ``[T, 5]``: group, row0, rows, col0, cols. Together they must cover the
            matrix once.
        sites: int32 ``[T, 3]``: layer, row, col (or ``[T, 5]`` with the first row and first
            logical column inside the array). Only ``noisy`` looks at them.
        adc_range: float32 ``[T]``: full scale of the slice with the largest column sums, in
            units of normalised input x level (see ``targets.slicing``).
        partial: the tiles cover a part of the matrix only; the rest counts as zero.
        adc_bits: resolution of the conversions; None takes the target's.
        correction: digital factor of each column, float32 ``[slices, C]``, the columns of all
            tiles in the order of the table; None is 1.

    Raises:
        ValueError: tiles that leave the matrix, exceed an array or do not cover the matrix.
    """
    if not partial:
        check_tiles(codes.shape, tiles, target)
    if mode not in ("quantized", "noisy"):
        raise ValueError(f"mode must be 'quantized' or 'noisy', came {mode!r}")
    if len(sites) != len(tiles) or len(adc_range) != len(tiles):
        raise ValueError("sites and adc_range must have one row per tile")
    bits = target.adc.bits if adc_bits is None else adc_bits
    bands = tuple(
        _build_band(
            codes, scale, tiles, sites, target, mode, seed, adc_range, bits, correction, members
        )
        for members in band_classes(tiles, MOST_COLUMNS)
    )
    return PreparedMatrix(codes.shape, mode, target, seed, bits, bands)


def run_matrix(
    prepared: PreparedMatrix,
    x: Array,
    input_scale: Array | float | None = None,
    stream: int = 0,
    first_position: int = 0,
) -> Array:
    """``x[G, P, K]`` through the prepared matrix -> float32 ``[G, P, N]``.

    Args:
        input_scale: value of the largest input code; a number, an array that broadcasts to
            ``[G, P, 1]``, or None for the largest magnitude of each row (dynamic).
        stream: names this use of the matrix among all reads of a run; equal streams draw equal
            noise.
        first_position: number of the first of the P reads in the stream, so that a batch may be
            cut anywhere.
    """
    groups, depth, width = prepared.shape
    if x.ndim != 3 or x.shape[0] != groups or x.shape[2] != depth:
        raise ValueError(f"input must be [{groups}, positions, {depth}], came {list(x.shape)}")
    if input_scale is not None:
        input_scale = np.broadcast_to(np.asarray(input_scale, np.float32), (groups, x.shape[1], 1))
    out = np.zeros((groups, x.shape[1], width), np.float32)
    shift = derive_key(prepared.seed, _READ, stream)
    step = max(_POSITIONS, BLOCK // (groups * max(depth, min(width, MOST_COLUMNS))))
    for begin in range(0, x.shape[1], step):
        part = (slice(None), slice(begin, begin + step))
        scale = None if input_scale is None else input_scale[part]
        _run_positions(prepared, x[part], scale, shift, first_position + begin, out[part])
    return out


def _run_positions(
    prepared: PreparedMatrix,
    x: Array,
    input_scale: Array | None,
    shift: NDArray[np.uint64],
    first_position: int,
    out: Array,
) -> None:
    """``run_matrix`` for as many positions as stay in cache; ``out`` holds zeros."""
    target, numerics = prepared.target, prepared.target.numerics
    square = 0.0
    if prepared.mode == "noisy" and target.noise.is_on("dielectric"):
        square = target.noise.dielectric_a2_per_v2 * target.array.read_voltage_v**2
    serial = numerics.input_coding == "bit-serial"
    bits = numerics.input_bits
    codes, scale = converters.quantise_input(x, input_scale, bits, 0.0 if serial else square)
    if not serial:
        drives = [(1.0, codes)]
    else:
        # The pulses of all bits have one voltage, so a bent dielectric is a gain.
        top = (1 + square) / converters.input_limit(bits)
        drives = [(2.0**bit * top, p) for bit, p in enumerate(converters.input_pulses(codes, bits))]
    for number, (weight, rows) in enumerate(drives):
        drive = _Drive(rows, weight, shift, number, first_position)
        for band in prepared.bands:
            _run_band(band, prepared.adc_bits, drive, out)
    out *= scale


def run_exact(weights: Array, tiles: NDArray[np.int32], x: Array) -> NDArray[np.float64]:
    """Float64 partial sums per tile, added up: ``x[G, P, K]`` -> ``[G, P, N]``.

    Equals ``x @ weights`` up to rounding exactly when the tiles cover the matrix once. Float64, so
    that the way a matrix is cut does not show in a float32 result. Weights are widened block by
    block: they may be mapped from a file and larger than memory.
    """
    groups, _, width = weights.shape
    x = x.astype(np.float64)
    out = np.zeros((groups, x.shape[1], width), np.float64)
    for group, row0, rows, cols, _ in band_classes(tiles):
        starts, runs = rounds(group), are_runs(cols)
        for lo, hi in batches(starts, cols.shape[1] * x.shape[1]):
            part = slice(lo, hi)
            block = block_of(weights, group[part], row0[part], rows, cols[part], runs)
            y = np.matmul(rows_of(x, group[part], row0[part], rows), block.astype(np.float64))
            accumulate(out, y, group[part], cols[part], runs)
    return out


def _build_band(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    sites: NDArray[np.int32],
    target: MemcapTarget,
    mode: Mode,
    seed: int,
    adc_range: Array,
    adc_bits: int,
    correction: Array | None,
    band_class: BandClass,
) -> Band:
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
    first_col = np.cumsum(tiles[:, 4]) - tiles[:, 4]
    gain, inl = np.zeros_like(step), np.zeros_like(step)
    keys = np.zeros(step.shape, np.uint64)
    uneven: Array | None = None
    for chosen in shape_classes(tiles[flat]):
        size = int(tiles[flat[chosen[0]], 4])
        per_pass = max(1, _PREPARE_ELEMENTS // (slices * rows * size))
        for begin in range(0, len(chosen), per_pass):
            part = chosen[begin : begin + per_pass]
            index = flat[part]
            block = split_slices(gather_tiles(codes, tiles, index), target)
            scales = full_scale(adc_range[index].astype(np.float32), block, target, adc_bits)
            steps = converters.adc_step(scales, adc_bits)[:, :, None]
            spot = (slice(None), band_of[part][:, None], at[part][:, None] + np.arange(size))
            step[spot] = steps
            if correction is not None:
                post[spot] = correction[:, first_col[index][:, None] + np.arange(size)]
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
                    for number, tile in enumerate(part):
                        place = slice(int(at[tile]), int(at[tile]) + size)
                        uneven[:, band_of[tile], :, place] = made.adc_steps[:, number]
            for number, tile in enumerate(part):
                place = slice(int(at[tile]), int(at[tile]) + size)
                levels[:, band_of[tile], :, place] = block[:, number]
    post *= step * scale.astype(np.float32)[group[:, None], cols]
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


def _none(slices: int) -> Array:
    return np.tile(NONE, (slices, 1, 1))


def _window(target: MemcapTarget) -> float:
    """Share of the window that the digital side divides by; 1 where nothing can be restored."""
    share = expected_window(target) if target.numerics.window_correction else 1.0
    return share if share > 0 else 1.0


def _column_keys(sites: NDArray[np.int32], slices: int, cols: int) -> NDArray[np.uint64]:
    """A stream for every physical pair of the tiles, ``[slices, tiles, cols]``."""
    layer, row, column = sites[:, 0:1], sites[:, 1:2], sites[:, 2:3]
    return derive_key(_READ, layer, row, column, pair_numbers(slices, cols, sites))


@dataclass(frozen=True, slots=True)
class _Drive:
    """One drive of the rows: ``rows [G, P, K]``, the weight of its sums, and its noise."""

    rows: Array
    weight: float
    shift: NDArray[np.uint64]
    lane: int
    first_position: int


def _run_band(band: Band, adc_bits: int, drive: _Drive, out: Array) -> None:
    """Adds what the band makes of ``drive`` to ``out [G, P, N]``."""
    positions, width = drive.rows.shape[1], band.cols.shape[1]
    post = band.post * np.float32(drive.weight)
    most = max((hi - lo for lo, hi in batches(band.starts, positions * width)), default=0)
    block = (most, positions, width)
    sums, totals = np.empty(block, np.float32), np.empty(block, np.float32)
    draws = None if band.noise is None else np.empty(block, np.float32)
    for lo, hi in batches(band.starts, positions * width):
        x = rows_of(drive.rows, band.group[lo:hi], band.row0[lo:hi], band.rows)
        total = totals[: hi - lo]
        total[...] = 0
        for s in range(band.levels.shape[0]):
            y = np.matmul(x, band.levels[s, lo:hi], out=sums[: hi - lo])
            part = (s, slice(lo, hi))
            noise = _noise_of(band, part, drive, x, draws)
            converters.convert(y, band.per_step[part], post[part], adc_bits, total, *noise)
        accumulate(out, total, band.group[lo:hi], band.cols[lo:hi], band.runs)


def _noise_of(
    band: Band, part: tuple[int, slice], drive: _Drive, x: Array, draws: Array | None
) -> tuple[Array, ...]:
    """What acts on the sums of ``x [n, P, rows]``: the last arguments of ``converters.convert``."""
    noise = band.noise
    if noise is None or draws is None:
        return NO_DRAWS, NONE, NONE, NONE, NONE, NONE, NONE, NO_STEPS
    with np.errstate(over="ignore"):
        keys = noise.keys[part] + drive.shift
    read, norm = NONE, NONE
    if noise.read.size:
        read, norm = noise.read[part], np.einsum("bpk,bpk->bp", x, x)
    return (
        position_normals(keys, drive.first_position, x.shape[1], drive.lane, draws[: len(x)]),
        noise.offset[part],
        noise.sigma[part],
        read,
        norm,
        noise.linear[part] if noise.linear.size else NONE,
        noise.cubic[part] if noise.cubic.size else NONE,
        noise.steps[part] if noise.steps.size else NO_STEPS,
    )
