"""Sites that defects leave: which arrays hold something, and how much of an array with dead lines.

Arrays with dead lines are for what fits the largest rectangle of theirs that no dead line crosses,
and only when the whole arrays run out.
"""

from bisect import bisect_right, insort
from dataclasses import dataclass

import numpy as np

from ...backends.targets.defects import DefectTables, site_key


@dataclass(frozen=True, slots=True, eq=False)
class CleanParts:
    """Arrays with dead lines: ``sites`` int32 [n, 3], and the largest rectangle without any,
    ``starts`` and ``sizes`` int32 [n, 2] (row, weight column)."""

    sites: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def where(self, keep: np.ndarray) -> "CleanParts":
        """The arrays that ``keep`` bool [n] names."""
        return CleanParts(self.sites[keep], self.starts[keep], self.sizes[keep])


def sites_left(
    defects: DefectTables, shape: tuple[int, int, int], array: tuple[int, int]
) -> tuple[np.ndarray, CleanParts]:
    """What the ``defects`` leave of ``shape`` (layers, rows, cols) arrays of ``array`` weights.

    Returns:
        bool [layers, rows, cols] of the sites that hold something, and those among them that do
        not hold a whole array.
    """
    lowest = np.full(shape[1:], shape[0])
    level, row, col = defects.missing_vias.T
    np.minimum.at(lowest, (row, col), level)
    usable = np.arange(shape[0])[:, None, None] < lowest
    usable[tuple(defects.dead_arrays.T)] = False
    hurt = np.unique(np.concatenate([defects.dead_rows, defects.dead_cols])[:, :3], axis=0)
    row, rows = _largest_gap(defects.dead_rows, hurt, array[0])
    col, cols = _largest_gap(defects.dead_cols, hurt, array[1])
    parts = CleanParts(hurt, np.column_stack([row, col]), np.column_stack([rows, cols]))
    holds = (parts.sizes > 0).all(axis=1)
    usable[tuple(hurt[~holds].T)] = False
    return usable, parts.where(usable[tuple(hurt.T)])


def _largest_gap(
    dead: np.ndarray, arrays: np.ndarray, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """First line and size of the longest run of live lines in each of ``arrays`` [n, 3] (sorted).

    An array that ``dead`` [m, 4] does not name is one run of ``length`` lines.
    """
    of_dead = np.searchsorted(site_key(arrays), site_key(dead[:, :3]))
    count = len(arrays)
    # A run ends at each dead line and at the end of each array.
    owner = np.concatenate([of_dead, np.arange(count)])
    end = np.concatenate([dead[:, 3], np.full(count, length)]).astype(np.int32)
    order = np.lexsort((end, owner))
    owner, end = owner[order], end[order]
    begins = np.diff(owner, prepend=-1) > 0
    start = np.where(begins, 0, np.roll(end, 1) + 1).astype(np.int32)
    size = np.maximum(end - start, 0)  # a line named twice ends an empty run
    best = np.lexsort((start, -size, owner))
    best = best[np.flatnonzero(np.diff(owner[best], prepend=-1) > 0)]
    return start[best], size[best]


def match_parts(extents: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """A largest set of contents that fit into parts of arrays, one each: part of each, or -1.

    Parts are gone through by rows, rising; each takes the content of the most columns it can, among
    those whose rows it has. A content that is passed over for a wider one fits every later part
    that the wider one fits, so no choice is worse than another.

    Args:
        extents: int [A, 2], rows and weight columns of the contents.
        sizes: int [P, 2], those of the parts.
    """
    part_of = np.full(len(extents), -1, np.int32)
    by_rows = np.argsort(extents[:, 0], kind="stable").tolist()
    rows, cols = extents.T.tolist() if len(extents) else ([], [])
    waiting: list[tuple[int, int]] = []  # (cols, content) of those with few enough rows
    seen = 0
    for part in np.lexsort((sizes[:, 1], sizes[:, 0])).tolist():
        part_rows, part_cols = sizes[part].tolist()
        while seen < len(by_rows) and rows[by_rows[seen]] <= part_rows:
            insort(waiting, (cols[by_rows[seen]], by_rows[seen]))
            seen += 1
        at = bisect_right(waiting, (part_cols, len(extents)))
        if at:
            part_of[waiting.pop(at - 1)[1]] = part
    return part_of
