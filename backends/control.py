"""Control flow of a program, of either machine: which blocks run, how often, what decides it.

    control.table i64 [C, 7]  columns below; -1 where there is nothing

A program is cut into blocks; block 0 runs once, every other block belongs to one control operation
of a block before it. A conditional runs its first or second block; a loop runs its first block
``max_trips`` times, or as often as the buffer ``trip`` said when it began, which may be no more,
and only as long as the buffer ``condition`` holds before an iteration, whose number it writes to
``index``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..dialects.kernel import UNBOUNDED
from ..errors import ProgramError
from .tables import BufferEntry, section

if TYPE_CHECKING:
    from xdsl.ir import SSAValue

    from ..dialects.place import IfSlot, LoopSlot

CONTROL_COLUMNS = ("kind", "max_trips", "index", "trip", "condition", "first_block", "second_block")
Kind = Literal["if", "loop"]
_KINDS: tuple[Kind, ...] = ("if", "loop")


@dataclass(frozen=True, slots=True)
class Control:
    """One conditional or loop; ``index``, ``trip`` and ``condition`` are buffers."""

    kind: Kind
    blocks: tuple[int, ...]
    max_trips: int = 1
    index: int | None = None
    trip: int | None = None
    condition: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """The buffers that decide what runs."""
        return tuple(b for b in (self.trip, self.condition) if b is not None)

    @property
    def writes(self) -> tuple[int, ...]:
        """The buffer of the counter, if there is one."""
        return () if self.index is None else (self.index,)

    @property
    def assumed_runs(self) -> tuple[float, ...]:
        """How often each block runs where nothing was measured: a loop as often as it may, once
        where nothing bounds it; of a conditional both branches, half the time each."""
        if self.kind == "if":
            return 0.5, 0.5
        return (float(self.max_trips) if self.max_trips < UNBOUNDED else 1.0,)

    def __str__(self) -> str:
        parts = [f"{self.kind} block {', '.join(map(str, self.blocks))}"]
        if self.kind == "loop":
            parts.append(f"max {self.max_trips}")
        for name in ("index", "trip", "condition"):
            if (buffer := getattr(self, name)) is not None:
                parts.append(f"{name} b{buffer}")
        return ", ".join(parts)


def control_of(
    op: "IfSlot | LoopSlot", blocks: Sequence[int], numbers: "Mapping[SSAValue, int]"
) -> Control:
    """The record of a control operation whose regions are ``blocks``."""
    from ..dialects.place import LoopSlot

    if isinstance(op, LoopSlot):
        trip, condition = (None if b is None else numbers[b] for b in (op.trip, op.condition))
        return Control(
            "loop", tuple(blocks), op.max_trips.value.data, numbers[op.index], trip, condition
        )
    return Control("if", tuple(blocks), condition=numbers[op.condition])


def encode_controls(controls: Sequence[Control]) -> dict[str, np.ndarray]:
    """The section ``control.table``."""
    rows = [
        (
            _KINDS.index(c.kind),
            c.max_trips,
            *(-1 if b is None else b for b in (c.index, c.trip, c.condition)),
            c.blocks[0],
            c.blocks[1] if len(c.blocks) > 1 else -1,
        )
        for c in controls
    ]
    return {"control.table": np.array(rows, np.int64).reshape(-1, len(CONTROL_COLUMNS))}


def decode_controls(
    tensors: Mapping[str, np.ndarray], buffers: Sequence[BufferEntry]
) -> list[Control]:
    """The control operations of a program.

    Raises ProgramError unless each block but the first belongs to exactly one of them and every
    buffer holds one number of the right type.
    """
    table = section(tensors, "control.table", np.int64, (None, len(CONTROL_COLUMNS))).tolist()
    controls = []
    for number, (kind, most, index, trip, condition, first, second) in enumerate(table):
        where = f"control {number}"
        if not 0 <= kind < len(_KINDS) or most < 0:
            raise ProgramError(f"{where} must be a conditional or a loop of some iterations")
        loops = _KINDS[kind] == "loop"
        if (index < 0) == loops or (condition < 0 and not loops) or (trip >= 0 and not loops):
            raise ProgramError(f"{where} must have the buffers of its kind")
        for buffer, dtype in ((index, np.int64), (trip, np.int64), (condition, np.bool_)):
            _check_scalar(buffer, dtype, buffers, where)
        inside = (first,) if loops else (first, second)
        if loops and second != -1:
            raise ProgramError(f"{where} must have one block, a loop has no second")
        found = (None if b == -1 else b for b in (index, trip, condition))
        controls.append(Control(_KINDS[kind], inside, most, *found))
    used = sorted(block for control in controls for block in control.blocks)
    if used != list(range(1, block_count(controls))):
        raise ProgramError("each block but the first must have one control")
    return controls


def block_count(controls: Sequence[Control]) -> int:
    """Blocks of a program: the first, and those of its control operations."""
    return 1 + sum(len(control.blocks) for control in controls)


def check_nesting(controls: Sequence[Control], used: Sequence[tuple[int, int]]) -> None:
    """Blocks must nest: ``used`` has (control, block it stands in), each control once.

    Raises ProgramError otherwise, so that running a program cannot go in a circle.
    """
    if sorted(control for control, _ in used) != list(range(len(controls))):
        raise ProgramError(f"each of the {len(controls)} controls must stand in the program once")
    for control, block in used:
        if any(inner <= block for inner in controls[control].blocks):
            raise ProgramError(f"control {control} of block {block} must run later blocks")


def _check_scalar(buffer: int, dtype: type, buffers: Sequence[BufferEntry], where: str) -> None:
    if buffer == -1:
        return
    if not 0 <= buffer < len(buffers):
        raise ProgramError(f"{where} uses buffer {buffer}, which does not exist")
    entry = buffers[buffer]
    if entry.dtype != np.dtype(dtype) or entry.shape != ():
        raise ProgramError(f"{where} needs one {np.dtype(dtype)}, not buffer {entry}")
