"""Packs rectangles into as few bins as can be found: construct, then search below what is known.

The search is bounded by steps, so that the same input and seed give the same packing; benchmarks
may bound it by time as well. It ends at the lower bound.
"""

from time import perf_counter

import numpy as np

from .pack_bounds import packing_bound
from .pack_kinds import Packing, count_kinds, expand_patterns, fill_by_kind

#: Steps of the search between looks at the clock.
_CHUNK = 200
#: Up to how many kinds all are tried at each step of a construction.
_GREEDY_KINDS = 512
#: Steps after which the search starts anew from another construction.
_RESTART = 20_000


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
        return Packing.of(np.empty((0, 3)), 0)
    kinds, counts, by_kind = count_kinds(sizes)
    bound = packing_bound(kinds, bin_rows, bin_cols, counts)

    def construct(own: np.ndarray, times: np.ndarray) -> np.ndarray:
        whole = len(own) == len(kinds)
        plans = _plans(own / (bin_rows, bin_cols), thorough=tries > 0 and whole)
        return _construct(own, times, bin_rows, bin_cols, plans, bound if whole else 0, end)

    best = np.empty((len(sizes), 3), np.int64)
    best[by_kind] = fill_by_kind(kinds, counts, construct)
    bins = int(best[:, 0].max()) + 1
    if bins > bound and tries > 0 and (end is None or perf_counter() < end):
        best, bins = _search(sizes, bin_rows, bin_cols, best, bins, bound, tries, end, seed)
    return Packing.of(best, bound)


def _order_keys(share: np.ndarray) -> np.ndarray:
    """By what rectangles are packed, the largest first, [5, n]: area, sides, and their sum."""
    h, w = share.T
    return np.stack([h * w, np.maximum(h, w), h + w, h + 1e-3 * w, w + 1e-3 * h])


def _plans(share: np.ndarray, thorough: bool) -> list[tuple[np.ndarray, int, bool]]:
    """(order of sizes, rule, greedy) of each construction; ``share`` [n, 2] is that of a bin."""
    from .maxrects import RULES

    keys = _order_keys(share)
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
    keys = _order_keys(sizes / (bin_rows, bin_cols))
    area = keys[0]
    spot, weight, since = None, area, 0
    rng = np.random.default_rng(seed)
    while bins > bound and tries > 0 and (end is None or perf_counter() < end):
        if spot is None or since >= _RESTART:
            spot, weight, since = _drop_bin(best, bins, area), area.copy(), 0
        chunk = min(tries, _CHUNK)
        left, made = improve(
            heights, widths, bin_rows, bin_cols, keys, spot, bins - 1, weight, chunk, rng
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
