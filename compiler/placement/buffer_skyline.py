"""Stacks buffers on a skyline over time, and improves the priorities by which they are chosen.

The lowest level of the skyline is filled first, with the buffer of highest priority among those
whose life lies within it; where there is none the level rises to its lower neighbour (Sekiyama et
al., "Profile-guided memory optimization for deep neural networks", 2018, with the longest life
first). Hill climbing on the priorities then finds what no fixed order does.
"""

import numpy as np

from ...compiled import compiled


@compiled()
def _stack_up(lives, sizes, by_first, begin, priority, offsets, end, start, height, skip):  # type: ignore[no-untyped-def]
    """Fill ``offsets`` int64 [n] for buffers of ``lives`` [n, 2] in sections; the peak.

    ``by_first`` are the buffers by first section, those of section s from ``begin[s]`` on. The
    other arrays are scratch: the last section of the level that begins in one, the first of that
    which ends there, its height; and the next buffer of ``by_first`` that is not placed.
    """
    n, sections = len(sizes), len(begin) - 1
    end[0], start[sections - 1], height[0] = sections - 1, 0, 0
    for k in range(n + 1):
        skip[k] = k
    left, peak = n, np.int64(0)
    while left > 0:
        level, low = 0, height[0]
        at = end[0] + 1
        while at < sections:
            if height[at] < low:
                level, low = at, height[at]
            at = end[at] + 1
        stop = end[level]
        chosen, place, best = -1, -1, -1.0
        k = begin[level]
        while True:
            while skip[k] != k:
                skip[k] = skip[skip[k]]
                k = skip[k]
            if k >= begin[stop + 1]:
                break
            i = by_first[k]
            if lives[i, 1] <= stop and priority[i] > best:
                chosen, place, best = i, k, priority[i]
            k += 1
        if chosen >= 0:
            offsets[chosen] = low
            skip[place] = place + 1
            left -= 1
            first, last, top = lives[chosen, 0], lives[chosen, 1], low + sizes[chosen]
            peak = max(peak, top)
            if first > level:
                end[level], start[first - 1] = first - 1, level
            if last < stop:
                end[last + 1], start[stop], height[last + 1] = stop, last + 1, low
            end[first], start[last], height[first] = last, first, top
            level, stop = first, last
        else:
            top = np.int64(1) << 62
            if level > 0:
                top = min(top, height[start[level - 1]])
            if stop + 1 < sections:
                top = min(top, height[stop + 1])
            height[level] = top
        # A level as high as its neighbour is one with it.
        if level > 0 and height[start[level - 1]] == top:
            level = start[level - 1]
        if stop + 1 < sections and height[stop + 1] == top:
            stop = end[stop + 1]
        end[level], start[stop] = stop, level
    return peak


@compiled()
def _shake(priority, lives, sizes, offsets, bound, high, rng):  # type: ignore[no-untyped-def]
    """Change the priorities of up to four buffers alive with one that reaches above ``bound``."""
    n, reaching = len(sizes), 0
    for i in range(n):
        if offsets[i] + sizes[i] > bound:
            high[reaching] = i
            reaching += 1
    target = high[int(rng.random() * reaching)]
    for _ in range(1 + int(rng.random() * rng.random() * 4)):
        i = int(rng.random() * n)
        for _ in range(30):
            if lives[i, 0] <= lives[target, 1] and lives[i, 1] >= lives[target, 0]:
                break
            i = int(rng.random() * n)
        priority[i] *= np.exp(4.0 * rng.random() - 2.0)
    if rng.random() < 0.5:
        priority[target] *= 1.0 + 2.0 * rng.random()


@compiled()
def climb(lives, sizes, by_first, begin, priority, bound, tries, rng):  # type: ignore[no-untyped-def]
    """The offsets int64 [n] of the lowest peak found from ``priority`` float64 [n] on.

    A step changes a few priorities, and is kept where neither the peak rises nor what lies above
    ``bound`` does. Ends at ``bound`` or after ``tries`` steps.
    """
    n, sections = len(sizes), len(begin) - 1
    end, start = np.empty(sections, np.int64), np.empty(sections, np.int64)
    height, skip = np.empty(sections, np.int64), np.empty(n + 1, np.int64)
    best, trial = np.empty(n, np.int64), np.empty(n, np.int64)
    changed, high = np.empty(n, np.float64), np.empty(n, np.int64)
    peak = _stack_up(lives, sizes, by_first, begin, priority, best, end, start, height, skip)
    above = np.inf
    for _ in range(tries):
        if peak <= bound:
            break
        changed[:] = priority
        _shake(changed, lives, sizes, best, bound, high, rng)
        top = _stack_up(lives, sizes, by_first, begin, changed, trial, end, start, height, skip)
        if top > peak:
            continue
        over = 0.0
        for i in range(n):
            over += max(0, trial[i] + sizes[i] - bound) * (lives[i, 1] - lives[i, 0] + 1.0)
        if top < peak or over <= above:
            peak, above = top, over
            priority[:] = changed
            best, trial = trial, best
    return best
