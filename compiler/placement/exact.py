"""Least-cost assignments with proof, by OR-tools: for small problems, or those without links.

The problem is linear for CP-SAT because distances are separable: a link costs the sum over three
axes of |difference| of integers. Ten arrays on a grid of twenty sites take seconds; a quadratic
assignment problem of twenty is out of reach of any exact method of this kind.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from .assign import assign_sites
from .site_problem import SiteProblem, assignment_cost
from .start_sites import anchored_sites

#: Costs are rounded to whole numbers of which the largest sum possible is about this.
_LARGEST_SUM = 1e12


@dataclass(frozen=True, slots=True)
class ExactAssignment:
    """An assignment, and how far it can be from the best one."""

    site: np.ndarray
    """int32 [n]"""
    cost: float
    lower_bound: float
    """No assignment costs less."""
    is_optimal: bool
    """Whether that is proved, up to rounding of costs (a millionth)."""


def assign_exactly(problem: SiteProblem, *, seconds: float = 60.0) -> ExactAssignment:
    """The best assignment, or the best found in ``seconds``, with a lower bound.

    Raises InputError when OR-tools is needed and not installed.
    """
    if not problem.weight.any() and not _has_penalties(problem):
        if problem.layer_cost is None and (problem.fixed_sites < 0).all():
            site = anchored_sites(problem)  # by the rearrangement inequality
        else:
            site = _assign_linear(problem)
        cost = assignment_cost(problem, site).total
        return ExactAssignment(site, cost, cost, True)
    return _Model(problem).solve(seconds)


def _has_penalties(problem: SiteProblem) -> bool:
    grouped = problem.group is not None and problem.group_penalty > 0
    return grouped or (problem.power_w is not None and math.isfinite(problem.layer_cap_w))


def _ortools(module: str) -> Any:
    """A module of OR-tools, which is optional."""
    import importlib

    try:
        return importlib.import_module(f"ortools.{module}")
    except ImportError as error:
        raise InputError(
            "exact placement needs OR-tools", help='pip install "semc-compiler[exact]"'
        ) from error


def _site_costs(problem: SiteProblem) -> np.ndarray:
    """Cost of each array at each site but for links and penalties, float64 [n, sites]."""
    sites = np.arange(problem.sites)
    costs = np.outer(problem.anchor_weight, problem.port_distance(sites))
    if problem.layer_cost is not None:
        weight = np.ones(problem.arrays) if problem.layer_weight is None else problem.layer_weight
        costs += np.outer(weight, np.repeat(problem.layer_cost, problem.rows * problem.cols))
    return costs


def _choices(problem: SiteProblem) -> np.ndarray:
    """Which sites each array may have, bool [n, sites]."""
    fixed = problem.fixed_sites
    free = problem.usable.copy()
    free[fixed[fixed >= 0]] = False
    may = np.repeat(free[None], problem.arrays, axis=0)
    for i in np.flatnonzero(fixed >= 0):
        may[i] = False
        may[i, fixed[i]] = True
    return may


def _assign_linear(problem: SiteProblem) -> np.ndarray:
    """The best assignment where arrays do not see each other, int32 [n]."""
    solver = _ortools("graph.python.linear_sum_assignment").SimpleLinearSumAssignment()
    costs, may = _site_costs(problem), _choices(problem)
    factor = _LARGEST_SUM / max(1.0, float(costs[may].sum()))
    array, site = np.nonzero(may)
    # Sites that stay free are taken by arrays that cost nothing.
    spare = np.arange(problem.arrays, problem.sites)
    left = np.concatenate([array, np.repeat(spare, problem.sites)])
    right = np.concatenate([site, np.tile(np.arange(problem.sites), len(spare))])
    price = np.concatenate(
        [np.rint(costs[may] * factor), np.zeros(len(spare) * problem.sites)]
    ).astype(np.int64)
    solver.add_arcs_with_cost(left.astype(np.int32), right.astype(np.int32), price)
    if solver.solve() != solver.OPTIMAL:
        raise InputError("no assignment keeps every array on a site it may have")
    return np.array([solver.right_mate(i) for i in range(problem.arrays)], np.int32)


class _Model:
    """The problem in CP-SAT's terms."""

    def __init__(self, problem: SiteProblem) -> None:
        self.problem = problem
        self.cp = _ortools("sat.python.cp_model")
        self.model = self.cp.CpModel()
        self.terms: list[Any] = []
        self._costs = _site_costs(problem)
        span = float(np.array(problem.step_cost) @ np.array(problem.shape))
        largest = span * float(problem.weight.sum(dtype=float)) + float(self._costs.max(1).sum())
        power = 0.0 if problem.power_w is None else float(problem.power_w.sum(dtype=float))
        largest += problem.group_penalty * problem.arrays + problem.power_penalty * power
        self.factor = _LARGEST_SUM / max(largest, 1e-30)
        self._add_places()
        self._add_links()
        self._add_groups()
        self._add_power()
        self.model.minimize(sum(self.terms))

    def _add(self, cost: float, variable: Any) -> None:
        self.terms.append(round(cost * self.factor) * variable)

    def _add_places(self) -> None:
        problem = self.problem
        may = _choices(problem)
        self.at: list[dict[int, Any]] = []
        for i in range(problem.arrays):
            sites = np.flatnonzero(may[i]).tolist()
            self.at.append({s: self.model.new_bool_var(f"at_{i}_{s}") for s in sites})
            self.model.add_exactly_one(self.at[i].values())
            for s, here in self.at[i].items():
                self._add(float(self._costs[i, s]), here)
        for s in range(problem.sites):
            here = [at[s] for at in self.at if s in at]
            if len(here) > 1:
                self.model.add_at_most_one(here)

    def _add_links(self) -> None:
        """A variable at least as large as |difference| for each pair and axis that costs."""
        problem = self.problem
        coordinate = problem.coordinates(np.arange(problem.sites))
        position = [
            [sum(int(coordinate[s, axis]) * x for s, x in at.items()) for axis in range(3)]
            for at in self.at
        ]
        for i, j, weight in zip(*problem.pairs, strict=True):
            for axis, step in enumerate(problem.step_cost):
                if step == 0 or problem.shape[axis] == 1:
                    continue
                far = self.model.new_int_var(0, problem.shape[axis] - 1, f"far_{i}_{j}_{axis}")
                difference = position[i][axis] - position[j][axis]
                self.model.add(far >= difference)
                self.model.add(far >= -difference)
                self._add(step * float(weight), far)

    def _add_groups(self) -> None:
        problem = self.problem
        if problem.group is None or problem.group_penalty <= 0:
            return
        stacks = problem.rows * problem.cols
        for group in np.unique(problem.group[problem.group >= 0]):
            members = np.flatnonzero(problem.group == group)
            for stack in range(stacks):
                here = [x for i in members for s, x in self.at[i].items() if s % stacks == stack]
                if len(here) > problem.active:
                    over = self.model.new_int_var(0, len(here), f"over_{group}_{stack}")
                    self.model.add(over >= sum(here) - problem.active)
                    self._add(problem.group_penalty, over)

    def _add_power(self) -> None:
        """Power in millionths of all arrays' together."""
        problem = self.problem
        if problem.power_w is None or not math.isfinite(problem.layer_cap_w):
            return
        unit = max(float(problem.power_w.sum(dtype=float)), 1e-30) / 1e6
        stacks = problem.rows * problem.cols
        parts = np.ceil(problem.power_w / unit).astype(int).tolist()
        for layer in range(problem.layers):
            here = [
                parts[i] * x
                for i, at in enumerate(self.at)
                for s, x in at.items()
                if s // stacks == layer
            ]
            excess = self.model.new_int_var(0, sum(parts), f"excess_{layer}")
            self.model.add(excess >= sum(here) - math.floor(problem.layer_cap_w / unit))
            self._add(problem.power_penalty * unit, excess)

    def solve(self, seconds: float) -> ExactAssignment:
        problem = self.problem
        start = assign_sites(problem)
        for at, site in zip(self.at, start.site, strict=True):
            for s, here in at.items():
                self.model.add_hint(here, s == site)
        solver = self.cp.CpSolver()
        solver.parameters.max_time_in_seconds = seconds
        solver.parameters.num_workers = 1
        status = solver.solve(self.model)
        site = start.site
        if status in (self.cp.OPTIMAL, self.cp.FEASIBLE):
            chosen = self._chosen(solver.boolean_value)
            if assignment_cost(problem, chosen).total < start.cost:
                site = chosen
        cost = assignment_cost(problem, site).total
        bound = min(cost, solver.best_objective_bound / self.factor)
        return ExactAssignment(site, cost, bound, status == self.cp.OPTIMAL)

    def _chosen(self, value: Callable[[Any], bool]) -> np.ndarray:
        return np.array([next(s for s, x in at.items() if value(x)) for at in self.at], np.int32)
