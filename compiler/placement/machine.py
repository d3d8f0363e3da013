"""The machine as placement sees it: sites, array sizes, and where the base die's port is."""

from dataclasses import dataclass, field, replace

import numpy as np

from ...backends.targets import MemcapTarget
from ...backends.targets.defects import DefectTables
from ...dialects.route_table import port_of
from .defects import CleanParts, sites_left


@dataclass(frozen=True, slots=True)
class SiteGrid:
    """``layers`` x ``rows`` x ``cols`` sites for arrays of ``array_rows`` x ``array_cols`` weights.

    At most ``active`` layers of one stack (one row and column) work at a time. Data enter and leave
    at the middle of the base die, below layer 0. Of several ``chips``, ``layers`` are those of all,
    one chip after the other. ``usable`` bool [layers, rows, cols] are the sites
    that hold something, ``parts`` those among them that do not hold a whole array; None where
    nothing is broken.
    """

    layers: int
    rows: int
    cols: int
    array_rows: int
    array_cols: int
    active: int
    chips: int = 1
    usable: np.ndarray | None = field(default=None, compare=False, repr=False)
    parts: CleanParts | None = field(default=None, compare=False, repr=False)

    @property
    def sites(self) -> int:
        return self.layers * self.rows * self.cols

    @property
    def one_chip(self) -> "SiteGrid":
        """The sites of one chip, whatever is broken on them."""
        layers = self.layers // self.chips
        return replace(self, layers=layers, chips=1, usable=None, parts=None)

    @property
    def port(self) -> tuple[int, int]:
        """(row, col) of the base die's port."""
        return port_of(self.rows, self.cols)

    @property
    def whole(self) -> np.ndarray | None:
        """Which sites hold a whole array, bool [layers, rows, cols]; None where all do."""
        if self.usable is None:
            return None
        whole = self.usable.copy()
        if self.parts is not None:
            whole[tuple(self.parts.sites.T)] = False
        return whole

    @property
    def capacity(self) -> int:
        """Sites that hold a whole array."""
        whole = self.whole
        return self.sites if whole is None else int(whole.sum())

    def sites_near_first(self, count: int) -> np.ndarray:
        """The first sites, int32 [count, 3] (layer, row, col): lower layers, then nearer ones.

        Of those that hold a whole array; there must be as many.
        """
        row, col = np.indices((self.rows, self.cols)).reshape(2, -1)
        distance = np.abs(row - self.port[0]) + np.abs(col - self.port[1])
        order = np.argsort(distance, kind="stable")
        plane = np.stack([row[order], col[order]], axis=1)
        whole = self.whole
        index = np.arange(count if whole is None else self.sites)
        near = np.column_stack([index // len(plane), plane[index % len(plane)]]).astype(np.int32)
        return near if whole is None else near[whole[tuple(near.T)]][:count]


def grid_of(target: MemcapTarget, chips: int = 1) -> SiteGrid:
    """The site grid of a memcap target, or of several chips of it (of one: what is broken)."""
    stack, array = target.stack, (target.array.rows, target.weight_cols)
    defects = DefectTables.of(target)
    usable = parts = None
    if defects.any and chips == 1:
        shape = (stack.layers, stack.grid_rows, stack.grid_cols)
        usable, parts = sites_left(defects, shape, array)
    return SiteGrid(
        layers=stack.layers * chips,
        rows=stack.grid_rows,
        cols=stack.grid_cols,
        array_rows=array[0],
        array_cols=array[1],
        active=stack.max_active_layers,
        chips=chips,
        usable=usable,
        parts=parts,
    )
