"""Fills bins along their diagonals, compiled: what is placed shares neither rows nor columns."""

import numpy as np

from ...compiled import compiled


@compiled()
def fill_diagonals(heights, widths, counts, rows, cols, order):  # type: ignore[no-untyped-def]
    """Fill bins of ``rows`` x ``cols`` with ``counts`` [D] of sizes ``heights`` x ``widths``.

    A bin takes of each size in ``order`` as many as fit, and is repeated as often as the counts
    allow. Returns entries int64 [E, 4] (pattern, size, row, col) and the repetitions of each
    pattern int64 [P].
    """
    left = counts.copy()
    total = left.sum()
    entries = np.empty((total, 4), np.int64)
    repeats = np.empty(total, np.int64)
    inside = np.zeros(len(left), np.int64)
    made, patterns = 0, 0
    while total > 0:
        r, c, begin = 0, 0, made
        again = np.int64(1) << 60
        for size in order:
            h, w = heights[size], widths[size]
            times = min(left[size], (rows - r) // h, (cols - c) // w)
            inside[size] = times
            if times == 0:
                continue
            for _ in range(times):
                entries[made, 0], entries[made, 1] = patterns, size
                entries[made, 2], entries[made, 3] = r, c
                made += 1
                r, c = r + h, c + w
            again = min(again, left[size] // times)
        for size in order:
            left[size] -= inside[size] * again
        repeats[patterns] = again
        patterns += 1
        total -= (made - begin) * again
    return entries[:made], repeats[:patterns]
