"""Which arrays are written anew: against all choices of small cases, and Belady's rule."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.check import PlacedMatrix, check_matrices
from semc.compiler.placement.check_residency import ArrayUse, check_residency
from semc.compiler.placement.machine import SiteGrid
from semc.compiler.placement.reload import (
    ReloadPlan,
    Writing,
    choose_residency,
    plan_reload,
)
from semc.compiler.placement.reload_rounds import fewest_rounds, stream_rounds
from semc.compiler.placement.route import route_tiles
from semc.dialects.tile_table import lots

GRID = SiteGrid(layers=2, rows=2, cols=3, array_rows=16, array_cols=8, active=1)
WRITING = Writing(write_s=1.0, transfer_s=0.1, side_by_side=6)


def belady_misses(pages: int, frames: int, rounds: int) -> int:
    """Misses of Belady's rule on 0, 1, ..., pages - 1 again and again, from the first round on."""
    held = list(range(frames))
    misses = 0
    for time in range(pages * rounds):
        page = time % pages
        if page in held:
            continue
        misses += 1
        held.remove(max(held, key=lambda other: (other - page) % pages))
        held.append(page)
    return misses


@pytest.mark.parametrize(("pages", "frames"), [(4, 3), (5, 2), (9, 4), (12, 11), (7, 1)])
def test_one_write_an_inference_at_most_beyond_belady(pages: int, frames: int) -> None:
    one = np.ones(pages, np.int64)
    found = choose_residency(one, one, one > 0, frames, Writing(1.0, 0.0, 1))
    assert found is not None
    written = found.written
    assert written == pages - frames + 1
    rounds = 60
    assert belady_misses(pages, frames, rounds) / rounds <= written
    assert written - belady_misses(pages, frames, rounds) / rounds < 1.001


def test_nothing_repeats_with_fewer_writes_in_a_period() -> None:
    """All sequences of what four arrays' worth of weights does in three frames, by brute force."""
    pages, frames = 4, 3
    least = pages * 2
    for start in product(range(pages), repeat=frames):
        states = {tuple(sorted(start)): 0}
        for page in range(pages):
            following: dict[tuple[int, ...], int] = {}
            for state, writes in states.items():
                options = [(state, writes)]
                if page not in state:
                    options = [
                        (tuple(sorted((*state[:k], page, *state[k + 1 :]))), writes + 1)
                        for k in range(frames)
                    ]
                for after, count in options:
                    following[after] = min(count, following.get(after, 99))
            states = following
        least = min(least, states.get(tuple(sorted(start)), 99))
    assert least == pages - frames + 1


def fewest_by_brute_force(arrays: list[int], window: int, needed: int) -> int | None:
    """Rounds of matrices that follow each other, or of one, over all shares that are streamed."""
    fewest = None
    for shares in product(*(range(n + 1) for n in arrays)):
        if sum(shares) < needed:
            continue
        rounds, room = 0, 0
        for share in filter(None, shares):
            if share > window:
                rounds, room = rounds - (-share // window), 0
            elif share <= room:
                room -= share
            else:
                rounds, room = rounds + 1, window - share
        fewest = rounds if fewest is None else min(fewest, rounds)
    return fewest


SMALL = st.lists(st.integers(1, 5), min_size=1, max_size=6)


@given(SMALL, st.integers(6, 9), st.integers(1, 24))
@settings(deadline=None, max_examples=60)
def test_the_fewest_rounds_of_all_matrices_below_the_window(
    arrays: list[int], window: int, needed: int
) -> None:
    check_rounds(arrays, window, needed, slack=0)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=5), st.integers(1, 6), st.integers(1, 24))
@settings(deadline=None, max_examples=60)
def test_a_round_more_at_most_where_some_are_larger(
    arrays: list[int], window: int, needed: int
) -> None:
    check_rounds(arrays, window, needed, slack=1)


def check_rounds(arrays: list[int], window: int, needed: int, slack: int) -> None:
    sizes = np.array(arrays)
    found = fewest_rounds(sizes, window, needed)
    fewest = fewest_by_brute_force(arrays, window, needed)
    if fewest is None:
        assert found is None
        return
    assert found is not None
    assert (found.streamed <= sizes).all()
    assert found.streamed.sum() == needed
    assert (found.offset + np.minimum(found.streamed, window) <= window).all()
    assert -(-needed // window) <= found.count <= fewest + slack


def test_full_rounds_of_large_matrices_are_enough() -> None:
    found = fewest_rounds(np.array([3, 20, 3, 20]), 4, 39)
    assert found is not None
    assert found.count == 10  # 39 arrays, 4 at a time
    assert found.streamed.tolist() == [0, 20, 0, 19]


def test_small_matrices_are_written_together() -> None:
    found = fewest_rounds(np.array([2, 2, 2, 2, 2, 2]), 6, 12)
    assert found is not None
    assert found.count == 2
    assert found.offset.tolist() == [0, 2, 4, 0, 2, 4]


def test_the_window_is_the_quickest_and_then_the_smallest() -> None:
    # 30 arrays too many: with 16 at a time 46 are written in 3 rounds, with 15 at a time 45 are.
    arrays = np.full(94, 1)
    found = choose_residency(arrays, arrays, arrays > 0, 64, Writing(1.0, 0.0, 16))
    assert found is not None
    assert (found.window, found.written, found.write_s) == (15, 45, 3.0)
    # Where the codes come slowly, every array that is not written saves time.
    slow = choose_residency(arrays, arrays, arrays > 0, 64, Writing(1.0, 1.0, 16))
    assert slow is not None
    assert (slow.window, slow.written) == (1, 31)


def test_what_is_used_more_often_stays() -> None:
    movable = np.array([True, True])
    found = stream_rounds(np.array([4, 4]), np.array([2, 1]), movable, 4, 4)
    assert found is not None
    assert found.streamed.tolist() == [0, 4]
    both = stream_rounds(np.array([4, 4]), np.array([2, 1]), movable, 6, 4)
    assert both is not None
    assert both.streamed.tolist() == [2, 4]
    assert both.count == 3


def test_what_must_stay_leaves_no_window() -> None:
    sizes = np.array([4, 2])
    movable = np.array([False, True])
    once = np.ones(2, np.int64)
    assert choose_residency(sizes, once, movable, 4, WRITING) is None
    found = choose_residency(sizes, once, movable, 5, WRITING)
    assert found is not None
    assert found.rounds.streamed.tolist() == [0, 2]


TILES = st.lists(
    st.lists(st.tuples(st.integers(1, 16), st.integers(1, 8)), min_size=1, max_size=12),
    min_size=1,
    max_size=6,
)


def _rows(sizes: np.ndarray) -> np.ndarray:
    """Rows of a tile table, below each other in one column of blocks."""
    rows = np.zeros((len(sizes), 5), np.int32)
    rows[:, [2, 4]] = sizes
    rows[:, 1] = np.arange(len(sizes))
    return rows


def _placed(sizes: list[np.ndarray], plan: ReloadPlan) -> list[PlacedMatrix]:
    cuts = np.cumsum([len(table) for table in sizes])[:-1]
    parts = zip(sizes, np.split(plan.sites, cuts), np.split(plan.rounds, cuts), strict=True)
    return [
        PlacedMatrix(
            f"m{n}",
            tiles,
            sites,
            route_tiles(tiles, sites, lots(sites, rounds, 0 * rounds), GRID, 1.0, 4.0),
            rounds,
        )
        for n, (table, sites, rounds) in enumerate(parts)
        for tiles in [_rows(table)]
    ]


def _uses_of(matrices: list[PlacedMatrix]) -> list[ArrayUse]:
    """A reload of each streamed matrix, and a product of every one."""
    uses = []
    for n, m in enumerate(matrices):
        uses += [ArrayUse(2 * n, m.name, "reload", n)] if m.streamed.any() else []
        uses += [ArrayUse(2 * n + 1, m.name, "product", n)]
    return uses


@given(TILES, st.data())
@settings(deadline=None, max_examples=40)
def test_every_damage_to_a_plan_is_seen(
    tiles: list[list[tuple[int, int]]], data: st.DataObject
) -> None:
    sizes = [np.array(table) for table in [*tiles, [(16, 8)] * 13]]
    once = np.ones(len(sizes), np.int64)
    plan = plan_reload(sizes, once, once > 0, GRID, WRITING)
    assert plan is not None
    matrices = _placed(sizes, plan)
    uses = _uses_of(matrices)
    dropped = data.draw(st.sampled_from([use for use in uses if use.kind == "reload"]))
    rest = [use for use in uses if use is not dropped]
    assert any(matrices[dropped.matrix].name in f for f in check_residency(matrices, rest, GRID))
    nested = [replace(use, nested=use.kind == "product") for use in uses]
    assert check_residency(matrices, nested, GRID)
    streamed = data.draw(st.sampled_from(np.flatnonzero(plan.rounds > 0).tolist()))
    kept = np.flatnonzero(plan.rounds == 0)
    plan.sites[streamed, :3] = plan.sites[data.draw(st.sampled_from(kept.tolist())), :3]
    assert check_residency(_placed(sizes, plan), uses, GRID)


@given(TILES)
@settings(deadline=None, max_examples=60)
def test_plans_pass_the_checkers_and_write_no_more_than_they_must(
    tiles: list[list[tuple[int, int]]],
) -> None:
    sizes = [np.array(table) for table in [*tiles, [(16, 8)] * 13]]
    once = np.ones(len(sizes), np.int64)
    plan = plan_reload(sizes, once, once > 0, GRID, WRITING)
    assert plan is not None
    matrices = _placed(sizes, plan)
    assert check_matrices(matrices, GRID) == []
    uses = _uses_of(matrices)
    assert check_residency(matrices, uses, GRID) == []
    residency = plan.residency
    assert residency.written == residency.rounds.streamed.sum()
    weights = sum(int(table.prod(axis=1).sum()) for table in sizes)
    assert residency.written >= weights / (16 * 8) - GRID.sites + residency.window
    written = len(np.unique(np.column_stack([plan.sites[plan.rounds > 0, :3]]), axis=0))
    kept = len(np.unique(plan.sites[plan.rounds == 0, :3], axis=0))
    assert written <= residency.window
    assert kept <= GRID.sites - residency.window


def test_full_arrays_fill_the_chip_beside_the_window() -> None:
    sizes = [np.full((n, 2), (16, 8)) for n in (5, 9, 7)]
    once = np.ones(3, np.int64)
    plan = plan_reload(sizes, once, once > 0, GRID, WRITING)
    assert plan is not None
    assert plan.residency.written == 21 - GRID.sites + plan.residency.window
    assert (plan.rounds == 0).sum() == GRID.sites - plan.residency.window


def test_what_must_stay_shares_arrays() -> None:
    # Eleven small matrices in a loop fill one array, not eleven of the twelve.
    small = [np.array([[4, 2]]) for _ in range(11)]
    sizes = [*small, np.full((13, 2), (16, 8))]
    once = np.ones(len(sizes), np.int64)
    movable = np.array([False] * 11 + [True])
    plan = plan_reload(sizes, once, movable, GRID, WRITING)
    assert plan is not None
    assert plan.rounds[:11].max() == 0
    assert plan.residency.written == 1 + 13 - GRID.sites + plan.residency.window


def test_windows_are_not_tried_in_vain() -> None:
    arrays = np.full(3000, 3)
    found = choose_residency(arrays, arrays // 3, arrays > 0, 4000, Writing(1.0, 0.0, 2500))
    assert found is not None
    assert (found.window, found.written) == (2500, 7500)
    assert found.write_s == 3.0
