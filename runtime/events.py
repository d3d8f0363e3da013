"""Discrete-event core: streams of tasks on resources, tied by events. Both machines use it.

A stream issues its tasks in order, one at a time. A task starts when its stream is free, when the
tasks it waits for have finished, and when the resources it holds are free; resources are granted
in the order of readiness, ties by task number. Nothing here knows what a task does.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import ProgramError


@dataclass(frozen=True, slots=True)
class Task:
    """``duration_s`` on ``stream``, after the tasks ``waits`` (indices), holding ``resources``.

    ``inside_s`` are the busy seconds of the streams that a task stands for, where it is more than
    one: a loop keeps those of its body busy. A task that is not ``in_order`` waits for nothing but
    what it names: ``stream`` is then only whose busy time it adds to.
    """

    stream: str
    duration_s: float
    waits: tuple[int, ...] = ()
    resources: tuple[str, ...] = ()
    inside_s: Mapping[str, float] | None = None
    in_order: bool = True


@dataclass(frozen=True, slots=True)
class Timeline:
    """Start and finish of every task, seconds, float64 [tasks]."""

    tasks: Sequence[Task]
    start_s: np.ndarray
    finish_s: np.ndarray

    @property
    def makespan_s(self) -> float:
        return float(self.finish_s.max(initial=0.0))

    def busy_s(self) -> dict[str, float]:
        """Seconds each stream works; never more than the makespan."""
        busy: dict[str, float] = {}
        for task, start, finish in zip(self.tasks, self.start_s, self.finish_s, strict=True):
            parts = task.inside_s
            if parts is None:
                parts = {task.stream: float(finish - start)}
            for stream, seconds in parts.items():
                busy[stream] = busy.get(stream, 0.0) + seconds
        return busy

    def utilisation(self) -> dict[str, float]:
        """Share of the makespan that each stream works."""
        span = self.makespan_s
        return {name: busy / span if span else 0.0 for name, busy in self.busy_s().items()}


def run(tasks: Sequence[Task]) -> Timeline:
    """Play ``tasks`` (each stream's in their order). Raises ProgramError on a deadlock."""
    count = len(tasks)
    start, finish = np.zeros(count), np.zeros(count)
    followers: list[list[int]] = [[] for _ in range(count)]
    missing = np.zeros(count, np.int64)
    previous: dict[str, int] = {}
    for i, task in enumerate(tasks):
        needs = set(task.waits)
        if task.in_order:
            if task.stream in previous:
                needs.add(previous[task.stream])
            previous[task.stream] = i
        missing[i] = len(needs)
        for j in needs:
            followers[j].append(i)
    free_s: dict[str, float] = {}
    ready: list[tuple[float, int]] = [(0.0, i) for i in range(count) if missing[i] == 0]
    heapq.heapify(ready)
    done = 0
    while ready:
        at, i = heapq.heappop(ready)
        task = tasks[i]
        begin = max([at, *(free_s.get(r, 0.0) for r in task.resources)])
        if begin > at:  # a resource is held: queue again when it is free
            heapq.heappush(ready, (begin, i))
            continue
        start[i], finish[i] = begin, begin + task.duration_s
        for resource in task.resources:
            free_s[resource] = finish[i]
        done += 1
        for j in followers[i]:
            missing[j] -= 1
            start[j] = max(start[j], finish[i])
            if missing[j] == 0:
                heapq.heappush(ready, (float(start[j]), j))
    if done < count:
        raise ProgramError(f"the program cannot finish: {count - done} tasks wait for each other")
    return Timeline(tasks, start, finish)
