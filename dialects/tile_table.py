"""The table of a matrix's tiles as plain arrays (no xDSL): its columns, what it covers, and how
it is read.

A matrix may lie in the arrays in several copies that read different positions at the same time.
Then each tile says which copy it belongs to, and the tiles of every copy cover the matrix.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ArrayCells:
    """Which cells of which arrays hold weights: ``array`` int64 [n], rising, and ``cells`` [n, 4].

    A row of ``cells`` is (first row, first column, end row, end column) of a tile.
    """

    array: np.ndarray
    cells: np.ndarray

    @staticmethod
    def of(tiles: np.ndarray, sites: np.ndarray) -> "ArrayCells":
        """From all tiles [n, 5] of a chip and their sites [n, 5]."""
        array = _array_number(sites)
        order = np.argsort(array, kind="stable")
        return ArrayCells(array[order], _cells_of(tiles, sites)[order])

    def within(self, array: int) -> np.ndarray:
        """Rows of ``cells`` of one array."""
        low, high = np.searchsorted(self.array, (array, array + 1))
        return self.cells[low:high]


def read_rounds(tiles: np.ndarray, sites: np.ndarray, held: ArrayCells) -> list[tuple[int, ...]]:
    """Columns read in each round, for every array: how ``tiles`` [T, 5] of one matrix are read.

    Rows that are driven reach every column of an array, and a column adds up all its driven rows.
    So two tiles of an array are read in one round only where each row they share has one input,
    each column they share one output, and the rows of one cross the columns of the other nowhere
    but in themselves and in cells that hold no weight (both halves of a pair alike). In an array
    the tiles take the first round that fits, in the order of the matrix; arrays are read side by
    side, and those read alike are listed once. ``sites`` [T, 5] are theirs, ``held`` has the tiles
    of all matrices.
    """
    array = _array_number(sites)
    numbers, index, counts = np.unique(array, return_inverse=True, return_counts=True)
    alone = counts[index.reshape(-1)] == 1
    found: set[tuple[int, ...]] = {(cols,) for cols in np.unique(tiles[alone, 4]).tolist()}
    for number in numbers[counts > 1].tolist():
        own = np.flatnonzero(array == number)
        # Parts of an array are taken one after another where there are very many tiles.
        parts = np.array_split(own, -(-len(own) // _TILES_AT_ONCE))
        around = held.within(number)
        found.add(tuple(c for p in parts for c in _rounds_of(tiles[p], sites[p], around)))
    return sorted(found)


#: Tiles of one array whose conflicts are looked at together: a table of this size squared.
_TILES_AT_ONCE = 2048


def _rounds_of(tiles: np.ndarray, sites: np.ndarray, around: np.ndarray) -> list[int]:
    """Columns of each round of tiles in one array; ``around`` are all cells that it holds."""
    group, row, _, col, _ = tiles.T.astype(np.int64)
    cells = _cells_of(tiles, sites)
    rows_meet, cols_meet = _meet(cells, cells, 0), _meet(cells, cells, 1)
    same = group[:, None] == group
    input_at, output_at = row - cells[:, 0], col - cells[:, 1]
    conflict = rows_meet & ~(same & (input_at[:, None] == input_at))
    conflict |= cols_meet & ~(same & (output_at[:, None] == output_at))
    # Tiles in the rows of one and the columns of the other, without these two.
    crossed = _meet(cells, around, 0).astype(np.float32) @ _meet(around, cells, 1)
    crossed -= rows_meet
    crossed -= cols_meet
    conflict |= (crossed > 0.5) | (crossed.T > 0.5)
    taken = np.zeros(len(tiles), np.int64)
    for tile in range(1, len(tiles)):
        used = np.unique(taken[:tile][conflict[tile, :tile]])
        gap = np.flatnonzero(used != np.arange(len(used)))
        taken[tile] = gap[0] if len(gap) else len(used)
    return [_covered(cells[taken == r][:, [1, 3]]) for r in range(int(taken.max()) + 1)]


def _covered(ranges: np.ndarray) -> int:
    """How many numbers lie in ``ranges`` [n, 2] (first, end)."""
    ranges = ranges[np.argsort(ranges[:, 0])]
    before = np.maximum.accumulate(np.concatenate([[0], ranges[:-1, 1]]))
    return int(np.maximum(ranges[:, 1] - np.maximum(ranges[:, 0], before), 0).sum())


def _meet(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
    """Which cells [n, 4] share a row (``axis`` 0) or a column (1) with which, bool [a, b]."""
    return (a[:, None, axis] < b[:, axis + 2]) & (b[:, axis] < a[:, None, axis + 2])


def _cells_of(tiles: np.ndarray, sites: np.ndarray) -> np.ndarray:
    first = sites[:, 3:5].astype(np.int64)
    return np.concatenate([first, first + tiles[:, [2, 4]]], axis=1)


def _array_number(sites: np.ndarray) -> np.ndarray:
    """One number for each (layer, row, col)."""
    layer, row, col = sites[:, :3].T.astype(np.int64)
    return (layer << 40) + (row << 20) + col


def lots(sites: np.ndarray, rounds: np.ndarray, copy: np.ndarray) -> np.ndarray:
    """A number for the tiles that work on the same positions at the same time, int64 [T].

    They are of one layer, round and copy of a matrix; ``sites`` is [T, 3 or 5], the others [T].
    """
    layer = sites[:, 0].astype(np.int64)
    deep = layer * (int(rounds.max(initial=0)) + 1) + rounds
    return deep * (int(copy.max(initial=0)) + 1) + copy


def tile_order(sites: np.ndarray, rounds: np.ndarray) -> np.ndarray:
    """The order of a chip's tile tables: what stays, then what is streamed, each by layer.

    ``sites`` is [T, 3 or 5], ``rounds`` [T] is 0 for what stays. The streamed tiles of a layer
    come by round.
    """
    return np.lexsort((rounds, sites[:, 0], rounds > 0))


def is_tile_order(sites: np.ndarray, rounds: np.ndarray) -> bool:
    """Whether tiles are in the order of ``tile_order``."""
    return bool((np.diff(tile_order(sites, rounds)) > 0).all())
