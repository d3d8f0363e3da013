"""Cuts a program into runs of operations, one for each chip of a chain.

A chip takes operations that follow each other. What is made on one chip and read on a later one
crosses the links between neighbours, once a link. There are two ways to cut:

- ``partition_chain``: between operations. A chip has the matrices that its operations drive; one
  that several chips drive is stored on each, and small ones share arrays.
- ``cut_arrays``: between arrays. A matrix may lie on two chips or more; its operation runs on one
  of them, and codes and sums of the arrays on others cross the links.

Both are dynamic programming over the cuts, and exact: the fewest chips, and of these the fewest
bytes over links. Partitions that do not follow the program's order, as for branches that run side
by side, are not looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

#: Whether the matrices (indices, each once) fit one chip together.
Fits = Callable[[Sequence[int]], bool]


@dataclass(frozen=True, slots=True)
class Chain:
    """The operations in order: ``matrices`` that each drives, and what later ones read.

    ``arrays`` [M] is what each matrix takes alone, ``product_bytes`` [n] the input codes and
    partial sums of an operation's product, infinite where it must be on one chip with its matrices.
    Value v, of ``nbytes[v]`` bytes, is made by operation ``made[v]`` (-1: it comes from outside)
    and read last by ``read[v]``.
    """

    matrices: Sequence[Sequence[int]]
    arrays: np.ndarray
    product_bytes: np.ndarray
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
class Partition:
    """``home`` int [n]: the chip of each operation; bytes that cross links in one run.

    ``cuts`` int [chips + 1] are the first arrays of the chips and the end, where arrays are cut:
    those of all matrices that are driven, in the order of their operations.
    """

    home: np.ndarray
    chips: int
    crossing_bytes: float
    cuts: np.ndarray | None = None


def partition_chain(chain: Chain, capacity: int, fits: Fits) -> Partition | None:
    """The best partition between operations for chips of ``capacity`` arrays.

    None where the matrices of one operation do not fit a chip. ``fits`` must hold for fewer
    matrices where it holds for more; matrices whose ``arrays`` add up to no more than ``capacity``
    are not asked for.
    """
    count, cut = len(chain.matrices), chain.cut_bytes
    chips, crossing = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    origin = np.zeros(count + 1, np.int64)
    for end, first in enumerate(_first_starts(chain, capacity, fits), 1):
        if first == end:
            return None
        order = np.lexsort((crossing[first:end], chips[first:end]))
        start = origin[end] = first + int(order[0])
        chips[end], crossing[end] = chips[start] + 1, crossing[start] + cut[end]
    home = np.zeros(count, np.int64)
    end = count
    while end > 0:
        home[origin[end] : end] = chips[end] - 1
        end = int(origin[end])
    return Partition(home, int(chips[count]), float(crossing[count]))


def _first_starts(chain: Chain, capacity: int, fits: Fits) -> Iterator[int]:
    """For each end of operations, the first start from which their matrices fit a chip.

    That is the end itself where those of the last operation do not.
    """
    uses: Counter[int] = Counter()
    arrays, first = 0, 0
    for driven in chain.matrices:
        arrays += sum(int(chain.arrays[m]) for m in set(driven) if m not in uses)
        uses.update(set(driven))
        while arrays > capacity and not fits(sorted(uses)):
            left = set(chain.matrices[first])
            uses.subtract(left)
            gone = [m for m in left if not uses[m]]
            arrays -= sum(int(chain.arrays[m]) for m in gone)
            for m in gone:
                del uses[m]
            first += 1
        yield first


def cut_arrays(chain: Chain, capacity: int) -> Partition | None:
    """The best partition between arrays; None where a matrix is driven twice, or too large to move.

    Bytes of a product are taken to be spread evenly over its arrays.
    """
    driven = [m for matrices in chain.matrices for m in dict.fromkeys(matrices)]
    if len(driven) != len(set(driven)):
        return None
    bytes_at, cut_before = _costs_of_cuts(chain)
    cuts = cheapest_cuts(bytes_at, capacity)
    if cuts is None:
        return None
    home = np.searchsorted(np.sort(cut_before[cuts[1:-1]]), np.arange(len(chain.matrices)), "right")
    return Partition(home, len(cuts) - 1, float(bytes_at[cuts[1:-1]].sum()), cuts)


def _costs_of_cuts(chain: Chain) -> tuple[np.ndarray, np.ndarray]:
    """Of a cut before each array: bytes that cross it, and the first operation behind it.

    The operation of an array that is cut runs on the cheaper side, codes and sums cross from the
    other. Of the operations without matrices around, those run behind the cut that leave the least
    to cross.
    """
    cut = chain.cut_bytes
    driving = [i for i, matrices in enumerate(chain.matrices) if matrices]
    edges = [0, *(i + 1 for i in driving), len(cut)]
    # The best cut among the operations before each driving one, and behind the last.
    best = [a + int(np.argmin(cut[a:b])) for a, b in pairwise(edges) if a < b]
    best = best if len(best) > len(driving) else [*best, len(cut) - 1]
    bytes_at, cut_before = [], []
    for n, i in enumerate(driving):
        arrays = int(sum(chain.arrays[m] for m in dict.fromkeys(chain.matrices[i])))
        share = np.arange(arrays) / arrays
        behind = np.full(arrays, float(cut[best[n]]))  # the operation runs behind the cut
        behind[1:] += share[1:] * chain.product_bytes[i]
        ahead = np.full(arrays, np.inf)
        ahead[1:] = (1 - share[1:]) * chain.product_bytes[i] + cut[best[n + 1]]
        bytes_at.append(np.minimum(behind, ahead))
        cut_before.append(np.where(behind <= ahead, best[n], best[n + 1]))
    bytes_at.append(np.zeros(1))
    cut_before.append(np.full(1, len(chain.matrices)))
    return np.concatenate(bytes_at), np.concatenate(cut_before)


def cheapest_cuts(cost: np.ndarray, capacity: int) -> np.ndarray | None:
    """0, the fewest cuts between runs of at most ``capacity``, and the end, of least cost in all.

    ``cost`` [n + 1] is that of a cut before each of n items (those at the ends are not counted),
    infinite where there must be none. None where a run would have to be longer.
    """
    count = len(cost) - 1
    blocked = np.flatnonzero(np.isfinite(cost[1:-1])) + 1
    if np.diff([0, *blocked, count]).max(initial=0) > capacity:
        return None
    runs = max(1, -(-count // capacity))
    while True:
        cuts = _cheapest_of(cost, capacity, runs)
        if cuts is not None:
            return cuts
        runs += 1


def _cheapest_of(cost: np.ndarray, capacity: int, runs: int) -> np.ndarray | None:
    """The cheapest cuts into so many runs, None where all are infinite.

    The n-th cut lies where neither what is before it nor what is behind needs longer runs; these
    places are few when runs are full, which keeps this linear in the items.
    """
    count = len(cost) - 1
    totals, firsts = [np.zeros(1)], [0]
    for n in range(1, runs):
        first, last = max(0, count - (runs - n) * capacity), min(n * capacity, count)
        places = np.arange(first, last + 1)
        before = np.full(last - firsts[-1] + 1, np.inf)
        before[: len(totals[-1])] = totals[-1][: len(before)]
        least = _least_before(before, capacity + 1)
        totals.append(least[places - firsts[-1]] + cost[places])
        firsts.append(first)
    cuts = [count]
    for first, total in zip(reversed(firsts), reversed(totals), strict=True):
        low = max(cuts[-1] - capacity, first)
        window = total[low - first : cuts[-1] - first + 1]
        if not len(window) or not np.isfinite(window.min()):
            return None
        cuts.append(low + int(window.argmin()))
    return np.array(cuts[::-1])


def _least_before(values: np.ndarray, width: int) -> np.ndarray:
    """The least of each value and the ``width`` - 1 before it.

    Van Herk, "A fast algorithm for local minimum and maximum filters", Pattern Recognition Letters
    13 (1992): the minima from the start and from the end of blocks of ``width``.
    """
    blocks = -(-len(values) // width)
    padded = np.full((blocks + 1) * width, np.inf)
    padded[width : width + len(values)] = values
    grid = padded.reshape(-1, width)
    ahead = np.minimum.accumulate(grid, axis=1).reshape(-1)
    behind = np.minimum.accumulate(grid[:, ::-1], axis=1)[:, ::-1].reshape(-1)
    at = np.arange(width, width + len(values))
    return np.minimum(ahead[at], behind[at - width + 1])
