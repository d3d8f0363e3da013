"""The sites that defects and fixed tiles leave."""

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

    def take_parts(self, extents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Site number int32 [A] of the contents that go to parts of arrays, -1 for the others, and
        where the cells of each start in its array, int32 [A, 2].

        Of the contents that a matching gives parts of arrays, as many go there as must, the
        smallest first.
        """
        count, whole = len(extents), int(self.whole.sum())
        site, starts = np.full(count, -1, np.int32), np.zeros((count, 2), np.int32)
        if whole >= count:
            return site, starts
        part_of = match_parts(extents, self.parts.sizes)
        fits = np.flatnonzero(part_of >= 0)
        smallest = np.argsort(extents[fits].prod(axis=1), kind="stable")
        small = fits[smallest[: count - whole]]
        site[small] = np.ravel_multi_index(self.parts.sites[part_of[small]].T, self.whole.shape)
        starts[small] = self.parts.starts[part_of[small]]
        return site, starts
