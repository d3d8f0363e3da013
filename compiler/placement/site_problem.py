"""The assignment problem, arrays to the sites of a stack at least traffic x distance, and its cost.

It is a quadratic assignment problem (Koopmans and Beckmann 1957) whose distances are those of a
grid, with penalties for what a machine allows but dislikes.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

_LONGEST = np.iinfo(np.int16).max  # so that the annealer can hold positions in 16 bits


@dataclass(frozen=True)
class SiteProblem:
    """``n`` arrays to be put on distinct sites of a grid of ``layers`` x ``rows`` x ``cols``.

    A site's number is ``(layer * rows + row) * cols + col``. A unit of traffic pays ``step_cost``
    (layer, row, col) for each step between two sites (Manhattan). The traffic between arrays is a
    symmetric CSR matrix, each pair in both rows; its diagonal is ignored. ``anchor_weight`` is the
    traffic of an array with the ``port`` (row, col), which lies one layer step below layer 0.
    """

    layers: int
    rows: int
    cols: int
    step_cost: tuple[float, float, float]
    indptr: np.ndarray
    """int64 [n + 1]"""
    neighbour: np.ndarray
    """int32 [links]"""
    weight: np.ndarray
    """float32 [links]"""
    anchor_weight: np.ndarray
    """float32 [n]"""
    port: tuple[int, int] = (0, 0)
    layer_cost: np.ndarray | None = None
    """float32 [layers]: cost of a layer for each unit of ``layer_weight``."""
    layer_weight: np.ndarray | None = None
    """float32 [n], one if absent."""
    allowed: np.ndarray | None = None
    """bool [sites]: False where a site is dead or reserved."""
    fixed: np.ndarray | None = None
    """int32 [n]: the site that an array must have, or -1."""
    group: np.ndarray | None = None
    """int32 [n]: arrays of one group should not share a stack; -1 for none."""
    active: int = 1
    """How many arrays of one group a stack takes free of charge."""
    group_penalty: float = 0.0
    """Cost of each array of a group in a stack beyond ``active``."""
    power_w: np.ndarray | None = None
    """float32 [n]"""
    layer_cap_w: float = float("inf")
    """The power that a layer may take."""

    def __post_init__(self) -> None:
        """Raises ValueError for arrays that do not fit each other or the grid."""
        n, sites = self.arrays, self.sites
        if min(self.layers, self.rows, self.cols) < 1:
            raise ValueError(f"the grid must have sites, got {self.shape}")
        if max(self.shape) > _LONGEST:
            raise ValueError(f"an axis must have at most {_LONGEST} sites, got {self.shape}")
        shapes = {
            "anchor_weight": (self.anchor_weight, n),
            "layer_weight": (self.layer_weight, n),
            "layer_cost": (self.layer_cost, self.layers),
            "allowed": (self.allowed, sites),
            "fixed": (self.fixed, n),
            "group": (self.group, n),
            "power_w": (self.power_w, n),
            "neighbour": (self.neighbour, len(self.weight)),
        }
        for name, (array, length) in shapes.items():
            if array is not None and len(array) != length:
                raise ValueError(f"{name} must have {length} entries, got {len(array)}")
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.neighbour):
            raise ValueError("indptr must run from 0 to the number of links")
        if len(self.neighbour) and not 0 <= self.neighbour.min() <= self.neighbour.max() < n:
            raise ValueError(f"neighbour must hold numbers of arrays, 0 to {n - 1}")
        if n > self.usable.sum():
            raise ValueError(f"{n} arrays need as many sites, {self.usable.sum()} are allowed")
        self._check_fixed()

    def _check_fixed(self) -> None:
        if self.fixed is None:
            return
        taken = self.fixed[self.fixed >= 0]
        if len(taken) and taken.max() >= self.sites:
            raise ValueError(f"a fixed site must be below {self.sites}, got {taken.max()}")
        if not self.usable[taken].all():
            dead = taken[~self.usable[taken]][0]
            raise ValueError(f"an array is fixed at site {dead}, which is not allowed")
        values, counts = np.unique(taken, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"site {values[counts > 1][0]} is fixed for more than one array")

    @property
    def arrays(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.layers, self.rows, self.cols

    @property
    def sites(self) -> int:
        return self.layers * self.rows * self.cols

    @cached_property
    def usable(self) -> np.ndarray:
        """bool [sites]: ``allowed``, or all."""
        return np.ones(self.sites, bool) if self.allowed is None else np.asarray(self.allowed, bool)

    @cached_property
    def fixed_sites(self) -> np.ndarray:
        """int32 [n]: ``fixed``, or -1 for all."""
        return np.full(self.arrays, -1, np.int32) if self.fixed is None else self.fixed

    @cached_property
    def link_rows(self) -> np.ndarray:
        """int32 [links]: the array whose row of the CSR matrix a link is in."""
        return np.repeat(np.arange(self.arrays, dtype=np.int32), np.diff(self.indptr))

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Each link once: (array int32, other array int32, weight float32)."""
        once = np.flatnonzero(self.link_rows < self.neighbour)
        return self.link_rows[once], self.neighbour[once], self.weight[once]

    def coordinates(self, site: np.ndarray) -> np.ndarray:
        """int64 [n, 3] (layer, row, col) of sites."""
        return np.stack(np.unravel_index(site, self.shape), axis=1)

    def port_distance(self, site: np.ndarray) -> np.ndarray:
        """float64 [n]: cost of a unit of traffic between each site and the port."""
        port = np.array([-1, *self.port])
        return np.abs(self.coordinates(site) - port) @ np.array(self.step_cost, float)

    @cached_property
    def power_penalty(self) -> float:
        """Cost of a watt beyond a layer's cap: more than an array of mean power can save by it."""
        if self.power_w is None or not np.isfinite(self.layer_cap_w):
            return 0.0
        span = float(np.array(self.step_cost) @ np.array(self.shape))
        traffic = float(self.weight.sum(dtype=float) + self.anchor_weight.sum(dtype=float))
        layers = 0.0 if self.layer_cost is None else float(np.ptp(self.layer_cost))
        saving = span * traffic / max(1, self.arrays) + layers + self.group_penalty
        return (saving or 1.0) / max(float(self.power_w.mean(dtype=float)), 1e-30)


def reordered(problem: SiteProblem, order: np.ndarray) -> SiteProblem:
    """The same problem with array ``order[k]`` of ``problem`` as its k-th."""
    number = np.empty(problem.arrays, np.int64)
    number[order] = np.arange(problem.arrays)
    rows, neighbour = number[problem.link_rows], number[problem.neighbour]
    links = np.argsort(rows * problem.arrays + neighbour, kind="stable")
    counts = np.bincount(rows, minlength=problem.arrays)

    def of(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[order]

    return replace(
        problem,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        neighbour=neighbour[links].astype(np.int32),
        weight=problem.weight[links],
        anchor_weight=problem.anchor_weight[order],
        layer_weight=of(problem.layer_weight),
        fixed=of(problem.fixed),
        group=of(problem.group),
        power_w=of(problem.power_w),
    )


@dataclass(frozen=True, slots=True)
class AssignmentCost:
    """What an assignment costs, by part; ``total`` is what is minimised."""

    links: float
    """Traffic x distance between arrays."""
    anchors: float
    """Traffic x distance between arrays and the port."""
    layers: float
    """``layer_cost`` x ``layer_weight``."""
    groups: float
    """The penalty of arrays of one group in one stack."""
    power: float
    """The penalty of layers above their cap."""
    excess_w: float
    """Power above the layers' cap, all layers."""

    @property
    def total(self) -> float:
        return self.links + self.anchors + self.layers + self.groups + self.power


def assignment_cost(problem: SiteProblem, site: np.ndarray) -> AssignmentCost:
    """Cost of the assignment ``site`` int [n] of arrays to sites, computed from nothing else."""
    at = problem.coordinates(site)
    a, b, weight = problem.pairs
    links = 0.0
    for axis, step in enumerate(problem.step_cost):
        x = at[:, axis].astype(np.int32)
        links += step * float(np.abs(x[a] - x[b]).astype(float) @ weight)
    anchors = float(problem.port_distance(site) @ problem.anchor_weight)
    layers = 0.0
    if problem.layer_cost is not None:
        cost = np.asarray(problem.layer_cost, float)[at[:, 0]]
        layers = float(cost.sum() if problem.layer_weight is None else cost @ problem.layer_weight)
    excess = 0.0
    if problem.power_w is not None:
        power = np.bincount(at[:, 0], problem.power_w, minlength=problem.layers)
        excess = float(np.maximum(power - problem.layer_cap_w, 0).sum())
    over = problem.group_penalty * _crowded(problem, site)
    return AssignmentCost(links, anchors, layers, over, problem.power_penalty * excess, excess)


def check_sites(problem: SiteProblem, site: np.ndarray) -> None:
    """Raises ValueError unless ``site`` gives each array a site of its own that it may have."""
    if len(site) != problem.arrays:
        raise ValueError(f"{problem.arrays} arrays need as many sites, got {len(site)}")
    if len(site) and not 0 <= site.min() <= site.max() < problem.sites:
        raise ValueError(f"sites must be 0 to {problem.sites - 1}")
    if not problem.usable[site].all():
        raise ValueError(f"site {site[~problem.usable[site]][0]} is not allowed")
    if len(np.unique(site)) != len(site):
        raise ValueError("two arrays have one site")
    moved = np.flatnonzero((problem.fixed_sites >= 0) & (problem.fixed_sites != site))
    if len(moved):
        raise ValueError(f"array {moved[0]} is fixed at site {problem.fixed_sites[moved[0]]}")


def _crowded(problem: SiteProblem, site: np.ndarray) -> int:
    """How many arrays are beyond the ``active`` of their group in their stack."""
    if problem.group is None:
        return 0
    grouped = problem.group >= 0
    stacks = problem.rows * problem.cols
    key = problem.group[grouped].astype(np.int64) * stacks + site[grouped] % stacks
    counts = np.unique(key, return_counts=True)[1]
    return int(np.maximum(counts - problem.active, 0).sum())


class Best:
    """The cheapest of the placements it is offered, the first of equals."""

    def __init__(
        self, problem: SiteProblem, site: np.ndarray, cost: AssignmentCost | None = None
    ) -> None:
        self.problem = problem
        self.site = np.asarray(site, np.int32)
        self.cost = assignment_cost(problem, site) if cost is None else cost

    def copy(self) -> "Best":
        return Best(self.problem, self.site, self.cost)

    def offer(self, site: np.ndarray) -> None:
        cost = assignment_cost(self.problem, site)
        if cost.total < self.cost.total:
            self.site, self.cost = np.asarray(site, np.int32), cost
