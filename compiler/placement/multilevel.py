"""Placement by levels: clusters on a coarser grid first, then what is in them.

Each level is a smaller problem of the same kind, so that one annealer serves all of them (compare
Chan, Cong and Sze, "Multilevel generalized force-directed method for circuit placement", ISPD
2005). Axes along which steps are free are not coarsened: there a stack stays a stack.
"""

import math
from dataclasses import dataclass

import numpy as np

from .anneal_sites import FULL, REFINE, Annealer
from .coarsen import Graph, cluster_vertices
from .deadline import Deadline
from .site_problem import SiteProblem
from .start_sites import first_sites, put_on

_TOP = 700  # arrays below which no more levels are made
_ROUNDS = 2  # of matching, a level: clusters of about four
_GROWTH = 1.2  # how much larger than that a cluster may be
_LEAST_GAIN = 0.7  # of the vertices may be left, or the level is not worth it
_PULL = 0.25  # share of the way to its neighbours' mean that an array goes inside its cluster


@dataclass(frozen=True, slots=True)
class _Level:
    problem: SiteProblem
    size: np.ndarray
    """int32 [n]: how many arrays each of the problem's stands for."""


def place_by_levels(
    problem: SiteProblem, moves: int, seed: int, deadline: Deadline
) -> tuple[np.ndarray | None, int]:
    """A start for refinement, int32 [n], and the moves it took; None where no level is worth it.

    Each coarser level gets ``moves``.
    """
    level = _Level(problem, np.ones(problem.arrays, np.int32))
    return _start(level, moves, seed, deadline)


def _start(
    level: _Level, moves: int, seed: int, deadline: Deadline
) -> tuple[np.ndarray | None, int]:
    made = _coarser(level)
    if made is None:
        return None, 0
    coarse, cluster = made
    site, tried = _start(coarse, moves, seed, deadline)
    schedule = FULL if site is None else REFINE
    annealer = Annealer(
        coarse.problem, first_sites(coarse.problem).site if site is None else site, seed
    )
    annealer.run(schedule.of(moves), deadline)
    centre = coarse.problem.coordinates(annealer.best) + 0.5
    scale = np.array(level.problem.shape) / np.array(coarse.problem.shape)
    points = (centre * scale - 0.5)[cluster]
    return put_on(level.problem, _pulled(level.problem, points)), tried + annealer.moves


def _pulled(problem: SiteProblem, points: np.ndarray) -> np.ndarray:
    """``points`` float [n, 3] a little nearer to the mean of their neighbours."""
    n, rows = problem.arrays, problem.link_rows
    weight = np.bincount(rows, problem.weight, minlength=n)
    pulled = points.copy()
    for axis in np.flatnonzero(problem.step_cost):
        x = points[:, axis]
        pull = np.bincount(rows, problem.weight * x[problem.neighbour], minlength=n) - weight * x
        pulled[:, axis] = x + _PULL * pull / np.maximum(weight, 1e-30)
    return pulled


def _coarser(level: _Level) -> tuple[_Level, np.ndarray] | None:
    """The next level, and the cluster of each array; None where it would not be much smaller."""
    problem = level.problem
    axes = zip(problem.shape, problem.step_cost, strict=True)
    scaled = [size > 1 and step > 0 for size, step in axes]
    if problem.arrays <= _TOP or not any(scaled):
        return None
    graph = Graph(problem.indptr, problem.neighbour, problem.weight, level.size)
    most = math.ceil(2**_ROUNDS * _GROWTH * level.size.mean())
    cluster, coarse = cluster_vertices(graph, _ROUNDS, most)
    if coarse.vertices > _LEAST_GAIN * problem.arrays:
        return None
    shape = _coarse_shape(problem, coarse.vertices / problem.arrays, scaled)
    return _Level(_coarse_problem(problem, coarse, cluster, shape), coarse.size), cluster


def _coarse_shape(problem: SiteProblem, share: float, scaled: list[bool]) -> tuple[int, int, int]:
    """The shape of about ``share`` of the sites, and no fewer."""
    factor = share ** (1 / sum(scaled))
    wanted = [s * factor if on else s for s, on in zip(problem.shape, scaled, strict=True)]
    shape = [max(1, math.ceil(s)) for s in wanted]
    while True:
        for axis in sorted(range(3), key=lambda k: wanted[k] / shape[k]):
            less = [s - (k == axis) for k, s in enumerate(shape)]
            if scaled[axis] and math.prod(less) >= share * problem.sites:
                shape = less
                break
        else:
            return shape[0], shape[1], shape[2]


def _coarse_problem(
    problem: SiteProblem, graph: Graph, cluster: np.ndarray, shape: tuple[int, int, int]
) -> SiteProblem:
    """The problem of clusters on a grid of ``shape``: a step there is several here.

    Fixed arrays float, and a cluster has the group of its first array.
    """
    n = graph.vertices
    ratio = [fine / coarse for fine, coarse in zip(problem.shape, shape, strict=True)]
    steps = [step * r for step, r in zip(problem.step_cost, ratio, strict=True)]
    cells = np.unravel_index(np.arange(problem.sites), problem.shape)
    into = [
        np.minimum((x / r).astype(np.int64), size - 1)
        for x, r, size in zip(cells, ratio, shape, strict=True)
    ]
    cell = np.ravel_multi_index(into, shape)
    count = math.prod(shape)

    def summed(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.bincount(cluster, values, n).astype(np.float32)

    costs = problem.layer_cost
    if costs is not None:
        index = np.minimum((np.arange(problem.layers) / ratio[0]).astype(int), shape[0] - 1)
        costs = np.bincount(index, costs) / np.bincount(index)
    weight = problem.layer_weight
    ones = np.ones(problem.arrays) if problem.layer_cost is not None else None
    anchor = summed(problem.anchor_weight)
    assert anchor is not None
    return SiteProblem(
        *shape,
        step_cost=(steps[0], steps[1], steps[2]),
        indptr=graph.indptr,
        neighbour=graph.neighbour,
        weight=graph.weight,
        anchor_weight=anchor,
        port=(int(problem.port[0] / ratio[1]), int(problem.port[1] / ratio[2])),
        layer_cost=costs,
        layer_weight=summed(ones if weight is None else weight),
        allowed=_coarse_allowed(problem, cell, count, n),
        group=None if problem.group is None else _of_first(problem.group, cluster, n),
        active=max(1, round(problem.active / ratio[0])),
        group_penalty=problem.group_penalty * problem.arrays / n,
        power_w=summed(problem.power_w),
        layer_cap_w=problem.layer_cap_w * ratio[0],
    )


def _coarse_allowed(problem: SiteProblem, cell: np.ndarray, count: int, needed: int) -> np.ndarray:
    """The cells of which half can be used, or the best ``needed`` ones."""
    share = np.bincount(cell, problem.usable, count) / np.maximum(np.bincount(cell, None, count), 1)
    allowed = share >= 0.5
    if allowed.sum() < needed:
        allowed[np.argsort(-share, kind="stable")[:needed]] = True
    return allowed


def _of_first(values: np.ndarray, cluster: np.ndarray, count: int) -> np.ndarray:
    _, first = np.unique(cluster, return_index=True)
    assert len(first) == count
    return values[first]
