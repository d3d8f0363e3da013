"""Rows of independent work spread over threads; numba's loops release the interpreter lock."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

#: Below this many elements of work a thread costs more than it saves.
_ELEMENTS_PER_THREAD = 1 << 18


def usable_cores() -> int:
    """Processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def for_row_ranges(run: Callable[[slice], None], rows: int, work_per_row: int) -> None:
    """Calls ``run`` on ranges that together cover ``rows`` rows, in threads if there is enough.

    The ranges write disjoint rows, so the result does not depend on the number of threads.
    """
    wanted = rows * work_per_row // _ELEMENTS_PER_THREAD
    threads = max(1, min(wanted, rows, usable_cores()))
    if threads == 1:
        run(slice(0, rows))
        return
    bounds = [rows * i // threads for i in range(threads + 1)]
    ranges = [slice(a, b) for a, b in pairwise(bounds)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, ranges))
