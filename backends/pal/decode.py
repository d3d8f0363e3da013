"""Reads a mesh program back as plain data and checks what executing relies on.

Nothing in the file is trusted: every index lies in its table, a task reads and writes buffers of
its device's memory, steps use registers that are set, and what a slot waits for is an earlier slot
that has finished when it starts.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...dialects.elements import ELEMENTS
from ...dialects.kernel import Kernel
from ...errors import ProgramError
from ..control import block_count, check_nesting, decode_controls
from ..decoded import decode_ports
from ..kernel_codec import decode_kernels
from ..program import Program
from ..tables import (
    decode_buffers,
    decode_constants,
    decode_names,
    name_at,
    section,
    stored_type,
)
from ..targets import MeshTarget
from ..targets.mesh_cost import Work
from .float_formats import FLOAT_FORMATS
from .formats import FORMATS
from .tasks import (
    OPCODES,
    RECORDS,
    WORK_FIELDS,
    Flow,
    MeshProgram,
    Step,
    Task,
    Tensor,
    Transfer,
    Weight,
)

_MAX_PS = 1 << 62


def decode_program(program: Program) -> MeshProgram:
    """Decode and check ``program``. Raises ProgramError when it is not a mesh program."""
    target = program.target
    if program.machine != "mesh" or not isinstance(target, MeshTarget):
        raise ProgramError(f"the program must be for a mesh, not a {program.machine}")
    reader = _Reader(program, target)
    decoded = MeshProgram(
        program=program,
        target=target,
        buffers=reader.buffers,
        constants=decode_constants(program.tensors, reader.buffers),
        weights=reader.weights,
        tasks=reader.tasks(),
        transfers=reader.transfers(),
        flows=reader.flows(),
        controls=reader.controls,
        inputs=decode_ports(program, "inputs", reader.buffers),
        outputs=decode_ports(program, "outputs", reader.buffers),
    )
    for slots in decoded.blocks:
        _check_order(slots)
    return decoded


class _Reader:
    """The tables of one program, as rows of Python integers."""

    def __init__(self, program: Program, target: MeshTarget) -> None:
        self.tensors = program.tensors
        self.devices = [device.name for device in target.devices]
        self.names = decode_names(self.tensors)
        self.buffers = decode_buffers(self.tensors, self.names)
        self.kernels = decode_kernels(self.tensors)
        self.controls = decode_controls(self.tensors, self.buffers)
        self.rows = {
            name: section(self.tensors, name, np.int64, (None, len(record.names or ()))).tolist()
            for name, record in RECORDS.items()
        }
        self.flat = {
            name: section(self.tensors, name, np.int64, (None,)).tolist()
            for name in ("tasks.refs", "waits", "steps.operands", "results.dims", "weights.dims")
        }
        self.weights = [self._weight(i, row) for i, row in enumerate(self.rows["weights.table"])]

    def tasks(self) -> list[Task]:
        rows = self.rows["tasks.table"]
        work = section(self.tensors, "tasks.work", np.float64, (len(rows), len(WORK_FIELDS)))
        if not np.isfinite(work).all() or (work < 0).any():
            raise ProgramError("tasks.work must hold finite numbers that are not negative")
        return [self._task(i, row, w) for i, (row, w) in enumerate(zip(rows, work, strict=True))]

    def transfers(self) -> list[Transfer]:
        return [self._transfer(i, row) for i, row in enumerate(self.rows["transfers.table"])]

    def flows(self) -> list[Flow]:
        found = []
        for number, row in enumerate(self.rows["flow.table"]):
            block, slot, control, start, finish, node, first_wait, waits = row
            where = f"control flow {number}"
            self._check_block(block, where)
            _check_times(start, finish, where)
            if not 0 <= control < len(self.controls):
                raise ProgramError(f"{where} has the unknown control {control}")
            after = tuple(self._flat("waits", first_wait, waits, where))
            name = name_at(self.names, node)
            found.append(Flow(block, slot, control, start, finish, name, after))
        check_nesting(self.controls, [(flow.control, flow.block) for flow in found])
        return found

    def _check_block(self, block: int, where: str) -> None:
        if not 0 <= block < block_count(self.controls):
            raise ProgramError(f"{where} stands in block {block}, which does not exist")

    def _flat(self, name: str, first: int, count: int, where: str) -> list[int]:
        values = self.flat[name]
        if not (0 <= count <= len(values) and 0 <= first <= len(values) - count):
            raise ProgramError(f"{where}: items {first} to {first + count} leave {name}")
        return values[first : first + count]

    def _name(self, index: int, where: str) -> str:
        found = name_at(self.names, index)
        if found is None:
            raise ProgramError(f"{where} needs a name")
        return found

    def _format(self, index: int, where: str) -> str:
        format = self._name(index, where)
        if format not in FORMATS and format not in FLOAT_FORMATS:
            raise ProgramError(f"{where} has the unknown format {format!r}")
        return format

    def _task(self, number: int, row: Sequence[int], work: np.ndarray) -> Task:
        where = f"task {number}"
        (block, slot, device, format, start, finish, node, first_ref, ins, outs, first_step, steps,
         first_wait, waits) = row  # fmt: skip
        self._check_block(block, where)
        _check_times(start, finish, where)
        if not 0 <= device < len(self.devices):
            raise ProgramError(f"{where} is on device {device} of {len(self.devices)}")
        if min(ins, outs) < 0:
            raise ProgramError(f"{where} must read and write a number of buffers")
        refs = self._flat("tasks.refs", first_ref, ins + 2 * outs, where)
        reads, writes, yields = refs[:ins], refs[ins : ins + outs], refs[ins + outs :]
        table = self.rows["steps.table"]
        if not (0 <= steps <= len(table) and 0 <= first_step <= len(table) - steps):
            raise ProgramError(f"{where}: its steps leave steps.table")
        registers = ins
        found = []
        for step_row in table[first_step : first_step + steps]:
            step = self._step(step_row, registers, where)
            registers += len(step.results)
            found.append(step)
        if any(not 0 <= r < registers for r in yields):
            raise ProgramError(f"{where} yields a register that no step sets")
        name = self.devices[device]
        self._check_refs(reads, writes, name, where)
        return Task(
            block=block,
            slot=slot,
            device=name,
            format=self._format(format, where),
            start_ps=start,
            finish_ps=finish,
            node=name_at(self.names, node),
            ins=tuple(reads),
            outs=tuple(writes),
            yields=tuple(yields),
            steps=tuple(found),
            after=tuple(self._flat("waits", first_wait, waits, where)),
            work=Work(*work.tolist()),
        )

    def _check_refs(
        self, reads: Sequence[int], writes: Sequence[int], memory: str, where: str
    ) -> None:
        for ref in (*reads, *writes):
            table: Sequence[Any] = self.buffers if ref >= 0 else self.weights
            index = ref if ref >= 0 else -1 - ref
            if not 0 <= index < len(table):
                raise ProgramError(f"{where} uses buffer {ref}, which does not exist")
            if table[index].memory != memory:
                raise ProgramError(f"{where} on {memory} uses a buffer in {table[index].memory}")
        if any(ref < 0 for ref in writes):
            raise ProgramError(f"{where} writes a stationary operand")

    def _step(self, row: Sequence[int], registers: int, where: str) -> Step:
        (opcode, kernel, format, axis, search, first_operand, operands, first_result,
         results) = row  # fmt: skip
        if not 0 <= opcode < len(OPCODES):
            raise ProgramError(f"{where} has a step with opcode {opcode}")
        name = OPCODES[opcode]
        uses = self._flat("steps.operands", first_operand, operands, where)
        if any(not 0 <= r < registers for r in uses):
            raise ProgramError(f"{where} has a step that uses a register before it is set")
        table = self.rows["results.table"]
        if not (0 <= results <= len(table) and 0 <= first_result <= len(table) - results):
            raise ProgramError(f"{where}: the results of a step leave results.table")
        types = [
            self._tensor(element, rank, first_dim, "results.dims", where)
            for element, rank, first_dim in table[first_result : first_result + results]
        ]
        found: Kernel | None = None
        if name == "kernel":
            if not 0 <= kernel < len(self.kernels):
                raise ProgramError(f"{where} runs kernel {kernel} of {len(self.kernels)}")
            found = self.kernels[kernel]
            if len(types) != 1 and found.kind != "host":
                raise ProgramError(f"{where}: a {found.kind} kernel has one result")
            return Step(name, tuple(uses), tuple(types), kernel=found)
        if len(types) != 1 or len(uses) != (2 if name.startswith("matmul") else 1):
            raise ProgramError(f"{where}: {name} has the wrong number of operands or results")
        if name != "encode":
            return Step(name, tuple(uses), tuple(types))
        pal = self._format(format, where)
        if pal not in FORMATS or not 0 <= axis < len(types[0].shape) or search < -1:
            raise ProgramError(f"{where}: {pal} along axis {axis}, search {search} is no encoding")
        return Step(name, tuple(uses), tuple(types), format=pal, axis=axis, search=search)

    def _tensor(self, element: int, rank: int, first_dim: int, dims: str, where: str) -> Tensor:
        if not 0 <= element < len(ELEMENTS):
            raise ProgramError(f"{where}: element type code {element} does not exist")
        shape = tuple(self._flat(dims, first_dim, rank, where))
        if min(shape, default=0) < 0:
            raise ProgramError(f"{where}: shape {list(shape)} must not be negative")
        return Tensor(ELEMENTS[element].dtype, shape)

    def _transfer(self, number: int, row: Sequence[int]) -> Transfer:
        where = f"transfer {number}"
        block, slot, source, target, nbytes, start, finish, node, first_wait, waits = row
        self._check_block(block, where)
        _check_times(start, finish, where)
        if not (0 <= source < len(self.buffers) and 0 <= target < len(self.buffers)):
            raise ProgramError(f"{where} uses a buffer that does not exist")
        a, b = self.buffers[source], self.buffers[target]
        if (a.shape, a.dtype) != (b.shape, b.dtype) or nbytes < 0:
            raise ProgramError(f"{where} copies {a} into {b}")
        if a.memory == b.memory or {a.memory, b.memory} - set(self.devices):
            raise ProgramError(f"{where} must go between the memories of two devices")
        after = tuple(self._flat("waits", first_wait, waits, where))
        return Transfer(
            block, slot, source, target, nbytes, start, finish, name_at(self.names, node), after
        )

    def _weight(self, number: int, row: Sequence[int]) -> Weight:
        where = f"weight {number}"
        name, memory, offset, format, element, rank, first_dim, weights, codes, exponent = row
        tensor = self._tensor(element, rank, first_dim, "weights.dims", where)
        found = Weight(
            name=self._name(name, where),
            memory=self._name(memory, where),
            offset=offset,
            format=self._format(format, where),
            tensor=tensor,
            weights=None if weights == -1 else weights,
            codes=None if codes == -1 else codes,
            tensor_exponent=exponent,
        )
        if rank < 2 or offset < 0:
            raise ProgramError(f"{where} must be a matrix at an offset that is not negative")
        if found.weights is not None:
            shape, _ = stored_type(self.tensors, f"weights.{found.weights}")
            if int(np.prod(shape)) != int(np.prod(tensor.shape)):
                raise ProgramError(f"{where} is {tensor}, its values are {list(shape)}")
        return found


def _check_times(start: int, finish: int, where: str) -> None:
    if not 0 <= start <= finish < _MAX_PS:
        raise ProgramError(
            f"{where} must run from a start to a later finish, not {start}..{finish}"
        )


def _check_order(slots: Sequence[Task | Transfer | Flow]) -> None:
    """Slots are numbered from 0, and each waits for earlier ones that finish before it starts.

    Control flow runs alone: nothing of its block is at work while it is.
    """
    if [s.slot for s in slots] != list(range(len(slots))):
        raise ProgramError(f"slots must be numbered 0 to {len(slots) - 1}, each once")
    for slot in slots:
        for other in slot.after:
            if not 0 <= other < slot.slot:
                raise ProgramError(
                    f"slot {slot.slot} waits for slot {other}, which is not before it"
                )
            if slots[other].finish_ps > slot.start_ps:
                raise ProgramError(
                    f"slot {slot.slot} starts at {slot.start_ps} ps, before slot {other} that it "
                    f"waits for ends at {slots[other].finish_ps} ps"
                )
    for flow in slots:
        if isinstance(flow, Flow):
            _check_alone(flow, slots)


def _check_alone(flow: Flow, slots: Sequence[Task | Transfer | Flow]) -> None:
    for other in slots:
        early = other.slot < flow.slot and other.finish_ps <= flow.start_ps
        late = other.slot > flow.slot and other.start_ps >= flow.finish_ps
        if other is not flow and not (early or late):
            raise ProgramError(f"slot {other.slot} must not run beside control flow {flow.slot}")
