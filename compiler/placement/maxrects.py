"""Two-dimensional bin packing with maximal free rectangles, compiled: construction and search.

The free space of a bin is kept as all maximal free rectangles (Jylanki, "A thousand ways to pack
the bin", 2010). Rectangles are not turned: rows of an array are not its columns.

- :func:`fill_patterns` fills one bin after another from a list of sizes with counts, and repeats a
  filled bin as often as the counts allow; so identical sizes cost nothing.
- :func:`improve` works on a packing of fewer bins and a pool of what is left over. A step empties
  one to three bins and packs their content and the pool anew in a random order (ruin and recreate:
  Schrimpf et al., J. Comput. Phys. 159, 2000). What stays in the pool gains weight, so that it is
  packed sooner (the ejection pool of Nagata and Braysy, Oper. Res. Lett. 37, 2009).
"""

import numpy as np

from ...compiled import compiled

#: Free rectangles kept of one bin; more are forgotten, which costs room but is never wrong.
FREE_CAP = 256
#: Ways to choose among free rectangles: least short side left, least long side left, least area
#: left, lowest, and longest contact with what is placed.
RULES = 5
#: Rectangles of a usual step of the search.
USUAL = 32
#: Bins that a step of the search packs anew, at most.
RUINED = 3


@compiled()
def _occupy(free, count, r0, c0, r1, c1, low, least_h, least_w):  # type: ignore[no-untyped-def]
    """Take a rectangle out of the ``count`` first ``free`` [cap, 4]; the new count.

    Pieces lower than ``least_h`` or narrower than ``least_w`` are of no use. ``low`` is scratch.
    """
    kept, fresh = 0, 0
    for k in range(count):
        a, b, c, d = free[k, 0], free[k, 1], free[k, 2], free[k, 3]
        if r1 <= a or r0 >= c or c1 <= b or c0 >= d:
            if kept != k:
                free[kept] = free[k]
            kept += 1
            continue
        for side in range(4):
            e, f, g, i = a, b, c, d
            if side == 0:
                g = r0
            elif side == 1:
                e = r1
            elif side == 2:
                i = c0
            else:
                f = c1
            if g - e >= least_h and i - f >= least_w and fresh < low.shape[0]:
                low[fresh, 0], low[fresh, 1], low[fresh, 2], low[fresh, 3] = e, f, g, i
                fresh += 1
    old = kept
    for k in range(fresh):
        a, b, c, d = low[k, 0], low[k, 1], low[k, 2], low[k, 3]
        held = False
        for j in range(old):
            if free[j, 0] <= a and free[j, 1] <= b and free[j, 2] >= c and free[j, 3] >= d:
                held = True
                break
        if not held:
            for j in range(fresh):
                around = low[j, 0] <= a and low[j, 1] <= b and low[j, 2] >= c and low[j, 3] >= d
                if around and j != k:
                    same = low[j, 0] == a and low[j, 1] == b and low[j, 2] == c and low[j, 3] == d
                    if not same or j < k:
                        held = True
                        break
        if not held and kept < free.shape[0]:
            free[kept, 0], free[kept, 1], free[kept, 2], free[kept, 3] = a, b, c, d
            kept += 1
    return kept


@compiled()
def _contact(placed, count, r, c, h, w, rows, cols):  # type: ignore[no-untyped-def]
    """Length of the sides of a rectangle that touch the bin or the ``count`` first ``placed``."""
    touch = 0
    if r == 0:
        touch += w
    if c == 0:
        touch += h
    if r + h == rows:
        touch += w
    if c + w == cols:
        touch += h
    for k in range(count):
        a, b, e, f = placed[k, 0], placed[k, 1], placed[k, 2], placed[k, 3]
        if a == r + h or e == r:
            touch += max(0, min(f, c + w) - max(b, c))
        if b == c + w or f == c:
            touch += max(0, min(e, r + h) - max(a, r))
    return touch


@compiled()
def _best_free(free, count, placed, used, h, w, rule, rows, cols):  # type: ignore[no-untyped-def]
    """(free rectangle, score) in which ``h`` x ``w`` is placed best; the index is -1 for none."""
    best, best_score = -1, np.int64(1) << 60
    scale = np.int64(rows + cols)
    for k in range(count):
        left_h = free[k, 2] - free[k, 0] - h
        left_w = free[k, 3] - free[k, 1] - w
        if left_h < 0 or left_w < 0:
            continue
        if rule == 0:
            score = min(left_h, left_w) * scale + max(left_h, left_w)
        elif rule == 1:
            score = max(left_h, left_w) * scale + min(left_h, left_w)
        elif rule == 2:
            area = (left_h + h) * (left_w + w) - h * w
            score = area * scale + min(left_h, left_w)
        elif rule == 3:
            score = (free[k, 0] + h) * scale + free[k, 1]
        else:
            touch = _contact(placed, used, free[k, 0], free[k, 1], h, w, rows, cols)
            score = (2 * scale - touch) * scale + min(left_h, left_w)
        if score < best_score:
            best, best_score = k, score
    return best, best_score


@compiled()
def _choose_size(  # type: ignore[no-untyped-def]
    free, count, placed, used, heights, widths, left, order, position, rule, greedy, rows, cols
):
    """(position in ``order``, free rectangle) of what is placed next; no rectangle is -1.

    It is the first size from ``position`` on that fits, or the best of all where ``greedy``.
    """
    chosen, where, best = position, -1, np.int64(1) << 60
    for k in range(0 if greedy else position, len(order)):
        t = order[k]
        if left[t] == 0:
            continue
        found, score = _best_free(
            free, count, placed, used, heights[t], widths[t], rule, rows, cols
        )
        if found >= 0 and score < best:
            chosen, where, best = k, found, score
            if not greedy:
                break
    return chosen, where


@compiled()
def fill_patterns(heights, widths, counts, rows, cols, order, rule, greedy, limit):  # type: ignore[no-untyped-def]
    """Fill bins of ``rows`` x ``cols`` with ``counts`` [D] of sizes ``heights`` x ``widths``.

    Sizes are tried in ``order``, or all of them at each step where ``greedy`` (the best score by
    ``rule`` wins). Returns entries int64 [E, 4] (pattern, size, row, col), the repetitions of each
    pattern int64 [P], and the bins; the bins are ``limit`` + 1 where they would be more.
    """
    left = counts.copy()
    total = left.sum()
    free = np.empty((FREE_CAP, 4), np.int64)
    scratch = np.empty((FREE_CAP, 4), np.int64)
    placed = np.empty((total + 1, 4), np.int64)
    entries = np.empty((total, 4), np.int64)
    repeats = np.empty(total, np.int64)
    inside = np.zeros(len(order), np.int64)
    least_h, least_w = heights.min(), widths.min()
    made, patterns, bins = 0, 0, 0
    while total > 0:
        free[0, 0], free[0, 1], free[0, 2], free[0, 3] = 0, 0, rows, cols
        # Typed, or all that is called would be compiled for the literals as well.
        count, used, position, begin = np.int64(1), np.int64(0), np.int64(0), made
        while count > 0:
            position, where = _choose_size(
                free, count, placed, used, heights, widths, left, order, position, rule, greedy,
                rows, cols,
            )  # fmt: skip
            if where < 0:
                break
            size = order[position]
            r, c = free[where, 0], free[where, 1]
            r1, c1 = r + heights[size], c + widths[size]
            count = _occupy(free, count, r, c, r1, c1, scratch, least_h, least_w)
            placed[used, 0], placed[used, 1], placed[used, 2], placed[used, 3] = r, c, r1, c1
            used += 1
            entries[made, 0], entries[made, 1] = patterns, size
            entries[made, 2], entries[made, 3] = r, c
            made += 1
            left[size] -= 1
            inside[size] += 1
        again = np.int64(1) << 60
        for e in range(begin, made):
            t = entries[e, 1]
            again = min(again, left[t] // inside[t])
        for e in range(begin, made):
            t = entries[e, 1]
            left[t] -= again
            inside[t] = 0
        repeats[patterns] = again + 1
        total -= (made - begin) * (again + 1)
        patterns += 1
        bins += again + 1
        if bins > limit or (bins == limit and total > 0):
            return entries[:made], repeats[:patterns], limit + 1
    return entries[:made], repeats[:patterns], bins


@compiled()
def _pick_bins(chosen, bins, rng):  # type: ignore[no-untyped-def]
    """Choose one to three different bins; the pool, which is list ``bins``, comes after them."""
    draw = rng.random()
    ruined = min(bins, 1 if draw < 0.25 else (2 if draw < 0.8 else RUINED))
    for k in range(ruined):
        repeated = True
        while repeated:
            chosen[k] = int(rng.random() * bins)
            repeated = False
            for j in range(k):
                repeated |= chosen[j] == chosen[k]
    chosen[ruined] = bins
    return ruined


@compiled()
def _line_up(chosen, ruined, first, after, pooled, keys, item, value, rng):  # type: ignore[no-untyped-def]
    """Put the rectangles of the chosen lists into ``item`` in a random order; their number.

    It is near one of the usual ``keys`` [K, n]. Half the time one of the pool comes first.
    """
    by, noise = int(rng.random() * len(keys)), 2.0 * rng.random() ** 2
    forced = int(rng.random() * pooled) if rng.random() < 0.5 else -1
    m = 0
    for k in range(ruined + 1):
        i, turn = first[chosen[k]], 0
        while i >= 0:
            own = keys[by, i] * (1.0 + noise * (rng.random() - 0.5))
            if k == ruined and turn == forced:
                own = np.inf
            at = m
            while at > 0 and value[at - 1] < own:
                item[at], value[at] = item[at - 1], value[at - 1]
                at -= 1
            item[at], value[at] = i, own
            m += 1
            turn += 1
            i = after[i]
    return m


@compiled()
def _repack(  # type: ignore[no-untyped-def]
    item, chosen, ruined, heights, widths, rows, cols, least, weight, limit, new, room, rng
):
    """Pack ``item`` into the chosen bins anew by one rule; (weight, number) of what is left over.

    Gives up where the weight exceeds ``limit``. ``new`` [m, 3] takes list, row and column.
    """
    free, count, placed, used, scratch = room
    rule, first_fit = int(rng.random() * RULES), rng.random() < 0.5
    for k in range(ruined):
        free[k, 0, 0], free[k, 0, 1], free[k, 0, 2], free[k, 0, 3] = 0, 0, rows, cols
        count[k], used[k] = 1, 0
    missed, out = 0.0, 0
    for j in range(len(item)):
        i = item[j]
        h, w = heights[i], widths[i]
        home, where, best = -1, -1, np.int64(1) << 60
        for k in range(ruined):
            found, score = _best_free(free[k], count[k], placed[k], used[k], h, w, rule, rows, cols)
            if found >= 0 and score < best:
                home, where, best = k, found, score
                if first_fit:
                    break
        if home < 0:
            new[j, 0] = chosen[ruined]
            missed += weight[i]
            out += 1
            if missed > limit:
                break
            continue
        r, c = free[home, where, 0], free[home, where, 1]
        count[home] = _occupy(
            free[home], count[home], r, c, r + h, c + w, scratch, least[0], least[1]
        )
        at = placed[home, used[home]]
        at[0], at[1], at[2], at[3] = r, c, r + h, c + w
        used[home] += 1
        new[j, 0], new[j, 1], new[j, 2] = chosen[home], r, c
    return missed, out


@compiled()
def improve(heights, widths, rows, cols, keys, spot, bins, weight, tries, rng):  # type: ignore[no-untyped-def]
    """Try to place the pool (``spot`` [n, 3] of bin, row, col with bin -1) into ``bins`` bins.

    ``keys`` float64 [K, n] are usual orders of packing, the largest first. Changes ``spot`` and
    ``weight`` float64 [n] in place. Returns the number of rectangles still in the pool and the
    tries made; stops at none, or after ``tries``. A step that packs more than ``USUAL`` rectangles
    counts as several tries, with the square of their number, as its time does.
    """
    n = len(heights)
    # Lists of the rectangles of each bin; the last one is the pool.
    first, after = np.full(bins + 1, -1, np.int64), np.full(n, -1, np.int64)
    for i in range(n):
        home = spot[i, 0] if spot[i, 0] >= 0 else bins
        after[i] = first[home]
        first[home] = i
    pool_weight, pooled = weight[spot[:, 0] < 0].sum(), (spot[:, 0] < 0).sum()
    room = (
        np.empty((RUINED, FREE_CAP, 4), np.int64), np.zeros(RUINED, np.int64),
        np.empty((RUINED, n, 4), np.int64), np.zeros(RUINED, np.int64),
        np.empty((FREE_CAP, 4), np.int64),
    )  # fmt: skip
    least = (heights.min(), widths.min())
    chosen = np.zeros(RUINED + 1, np.int64)
    item, value, new = np.empty(n, np.int64), np.empty(n), np.empty((n, 3), np.int64)
    stale = made = 0
    while made < tries and pooled > 0:
        ruined = _pick_bins(chosen, bins, rng)
        m = _line_up(chosen, ruined, first, after, pooled, keys, item, value, rng)
        made += max(1, m * m // USUAL**2)
        missed, out = _repack(
            item[:m], chosen, ruined, heights, widths, rows, cols, least, weight, pool_weight, new,
            room, rng,
        )  # fmt: skip
        stale = 0 if missed < pool_weight else stale + 1
        if missed <= pool_weight:
            pool_weight, pooled = missed, out
            first[chosen[: ruined + 1]] = -1
            for j in range(m):
                i, home = item[j], new[j, 0]
                spot[i, 0], spot[i, 1], spot[i, 2] = home, new[j, 1], new[j, 2]
                if home == bins:
                    spot[i, 0] = -1
                after[i] = first[home]
                first[home] = i
        if stale >= 50 + bins:
            # What stays outside must count for more.
            stale = 0
            pool_weight = 0.0
            i = first[bins]
            while i >= 0:
                weight[i] += heights[i] * widths[i] / (rows * cols)
                pool_weight += weight[i]
                i = after[i]
    return pooled, made
