"""Refuse a mesh schedule that breaks a rule

Reads only the IR of the ``pal`` level, whoever wrote it: no device or link works on two slots at
once, every slot waits for those whose bytes it reads or overwrites, and nothing starts before what
it waits for has finished. Control flow waits for all slots before it, and all behind wait for it.
Lists all faults.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass

from ...dialects import pal, place
from ...dialects.functions import defined_functions
from ...errors import IRError
from ..placement.hazards import HazardTracker, Range
from ..scheduling.check import check_order, overlaps


@dataclass(frozen=True)
class CheckSchedule(ModulePass):
    """Raises IRError with every fault; leaves the IR as it is."""

    name = "check-schedule"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        faults = schedule_faults(op)
        if faults:
            raise IRError(
                f"the schedule breaks {len(faults)} rule(s): {faults[0]}",
                faults=[IRError(fault) for fault in faults],
            )


def schedule_faults(module: ModuleOp) -> list[str]:
    """Every broken rule of a module at the ``pal`` level, in words."""
    return [fault for f in defined_functions(module) for fault in _block_faults(f.body.block)]


def _block_faults(block: Block) -> list[str]:
    slots = [op for op in block.ops if isinstance(op, pal.TimedSlot)]
    numbers = [op.slot.value.data for op in slots]
    if numbers != list(range(len(slots))):
        return [f"slots must be numbered 0 to {len(slots) - 1} in order, not {numbers[:20]}"]
    start = np.array([op.start_ps.value.data for op in slots], np.int64)
    finish = np.array([op.finish_ps.value.data for op in slots], np.int64)
    names: dict[str, int] = {}
    resource = np.array([names.setdefault(_resource(op), len(names)) for op in slots], np.int64)
    faults = overlaps(resource, start, finish, list(names))
    waits: list[tuple[int, int]] = []
    hazards = HazardTracker()
    barrier = -1
    for i, op in enumerate(slots):
        stated = set(op.waits)
        needed = {j for j in _needed(op, i, hazards) if j > barrier}
        if barrier >= 0:
            needed.add(barrier)
        if isinstance(op, (pal.IfOp, pal.LoopOp)):
            needed |= set(range(max(barrier, 0), i))
            barrier = i
            faults += [fault for inner in op.blocks for fault in _block_faults(inner)]
        faults += [
            f"slot {i} shares bytes or control flow with slot {j}, and does not wait for it"
            for j in sorted(needed - stated)
        ]
        waits += [(i, j) for j in sorted(stated | needed)]
    return faults + check_order(start, finish, waits)


def _resource(op: pal.TimedSlot) -> str:
    """What only one slot can use at a time: a device, or the direct link of a transfer."""
    match op:
        case pal.TaskOp():
            return f"device {op.device.data}"
        case pal.TransferOp():
            return f"the way from {pal.memory_of(op.source)} to {pal.memory_of(op.target)}"
    return "control flow"


def _needed(op: pal.TimedSlot, slot: int, hazards: HazardTracker) -> set[int]:
    match op:
        case pal.TransferOp():
            reads, writes = [op.source], [op.target]
        case pal.TaskOp() | pal.IfOp() | pal.LoopOp():
            reads, writes = list(op.ins), list(op.outs)
        case _:
            return set()
    read = [byte_range(x) for x in reads if not isinstance(x.owner, pal.WeightOp)]
    return hazards.read(read, slot) | hazards.write([byte_range(x) for x in writes], slot)


def byte_range(buffer: SSAValue) -> Range:
    """The bytes that a buffer stands for."""
    root, offset = place.root_of(buffer)
    assert isinstance(buffer.type, place.BufferType)
    start = root.offset.value.data + offset
    return root.memory.data, start, start + buffer.type.nbytes
