"""Checks schedules without trusting who made them: arrays only, every fault in words."""

from collections.abc import Sequence

import numpy as np

from .costs import IMPOSSIBLE, Ints, Schedule, TaskGraph

#: Faults of one kind that are listed; more say nothing new.
_LISTED = 10


def check_schedule(graph: TaskGraph, schedule: Schedule) -> list[str]:
    """Faults of a schedule of ``graph``: durations, precedence with transfers, devices, memory."""
    device, start, finish = schedule.device, schedule.start_ps, schedule.finish_ps
    if not len(device) == len(start) == len(finish) == graph.tasks:
        return [f"a schedule of {graph.tasks} tasks must have as many entries"]
    faults = []
    bad = np.flatnonzero((device < 0) | (device >= graph.devices) | (start < 0))
    if len(bad):
        return [f"task {t}: device {device[t]}, start {start[t]} ps" for t in bad[:_LISTED]]
    own = graph.duration_ps[np.arange(graph.tasks), device]
    faults += [
        f"task {t} runs on device {device[t]}, which cannot run it"
        for t in np.flatnonzero(own == IMPOSSIBLE)[:_LISTED]
    ]
    faults += [
        f"task {t} takes {finish[t] - start[t]} ps on device {device[t]}, it needs {own[t]} ps"
        for t in np.flatnonzero((own != IMPOSSIBLE) & (finish - start != own))[:_LISTED]
    ]
    arrival = finish[graph.source] + graph.transfer_ps(
        slice(None), device[graph.source], device[graph.target]
    )
    late = np.flatnonzero(arrival > start[graph.target])
    faults += [
        f"task {graph.target[e]} starts at {start[graph.target[e]]} ps, before the result of "
        f"task {graph.source[e]} arrives at {arrival[e]} ps"
        for e in late[:_LISTED]
    ]
    return faults + overlaps(device, start, finish) + _memory_faults(graph, device)


def overlaps(
    resource: Ints, start_ps: Ints, finish_ps: Ints, names: Sequence[str] | None = None
) -> list[str]:
    """Pairs of intervals on one resource that share time; empty intervals never do."""
    busy = np.flatnonzero(finish_ps > start_ps)
    order = busy[np.lexsort((start_ps[busy], resource[busy]))]
    left, right = order[:-1], order[1:]
    bad = np.flatnonzero((resource[left] == resource[right]) & (finish_ps[left] > start_ps[right]))
    return [
        f"{names[resource[a]] if names else f'device {resource[a]}'} is used twice: by {a} until "
        f"{finish_ps[a]} ps and by {b} from {start_ps[b]} ps"
        for a, b in zip(left[bad][:_LISTED], right[bad][:_LISTED], strict=True)
    ]


def check_order(start_ps: Ints, finish_ps: Ints, waits: Sequence[tuple[int, int]]) -> list[str]:
    """Events that start before one they wait for, ``(event, waited for)``, has finished."""
    if not len(waits):
        return []
    event, before = np.array(waits, np.int64).T
    late = np.flatnonzero(finish_ps[before] > start_ps[event])
    return [
        f"slot {event[i]} starts at {start_ps[event[i]]} ps, before slot {before[i]} ends at "
        f"{finish_ps[before[i]]} ps"
        for i in late[:_LISTED]
    ]


def _memory_faults(graph: TaskGraph, device: Ints) -> list[str]:
    if not len(graph.store) or not len(graph.capacity_bytes):
        return []
    needs = graph.store >= 0
    pairs = np.unique(np.stack([graph.store[needs], device[needs]], axis=1), axis=0)
    held = np.zeros(graph.devices, np.int64)
    np.add.at(held, pairs[:, 1], graph.store_bytes[pairs[:, 0], pairs[:, 1]])
    return [
        f"device {d} must hold {held[d]} bytes of stationary operands, it has "
        f"{graph.capacity_bytes[d]}"
        for d in np.flatnonzero(held > graph.capacity_bytes)
    ]
