"""The scheduling problem as arrays: durations of tasks on devices, transfers between them.

All times are integers of picoseconds, so that schedules compare and check exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...backends.pal.work import bits_on_link
from ...backends.targets import MeshTarget
from ...backends.targets.mesh_cost import Work, task_latency_s

Ints = NDArray[np.int64]

PS_PER_S = 10**12
#: A duration that says: this device cannot run this task.
IMPOSSIBLE = -1
#: What an edge carries: floating-point values (their size depends on the devices), or bytes.
VALUES, BYTES = 0, 1


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Tasks, what they pass to each other, and what both cost on each device.

    duration_ps   int64 [tasks, devices]; IMPOSSIBLE where a device cannot run a task
    source        int64 [edges], target int64 [edges]: a task and one that needs its result
    amount        int64 [edges] of the unit ``unit`` int64 [edges] (a row of ``ps_per_unit``)
    latency_ps    int64 [devices, devices], zero on the diagonal
    ps_per_unit   float64 [units, devices, devices], zero on the diagonal
    store         int64 [tasks]: the stationary operand that a task needs on its device, or -1
    store_bytes   int64 [stores, devices]; capacity_bytes int64 [devices] for all of them

    Tasks are numbered so that an edge goes from a smaller number to a larger one.
    """

    duration_ps: Ints
    source: Ints
    target: Ints
    amount: Ints
    unit: Ints
    latency_ps: Ints
    ps_per_unit: NDArray[np.float64]
    store: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    store_bytes: Ints = field(default_factory=lambda: np.empty((0, 0), np.int64))
    capacity_bytes: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def tasks(self) -> int:
        return len(self.duration_ps)

    @property
    def devices(self) -> int:
        return self.duration_ps.shape[1]

    def transfer_ps(self, edges: Ints | slice, a: Ints | int, b: Ints | int) -> Ints:
        """Time of passing ``edges`` from device ``a`` to ``b`` (arrays broadcast)."""
        units = self.ps_per_unit[self.unit[edges], a, b]
        moved = np.rint(self.amount[edges] * units).astype(np.int64)
        return np.asarray(self.latency_ps[a, b] + moved)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The device of each task and when it runs, int64 [tasks] each."""

    device: Ints
    start_ps: Ints
    finish_ps: Ints

    @property
    def makespan_ps(self) -> int:
        return int(self.finish_ps.max(initial=0))


def picoseconds(seconds: float) -> int:
    """Seconds as whole picoseconds, never less than the time given."""
    return int(np.ceil(round(seconds * PS_PER_S, 3)))


def task_durations(target: MeshTarget, work: Sequence[Sequence[Work | None]]) -> Ints:
    """int64 [tasks, devices] of ``work[task][device]``; None where a device cannot do it."""
    return np.array(
        [
            [
                IMPOSSIBLE if w is None else picoseconds(task_latency_s(device, w))
                for device, w in zip(target.devices, row, strict=True)
            ]
            for row in work
        ],
        np.int64,
    ).reshape(len(work), len(target.devices))


def link_costs(target: MeshTarget) -> tuple[Ints, NDArray[np.float64]]:
    """``latency_ps`` [d, d] and ``ps_per_unit`` [2, d, d] (rows VALUES and BYTES) of a mesh."""
    count = len(target.devices)
    latency = np.zeros((count, count), np.int64)
    per_unit = np.zeros((2, count, count))
    for i, a in enumerate(target.devices):
        for j, b in enumerate(target.devices):
            if i == j:
                continue
            route = target.link_between(a.name, b.name)
            latency[i, j] = picoseconds(route.latency_us * 1e-6)
            ps_per_byte = PS_PER_S / (route.gb_s * 1e9)
            per_unit[VALUES, i, j] = ps_per_byte * bits_on_link(a, b) / 8
            per_unit[BYTES, i, j] = ps_per_byte
    return latency, per_unit
