"""HEFT: heterogeneous earliest finish time with insertion, over arrays.

Topcuoglu, Hariri, Wu, "Performance-effective and low-complexity task scheduling for heterogeneous
computing", IEEE TPDS 13(3), 2002, doi 10.1109/71.993206. Tasks go by upward rank (mean duration
plus the longest mean way to the end) to the device that finishes them first; a task may use a gap
that earlier tasks have left. The placing loop is one function that runs as Python over lists, or
compiled by numba over arrays when there are enough tasks to pay for loading it.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .costs import IMPOSSIBLE, Ints, Schedule, TaskGraph

#: From this many tasks on numba is loaded (half a second, ten when its cache is cold).
COMPILE_FROM_TASKS = 20_000


def schedule_heft(graph: TaskGraph) -> Schedule:
    """The schedule of HEFT. Raises ValueError when a task has no device it can run on.

    Deterministic: ties go to the earlier task and the device listed first.
    """
    _check(graph)
    ranks = upward_ranks(graph)
    # A predecessor comes first even where its rank is no larger (tasks without any duration).
    order = np.lexsort((np.arange(graph.tasks), -ranks))
    return place_in_order(graph, order)


def schedule_on_one(graph: TaskGraph, device: int) -> Schedule:
    """Everything on ``device``, except the tasks that it cannot run, in order of task number."""
    duration = graph.duration_ps.copy()
    able = duration[:, device] != IMPOSSIBLE
    others = np.arange(graph.devices) != device
    duration[np.ix_(able, others)] = IMPOSSIBLE
    alone = TaskGraph(
        duration, graph.source, graph.target, graph.amount, graph.unit, graph.latency_ps,
        graph.ps_per_unit, graph.store, graph.store_bytes, graph.capacity_bytes,
    )  # fmt: skip
    return place_in_order(alone, np.arange(graph.tasks))


def schedule_best(graph: TaskGraph) -> Schedule:
    """HEFT's schedule, or the shortest that keeps to one device where that is no longer."""
    candidates = [schedule_heft(graph)]
    for device in range(graph.devices):
        try:
            candidates.append(schedule_on_one(graph, device))
        except ValueError:  # its memory does not hold everything
            continue
    return min(candidates, key=lambda s: (s.makespan_ps, len(set(s.device.tolist()))))


def upward_ranks(graph: TaskGraph) -> np.ndarray:
    """float64 [tasks]: mean duration plus the longest mean way from a task to the end.

    Means are over the devices able to run a task, and over pairs of different devices.
    """
    able = graph.duration_ps != IMPOSSIBLE
    rank = np.where(able, graph.duration_ps, 0).sum(axis=1) / np.maximum(able.sum(axis=1), 1)
    pairs = graph.devices * (graph.devices - 1)
    mean_ps = np.zeros(len(graph.source))
    if pairs:
        per_unit = graph.ps_per_unit.sum(axis=(1, 2)) / pairs
        mean_ps = graph.latency_ps.sum() / pairs + graph.amount * per_unit[graph.unit]
    first, edges = _adjacency(graph.source, graph.tasks)
    target = graph.target
    for task in range(graph.tasks - 1, -1, -1):
        own = edges[first[task] : first[task + 1]]
        if len(own):
            rank[task] += (mean_ps[own] + rank[target[own]]).max()
    return rank


def place_in_order(graph: TaskGraph, order: Ints) -> Schedule:
    """Give each task of ``order`` (predecessors first) the device that finishes it first.

    Raises ValueError for a task that no device can take.
    """
    _check(graph)
    first, edges = _adjacency(graph.target, graph.tasks)
    stores = graph.store if len(graph.store) else np.full(graph.tasks, -1, np.int64)
    capacity = graph.capacity_bytes
    if not len(capacity):
        capacity = np.full(graph.devices, np.iinfo(np.int64).max // 2, np.int64)
    store_bytes = graph.store_bytes
    if not len(store_bytes):
        store_bytes = np.zeros((1, graph.devices), np.int64)
    compiled = graph.tasks >= COMPILE_FROM_TASKS
    shape = (graph.devices, graph.tasks)
    arrays: list[np.ndarray] = [
        np.asarray(order, np.int64), graph.duration_ps, first, graph.source[edges],
        graph.amount[edges], graph.unit[edges], graph.latency_ps, graph.ps_per_unit,
        stores, store_bytes, capacity,
        np.zeros((len(store_bytes), graph.devices), np.int64),
        np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(graph.devices, np.int64),
        np.full(graph.tasks, -1, np.int64), np.zeros(graph.tasks, np.int64),
        np.zeros(graph.tasks, np.int64),
    ]  # fmt: skip
    if compiled:
        failed = _compiled_placing()(*arrays)
    else:
        lists: list[Any] = [a.tolist() for a in arrays]
        failed = _place_tasks(*lists)
        arrays = [np.array(x, np.int64) for x in lists[-3:]]
    if failed >= 0:
        raise ValueError(f"no device can take task {failed}")
    return Schedule(*arrays[-3:])


def _check(graph: TaskGraph) -> None:
    stuck = np.flatnonzero((graph.duration_ps == IMPOSSIBLE).all(axis=1))
    if len(stuck):
        raise ValueError(f"no device can run task {int(stuck[0])}")
    if (graph.source >= graph.target).any():
        raise ValueError("edges must go from a smaller task number to a larger one")


def _adjacency(keys: Ints, tasks: int) -> tuple[Ints, Ints]:
    """Edges grouped by ``keys``: those of task t are ``edges[first[t]:first[t + 1]]``."""
    edges = np.argsort(keys, kind="stable")
    first = np.searchsorted(keys[edges], np.arange(tasks + 1))
    return first.astype(np.int64), edges


@cache
def _compiled_placing() -> Callable[..., int]:
    from ...compiled import compiled

    return compiled()(_place_tasks)


def _place_tasks(
    order: Any,
    duration: Any,
    first: Any,
    source: Any,
    amount: Any,
    unit: Any,
    latency: Any,
    per_unit: Any,
    store: Any,
    store_bytes: Any,
    free: Any,
    held: Any,
    busy_start: Any,
    busy_finish: Any,
    count: Any,
    device: Any,
    start: Any,
    finish: Any,
) -> int:
    """Fills ``device``, ``start`` and ``finish``; returns the task that fits nowhere, or -1.

    ``busy_start[d][:count[d]]`` and ``busy_finish`` are the intervals in which device d works, in
    order and apart; indices are chained, so that nested lists serve as well as arrays.
    """
    for task in order:
        best_finish = -1
        best_device = -1
        best_start = 0
        best_at = 0
        kept = store[task]
        for d in range(len(count)):
            length = duration[task][d]
            if length < 0:
                continue
            if kept >= 0 and held[kept][d] == 0 and store_bytes[kept][d] > free[d]:
                continue
            ready = 0
            for e in range(first[task], first[task + 1]):
                p = source[e]
                f = device[p]
                arrival = finish[p]
                if f != d:
                    arrival += latency[f][d] + round(amount[e] * per_unit[unit[e]][f][d])
                if arrival > ready:
                    ready = arrival
            if best_device >= 0 and ready + length >= best_finish:
                continue
            # The first interval that ends after ``ready``, by bisection; gaps before it are past.
            low = 0
            high = count[d]
            while low < high:
                middle = (low + high) // 2
                if busy_finish[d][middle] > ready:
                    high = middle
                else:
                    low = middle + 1
            begin = ready
            while low < count[d] and busy_start[d][low] < begin + length:
                if busy_finish[d][low] > begin:
                    begin = busy_finish[d][low]
                low += 1
            if best_device < 0 or begin + length < best_finish:
                best_finish = begin + length
                best_device = d
                best_start = begin
                best_at = low
        if best_device < 0:
            return task
        if kept >= 0 and held[kept][best_device] == 0:
            held[kept][best_device] = 1
            free[best_device] -= store_bytes[kept][best_device]
        device[task] = best_device
        start[task] = best_start
        finish[task] = best_finish
        if best_finish == best_start:
            continue
        # Neighbours that touch become one interval, so that only real gaps are searched.
        starts = busy_start[best_device]
        finishes = busy_finish[best_device]
        last = count[best_device]
        left = best_at > 0 and finishes[best_at - 1] == best_start
        right = best_at < last and starts[best_at] == best_finish
        if left and right:
            finishes[best_at - 1] = finishes[best_at]
            for k in range(best_at, last - 1):
                starts[k] = starts[k + 1]
                finishes[k] = finishes[k + 1]
            count[best_device] = last - 1
        elif left:
            finishes[best_at - 1] = best_finish
        elif right:
            starts[best_at] = best_start
        else:
            for k in range(last, best_at, -1):
                starts[k] = starts[k - 1]
                finishes[k] = finishes[k - 1]
            starts[best_at] = best_start
            finishes[best_at] = best_finish
            count[best_device] = last + 1
    return -1
