"""Packing: known optima, bounds, what the sharing modes promise, and rounds of reading."""

import numpy as np
import pytest

from semc.compiler.placement.pack import SHARING, Sharing, pack_tiles
from semc.compiler.placement.pack_bounds import packing_bound
from semc.compiler.placement.pack_kinds import Packing
from semc.compiler.placement.pack_search import pack_rectangles
from semc.dialects.tile_table import ArrayCells, read_rounds


def assert_packed(sizes: np.ndarray, packing: Packing, rows: int, cols: int) -> None:
    """Every tile inside its array, and no cell booked twice."""
    booked = np.zeros((packing.arrays, rows, cols), np.int32)
    for (h, w), a, r, c in zip(sizes, packing.array, packing.row, packing.col, strict=True):
        assert r >= 0
        assert c >= 0
        assert r + h <= rows
        assert c + w <= cols
        booked[a, r : r + h, c : c + w] += 1
    assert booked.max() == 1
    assert booked.any(axis=(1, 2)).all()


def guillotine(rng: np.random.Generator, bins: int, rows: int, cols: int, cuts: int) -> np.ndarray:
    """Sizes that fill ``bins`` bins exactly: each bin is cut ``cuts`` times."""
    pieces = []
    for _ in range(bins):
        parts = [(rows, cols)]
        for _ in range(cuts):
            h, w = parts.pop(max(range(len(parts)), key=lambda k: parts[k][0] * parts[k][1]))
            if h >= w:
                at = int(rng.integers(1, h))
                parts += [(at, w), (h - at, w)]
            else:
                at = int(rng.integers(1, w))
                parts += [(h, at), (h, w - at)]
        pieces += parts
    return np.array(pieces)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_perfect_packing_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = guillotine(rng, 6, 40, 30, 4)
    rng.shuffle(sizes)
    packing = pack_rectangles(sizes, 40, 30, tries=200_000, seed=seed)
    assert packing.arrays == packing.bound == 6
    assert_packed(sizes, packing, 40, 30)


def test_the_bound_sees_what_the_area_does_not() -> None:
    # Five squares over half a bin both ways, and long bars that fit beside none of them.
    sizes = np.array([[6, 6]] * 5 + [[5, 5]] * 3)
    assert (sizes.prod(axis=1).sum() + 99) // 100 == 3
    assert packing_bound(sizes, 10, 10) == 6
    assert pack_rectangles(sizes, 10, 10, tries=100).arrays == 6


def test_the_bound_counts_sizes_as_often_as_they_occur() -> None:
    sizes = np.array([[6, 10], [3, 4]])
    counts = np.array([7, 9])
    assert packing_bound(sizes, 10, 10, counts) == packing_bound(
        np.repeat(sizes, counts, axis=0), 10, 10
    )


def test_the_same_seed_gives_the_same_packing() -> None:
    sizes = np.random.default_rng(0).integers(1, 20, (60, 2))
    first, second = (pack_rectangles(sizes, 30, 30, tries=3000, seed=5) for _ in range(2))
    assert (first.array == second.array).all()
    assert (first.row == second.row).all()
    assert (first.col == second.col).all()


def test_equal_tiles_are_packed_by_pattern() -> None:
    """As many as a large model has: seconds would be seen."""
    sizes = np.tile([[512, 512], [512, 128], [256, 384], [256, 256]], (25_000, 1))
    packing = pack_tiles(sizes, 512, 512)
    assert packing.arrays == packing.bound == 25_000 * 15 // 8


def test_many_different_sizes_are_all_placed() -> None:
    sizes = np.random.default_rng(1).integers(1, 257, (5000, 2))
    packing = pack_tiles(sizes, 512, 512, tries=0)
    assert_packed(sizes, packing, 512, 512)
    assert packing.arrays <= 1.1 * packing.bound


def test_no_tiles_need_no_arrays() -> None:
    for sharing in SHARING:
        assert pack_tiles(np.empty((0, 2)), 8, 8, owner=np.empty(0), sharing=sharing).arrays == 0


def test_exclusive_tiles_share_neither_rows_nor_columns() -> None:
    sizes = np.random.default_rng(2).integers(1, 20, (80, 2))
    packing = pack_tiles(sizes, 48, 40, sharing="exclusive")
    assert_packed(sizes, packing, 48, 40)
    for array in range(packing.arrays):
        inside = packing.array == array
        assert sizes[inside].sum(axis=0)[0] <= 48
        assert sizes[inside].sum(axis=0)[1] <= 40
        for start, extent in ((packing.row, sizes[:, 0]), (packing.col, sizes[:, 1])):
            lines = np.zeros(48, int)
            for s, n in zip(start[inside], extent[inside], strict=True):
                lines[s : s + n] += 1
            assert lines.max() == 1


#: A depthwise convolution of 96 channels, a dense layer's ragged tiles, and a seldom read one.
GROUPS, TAPS = 96, 9
NET_SIZES = np.array([[TAPS, 1]] * GROUPS + [[128, 24]] * 4 + [[TAPS, 1]] * GROUPS)
NET_OWNER = np.array([0] * GROUPS + [1] * 4 + [2] * GROUPS)


def rounds_of(packing: Packing, owner: int) -> int:
    own = np.flatnonzero(owner == NET_OWNER)
    zeros = np.zeros(len(NET_SIZES), np.int64)
    # Each tile has inputs and outputs of its own.
    number = np.arange(len(NET_SIZES))
    tiles = np.column_stack([number, zeros, NET_SIZES[:, 0], zeros, NET_SIZES[:, 1]])
    sites = np.column_stack([packing.array, zeros, zeros, packing.row, packing.col])
    return max(map(len, read_rounds(tiles[own], sites[own], ArrayCells.of(tiles, sites))))


def packed_net(sharing: Sharing, positions: tuple[int, int, int], arrays: int | None) -> Packing:
    packing = pack_tiles(
        NET_SIZES,
        128,
        32,
        owner=NET_OWNER,
        positions=np.array(positions),
        arrays=arrays,
        sharing=sharing,
    )
    assert_packed(NET_SIZES, packing, 128, 32)
    return packing


def test_groups_stand_on_diagonals_where_that_pays() -> None:
    positions = (10_000, 10, 10)
    dense, auto = (packed_net(mode, positions, 64) for mode in ("dense", "auto"))
    assert dense.arrays < auto.arrays <= 64
    # Fourteen groups fit on a diagonal of 128 rows, so seven diagonals in as many arrays.
    assert rounds_of(dense, 0) == GROUPS
    assert rounds_of(auto, 0) == 1
    assert auto.bound == dense.bound


def test_what_is_read_seldom_stays_dense() -> None:
    positions = (1, 100_000, 1)
    dense, auto = (packed_net(mode, positions, 64) for mode in ("dense", "auto"))
    assert auto.arrays == dense.arrays
    assert rounds_of(auto, 0) > 1


def test_no_more_arrays_are_spent_than_there_are() -> None:
    positions = (10_000, 10, 10_000)
    dense = packed_net("dense", positions, None).arrays
    for arrays in range(dense - 1, dense + 8):
        packing = packed_net("auto", positions, arrays)
        assert packing.arrays <= max(arrays, dense)
    generous = packed_net("auto", positions, dense + 7)
    scarce = packed_net("auto", positions, dense)
    assert rounds_of(generous, 0) < rounds_of(scarce, 0)


def columns(
    tiles: list[list[int]], places: list[list[int]], around: list[list[int]] = ()
) -> tuple[int, ...]:
    """Columns by round of ``tiles`` at (row, col) ``places`` in one array, beside ``around``."""
    sites = np.array([[0, 0, 0, *place] for place in places])
    other = np.array([[9, 0, r1 - r0, 0, c1 - c0] for r0, c0, r1, c1 in around]).reshape(-1, 5)
    at = np.array([[0, 0, 0, r0, c0] for r0, c0, _, _ in around]).reshape(-1, 5)
    table = np.array(tiles)
    held = ArrayCells.of(np.concatenate([table, other]), np.concatenate([sites, at]))
    (found,) = read_rounds(table, sites, held)
    return found


def rounds(tiles: list[list[int]], places: list[list[int]], around: list[list[int]] = ()) -> int:
    return len(columns(tiles, places, around))


def test_tiles_of_different_arrays_are_read_at_once() -> None:
    tiles = np.array([[0, 0, 4, 0, 4], [0, 4, 4, 0, 4]])
    sites = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    assert read_rounds(tiles, sites, ArrayCells.of(tiles, sites)) == [(4,)]


def test_a_diagonal_is_read_at_once() -> None:
    tiles = [[g, 0, 4, 0, 2] for g in range(3)]
    assert columns(tiles, [[0, 0], [4, 2], [8, 4]]) == (6,)


def test_tiles_with_different_inputs_in_the_same_rows_are_not() -> None:
    assert rounds([[0, 0, 4, 0, 2], [1, 0, 4, 0, 2]], [[0, 0], [0, 2]]) == 2
    assert rounds([[0, 0, 4, 0, 2], [1, 0, 4, 0, 2]], [[0, 0], [2, 2]]) == 2


def test_one_row_block_side_by_side_is_driven_together() -> None:
    assert rounds([[0, 0, 4, 0, 2], [0, 0, 4, 2, 2]], [[0, 0], [0, 2]]) == 1
    # Not when it is shifted: a row would need two inputs.
    assert rounds([[0, 0, 4, 0, 2], [0, 0, 4, 2, 2]], [[0, 0], [1, 2]]) == 2


def test_one_column_block_stacked_is_summed_together() -> None:
    assert columns([[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]], [[0, 0], [4, 0]]) == (2,)
    assert rounds([[0, 0, 4, 0, 2], [1, 0, 4, 0, 2]], [[0, 0], [4, 0]]) == 2


def test_weights_where_rows_of_one_cross_columns_of_another_forbid_it() -> None:
    tiles = [[0, 0, 4, 0, 2], [1, 0, 4, 0, 2]]
    places = [[0, 0], [4, 2]]
    assert rounds(tiles, places) == 1
    assert rounds(tiles, places, [[0, 2, 4, 4]]) == 2
    assert rounds(tiles, places, [[4, 0, 8, 1]]) == 2
    assert rounds(tiles, places, [[0, 4, 8, 6]]) == 1


def test_a_full_grid_of_groups_takes_a_round_each() -> None:
    tiles = [[g, 0, 2, 0, 1] for g in range(9)]
    assert rounds(tiles, [[2 * (g // 3), g % 3] for g in range(9)]) == 9
