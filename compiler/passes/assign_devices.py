"""Choose the device of every operation on a mesh

Writes the attribute ``unit`` on each op of the ``tile`` level and orders the ops by when they
start; ``convert-tile-to-place`` applies it. HEFT works on the graph of ops: durations by the
target's rates, transfers by its routes, inputs and outputs on the host. A view that only renames
bytes costs nothing and stays with its producer; a stored matrix goes where its products are, a
copy to each device. The function keeps what was found as its attribute ``schedule``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue, Use
from xdsl.passes import ModulePass

from ...backends.pal.task_work import op_work, operand_of
from ...backends.pal.work import is_float, packed_bytes, weight_format
from ...backends.targets import MeshTarget, load_target
from ...backends.targets.mesh_cost import Work
from ...dialects import graph, tile
from ...dialects.functions import defined_functions
from ...dialects.tensor_ops import TensorOp
from ...errors import CapacityError, IRError, TargetError
from ..placement.bufferize import renamed_offset
from ..scheduling.bounds import lower_bound_ps
from ..scheduling.check import check_schedule
from ..scheduling.costs import (
    BYTES,
    VALUES,
    Schedule,
    TaskGraph,
    link_costs,
    task_durations,
)
from ..scheduling.heft import schedule_best

#: Share of a device's memory that stationary operands may take; the rest is for buffers.
STORE_SHARE = 0.9


@dataclass(frozen=True)
class AssignDevices(ModulePass):
    """Raises CapacityError when the stored matrices fit no device's memory."""

    name = "assign-devices"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = load_target(self.target)
        if not isinstance(target, MeshTarget):
            raise TargetError(f"assign-devices needs a mesh target, {target.name} is a chip")
        for function in defined_functions(op):
            _assign(function, target)


def _assign(function: func.FuncOp, target: MeshTarget) -> None:
    block = function.body.block
    work = _Work(block, target)
    plan = _schedule(work.graph(), target)
    work.apply(plan)
    function.attributes["schedule"] = schedule_attr(
        tasks=len(work.ops),
        plan_ps=plan.makespan_ps,
        bound_ps=lower_bound_ps(work.graph()),
    )


def schedule_attr(**facts: int) -> DictionaryAttr:
    """Facts of a schedule as an attribute of the function."""
    return DictionaryAttr({name: IntegerAttr(value, 64) for name, value in facts.items()})


def _schedule(tasks: TaskGraph, target: MeshTarget) -> Schedule:
    try:
        plan = schedule_best(tasks)
    except ValueError as error:
        demand = int(tasks.store_bytes.min(axis=1).sum()) if len(tasks.store_bytes) else 0
        available = int(tasks.capacity_bytes.sum())
        raise CapacityError(
            f"the stored matrices need at least {demand:,} bytes, {target.name} has "
            f"{available:,} for them and none is free where an operation needs it: {error}",
            demand={"bytes": demand},
            available={"bytes": available},
            levers=(
                "use a target whose devices have more memory",
                "use a narrower weight_format",
            ),
        ) from error
    faults = check_schedule(tasks, plan)
    assert not faults, faults
    return plan


class _Work:
    """The ops of a block as tasks: inputs first, then ops in order, then outputs."""

    def __init__(self, block: Block, target: MeshTarget) -> None:
        last = block.last_op
        if not isinstance(last, func.ReturnOp):
            raise IRError("a function must end with func.return")
        self.block = block
        self.target = target
        self.outputs = list(last.operands)
        self.inputs = len(block.args)
        self.ops: list[Operation] = []
        self.views: list[Operation] = []
        self.fixed: list[Operation] = []
        #: The task that makes a value; None for constants and what renames them.
        self.task_of: dict[SSAValue, int | None] = {arg: i for i, arg in enumerate(block.args)}
        for op in block.ops:
            self._classify(op)
        self._graph: TaskGraph | None = None

    def _classify(self, op: Operation) -> None:
        match op:
            case func.ReturnOp():
                return
            case graph.ConstantOp() | tile.ProgramOp():
                self.fixed.append(op)
                task: int | None = None
            case _ if renamed_offset(op) is not None:
                self.views.append(op)
                task = self.task_of[op.operands[0]]
            case tile.MvmOp() | TensorOp():
                task = self.inputs + len(self.ops)
                self.ops.append(op)
            case _:
                raise IRError(f"{op.name} does not belong to the tile level", where=op.name)
        for result in op.results:
            self.task_of[result] = task

    def graph(self) -> TaskGraph:
        """The scheduling problem."""
        if self._graph is None:
            self._graph = self._make_graph()
        return self._graph

    def _make_graph(self) -> TaskGraph:
        target = self.target
        host = target.devices.index(target.host)
        port: list[Work | None] = [None] * len(target.devices)
        work = [[self._work(op, i) for i in range(len(target.devices))] for op in self.ops]
        duration = task_durations(target, [port] * self.inputs + work + [port] * len(self.outputs))
        ends = [*range(self.inputs), *range(self.inputs + len(self.ops), len(duration))]
        duration[ends, host] = 0  # where inputs come from and outputs are wanted
        edges = self._edges()
        latency, per_unit = link_costs(target)
        source, needs, amount, unit = np.array(edges, np.int64).reshape(-1, 4).T
        store, store_bytes = self._stores(len(duration))
        capacity = [int(d.memory_bytes * STORE_SHARE) for d in target.devices]
        return TaskGraph(
            duration,
            source,
            needs,
            amount,
            unit,
            latency,
            per_unit,
            store,
            store_bytes,
            np.array(capacity, np.int64),
        )

    def _work(self, op: Operation, device: int) -> Work | None:
        chosen = self.target.devices[device]
        if isinstance(op, tile.HostOp) and chosen != self.target.host:
            return None
        return op_work(op, chosen)

    def _edges(self) -> list[tuple[int, int, int, int]]:
        """(task, task that needs it, amount, unit), each value once."""
        edges = []
        uses = [(self.inputs + i, list(op.operands)) for i, op in enumerate(self.ops)]
        uses += [(self.inputs + len(self.ops) + i, [x]) for i, x in enumerate(self.outputs)]
        for task, operands in uses:
            for value in dict.fromkeys(operands):
                source = self.task_of[value]
                if source is None:
                    continue
                operand = operand_of(value)
                if is_float(operand.dtype):
                    edges.append((source, task, operand.size, VALUES))
                else:
                    edges.append((source, task, operand.size * operand.dtype.itemsize, BYTES))
        return edges

    def _stores(self, tasks: int) -> tuple[np.ndarray, np.ndarray]:
        """The matrix that each task needs, int64 [tasks], and its bytes on each device."""
        programs: dict[SSAValue, int] = {}
        store = np.full(tasks, -1, np.int64)
        sizes: list[list[int]] = []
        for i, op in enumerate(self.ops):
            if not isinstance(op, tile.MvmOp):
                continue
            if op.crossbar not in programs:
                programs[op.crossbar] = len(sizes)
                shape = op.crossbar.type.shape  # type: ignore[attr-defined]
                sizes.append([packed_bytes(shape, weight_format(d)) for d in self.target.devices])
            store[self.inputs + i] = programs[op.crossbar]
        table = np.array(sizes, np.int64).reshape(-1, len(self.target.devices))
        return store, table

    def apply(self, plan: Schedule) -> None:
        """Write devices on the ops and bring the ops into the order of their starts."""
        names = [device.name for device in self.target.devices]
        starts: dict[Operation, int] = {}
        for i, op in enumerate(self.ops):
            task = self.inputs + i
            op.attributes["unit"] = StringAttr(names[plan.device[task]])
            starts[op] = int(plan.start_ps[task])
        for view in reversed(self.views):  # a user is itself a view or an op with a unit
            view_task = self.task_of[view.results[0]]
            if view_task is not None:
                starts[view] = int(plan.finish_ps[view_task])
                view.attributes["unit"] = StringAttr(names[plan.device[view_task]])
            else:
                users = [use.operation for use in view.results[0].uses]
                units = [user.attributes["unit"] for user in users if "unit" in user.attributes]
                view.attributes["unit"] = units[0] if units else StringAttr(self.target.host.name)
                starts[view] = -1
        self._place_programs()
        _reorder(self.block, self.fixed, [op for op in self.block.ops if op in starts], starts)

    def _place_programs(self) -> None:
        """Put each stored matrix on the devices of its products, one copy a device."""
        for program in [op for op in self.fixed if isinstance(op, tile.ProgramOp)]:
            copies: dict[StringAttr, tile.ProgramOp] = {}
            for use in sorted(program.result.uses, key=_use_order(self.block)):
                unit = use.operation.attributes["unit"]
                assert isinstance(unit, StringAttr)
                if unit not in copies:
                    copy = program.clone() if copies else program
                    copy.attributes["unit"] = unit
                    if copy is not program:
                        self.block.insert_op_after(copy, program)
                        self.fixed.append(copy)
                    copies[unit] = copy
                use.operation.operands[use.index] = copies[unit].result


def _use_order(block: Block) -> Callable[[Use], tuple[int, int]]:
    places = {op: i for i, op in enumerate(block.ops)}
    return lambda use: (places[use.operation], use.index)


def _reorder(
    block: Block, fixed: Sequence[Operation], ops: Sequence[Operation], starts: dict[Operation, int]
) -> None:
    """Constants and matrices, then ``ops`` by start; equal starts keep their order."""
    order = [*fixed, *sorted(ops, key=lambda op: starts[op])]
    last = block.last_op
    assert last is not None
    for op in order:
        op.detach()
    block.insert_ops_before(order, last)
