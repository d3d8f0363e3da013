"""Assigns packed arrays to the sites that defects and fixed tiles leave.

Whole arrays are taken from the port outwards, in program order. When they run out, arrays with dead
lines take what fits the part of them that no dead line crosses.
"""

from dataclasses import dataclass

import numpy as np

from .defects import CleanParts, match_parts
from .machine import SiteGrid


@dataclass(frozen=True, slots=True, eq=False)
class FreeSites:
    """``whole`` bool [layers, rows, cols] of the arrays that are free and hold all their cells;
    ``parts`` those that are free and do not."""

    whole: np.ndarray
    parts: CleanParts

    @staticmethod
    def of(grid: SiteGrid, taken: np.ndarray) -> "FreeSites":
        """What ``taken`` int [n, 3] sites leave of the ``grid``."""
        free = np.ones((grid.layers, grid.rows, grid.cols), bool)
        if grid.usable is not None:
            free &= grid.usable
        free[tuple(taken.T)] = False
        parts = grid.parts
        if parts is None:
            parts = CleanParts(*(np.empty((0, n), np.int32) for n in (3, 2, 2)))
        parts = parts.where(free[tuple(parts.sites.T)])
        free[tuple(parts.sites.T)] = False
        return FreeSites(free, parts)

    def room_for(self, extents: np.ndarray) -> int:
        """How many contents of ``extents`` int [A, 2] (rows, weight columns) find an array."""
        whole = int(self.whole.sum())
        if whole >= len(extents):
            return len(extents)
        return min(whole + int((match_parts(extents, self.parts.sizes) >= 0).sum()), len(extents))


def assign_around(
    extents: np.ndarray, first_use: np.ndarray, free: FreeSites, grid: SiteGrid
) -> tuple[np.ndarray, np.ndarray]:
    """Site (layer, row, col) int32 [A, 3] of each array, and where its cells start, int32 [A, 2].

    Of the contents that a matching gives parts of arrays, as many go there as must, the smallest
    first. Needs ``free.room_for(extents) == len(extents)``.
    """
    count = len(extents)
    sites, starts = np.empty((count, 3), np.int32), np.zeros((count, 2), np.int32)
    whole = grid.sites_near_first(grid.sites)
    whole = whole[free.whole[tuple(whole.T)]]
    rest = np.arange(count)
    if len(whole) < count:
        part_of = match_parts(extents, free.parts.sizes)
        fits = np.flatnonzero(part_of >= 0)
        smallest = np.argsort(extents[fits].prod(axis=1), kind="stable")
        small = fits[smallest[: count - len(whole)]]
        sites[small] = free.parts.sites[part_of[small]]
        starts[small] = free.parts.starts[part_of[small]]
        rest = np.setdiff1d(rest, small)
    rest = rest[np.argsort(first_use[rest], kind="stable")]
    sites[rest] = whole[: len(rest)]
    return sites, starts
