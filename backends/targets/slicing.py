"""How a signed weight code lies on cells, and the converter range that follows from it.

Both the compiler (ranges) and the runtime (numerics) need this, so it belongs to the target.

The bits of a code's magnitude |c| are dealt evenly over the slices, the lower ones taking what is
left over, so that no slice has one bit and a full share of the noise: slice s holds the digit m_s
of b_s bits. A cell of more than 2^b_s levels spreads the digits over its whole window: one digit is
``spacing`` levels. Slice s is the pair (m_s, 0) for c > 0 and (0, m_s) for c < 0, hence the signed
slice sign(c) m_s spacing_s, in levels.

One converter range is stored per tile: the full scale of the slice whose column sums are largest.
The other slices use the same range times ``slice_ratio`` (a gain step before the converter, set by
the stored codes alone), because a top slice whose digits are mostly small has smaller sums than a
lower one, and its error counts more.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .lossless import lossless_full_scale, units_per_step, worst_range
from .memcap import MemcapTarget

#: Codes counted in one pass: counting widens each to eight bytes.
_COUNT_AT_ONCE = 1 << 20
_ELEMENTS = 1 << 22


def split_slices(codes: NDArray[np.int8], target: MemcapTarget) -> NDArray[np.float32]:
    """Signed slice levels, float32 ``[slices, *codes.shape]``, lowest bits first."""
    wide = codes.astype(np.int16)
    sign, magnitude = np.sign(wide), np.abs(wide)
    out = np.empty((target.slices, *codes.shape), np.float32)
    shift = 0
    for index, (bits, spacing) in enumerate(_digits(target)):
        digit = ((magnitude >> shift) & ((1 << bits) - 1)) * spacing
        np.multiply(sign, digit, out=out[index], casting="unsafe")
        shift += bits
    return out


def _digits(target: MemcapTarget) -> list[tuple[int, int]]:
    """(bits, levels between neighbouring digits) of each slice, lowest bits first."""
    least, more = divmod(target.numerics.weight_bits - 1, target.slices)
    bits = [least + (index < more) for index in range(target.slices)]
    return [(b, (target.array.levels - 1) // ((1 << b) - 1)) for b in bits]


def slice_weights(target: MemcapTarget) -> NDArray[np.float32]:
    """What one level of each slice counts in units of the code, float32 ``[slices]``."""
    digits = _digits(target)
    shifts = np.cumsum([0, *(bits for bits, _ in digits[:-1])])
    return (2.0**shifts / [spacing for _, spacing in digits]).astype(np.float32)


def mean_level(codes: NDArray[np.int8], target: MemcapTarget) -> float:
    """Mean magnitude of a slice, in levels, over all ``codes`` (any shape) and slices.

    0 where there are none.
    """
    flat = codes.reshape(-1).view(np.uint8)
    counts = np.zeros(256, np.int64)
    for begin in range(0, flat.size, _COUNT_AT_ONCE):
        counts += np.bincount(flat[begin : begin + _COUNT_AT_ONCE], minlength=256)
    levels = np.abs(split_slices(np.arange(256, dtype=np.uint8).view(np.int8), target))
    return float(counts @ levels.mean(axis=0, dtype=np.float64) / max(flat.size, 1))


def slice_ratio(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Range of each slice over the tile's range, in [0, 1].

    ``levels`` is ``[slices, ..., rows, cols]`` (any tile dimensions between); the result is
    ``[slices, ...]``: the largest column norm of the slice over that of all slices. 1 where a tile
    is all zero.
    """
    norms = np.sqrt(np.einsum("...rc,...rc->...c", levels, levels).max(axis=-1))
    top = norms.max(axis=0)
    return np.divide(norms, top, out=np.ones_like(norms), where=top > 0)


def full_scale(
    adc_range: NDArray[np.float32],
    levels: NDArray[np.float32],
    target: MemcapTarget,
    adc_bits: int | None = None,
) -> NDArray[np.float32]:
    """Converter full scale of each slice, ``[slices, tiles]``, never above the worst case.

    ``adc_range`` is ``[tiles]``, ``levels`` is ``[slices, tiles, rows, cols]``; ``adc_bits`` is the
    resolution of the conversions (None: the target's). A converter whose range takes in the worst
    case, and that has codes enough, gets a step that divides every possible sum, so that it loses
    nothing (``lossless``). Empty slices get 1.
    """
    worst = worst_range(levels)
    scale = np.minimum(adc_range * slice_ratio(levels), worst)
    whole = lossless_full_scale(levels, target, adc_bits)
    scale = np.where((scale >= worst) & (whole > 0), whole, scale)
    return np.where(scale > 0, scale, np.float32(1.0)).astype(np.float32)


def gather_tiles(
    codes: NDArray[np.int8], tiles: NDArray[np.int32], index: NDArray[np.intp]
) -> NDArray[np.int8]:
    """The equal-shaped tiles ``index`` of ``codes[G, K, N]`` as ``[len(index), rows, cols]``."""
    group, row0, rows, col0, cols = tiles[index].T
    row = row0[:, None] + np.arange(rows[0])
    col = col0[:, None] + np.arange(cols[0])
    return codes[group[:, None, None], row[:, :, None], col[:, None, :]]


def shape_classes(tiles: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Indices of tiles of one (rows, cols) each, so that every class is one dense block."""
    _, inverse = np.unique(tiles[:, [2, 4]], axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    return [np.flatnonzero(inverse == number) for number in range(int(inverse.max(initial=-1)) + 1)]


def tile_levels(
    codes: NDArray[np.int8], tiles: NDArray[np.int32], target: MemcapTarget
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Equal-shaped tiles, a bounded number at a time: (indices, ``[slices, n, rows, cols]``)."""
    for chosen in shape_classes(tiles):
        _, _, rows, _, cols = tiles[chosen[0]]
        per_pass = max(1, _ELEMENTS // int(target.slices * rows * cols))
        for begin in range(0, len(chosen), per_pass):
            index = chosen[begin : begin + per_pass]
            yield index, split_slices(gather_tiles(codes, tiles, index), target)


def lossless_tiles(
    codes: NDArray[np.int8],
    tiles: NDArray[np.int32],
    adc_range: NDArray[np.float32],
    target: MemcapTarget,
    adc_bits: int | None = None,
) -> NDArray[np.bool_]:
    """Tiles whose every conversion is the identity under ``adc_range``, bool ``[T]``.

    Args:
        codes: int8 ``[G, K, N]``.
        tiles: int32 ``[T, 5]``: group, row0, rows, col0, cols.
        adc_range: float32 ``[T]``, as the program stores it (infinite: the worst case).
        adc_bits: resolution of the conversions; None takes the target's.

    The tiles so marked have, in quantized mode, the codes of the integer product.
    """
    out = np.zeros(len(tiles), np.bool_)
    finite = np.minimum(adc_range, np.finfo(np.float32).max)
    for index, levels in tile_levels(codes, tiles, target):
        enough = units_per_step(levels, target, adc_bits) > 0
        covered = finite[index] * slice_ratio(levels) >= worst_range(levels)
        out[index] = (enough & covered).all(axis=0)
    return out


def covering_range(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Least converter range of a tile that takes in the worst case of all slices, ``[tiles]``."""
    ratio, worst = slice_ratio(levels), worst_range(levels)
    least = np.divide(worst, ratio, out=np.zeros_like(worst), where=ratio > 0).max(axis=0)
    return (least * np.float32(1 + 1e-5)).astype(np.float32)
