"""Bits of the converters by matrix: the exact choice under a budget.

Errors that different matrices add to a network's output hardly correlate, so their powers add up,
and so do energies. Choosing one resolution a matrix is then a multiple-choice knapsack (Kellerer et
al., Knapsack Problems, 2004, chapter 11), solved by dynamic programming over the budget.
"""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

BINS = 4096
"""Steps of the budget. Weights are rounded up to them, so that a choice never exceeds it."""


def choose_within(cost: Doubles, weight: Doubles, budget: float) -> NDArray[np.int64] | None:
    """One choice for each of M items: the least sum of ``cost [M, B]`` with the sum of ``weight
    [M, B]`` within ``budget``. Returns indices ``[M]``, or None when no choice is within."""
    items = len(cost)
    if budget <= 0 or not items:
        return None
    steps = np.ceil(weight / budget * BINS - 1e-9).astype(np.int64)
    least = np.full(BINS + 1, np.inf)
    least[0] = 0.0
    picks = np.zeros((items, BINS + 1), np.int64)
    for item in range(items):
        reached = np.full((cost.shape[1], BINS + 1), np.inf)
        for choice, step in enumerate(steps[item]):
            if step <= BINS:
                reached[choice, step:] = least[: BINS + 1 - step] + cost[item, choice]
        picks[item] = reached.argmin(axis=0)
        least = reached.min(axis=0)
    at = int(least.argmin())
    if not np.isfinite(least[at]):
        return None
    chosen = np.zeros(items, np.int64)
    for item in reversed(range(items)):
        chosen[item] = picks[item, at]
        at -= int(steps[item, chosen[item]])
    return chosen


def output_sqnr_db(signal: float, errors: float) -> float:
    """Signal power over error power in dB; infinite without an error."""
    return float(10 * np.log10(signal / errors)) if errors > 0 and signal > 0 else float("inf")
