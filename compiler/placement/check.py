"""Checks a placement without trusting who made it: arrays only, every fault in words.

Rules: a tile lies inside one array of an existing site; no cell is booked twice at a time
(of tiles written while running: check_residency.py); a route ends at
its site and is as long as the grid says; a memory holds its buffers; every byte that is read was
written by the buffer it is read through, and by nobody else since.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .machine import SiteGrid
from .route import route_sites


@dataclass(frozen=True, slots=True)
class PlacedMatrix:
    """A matrix in arrays: ``sizes`` [T, 2] of its tiles, ``sites`` [T, 5], ``routes`` [T, 5].

    ``rounds`` [T] is above 0 for tiles that a reload writes (check_residency.py); None: all stay.
    """

    name: str
    sizes: np.ndarray
    sites: np.ndarray
    routes: np.ndarray | None
    rounds: np.ndarray | None = None

    @property
    def streamed(self) -> np.ndarray:
        """Which tiles are written while the program runs, bool [T]."""
        if self.rounds is None:
            return np.zeros(len(self.sites), np.bool_)
        return np.asarray(self.rounds) > 0


@dataclass(frozen=True, slots=True)
class PlacedBuffer:
    """Bytes ``start .. end`` of ``memory``; ``filled`` when loading fills them."""

    name: str
    memory: str
    start: int
    end: int
    filled: bool


@dataclass(frozen=True, slots=True)
class Access:
    """A slot's use of a range of a buffer (index into the buffers)."""

    buffer: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SlotUse:
    """What one slot reads and then writes."""

    slot: int
    name: str
    reads: Sequence[Access]
    writes: Sequence[Access]


def check_matrices(matrices: Sequence[PlacedMatrix], grid: SiteGrid) -> list[str]:
    """Faults of tiles, sites and routes."""
    faults: list[str] = []
    for matrix in matrices:
        faults += _check_sites(matrix, grid)
        if matrix.routes is not None:
            faults += _check_routes(matrix, grid)
    if not faults and matrices:
        faults += _check_overlaps(matrices, grid)
    return faults


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
        for tile in np.flatnonzero((values < 0) | (values >= bound))[:3]:
            faults.append(
                f"{matrix.name}: tile {tile} is at {what} {values[tile]}, which must be in "
                f"0..{bound - 1}"
            )
    outside = (
        (array_row < 0) | (array_row + rows > grid.array_rows)
        | (array_col < 0) | (array_col + cols > grid.array_cols)
    )  # fmt: skip
    for tile in np.flatnonzero(outside)[:3]:
        faults.append(
            f"{matrix.name}: tile {tile} of {rows[tile]}x{cols[tile]} at cell ({array_row[tile]}, "
            f"{array_col[tile]}) leaves the array of {grid.array_rows}x{grid.array_cols}"
        )
    return faults


def _check_routes(matrix: PlacedMatrix, grid: SiteGrid) -> list[str]:
    assert matrix.routes is not None
    expected = route_sites(matrix.sites[:, :3], grid)
    if len(matrix.routes) != len(expected):
        return [f"{matrix.name}: {len(expected)} tiles need a route each, got {len(matrix.routes)}"]
    wrong = np.flatnonzero((matrix.routes != expected).any(axis=1))
    return [
        f"{matrix.name}: the route of tile {tile} is (layer, row, col, hops, vias) "
        f"{matrix.routes[tile].tolist()}, the way to its array is {expected[tile].tolist()}"
        for tile in wrong[:3]
    ]


def _check_overlaps(matrices: Sequence[PlacedMatrix], grid: SiteGrid) -> list[str]:
    stays = ~np.concatenate([m.streamed for m in matrices])
    if not stays.any():
        return []
    sites = np.concatenate([m.sites for m in matrices])[stays].astype(np.int64)
    sizes = np.concatenate([m.sizes for m in matrices])[stays].astype(np.int64)
    owner = np.repeat(np.arange(len(matrices)), [len(m.sites) for m in matrices])[stays]
    array = (sites[:, 0] * grid.rows + sites[:, 1]) * grid.cols + sites[:, 2]
    order = np.argsort(array, kind="stable")
    starts = np.flatnonzero(np.diff(array[order], prepend=-1))
    faults = []
    for first, end in zip(starts, [*starts[1:], len(order)], strict=True):
        if end - first < 2:
            continue
        tiles = order[first:end]
        booked = np.zeros((grid.array_rows, grid.array_cols), np.int32)
        for tile in tiles:
            r, c = sites[tile, 3:]
            cells = booked[r : r + sizes[tile, 0], c : c + sizes[tile, 1]]
            if cells.any():
                other = int(cells.max()) - 1
                faults.append(
                    f"cells of the array at (layer, row, col) {tuple(sites[tile, :3].tolist())} "
                    f"are booked by {matrices[owner[other]].name} and {matrices[owner[tile]].name}"
                )
            cells[:] = tile + 1
    return faults


def check_buffers(
    buffers: Sequence[PlacedBuffer], slots: Sequence[SlotUse], capacity_bytes: dict[str, int]
) -> list[str]:
    """Faults of memory: sizes, and every read's bytes still being those of its own buffer."""
    faults = []
    for b in buffers:
        if b.memory not in capacity_bytes:
            faults.append(f"buffer {b.name} is in memory {b.memory!r}, which the machine lacks")
        elif b.end > capacity_bytes[b.memory] or b.start < 0:
            faults.append(
                f"buffer {b.name} takes bytes {b.start}..{b.end} of {b.memory}, which has "
                f"{capacity_bytes[b.memory]}"
            )
    if faults:
        return faults
    shadow = {
        memory: _Shadow(
            sorted({x for b in buffers if b.memory == memory for x in (b.start, b.end)})
        )
        for memory in {b.memory for b in buffers}
    }
    for index, b in enumerate(buffers):
        if b.filled:
            faults += _write(shadow[b.memory], b, index, b.start, b.end, "loading", buffers)
    written: dict[int, list[tuple[int, int]]] = {
        i: [(b.start, b.end)] for i, b in enumerate(buffers) if b.filled
    }
    for slot in slots:
        faults += _check_slot(slot, buffers, shadow, written)
    return faults


def _check_slot(
    slot: SlotUse,
    buffers: Sequence[PlacedBuffer],
    shadow: "dict[str, _Shadow]",
    written: dict[int, list[tuple[int, int]]],
) -> list[str]:
    faults = []
    for use in slot.reads:
        b = buffers[use.buffer]
        if not _covered(written.get(use.buffer, []), use.start, use.end):
            faults.append(f"slot {slot.slot} ({slot.name}) reads {b.name} before it is written")
        else:
            thief = shadow[b.memory].other_than(use.buffer, b.start, b.end)
            if thief is not None:
                faults.append(
                    f"slot {slot.slot} ({slot.name}) reads {b.name}, whose bytes "
                    f"{buffers[thief].name} has overwritten"
                )
    for use in slot.writes:
        b = buffers[use.buffer]
        if b.filled:
            faults.append(f"slot {slot.slot} ({slot.name}) writes {b.name}, which loading fills")
        shadow[b.memory].write(use.buffer, b.start, b.end)
        written.setdefault(use.buffer, []).append((use.start, use.end))
    return faults


def _write(
    shadow: "_Shadow",
    b: PlacedBuffer,
    index: int,
    start: int,
    end: int,
    who: str,
    buffers: Sequence[PlacedBuffer],
) -> list[str]:
    thief = shadow.other_than(index, start, end, free=True)
    shadow.write(index, start, end)
    if thief is None:
        return []
    return [f"{who} fills {b.name} and {buffers[thief].name}, which share bytes"]


def _covered(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether ``start .. end`` lies in the union of ``ranges``."""
    at = start
    for low, high in sorted(ranges):
        if low > at:
            break
        at = max(at, high)
    return at >= end


class _Shadow:
    """Who wrote each elementary byte range of one memory last."""

    def __init__(self, cuts: list[int]) -> None:
        self._cuts = np.array(cuts, np.int64)
        self._owner = np.full(max(len(cuts) - 1, 0), -1, np.int64)

    def _range(self, start: int, end: int) -> slice:
        low, high = np.searchsorted(self._cuts, (start, end))
        return slice(int(low), int(high))

    def write(self, buffer: int, start: int, end: int) -> None:
        self._owner[self._range(start, end)] = buffer

    def other_than(self, buffer: int, start: int, end: int, *, free: bool = False) -> int | None:
        """A buffer other than ``buffer`` that owns some of the range; None when there is none."""
        owners = self._owner[self._range(start, end)]
        bad = owners[(owners != buffer) & ((owners >= 0) | (not free))]
        return int(bad[0]) if len(bad) and bad[0] >= 0 else None
