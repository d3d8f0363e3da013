"""Assignments of arrays to sites: legal, priced right, deterministic, no worse than the first."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.anneal_sites import FULL, Annealer
from semc.compiler.placement.assign import assign_sites
from semc.compiler.placement.site_problem import (
    SiteProblem,
    assignment_cost,
    check_sites,
    reordered,
)
from semc.compiler.placement.start_sites import first_sites


def csr(links: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A symmetric matrix as CSR."""
    rows, cols = np.nonzero(links)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(links)))])
    return indptr, cols.astype(np.int32), links[rows, cols].astype(np.float32)


@st.composite
def problems(draw: st.DrawFn) -> SiteProblem:
    """Small problems with every feature in some of them."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sites = int(np.prod(shape))
    allowed = rng.random(sites) < draw(st.sampled_from([0.7, 1.0]))
    allowed[rng.integers(sites)] = True
    n = draw(st.integers(1, int(allowed.sum())))
    links = np.triu(rng.integers(0, 9, (n, n)) * (rng.random((n, n)) < 0.4), 1)
    fixed = np.full(n, -1, np.int32)
    if draw(st.booleans()):
        count = int(rng.integers(0, n + 1))
        held = rng.choice(n, count, replace=False)
        fixed[held] = rng.choice(np.flatnonzero(allowed), count, replace=False)
    capped = draw(st.booleans())
    return SiteProblem(
        *shape,
        draw(st.sampled_from([(1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (0.3, 2.0, 1.5)])),
        *csr(links + links.T),
        anchor_weight=rng.integers(0, 5, n).astype(np.float32),
        port=(int(rng.integers(shape[1])), int(rng.integers(shape[2]))),
        layer_cost=rng.random(shape[0]).astype(np.float32) if draw(st.booleans()) else None,
        layer_weight=rng.random(n).astype(np.float32) if draw(st.booleans()) else None,
        allowed=allowed,
        fixed=fixed,
        group=rng.integers(-1, 3, n).astype(np.int32) if draw(st.booleans()) else None,
        active=draw(st.integers(1, 2)),
        group_penalty=draw(st.sampled_from([0.0, 7.0])),
        power_w=rng.random(n).astype(np.float32) if capped else None,
        layer_cap_w=draw(st.sampled_from([0.5, 2.0, 5.0])) if capped else np.inf,
    )


def assert_legal(problem: SiteProblem, site: np.ndarray) -> None:
    assert site.dtype == np.int32
    assert len(np.unique(site)) == problem.arrays == len(site)
    assert problem.usable[site].all()
    held = problem.fixed_sites >= 0
    assert (site[held] == problem.fixed_sites[held]).all()
    check_sites(problem, site)


def plain_cost(problem: SiteProblem, site: np.ndarray) -> float:
    """The objective in loops over pairs and stacks, written from its definition."""
    at = [np.unravel_index(s, problem.shape) for s in site]
    port = (-1, *problem.port)

    def far(p: tuple[int, ...], q: tuple[int, ...]) -> float:
        return sum(
            c * abs(int(a) - int(b)) for c, a, b in zip(problem.step_cost, p, q, strict=True)
        )

    total = 0.0
    for i in range(problem.arrays):
        for e in range(problem.indptr[i], problem.indptr[i + 1]):
            total += float(problem.weight[e]) * far(at[i], at[problem.neighbour[e]]) / 2
        total += float(problem.anchor_weight[i]) * far(at[i], port)
        if problem.layer_cost is not None:
            share = 1.0 if problem.layer_weight is None else float(problem.layer_weight[i])
            total += float(problem.layer_cost[at[i][0]]) * share
    if problem.group is not None:
        seen: dict[tuple[int, int, int], int] = {}
        for g, (_, row, col) in zip(problem.group, at, strict=True):
            seen[g, row, col] = seen.get((g, row, col), 0) + 1
        over = sum(max(0, k - problem.active) for (g, *_), k in seen.items() if g >= 0)
        total += problem.group_penalty * over
    if problem.power_w is not None:
        for layer in range(problem.layers):
            power = sum(float(w) for w, a in zip(problem.power_w, at, strict=True) if a[0] == layer)
            total += problem.power_penalty * max(0.0, power - problem.layer_cap_w)
    return total


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 3))
def test_legal_priced_right_and_no_worse_than_the_start(problem: SiteProblem, seed: int) -> None:
    start = first_sites(problem).site
    assert_legal(problem, start)
    annealer = Annealer(problem, start, seed)
    annealer.run(FULL.of(3000))
    for site, cost in ((annealer.sites(), annealer.cost), (annealer.best, annealer.best_cost)):
        assert_legal(problem, site)
        assert cost == pytest.approx(plain_cost(problem, site), rel=1e-5, abs=1e-4)
    assert annealer.best_cost <= assignment_cost(problem, start).total


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(1, 3000))
def test_incremental_cost_is_that_of_the_placement(problem: SiteProblem, moves: int) -> None:
    annealer = Annealer(problem, first_sites(problem).site, 1)
    annealer._chunk(moves, temperature=3.0, reach=1.0)
    exact = assignment_cost(problem, annealer.sites())
    assert annealer.cost == pytest.approx(exact.total, rel=1e-5, abs=1e-3)
    held = np.flatnonzero(annealer.state.occupant >= 0)
    assert sorted(annealer.state.occupant[held]) == list(range(problem.arrays))
    stacks = problem.rows * problem.cols
    assert sorted(held % problem.layers * stacks + held // problem.layers) == sorted(
        annealer.sites()
    )


@given(problems(), st.randoms(use_true_random=False))
def test_the_order_of_arrays_costs_nothing(problem: SiteProblem, random: Random) -> None:
    order = np.array(random.sample(range(problem.arrays), problem.arrays))
    site = first_sites(problem).site
    other = assignment_cost(reordered(problem, order), site[order])
    assert other.total == pytest.approx(assignment_cost(problem, site).total, rel=1e-6)


@pytest.mark.parametrize("effort", [0, 1])
def test_same_seed_gives_the_same_sites(effort: int) -> None:
    rng = np.random.default_rng(5)
    links = np.triu(rng.random((30, 30)) < 0.1, 1)
    problem = SiteProblem(2, 4, 5, (1, 1, 1), *csr(links + links.T), np.zeros(30, np.float32))
    a, b = (assign_sites(problem, effort=effort, seed=7) for _ in range(2))
    assert_legal(problem, a.site)
    assert (a.site == b.site).all()
    assert a.cost == assignment_cost(problem, a.site).total <= a.start_cost


def weighted_grid(shape: tuple[int, int, int], seed: int) -> tuple[SiteProblem, float]:
    """A grid of weighted links under random numbers, and its least cost, the sum of the weights."""
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    number = rng.permutation(n).reshape(shape)
    links = np.zeros((n, n))
    for axis in range(3):
        low = np.take(number, range(shape[axis] - 1), axis)
        high = np.take(number, range(1, shape[axis]), axis)
        links[low, high] = rng.integers(1, 11, low.shape)
    problem = SiteProblem(*shape, (1, 1, 1), *csr(links + links.T), np.zeros(n, np.float32))
    return problem, float(links.sum())


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 8, 8), (1, 9, 12), (5, 5, 5)])
def test_planted_grids_are_found(shape: tuple[int, int, int]) -> None:
    problem, least = weighted_grid(shape, 3)
    assert assign_sites(problem).cost == pytest.approx(least)


def chains(matrices: int, side: int) -> np.ndarray:
    """Links of ``matrices`` grids of ``side`` x ``side`` arrays, dense [n, n]."""
    number = np.arange(matrices * side * side).reshape(matrices, side, side)
    links = np.zeros((number.size, number.size))
    links[number[:, :, :-1], number[:, :, 1:]] = 1
    links[number[:, :-1], number[:, 1:]] = 1
    return links + links.T


def test_matrices_spread_over_stacks_where_layers_are_free() -> None:
    """Routers on the base die: a matrix lies flat, others above it, and every link is one hop."""
    links = chains(matrices=4, side=4)
    problem = SiteProblem(
        *(4, 4, 4),
        (0.0, 1.0, 1.0),
        *csr(links),
        np.zeros(len(links), np.float32),
        group=np.repeat(np.arange(4, dtype=np.int32), 16),
        group_penalty=20.0,
    )
    found = assign_sites(problem, effort=3)
    cost = assignment_cost(problem, found.site)
    assert cost.groups == 0
    assert cost.links == pytest.approx(links.sum() / 2)


def test_levels_of_clusters_beat_the_first_placement() -> None:
    links = chains(matrices=16, side=8)
    n = len(links)
    problem = SiteProblem(4, 16, 17, (1, 1, 1), *csr(links), np.zeros(n, np.float32))
    found = assign_sites(problem, effort=2)
    assert_legal(problem, found.site)
    assert found.cost < 0.75 * found.start_cost


def test_port_traffic_alone_is_sorted_by_distance() -> None:
    rng = np.random.default_rng(1)
    anchor = rng.random(40).astype(np.float32)
    problem = SiteProblem(
        2, 5, 5, (1, 1, 1), *csr(np.zeros((40, 40))), anchor_weight=anchor, port=(2, 2)
    )
    distance = np.sort(problem.port_distance(np.arange(50)))[:40]
    least = float(np.sort(anchor)[::-1].astype(float) @ distance)
    assert assign_sites(problem).cost == pytest.approx(least)


@pytest.mark.parametrize("effort", [0, 1])
def test_layers_keep_their_power_cap(effort: int) -> None:
    rng = np.random.default_rng(2)
    power = np.where(np.arange(48) < 12, 4.0, 1.0).astype(np.float32)
    links = np.triu(rng.random((48, 48)) < 0.1, 1)
    problem = SiteProblem(
        *(4, 4, 4),
        (1, 1, 1),
        *csr(links + links.T),
        np.ones(48, np.float32),
        power_w=power,
        layer_cap_w=22.0,
    )
    found = assign_sites(problem, effort=effort)
    layer = found.site // 16
    assert found.feasible
    assert np.bincount(layer, power).max() <= 22.0
    tight = assign_sites(SiteProblem(**{**fields(problem), "layer_cap_w": 20.0}), effort=effort)
    assert not tight.feasible  # 84 W in four layers of 20 W


@pytest.mark.parametrize("effort", [0, 1])
def test_nothing_to_place_is_placed(effort: int) -> None:
    none = np.zeros((0, 0))
    found = assign_sites(SiteProblem(1, 2, 2, (1, 1, 1), *csr(none), np.zeros(0)), effort=effort)
    assert len(found.site) == found.cost == found.moves == 0


def fields(problem: SiteProblem) -> dict[str, object]:
    return {name: getattr(problem, name) for name in SiteProblem.__dataclass_fields__}


def test_a_deadline_keeps_the_best() -> None:
    problem, least = weighted_grid((2, 3, 4), 0)
    found = assign_sites(problem, seconds=0.05)
    assert_legal(problem, found.site)
    assert least <= found.cost <= found.start_cost


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"allowed": np.arange(6) < 3}, "4 arrays need as many sites, 3 are allowed"),
        ({"fixed": np.array([0, 0, -1, -1])}, "site 0 is fixed for more than one array"),
        ({"fixed": np.array([9, -1, -1, -1])}, "a fixed site must be below 6, got 9"),
        (
            {"allowed": np.arange(6) > 0, "fixed": np.array([0, -1, -1, -1])},
            "fixed at site 0, which is not allowed",
        ),
        ({"anchor_weight": np.zeros(3)}, "anchor_weight must have 4 entries, got 3"),
        ({"neighbour": np.array([7, 0], np.int32)}, "numbers of arrays, 0 to 3"),
        ({"rows": 0}, "the grid must have sites"),
        ({"cols": 40_000}, "an axis must have at most 32767 sites"),
    ],
)
def test_impossible_problems_are_refused(change: dict[str, object], message: str) -> None:
    links = np.zeros((4, 4))
    links[0, 1] = links[1, 0] = 1
    problem = SiteProblem(1, 2, 3, (1, 1, 1), *csr(links), np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=message):
        SiteProblem(**{**fields(problem), **change})


def test_a_better_start_is_kept() -> None:
    problem, least = weighted_grid((2, 4, 4), 6)
    planted = assign_sites(problem).site
    found = assign_sites(problem, effort=0, starts=[planted])
    assert found.cost == pytest.approx(least)
    assert found.cost < found.start_cost


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ([0, 1, 2], "4 arrays need as many sites, got 3"),
        ([0, 1, 2, 6], "sites must be 0 to 5"),
        ([0, 1, 2, 2], "two arrays have one site"),
        ([0, 5, 2, 3], "site 5 is not allowed"),
        ([0, 1, 2, 3], "array 2 is fixed at site 4"),
    ],
)
def test_illegal_starts_are_refused(site: list[int], message: str) -> None:
    problem = SiteProblem(
        *(1, 2, 3),
        (1, 1, 1),
        *csr(np.zeros((4, 4))),
        np.zeros(4, np.float32),
        allowed=np.arange(6) < 5,
        fixed=np.array([-1, -1, 4, -1]),
    )
    with pytest.raises(ValueError, match=message):
        assign_sites(problem, starts=[np.array(site)])


def test_effort_has_a_range() -> None:
    problem, _ = weighted_grid((1, 2, 2), 0)
    with pytest.raises(ValueError, match="effort must be from 0 to 10, got 11"):
        assign_sites(problem, effort=11)
