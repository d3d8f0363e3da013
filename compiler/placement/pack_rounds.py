"""Packs tiles with an eye to how they are read: diagonals for groups, and tiles kept apart.

Two choices trade arrays against reads. Equal tiles of one matrix may stand on a diagonal, where
they are read at once and take as many times their cells as they are many: this is for depthwise and
grouped convolutions. And what shares arrays may be dealt to waves that are packed apart, so that
fewer tiles of one matrix meet in an array. Both are chosen to make

    log(time) + SPEND * arrays

least, where the time is that of all reads: for every matrix its positions times what the slowest of
its arrays takes, a round and each column of a round having their price. So an array is spent where
it saves at least the share ``SPEND`` of the time, and never beyond those there are. A matrix that
is read seldom is packed densely, because nothing is gained.
"""

from dataclasses import dataclass
from math import log

import numpy as np

from .pack_kinds import Packing
from .pack_search import pack_rectangles

#: Share of the time of all reads that a further array must save.
SPEND = 0.01
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class _Units:
    """What is packed as one rectangle: equal tiles of one matrix on a diagonal, often a single one.

    ``sizes`` int [U, 2], ``owner`` int [U] are of units; ``tile``, ``unit`` and
    ``step`` int [n] give for each tile in turn its number, its unit, and its place on the diagonal.
    """

    sizes: np.ndarray
    owner: np.ndarray
    tile: np.ndarray
    unit: np.ndarray
    step: np.ndarray


@dataclass(frozen=True, slots=True)
class Reads:
    """What reading costs: ``positions`` [M] of each matrix, and a round's price and a column's.

    ``floor`` [M] is what the arrays that are not packed here take for one position.
    """

    positions: np.ndarray
    floor: np.ndarray
    round_cost: float
    column_cost: float

    def time(self, own: np.ndarray) -> float:
        """Time of all reads where the matrices [M] take ``own`` for one position."""
        return float((self.positions * np.maximum(own, self.floor)).sum())


def pack_for_reading(
    sizes: np.ndarray,
    array_rows: int,
    array_cols: int,
    *,
    owner: np.ndarray,
    reads: Reads,
    arrays: int | None,
    tries: int,
    seed: int,
) -> Packing:
    """Pack tiles ``sizes`` int [n, 2] of matrices ``owner`` [n].

    ``arrays`` is how many may be used, if the densest packing allows. The bound is that of the
    tiles, packed densely.
    """
    bins = (array_rows, array_cols)
    if not len(sizes):
        return pack_rectangles(sizes, *bins, tries=0)
    room = np.inf if arrays is None else arrays
    tiles = _units_of(sizes, owner, np.ones(len(sizes), np.int64))
    dense = pack_rectangles(tiles.sizes, *bins, tries=tries, seed=seed)
    best, best_cost = (tiles, 0), _cost(_deal(dense, tiles), tiles, reads)
    least = _largest(_price(tiles, reads), tiles.owner, len(reads.floor))
    least_time = max(reads.time(least), _TINY)
    if best_cost > log(least_time) + SPEND * dense.arrays and dense.arrays < room:
        diagonal = _choose_diagonals(tiles, bins, reads, room - dense.arrays)
        for units in (tiles, _units_of(sizes, owner, diagonal)):
            waves, most = 1, int(np.unique(units.owner, return_counts=True)[1].max())
            used = 0
            # More waves take more arrays; they end where even the least time does not pay for that.
            while waves < 2 * most and log(least_time) + SPEND * used < best_cost:
                packing = _pack_waves(units, waves, bins, 0, seed)
                used = packing.arrays
                cost = _cost(packing, units, reads)
                if cost < best_cost - 1e-12 and used <= room:
                    best, best_cost = (units, waves), cost
                waves *= 2
    units, waves = best
    packing = _pack_waves(units, waves, bins, tries, seed) if waves else _deal(dense, units)
    unit = units.unit
    array, row, col = np.empty((3, len(sizes)), np.int32)
    array[units.tile] = packing.array[unit]
    row[units.tile] = packing.row[unit] + units.step * sizes[units.tile, 0]
    col[units.tile] = packing.col[unit] + units.step * sizes[units.tile, 1]
    return Packing(array, row, col, packing.arrays, dense.bound)


def _units_of(sizes: np.ndarray, owner: np.ndarray, diagonal: np.ndarray) -> _Units:
    """Units of ``diagonal`` [n] tiles each, the same for equal tiles of a matrix."""
    order = np.lexsort((sizes[:, 1], sizes[:, 0], owner))
    begins = _first_of_sets(sizes[order], owner[order])
    index = np.arange(len(order))
    in_set = index - np.maximum.accumulate(np.where(begins, index, 0))
    step = in_set % diagonal[order]
    unit = np.cumsum(step == 0) - 1
    first = order[step == 0]
    length = np.bincount(unit)
    return _Units(sizes[first] * length[:, None], owner[first], order, unit, step)


def _first_of_sets(sizes: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Which of sorted tiles is the first of its size in its matrix, bool [n]."""
    same = (np.diff(owner, prepend=-1) == 0) & (np.diff(sizes, axis=0, prepend=-1) == 0).all(axis=1)
    same[:1] = False
    return ~same


def _choose_diagonals(
    tiles: _Units, bins: tuple[int, int], reads: Reads, spare: float
) -> np.ndarray:
    """How many equal tiles of a matrix stand on a diagonal, int [n] in the order of the tiles.

    Doubles the diagonals that save most time for the cells that they take, as long as that pays.
    Tiles that are not on one diagonal are taken to be read one after another.
    """
    begins = _first_of_sets(tiles.sizes, tiles.owner)
    size, positions = tiles.sizes[begins], reads.positions[tiles.owner[begins]]
    number = np.cumsum(begins) - 1
    count = np.bincount(number)
    longest = np.minimum((np.array(bins) // size).min(axis=1), count)
    cells = size.prod(axis=1) / np.prod(bins)
    diagonal = np.ones(len(count), np.int64)
    price = reads.round_cost + reads.column_cost * size[:, 1]
    own = np.bincount(tiles.owner[begins], price * count, minlength=len(reads.floor))
    time = reads.time(own)
    while True:
        longer = np.minimum(2 * diagonal, longest)
        rounds = -(-count // diagonal) - -(-count // longer)
        saved = reads.round_cost * positions * rounds
        spent = cells * (_cells(count, longer) - _cells(count, diagonal))
        gain = np.where(spent > 0, saved / np.maximum(spent, 1e-12), 0.0)
        gain[spent > spare] = 0.0
        best = int(gain.argmax())
        if gain[best] <= SPEND * time:
            break
        diagonal[best] = longer[best]
        time -= float(saved[best])
        spare -= float(spent[best])
    chosen = np.empty(len(number), np.int64)
    chosen[tiles.tile] = diagonal[number]
    return chosen


def _cells(count: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """Cells of ``count`` tiles on diagonals, in cells of one tile."""
    return count // diagonal * diagonal**2 + (count % diagonal) ** 2


def _pack_waves(units: _Units, waves: int, bins: tuple[int, int], tries: int, seed: int) -> Packing:
    """Pack units dealt to ``waves``, each in arrays of its own."""
    wave = np.arange(len(units.owner)) % waves  # units of a matrix stand one after another
    array, row, col = np.zeros((3, len(wave)), np.int32)
    arrays = bound = 0
    for k in range(waves):
        part = np.flatnonzero(wave == k)
        packing = _deal(
            pack_rectangles(units.sizes[part], *bins, tries=tries, seed=seed), units, part
        )
        array[part] = packing.array + arrays
        row[part], col[part] = packing.row, packing.col
        arrays += packing.arrays
        bound += packing.bound
    return Packing(array, row, col, arrays, bound)


def _deal(packing: Packing, units: _Units, part: np.ndarray | None = None) -> Packing:
    """Deal units of one size over the places for them so that those of a matrix are far apart.

    One place of every array comes first, then a second one; units are dealt matrix by matrix.
    """
    part = np.arange(len(units.owner)) if part is None else part
    size = units.sizes[part]
    # Which of the places for its size in its array a place is.
    order = np.lexsort((packing.array, size[:, 1], size[:, 0]))
    begins = _first_of_sets(size[order], packing.array[order])
    index = np.arange(len(order))
    turn = np.empty(len(order), np.int64)
    turn[order] = index - np.maximum.accumulate(np.where(begins, index, 0))
    places = np.lexsort((packing.array, turn, size[:, 1], size[:, 0]))
    takers = np.lexsort((units.owner[part], size[:, 1], size[:, 0]))
    array, row, col = np.empty((3, len(part)), np.int32)
    array[takers] = packing.array[places]
    row[takers], col[takers] = packing.row[places], packing.col[places]
    return Packing(array, row, col, packing.arrays, packing.bound)


def _price(units: _Units, reads: Reads) -> np.ndarray:
    """What reading each unit costs, in a round of its own."""
    columns = units.sizes[:, 1].astype(np.float64)
    return reads.round_cost + reads.column_cost * columns


def _cost(packing: Packing, units: _Units, reads: Reads) -> float:
    """What is made least. Units of a matrix that meet in an array are read one after another."""
    pair = units.owner.astype(np.int64) * packing.arrays + packing.array
    pairs, number = np.unique(pair, return_inverse=True)
    taken = np.bincount(number.reshape(-1), _price(units, reads))
    own = _largest(taken, pairs // packing.arrays, len(reads.floor))
    return log(max(reads.time(own), _TINY)) + SPEND * packing.arrays


def _largest(values: np.ndarray, owner: np.ndarray, matrices: int) -> np.ndarray:
    """The largest of each matrix's ``values``, [matrices]."""
    largest = np.zeros(matrices)
    np.maximum.at(largest, owner, values)
    return largest
