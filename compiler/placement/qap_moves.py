"""The inner loops of the quadratic assignment problem: swaps, annealing and tabu search.

Least ``sum a[i, j] * b[p[i], p[j]]`` over permutations ``p``. All loops keep ``c[i, j] = b[p[i],
p[j]]`` instead of ``b``, so that they run along rows. Costs that are whole numbers below 2^53 are
exact. ``at`` and ``ct`` are the transposes, read only where neither matrix is symmetric; otherwise
the caller makes both symmetric, which costs the same.

The compiled functions of this file call each other and none elsewhere, so their cache is right.
"""

import math
from typing import NamedTuple

import numpy as np

from ...compiled import compiled

_FAST = ("reassoc", "contract", "nsz")


class Search(NamedTuple):
    """A permutation and what the loops keep of it. Changed in place."""

    symmetric: bool
    a: np.ndarray  # float64 [n, n]
    at: np.ndarray
    c: np.ndarray
    ct: np.ndarray
    p: np.ndarray  # int32 [n]
    best: np.ndarray  # int32 [n]
    upper: np.ndarray  # float64 [n, n], above the diagonal: m = A C' + A' C
    lower: np.ndarray  # float64 [n, n], above the diagonal: the transpose of m
    own: np.ndarray  # float64 [n]: the diagonal of m
    ad: np.ndarray  # float64 [n]: the diagonal of a
    cd: np.ndarray  # float64 [n]: that of c
    delta: np.ndarray  # float64 [n, n], above the diagonal: change of cost by each swap
    tabu: np.ndarray  # int64 [n, n]: the iteration until which i must not go to location k
    cost: np.ndarray  # float64 [2]: of p, of best
    random: np.ndarray  # uint64 [1]


@compiled()
def _random(state: np.ndarray) -> np.uint64:
    """A draw of xorshift64*, 32 bits (Vigna, ACM TOMS 42 (2016) 30)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return (x * np.uint64(2685821657736338717)) >> np.uint64(32)


@compiled()
def _below(state: np.ndarray, n: int) -> np.int64:
    """A draw from 0 .. n - 1."""
    return np.int64((_random(state) * np.uint64(n)) >> np.uint64(32))


@compiled(fastmath=_FAST)
def _swap_delta(search: Search, r: int, s: int) -> float:
    """Change of cost when r and s trade places."""
    a, c = search.a, search.c
    total = 0.0
    for k in range(len(a)):
        total += (a[r, k] - a[s, k]) * (c[s, k] - c[r, k])
    diagonal = (a[r, r] - a[s, s]) * (c[s, s] - c[r, r])
    total -= (a[r, r] - a[s, r]) * (c[s, r] - c[r, r]) + (a[r, s] - a[s, s]) * (c[s, s] - c[r, s])
    if search.symmetric:
        return 2.0 * total + diagonal
    at, ct = search.at, search.ct
    for k in range(len(a)):
        total += (at[r, k] - at[s, k]) * (ct[s, k] - ct[r, k])
    total -= (a[r, r] - a[r, s]) * (c[r, s] - c[r, r]) + (a[s, r] - a[s, s]) * (c[s, s] - c[s, r])
    return total + diagonal + (a[r, s] - a[s, r]) * (c[s, r] - c[r, s])


@compiled()
def _exchange(m: np.ndarray, r: int, s: int) -> None:
    """Exchange rows r and s, and columns r and s."""
    for k in range(len(m)):
        m[r, k], m[s, k] = m[s, k], m[r, k]
    for k in range(len(m)):
        m[k, r], m[k, s] = m[k, s], m[k, r]


@compiled()
def _swap(search: Search, r: int, s: int) -> None:
    search.p[r], search.p[s] = search.p[s], search.p[r]
    _exchange(search.c, r, s)
    if not search.symmetric:
        _exchange(search.ct, r, s)


@compiled()
def _keep_best(search: Search) -> None:
    if search.cost[0] < search.cost[1]:
        search.cost[1] = search.cost[0]
        search.best[:] = search.p


def fill_deltas(search: Search) -> None:
    """``delta`` of every swap, from nothing: two products of matrices.

    A swap of i and j changes the cost by ``m[i, j] + m[j, i] - m[i, i] - m[j, j]``, where m = A C'
    + A' C, and by some terms of i and j alone.
    """
    m = search.a @ search.ct + search.at @ search.c
    search.upper[:], search.lower[:], search.own[:] = m, m.T, np.diagonal(m)
    search.ad[:], search.cd[:] = np.diagonal(search.a), np.diagonal(search.c)
    _set_deltas(search)


@compiled(fastmath=_FAST)
def _set_row(
    delta: np.ndarray,
    upper: np.ndarray,
    lower: np.ndarray,
    own: np.ndarray,
    a: np.ndarray,
    c: np.ndarray,
    ad: np.ndarray,
    cd: np.ndarray,
    at: np.ndarray,
    ct: np.ndarray,
) -> None:
    """Row i of ``delta`` from the rows of all others, which begin with their own i-th entry."""
    aii, cii = ad[0], cd[0]
    for j in range(1, len(delta)):
        corners = (aii - at[j]) * (ct[j] - cii) + (a[j] - ad[j]) * (cd[j] - c[j])
        corners += (aii - a[j]) * (c[j] - cii) + (at[j] - ad[j]) * (cd[j] - ct[j])
        rest = (aii - ad[j]) * (cd[j] - cii) + (a[j] - at[j]) * (ct[j] - c[j])
        delta[j] = upper[j] + lower[j] - own[0] - own[j] - corners + rest


@compiled()
def _set_deltas(search: Search) -> None:
    """``delta`` from ``upper``, ``lower`` and ``own``: a few steps a swap."""
    for i in range(len(search.own) - 1):
        _set_row(
            search.delta[i, i:],
            search.upper[i, i:],
            search.lower[i, i:],
            search.own[i:],
            search.a[i, i:],
            search.c[i, i:],
            search.ad[i:],
            search.cd[i:],
            search.at[i, i:],
            search.ct[i, i:],
        )


@compiled(fastmath=_FAST)
def _add_scaled(row: np.ndarray, x: np.ndarray, factor: float) -> None:
    for j in range(len(row)):
        row[j] += factor * x[j]


@compiled()
def _add_product(search: Search, x: np.ndarray, y: np.ndarray) -> None:
    """Add ``x[i] * y[j]`` to the sums of all i and j."""
    upper, lower, own = search.upper, search.lower, search.own
    n = len(own)
    for i in range(n):
        own[i] += x[i] * y[i]
        _add_scaled(upper[i, i + 1 :], y[i + 1 :], x[i])
        _add_scaled(lower[i, i + 1 :], x[i + 1 :], y[i])


@compiled()
def _exchange_columns(search: Search, r: int, s: int) -> None:
    """Exchange ``sum[i, r]`` and ``sum[i, s]`` for all i, in the three arrays that hold them."""
    upper, lower, own = search.upper, search.lower, search.own
    for i in range(len(own)):
        if i < r:
            upper[i, r], upper[i, s] = upper[i, s], upper[i, r]
        elif i == r:
            own[r], upper[r, s] = upper[r, s], own[r]
        elif i < s:
            lower[r, i], upper[i, s] = upper[i, s], lower[r, i]
        elif i == s:
            lower[r, s], own[s] = own[s], lower[r, s]
        else:
            lower[r, i], lower[s, i] = lower[s, i], lower[r, i]


@compiled()
def _swap_with_deltas(search: Search, r: int, s: int) -> None:
    """Swap r and s, r < s, and bring ``delta`` up to date in n^2 steps.

    Taillard (Parallel Computing 17 (1991) 443) updates the swaps that touch neither in one step
    each and computes the others in n; sums of products of rows make all of them one step.
    """
    search.cost[0] += search.delta[r, s]
    _swap(search, r, s)
    _exchange_columns(search, r, s)
    a, at, c, ct = search.a, search.at, search.c, search.ct
    search.cd[r], search.cd[s] = search.cd[s], search.cd[r]
    if search.symmetric:
        _add_product(search, 2.0 * (a[r] - a[s]), c[r] - c[s])
    else:
        _add_product(search, at[r] - at[s], ct[r] - ct[s])
        _add_product(search, a[r] - a[s], c[r] - c[s])
    _set_deltas(search)


@compiled(fastmath=("reassoc", "nnan", "nsz"))
def _least(row: np.ndarray) -> float:
    least = np.inf
    for j in range(len(row)):
        least = min(least, row[j])
    return least


@compiled()
def tabu_search(search: Search, first: int, iterations: int) -> None:
    """Robust tabu search (Taillard 1991): the best swap that is not forbidden, again and again.

    ``delta`` must be up to date; iterations count from ``first`` on.
    """
    n = len(search.p)
    delta, tabu, p, cost = search.delta, search.tabu, search.p, search.cost
    for now in range(first, first + iterations):
        least, r, s = np.inf, -1, -1
        goal = cost[1] - cost[0]
        for i in range(n - 1):
            row = delta[i]
            if _least(row[i + 1 :]) >= least:
                continue
            for j in range(i + 1, n):
                if row[j] < least and (
                    row[j] < goal or tabu[i, p[j]] <= now or tabu[j, p[i]] <= now
                ):
                    least, r, s = row[j], i, j
        if r < 0:
            continue
        for i in (r, s):
            share = np.float64(_random(search.random)) / 4294967296.0
            tabu[i, p[i]] = now + 2 + np.int64(8 * n * share * share * share)
        _swap_with_deltas(search, r, s)
        _keep_best(search)


@compiled()
def anneal_swaps(search: Search, hot: float, cold: float, tries: int) -> int:
    """Simulated annealing over the pairs in turn (Connolly, EJOR 46 (1990) 93), Lundy-Mees cooling.

    ``delta`` is not kept. Returns how many swaps were made.
    """
    n = len(search.p)
    cost = search.cost
    beta = (hot - cold) / (max(1, tries) * hot * cold)
    temperature = hot
    r, s, made = 0, 0, 0
    for _ in range(tries):
        s += 1
        if s >= n:
            r += 1
            if r >= n - 1:
                r = 0
            s = r + 1
        change = _swap_delta(search, r, s)
        temperature /= 1.0 + beta * temperature
        if change > 0.0:
            if change > 20.0 * temperature:
                continue
            draw = np.float64(_random(search.random)) / 4294967296.0
            if draw >= math.exp(-change / temperature):
                continue
        _swap(search, r, s)
        cost[0] += change
        made += 1
        _keep_best(search)
    return made
