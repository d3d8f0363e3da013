"""The machine as placement sees it: sites, array sizes, and where the base die's port is."""

from dataclasses import dataclass

import numpy as np

from ...backends.targets import MemcapTarget


@dataclass(frozen=True, slots=True)
class SiteGrid:
    """``layers`` x ``rows`` x ``cols`` sites for arrays of ``array_rows`` x ``array_cols`` weights.

    At most ``active`` layers of one stack (one row and column) work at a time. Data enter and leave
    at the middle of the base die, below layer 0.

    Of several ``chips``, ``layers`` are those of all, one chip after the other.
    """

    layers: int
    rows: int
    cols: int
    array_rows: int
    array_cols: int
    active: int
    chips: int = 1

    @property
    def sites(self) -> int:
        return self.layers * self.rows * self.cols

    @property
    def chip_layers(self) -> int:
        """Layers of one chip."""
        return self.layers // self.chips

    @property
    def port(self) -> tuple[int, int]:
        """(row, col) of the base die's port."""
        return self.rows // 2, self.cols // 2

    def sites_near_first(self, count: int) -> np.ndarray:
        """The first sites, int32 [count, 3] (layer, row, col): lower layers, then nearer ones."""
        row, col = np.indices((self.rows, self.cols)).reshape(2, -1)
        distance = np.abs(row - self.port[0]) + np.abs(col - self.port[1])
        order = np.argsort(distance, kind="stable")
        plane = np.stack([row[order], col[order]], axis=1)
        index = np.arange(count)
        return np.column_stack([index // len(plane), plane[index % len(plane)]]).astype(np.int32)


def grid_of(target: MemcapTarget, chips: int = 1) -> SiteGrid:
    """The site grid of a memcap target, or of several chips of it."""
    return SiteGrid(
        layers=target.stack.layers * chips,
        rows=target.stack.grid_rows,
        cols=target.stack.grid_cols,
        array_rows=target.array.rows,
        array_cols=target.weight_cols,
        active=target.stack.max_active_layers,
        chips=chips,
    )
