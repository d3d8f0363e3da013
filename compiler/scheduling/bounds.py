"""Lower bounds on the length of any schedule: what no scheduler can beat.

critical path   the longest chain of tasks, each on its fastest device, transfers for nothing
load            for any shares y >= 0 of the devices with sum 1, sum_i min_d y_d p_id (the dual of
                the linear program that spreads all work at will; weak duality makes each y a bound)
"""

import numpy as np

from .costs import IMPOSSIBLE, TaskGraph

#: Steps of the ascent over the shares; each step's value is a bound, more steps tighten it.
_STEPS = 200


def lower_bound_ps(graph: TaskGraph) -> int:
    """The larger of both bounds, picoseconds, rounded down."""
    return max(critical_path_ps(graph), load_bound_ps(graph))


def critical_path_ps(graph: TaskGraph) -> int:
    """The longest chain of tasks at their shortest durations."""
    able = graph.duration_ps != IMPOSSIBLE
    huge = np.iinfo(np.int64).max
    finish = np.where(able, graph.duration_ps, huge).min(axis=1, initial=huge)
    order = np.argsort(graph.target, kind="stable")
    source, target = graph.source[order], graph.target[order]
    firsts = np.searchsorted(target, np.arange(graph.tasks + 1))
    for task in range(graph.tasks):
        before = source[firsts[task] : firsts[task + 1]]
        if len(before):
            finish[task] += finish[before].max()
    return int(finish.max(initial=0))


def load_bound_ps(graph: TaskGraph) -> int:
    """The best value of the dual found by multiplicative weights (Arora et al., 2012)."""
    if not graph.tasks:
        return 0
    able = graph.duration_ps != IMPOSSIBLE
    cost = np.where(able, graph.duration_ps, np.inf).astype(np.float64)
    shares = np.full(graph.devices, 1 / graph.devices)
    best = 0.0
    for step in range(_STEPS):
        with np.errstate(invalid="ignore"):
            weighted = np.where(able, cost * shares, np.inf)
        chosen = weighted.argmin(axis=1)
        best = max(best, float(weighted.min(axis=1).sum()))
        load = np.bincount(
            chosen, weights=cost[np.arange(graph.tasks), chosen], minlength=graph.devices
        )
        if load.max() <= 0:
            break
        # A device that the shares overload becomes dearer.
        shares = shares * np.exp(load / load.max() / np.sqrt(step + 1))
        shares /= shares.sum()
    # Durations are whole numbers, float64 sums of them are good to 1e-9 of their size.
    return int(best * (1 - 1e-9))
