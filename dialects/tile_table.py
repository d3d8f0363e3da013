"""The table of a matrix's tiles as plain arrays (no xDSL): its columns, and what it covers.

A matrix may lie in the arrays in several copies that read different positions at the same time.
Then each tile says which copy it belongs to, and the tiles of every copy cover the matrix.
"""

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


def with_copies(
    tiles: np.ndarray, shape: Shape3, copy: np.ndarray | None
) -> tuple[np.ndarray, Shape3]:
    """The table and the shape of all copies as one matrix, each copy with groups of its own.

    ``copy`` int [T] numbers the copy of each tile; None is one copy.
    """
    if copy is None or not len(copy):
        return tiles, shape
    groups, rows, cols = shape
    apart = tiles.astype(np.int64)
    apart[:, 0] += copy.astype(np.int64) * groups
    return apart, ((int(copy.max()) + 1) * groups, rows, cols)


def position_bounds(positions: int, copies: int) -> np.ndarray:
    """Where the share of each copy begins and the last one ends, int64 [copies + 1].

    Copies read consecutive positions, ``positions // copies`` each or one more.
    """
    return np.arange(copies + 1, dtype=np.int64) * positions // copies


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
