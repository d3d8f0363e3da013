"""Simulated annealing of arrays on sites.

Kirkpatrick, Gelatt and Vecchi, Science 220 (1983) 671. The temperatures are set from what moves
cost when measured, the range of the moves follows the rate of acceptance (Betz and Rose, "VPR", FPL
1997).
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from .curves import space_filling_order
from .deadline import Deadline
from .site_moves import BLOCKED, FREE, Links, Rules, State, try_moves
from .site_problem import SiteProblem, assignment_cost, reordered


@dataclass(frozen=True, slots=True)
class Schedule:
    """Temperatures, in units of what a short move costs on average, and how many moves.

    ``hot`` to ``cold`` falls geometrically; ``reach`` is the range of the first moves as a share of
    the grid, afterwards it follows the rate of acceptance.
    """

    hot: float
    cold: float
    reach: float
    moves: int

    def of(self, moves: int) -> "Schedule":
        """The same with this many moves."""
        return replace(self, moves=moves)


#: From any start; from a good one; measured on planted grids and tiles of decoders.
FULL = Schedule(0.3, 0.02, 1.0, 0)
REFINE = Schedule(0.1, 0.01, 0.25, 0)
_RATE = 0.44  # of acceptance at which annealing does most (Lam and Delosme 1988)
_NEAR = 800  # of 1,024 moves go beside a neighbour
_TEMPERATURES = 60  # at least, or as many as leave each some moves
_LEAST_CHUNK = 1_000


class Annealer:
    """A placement that is being annealed; ``best`` is the cheapest seen, of cost ``best_cost``.

    Same problem, start, seed and schedules give the same placement.
    """

    def __init__(self, problem: SiteProblem, site: np.ndarray, seed: int) -> None:
        self.problem = problem
        # Inside, arrays are numbered along a curve, so that what is near is near in memory too.
        self._order = space_filling_order(problem.coordinates(site))
        inside = reordered(problem, self._order)
        self.links = _links(inside)
        self.rules = _rules(inside)
        self.state = _state(inside, self.links, site[self._order], seed)
        self.cost = self.best_cost = assignment_cost(problem, site).total
        self.best = np.array(site, np.int32)
        self.moves = 0
        self._next = 0

    def run(self, schedule: Schedule, deadline: Deadline | None = None) -> None:
        """Anneal; ends early at the ``deadline``."""
        if not self.links.movable.any():
            return
        n = self.problem.arrays
        chunk = max(_LEAST_CHUNK, min(n, schedule.moves // _TEMPERATURES))
        chunks = max(2, schedule.moves // chunk)
        unit = self._chunk(min(chunk, 2 * n + 1000), 0.0, 0.0)[1]
        reach = schedule.reach
        for k in range(chunks):
            share = k / (chunks - 1)
            temperature = unit * schedule.hot * (schedule.cold / schedule.hot) ** share
            accepted, _ = self._chunk(chunk, temperature, reach)
            reach = min(1.0, reach * (1 - _RATE + accepted))
            if deadline is not None and deadline.is_over():
                break
        self._chunk(2 * n, 0.0, 0.0)
        self._keep()

    def _chunk(self, moves: int, temperature: float, reach: float) -> tuple[float, float]:
        """(Share of tries accepted, mean cost of the tries that lengthen the links)."""
        window = tuple(max(1, round(reach * size)) for size in self.problem.shape)
        change, accepted, tried, uphill, uphills = try_moves(
            self.links, self.rules, self.state, self._next, moves, temperature, window, _NEAR
        )
        self._next = (self._next + moves) % self.problem.arrays
        self.moves += moves
        self.cost += change
        return accepted / max(1, tried), uphill / max(1, uphills)

    def _keep(self) -> None:
        site = self.sites()
        self.cost = assignment_cost(self.problem, site).total
        if self.cost < self.best_cost:
            self.best_cost = self.cost
            self.best = site

    def sites(self) -> np.ndarray:
        """The placement as it is now, int32 [n]."""
        layer, row, col = self.state.position.astype(np.int32).T
        site = np.empty(self.problem.arrays, np.int32)
        site[self._order] = (layer * self.problem.rows + row) * self.problem.cols + col
        return site


def _links(problem: SiteProblem) -> Links:
    n = problem.arrays

    def column(values: np.ndarray | None, default: float, kind: type) -> np.ndarray:
        return np.full(n, default, kind) if values is None else np.asarray(values, kind)

    keep = problem.link_rows != problem.neighbour
    indptr = np.concatenate([[0], np.cumsum(np.bincount(problem.link_rows[keep], minlength=n))])
    costs = problem.layer_cost
    return Links(
        indptr.astype(np.int64),
        np.asarray(problem.neighbour, np.int32)[keep],
        np.asarray(problem.weight, np.float32)[keep],
        column(problem.anchor_weight, 0, np.float32),
        column(problem.layer_weight, 1, np.float32),
        np.zeros(problem.layers, np.float32) if costs is None else np.asarray(costs, np.float32),
        column(problem.group, -1, np.int32),
        column(problem.power_w, 0, np.float32),
        problem.fixed_sites < 0,
    )


def _rules(problem: SiteProblem) -> Rules:
    layer_step, row_step, col_step = problem.step_cost
    return Rules(
        layers=problem.layers,
        rows=problem.rows,
        cols=problem.cols,
        layer_step=float(layer_step),
        row_step=float(row_step),
        col_step=float(col_step),
        port_row=int(problem.port[0]),
        port_col=int(problem.port[1]),
        active=int(problem.active),
        group_penalty=float(problem.group_penalty),
        layer_cap=float(problem.layer_cap_w) if problem.power_w is not None else math.inf,
        power_penalty=float(problem.power_penalty),
        grouped=problem.group is not None and problem.group_penalty > 0,
    )


def _state(problem: SiteProblem, links: Links, site: np.ndarray, seed: int) -> State:
    layers, stacks = problem.layers, problem.rows * problem.cols
    inside = (site % stacks) * layers + site // stacks
    blocked = problem.usable.reshape(layers, stacks).T.ravel()
    occupant = np.where(blocked, FREE, BLOCKED).astype(np.int32)
    occupant[inside] = np.arange(len(site))
    group = np.full(problem.sites, -1, np.int32)
    group[inside] = links.group
    position = problem.coordinates(site).astype(np.int16)
    power = np.bincount(position[:, 0], links.power, minlength=layers).astype(float)
    random = np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)
    return State(position, occupant, group, power, random)
