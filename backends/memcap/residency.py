"""What the arrays of a program hold over time: the rules of RELOAD, and how fast they wear.

A controller runs its instructions in order and nobody else touches the arrays of its layer, so
each stream is followed by itself. An array that is reloaded holds nothing that stays.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ProgramError
from .isa import Instruction, Opcode, Stream

if TYPE_CHECKING:
    from .decode import Matrix, MemcapProgram

#: A range of tiles of a matrix: matrix, first, end.
_Range = tuple[int, int, int]


def check_residency(program: "MemcapProgram") -> None:
    """Raise ProgramError at the first use of arrays that hold something else, or never would."""
    _check_sharing(program)
    for block, streams in enumerate(program.blocks):
        for stream in streams:
            _check_stream(program, stream, block)


def _site_numbers(
    matrix: "Matrix", tiles: slice | np.ndarray, program: "MemcapProgram"
) -> np.ndarray:
    stack = program.target.stack
    layer, row, col = matrix.sites[tiles, :3].T.astype(np.int64)
    return (layer * stack.grid_rows + row) * stack.grid_cols + col


def _check_sharing(program: "MemcapProgram") -> None:
    """Tiles that stay and streamed ones must not share arrays."""
    streamed = [_site_numbers(m, m.rounds > 0, program) for m in program.matrices]
    written = np.unique(np.concatenate(streamed)) if streamed else np.empty(0, np.int64)
    if not len(written):
        return
    for matrix in program.matrices:
        kept = _site_numbers(matrix, matrix.rounds == 0, program)
        if np.isin(kept, written).any():
            raise ProgramError(
                "an array that is written while running cannot hold tiles that stay",
                where=matrix.name,
            )


def _check_stream(program: "MemcapProgram", stream: Stream, block: int) -> None:
    holds: dict[int, _Range | None] = {}
    for i in stream.instructions:
        if i.opcode not in (Opcode.RELOAD, Opcode.DRIVE):
            continue
        matrix = program.matrices[i.index]
        rounds = matrix.rounds[slice(*i.tiles)]
        if i.opcode is Opcode.DRIVE and not rounds.any():
            continue
        _check_range(matrix, rounds, i, stream.unit, block)
        sites = np.unique(_site_numbers(matrix, slice(*i.tiles), program)).tolist()
        mine = i.index, *i.tiles
        if i.opcode is Opcode.RELOAD:
            holds |= dict.fromkeys(sites, mine)
            continue
        if any(holds.get(site) != mine for site in sites):
            raise ProgramError(
                f"{stream.unit}: DRIVE needs tiles {i.tiles[0]}..{i.tiles[1]} of {matrix.name} in "
                "their arrays, which hold something else: a RELOAD must come before"
            )
        if rounds[-1] > 1:
            holds |= dict.fromkeys(sites)  # the last round is left


def _check_range(
    matrix: "Matrix", rounds: np.ndarray, i: Instruction, unit: str, block: int
) -> None:
    if not rounds.all():
        raise ProgramError(
            f"{unit}: {i.opcode.name} of {matrix.name} cannot use tiles that stay and tiles that "
            "are written while running together"
        )
    if block:
        raise ProgramError(
            f"{unit}: {i.opcode.name} in a block cannot use {matrix.name}, whose tiles are written "
            "while running"
        )


@dataclass(frozen=True, slots=True)
class Wear:
    """What one inference writes, and how many of them the most written cells survive."""

    arrays_written: int
    """Array writes in an inference; an array counts each time."""
    window_arrays: int
    """Arrays that are written while running."""
    most_writes: int
    """Writes of the most written array in an inference."""
    inferences: float
    """Inferences until its cells are worn out."""

    def as_dict(self, latency_s: float | None = None) -> dict[str, Any]:
        """Plain data; with ``latency_s`` also the time until then, one inference after another."""
        found = {
            "arrays_written": self.arrays_written,
            "window_arrays": self.window_arrays,
            "most_writes": self.most_writes,
            "inferences_to_wear_out": self.inferences,
        }
        if latency_s is not None:
            found["time_to_wear_out_s"] = self.inferences * latency_s
        return found


def wear_of(program: "MemcapProgram") -> Wear | None:
    """What the reloads of ``program`` write; None where there are none."""
    written = []
    for stream in program.blocks[0]:
        for i in stream.instructions:
            if i.opcode is Opcode.RELOAD:
                matrix, part = program.matrices[i.index], slice(*i.tiles)
                rounds = matrix.rounds[part].astype(np.int64)
                pairs = np.stack([_site_numbers(matrix, part, program), rounds])
                written.append(np.unique(pairs, axis=1)[0])
    if not written:
        return None
    _, writes = np.unique(np.concatenate(written), return_counts=True)
    most = int(writes.max())
    return Wear(int(writes.sum()), len(writes), most, program.target.array.endurance_writes / most)
