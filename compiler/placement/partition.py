"""Cuts a program into runs of operations, one for each chip of a chain.

A chip takes operations that follow each other, and the matrices that they drive; a matrix that
several chips drive is stored on each. What is made on one chip and read on a later one crosses the
links between neighbours, once a link. Dynamic programming over the cuts finds, among all such
partitions, those of fewest chips, and of these one whose links carry the fewest bytes. A matrix
larger than a chip has several chips in a row, which hold nothing else.

Partitions that do not follow the program's order, as for branches that run side by side, are not
looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

#: Whether the matrices (indices, each once) fit one chip together.
Fits = Callable[[Sequence[int]], bool]


@dataclass(frozen=True, slots=True)
class Chain:
    """The operations in order: ``matrices`` that each drives, and what later ones read.

    ``arrays`` [M] is what each matrix takes alone. Value v, of ``nbytes[v]`` bytes, is made by
    operation ``made[v]`` (-1: it comes from outside) and read last by ``read[v]``.
    """

    matrices: Sequence[Sequence[int]]
    arrays: np.ndarray
    made: np.ndarray
    read: np.ndarray
    nbytes: np.ndarray

    @property
    def cut_bytes(self) -> np.ndarray:
        """Bytes that cross a cut before each operation, int64 [n + 1]; none at the ends."""
        change = np.zeros(len(self.matrices) + 2, np.int64)
        inner = (np.asarray(self.made) >= 0) & (np.asarray(self.read) > np.asarray(self.made))
        np.add.at(change, np.asarray(self.made)[inner] + 1, np.asarray(self.nbytes)[inner])
        np.subtract.at(change, np.asarray(self.read)[inner] + 1, np.asarray(self.nbytes)[inner])
        return np.cumsum(change)[:-1]


@dataclass(frozen=True, slots=True)
class Segment:
    """Operations ``first .. end`` on ``chips`` chips from ``chip`` on."""

    first: int
    end: int
    chip: int
    chips: int


@dataclass(frozen=True, slots=True)
class Partition:
    """The segments in order, and the bytes that cross links between chips in one run."""

    segments: tuple[Segment, ...]
    crossing_bytes: int

    @property
    def chips(self) -> int:
        last = self.segments[-1]
        return last.chip + last.chips


def partition_chain(chain: Chain, capacity: int, fits: Fits) -> Partition:
    """The partition of fewest chips and then fewest bytes for chips of ``capacity`` arrays.

    ``fits`` must hold for fewer matrices where it holds for more. It decides for matrices that
    share arrays; those whose ``arrays`` add up to no more than ``capacity`` are not asked for.

    Raises ValueError where an operation drives several matrices that do not fit one chip.
    """
    count, cut = len(chain.matrices), chain.cut_bytes
    chips, crossing = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    origin = np.zeros(count + 1, np.int64)
    for end, (first, last, needed) in enumerate(_last_segments(chain, capacity, fits), 1):
        before = slice(first, last + 1)
        order = np.lexsort((crossing[before], chips[before]))
        start = origin[end] = first + int(order[0])
        chips[end] = chips[start] + needed
        # Links are passed one by one: what goes on has as many to pass as the segment has chips.
        crossing[end] = crossing[start] + cut[end] * needed
    segments = []
    end = count
    while end > 0:
        start = int(origin[end])
        segments.append(Segment(start, end, int(chips[start]), int(chips[end] - chips[start])))
        end = start
    return Partition(tuple(reversed(segments)), int(crossing[count]))


def _last_segments(chain: Chain, capacity: int, fits: Fits) -> Iterator[tuple[int, int, int]]:
    """For each end, the first and the last start of the segment that ends there, and its chips."""
    window = _Window(chain, capacity, fits)
    before, driving = -1, -1  # the last two operations with matrices
    for end in range(1, len(chain.matrices) + 1):
        if chain.matrices[end - 1]:
            before, driving = driving, end - 1
            window.take(driving)
        if window.large is None:
            yield window.first, end - 1, 1
        else:
            yield before + 1, driving, -(-int(chain.arrays[window.large]) // capacity)


class _Window:
    """The longest run of operations, up to the one taken last, whose matrices fit one chip.

    ``large`` is the matrix of that operation where it does not fit a chip by itself.
    """

    def __init__(self, chain: Chain, capacity: int, fits: Fits) -> None:
        self._chain, self._capacity, self._fits = chain, capacity, fits
        self._uses: Counter[int] = Counter()
        self._arrays = 0
        self.first = 0
        self.large: int | None = None

    def take(self, operation: int) -> None:
        matrices = set(self._chain.matrices[operation])
        self.large = None
        self._add(matrices)
        while self._arrays > self._capacity and not self._fits(sorted(self._uses)):
            if self.first == operation:
                if len(matrices) > 1:
                    taken = sum(int(self._chain.arrays[m]) for m in matrices)
                    raise ValueError(f"operation {operation} drives matrices of {taken:,} arrays")
                (self.large,) = matrices
            self._drop(set(self._chain.matrices[self.first]))
            self.first += 1

    def _add(self, matrices: set[int]) -> None:
        self._arrays += sum(int(self._chain.arrays[m]) for m in matrices if m not in self._uses)
        self._uses.update(matrices)

    def _drop(self, matrices: set[int]) -> None:
        self._uses.subtract(matrices)
        for m in matrices:
            if not self._uses[m]:
                del self._uses[m]
                self._arrays -= int(self._chain.arrays[m])
