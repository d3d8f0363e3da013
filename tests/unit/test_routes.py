"""Trees over the base die: lengths, loads and bends against walks written out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.backends.targets import load_target
from semc.backends.targets.memcap_cost import (
    ProductLoad,
    byte_mm,
    product_latency_s,
    settle_latency_s,
    traffic_energy_j,
)
from semc.compiler.placement.machine import SiteGrid
from semc.compiler.placement.pack_kinds import Packing
from semc.compiler.placement.route import route_tiles
from semc.compiler.placement.traffic import array_traffic
from semc.dialects.route_table import link_loads, path_hops, product_traffic, reordered, within

GRID = SiteGrid(layers=2, rows=6, cols=5, array_rows=8, array_cols=8, active=1)


def _grid_tiles(blocks: int, columns: int) -> np.ndarray:
    """Tiles of a matrix of ``blocks`` x ``columns`` full arrays, row blocks first."""
    row, col = np.indices((blocks, columns)).reshape(2, -1) * 8
    full = np.full(len(row), 8)
    return np.column_stack([np.zeros(len(row)), row, full, col, full]).astype(np.int32)


def _route(tiles: np.ndarray, sites: np.ndarray, grid: SiteGrid, *nbytes: float) -> np.ndarray:
    return route_tiles(tiles, sites, np.zeros(len(tiles), np.int32), grid, *nbytes)


def _sites(stacks: list[tuple[int, int]], layer: int = 0) -> np.ndarray:
    return np.array([(layer, r, c, 0, 0) for r, c in stacks], np.int32)


def test_an_input_is_sent_once_and_forked() -> None:
    # Port at (3, 2); four column blocks of one row block in a line to the east of it.
    tiles, sites = _grid_tiles(1, 3), _sites([(3, 2), (3, 3), (3, 4)])
    routes = _route(tiles, sites, GRID, 1.0, 4.0)
    assert routes[:, 0].tolist() == [-1, 0, 1]
    assert routes[:, 2].tolist() == [-1, -1, -1]
    inputs, sums = product_traffic(tiles, sites, routes, (6, 5), 1.0, 4.0)
    assert (inputs.byte_hops, inputs.depth_hops, inputs.port_bytes) == (16.0, 2, 8.0)
    assert (sums.byte_hops, sums.depth_hops, sums.port_bytes) == (32.0 * 3, 2, 96.0)
    # Sums of both far arrays share the last link to the port.
    assert sums.loads[1, 3].tolist() == [0.0, 0.0, 0.0, 64.0, 32.0]
    assert inputs.loads[0, 3].tolist() == [0.0, 0.0, 8.0, 8.0, 0.0]


def test_sums_of_a_column_block_are_added_on_their_way() -> None:
    tiles, sites = _grid_tiles(3, 1), _sites([(0, 2), (1, 2), (2, 2)])
    routes = _route(tiles, sites, GRID, 1.0, 4.0)
    assert routes[:, 2].tolist() == [1, 2, -1]
    _, sums = product_traffic(tiles, sites, routes, (6, 5), 1.0, 4.0)
    assert sums.loads[2, :, 2].tolist() == [32.0, 32.0, 32.0, 0.0, 0.0, 0.0]
    assert sums.depth_hops == 3


def test_legs_bend_away_from_full_links() -> None:
    # Two row blocks at one stack: the second takes the way that the first left empty.
    tiles, sites = _grid_tiles(2, 1), _sites([(5, 4), (5, 4)])
    routes = _route(tiles, sites, GRID, 1.0, 4.0)
    assert routes[:, 1].tolist() == [0, 1]
    inputs, _ = product_traffic(tiles, sites, routes, (6, 5), 1.0, 4.0)
    assert inputs.loads.max() == 8.0


def test_traffic_is_charged_by_the_wires_it_takes() -> None:
    target = load_target("memcap-demo")
    tiles, sites = _grid_tiles(1, 1), _sites([(0, 0)], layer=2)
    routes = _route(tiles, sites, SiteGrid(4, 4, 4, 8, 8, 1), 1.0, 4.0)
    inputs, _ = product_traffic(tiles, sites, routes, (4, 4), 1.0, 4.0)
    width_mm, height_mm = (um * 1e-3 for um in target.site_um)
    assert byte_mm(target, inputs) == pytest.approx(8 * 2 * (width_mm + height_mm))
    pj = 8 * (target.links.energy_pj_per_byte_mm * 2 * (width_mm + height_mm))
    pj += 8 * 3 * target.links.via_energy_pj_per_byte
    assert traffic_energy_j(target, inputs) == pytest.approx(pj * 1e-12)


def test_a_product_is_as_quick_as_its_fullest_link() -> None:
    target = load_target("memcap-demo")
    bytes_s, hop_s = target.links.bandwidth_gb_s * 1e9, target.links.hop_ns * 1e-9
    load = ProductLoad(
        100, [(8,), (4, 4)], in_bytes=3200.0, out_bytes=12800.0, in_hops=7, out_hops=9
    )
    times = product_latency_s(target, load)
    assert times.drive_s == pytest.approx(7 * hop_s + 32 / bytes_s)
    assert times.inputs_s == pytest.approx(99 * 32 / bytes_s)
    assert times.accumulate_s == pytest.approx(9 * hop_s + 128 / bytes_s)
    assert times.sums_s == pytest.approx(99 * 128 / bytes_s)
    # The array with two rounds settles twice for each position.
    assert times.settle_s == pytest.approx(2 * settle_latency_s(target, 100))


STACK = st.tuples(st.integers(0, 5), st.integers(0, 4))


@given(st.lists(STACK, min_size=1, max_size=24), st.data())
@settings(deadline=None)
def test_trees_are_no_longer_than_a_star_and_loads_add_up(
    stacks: list[tuple[int, int]], data: st.DataObject
) -> None:
    tiles = _grid_tiles(len(stacks), 1)
    if data.draw(st.booleans()):
        tiles = _grid_tiles(1, len(stacks))
    layer = data.draw(st.integers(0, 1))
    sites = _sites(stacks, layer)
    routes = _route(tiles, sites, GRID, 1.0, 4.0)
    distance = np.abs(np.array(stacks) - GRID.port).sum(axis=1)
    for traffic, size in zip(
        product_traffic(tiles, sites, routes, (6, 5), 1.0, 4.0), (8.0, 32.0), strict=True
    ):
        assert traffic.byte_hops <= distance.sum() * size
        assert traffic.loads.sum() == pytest.approx(traffic.byte_hops)
        assert traffic.depth_hops >= distance.max()
        assert traffic.byte_vias == size * len(stacks) * (layer + 1)


@given(st.lists(st.tuples(STACK, STACK, st.integers(0, 1), st.integers(1, 9)), max_size=12))
def test_link_loads_equal_walking_each_leg(
    legs: list[tuple[tuple[int, int], tuple[int, int], int, int]],
) -> None:
    expected = np.zeros((4, 6, 5))
    for (row, col), (row1, col1), bend, size in legs:
        for axis in (1, 0) if bend == 0 else (0, 1):
            while (col, row)[1 - axis] != (col1, row1)[1 - axis]:
                if axis == 1:
                    expected[0 if col1 > col else 1, row, col] += size
                    col += 1 if col1 > col else -1
                else:
                    expected[2 if row1 > row else 3, row, col] += size
                    row += 1 if row1 > row else -1
    start, end = (np.array([leg[i] for leg in legs], np.int64).reshape(-1, 2) for i in (0, 1))
    bend, size = (np.array([leg[i] for leg in legs], np.int64) for i in (2, 3))
    assert np.array_equal(link_loads(start, end, bend, size, (6, 5)), expected)


def test_circles_are_found_and_tables_renumbered() -> None:
    assert path_hops(np.array([1, 2, 0]), np.ones(3)) is None
    assert path_hops(np.array([-1, 0, 1]), np.array([2, 3, 4])).tolist() == [2, 5, 9]
    routes = np.array([[-1, 0, 2, 1], [0, 1, -1, 0], [1, 0, 1, 0]], np.int32)
    turned = reordered(routes, np.array([2, 0, 1]))
    assert turned.tolist() == [[2, 0, 2, 0], [-1, 0, 0, 1], [1, 1, -1, 0]]
    assert within(routes, 1, 3).tolist() == [[-1, 1, -1, 0], [0, 0, 0, 0]]


def test_traffic_between_arrays_by_hand() -> None:
    # Two row blocks x two column blocks, the last tile in the array of the first.
    tiles = _grid_tiles(2, 2)
    packing = Packing(np.array([0, 1, 2, 0]), np.zeros(4, int), np.zeros(4, int), 3, 3)
    traffic = array_traffic(tiles, np.zeros(4, int), np.full(4, 10.0), packing, 1.0, 4.0)
    dense = np.zeros((3, 3))
    for a in range(3):
        part = slice(traffic.indptr[a], traffic.indptr[a + 1])
        dense[a, traffic.neighbour[part]] = traffic.weight[part]
    x, y = 8 * 10.0, 8 * 40.0
    # Inputs 0-1 and 2-3, sums 0-2 and 1-3; tile 3 lies in array 0.
    assert dense.tolist() == [[0, x + y, x + y], [x + y, 0, 0], [x + y, 0, 0]]
    assert traffic.port.tolist() == [x + y, (x + y) / 2, (x + y) / 2]
    part = traffic.among(np.array([0, 2]))
    assert part.indptr.tolist() == [0, 1, 2]
    assert part.neighbour.tolist() == [1, 0]
    assert part.weight.tolist() == [x + y, x + y]
    assert part.port.tolist() == [x + y, (x + y) / 2]
