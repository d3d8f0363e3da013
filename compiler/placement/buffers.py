"""Allocates buffers in one memory by their lives: offsets in an arena as low as can be found.

Greedy in several orders, by best and by first fit, then a search over stackings
(:mod:`buffer_skyline`), until the bytes alive at the busiest slot are met, which nothing can beat.
The orders are those of Pisarchyk and Lee, "Efficient memory management for deep neural net
inference" (2020; by size, and by breadth: the busiest slots first), and those that the memory
planner of TVM and MiniMalloc (Moffitt, ASPLOS 2023) start from (by life, by size times life).
Buffers that live all the time stand at the bottom: any allocation can be shifted so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ALIGNMENT_BYTES = 64
#: Steps of the search, at most; and how many of them one buffer would get. They take time with the
#: square of the buffers.
TRIES = 5_000
_STEPS = 600_000_000
#: Starts among which the steps are divided, and how many there are where buffers would not fit.
_STARTS, _STARTS_TO_FIT = 4, 32
#: Pairs alive together that the constructions may look at.
_WORK = 10_000_000
#: Pairs that are listed; where there are more, they are looked for.
_LISTED = 50_000_000
_ANY = 1 << 62


def allocate(
    sizes: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    capacity_bytes: int,
    *,
    tries: int = TRIES,
    seed: int = 0,
) -> np.ndarray:
    """Byte offsets, int64 [n], of buffers alive in slots ``first .. last`` inclusive.

    Where not all are found room below ``capacity_bytes``, some get -1, as few bytes as was found.
    Buffers alive together never share a byte. Offsets are multiples of 64. ``tries`` bounds the
    steps of the search.
    """
    sizes = aligned(sizes)
    lives = np.column_stack([first, last]).astype(np.int64)
    offsets = np.full(len(sizes), -1, np.int64)
    if not len(sizes):
        return offsets
    always = (lives == [lives[:, 0].min(), lives[:, 1].max()]).all(axis=1)
    base = int(sizes[always].sum())
    bound = live_peak_bytes(sizes, *lives.T)
    offsets[always] = np.cumsum(sizes[always]) - sizes[always]
    if not always.all():
        rest = _Arena.of(sizes[~always], lives[~always])
        offsets[~always] = base + rest.lowest(bound - base, capacity_bytes - base, tries, seed)
    peak = int((offsets + sizes).max())
    if peak > min(bound, capacity_bytes):
        # Those that always live need not be lowest in what one order alone finds.
        whole = _Arena.of(sizes, lives)
        plain, height = whole.by_size()
        if height < peak:
            offsets, peak = plain, height
        if peak > capacity_bytes:
            offsets = whole.most(capacity_bytes)
    return offsets


def aligned(sizes: np.ndarray) -> np.ndarray:
    """Bytes that buffers of ``sizes`` take, int64: multiples of 64, and 64 at least."""
    return -(-np.maximum(np.asarray(sizes, np.int64), 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def live_bytes(sizes: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Bytes alive at each slot, int64 [slots], from the earliest to the latest."""
    begin = int(np.min(first))
    change = np.zeros(int(np.max(last)) - begin + 2, np.int64)
    np.add.at(change, np.asarray(first) - begin, sizes)
    np.add.at(change, np.asarray(last) - begin + 1, -np.asarray(sizes, np.int64))
    return np.cumsum(change)[:-1]


def live_peak_bytes(sizes: np.ndarray, first: np.ndarray, last: np.ndarray) -> int:
    """Bytes alive at the busiest slot: no allocation can do with less."""
    return int(live_bytes(sizes, first, last).max()) if len(sizes) else 0


@dataclass(frozen=True, slots=True)
class _Arena:
    """Buffers and who lives with whom: ``others[start[i] : start[i + 1]]``, where it is listed."""

    sizes: np.ndarray
    lives: np.ndarray
    start: np.ndarray
    others: np.ndarray
    pairs: int

    @staticmethod
    def of(sizes: np.ndarray, lives: np.ndarray) -> "_Arena":
        from .buffer_gaps import list_conflicts

        first, last = (np.ascontiguousarray(x) for x in lives.T)
        begun = np.searchsorted(np.sort(first), last, side="right")
        over = np.searchsorted(np.sort(last), first, side="left")
        start = np.concatenate([[0], np.cumsum(begun - over - 1)]).astype(np.int64)
        pairs = int(start[-1])
        others = np.empty(0, np.int32)
        if pairs <= _LISTED:
            others = list_conflicts(np.argsort(first, kind="stable"), first, last, start)
        return _Arena(sizes, lives, start, others, pairs)

    def lowest(self, bound: int, capacity: int, tries: int, seed: int) -> np.ndarray:
        """The offsets of the lowest peak that is found, but not below ``bound``.

        The search starts anew a few times, and more often while the peak is over ``capacity``.
        """
        best, best_peak = self.sizes, _ANY
        for order, best_fit in self._plans():
            offsets, peak, _ = self._place(order, _ANY, best_fit)
            if peak < best_peak:
                best, best_peak = offsets, peak
            if peak <= bound:
                return best
        steps = min(tries, _STEPS // len(self.sizes) ** 2) // _STARTS
        turn = 0
        while steps and bound < best_peak and bound <= capacity:
            if turn >= (_STARTS_TO_FIT if best_peak > capacity else _STARTS):
                break
            offsets = self._stack(bound if turn < _STARTS else capacity, steps, seed + turn)
            turn += 1
            peak = int((offsets + self.sizes).max())
            if peak < best_peak:
                best, best_peak = offsets, peak
        return best

    def _stack(self, bound: int, steps: int, seed: int) -> np.ndarray:
        """Offsets by a search over the priorities with which buffers are stacked."""
        from .buffer_skyline import climb

        first, end = self.lives[:, 0], self.lives[:, 1] + 1
        times = np.unique(np.concatenate([first, end]))
        sections = np.searchsorted(times, np.column_stack([first, end])) - [0, 1]
        by_first = np.argsort(first, kind="stable")
        begin = np.searchsorted(first[by_first], times)
        longest = (end - first).astype(np.float64)
        found: np.ndarray = climb(
            sections,
            self.sizes,
            by_first,
            begin,
            longest,
            bound,
            steps,
            np.random.default_rng(seed),
        )
        return found

    def by_size(self) -> tuple[np.ndarray, int]:
        """Offsets and peak of the largest first, each into the smallest gap."""
        order, best_fit = next(self._plans())
        return self._place(order, _ANY, best_fit)[:2]

    def most(self, capacity: int) -> np.ndarray:
        """Offsets below ``capacity`` that leave the fewest bytes over."""
        found = [self._place(order, capacity, best_fit) for order, best_fit in self._plans()]
        return min(found, key=lambda placed: (placed[2], placed[1]))[0]

    def _place(
        self, order: np.ndarray, capacity: int, best_fit: bool
    ) -> tuple[np.ndarray, int, int]:
        """(offsets, peak, bytes left over) of buffers placed one after another."""
        from .buffer_gaps import place_in_order

        offsets = np.empty(len(order), np.int64)
        peak, left = place_in_order(
            order, self.sizes, self.lives, self.start, self.others, capacity, best_fit, offsets
        )
        return offsets, int(peak), int(left)

    def _plans(self) -> Iterator[tuple[np.ndarray, bool]]:
        """Orders to place buffers in, and whether into the smallest gap, within ``_WORK``."""
        index, (first, last) = np.arange(len(self.sizes)), self.lives.T
        size, life = -self.sizes, first - last
        busy = -_max_within(live_bytes(self.sizes, first, last), self.lives - first.min())
        orders = (
            (size, first), (size, busy), (busy, life, size), (size * -life, size), (life, size),
            (first, life), (last * -1, life),
        )  # fmt: skip
        work = 0
        for keys in orders:
            order = np.lexsort((index, *reversed(keys)))
            for best_fit in (True, False):
                yield order, best_fit
                work += self.pairs
                if work > _WORK:
                    return


def _max_within(values: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Largest of ``values`` at ``ranges`` [n, 2], both ends included; a sparse table."""
    level = np.log2(ranges[:, 1] - ranges[:, 0] + 1).astype(np.int64)
    result = np.empty(len(ranges), np.int64)
    table = values
    for step in range(int(level.max()) + 1):
        own = level == step
        low, high = ranges[own, 0], ranges[own, 1] + 1 - (1 << step)
        result[own] = np.maximum(table[low], table[high])
        table = np.maximum(table[: -(1 << step)], table[1 << step :])
    return result
