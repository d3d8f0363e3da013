"""Packs weight tiles into arrays: densely, with nothing shared, or as reading them is worth.

Tiles of different matrices are never read at the same time, so they may share an array's rows and
columns. Tiles of one matrix are to be read together, and can be where they stand block-diagonally:
no rows and no columns in common, and nothing in the rows of one that crosses the columns of the
other. What cannot be read together is read in rounds.

- ``dense`` takes as few arrays as can be found and looks at no rounds.
- ``exclusive`` lets the tiles of an array share neither rows nor columns.
- ``auto`` spends an array where that saves at least a hundredth of the time of all reads: see
  :mod:`pack_rounds`.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from .pack_kinds import Packing
from .pack_search import pack_rectangles
from .pack_vectors import pack_exclusively

Sharing = Literal["dense", "exclusive", "auto"]
SHARING: Sequence[Sharing] = get_args(Sharing)
#: Steps of the search for a denser packing.
TRIES = 20_000


def pack_tiles(
    sizes: np.ndarray,
    array_rows: int,
    array_cols: int,
    *,
    owner: np.ndarray | None = None,
    positions: np.ndarray | None = None,
    arrays: int | None = None,
    read_cost: tuple[float, float] = (1.0, 0.0),
    sharing: Sharing = "auto",
    tries: int = TRIES,
    seed: int = 0,
    alone: np.ndarray | None = None,
) -> Packing:
    """Pack tiles of ``sizes`` int [T, 2] (rows, cols), none larger than an array.

    ``owner`` int [T] is the matrix of each tile and ``positions`` int [M] how often each matrix is
    read in an inference (once where it is not said); ``read_cost`` is what a round of reads costs,
    and each of its columns. ``arrays`` is how many there are: more are used only where the densest
    packing found needs more. Without an owner tiles are packed densely. Those of ``alone`` (bool
    [T]) have an array each.
    """
    sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
    # What leaves no room for any tile beside or above it has an array of its own.
    single = np.zeros(len(sizes), bool) if alone is None else alone
    least = sizes[~single].min(axis=0, initial=max(array_rows, array_cols))
    alone = single | (sizes > np.array([array_rows, array_cols]) - least).all(axis=1)
    taken = int(alone.sum())
    rest = sizes[~alone]
    left = None if arrays is None else arrays - taken
    if sharing == "exclusive":
        packed = pack_exclusively(rest, array_rows, array_cols)
    elif sharing == "dense" or owner is None:
        packed = pack_rectangles(rest, array_rows, array_cols, tries=tries, seed=seed)
    else:
        from .pack_rounds import Reads, pack_for_reading

        owner = np.asarray(owner, np.int64)
        matrices = int(owner.max(initial=-1)) + 1
        reads = np.ones(matrices, np.int64)
        if positions is not None:
            reads = np.asarray(positions)[:matrices]
        round_cost, column_cost = read_cost
        floor = np.zeros(matrices)
        np.maximum.at(floor, owner[alone], round_cost + column_cost * sizes[alone, 1])
        packed = pack_for_reading(
            rest,
            array_rows,
            array_cols,
            owner=owner[~alone],
            reads=Reads(reads, floor, round_cost, column_cost),
            arrays=left,
            tries=tries,
            seed=seed,
        )
    array, row, col = np.zeros((3, len(sizes)), np.int32)
    array[alone] = np.arange(taken)
    array[~alone] = packed.array + taken
    row[~alone], col[~alone] = packed.row, packed.col
    bound = taken + packed.bound
    return Packing(array, row, col, taken + packed.arrays, bound)
