"""How a signed weight code lies on cells, and the converter range that follows from it.

Both the compiler (ranges) and the runtime (numerics) need this, so it belongs to the target.

A code c has magnitude |c| = sum_s 2^(s cell_bits) m_s with 0 <= m_s < levels; slice s is the pair
(m_s, 0) for c > 0 and (0, m_s) for c < 0, hence the signed slice sign(c) m_s.

One converter range is stored per tile: the full scale of the slice whose column sums are largest.
The other slices use the same range times ``slice_ratio`` (a gain step before the converter, set by
the stored codes alone), because a top slice that holds few bits has far smaller sums than a full
one, and its error counts 2^cell_bits times as much.
"""

import numpy as np
from numpy.typing import NDArray

from .memcap import MemcapTarget


def split_slices(codes: NDArray[np.int8], target: MemcapTarget) -> NDArray[np.float32]:
    """Signed slice levels, float32 ``[slices, *codes.shape]``, lowest bits first."""
    wide = codes.astype(np.int16)
    sign, magnitude = np.sign(wide), np.abs(wide)
    bits, mask = target.cell_bits, target.array.levels - 1
    out = np.empty((target.slices, *codes.shape), np.float32)
    for index in range(target.slices):
        np.multiply(sign, (magnitude >> (bits * index)) & mask, out=out[index], casting="unsafe")
    return out


def slice_weights(target: MemcapTarget) -> NDArray[np.float32]:
    """What one level of each slice counts, ``2^(s cell_bits)``, float32 ``[slices]``."""
    return (2.0 ** (target.cell_bits * np.arange(target.slices))).astype(np.float32)


def slice_ratio(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Range of each slice over the tile's range, in [0, 1].

    ``levels`` is ``[slices, ..., rows, cols]`` (any tile dimensions between); the result is
    ``[slices, ...]``: the largest column norm of the slice over that of all slices. 1 where a tile
    is all zero.
    """
    norms = np.sqrt(np.einsum("...rc,...rc->...c", levels, levels).max(axis=-1))
    top = norms.max(axis=0)
    return np.divide(norms, top, out=np.ones_like(norms), where=top > 0)


def worst_range(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest column sum that inputs in [-1, 1] can make, per slice: ``[slices, ...]``."""
    return np.abs(levels).sum(axis=-2).max(axis=-1)


def full_scale(adc_range: NDArray[np.float32], levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Converter full scale of each slice, ``[slices, tiles]``, never above the worst case.

    ``adc_range`` is ``[tiles]``, ``levels`` is ``[slices, tiles, rows, cols]``. Empty slices get 1.
    """
    scale = np.minimum(adc_range * slice_ratio(levels), worst_range(levels))
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
