"""The table of a matrix's tiles as plain arrays (no xDSL): its columns, and what it covers."""

import numpy as np

TILE_COLUMNS = ("group", "row", "rows", "col", "cols")
Shape3 = tuple[int, int, int]


def inside(tiles: np.ndarray, shape: Shape3) -> np.ndarray:
    """Which of ``tiles`` [T, 5] lie within the matrix [groups, rows, cols], bool [T]."""
    group, row, rows, col, cols = tiles.T.astype(np.int64)
    groups, k, n = shape
    return (
        (group >= 0) & (group < groups) & (row >= 0) & (rows > 0) & (row + rows <= k)
        & (col >= 0) & (cols > 0) & (col + cols <= n)
    )  # fmt: skip


def weights_in(tiles: np.ndarray) -> int:
    """Weights of all tiles together."""
    return int((tiles[:, 2].astype(np.int64) * tiles[:, 4]).sum())


def overlap(tiles: np.ndarray, shape: Shape3) -> bool:
    """Whether two tiles inside the matrix share a weight.

    They cover the cells of a grid of the distinct cut lines.
    """
    group, row, rows, col, cols = tiles.T.astype(np.int64)
    row_cuts = np.unique(np.concatenate([row, row + rows]))
    col_cuts = np.unique(np.concatenate([col, col + cols]))
    r0, r1 = np.searchsorted(row_cuts, row), np.searchsorted(row_cuts, row + rows)
    c0, c1 = np.searchsorted(col_cuts, col), np.searchsorted(col_cuts, col + cols)
    if ((r1 - r0 == 1) & (c1 - c0 == 1)).all():
        cell = (group * len(row_cuts) + r0) * len(col_cuts) + c0
        return len(np.unique(cell)) != len(cell)
    seen = np.zeros((shape[0], len(row_cuts), len(col_cuts)), np.int32)
    for g, a, b, c, d in zip(group, r0, r1, c0, c1, strict=True):
        seen[g, a:b, c:d] += 1
    return bool((seen > 1).any())


def tile_order(sites: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """The order of a chip's tile tables: what stays, then what is streamed, each by layer.

    ``sites`` is [T, 3 or 5], ``rounds`` [T] is 0 for what stays. The streamed tiles of a layer
    come by round.
    """
    return np.lexsort((rounds, sites[:, 0], rounds > 0))


def is_tile_order(sites: np.ndarray, rounds: np.ndarray) -> bool:
    """Whether tiles are in the order of ``tile_order``."""
    return bool((np.diff(tile_order(sites, rounds)) > 0).all())
