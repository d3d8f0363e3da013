"""Packs tiles so that those of an array share neither its rows nor its columns.

They then stand on the array's diagonal, and rows and columns are two separate sums: vector bin
packing in two dimensions. Greedy by size, one array after another, best of several sizes (Panigrahy
et al., "Heuristics for vector bin packing", Microsoft Research 2011).
"""

import numpy as np

from .pack_kinds import Packing, count_kinds, expand_patterns, fill_by_kind


def pack_exclusively(sizes: np.ndarray, array_rows: int, array_cols: int) -> Packing:
    """Pack ``sizes`` int [n, 2] (rows, cols), none larger than an array.

    The bound is that of rows and of columns alone.
    """
    if not len(sizes):
        return Packing.of(np.empty((0, 3)), 0)
    full = np.array([array_rows, array_cols])
    kinds, counts, by_kind = count_kinds(sizes)
    spots = np.empty((len(sizes), 3), np.int64)
    spots[by_kind] = fill_by_kind(kinds, counts, lambda k, n: _fill(k, n, full))
    return Packing.of(spots, int((-(-sizes.sum(axis=0) // full)).max()))


def _fill(kinds: np.ndarray, counts: np.ndarray, full: np.ndarray) -> np.ndarray:
    """The best over several orders."""
    from .diagonals import fill_diagonals

    share = kinds / full
    keys = (share.max(axis=1), share.sum(axis=1), share[:, 0], share[:, 1], share.prod(axis=1))
    heights, widths = (np.ascontiguousarray(x, np.int64) for x in kinds.T)
    found = [
        fill_diagonals(heights, widths, counts, *full.tolist(), np.argsort(-key, kind="stable"))
        for key in keys
    ]
    return expand_patterns(*min(found, key=lambda filled: int(filled[1].sum())))
