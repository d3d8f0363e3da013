"""Places buffers one after another into the gaps between those alive with them; compiled.

The conflicts of buffer ``i``, which are alive in a slot with it, are ``others[start[i] :
start[i + 1]]``; where ``others`` is empty they are looked for among all.
"""

import numpy as np

from ...compiled import compiled


@compiled()
def list_conflicts(order, first, last, start):  # type: ignore[no-untyped-def]
    """The conflicts of all buffers, int32 [start[n]], where ``start`` sums up their counts.

    ``order`` rises by first slot.
    """
    n = len(order)
    others = np.empty(start[n], np.int32)
    filled = start[:n].copy()
    active, alive = np.empty(n, np.int64), 0
    for i in order:
        kept = 0
        for k in range(alive):
            j = active[k]
            if last[j] >= first[i]:
                active[kept] = j
                kept += 1
                others[filled[j]] = i
                filled[j] += 1
                others[filled[i]] = j
                filled[i] += 1
        active[kept] = i
        alive = kept + 1
    return others


@compiled()
def place_in_order(order, sizes, lives, start, others, capacity, best_fit, offsets):  # type: ignore[no-untyped-def]
    """Give each buffer of ``order`` the lowest, or the smallest gap (``best_fit``) that takes it.

    ``lives`` int64 [n, 2] are first and last slots. Fills ``offsets`` int64 [n], with -1 where
    there is no gap below ``capacity``. Returns the end of the highest buffer, and the bytes left
    over. The open end counts as the largest gap.
    """
    listed = len(others) > 0
    offsets[:] = -1
    begins, ends = np.empty(len(order), np.int64), np.empty(len(order), np.int64)
    peak = left = np.int64(0)
    for turn in range(len(order)):
        i = order[turn]
        size, m = sizes[i], 0
        for k in range(start[i] if listed else 0, start[i + 1] if listed else turn):
            j = np.int64(others[k]) if listed else order[k]
            at = offsets[j]
            if at < 0 or lives[j, 1] < lives[i, 0] or lives[j, 0] > lives[i, 1]:
                continue
            begins[m], ends[m] = at, at + sizes[j]
            m += 1
        if m > 32:
            sort = np.argsort(begins[:m])
            begins[:m] = begins[:m][sort]
            ends[:m] = ends[:m][sort]
        else:
            for k in range(1, m):
                b, e, at = begins[k], ends[k], k
                while at > 0 and begins[at - 1] > b:
                    begins[at], ends[at] = begins[at - 1], ends[at - 1]
                    at -= 1
                begins[at], ends[at] = b, e
        at, least, top = np.int64(-1), np.int64(1) << 62, np.int64(0)
        for k in range(m):
            gap = begins[k] - top
            if gap >= size and gap < least:
                at, least = top, gap
                if not best_fit:
                    break
            top = max(top, ends[k])
        if at < 0 and top + size <= capacity:
            at = top
        if at < 0:
            left += size
        else:
            offsets[i] = at
            peak = max(peak, at + size)
    return peak, left
