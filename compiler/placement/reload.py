"""Chooses which arrays keep their weights and which are written anew in each inference.

An inference drives the matrices in program order, and the next one in the same order again. A
program is the same in each inference, so what an array holds when one begins it holds when the next
begins. Let there be A arrays and N arrays' worth of weights, N > A, and let W arrays be written
side by side. While they are written they hold nothing else, so A - W arrays at most keep what they
have: N - A + W is the least that any such program writes. Here the arrays that keep their weights
are full, and all others pass through a *window* of W arrays, round by round, which is that least.
(Belady's rule, "A study of replacement algorithms for a virtual-storage computer", IBM Systems
Journal 5 (1966), may go on differently in each inference; on a cyclic order it saves less than one
of these writes an inference, which the tests show.)

A larger window means fewer rounds, which take time, and more writes, which take energy. The window
taken is that of the least time; of equal ones that of the fewest writes. More arrays than can be
written side by side never help. What a round holds: ``reload_rounds.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .machine import SiteGrid
from .pack import pack_tiles
from .pack_kinds import Packing
from .reload_rounds import Rounds, stream_rounds

#: Windows that are tried at most, evenly over all sizes; fewer sizes are tried one and all.
_MOST_WINDOWS = 64


@dataclass(frozen=True, slots=True)
class Writing:
    """What writing takes: time of one array, time to bring its codes, arrays side by side."""

    write_s: float
    transfer_s: float
    side_by_side: int


@dataclass(frozen=True, slots=True)
class Residency:
    """What passes through ``window`` arrays, in ``written`` writes that take ``write_s``."""

    window: int
    rounds: Rounds
    written: int
    write_s: float


@dataclass(frozen=True, slots=True)
class ReloadPlan:
    """Tables of all tiles, one matrix after another.

    ``sites`` int32 [T, 5] has the columns of ``place.SITE_COLUMNS``; ``rounds`` int32 [T] is 0 for
    a tile that stays and else the round, from 1 in each matrix, in which it is written.
    """

    residency: Residency
    sites: np.ndarray
    rounds: np.ndarray


def choose_residency(
    arrays: np.ndarray, uses: np.ndarray, movable: np.ndarray, capacity: int, writing: Writing
) -> Residency | None:
    """The window and the streamed arrays of least time; None where no window is enough.

    Args:
        arrays: int [M], arrays that each matrix takes, in the order in which they are used.
        uses: int [M], products of an inference that drive it.
        movable: bool [M], whether it may be written anew.
        capacity: arrays of the chip, fewer than all matrices need.
    """
    arrays, uses = np.asarray(arrays, np.int64), np.asarray(uses, np.int64)
    over = int(arrays.sum()) - capacity
    best: Residency | None = None
    for least_s, window in _windows(over, min(writing.side_by_side, capacity), writing):
        if best is not None and least_s > best.write_s:
            break
        rounds = stream_rounds(arrays, uses, movable, over + window, window)
        if rounds is not None:
            found = _residency(window, rounds, uses, writing)
            best = found if best is None else min(best, found, key=_cost)
    return best


def _cost(residency: Residency) -> tuple[float, int, int]:
    return residency.write_s, residency.written, residency.window


def _residency(window: int, rounds: Rounds, uses: np.ndarray, writing: Writing) -> Residency:
    written = int((uses * rounds.streamed).sum())
    write_s = max(rounds.count * writing.write_s, written * writing.transfer_s)
    return Residency(window, rounds, written, write_s)


def _windows(over: int, most: int, writing: Writing) -> list[tuple[float, int]]:
    """Sizes to try and the least time that each may take, the most promising first.

    They are spread evenly, and those that a few rounds fill.
    """
    spread = np.linspace(1, most, min(most, _MOST_WINDOWS)).astype(np.int64)
    filled = -(-over // np.arange(1, _MOST_WINDOWS + 1))
    windows = np.unique(np.concatenate([spread, np.clip(filled, 1, most)]))
    needed = over + windows
    least_s = np.maximum(-(-needed // windows) * writing.write_s, needed * writing.transfer_s)
    return sorted(zip(least_s.tolist(), windows.tolist(), strict=True))


def pack_apart(sizes: Sequence[np.ndarray], grid: SiteGrid) -> list[Packing]:
    """The tiles of each matrix in arrays of its own; equal tables are packed once."""
    known: dict[bytes, Packing] = {}
    packings = []
    for table in sizes:
        key = np.ascontiguousarray(table, np.int32).tobytes()
        if key not in known:
            known[key] = pack_tiles(table, grid.array_rows, grid.array_cols)
        packings.append(known[key])
    return packings


def plan_reload(
    sizes: Sequence[np.ndarray],
    uses: np.ndarray,
    movable: np.ndarray,
    grid: SiteGrid,
    writing: Writing,
) -> ReloadPlan | None:
    """Sites and rounds of tiles that do not fit ``grid`` at once; None where no window is enough.

    ``sizes`` holds int [T, 2] (rows, cols) of the tiles of each matrix, in order of use. Small
    matrices that stay share arrays, so fewer need to be written anew than matrices in arrays of
    their own suggest.
    """
    packings = pack_apart(sizes, grid)
    owner = np.repeat(np.arange(len(sizes)), [len(table) for table in sizes])
    tiles = _Tiles(np.concatenate(sizes), owner, *_columns(packings))
    fixed = ~movable[owner]
    capacity = grid.capacity - (tiles.pack(fixed, grid).arrays if fixed.any() else 0)
    arrays = np.where(movable, [p.arrays for p in packings], 0)
    if capacity < 1:
        return None
    residency = choose_residency(arrays, uses, movable, capacity, writing)
    if residency is None:
        return None
    window = residency.window

    def kept(needed: int) -> tuple[Rounds, np.ndarray, Packing] | None:
        """What is streamed, and the tiles that stay and their packing, if they fit."""
        rounds = stream_rounds(arrays, uses, movable, needed, window)
        if rounds is None:
            return None
        stays = fixed | (tiles.page >= rounds.streamed[owner])
        packing = tiles.pack_kept(stays, fixed, grid, grid.capacity - window)
        return None if packing is None else (rounds, stays, packing)

    low, high = 0, int(residency.rounds.streamed.sum())  # too few, and enough
    best = kept(high)
    assert best is not None  # those of ``residency`` fit in arrays of their own
    while high - low > 1:
        middle = (low + high) // 2
        found = kept(middle)
        low, high, best = (low, middle, found) if found else (middle, high, best)
    rounds, stays, packing = best
    slot = rounds.offset[owner] + tiles.page % window
    sites = tiles.sites(stays, packing, slot, grid, window)
    table = np.where(stays, 0, tiles.page // window + 1).astype(np.int32)
    return ReloadPlan(_residency(window, rounds, uses, writing), sites, table)


def _columns(packings: Sequence[Packing]) -> tuple[np.ndarray, np.ndarray]:
    """Of all tiles, the array within its matrix [T], and the cell where it starts there [T, 2]."""
    page = np.concatenate([p.array for p in packings]).astype(np.int64)
    row, col = (np.concatenate([getattr(p, name) for p in packings]) for name in ("row", "col"))
    return page, np.column_stack([row, col])


@dataclass(frozen=True, slots=True)
class _Tiles:
    """All tiles: rows and columns [T, 2], their matrix, and their place in arrays of it alone."""

    sizes: np.ndarray
    owner: np.ndarray
    page: np.ndarray
    cell: np.ndarray

    def pack(self, which: np.ndarray, grid: SiteGrid) -> Packing:
        return pack_tiles(self.sizes[which].astype(np.int64), grid.array_rows, grid.array_cols)

    def pack_kept(
        self, stays: np.ndarray, fixed: np.ndarray, grid: SiteGrid, most: int
    ) -> Packing | None:
        """The tiles that stay in at most ``most`` arrays; None where they take more."""
        cells = int(self.sizes[stays].astype(np.int64).prod(axis=1).sum())
        if cells > most * grid.array_rows * grid.array_cols:
            return None
        packing = self.pack(stays, grid)
        if packing.arrays > most:
            packing = self._apart(stays, fixed, grid)
        return packing if packing.arrays <= most else None

    def _apart(self, stays: np.ndarray, fixed: np.ndarray, grid: SiteGrid) -> Packing:
        """Fixed tiles share arrays, others have those of their matrix."""
        together = self.pack(fixed, grid)
        own = stays & ~fixed
        pages = np.stack([self.owner[own], self.page[own]])
        kinds, number = np.unique(pages, axis=1, return_inverse=True)
        array = np.zeros(len(self.page), np.int64)
        cell = self.cell.copy()
        array[fixed], cell[fixed] = together.array, np.stack([together.row, together.col], axis=1)
        array[own] = together.arrays + number.reshape(-1)
        count = together.arrays + kinds.shape[1]
        row, col = cell[stays].T
        return replace(together, array=array[stays], row=row, col=col, arrays=count)

    def sites(
        self, stays: np.ndarray, packing: Packing, slot: np.ndarray, grid: SiteGrid, window: int
    ) -> np.ndarray:
        """Sites of all tiles, those that are streamed at their ``slot`` of the window.

        The nearest sites are the window's, which are used most; what stays lies behind.
        """
        near = grid.sites_near_first(window + packing.arrays)
        sites = np.empty((len(self.page), 5), np.int32)
        sites[stays, :3] = near[window:][_rank_by_first_use(packing)[packing.array]]
        sites[stays, 3:] = np.column_stack([packing.row, packing.col])
        sites[~stays, :3] = near[slot[~stays]]
        sites[~stays, 3:] = self.cell[~stays]
        return sites


def _rank_by_first_use(packing: Packing) -> np.ndarray:
    """The place of each array in the order of the first tiles that they hold."""
    first = np.full(packing.arrays, len(packing.array), np.int64)
    np.minimum.at(first, packing.array, np.arange(len(packing.array)))
    rank = np.empty(packing.arrays, np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(packing.arrays)
    return rank
