"""Orders tasks for controllers that work in order: a list schedule over arrays.

A task has one unit, which runs one task at a time, and may use the two links of the port, which
serve tasks in the order in which they start. Whenever a unit is free, it takes the ready task of
highest priority (list scheduling: Graham, "Bounds on multiprocessing timing anomalies", SIAM J.
Appl. Math. 17, 1969). Tasks that start in this order on controllers that keep it take as long as
they did here, so an order can be judged before any instruction is made.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class StreamTask:
    """``seconds`` on ``unit`` (None: it takes no time and no unit), after the tasks ``needs``.

    It keeps its unit for ``lead_s`` before; ``out_s`` and ``back_s`` are the times for which it
    then keeps the link to the arrays and the one from them.
    ``key`` orders tasks of a unit under the rule ``in_bands``.
    """

    unit: int | None
    seconds: float
    needs: Sequence[int]
    key: tuple[float, int]
    lead_s: float = 0.0
    out_s: float = 0.0
    back_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """Tasks in the order in which they start, and when the last one is over."""

    tasks: list[int]
    makespan_s: float


def best_order(tasks: Sequence[StreamTask]) -> Order:
    """The shorter of two schedules: furthest from the end first, and band after band.

    Tasks need earlier tasks only.
    """
    ranks = _ranks(tasks)
    by_rank = [(-rank, i) for i, rank in enumerate(ranks)]
    orders = [schedule(tasks, by_rank), schedule(tasks, [task.key for task in tasks])]
    return min(orders, key=lambda order: order.makespan_s)


def _ranks(tasks: Sequence[StreamTask]) -> list[float]:
    """Time from the start of each task to the end of the last that follows from it."""
    ranks = [task.lead_s + task.seconds for task in tasks]
    for i in reversed(range(len(tasks))):
        for j in tasks[i].needs:
            ranks[j] = max(ranks[j], tasks[j].lead_s + tasks[j].seconds + ranks[i])
    return ranks


def schedule(tasks: Sequence[StreamTask], priority: Sequence[tuple[float, int]]) -> Order:
    """Play the tasks; of those that are ready, a unit takes the one of least ``priority``."""
    return _Player(tasks, priority).play()


def in_order_makespan(tasks: Sequence[StreamTask]) -> float:
    """How long the tasks take if each unit runs its own in the order given."""
    free: dict[int, float] = {}
    links = [0.0, 0.0]
    ends: list[float] = []
    for task in tasks:
        start = max((ends[j] for j in task.needs), default=0.0)
        if task.unit is not None:
            start = max(start, free.get(task.unit, 0.0))
        ends.append(_end(task, start, links))
        if task.unit is not None:
            free[task.unit] = ends[-1]
    return max(ends, default=0.0)


def _end(task: StreamTask, start: float, links: list[float]) -> float:
    """When ``task`` is over; it takes its turn on the ``links``, which hold when they are free."""
    start += task.lead_s
    end = start + task.seconds
    for link, seconds in enumerate((task.out_s, task.back_s)):
        if seconds:
            links[link] = max(links[link], start) + seconds
            end = max(end, links[link])
    return end


class _Player:
    def __init__(self, tasks: Sequence[StreamTask], priority: Sequence[tuple[float, int]]) -> None:
        self.tasks, self.priority = tasks, priority
        self.missing = [len(set(task.needs)) for task in tasks]
        self.followers: list[list[int]] = [[] for _ in tasks]
        for i, task in enumerate(tasks):
            for j in set(task.needs):
                self.followers[j].append(i)
        self.waiting: dict[int, list[tuple[tuple[float, int], int]]] = {}
        self.busy: set[int] = set()
        self.ends: list[tuple[float, int]] = []
        self.links = [0.0, 0.0]
        self.order: list[int] = []
        self.last_s = 0.0

    def play(self) -> Order:
        free = [i for i, count in enumerate(self.missing) if not count]
        self._ready(free, 0.0)
        while self.ends:
            now = self.ends[0][0]
            done = []
            while self.ends and self.ends[0][0] == now:
                done.append(heapq.heappop(self.ends)[1])
            for i in done:
                self.busy.discard(self.tasks[i].unit)
            self._ready([k for i in done for k in self._release(i)], now)
        return Order(self.order, self.last_s)

    def _release(self, i: int) -> list[int]:
        """The tasks that needed nothing more than ``i``."""
        free = []
        for j in self.followers[i]:
            self.missing[j] -= 1
            if not self.missing[j]:
                free.append(j)
        return free

    def _ready(self, free: list[int], now: float) -> None:
        """Queue what has become ready, and start what finds its unit free."""
        while free:
            i = free.pop()
            unit = self.tasks[i].unit
            if unit is None:
                self.order.append(i)
                free += self._release(i)
            else:
                heapq.heappush(self.waiting.setdefault(unit, []), (self.priority[i], i))
        for unit, queue in self.waiting.items():
            if queue and unit not in self.busy:
                self._start(heapq.heappop(queue)[1], now)

    def _start(self, i: int, now: float) -> None:
        task = self.tasks[i]
        assert task.unit is not None
        self.busy.add(task.unit)
        self.order.append(i)
        end = _end(task, now, self.links)
        self.last_s = max(self.last_s, end)
        heapq.heappush(self.ends, (end, i))


def band_bounds(rows: int, bands: int) -> list[tuple[int, int]]:
    """``rows`` cut into at most ``bands`` runs of nearly equal length."""
    count = min(bands, rows)
    cuts = (np.arange(count + 1) * rows // count).tolist()
    return list(pairwise(cuts))
