"""Packs tiles so that those of an array share neither its rows nor its columns.

They then stand on the array's diagonal, and rows and columns are two separate sums: vector bin
packing in two dimensions. Greedy by size, one array after another, best of several sizes (Panigrahy
et al., "Heuristics for vector bin packing", Microsoft Research 2011).
"""

import numpy as np

from .pack_search import Packing, expand_patterns


def pack_exclusively(sizes: np.ndarray, array_rows: int, array_cols: int) -> Packing:
    """Pack ``sizes`` int [n, 2] (rows, cols), none larger than an array.

    The bound is that of rows and of columns alone.
    """
    if not len(sizes):
        empty = np.empty(0, np.int32)
        return Packing(empty, empty, empty, 0, 0)
    full = np.array([array_rows, array_cols])
    kinds, kind_of, counts = np.unique(sizes, axis=0, return_inverse=True, return_counts=True)
    share = kinds / full
    keys = (share.max(axis=1), share.sum(axis=1), share[:, 0], share[:, 1], share.prod(axis=1))
    found = [_fill(kinds, counts, full, np.argsort(-key, kind="stable")) for key in keys]
    spots = min(found, key=lambda spots: int(spots[:, 0].max()))
    placed = np.empty((len(sizes), 3), np.int32)
    placed[np.argsort(kind_of.reshape(-1), kind="stable")] = spots
    array, row, col = placed.T
    bound = int((-(-sizes.sum(axis=0) // full)).max())
    return Packing(array, row, col, int(array.max()) + 1, bound)


def _fill(kinds: np.ndarray, counts: np.ndarray, full: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(array, row, col) of each tile, sorted by size number; sizes are tried in ``order``.

    A filled array is repeated as often as the counts allow.
    """
    left = counts.copy()
    entries: list[tuple[int, int, int, int]] = []
    repeats: list[int] = []
    order = order[left[order] > 0]
    while len(order):
        room, begin = full.copy(), len(entries)
        inside: dict[int, int] = {}
        while True:
            fits = np.flatnonzero((kinds[order] <= room).all(axis=1))
            size = next((int(s) for s in order[fits] if left[s] > inside.get(int(s), 0)), None)
            if size is None:
                break
            times = min(left[size] - inside.get(size, 0), (room // kinds[size]).min())
            for _ in range(int(times)):
                entries.append((len(repeats), size, *(full - room).tolist()))
                room = room - kinds[size]
            inside[size] = inside.get(size, 0) + int(times)
        assert len(entries) > begin
        again = min(int(left[size] // n) for size, n in inside.items())
        for size, n in inside.items():
            left[size] -= n * again
        repeats.append(again)
        order = order[left[order] > 0]
    return expand_patterns(np.array(entries), np.array(repeats))
