"""Packs weight tiles into arrays.

Tiles that fill an array get one each. The rest go on shelves (rows of an array shared by tiles of
about the same height), first fit by decreasing height: Coffman, Garey, Johnson and Tarjan,
"Performance bounds for level-oriented two-dimensional packing algorithms", SIAM J. Comput. 9
(1980), FFDH at most 1.7 times the optimum plus one. Tiles of an array are never driven together,
so any two may share its rows or its columns.
"""

from dataclasses import dataclass

import numpy as np

#: Shelves that stay open; older ones are taken as full, which keeps packing linear.
_OPEN_SHELVES = 256


@dataclass(frozen=True, slots=True)
class Packing:
    """Per tile: its ``array`` and the cell ``row`` and weight ``col`` where it starts there."""

    array: np.ndarray
    row: np.ndarray
    col: np.ndarray
    arrays: int


def pack_tiles(sizes: np.ndarray, array_rows: int, array_cols: int) -> Packing:
    """Pack tiles of ``sizes`` int [T, 2] (rows, cols), none larger than an array."""
    sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
    array = np.full(len(sizes), -1, np.int32)
    row = np.zeros(len(sizes), np.int32)
    col = np.zeros(len(sizes), np.int32)
    # A tile over half an array both ways shares it with slivers only: give it an array.
    alone = (2 * sizes[:, 0] > array_rows) & (2 * sizes[:, 1] > array_cols)
    array[alone] = np.arange(int(alone.sum()), dtype=np.int32)
    shelves = _Shelves(int(alone.sum()), array_rows, array_cols)
    rest = np.flatnonzero(~alone)
    order = rest[np.lexsort((rest, -sizes[rest, 1], -sizes[rest, 0]))]
    for tile in order.tolist():
        array[tile], row[tile], col[tile] = shelves.put(*sizes[tile].tolist())
    return Packing(array, row, col, shelves.arrays)


def pack_apart(sizes: np.ndarray, alone: np.ndarray, array_rows: int, array_cols: int) -> Packing:
    """``pack_tiles`` of the tiles that are not ``alone`` (bool [T]); these have an array each.

    Copies of a matrix are driven at the same time, so none of their tiles may share an array.
    """
    rest, own = np.flatnonzero(~alone), np.flatnonzero(alone)
    packed = pack_tiles(sizes[rest], array_rows, array_cols)
    array, row, col = np.zeros((3, len(sizes)), np.int32)
    array[rest], row[rest], col[rest] = packed.array, packed.row, packed.col
    array[own] = packed.arrays + np.arange(len(own))
    return Packing(array, row, col, packed.arrays + len(own))


class _Shelves:
    """First fit over the open shelves; a new shelf goes into the first array with room."""

    def __init__(self, arrays: int, array_rows: int, array_cols: int) -> None:
        self.arrays = arrays
        self.array_rows, self.array_cols = array_rows, array_cols
        self.open: list[list[int]] = []  # [array, row, height, next col]
        self.free: list[list[int]] = []  # [array, next row]

    def put(self, rows: int, cols: int) -> tuple[int, int, int]:
        for shelf in self.open:
            if shelf[2] >= rows and shelf[3] + cols <= self.array_cols:
                shelf[3] += cols
                return shelf[0], shelf[1], shelf[3] - cols
        for space in self.free:
            if space[1] + rows <= self.array_rows:
                array, start = space[0], space[1]
                space[1] += rows
                break
        else:
            array, start = self.arrays, 0
            self.arrays += 1
            self.free = [*self.free[-_OPEN_SHELVES:], [array, rows]]
        self.open = [*self.open[-_OPEN_SHELVES:], [array, start, rows, cols]]
        return array, start, 0
