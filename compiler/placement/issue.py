"""Order between instruction streams: the fewest waits that keep hazards and stacks safe.

Streams run side by side and each completes its instructions in order. A wait for an event implies
everything that event had waited for, so most dependencies need no wait of their own (vector
clocks: Mattern, "Virtual time and global states of distributed systems", 1989).
"""

from collections.abc import Iterable

import numpy as np


class EventOrder:
    """Numbers events in program order and says which waits an instruction really needs."""

    def __init__(self, streams: int) -> None:
        # Latest event of each stream known to be over; events between two waits share one array.
        self._known = [np.full(streams, -1, np.int64) for _ in range(streams)]
        self._stream: list[int] = []
        self._last = [-1] * streams
        self._clocks: list[np.ndarray] = []

    @property
    def events(self) -> int:
        """Events issued so far; the number of the next one."""
        return len(self._stream)

    def last(self, stream: int) -> int:
        """The latest event of ``stream``; -1 where it has none."""
        return self._last[stream]

    def waits(self, stream: int, events: Iterable[int]) -> list[int]:
        """Those of ``events`` that ``stream`` must wait for by name; the rest is implied."""
        needed: list[int] = []
        known = self._known[stream].copy()
        # An event implies only earlier ones, so from the latest down each may spare the rest.
        for event in sorted(set(events), reverse=True):
            owner = self._stream[event]
            if owner != stream and known[owner] < event:
                needed.append(event)
                np.maximum(known, self._clocks[event], out=known)
                known[owner] = event
        if needed:
            self._known[stream] = known
        return needed[::-1]

    def issue(self, stream: int) -> int:
        """The event of the next instruction of ``stream``."""
        self._stream.append(stream)
        self._clocks.append(self._known[stream])
        self._last[stream] = len(self._stream) - 1
        return self._last[stream]


class StackGuard:
    """Lets at most ``active`` layers of one stack work at a time.

    Each stack has ``active`` lanes. Work of a layer takes the lane that the layer had last, or else
    the lane used longest ago, and must wait for the work there. So an array, too, does one thing at
    a time, also where a layer has ``several`` sequencers.
    """

    def __init__(self, stacks: int, layers: int, active: int, several: bool = False) -> None:
        self.unlimited = active >= layers and not several
        lanes = 0 if self.unlimited else active
        self._event = np.full((stacks, lanes), -1, np.int64)
        self._layer = np.full((stacks, lanes), -1, np.int64)
        self._lane: tuple[np.ndarray, np.ndarray] | None = None

    def enter(self, stacks: np.ndarray, layer: int) -> set[int]:
        """Events that work of ``layer`` in ``stacks`` (distinct indices) must wait for."""
        if self.unlimited:
            return set()
        own = self._layer[stacks] == layer
        lane = np.where(own.any(axis=1), own.argmax(axis=1), self._event[stacks].argmin(axis=1))
        self._lane = (stacks, lane)
        before = self._event[self._lane]
        return set(np.unique(before[before >= 0]).tolist())

    def leave(self, layer: int, event: int) -> None:
        """The work that entered last ends with ``event``."""
        if self._lane is not None:
            self._event[self._lane] = event
            self._layer[self._lane] = layer
