"""Task and transfer records of a mesh program: packed rows in the file, plain data in memory.

    tasks.table     i64 [T, 14]  TASK: one row a task
    tasks.refs      i64 [n]      what each task reads (buffer n, or -1 - n for weight n), the
                                 buffers it writes, and the registers that go there
    tasks.work      f64 [T, 5]   operations and bytes (backends.targets.mesh_cost.Work)
    transfers.table i64 [X, 10]  TRANSFER
    flow.table      i64 [F, 8]   FLOW: where control operations (backends.control) stand
    waits           i64 [n]      slots that must have finished before a slot starts
    steps.table     i64 [S, 9]   STEP: an operation of a task's region
    steps.operands  i64 [n]      registers: what the task reads, then one a result of each step
    results.table   i64 [R, 3]   RESULT: the tensor type of a step's result
    results.dims    i64 [n]      shapes, one after another
    weights.table   i64 [W, 10]  WEIGHT
    weights.dims    i64 [n]      shapes
    weights.n       [.., K, N]   exact values                       codes.n, exponents.n  ui8

Slots number tasks, transfers and control flow of a block together, in program order; times are
picoseconds since the block began.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from typing import Literal

import numpy as np

from ...dialects.elements import CODE_OF_DTYPE
from ...dialects.kernel import Kernel
from ..control import Control, block_count
from ..decoded import DecodedProgram
from ..tables import Names
from ..targets import MeshTarget
from ..targets.mesh_cost import Work


def _record(*names: str) -> np.dtype:
    return np.dtype([(name, "<i8") for name in names])


TASK = _record(
    "block", "slot", "device", "format", "start_ps", "finish_ps", "node", "first_ref", "ins",
    "outs", "first_step", "steps", "first_wait", "waits",
)  # fmt: skip
TRANSFER = _record(
    "block", "slot", "source", "target", "bytes", "start_ps", "finish_ps", "node", "first_wait",
    "waits",
)  # fmt: skip
FLOW = _record("block", "slot", "control", "start_ps", "finish_ps", "node", "first_wait", "waits")
STEP = _record(
    "opcode", "kernel", "format", "axis", "search", "first_operand", "operands", "first_result",
    "results",
)  # fmt: skip
RESULT = _record("element", "rank", "first_dim")
WEIGHT = _record(
    "name", "memory", "offset", "format", "element", "rank", "first_dim", "weights", "codes",
    "tensor_exponent",
)  # fmt: skip
RECORDS = {
    "tasks.table": TASK,
    "transfers.table": TRANSFER,
    "flow.table": FLOW,
    "steps.table": STEP,
    "results.table": RESULT,
    "weights.table": WEIGHT,
}
WORK_FIELDS = tuple(f.name for f in fields(Work))

#: What a step does; the position is its opcode in the file.
OPCODES: tuple["StepName", ...] = ("kernel", "encode", "decode", "matmul", "matmul_exact")
StepName = Literal["kernel", "encode", "decode", "matmul", "matmul_exact"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """The type of a step's result."""

    dtype: np.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a task: a kernel, or an operation on PAL codes.

    ``format``, ``axis`` and ``search`` (-1: the format's own) belong to encode. ``operands`` and
    the results are registers: what the task reads, then one for each result of each step.
    """

    name: StepName
    operands: tuple[int, ...]
    results: tuple[Tensor, ...]
    kernel: Kernel | None = None
    format: str | None = None
    axis: int = 0
    search: int = -1


@dataclass(frozen=True, slots=True)
class Task:
    """Work of one slot on one device. ``ins`` are buffers, or -1 - n for stationary operand n."""

    block: int
    slot: int
    device: str
    format: str
    start_ps: int
    finish_ps: int
    node: str | None
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    yields: tuple[int, ...]
    steps: tuple[Step, ...]
    after: tuple[int, ...]
    work: Work


@dataclass(frozen=True, slots=True)
class Transfer:
    """A copy of buffer ``source`` into ``target``, which is in another device's memory."""

    block: int
    slot: int
    source: int
    target: int
    nbytes: int
    start_ps: int
    finish_ps: int
    node: str | None
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """The slot of control operation ``control``."""

    block: int
    slot: int
    control: int
    start_ps: int
    finish_ps: int
    node: str | None
    after: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Weight:
    """A stationary operand [.., K, N] at byte ``offset`` of ``memory`` in ``format``.

    ``weights`` names the section of its exact values, ``codes`` the number of the sections
    ``codes.n`` and ``exponents.n`` of a PAL format; None where the program has none.
    """

    name: str
    memory: str
    offset: int
    format: str
    tensor: Tensor
    weights: int | None
    codes: int | None
    tensor_exponent: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class MeshProgram(DecodedProgram):
    """A checked mesh program: stationary operands, tasks, transfers and control flow."""

    target: MeshTarget
    weights: list[Weight]
    tasks: list[Task]
    transfers: list[Transfer]
    flows: list[Flow]
    controls: list[Control]

    @property
    def blocks(self) -> list[list[Task | Transfer | Flow]]:
        """The slots of each block in program order."""
        blocks: list[list[Task | Transfer | Flow]] = [[] for _ in range(block_count(self.controls))]
        every: list[Task | Transfer | Flow] = [*self.tasks, *self.transfers, *self.flows]
        for slot in every:
            blocks[slot.block].append(slot)
        return [sorted(slots, key=lambda s: s.slot) for slots in blocks]

    @property
    def makespan_ps(self) -> int:
        """When the last slot finishes."""
        return max((slot.finish_ps for slot in self.blocks[0]), default=0)


def encode_tasks(
    tasks: Sequence[Task],
    transfers: Sequence[Transfer],
    flows: Sequence[Flow],
    weights: Sequence[Weight],
    devices: Sequence[str],
    names: Names,
) -> tuple[dict[str, np.ndarray], list[Kernel]]:
    """The sections above, and the kernels in the order in which steps name them."""
    writer = _Writer(names, devices)
    for task in tasks:
        writer.task(task)
    for transfer in transfers:
        writer.transfer(transfer)
    for flow in flows:
        writer.flow(flow)
    for weight in weights:
        writer.weight(weight)
    sections = {
        name: np.array(writer.rows[name], np.int64).reshape(-1, len(record.names or ()))
        for name, record in RECORDS.items()
    }
    flat = {name: np.array(values, np.int64) for name, values in writer.flat.items()}
    work = np.array([astuple(task.work) for task in tasks], np.float64)
    return {
        **sections,
        **flat,
        "tasks.work": work.reshape(-1, len(WORK_FIELDS)),
    }, writer.kernels


class _Writer:
    def __init__(self, names: Names, devices: Sequence[str]) -> None:
        self.names = names
        self.devices = list(devices)
        self.kernels: list[Kernel] = []
        self.rows: dict[str, list[tuple[int, ...]]] = {name: [] for name in RECORDS}
        self.flat: dict[str, list[int]] = {
            name: []
            for name in ("tasks.refs", "waits", "steps.operands", "results.dims", "weights.dims")
        }

    def _extend(self, name: str, values: Sequence[int]) -> int:
        """Append ``values`` to a flat section; returns where they start."""
        first = len(self.flat[name])
        self.flat[name] += values
        return first

    def task(self, task: Task) -> None:
        first_ref = self._extend("tasks.refs", [*task.ins, *task.outs, *task.yields])
        first_wait = self._extend("waits", task.after)
        first_step = len(self.rows["steps.table"])
        for step in task.steps:
            self._step(step)
        row = (
            task.block, task.slot, self.devices.index(task.device), self.names.index(task.format),
            task.start_ps, task.finish_ps, self.names.index(task.node), first_ref, len(task.ins),
            len(task.outs), first_step, len(task.steps), first_wait, len(task.after),
        )  # fmt: skip
        self.rows["tasks.table"].append(row)

    def transfer(self, t: Transfer) -> None:
        first_wait = self._extend("waits", t.after)
        row = (
            t.block, t.slot, t.source, t.target, t.nbytes, t.start_ps, t.finish_ps,
            self.names.index(t.node), first_wait, len(t.after),
        )  # fmt: skip
        self.rows["transfers.table"].append(row)

    def flow(self, f: Flow) -> None:
        first_wait = self._extend("waits", f.after)
        row = (
            f.block, f.slot, f.control, f.start_ps, f.finish_ps, self.names.index(f.node),
            first_wait, len(f.after),
        )  # fmt: skip
        self.rows["flow.table"].append(row)

    def weight(self, w: Weight) -> None:
        first_dim = self._extend("weights.dims", w.tensor.shape)
        row = (
            self.names.index(w.name), self.names.index(w.memory), w.offset,
            self.names.index(w.format), CODE_OF_DTYPE[w.tensor.dtype], len(w.tensor.shape),
            first_dim, -1 if w.weights is None else w.weights, -1 if w.codes is None else w.codes,
            w.tensor_exponent,
        )  # fmt: skip
        self.rows["weights.table"].append(row)

    def _step(self, step: Step) -> None:
        kernel = -1
        if step.kernel is not None:
            kernel = len(self.kernels)
            self.kernels.append(step.kernel)
        first_result = len(self.rows["results.table"])
        for result in step.results:
            dims = self._extend("results.dims", result.shape)
            self.rows["results.table"].append(
                (CODE_OF_DTYPE[result.dtype], len(result.shape), dims)
            )
        first_operand = self._extend("steps.operands", step.operands)
        row = (
            OPCODES.index(step.name), kernel, self.names.index(step.format), step.axis,
            step.search, first_operand, len(step.operands), first_result, len(step.results),
        )  # fmt: skip
        self.rows["steps.table"].append(row)
