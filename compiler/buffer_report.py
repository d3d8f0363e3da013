"""How close the planned buffers of each memory come to the fewest bytes that they could take."""

from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ..dialects import place
from ..dialects.control import control_blocks
from ..dialects.functions import defined_functions
from .passes.check_placement import is_slot, slot_operands
from .placement.buffers import aligned, live_peak_bytes


def buffer_report(module: ModuleOp) -> dict[str, dict[str, Any]]:
    """By memory: ``peak_bytes`` taken, ``bound_bytes`` alive at the busiest slot, their ``gap``.

    The gap is a share of the bound; sizes are as aligned. Where there are several functions, the
    one that takes most counts.
    """
    found: dict[str, dict[str, Any]] = {}
    for function in defined_functions(module):
        lives = _Lives()
        lives.walk(function.body.block)
        for memory, (peak, bound) in lives.peaks(function.body.block).items():
            if memory not in found or peak > found[memory]["peak_bytes"]:
                gap = peak / bound - 1.0
                found[memory] = {"peak_bytes": peak, "bound_bytes": bound, "gap": gap}
    return found


class _Lives:
    """First and last slot of every buffer, by a walk over slots and the blocks inside them."""

    def __init__(self) -> None:
        self.clock = 0
        self.first: dict[Operation, int] = {}
        self.last: dict[Operation, int] = {}

    def walk(self, block: Block) -> None:
        """Visit the slots of ``block``; what a loop takes from around it lives until it ends."""
        for op in block.ops:
            if not is_slot(op):
                continue
            reads, writes = slot_operands(op)
            start = self.clock
            for value in (*reads, *writes):
                buffer = place.root_of(value)[0]
                self.first.setdefault(buffer, start)
                self.last[buffer] = start
            self.clock += 1
            for inner in control_blocks(op):
                self.walk(inner)
            if isinstance(op, place.LoopOp):
                for taken, last in self.last.items():
                    if self.first[taken] <= start <= last:
                        self.last[taken] = self.clock
                self.clock += 1

    def peaks(self, block: Block) -> dict[str, tuple[int, int]]:
        """(highest end, bytes alive at most) of each memory of the buffers in ``block``."""
        by_memory: dict[str, list[tuple[int, int, int, int]]] = {}
        for op in block.ops:
            if not isinstance(op, place.BufferOp):
                continue
            assert isinstance(op.result.type, place.BufferType)
            first, last = self.first.get(op, 0), self.last.get(op, 0)
            if op.port is not None or op.init is not None or op.literal is not None:
                first, last = 0, self.clock
            row = (op.offset.value.data, op.result.type.nbytes, first, last)
            by_memory.setdefault(op.memory.data, []).append(row)
        peaks = {}
        for memory, rows in by_memory.items():
            offset, nbytes, first, last = np.array(rows).T
            size = aligned(nbytes)
            peaks[memory] = int((offset + size).max()), live_peak_bytes(size, first, last)
        return peaks
