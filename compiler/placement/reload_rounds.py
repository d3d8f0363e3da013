"""Which matrices pass through a window of arrays, and which of them together.

A round is what is written at once: the next part of a matrix that is larger than the window, or
matrices that follow each other and fit the window together. What no round takes stays.
"""

from dataclasses import dataclass

import numpy as np

#: Matrices of one round that are looked at where rounds cannot all be full.
_MOST_TOGETHER = 64


@dataclass(frozen=True, slots=True)
class Rounds:
    """``streamed`` int64 [M]: arrays of each matrix that are written anew at each use.

    Those of matrix m take arrays ``offset[m]`` of the window and those behind it; ``count`` rounds
    are written in an inference.
    """

    streamed: np.ndarray
    offset: np.ndarray
    count: int


def stream_rounds(
    arrays: np.ndarray, uses: np.ndarray, movable: np.ndarray, needed: int, window: int
) -> Rounds | None:
    """Rounds that write ``needed`` arrays in all; None where fewer may move.

    ``arrays`` [M] are in the order in which the matrices are used. Matrices with one use go first:
    others would be written for each.
    """
    once = np.where(movable & (uses <= 1), arrays, 0)
    found = fewest_rounds(once, window, needed)
    if found is not None:
        return found
    streamed = stream_apart(arrays, uses, movable, needed, window)
    if streamed is None:
        return None
    count = int((uses * -(-streamed // window)).sum())
    return Rounds(streamed, np.zeros_like(streamed), count)


def fewest_rounds(arrays: np.ndarray, window: int, needed: int) -> Rounds | None:
    """The fewest rounds with ``needed`` arrays in all, of matrices that are used once.

    Full rounds of matrices larger than the window are as many arrays as a round can have, and are
    taken first, and then full rounds of the others. Where these are not enough, dynamic programming
    finds the most arrays that k rounds of the others can have, for each k: exact but for the choice
    of the large ones.
    """
    arrays = np.asarray(arrays, np.int64)
    full = arrays // window * window
    before = np.cumsum(full) - full
    streamed = np.clip(needed - before, 0, full)
    offset = np.zeros_like(streamed)
    left = needed - int(streamed.sum())
    if left > 0:
        groups = _groups(arrays, window, left)
        if groups is None:
            return None
        for first, end in groups:
            part = slice(first, end)
            sizes = arrays[part] - full[part]
            offset[part] = np.minimum(np.cumsum(sizes) - sizes, window)
            taken = np.clip(window - offset[part], 0, sizes)
            taken = np.clip(left - (np.cumsum(taken) - taken), 0, taken)
            left -= int(taken.sum())
            streamed[part] += taken
        offset[full > 0] = 0
        return Rounds(streamed, offset, int((full // window).sum()) + len(groups))
    return Rounds(streamed, offset, int((-(-streamed // window)).sum()))


def _groups(arrays: np.ndarray, window: int, needed: int) -> list[tuple[int, int]] | None:
    """The fewest runs ``first .. end`` of matrices that have ``needed`` arrays in the window.

    A matrix as large as the window is a run by itself, with what its full rounds leave.
    """
    sizes, alone = arrays % window, arrays >= window
    groups = _full_groups(sizes, alone, window, needed)
    if groups is not None:
        return groups
    count = len(arrays)
    # most[i, k]: arrays of the best k runs among the first i matrices; -1 for none.
    most = np.full((count + 1, count + 1), -1, np.int64)
    start = np.tile(np.arange(count + 1, dtype=np.int32)[:, None], (1, count + 1))
    most[0, 0] = 0
    for end in range(1, count + 1):
        most[end] = most[end - 1]
        total = 0
        for first in range(end - 1, max(end - 1 - _MOST_TOGETHER, -1), -1):
            if alone[first] and (first < end - 1 or not sizes[first]):
                break
            total += int(sizes[first])
            with_run = np.where(most[first, :-1] >= 0, most[first, :-1] + min(total, window), -1)
            better = with_run > most[end, 1:]
            most[end, 1:][better] = with_run[better]
            start[end, 1:][better] = first
            if total >= window or alone[first]:
                break
    enough = np.flatnonzero(most[count] >= needed)
    return _runs(start, int(enough[0])) if len(enough) else None


def _full_groups(
    sizes: np.ndarray, alone: np.ndarray, window: int, needed: int
) -> list[tuple[int, int]] | None:
    """Runs of which each but the last fills the window, so that fewer cannot do; None if too few.

    Where all matrices must move there is nothing to spare for that.
    """
    groups: list[tuple[int, int]] = []
    first, total, left = 0, 0, needed
    for end, (size, large) in enumerate(zip(sizes.tolist(), alone.tolist(), strict=True), 1):
        first, total = (end, 0) if large else (first, total + size)
        if total >= min(window, left):
            groups.append((first, end))
            left -= min(window, total)
            first, total = end, 0
        if left <= 0:
            return groups
    return None


def _runs(start: np.ndarray, k: int) -> list[tuple[int, int]]:
    """The runs that ``start[end, k]`` leads back through: ``end`` itself where it is in none."""
    groups, end = [], len(start) - 1
    while k:
        first = int(start[end, k])
        if first == end:
            end -= 1
            continue
        groups.append((first, end))
        end, k = first, k - 1
    return groups[::-1]


def stream_apart(
    arrays: np.ndarray, uses: np.ndarray, movable: np.ndarray, needed: int, window: int
) -> np.ndarray | None:
    """Arrays of each matrix to stream, int64 [M], ``needed`` in all; None where fewer may move.

    Each round holds weights of one matrix. Takes rounds, the fullest of the least used matrices
    first: a covering knapsack, and the last round taken is all that this can be above its optimum.
    """
    streamed = np.zeros(len(arrays), np.int64)
    full, rest = np.divmod(np.where(movable, arrays, 0), window)
    owner = np.tile(np.arange(len(arrays)), 2)
    size = np.concatenate([np.full(len(arrays), window), rest])
    held = size * np.concatenate([full, np.ones_like(full)])
    order = np.lexsort((-owner, uses[owner] / np.maximum(size, 1)))
    order = order[held[order] > 0]
    total = np.cumsum(held[order])
    if needed <= 0 or not len(total) or total[-1] < needed:
        return streamed if needed <= 0 else None
    last = int(np.searchsorted(total, needed))
    np.add.at(streamed, owner[order[:last]], held[order[:last]])
    streamed[owner[order[last]]] += needed - (int(total[last - 1]) if last else 0)
    return streamed
