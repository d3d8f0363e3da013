"""Packs rectangles into as few bins as can be found: construct, then search below what is known.

The search is bounded by steps, so that the same input and seed give the same packing; benchmarks
may bound it by time as well. It ends at the lower bound.
"""

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from .pack_bounds import packing_bound

#: Steps of the search between looks at the clock.
_CHUNK = 200
#: Sizes that are packed together, at most; and up to how many all are tried at each step.
_KINDS = 2048
_GREEDY_KINDS = 512
#: Steps after which the search starts anew from another construction.
_RESTART = 20_000


@dataclass(frozen=True, slots=True)
class Packing:
    """Per rectangle: its ``array`` (bin), and the ``row`` and ``col`` where it starts there.

    ``bound`` is the number of arrays that no packing can do without.
    """

    array: np.ndarray
    row: np.ndarray
    col: np.ndarray
    arrays: int
    bound: int


def pack_rectangles(
    sizes: np.ndarray,
    bin_rows: int,
    bin_cols: int,
    *,
    tries: int,
    seconds: float | None = None,
    seed: int = 0,
) -> Packing:
    """Pack ``sizes`` int [n, 2] (rows, cols), none larger than a bin.

    ``tries`` bounds the steps of the search below the best construction; ``seconds`` ends it
    sooner.
    """
    end = None if seconds is None else perf_counter() + seconds
    sizes = np.asarray(sizes, np.int64).reshape(-1, 2)
    if not len(sizes):
        empty = np.empty(0, np.int32)
        return Packing(empty, empty, empty, 0, 0)
    kinds, kind_of, counts = np.unique(sizes, axis=0, return_inverse=True, return_counts=True)
    bound = packing_bound(kinds, bin_rows, bin_cols, counts)
    best = np.empty((len(sizes), 3), np.int64)
    bins = 0
    # Many sizes are dealt to parts, so that filling bins stays linear in them.
    parts = -(-len(kinds) // _KINDS)
    part_of = np.empty(len(kinds), np.int64)
    part_of[np.argsort(kinds.prod(axis=1), kind="stable")] = np.arange(len(kinds)) % parts
    by_kind = np.argsort(kind_of.reshape(-1), kind="stable")
    for part in range(parts):
        own = part_of == part
        plans = _plans(kinds[own] / (bin_rows, bin_cols), thorough=tries > 0 and parts == 1)
        spots = _construct(kinds[own], counts[own], bin_rows, bin_cols, plans, bound, end)
        spots[:, 0] += bins
        best[by_kind[np.repeat(own, counts)]] = spots
        bins = int(spots[:, 0].max()) + 1
    if bins > bound and tries > 0 and (end is None or perf_counter() < end):
        best, bins = _search(sizes, bin_rows, bin_cols, best, bins, bound, tries, end, seed)
    array, row, col = best.T.astype(np.int32)
    return Packing(array, row, col, bins, bound)


def _plans(share: np.ndarray, thorough: bool) -> list[tuple[np.ndarray, int, bool]]:
    """(order of sizes, rule, greedy) of each construction; ``share`` [n, 2] is that of a bin."""
    from .maxrects import RULES

    h, w = share.T
    keys = (h * w, np.maximum(h, w), h + w, h + 1e-3 * w, w + 1e-3 * h)
    orders = [np.argsort(-key, kind="stable") for key in (keys if thorough else keys[:2])]
    rules = range(RULES if thorough else 1)
    plans = [(order, rule, False) for order in orders for rule in rules]
    if thorough and len(share) <= _GREEDY_KINDS:
        plans += [(orders[0], rule, True) for rule in rules]
    return plans


def _construct(
    kinds: np.ndarray,
    counts: np.ndarray,
    bin_rows: int,
    bin_cols: int,
    plans: list[tuple[np.ndarray, int, bool]],
    bound: int,
    end: float | None,
) -> np.ndarray:
    """The best packing over ``plans``, [n, 3] in the order of ``kinds``."""
    from .maxrects import fill_patterns

    heights, widths = (np.ascontiguousarray(x, np.int64) for x in kinds.T)
    best = None
    limit = int(counts.sum())
    for order, rule, greedy in plans:
        entries, repeats, bins = fill_patterns(
            heights, widths, counts, bin_rows, bin_cols, order, rule, greedy, limit
        )
        if bins <= limit:
            best, limit = expand_patterns(entries, repeats), bins - 1
        if bins <= bound or (end is not None and perf_counter() > end):
            break
    assert best is not None  # the first plan has no limit to keep
    return best


def expand_patterns(entries: np.ndarray, repeats: np.ndarray) -> np.ndarray:
    """(bin, row, col) of each rectangle, sorted by size number, from patterns and repetitions."""
    first = np.cumsum(repeats) - repeats
    times = repeats[entries[:, 0]]
    start = np.repeat(np.cumsum(times) - times, times)
    turn = np.arange(int(times.sum())) - start
    index = np.repeat(np.arange(len(entries)), times)
    spots = np.column_stack([first[entries[index, 0]] + turn, entries[index, 2:]])
    return spots[np.argsort(entries[index, 1], kind="stable")]


def _search(
    sizes: np.ndarray,
    bin_rows: int,
    bin_cols: int,
    best: np.ndarray,
    bins: int,
    bound: int,
    tries: int,
    end: float | None,
    seed: int,
) -> tuple[np.ndarray, int]:
    """Empty a bin and place its rectangles elsewhere, again and again."""
    from .maxrects import improve

    heights, widths = (np.ascontiguousarray(x, np.int64) for x in sizes.T)
    area = heights * widths / (bin_rows * bin_cols)
    spot, weight, since = None, area, 0
    rng = np.random.default_rng(seed)
    while bins > bound and tries > 0 and (end is None or perf_counter() < end):
        if spot is None or since >= _RESTART:
            spot, weight, since = _drop_bin(best, bins, area), area.copy(), 0
        chunk = min(tries, _CHUNK)
        left, made = improve(
            heights,
            widths,
            bin_rows,
            bin_cols,
            spot,
            bins - 1,
            weight,
            chunk,
            rng,
        )
        tries -= made
        since += made
        if not left:
            best, bins, spot = spot, bins - 1, None
    return best, bins


def _drop_bin(spots: np.ndarray, bins: int, area: np.ndarray) -> np.ndarray:
    """``spots`` without the emptiest bin, whose rectangles go to the pool."""
    emptiest = int(np.bincount(spots[:, 0], area, minlength=bins).argmin())
    spots = spots.copy()
    spots[spots[:, 0] == emptiest, 0] = -1
    spots[spots[:, 0] == bins - 1, 0] = emptiest
    return spots
