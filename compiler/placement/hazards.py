"""Which slots must wait for which: reads after writes, writes after reads, writes after writes.

Buffers share bytes over time, so order is decided by byte ranges, not by names.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

#: ``(memory, first byte, end byte)``
Range = tuple[str, int, int]


@dataclass(slots=True)
class _Piece:
    start: int
    end: int
    writers: tuple[int, ...] = ()
    readers: list[int] = field(default_factory=list)


class HazardTracker:
    """Feeds on slots in program order; answers the earlier events each must wait for."""

    def __init__(self) -> None:
        self._pieces: dict[str, list[_Piece]] = {}

    def read(self, ranges: Sequence[Range], event: int) -> set[int]:
        """Record reads by ``event``; returns the writers it must wait for."""
        waits: set[int] = set()
        for memory, start, end in ranges:
            for piece in self._split(memory, start, end):
                waits.update(piece.writers)
                piece.readers.append(event)
        return waits - {event}

    def write(self, ranges: Sequence[Range], event: int) -> set[int]:
        """Record writes by ``event``; returns earlier readers and writers of the same bytes."""
        waits: set[int] = set()
        for memory, start, end in ranges:
            for piece in self._split(memory, start, end):
                waits.update(piece.writers, piece.readers)
                piece.writers, piece.readers = (event,), []
        return waits - {event}

    def also_wrote(self, ranges: Sequence[Range], event: int) -> None:
        """``event`` writes bytes together with those recorded last (parts of one product)."""
        for memory, start, end in ranges:
            for piece in self._split(memory, start, end):
                piece.writers = (*piece.writers, event)

    def _split(self, memory: str, start: int, end: int) -> list[_Piece]:
        """Pieces that tile ``start .. end`` exactly, cutting those that stick out."""
        if end <= start:
            return []
        pieces = self._pieces.setdefault(memory, [])
        low = bisect_left(pieces, start, key=_end_after)
        high = bisect_left(pieces, end, lo=low, key=_start)
        new: list[_Piece] = []
        inside: list[_Piece] = []
        at = start
        for piece in pieces[low:high]:
            if piece.start < start:
                new.append(_Piece(piece.start, start, piece.writers, list(piece.readers)))
            if at < piece.start:
                inside.append(_Piece(at, piece.start))
            cut = _Piece(
                max(piece.start, start), min(piece.end, end), piece.writers, list(piece.readers)
            )
            inside.append(cut)
            at = cut.end
            if piece.end > end:
                new.append(_Piece(end, piece.end, piece.writers, list(piece.readers)))
        if at < end:
            inside.append(_Piece(at, end))
        pieces[low:high] = sorted([*new, *inside], key=_start)
        return inside


def _start(piece: _Piece) -> int:
    return piece.start


def _end_after(piece: _Piece) -> int:
    """Sorts before ``start`` exactly the pieces that end at or before it."""
    return piece.end - 1
