"""Choose the device of every operation on a mesh

Writes the attribute ``unit`` on each op of the ``tile`` level and orders the ops by when they
start; ``convert-tile-to-place`` applies it. HEFT works on the graph of ops: durations by the
target's rates, transfers by its routes, inputs and outputs on the host. A view that only renames
bytes costs nothing and stays with its producer; a stored matrix goes where its products are, a
copy to each device. The blocks of control flow are scheduled first, each for itself, with what they
take from outside on the host, which runs the control flow too. The function keeps what was found as
its attribute ``schedule``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from ...backends.pal.task_work import op_work, operand_of
from ...backends.pal.work import is_float, packed_bytes, weight_format
from ...backends.targets import MeshTarget, load_target
from ...backends.targets.mesh_cost import Work
from ...dialects import graph, tile
from ...dialects.control import ControlOp, captured_values, taken_from_outside
from ...dialects.functions import defined_functions
from ...dialects.kernel import UNBOUNDED
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

_FIXED = (graph.ConstantOp, tile.ProgramOp)
#: More than any schedule: what an astronomically long loop is taken for.
LONGEST_PS = 1 << 60
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
    work, plan = _assign_block(function.body.block, target)
    _place_programs(function.body.block)
    function.attributes["schedule"] = schedule_attr(
        tasks=len(work.ops),
        plan_ps=plan.makespan_ps,
        bound_ps=lower_bound_ps(work.graph()),
    )


def _assign_block(block: Block, target: MeshTarget) -> "tuple[_Work, Schedule]":
    """Schedule the blocks within ``block``, then ``block`` itself."""
    inside_ps: dict[Operation, int] = {
        op: inner_duration_ps(op, [_assign_block(b, target)[1].makespan_ps for b in op.blocks])
        for op in block.ops
        if isinstance(op, ControlOp)
    }
    work = _Work(block, target, inside_ps)
    plan = _schedule(work.graph(), target)
    work.apply(plan)
    return work, plan


def inner_duration_ps(op: Operation, blocks_ps: Sequence[int]) -> int:
    """How long control flow takes by what its blocks take: the longer branch, or all iterations
    that a loop may make (one where nothing bounds it)."""
    most = getattr(op, "max_trips", None)
    if most is None:
        return max(blocks_ps)
    trips = most.value.data if most.value.data < UNBOUNDED else 1
    return min(trips * blocks_ps[0], LONGEST_PS)


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

    def __init__(
        self, block: Block, target: MeshTarget, inside_ps: Mapping[Operation, int]
    ) -> None:
        last = block.last_op
        if not isinstance(last, (func.ReturnOp, tile.YieldOp)):
            raise IRError("a function must end with func.return, a region with tile.yield")
        self.block = block
        self.target = target
        self.inside_ps = inside_ps
        self.outputs = list(last.operands)
        taken = [] if isinstance(last, func.ReturnOp) else taken_from_outside(block)
        fixed = [value for value in taken if isinstance(value.owner, _FIXED)]
        arguments = [*block.args, *(value for value in taken if value not in fixed)]
        self.inputs = len(arguments)
        self.ops: list[Operation] = []
        self.views: list[Operation] = []
        self.fixed: list[Operation] = []
        #: The task that makes a value; None for constants and what renames them.
        self.task_of: dict[SSAValue, int | None] = {x: i for i, x in enumerate(arguments)}
        self.task_of |= dict.fromkeys(fixed)
        for op in block.ops:
            self._classify(op)
        self._graph: TaskGraph | None = None

    def _classify(self, op: Operation) -> None:
        match op:
            case func.ReturnOp() | tile.YieldOp():
                return
            case graph.ConstantOp() | tile.ProgramOp():
                self.fixed.append(op)
                task: int | None = None
            case _ if renamed_offset(op) is not None:
                self.views.append(op)
                task = self.task_of[op.operands[0]]
            case tile.MvmOp() | TensorOp() | ControlOp():
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
        for i, op in enumerate(self.ops):
            if op in self.inside_ps:
                duration[self.inputs + i, host] = self.inside_ps[op]
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
        if isinstance(op, (tile.HostOp, ControlOp)) and chosen != self.target.host:
            return None
        return Work() if isinstance(op, ControlOp) else op_work(op, chosen)

    def _edges(self) -> list[tuple[int, int, int, int]]:
        """(task, task that needs it, amount, unit), each value once."""
        edges = []
        uses = [
            (self.inputs + i, [*op.operands, *captured_values(op)]) for i, op in enumerate(self.ops)
        ]
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
        _reorder(self.block, self.fixed, [op for op in self.block.ops if op in starts], starts)


def _place_programs(block: Block) -> None:
    """Put each stored matrix on the devices of its products, one copy a device."""
    places = {op: i for i, op in enumerate(block.walk())}
    for program in [op for op in block.ops if isinstance(op, tile.ProgramOp)]:
        copies: dict[StringAttr, tile.ProgramOp] = {}
        for use in sorted(program.result.uses, key=lambda u: (places[u.operation], u.index)):
            unit = use.operation.attributes["unit"]
            assert isinstance(unit, StringAttr)
            if unit not in copies:
                copy = program.clone() if copies else program
                copy.attributes["unit"] = unit
                if copy is not program:
                    block.insert_op_after(copy, program)
                copies[unit] = copy
            use.operation.operands[use.index] = copies[unit].result


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
