"""Which arrays are written anew: against all choices of small cases, and Belady's rule."""

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
    stream_least,
)
from semc.compiler.placement.route import route_tiles

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
    written = int(found.streamed.sum())
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


ARRAYS = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@given(ARRAYS, st.integers(1, 6), st.integers(0, 24))
@settings(deadline=None)
def test_the_fewest_rounds_of_all(arrays: list[int], window: int, needed: int) -> None:
    sizes = np.array(arrays)
    found = stream_least(sizes, np.ones_like(sizes), sizes > 0, needed, window)
    choices = [c for c in product(*(range(n + 1) for n in arrays)) if sum(c) >= needed]
    if not choices:
        assert found is None
        return
    assert found is not None
    assert (found <= sizes).all()
    assert found.sum() == needed
    fewest = min(sum(-(-n // window) for n in choice) for choice in choices)
    assert (-(-found // window)).sum() == fewest


@given(ARRAYS, st.integers(1, 10), st.integers(1, 6), st.floats(0, 2))
@settings(deadline=None)
def test_the_quickest_window_of_all(
    arrays: list[int], capacity: int, side_by_side: int, transfer_s: float
) -> None:
    sizes = np.array(arrays)
    if sizes.sum() <= capacity:
        return
    writing = Writing(1.0, transfer_s, side_by_side)
    found = choose_residency(sizes, np.ones_like(sizes), sizes > 0, capacity, writing)
    assert found is not None
    costs = []
    for window in range(1, min(side_by_side, capacity) + 1):
        for choice in product(*(range(n + 1) for n in arrays)):
            if sum(choice) >= sizes.sum() - capacity + window:
                rounds = sum(-(-n // window) for n in choice)
                costs.append((max(rounds, sum(choice) * transfer_s), sum(choice)))
    assert (found.write_s, int(found.streamed.sum())) == min(costs)


def test_what_is_used_more_often_stays() -> None:
    streamed = stream_least(np.array([4, 4]), np.array([2, 1]), np.array([True, True]), 4, 4)
    assert streamed is not None
    assert streamed.tolist() == [0, 4]


def test_what_must_stay_leaves_no_window() -> None:
    sizes = np.array([4, 2])
    movable = np.array([False, True])
    assert choose_residency(sizes, sizes, movable, 4, WRITING) is None
    found = choose_residency(sizes, sizes, movable, 5, WRITING)
    assert found is not None
    assert found.streamed.tolist() == [0, 2]


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
            f"m{n}", tiles, sites, route_tiles(tiles, sites, rounds, GRID, 1.0, 4.0), rounds
        )
        for n, (table, sites, rounds) in enumerate(parts)
        for tiles in [_rows(table)]
    ]


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
    uses = []
    for n, m in enumerate(matrices):
        uses += [ArrayUse(2 * n, m.name, "reload", n)] if m.streamed.any() else []
        uses += [ArrayUse(2 * n + 1, m.name, "product", n)]
    assert check_residency(matrices, uses, GRID) == []
    residency = plan.residency
    weights = sum(int(table.prod(axis=1).sum()) for table in sizes)
    assert residency.streamed.sum() >= weights / (16 * 8) - GRID.sites + residency.window
    written = len(np.unique(np.column_stack([plan.sites[plan.rounds > 0, :3]]), axis=0))
    kept = len(np.unique(plan.sites[plan.rounds == 0, :3], axis=0))
    assert written <= residency.window
    assert kept <= GRID.sites - residency.window


def test_full_arrays_fill_the_chip_beside_the_window() -> None:
    sizes = [np.full((n, 2), (16, 8)) for n in (5, 9, 7)]
    once = np.ones(3, np.int64)
    plan = plan_reload(sizes, once, once > 0, GRID, WRITING)
    assert plan is not None
    assert plan.residency.streamed.sum() == 21 - GRID.sites + plan.residency.window
    assert (plan.rounds == 0).sum() == GRID.sites - plan.residency.window
