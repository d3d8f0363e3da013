"""Turn placed slots into timed tasks and transfers of a mesh

    place.program -> pal.weight                  in the device's memory, in its weight format
    place.mvm     -> pal.task                    SPU: encode, pal.matmul, encode, decode
                                                 others: tile.contract with the stationary weight
    place.stage   -> pal.task                    SPU: products of two tensors alike
    place.move    -> pal.transfer                or a task that copies, within one memory
    place.if, place.loop -> pal.if, pal.loop     with slots of their own inside

Slots keep their order. Each waits for those that write what it reads or use the bytes it writes,
and starts when its device, or the links of its route, are free. The function's attribute
``schedule`` gets the time of the whole, ``makespan_ps``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from ...backends.pal.task_work import task_work
from ...backends.pal.work import (
    bits_on_link,
    is_float,
    is_pal,
    packed_bytes,
    weight_format,
)
from ...backends.targets import Device, MeshTarget, load_target
from ...backends.targets.mesh_cost import task_latency_s, transfer_latency_s
from ...dialects import pal, place, tile
from ...dialects.attributes import segment_sizes
from ...dialects.functions import defined_functions
from ...dialects.types import dtype_of, tensor_type
from ...errors import CapacityError, IRError, TargetError
from ..pal_products import multiply_in_pal, product_region
from ..placement.buffers import ALIGNMENT_BYTES
from ..placement.hazards import HazardTracker
from ..scheduling.costs import picoseconds
from ..scheduling.timing import time_slots
from .assign_devices import inner_duration_ps
from .check_placement import is_slot
from .check_schedule import byte_range, schedule_faults


@dataclass(frozen=True)
class ConvertPlaceToPal(ModulePass):
    """Rewrites every function of a module placed on a mesh."""

    name = "convert-place-to-pal"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = load_target(self.target)
        if not isinstance(target, MeshTarget):
            raise TargetError(f"convert-place-to-pal needs a mesh target, {target.name} is a chip")
        machines = [m for m in op.ops if isinstance(m, place.MachineOp)]
        if len(machines) != 1 or machines[0].machine.data != "mesh":
            raise IRError(
                "convert-place-to-pal needs one place.machine of kind mesh",
                help="run assign-devices and convert-tile-to-place for a mesh target first",
            )
        for function in defined_functions(op):
            _convert(function, target)
        if faults := schedule_faults(op):
            raise AssertionError(f"convert-place-to-pal made a wrong schedule: {faults}")


def _convert(function: func.FuncOp, target: MeshTarget) -> None:
    block = function.body.block
    slots = [op for op in block.ops if is_slot(op)]
    programs = [op for op in block.ops if isinstance(op, place.ProgramOp)]
    weights = _store_weights(block, programs, target)
    writer = _Writer(target, weights)
    writer.block(block)
    makespan_ps = writer.set_times()
    block.insert_ops_before(writer.ops, block.last_op)  # type: ignore[arg-type]
    for op in [*slots, *programs]:
        op.detach()
        op.erase()
    known = function.attributes.get("schedule")
    facts = dict(known.data) if isinstance(known, DictionaryAttr) else {}
    facts["makespan_ps"] = IntegerAttr(makespan_ps, 64)
    function.attributes["schedule"] = DictionaryAttr(facts)


def _store_weights(
    block: Block, programs: Sequence[place.ProgramOp], target: MeshTarget
) -> dict[SSAValue, SSAValue]:
    """A pal.weight for each matrix, behind the buffers of its device's memory.

    Raises CapacityError when a memory cannot hold its buffers and matrices together.
    """
    ends: dict[str, int] = {}
    for op in block.ops:
        if isinstance(op, place.BufferOp):
            assert isinstance(op.result.type, place.BufferType)
            end = op.offset.value.data + op.result.type.nbytes
            ends[op.memory.data] = max(ends.get(op.memory.data, 0), end)
    weights: dict[SSAValue, SSAValue] = {}
    for program in programs:
        if program.device is None:
            raise IRError(
                f"matrix {program.weight.data} needs a device", help="run assign-devices first"
            )
        device = _device(target, program.device.data)
        new = _weight(program, device, ends)
        block.insert_op_before(new, program)
        weights[program.result] = new.result
    for name, end in ends.items():
        capacity = _device(target, name).memory_bytes
        if end > capacity:
            raise CapacityError(
                f"memory {name} of {capacity:,} bytes must hold {end:,} bytes of buffers and "
                "stored matrices",
                demand={"bytes": end},
                available={"bytes": capacity},
                levers=("use a target with more memory", "use a narrower weight_format"),
            )
    return weights


def _weight(program: place.ProgramOp, device: Device, ends: dict[str, int]) -> pal.WeightOp:
    assert isinstance(program.result.type, tile.CrossbarType)
    groups, rows, cols = program.result.type.shape
    shape = (rows, cols) if groups == 1 else (groups, rows, cols)
    format = weight_format(device)
    if is_pal(format):
        tensor: TensorType = pal.packed_type(shape, format, len(shape) - 2)
    else:
        tensor = tensor_type(shape, _multiplied_dtype(program))
    offset = -(-ends.get(device.name, 0) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    ends[device.name] = offset + packed_bytes(shape, format)
    new = pal.WeightOp.create(
        properties={
            "weight": program.weight,
            "memory": StringAttr(device.name),
            "offset": IntegerAttr(offset, 64),
            "format": StringAttr(format),
        },
        result_types=[place.BufferType.of(tensor)],
    )
    new.location = program.location
    return new


def _multiplied_dtype(program: place.ProgramOp) -> np.dtype:
    """The element type of the vectors that a matrix is multiplied with."""
    for use in program.result.uses:
        op = use.operation
        if isinstance(op, place.MvmOp) and isinstance(op.x.type, place.BufferType):
            return dtype_of(op.x.type.tensor)
    return np.dtype(np.float32)


def _device(target: MeshTarget, name: str) -> Device:
    try:
        return target.device(name)
    except KeyError:
        known = ", ".join(device.name for device in target.devices)
        raise IRError(f"target {target.name} has no device {name!r}, it has {known}") from None


class _Writer:
    """Writes tasks and transfers in slot order, with what they wait for and how long they take."""

    def __init__(self, target: MeshTarget, weights: dict[SSAValue, SSAValue]) -> None:
        self.target = target
        self.weights = weights
        self.ops: list[Operation] = []
        self.hazards = HazardTracker()
        self.duration_ps: list[int] = []
        self.waits: list[list[int]] = []
        self.resources: list[list[int]] = []
        self._resource_numbers: dict[tuple[str, ...], int] = {}
        #: The last control flow, which all that comes later waits for.
        self._barrier: int | None = None

    def block(self, block: Block) -> None:
        """Write the slots of a block in their order."""
        slots = [op for op in block.ops if is_slot(op)]
        for op in sorted(slots, key=lambda op: op.slot.value.data):
            self.slot(op)

    def slot(self, op: Operation) -> None:
        """Write the task or transfer of one slot."""
        match op:
            case place.MvmOp():
                unit = op.unit.data if op.unit is not None else self.target.host.name
                device = _device(self.target, unit)
                weight = self.weights[op.crossbar]
                block = product_region(op, weight, device)
                self._task(op, device, [op.x, weight], [op.y], block)
            case place.StageOp():
                device = _device(self.target, op.unit.data)
                block = op.body.detach_block(0)
                if is_pal(device.format):
                    multiply_in_pal(block, device)
                self._task(op, device, list(op.ins), list(op.outs), block)
            case place.MoveOp():
                self._move(op)
            case place.IfOp() | place.LoopOp():
                self._control(op)

    def _control(self, op: place.IfOp | place.LoopOp) -> None:
        """Control flow, for which everything before it must have finished."""
        regions, blocks_ps = [], []
        for block in op.blocks:
            inner = _Writer(self.target, self.weights)
            inner.block(block)
            blocks_ps.append(inner.set_times())
            regions.append(Region(Block(inner.ops)))
        kept = {name: attr for name, attr in op.properties.items() if name != "slot"}
        cls = pal.IfOp if isinstance(op, place.IfOp) else pal.LoopOp
        new = cls.create(
            operands=list(op.operands),
            properties={**kept, **self._slot_of(op)},
            regions=regions,
        )
        number = len(self.ops)
        duration_s = inner_duration_ps(op, blocks_ps) * 1e-12
        self._add(op, new, [], duration_s, op.ins, op.outs)
        first = 0 if self._barrier is None else self._barrier
        self.waits[number] = list(range(first, number))
        self._barrier = number

    def _move(self, op: place.MoveOp) -> None:
        source = _device(self.target, pal.memory_of(op.source))
        target = _device(self.target, pal.memory_of(op.target))
        if source == target:
            assert isinstance(op.source.type, place.BufferType)
            block = Block(arg_types=[op.source.type.tensor])
            block.add_op(place.YieldOp.create(operands=list(block.args)))
            self._task(op, source, [op.source], [op.target], block)
            return
        nbytes = _link_bytes(op.source, source, target)
        route = self.target.link_between(source.name, target.name)
        new = pal.TransferOp.create(
            operands=[op.source, op.target],
            properties={**self._slot_of(op), "bytes": IntegerAttr(nbytes, 64)},
        )
        links = [(a, b) for a, b in zip(route.hops, route.hops[1:], strict=False)]
        self._add(op, new, links, transfer_latency_s(route, nbytes), [op.source], [op.target])

    def _task(
        self,
        op: Operation,
        device: Device,
        ins: list[SSAValue],
        outs: list[SSAValue],
        block: Block,
    ) -> None:
        new = pal.TaskOp.create(
            operands=[*ins, *outs],
            properties={
                "device": StringAttr(device.name),
                "format": StringAttr(device.format),
                **self._slot_of(op),
                **segment_sizes(len(ins), len(outs)),
            },
            regions=[Region(block)],
        )
        latency_s = task_latency_s(device, task_work(new, device))
        read = [x for x in ins if not isinstance(x.owner, pal.WeightOp)]
        self._add(op, new, [(device.name,)], latency_s, read, outs)

    def _slot_of(self, op: Operation) -> dict[str, Attribute]:
        properties: dict[str, Attribute] = {"slot": IntegerAttr(len(self.ops), 64)}
        if "node" in op.properties:
            properties["node"] = op.properties["node"]
        return properties

    def _add(
        self,
        old: Operation,
        new: Operation,
        resources: Sequence[tuple[str, ...]],
        latency_s: float,
        reads: Sequence[SSAValue],
        writes: Sequence[SSAValue],
    ) -> None:
        number = len(self.ops)
        waits = self.hazards.read([byte_range(x) for x in reads], number)
        waits |= self.hazards.write([byte_range(x) for x in writes], number)
        if self._barrier is not None:
            waits = {w for w in waits if w > self._barrier} | {self._barrier}
        new.location = old.location
        self.ops.append(new)
        self.waits.append(sorted(waits))
        self.duration_ps.append(picoseconds(latency_s))
        numbers = self._resource_numbers
        self.resources.append([numbers.setdefault(r, len(numbers)) for r in resources])

    def set_times(self) -> int:
        """Write start, finish and ``after`` on all ops; returns when the last one ends."""
        start, finish = time_slots(self.duration_ps, self.resources, self.waits)
        for i, op in enumerate(self.ops):
            op.properties["start_ps"] = IntegerAttr(int(start[i]), 64)
            op.properties["finish_ps"] = IntegerAttr(int(finish[i]), 64)
            if self.waits[i]:
                op.properties["after"] = DenseArrayBase.from_list(i64, self.waits[i])
        return int(finish.max(initial=0))


def _link_bytes(buffer: SSAValue, source: Device, target: Device) -> int:
    """Bytes of a tensor between two devices, in the narrower of their formats."""
    assert isinstance(buffer.type, place.BufferType)
    tensor = buffer.type.tensor
    if not is_float(dtype_of(tensor)):
        return buffer.type.nbytes
    bits = min(bits_on_link(source, target), 8 * dtype_of(tensor).itemsize)
    size = buffer.type.nbytes // dtype_of(tensor).itemsize
    return int(-(-size * bits // 8))
