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

Where it is proven that the converters of a tile lose nothing (``slicing.lossless_tiles``), all this
is the integer product of the codes, and ``quantized`` mode computes it as one.

In ``noisy`` mode m_ij are the levels of one chip instance and noise, offsets and curvature act
before the converter (``runtime/physics``). In ``quantized`` mode the column sums are integers that
float32 holds exactly (rows * x_max * levels < 2^24), so a result does not depend on batching to the
last bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from ...backends.targets.slicing import lossless_tiles
from ..physics import converters
from ..physics.converters import NO_DRAWS, NO_STEPS, NONE
from ..physics.streams import derive_key, position_normals
from .array_bands import READ, Band, Mode, build_band, fits_float32, integer_band
from .bands import (
    BLOCK,
    MOST_COLUMNS,
    accumulate,
    are_runs,
    band_classes,
    batches,
    block_of,
    check_tiles,
    rounds,
    rows_of,
)

Array = NDArray[np.float32]

_POSITIONS = 256
"""Positions of a block at least, so that large weights are not fetched too often."""


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
    whole = np.zeros(len(tiles), np.bool_)
    if mode == "quantized" and fits_float32(target):
        whole = lossless_tiles(codes, tiles, adc_range, target, bits)
    columns = np.cumsum(tiles[:, 4]) - tiles[:, 4]
    rest = ~whole
    bands = [
        integer_band(codes, scale, members, target)
        for members in band_classes(tiles[whole], MOST_COLUMNS)
    ]
    bands += [
        build_band(
            codes,
            scale,
            tiles[rest],
            sites[rest],
            target,
            mode,
            seed,
            adc_range[rest],
            bits,
            None if correction is None else (correction, columns[rest]),
            members,
        )
        for members in band_classes(tiles[rest], MOST_COLUMNS)
    ]
    return PreparedMatrix(codes.shape, mode, target, seed, bits, tuple(bands))


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
    shift = derive_key(prepared.seed, READ, stream)
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
    for band in prepared.bands:
        if band.integer:
            _run_integer_band(band, codes, out)
            continue
        for number, (weight, rows) in enumerate(drives):
            drive = _Drive(rows, weight, shift, number, first_position)
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


def _run_integer_band(band: Band, codes: Array, out: Array) -> None:
    """Adds the integer product of ``codes [G, P, K]`` and the band to ``out [G, P, N]``."""
    positions, width = codes.shape[1], band.cols.shape[1]
    for lo, hi in batches(band.starts, positions * width):
        x = rows_of(codes, band.group[lo:hi], band.row0[lo:hi], band.rows)
        total = np.matmul(x, band.levels[0, lo:hi])
        total *= band.post[0, lo:hi, None]
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
