"""Checks the memories of a placement without trusting who planned them: arrays only, in words.

Rules: a memory holds its buffers; every byte that is read was written by the buffer it is read
through, and by nobody else since.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PlacedBuffer:
    """Bytes ``start .. end`` of ``memory``; ``filled`` when loading fills them."""

    name: str
    memory: str
    start: int
    end: int
    filled: bool


@dataclass(frozen=True, slots=True)
class Access:
    """A slot's use of a range of a buffer (index into the buffers)."""

    buffer: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SlotUse:
    """What one slot reads and then writes."""

    slot: int
    name: str
    reads: Sequence[Access]
    writes: Sequence[Access]


def check_buffers(
    buffers: Sequence[PlacedBuffer], slots: Sequence[SlotUse], capacity_bytes: dict[str, int]
) -> list[str]:
    """Faults of memory: sizes, and every read's bytes still being those of its own buffer."""
    faults = []
    for b in buffers:
        if b.memory not in capacity_bytes:
            faults.append(f"buffer {b.name} is in memory {b.memory!r}, which the machine lacks")
        elif b.end > capacity_bytes[b.memory] or b.start < 0:
            faults.append(
                f"buffer {b.name} takes bytes {b.start}..{b.end} of {b.memory}, which has "
                f"{capacity_bytes[b.memory]}"
            )
    if faults:
        return faults
    shadow = {
        memory: _Shadow(
            sorted({x for b in buffers if b.memory == memory for x in (b.start, b.end)})
        )
        for memory in {b.memory for b in buffers}
    }
    for index, b in enumerate(buffers):
        if b.filled:
            faults += _write(shadow[b.memory], b, index, b.start, b.end, "loading", buffers)
    written: dict[int, list[tuple[int, int]]] = {
        i: [(b.start, b.end)] for i, b in enumerate(buffers) if b.filled
    }
    for slot in slots:
        faults += _check_slot(slot, buffers, shadow, written)
    return faults


def _check_slot(
    slot: SlotUse,
    buffers: Sequence[PlacedBuffer],
    shadow: "dict[str, _Shadow]",
    written: dict[int, list[tuple[int, int]]],
) -> list[str]:
    faults = []
    for use in slot.reads:
        b = buffers[use.buffer]
        if not _covered(written.get(use.buffer, []), use.start, use.end):
            faults.append(f"slot {slot.slot} ({slot.name}) reads {b.name} before it is written")
        else:
            thief = shadow[b.memory].other_than(use.buffer, b.start, b.end)
            if thief is not None:
                faults.append(
                    f"slot {slot.slot} ({slot.name}) reads {b.name}, whose bytes "
                    f"{buffers[thief].name} has overwritten"
                )
    for use in slot.writes:
        b = buffers[use.buffer]
        if b.filled:
            faults.append(f"slot {slot.slot} ({slot.name}) writes {b.name}, which loading fills")
        shadow[b.memory].write(use.buffer, b.start, b.end)
        written.setdefault(use.buffer, []).append((use.start, use.end))
    return faults


def _write(
    shadow: "_Shadow",
    b: PlacedBuffer,
    index: int,
    start: int,
    end: int,
    who: str,
    buffers: Sequence[PlacedBuffer],
) -> list[str]:
    thief = shadow.other_than(index, start, end, free=True)
    shadow.write(index, start, end)
    if thief is None:
        return []
    return [f"{who} fills {b.name} and {buffers[thief].name}, which share bytes"]


def _covered(ranges: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether ``start .. end`` lies in the union of ``ranges``."""
    at = start
    for low, high in sorted(ranges):
        if low > at:
            break
        at = max(at, high)
    return at >= end


class _Shadow:
    """Who wrote each elementary byte range of one memory last."""

    def __init__(self, cuts: list[int]) -> None:
        self._cuts = np.array(cuts, np.int64)
        self._owner = np.full(max(len(cuts) - 1, 0), -1, np.int64)

    def _range(self, start: int, end: int) -> slice:
        low, high = np.searchsorted(self._cuts, (start, end))
        return slice(int(low), int(high))

    def write(self, buffer: int, start: int, end: int) -> None:
        self._owner[self._range(start, end)] = buffer

    def other_than(self, buffer: int, start: int, end: int, *, free: bool = False) -> int | None:
        """A buffer other than ``buffer`` that owns some of the range; None when there is none."""
        owners = self._owner[self._range(start, end)]
        bad = owners[(owners != buffer) & ((owners >= 0) | (not free))]
        return int(bad[0]) if len(bad) and bad[0] >= 0 else None
