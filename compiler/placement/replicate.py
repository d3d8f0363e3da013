"""How many copies of each matrix: spare arrays go where they take the most time off an inference.

A matrix that reads P positions of t seconds each takes ceil(P / n) t in n copies, plus what the
links need to feed them. Each stage offers *options* (copies, seconds), of which only those that no
cheaper one beats matter; one option is chosen for each stage within a budget of arrays:

    least_sum         min  sum_i seconds_i     stages that run one after another
    least_bottleneck  min  max_i seconds_i     stages that run side by side

The second is exact by search over the seconds of all options. The first is a multiple-choice
knapsack: exact by dynamic programming over the budget where that is small, else by falling gain an
array along the lower convex hulls of the options (Sinha and Zoltners, "The multiple-choice knapsack
problem", Operations Research 27, 1979), with the linear relaxation as a bound of what is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Table entries up to which the sum is minimised exactly.
_EXACT_ENTRIES = 4_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """Options of one matrix, the first without copies: ``arrays`` rise from 0, ``seconds`` fall."""

    copies: Ints
    arrays: Ints
    seconds: Floats


@dataclass(frozen=True, slots=True)
class Allocation:
    """The option chosen for each stage; no choice within the budget reaches below ``bound_s``."""

    chosen: list[int]
    arrays: int
    seconds: float
    bound_s: float


def stage_options(
    positions: Sequence[int],
    arrays_per_copy: int,
    most_copies: int,
    seconds: Callable[[int], float],
) -> Stage:
    """The options of a matrix that is driven with ``positions`` each time it is used.

    Between two counts of copies with equal ceil(P / n) the fewer are never slower, so only those
    are tried; ``seconds(n)`` says how long all uses take. One copy may share its arrays with
    others and costs nothing more; several have ``arrays_per_copy`` for themselves each.
    """
    counts = {1}
    for count in positions:
        counts |= _distinct_shares(count)
    copies, arrays, times = [1], [0], [seconds(1)]
    for n in sorted(counts - {1}):
        time_s = seconds(n) if n <= most_copies else np.inf
        if time_s < times[-1]:
            copies.append(n)
            arrays.append(n * arrays_per_copy)
            times.append(time_s)
    return Stage(np.array(copies), np.array(arrays), np.array(times))


def _distinct_shares(positions: int) -> set[int]:
    """The fewest copies for each value of ceil(positions / copies)."""
    found, copies = set(), 1
    while copies <= positions:
        share = -(-positions // copies)
        found.add(-(-positions // share))
        if share == 1:
            break
        copies = -(-positions // (share - 1))
    return found


def least_sum(stages: Sequence[Stage], budget: int, enough_s: float = 0.0) -> Allocation:
    """The least total time within ``budget`` arrays, or the fewest arrays for ``enough_s``."""
    entries = (budget + 1) * sum(len(stage.arrays) for stage in stages)
    if entries <= _EXACT_ENTRIES:
        return _least_sum_exact(stages, budget, enough_s)
    return _least_sum_by_gain(stages, budget, enough_s)


def _least_sum_exact(stages: Sequence[Stage], budget: int, enough_s: float) -> Allocation:
    """Dynamic programming over the arrays spent."""
    best, picks = np.zeros(budget + 1), []
    for stage in stages:
        new, pick = np.full(budget + 1, np.inf), np.zeros(budget + 1, np.int64)
        for option, (arrays, seconds) in enumerate(zip(stage.arrays, stage.seconds, strict=True)):
            if arrays > budget:
                break
            total = best[: budget + 1 - arrays] + seconds
            better = total < new[arrays:]
            new[arrays:][better] = total[better]
            pick[arrays:][better] = option
        best = new
        picks.append(pick)
    reached = np.flatnonzero(best <= max(enough_s, best[-1]))
    left = int(reached[0])
    seconds, chosen = float(best[left]), []
    for stage, pick in zip(reversed(stages), reversed(picks), strict=True):
        option = int(pick[left])
        chosen.append(option)
        left -= int(stage.arrays[option])
    return _allocation(stages, chosen[::-1], seconds)


def _least_sum_by_gain(stages: Sequence[Stage], budget: int, enough_s: float) -> Allocation:
    """Steps along the hulls by falling gain; a step that does not fit ends its stage."""
    steps = []
    for number, stage in enumerate(stages):
        hull = lower_hull(stage.arrays, stage.seconds)
        for a, b in pairwise(hull):
            arrays = int(stage.arrays[b] - stage.arrays[a])
            gain = float(stage.seconds[a] - stage.seconds[b])
            steps.append((-gain / arrays, number, b, arrays, gain))
    chosen, ended = [0] * len(stages), [False] * len(stages)
    total = sum(float(stage.seconds[0]) for stage in stages)
    left, bound_s = budget, None
    for rate, number, option, arrays, gain in sorted(steps):
        if total <= enough_s:
            break
        if ended[number]:
            continue
        if arrays > left:
            ended[number] = True
            if bound_s is None:  # the relaxation takes the first step that does not fit in part
                bound_s = total + rate * left
            continue
        chosen[number], left, total = option, left - arrays, total - gain
    return _allocation(stages, chosen, total if bound_s is None else bound_s)


def least_bottleneck(stages: Sequence[Stage], budget: int) -> Allocation:
    """The least time of the slowest stage within ``budget`` arrays; each takes as few as it can."""
    times = np.unique(np.concatenate([stage.seconds for stage in stages]))
    low, high = 0, len(times) - 1
    chosen = [0] * len(stages)
    while low <= high:
        middle = (low + high) // 2
        options = [int(np.searchsorted(-s.seconds, -times[middle])) for s in stages]
        fits = all(k < len(s.arrays) for k, s in zip(options, stages, strict=True)) and (
            sum(int(s.arrays[k]) for k, s in zip(options, stages, strict=True)) <= budget
        )
        if fits:
            chosen, high = options, middle - 1
        else:
            low = middle + 1
    slowest = max(float(s.seconds[k]) for k, s in zip(chosen, stages, strict=True))
    arrays = sum(int(s.arrays[k]) for k, s in zip(chosen, stages, strict=True))
    return Allocation(chosen, arrays, slowest, slowest)


def lower_hull(arrays: Ints, seconds: Floats) -> list[int]:
    """Indices of the points on the lower convex hull, ``arrays`` rising and ``seconds`` falling."""
    hull: list[int] = []
    for k in range(len(arrays)):
        while len(hull) > 1 and _bends_up(arrays, seconds, hull[-2], hull[-1], k):
            hull.pop()
        hull.append(k)
    return hull


def _bends_up(arrays: Ints, seconds: Floats, a: int, b: int, c: int) -> bool:
    """Whether ``b`` lies on or above the line from ``a`` to ``c``."""
    rise = (seconds[b] - seconds[a]) * (arrays[c] - arrays[a])
    return bool(rise >= (seconds[c] - seconds[a]) * (arrays[b] - arrays[a]))


def _allocation(stages: Sequence[Stage], chosen: list[int], bound_s: float) -> Allocation:
    pairs = list(zip(chosen, stages, strict=True))
    arrays = sum(int(stage.arrays[k]) for k, stage in pairs)
    return Allocation(chosen, arrays, sum(float(stage.seconds[k]) for k, stage in pairs), bound_s)
