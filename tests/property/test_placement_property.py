"""Placement invariants on random input: packing, buffers, hazards, and the checker."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.backends.targets.defects import DefectTables
from semc.compiler.placement.buffers import allocate, live_peak_bytes
from semc.compiler.placement.check import PlacedMatrix, check_matrices
from semc.compiler.placement.choose_sites import (
    LinkCosts,
    PlaceableTiles,
    choose_sites,
    extents_of,
)
from semc.compiler.placement.defects import sites_left
from semc.compiler.placement.free_sites import FreeSites
from semc.compiler.placement.hazards import HazardTracker
from semc.compiler.placement.machine import SiteGrid
from semc.compiler.placement.pack import pack_tiles
from semc.compiler.placement.route import route_tiles
from semc.dialects.tile_table import TILE_COLUMNS

GRID = SiteGrid(layers=3, rows=5, cols=4, array_rows=16, array_cols=8, active=1)
SIZES = st.lists(st.tuples(st.integers(1, 16), st.integers(1, 8)), min_size=1, max_size=50)


def _placed(sizes: list[tuple[int, int]]) -> PlacedMatrix:
    tiles = np.zeros((len(sizes), len(TILE_COLUMNS)), np.int32)
    tiles[:, [2, 4]] = sizes
    tiles[:, 1], tiles[:, 3] = np.arange(len(sizes)) % 3, np.arange(len(sizes)) // 3
    packing = pack_tiles(tiles[:, [2, 4]], GRID.array_rows, GRID.array_cols)
    sites = GRID.sites_near_first(packing.arrays)[packing.array]
    full = np.column_stack([sites, packing.row, packing.col]).astype(np.int32)
    return PlacedMatrix(
        "m", tiles, full, route_tiles(tiles, full, np.zeros(len(tiles), np.int32), GRID, 1, 4)
    )


@given(SIZES)
@settings(deadline=None)
def test_packed_tiles_pass_the_checker(sizes: list[tuple[int, int]]) -> None:
    assert check_matrices([_placed(sizes)], GRID) == []


@given(SIZES)
@settings(deadline=None)
def test_packing_needs_no_more_arrays_than_tiles_and_no_fewer_than_the_area(
    sizes: list[tuple[int, int]],
) -> None:
    arrays = pack_tiles(np.array(sizes), 16, 8).arrays
    area = sum(r * c for r, c in sizes)
    assert -(-area // (16 * 8)) <= arrays <= len(sizes)


@given(SIZES, st.data())
@settings(deadline=None)
def test_every_damage_to_a_placement_is_seen(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    matrix = _placed(sizes)
    tile = data.draw(st.integers(0, len(sizes) - 1))
    column, bound = data.draw(st.sampled_from([(0, 3), (1, 5), (2, 4)]))
    bad = matrix.sites.copy()
    bad[tile, column] = data.draw(st.sampled_from([-1, bound]))
    assert check_matrices([PlacedMatrix("m", matrix.tiles, bad, None)], GRID)
    other = matrix.routes.copy()
    column, value = data.draw(
        st.sampled_from([(0, tile), (0, -2), (2, len(sizes)), (2, tile), (1, 2), (3, -1)])
    )
    other[tile, column] = value
    assert check_matrices([PlacedMatrix("m", matrix.tiles, matrix.sites, other)], GRID)


@given(SIZES)
@settings(deadline=None)
def test_two_matrices_on_the_same_cells_are_refused(sizes: list[tuple[int, int]]) -> None:
    matrix = _placed(sizes)
    faults = check_matrices([matrix, matrix], GRID)
    assert any("booked by" in fault for fault in faults)


TILES = st.lists(
    st.tuples(*[st.integers(0, n) for n in (2, 4, 3, 12, 6)], st.integers(1, 5), st.integers(1, 3)),
    min_size=2,
    max_size=30,
)


@given(TILES)
@settings(deadline=None)
def test_overlaps_are_those_of_painted_cells(tiles: list[tuple[int, ...]]) -> None:
    table = np.array(tiles, np.int32)
    table[:, :3] %= 2  # in few arrays
    booked: dict[tuple[int, ...], np.ndarray] = {}
    clash = set()
    for layer, row, col, r, c, rows, cols in table.tolist():
        cells = booked.setdefault((layer, row, col), np.zeros((20, 10), int))
        cells[r : r + rows, c : c + cols] += 1
        if cells.max() > 1:
            clash.add((layer, row, col))
    grid = SiteGrid(3, 5, 4, 20, 10, 1)
    rows = np.zeros((len(table), len(TILE_COLUMNS)), np.int32)
    rows[:, [2, 4]] = table[:, 5:]
    faults = check_matrices([PlacedMatrix("m", rows, table[:, :5], None)], grid)
    told = {site for site in clash if any(f"col) {site} are booked" in fault for fault in faults)}
    assert len(faults) == len(told) == min(len(clash), 3)


SITE = st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 3))


@given(SIZES, st.data())
@settings(deadline=None)
def test_what_is_placed_keeps_clear_of_defects_and_fixed_arrays(
    sizes: list[tuple[int, int]], data: st.DataObject
) -> None:
    """And what is refused needs more arrays than there are whole ones."""
    rows = st.tuples(SITE, st.integers(0, 15)).map(lambda pair: (*pair[0], pair[1]))
    cols = st.tuples(SITE, st.integers(0, 7)).map(lambda pair: (*pair[0], pair[1]))
    dead = data.draw(st.lists(SITE, max_size=50))
    drawn = {
        "dead_arrays": dead,
        "dead_rows": data.draw(st.lists(rows, max_size=20)),
        "dead_cols": data.draw(st.lists(cols, max_size=20)),
        "missing_vias": data.draw(st.lists(SITE, max_size=2)),
    }
    widths = {"dead_arrays": 3, "dead_rows": 4, "dead_cols": 4, "missing_vias": 3}
    defects = DefectTables(
        **{n: np.array(drawn[n], np.int32).reshape(-1, w) for n, w in widths.items()}
    )
    usable, parts = sites_left(defects, (3, 5, 4), (16, 8))
    grid = SiteGrid(3, 5, 4, 16, 8, 1, usable=usable, parts=parts)
    taken = np.array(data.draw(st.lists(SITE, max_size=3)), np.int32).reshape(-1, 3)
    table = np.array(sizes)
    whole = int(usable.sum()) - len(parts.sites) - len(np.unique(taken, axis=0))
    rows_of = np.zeros((len(table), len(TILE_COLUMNS)), np.int32)
    rows_of[:, [2, 4]] = table
    tiles = PlaceableTiles(rows_of, np.arange(len(table)), np.ones(len(table)))
    packing, free = pack_tiles(table, 16, 8), FreeSites.of(grid, taken)
    if free.room_for(extents_of(tiles, packing)) < packing.arrays:
        assert packing.arrays > whole
        return
    sites = choose_sites(tiles, packing, free, grid, LinkCosts(1.0, 1.0, 1.0, 4.0), effort=0)
    assert check_matrices([PlacedMatrix("m", rows_of, sites, None)], grid, defects) == []
    assert not {tuple(s) for s in sites[:, :3].tolist()} & {tuple(s) for s in taken.tolist()}


LIFE = st.tuples(st.integers(1, 300), st.integers(0, 20), st.integers(0, 20))


@given(st.lists(LIFE, min_size=1, max_size=40))
@settings(deadline=None)
def test_buffers_alive_together_share_no_byte(lives: list[tuple[int, int, int]]) -> None:
    sizes = np.array([s for s, _, _ in lives])
    first = np.array([min(a, b) for _, a, b in lives])
    last = np.array([max(a, b) for _, a, b in lives])
    offsets = allocate(sizes, first, last, 1 << 20)
    assert (offsets >= 0).all()
    for i in range(len(sizes)):
        for j in range(i):
            if first[i] <= last[j] and first[j] <= last[i]:
                apart = offsets[i] + sizes[i] <= offsets[j] or offsets[j] + sizes[j] <= offsets[i]
                assert apart, (i, j)
    assert (offsets + sizes).max() >= live_peak_bytes(sizes, first, last)


@given(st.lists(LIFE, min_size=1, max_size=30), st.integers(64, 2000))
@settings(deadline=None)
def test_what_is_placed_stays_below_the_capacity(
    lives: list[tuple[int, int, int]], capacity: int
) -> None:
    sizes = np.array([s for s, _, _ in lives])
    first = np.array([min(a, b) for _, a, b in lives])
    last = np.array([max(a, b) for _, a, b in lives])
    offsets = allocate(sizes, first, last, capacity)
    placed = offsets >= 0
    assert (offsets[placed] + sizes[placed] <= capacity).all()


USE = st.tuples(st.booleans(), st.integers(0, 12), st.integers(1, 6))


@given(st.lists(USE, min_size=1, max_size=40))
@settings(deadline=None)
def test_hazards_order_exactly_the_conflicting_pairs(uses: list[tuple[bool, int, int]]) -> None:
    """The closure of the waits holds every conflict, and nothing waits for the future."""
    tracker = HazardTracker()
    reach: list[set[int]] = []
    for event, (write, start, size) in enumerate(uses):
        ranges = [("m", start, start + size)]
        waits = tracker.write(ranges, event) if write else tracker.read(ranges, event)
        assert all(w < event for w in waits)
        reach.append(set(waits).union(*(reach[w] for w in waits)))
        for other, (other_write, at, length) in enumerate(uses[:event]):
            overlap = at < start + size and start < at + length
            if overlap and (write or other_write):
                assert other in reach[event]
        for waited in waits:
            other_write, at, length = uses[waited]
            assert at < start + size
            assert start < at + length
            assert write or other_write
