"""Checks where matrices are without trusting who placed them: arrays only, every fault in words.

Rules: a tile lies inside one array of an existing site; no cell is booked twice at a time; nothing
needs what is broken, be it an array, a line of it or a via on the way; what had a fixed position is
there; the legs of a block lead from each of its tiles to the port. The other rules of a placement
are in ``check_buffers``, ``check_heat`` and, of tiles written while running, ``check_residency``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...backends.targets.chips import within_chip
from ...backends.targets.defects import DefectTables
from ...dialects.route_table import PORT, path_hops
from ...dialects.tile_table import lots
from .machine import SiteGrid

#: Faults of one kind that are told of one matrix.
MOST_TOLD = 3
#: Pairs of tiles that are compared at once.
_PAIRS = 1 << 20


@dataclass(frozen=True, slots=True)
class PlacedMatrix:
    """A matrix in arrays: its tables ``tiles`` [T, 5], ``sites`` [T, 5] and ``routes`` [T, 4].

    ``rounds`` [T] is above 0 for tiles that a reload writes (check_residency.py), ``copy`` [T] the
    copy of the matrix; None: all stay, there is one. ``fixed`` [T, 5] are the sites that were asked
    for, layer -1 where none was; ``numbers`` [T] how tiles are called where these are not all.
    """

    name: str
    tiles: np.ndarray
    sites: np.ndarray
    routes: np.ndarray | None
    rounds: np.ndarray | None = None
    fixed: np.ndarray | None = None
    copy: np.ndarray | None = None
    numbers: np.ndarray | None = None

    def tile(self, index: int) -> str:
        """How a fault names a tile."""
        return f"{self.name}: tile {index if self.numbers is None else self.numbers[index]}"

    @property
    def sizes(self) -> np.ndarray:
        """(rows, cols) of each tile, [T, 2]."""
        return self.tiles[:, [2, 4]]

    @property
    def streamed(self) -> np.ndarray:
        """Which tiles are written while the program runs, bool [T]."""
        if self.rounds is None:
            return np.zeros(len(self.sites), np.bool_)
        return np.asarray(self.rounds) > 0


def check_matrices(
    matrices: Sequence[PlacedMatrix], grid: SiteGrid, defects: DefectTables | None = None
) -> list[str]:
    """Faults of tiles, sites and routes."""
    faults: list[str] = []
    for matrix in matrices:
        faults += _check_sites(matrix, grid)
        if matrix.routes is not None:
            faults += _check_routes(matrix, grid)
        if matrix.fixed is not None:
            faults += _check_fixed(matrix, matrix.fixed)
    if faults or not matrices:
        return faults
    if defects is not None and defects.any:
        for matrix in matrices:
            faults += _check_defects(matrix, defects, grid.layers // grid.chips)
    return faults + _check_overlaps(matrices, grid)


def _check_sites(matrix: PlacedMatrix, grid: SiteGrid) -> list[str]:
    layer, row, col, array_row, array_col = matrix.sites.T.astype(np.int64)
    rows, cols = matrix.sizes.T.astype(np.int64)
    rules = (
        ("layer", layer, grid.layers),
        ("row", row, grid.rows),
        ("column", col, grid.cols),
    )
    faults = []
    for what, values, bound in rules:
        for tile in np.flatnonzero((values < 0) | (values >= bound))[:MOST_TOLD]:
            faults.append(
                f"{matrix.tile(tile)} is at {what} {values[tile]}, which must be in 0..{bound - 1}"
            )
    outside = (
        (array_row < 0) | (array_row + rows > grid.array_rows)
        | (array_col < 0) | (array_col + cols > grid.array_cols)
    )  # fmt: skip
    for tile in np.flatnonzero(outside)[:MOST_TOLD]:
        faults.append(
            f"{matrix.tile(tile)} of {rows[tile]}x{cols[tile]} at cell ({array_row[tile]}, "
            f"{array_col[tile]}) leaves the array of {grid.array_rows}x{grid.array_cols}"
        )
    return faults


def _check_routes(matrix: PlacedMatrix, grid: SiteGrid) -> list[str]:
    """Legs join tiles of one block and layer, and lead from each to the port."""
    assert matrix.routes is not None
    routes, count = np.asarray(matrix.routes, np.int64), len(matrix.tiles)
    if len(routes) != count:
        return [f"{matrix.name}: {count} tiles need a route each, got {len(routes)}"]
    none = np.zeros(count, np.int64)
    lot = lots(
        matrix.sites,
        none if matrix.rounds is None else matrix.rounds,
        none if matrix.copy is None else matrix.copy,
    )
    group = matrix.tiles[:, 0]
    faults = []
    for parent, block, what in ((0, 1, "x_from"), (2, 3, "y_to")):
        outside = np.flatnonzero((routes[:, parent] < PORT) | (routes[:, parent] >= count))
        for tile in outside[:3]:
            faults.append(
                f"{matrix.name}: {what} of tile {tile} must be -1 or a tile in 0..{count - 1}, "
                f"got {routes[tile, parent]}"
            )
        if len(outside):
            continue
        other = np.where(routes[:, parent] < 0, np.arange(count), routes[:, parent])
        start = matrix.tiles[:, block]
        strange = (start[other] != start) | (group[other] != group)
        strange |= lot[other] != lot
        for tile in np.flatnonzero(strange)[:3]:
            faults.append(
                f"{matrix.name}: {what} of tile {tile} is tile {other[tile]}, which is not in its "
                f"{'row' if parent == 0 else 'column'} block, layer, round and copy"
            )
        if path_hops(routes[:, parent], np.zeros(count)) is None:
            faults.append(f"{matrix.name}: the legs by {what} go in a circle, not to the port")
        for tile in np.flatnonzero((routes[:, parent + 1] & ~1) != 0)[:3]:
            faults.append(
                f"{matrix.name}: the bend of {what} of tile {tile} must be 0 or 1, "
                f"got {routes[tile, parent + 1]}"
            )
    return faults


def _check_fixed(matrix: PlacedMatrix, fixed: np.ndarray) -> list[str]:
    moved = np.flatnonzero((fixed[:, 0] >= 0) & (fixed != matrix.sites).any(axis=1))
    return [
        f"{matrix.tile(tile)} must be at the fixed (layer, row, col, array row, array column) "
        f"{fixed[tile].tolist()}, it is at {matrix.sites[tile].tolist()}"
        for tile in moved[:MOST_TOLD]
    ]


def _check_defects(matrix: PlacedMatrix, defects: DefectTables, layers: int) -> list[str]:
    """Tiles on dead arrays or over dead lines, and routes that need a via that is missing.

    Each chip of ``layers`` has the same defects.
    """
    own = within_chip(matrix.sites, layers)
    broken = defects.broken(own, matrix.sizes)
    texts = {
        "array": "is in an array that is dead",
        "row": "lies over a dead row of its array",
        "column": "lies over a dead column of its array",
    }
    faults = [
        f"{matrix.tile(tile)} at (layer, row, col) {_site(matrix.sites[tile])} {text}"
        for what, text in texts.items()
        for tile in np.flatnonzero(broken[what])[:MOST_TOLD]
    ]
    return faults + check_vias(matrix.name, own[:, :3], defects)


def check_vias(name: str, sites: np.ndarray, defects: DefectTables) -> list[str]:
    """Faults of ways up the stacks of ``sites`` int [n, 3] (layer, row, col), those of ``name``."""
    cut = np.unique(sites[defects.cut_off(sites)], axis=0)
    return [
        f"{name}: a route goes up to (layer, row, col) {_site(site)} through a via that is missing"
        for site in cut[:MOST_TOLD]
    ]


def _site(site: np.ndarray) -> tuple[int, ...]:
    return tuple(site[:3].tolist())


def _check_overlaps(matrices: Sequence[PlacedMatrix], grid: SiteGrid) -> list[str]:
    stays = ~np.concatenate([m.streamed for m in matrices])
    if not stays.any():
        return []
    sites = np.concatenate([m.sites for m in matrices])[stays].astype(np.int64)
    sizes = np.concatenate([m.sizes for m in matrices])[stays].astype(np.int64)
    owner = np.repeat(np.arange(len(matrices)), [len(m.sites) for m in matrices])[stays]
    array = (sites[:, 0] * grid.rows + sites[:, 1]) * grid.cols + sites[:, 2]
    pairs = _overlapping(array, sites[:, 3:], sizes)
    _, told = np.unique(array[pairs[:, 0]], return_index=True)
    return [
        f"cells of the array at (layer, row, col) {_site(sites[first])} are booked by "
        f"{matrices[owner[first]].name} and {matrices[owner[second]].name}"
        for first, second in pairs[told[:MOST_TOLD]].tolist()
    ]


def _overlapping(array: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Some pairs of tiles that share cells of an array, int64 [n, 2]; none only if there are none.

    Sorted by array and first row, a tile is compared with those that follow it and begin before it
    ends, about ``_PAIRS`` at once; the first of these with any that overlap are all that is told.
    Tiles that do not overlap are few in a row of an array, so the pairs of a right placement are.
    """
    order = np.lexsort((np.arange(len(array)), starts[:, 0], array))
    array, first, size = array[order], starts[order], sizes[order]
    last = first + size
    height = int(last[:, 0].max()) + 1
    reach = np.searchsorted(array * height + first[:, 0], array * height + last[:, 0])
    follow = reach - np.arange(len(array)) - 1
    total = np.cumsum(follow)
    begin = 0
    while begin < len(array):
        done = total[begin] - follow[begin]
        end = max(int(np.searchsorted(total, done + _PAIRS, side="right")), begin + 1)
        part = np.arange(begin, end)
        one = np.repeat(part, follow[part])
        before = total[part] - follow[part] - done  # pairs of earlier tiles
        other = one + 1 + np.arange(len(one)) - np.repeat(before, follow[part])
        hit = (first[one, 1] < last[other, 1]) & (first[other, 1] < last[one, 1])
        if hit.any():
            return np.sort(np.column_stack([order[one[hit]], order[other[hit]]]), axis=1)
        begin = end
    return np.empty((0, 2), np.int64)
