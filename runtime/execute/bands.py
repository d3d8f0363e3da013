"""Bands: tiles that read the same rows of the same matrix, joined side by side.

Tiles of a band see one input, so they are one matrix product. Bands are put in rounds whose members
belong to different matrices; a round of many small matrices is then one batched product whose
results go to distinct places.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget

Array = NDArray[np.float32]
Sums = NDArray[np.float32] | NDArray[np.float64]
Int = NDArray[np.int32]

BLOCK = 1 << 18
"""Elements of a block of outputs: 1 MiB of float32, so the element-wise steps stay in cache."""

MOST_COLUMNS = 2048
"""Columns of a band at most, unless one tile has more, so that a block has enough rows."""

BandClass = tuple[Int, Int, int, Int, list[NDArray[np.intp]]]
"""Bands of equal shape: group, row0, rows, cols, and the tiles of each band."""


def check_tiles(shape: tuple[int, ...], tiles: Int, target: MemcapTarget) -> None:
    groups, depth, width = shape
    group, row0, rows, col0, cols = tiles.T.astype(np.int64)
    array = target.array
    if len(tiles) and (
        (tiles[:, [0, 1, 3]] < 0).any()
        or (tiles[:, [2, 4]] < 1).any()
        or (group >= groups).any()
        or (row0 + rows > depth).any()
        or (col0 + cols > width).any()
    ):
        raise ValueError(f"tiles must lie inside the matrix {list(shape)}")
    if (rows > array.rows).any() or (cols > target.weight_cols).any():
        raise ValueError(
            f"a tile must fit {array.rows} x {target.weight_cols} weights, came up to "
            f"{rows.max()} x {cols.max()}"
        )
    if (rows * cols).sum() != groups * depth * width:
        raise ValueError(
            f"tiles must cover the {groups * depth * width} weights once, came "
            f"{(rows * cols).sum()}"
        )


def band_classes(tiles: Int, most_columns: int | None = None) -> Iterator[BandClass]:
    """Bands of equal rows and width: (group, row0, rows, cols, tiles of each band).

    A band ends where it would have more than ``most_columns``.
    """
    if not len(tiles):
        return
    order = np.lexsort((tiles[:, 3], tiles[:, 2], tiles[:, 1], tiles[:, 0]))
    keys = tiles[order][:, :3]
    first = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    if most_columns is not None:
        first = _cut_wide(first, tiles[order, 4], most_columns)
    ends = np.r_[first[1:], len(order)]
    width = np.add.reduceat(tiles[order, 4], first)
    group, rows = keys[first, 0], keys[first, 2]
    # The how-manieth band of its matrix: bands of one round write to different matrices.
    new_group = np.r_[True, group[1:] != group[:-1]]
    index = np.arange(len(first))
    turn = index - np.maximum.accumulate(np.where(new_group, index, 0))
    kinds, inverse = np.unique(np.stack((rows, width), axis=1), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    for kind in range(len(kinds)):
        chosen = np.flatnonzero(inverse == kind)
        chosen = chosen[np.lexsort((group[chosen], turn[chosen]))]
        members = [order[first[band] : ends[band]] for band in chosen]
        flat = np.concatenate(members)
        cols = _spread(tiles[flat, 3], tiles[flat, 4]).reshape(len(chosen), -1)
        yield group[chosen], keys[first[chosen], 1], int(kinds[kind, 0]), cols, members


def _cut_wide(first: NDArray[np.intp], widths: Int, most: int) -> NDArray[np.intp]:
    """First tiles of bands, with those of too many columns cut into pieces of equal tiles."""
    cuts = []
    for begin, end in zip(first, np.r_[first[1:], len(widths)], strict=True):
        together = max(1, most // max(1, int(widths[begin:end].max())))
        cuts.append(np.arange(begin, end, together))
    return np.concatenate(cuts)


def _spread(start: Int, count: Int) -> Int:
    """start[0], start[0]+1, ... count[0] of them, then those of start[1], ..."""
    ends = np.cumsum(count)
    inside = np.arange(ends[-1]) - np.repeat(ends - count, count)
    return (np.repeat(start, count) + inside).astype(np.int32)


def rounds(group: Int) -> tuple[int, ...]:
    """Ends of the rounds: groups ascend strictly between two cuts."""
    falls = np.flatnonzero(group[1:] <= group[:-1]) + 1
    return (0, *(int(f) for f in falls), len(group))


def are_runs(cols: Int) -> bool:
    """Whether the columns of every band are contiguous."""
    return bool((cols == cols[:, :1] + np.arange(cols.shape[1])).all())


def tile_offsets(sizes: Int, band_of: NDArray[np.intp]) -> NDArray[np.intp]:
    """First column of each tile within its band."""
    before = np.cumsum(sizes) - sizes
    first = np.r_[True, band_of[1:] != band_of[:-1]]
    return (before - np.maximum.accumulate(np.where(first, before, 0))).astype(np.intp)


def batches(starts: tuple[int, ...], elements: int) -> Iterator[tuple[int, int]]:
    """Runs of bands within a round whose outputs fit a block."""
    size = max(1, BLOCK // max(elements, 1))
    for lo, hi in pairwise(starts):
        for begin in range(lo, hi, size):
            yield begin, min(begin + size, hi)


def rows_of(x: Array, group: Int, row0: Int, rows: int) -> Array:
    """Input of each band, ``[n, positions, rows]``; a view where one band is asked for."""
    if _is_run(group, row0):
        return x[group[0] : group[-1] + 1, :, row0[0] : row0[0] + rows]
    span = row0[:, None] + np.arange(rows)
    return x[group[:, None], :, span].swapaxes(1, 2)


def block_of(
    weights: NDArray[Any], group: Int, row0: Int, rows: int, cols: Int, runs: bool
) -> NDArray[Any]:
    """Weights of each band, ``[n, rows, width]``; a view where they lie side by side."""
    if runs and _is_run(group, row0) and (cols[:, 0] == cols[0, 0]).all():
        first = int(cols[0, 0])
        span = slice(row0[0], row0[0] + rows)
        return weights[group[0] : group[-1] + 1, span, first : first + cols.shape[1]]
    row = row0[:, None] + np.arange(rows)
    return weights[group[:, None, None], row[:, :, None], cols[:, None, :]]


def _is_run(group: Int, row0: Int) -> bool:
    """Whether the (ascending) groups are neighbours and the bands begin at one row."""
    return bool(group[-1] - group[0] == len(group) - 1 and (row0 == row0[0]).all())


def accumulate(out: Sums, y: Sums, group: Int, cols: Int, runs: bool) -> None:
    """Add ``y [n, positions, cols]`` to the columns of distinct groups."""
    together = group[-1] - group[0] == len(group) - 1
    if runs and together and (cols[:, 0] == cols[0, 0]).all():
        first = int(cols[0, 0])
        out[group[0] : group[-1] + 1, :, first : first + cols.shape[1]] += y
    else:
        out[group[:, None], :, cols] += y.swapaxes(1, 2)
