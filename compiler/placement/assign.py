"""Assigns arrays to sites at least traffic x distance: a start, then annealing by levels."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .deadline import Clock, Deadline
from .site_problem import Best, SiteProblem, check_sites

_MOST_EFFORT = 10
_MOVES_AN_ARRAY = 40  # for a unit of effort
_LEAST_MOVES = 600_000  # for a unit of effort, on each level
_MOVES_OF_A_RUN = 6_000  # for an array: with more, annealing again gains more than slower cooling
_MOST_RUNS = 12


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where each array goes, and what it took."""

    site: np.ndarray
    """int32 [n]"""
    cost: float
    start_cost: float
    """That of the first legal placement."""
    moves: int
    feasible: bool
    """Whether every layer is within its power cap."""


def assign_sites(
    problem: SiteProblem,
    *,
    effort: int = 1,
    seed: int = 0,
    seconds: float | None = None,
    clock: Clock = time.perf_counter,
    starts: Sequence[np.ndarray] = (),
) -> Assignment:
    """Put the arrays of ``problem`` on sites, the cheaper the more ``effort`` (0 to 10).

    Effort 0 is the first legal placement, along a space-filling curve. Otherwise the number of
    moves is proportional to the effort, and the result depends on problem, effort and seed alone.
    With ``seconds`` of ``clock`` the effort is what the time allows. Never costs more than the
    first placement.

    ``starts`` are placements int [n] to begin with besides those made here. Raises ValueError when
    one of them is not legal.
    """
    if not 0 <= effort <= _MOST_EFFORT:
        raise ValueError(f"effort must be from 0 to {_MOST_EFFORT}, got {effort}")
    from .start_sites import first_sites, spread_power

    best = first_sites(problem)
    start_cost = best.cost.total
    for site in starts:
        check_sites(problem, site)
        best.offer(site)
    moves = 0
    if problem.arrays and seconds is not None:
        moves = _improve_until(best, seed, Deadline(seconds, clock))
    elif problem.arrays and effort:
        moves = _improve(best, effort, seed, Deadline())
    best.offer(spread_power(problem, best.site))
    cost = best.cost
    return Assignment(best.site, cost.total, start_cost, moves, cost.excess_w <= 0)


def _improve_until(best: Best, seed: int, deadline: Deadline) -> int:
    """Improve at effort one, then at what the time left allows, until it is over."""
    moves, effort = 0, 1.0
    while (left := deadline.left_s()) > 0 and not _is_at_bound(best):
        moves += _improve(best, effort, seed, deadline)
        after = deadline.left_s()
        effort = min(max(1.0, 0.9 * effort * after / (left - after)), _MOST_EFFORT)
        seed += 1
    return moves


def _is_at_bound(best: Best) -> bool:
    """Whether no link can be shorter and nothing else costs: what is found is an optimum."""
    problem, cost = best.problem, best.cost
    steps = [step for step, size in zip(problem.step_cost, problem.shape, strict=True) if size > 1]
    least = min(steps, default=0.0) * float(problem.pairs[2].sum(dtype=float))
    others = cost.anchors + cost.layers + cost.groups + cost.power
    return others == 0 and cost.links <= least * (1 + 1e-9)


def _improve(best: Best, effort: float, seed: int, deadline: Deadline) -> int:
    """Anneal from the best of several starts; returns the moves tried."""
    from .anneal_sites import FULL, REFINE, Annealer
    from .multilevel import place_by_levels
    from .start_sites import anchored_sites

    problem = best.problem
    start = best.copy()
    if problem.anchor_weight.any():
        start.offer(anchored_sites(problem))
    embedded = _embedded(problem, seed)
    if embedded is not None:
        start.offer(embedded)
    best.offer(start.site)
    if _is_at_bound(best):
        return 0
    least = round(_LEAST_MOVES * effort)
    by_levels, moves = place_by_levels(problem, least, seed, deadline)
    if by_levels is not None:
        start.offer(by_levels)
    schedule = FULL if by_levels is None else REFINE
    fine = max(least, round(_MOVES_AN_ARRAY * effort * problem.arrays))
    runs = min(_MOST_RUNS, max(1, fine // (_MOVES_OF_A_RUN * problem.arrays)))
    for run in range(runs):
        annealer = Annealer(problem, start.site, seed + run)
        annealer.run(schedule.of(fine // runs), deadline)
        best.offer(annealer.best)
        moves += annealer.moves
    return moves


def _embedded(problem: SiteProblem, seed: int) -> np.ndarray | None:
    """A start from distances in the graph, exact where the graph is a grid like the sites'."""
    from .embed_graph import embed_graph, fit_axes
    from .start_sites import put_on

    if problem.arrays < 8 or not len(problem.neighbour):
        return None
    rng = np.random.default_rng(seed)
    points = embed_graph(problem.indptr, problem.neighbour, rng)
    return put_on(problem, fit_axes(points, problem))
