"""Assigns arrays to sites at least traffic x distance: a start, then annealing by levels."""

import math
import time
from dataclasses import dataclass

import numpy as np

from .machine import SiteGrid
from .site_problem import SiteProblem, assignment_cost

_MOST_EFFORT = 10
_MOVES_AN_ARRAY = 40  # a unit of effort
_LEAST_MOVES = 600_000  # a unit of effort and a level
_MOVES_OF_A_RUN = 6_000  # an array, at which small problems are better annealed again than longer
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
    problem: SiteProblem, *, effort: int = 1, seed: int = 0, seconds: float | None = None
) -> Assignment:
    """Put the arrays of ``problem`` on sites, the cheaper the more ``effort`` (0 to 10).

    Effort 0 is the first legal placement, along a space-filling curve. Otherwise the number of
    moves is proportional to the effort, and the result depends on problem, effort and seed alone.
    With ``seconds`` the effort is what the time allows. Never costs more than the first placement.
    """
    if not 0 <= effort <= _MOST_EFFORT:
        raise ValueError(f"effort must be from 0 to {_MOST_EFFORT}, got {effort}")
    from .start_sites import first_sites

    start = first_sites(problem)
    start_cost = assignment_cost(problem, start).total
    if problem.arrays == 0 or (effort == 0 and seconds is None):
        return _assignment(problem, start, start_cost, 0)
    if seconds is None:
        site, moves = _improve(problem, start, effort, seed, math.inf)
    else:
        site, moves = _improve_until(problem, start, seed, time.perf_counter() + seconds)
    return _assignment(problem, site, start_cost, moves)


def _assignment(
    problem: SiteProblem, site: np.ndarray, start_cost: float, moves: int
) -> Assignment:
    cost = assignment_cost(problem, site)
    return Assignment(site, cost.total, start_cost, moves, cost.excess_w <= 0)


def _improve_until(
    problem: SiteProblem, start: np.ndarray, seed: int, deadline: float
) -> tuple[np.ndarray, int]:
    """Efforts that fit the time, the first of them one, the next as large as is left."""
    best, moves, effort = start, 0, 1.0
    while (began := time.perf_counter()) < deadline:
        site, tried = _improve(problem, start, effort, seed, deadline)
        moves += tried
        seed += 1
        best = _better(problem, best, site)
        if _at_bound(problem, best):
            break
        now = time.perf_counter()
        unit = (now - began) / effort
        effort = max(1.0, (deadline - now) / unit * 0.9)
        if problem.arrays < 1000:
            effort = min(effort, 5)
    return best, moves


def _better(problem: SiteProblem, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from .start_sites import cheapest

    return cheapest(problem, [a, b])


def _at_bound(problem: SiteProblem, site: np.ndarray) -> bool:
    """Whether no link can be shorter, so that nothing is left to gain between arrays."""
    cost = assignment_cost(problem, site)
    steps = [step for step, size in zip(problem.step_cost, problem.shape, strict=True) if size > 1]
    least = min(steps, default=0.0) * float(problem.weight.sum(dtype=float)) / 2
    others = cost.anchors + cost.layers + cost.groups + cost.power
    return others == 0 and cost.links <= least * (1 + 1e-9)


def _improve(
    problem: SiteProblem, start: np.ndarray, effort: float, seed: int, deadline: float
) -> tuple[np.ndarray, int]:
    """Anneal from the best of several starts; (sites, moves tried)."""
    from .anneal_sites import FULL, REFINE, Annealer
    from .multilevel import place_by_levels
    from .start_sites import anchored_sites, cheapest

    starts = [start]
    if problem.anchor_weight.any():
        starts.append(anchored_sites(problem))
    embedded = _embedded(problem, seed)
    if embedded is not None:
        starts.append(embedded)
    best = cheapest(problem, starts)
    if _at_bound(problem, best):
        return best, 0
    moves = 0
    least = round(_LEAST_MOVES * effort)
    schedule = FULL
    made = place_by_levels(problem, least, seed, deadline)
    if made is not None:
        by_levels, moves = made
        best = cheapest(problem, [best, by_levels])
        schedule = REFINE
    annealer = Annealer(problem, best, seed)
    annealer.run(
        schedule.of(max(least, round(_MOVES_AN_ARRAY * effort * problem.arrays))), deadline
    )
    return annealer.best, moves + annealer.moves


def _embedded(problem: SiteProblem, seed: int) -> np.ndarray | None:
    """A start from distances in the graph, exact where the graph is a grid like the sites'."""
    from .embed_graph import embed_graph, fit_axes
    from .start_sites import put_on

    if problem.arrays < 8 or not len(problem.neighbour):
        return None
    rng = np.random.default_rng(seed)
    points = embed_graph(problem.indptr, problem.neighbour, rng)
    return put_on(problem, fit_axes(points, problem))


def assign_in_program_order(first_use: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """Site (layer, row, col) of each array, int32 [arrays, 3].

    ``first_use`` [arrays] orders the arrays by when the program first drives them; the lowest
    layers fill first, each from the port outwards. Needs ``len(first_use) <= grid.sites``.
    """
    sites = np.empty((len(first_use), 3), np.int32)
    order = np.argsort(first_use, kind="stable")
    sites[order] = grid.sites_near_first(len(first_use))
    return sites
