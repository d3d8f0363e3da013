"""Layers, strips and the choice of sites: figures by hand, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.choose_layers import choose_layers
from semc.compiler.placement.choose_sites import (
    LinkCosts,
    PlaceableTiles,
    by_columns,
    choose_sites,
    extents_of,
)
from semc.compiler.placement.curves import rectangle_ranks
from semc.compiler.placement.free_sites import FreeSites
from semc.compiler.placement.machine import SiteGrid
from semc.compiler.placement.pack import pack_tiles
from semc.compiler.placement.route import route_tiles
from semc.compiler.placement.score import RoutedMatrix, score_traffic
from semc.compiler.placement.strips import strip_sites

LINKS = LinkCosts(row_pj=0.1, col_pj=0.1, x_bytes=1.0, y_bytes=4.0)


def _matrix(blocks: int, columns: int, owner: int = 0, side: int = 8) -> PlaceableTiles:
    row, col = np.indices((blocks, columns)).reshape(2, -1) * side
    full = np.full(len(row), side)
    table = np.column_stack([np.zeros(len(row)), row, full, col, full]).astype(np.int32)
    return PlaceableTiles(table, np.full(len(row), owner), np.ones(len(row)))


def _together(*parts: PlaceableTiles) -> PlaceableTiles:
    return PlaceableTiles(
        *(np.concatenate([getattr(p, n) for p in parts]) for n in ("table", "owner", "positions"))
    )


def _place(tiles: PlaceableTiles, grid: SiteGrid, effort: int = 1) -> np.ndarray:
    packing = pack_tiles(tiles.sizes, grid.array_rows, grid.array_cols)
    free = FreeSites.of(grid, np.empty((0, 3), np.int32))
    assert free.room_for(extents_of(tiles, packing)) == packing.arrays
    return choose_sites(tiles, packing, free, grid, LINKS, effort=effort)


def test_whole_matrices_go_to_layers() -> None:
    group = np.repeat([0, 1, 2], [3, 5, 2])
    layer = choose_layers(group, np.full(10, -1), np.array([6, 6]))
    assert layer.tolist() == [1, 1, 1, 0, 0, 0, 0, 0, 1, 1]


def test_a_matrix_larger_than_a_layer_is_cut_into_as_few_parts_as_can_be() -> None:
    layer = choose_layers(np.zeros(10, int), np.full(10, -1), np.array([4, 3, 4]))
    assert np.bincount(layer).tolist() == [4, 2, 4]


def test_heat_is_spread_where_layers_have_a_limit() -> None:
    group, heat = np.repeat([0, 1, 2, 3], 2), np.repeat([4.0, 3.0, 2.0, 1.0], 2)
    layer = choose_layers(group, np.full(8, -1), np.array([8, 8]), heat)
    assert np.bincount(layer, heat).tolist() == [10.0, 10.0]


def test_fixed_arrays_keep_their_layer_and_too_many_are_refused() -> None:
    layer = choose_layers(np.zeros(3, int), np.array([-1, 1, -1]), np.array([2, 0]))
    assert layer.tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="3 arrays need as many sites, there are 2"):
        choose_layers(np.zeros(3, int), np.full(3, -1), np.array([1, 1]))


def test_neighbouring_blocks_are_one_hop_apart() -> None:
    # 2 x 6 and 3 x 4 blocks beside each other in one layer.
    tiles = _together(_matrix(2, 6), _matrix(3, 4, owner=1))
    sites = _place(tiles, SiteGrid(1, 9, 9, 8, 8, 1), effort=0)
    at = sites[:, 1:3].astype(int)
    for first, shape in ((0, (2, 6)), (12, (3, 4))):
        grid = at[first : first + shape[0] * shape[1]].reshape(*shape, 2)
        assert (np.abs(np.diff(grid, axis=0)).sum(axis=2) == 1).all()
        assert (np.abs(np.diff(grid, axis=1)).sum(axis=2) == 1).all()


def test_an_array_that_is_full_of_matrices_is_laid_by_columns() -> None:
    tiles = _matrix(4, 2)
    packing, height = by_columns(tiles, pack_tiles(tiles.sizes, 8, 8))
    # The two blocks of a row block come first: 2 across, 4 columns.
    assert height.tolist() == [2] * 8
    assert packing.array.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    tiles = _matrix(2, 4)
    packing, height = by_columns(tiles, pack_tiles(tiles.sizes, 8, 8))
    assert packing.array.tolist() == [0, 2, 4, 6, 1, 3, 5, 7]


def test_more_effort_never_costs_more_traffic_than_strips() -> None:
    grid = SiteGrid(1, 8, 8, 8, 8, 1)
    tiles = _together(_matrix(3, 5), _matrix(5, 5, owner=1), _matrix(2, 7, owner=2))
    hops = []
    for effort in (0, 1):
        sites = _place(tiles, grid, effort)
        matrices = []
        for owner in range(3):
            mine = tiles.owner == owner
            rounds = np.zeros(mine.sum(), np.int32)
            routes = route_tiles(tiles.table[mine], sites[mine], rounds, grid, 1.0, 4.0)
            matrices.append(RoutedMatrix(tiles.table[mine], sites[mine], routes, 1.0))
        hops.append(score_traffic(matrices, grid, 1.0, 4.0, (0.1, 0.1)).byte_hops)
    assert hops[1] <= hops[0]


SHAPES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=6)


@given(SHAPES, st.integers(0, 1), st.data())
@settings(deadline=None, max_examples=40)
def test_every_array_gets_a_site_of_its_own(
    shapes: list[tuple[int, int]], effort: int, data: st.DataObject
) -> None:
    tiles = _together(*(_matrix(k, n, owner) for owner, (k, n) in enumerate(shapes)))
    count = len(tiles.table)
    layers = data.draw(st.integers(1, 3))
    side = int(np.ceil(np.sqrt(count / layers)))
    sites = _place(tiles, SiteGrid(layers, side, side + 1, 8, 8, 1), effort)
    assert len(np.unique(sites[:, :3], axis=0)) == count
    assert (sites[:, :3] >= 0).all()
    assert (sites[:, :3] < (layers, side, side + 1)).all()


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.lists(st.integers(1, 9), min_size=8, max_size=8),
    st.data(),
)
@settings(deadline=None)
def test_strips_stay_on_what_is_allowed(
    counts: list[int], heights: list[int], data: st.DataObject
) -> None:
    matrix = np.repeat(np.arange(len(counts)), counts)
    height = np.repeat(heights[: len(counts)], counts)
    rows = data.draw(st.integers(1, 20))
    cols = -(-2 * len(matrix) // rows)
    dead = data.draw(st.sets(st.integers(0, rows * cols - 1), max_size=len(matrix) // 2))
    allowed = np.ones(rows * cols, bool)
    allowed[sorted(dead)] = False
    site = strip_sites(matrix, height, allowed.reshape(rows, cols), (rows // 2, cols // 2))
    assert len(np.unique(site)) == len(matrix)
    assert allowed[site].all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (7, 1), (4, 4), (5, 4), (8, 64), (13, 100)])
def test_a_curve_fills_its_rectangle_in_small_steps(shape: tuple[int, int]) -> None:
    ranks = rectangle_ranks(*shape)
    order = np.argsort(ranks.reshape(-1))
    assert ranks.reshape(-1)[order].tolist() == list(range(shape[0] * shape[1]))
    step = np.abs(np.diff(np.stack(np.unravel_index(order, shape)))).sum(axis=0)
    assert (step > 1).sum() <= 1
    assert step.max(initial=1) <= 2
