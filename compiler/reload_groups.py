"""Which products of streamed matrices find all of theirs in the arrays at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ..dialects import tile
from .placement.bufferize import Slot


@dataclass(frozen=True, slots=True)
class StreamedMatrix:
    """A matrix that is written while running: its rounds, and its arrays (layer, row, col)."""

    rounds: int
    arrays: frozenset[tuple[int, ...]]

    @staticmethod
    def of(sites: np.ndarray, rounds: np.ndarray) -> "StreamedMatrix":
        """From the tables of a matrix, int [T, 5] and int [T]."""
        arrays = np.unique(sites[rounds > 0, :3], axis=0).tolist()
        return StreamedMatrix(int(rounds.max()), frozenset(map(tuple, arrays)))


def written_together(
    slots: Sequence[Slot], streamed: Mapping[SSAValue, StreamedMatrix]
) -> list[list[Slot]]:
    """The products of ``streamed`` matrices, in runs that share no array and have one round each.

    A matrix that takes several rounds has a run for each product. One of a single round serves all
    products of its run.
    """
    groups: list[list[Slot]] = []
    held: dict[SSAValue, StreamedMatrix] = {}
    for slot in slots:
        if not isinstance(slot.op, tile.MvmOp) or slot.op.crossbar not in streamed:
            continue
        matrix, mine = slot.op.crossbar, streamed[slot.op.crossbar]
        several = any(other.rounds > 1 for other in (mine, *held.values()))
        free = all(mine.arrays.isdisjoint(other.arrays) for other in held.values())
        if groups and not several and (matrix in held or free):
            groups[-1].append(slot)
        else:
            groups.append([slot])
            held = {}
        held[matrix] = mine
    return groups
