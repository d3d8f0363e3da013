"""What crosses the links between the chips of a program: copies, and inputs and sums of products.

A product whose tiles lie on another chip than its buffer sends input codes there and partial sums
back. The host is beside all chips.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..targets import SUM_BYTES
from ..targets.chips import split_name
from .isa import Instruction, Opcode

if TYPE_CHECKING:
    from .decode import MemcapProgram


@dataclass(frozen=True, slots=True)
class Crossing:
    """``nbytes`` from one chip to another."""

    nbytes: float = 0.0
    source: int = 0
    target: int = 0

    @property
    def links(self) -> tuple[int, ...]:
        """The links on the way: link n joins chips n and n + 1."""
        return tuple(range(min(self.source, self.target), max(self.source, self.target)))


def crossing_of(program: "MemcapProgram", i: Instruction) -> Crossing:
    """What ``i`` sends from chip to chip."""
    if program.chips == 1:
        return Crossing()
    if i.opcode is Opcode.MOVE:
        source, target = (_chip(program, n) for n in (i.ins[0], i.outs[0]))
        if source is None or target is None:
            return Crossing()
        return Crossing(program.buffers[i.ins[0]].nbytes, source, target)
    if i.opcode in (Opcode.DRIVE, Opcode.ACCUMULATE):
        buffer = (*i.ins, *i.outs)[0]
        near = _chip(program, buffer)
        if near is None:
            return Crossing()
        matrix = program.matrices[i.index]
        far = int(matrix.sites[i.tiles[0], 0]) // program.target.stack.layers
        positions = program.buffers[buffer].shape[-2]
        if i.opcode is Opcode.DRIVE:
            rows = int(matrix.tiles[slice(*i.tiles), 2].sum(dtype=np.int64))
            return Crossing(rows * positions * program.target.code_bytes, near, far)
        cols = int(matrix.tiles[slice(*i.tiles), 4].sum(dtype=np.int64))
        return Crossing(cols * positions * SUM_BYTES, far, near)
    return Crossing()


def _chip(program: "MemcapProgram", buffer: int) -> int | None:
    """The chip whose memory a buffer is in; None for the host's."""
    memory = program.buffers[buffer].memory
    return None if memory == "host" else split_name(memory)[0]


def link_bytes(program: "MemcapProgram") -> list[float]:
    """Bytes over each link between chips in an inference: what crosses is in no loop."""
    total = [0.0] * (program.chips - 1)
    for streams in program.blocks:
        for stream in streams:
            for i in stream.instructions:
                crossing = crossing_of(program, i)
                for link in crossing.links:
                    total[link] += crossing.nbytes
    return total


def chip_report(program: "MemcapProgram") -> dict[str, Any]:
    """Chips, their arrays, and bytes an inference over each link, as plain data."""
    carried = link_bytes(program)
    return {
        "used": program.chips,
        "arrays": arrays_by_chip(program),
        "link_bytes": carried,
        "crossing_bytes": sum(carried),
    }


def arrays_by_chip(program: "MemcapProgram") -> list[int]:
    """Arrays that hold weights on each chip."""
    sites: Sequence[np.ndarray] = [m.sites[:, :3] for m in program.matrices]
    used = np.unique(np.concatenate(sites), axis=0) if sites else np.empty((0, 3), np.int32)
    chip = used[:, 0] // program.target.stack.layers
    return np.bincount(chip, minlength=program.chips).tolist()
