"""Times of slots that keep their order: each starts when its resources and its inputs are ready."""

from collections.abc import Sequence

import numpy as np

from .costs import Ints


def time_slots(
    duration_ps: Sequence[int],
    resources: Sequence[Sequence[int]],
    waits: Sequence[Sequence[int]],
) -> tuple[Ints, Ints]:
    """Start and finish, int64 [slots], of slots in list order.

    ``resources[i]`` are what slot i occupies from start to finish (a device, or the directed links
    of a route), ``waits[i]`` the earlier slots that must have finished.
    """
    start = np.zeros(len(duration_ps), np.int64)
    finish = np.zeros(len(duration_ps), np.int64)
    free: dict[int, int] = {}
    for i, duration in enumerate(duration_ps):
        ready = max((int(finish[j]) for j in waits[i]), default=0)
        begin = max([ready, *(free.get(r, 0) for r in resources[i])])
        start[i], finish[i] = begin, begin + duration
        for r in resources[i]:
            free[r] = begin + duration
    return start, finish
