"""Packs rectangles by kind: equal ones are counted, and filled bins repeated."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

#: Kinds that are packed together, at most. Filling bins takes time with their square.
_TOGETHER = 2048

#: (bin, row, col) int [n, 3] of rectangles sorted by kind, from the kinds [D, 2] and their counts.
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Packing:
    """Per rectangle: its ``array`` (bin), and the ``row`` and ``col`` where it starts there.

    ``bound`` is the number of arrays that no packing can do without.
    """

    array: np.ndarray
    row: np.ndarray
    col: np.ndarray
    arrays: int
    bound: int

    @staticmethod
    def of(spots: np.ndarray, bound: int) -> "Packing":
        """From (array, row, col) int [n, 3]; arrays are numbered without gaps."""
        array, row, col = spots.T.astype(np.int32)
        return Packing(array, row, col, int(array.max(initial=-1)) + 1, bound)


def count_kinds(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct ``sizes`` int [n, 2], how often each occurs, and the rectangles sorted by kind."""
    kinds, kind, counts = np.unique(sizes, axis=0, return_inverse=True, return_counts=True)
    return kinds, counts, np.argsort(kind.reshape(-1), kind="stable")


def fill_by_kind(kinds: np.ndarray, counts: np.ndarray, fill: Fill) -> np.ndarray:
    """What ``fill`` makes of all kinds; many are dealt by size to parts that share no bin."""
    parts = -(-len(kinds) // _TOGETHER)
    if parts <= 1:
        return fill(kinds, counts)
    part_of = np.empty(len(kinds), np.int64)
    part_of[np.argsort(kinds.prod(axis=1), kind="stable")] = np.arange(len(kinds)) % parts
    spots = np.empty((int(counts.sum()), 3), np.int64)
    bins = 0
    for part in range(parts):
        own = part_of == part
        found = fill(kinds[own], counts[own])
        found[:, 0] += bins
        spots[np.repeat(own, counts)] = found
        bins = int(found[:, 0].max()) + 1
    return spots


def expand_patterns(entries: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """(bin, row, col) of each rectangle, sorted by kind, from patterns and their repetitions.

    ``entries`` int [E, 4] are (pattern, kind, row, col); pattern p fills ``repeats[p]`` bins.
    """
    first = np.cumsum(repeats) - repeats
    times = repeats[entries[:, 0]]
    start = np.repeat(np.cumsum(times) - times, times)
    turn = np.arange(int(times.sum())) - start
    index = np.repeat(np.arange(len(entries)), times)
    spots = np.column_stack([first[entries[index, 0]] + turn, entries[index, 2:]])
    return spots[np.argsort(entries[index, 1], kind="stable")]
