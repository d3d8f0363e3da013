"""Puts packed arrays on the sites that defects and fixed tiles leave, at least traffic x distance.

Whole arrays are for anything. When they run out, arrays with dead lines take what fits the part of
them that no dead line crosses. Whole matrices go to layers (choose_layers.py), and the engine
(assign.py) places the arrays of each layer by their traffic: links between layers there are none.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...backends.targets import SUM_BYTES, MemcapTarget
from ...dialects.route_table import other_ends
from .assign import assign_sites
from .choose_layers import choose_layers
from .free_sites import FreeSites
from .machine import SiteGrid
from .pack_kinds import Packing
from .route import route_tiles
from .site_problem import SiteProblem
from .strips import strip_sites
from .traffic import ArrayTraffic, array_traffic

#: With an effort of 1, more arrays than this stay where they are first laid.
_REFINED_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class PlaceableTiles:
    """Tiles that may go anywhere: ``table`` [T, 5], the matrix of each and its reads, [T]."""

    table: np.ndarray
    owner: np.ndarray
    positions: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(rows, cols) of each tile, [T, 2]."""
        return self.table[:, [2, 4]]

    def only(self, tiles: np.ndarray) -> "PlaceableTiles":
        """Some of the tiles, by number."""
        return PlaceableTiles(self.table[tiles], self.owner[tiles], self.positions[tiles])


@dataclass(frozen=True, slots=True)
class LinkCosts:
    """Energy of a byte, pJ, from row to row and from column to column; bytes of a line.

    A position sends ``x_bytes`` to a row, and ``y_bytes`` come back from a column of weights.
    """

    row_pj: float
    col_pj: float
    x_bytes: float
    y_bytes: float

    @staticmethod
    def of(target: MemcapTarget) -> "LinkCosts":
        links = target.links
        width_mm, height_mm = (um * 1e-3 for um in target.site_um)
        return LinkCosts(
            links.energy_pj_per_byte_mm * height_mm,
            links.energy_pj_per_byte_mm * width_mm,
            target.code_bytes,
            SUM_BYTES,
        )


def choose_sites(
    tiles: PlaceableTiles,
    packing: Packing,
    free: FreeSites,
    grid: SiteGrid,
    links: LinkCosts,
    *,
    heat_j: np.ndarray | None = None,
    effort: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Sites int32 [T, 5] (layer, row, col, array row, array column) of packed ``tiles``.

    ``heat_j`` [T] is to be spread over the layers, where they have a limit of power. Needs
    ``free.room_for(extents_of(tiles, packing)) == packing.arrays``.
    """
    packing, height = by_columns(tiles, packing)
    fixed, starts = free.take_parts(extents_of(tiles, packing))
    plane = grid.rows * grid.cols
    heat = None if heat_j is None else np.bincount(packing.array, heat_j, packing.arrays)
    room = free.whole.reshape(grid.layers, -1).sum(axis=1)
    owner = _largest_owner(tiles, packing)
    layer = choose_layers(owner, fixed // plane, room, heat)
    traffic = array_traffic(
        tiles.table, tiles.owner, tiles.positions, packing, links.x_bytes, links.y_bytes
    )
    if packing.arrays > _REFINED_AT_ONCE:
        effort = effort if effort > 1 else 0
    site = np.empty(packing.arrays, np.int64)
    for number in np.unique(layer).tolist():
        arrays = np.flatnonzero(layer == number)
        problem = layer_problem(
            traffic.among(arrays),
            free.whole[number].reshape(-1),
            np.where(fixed[arrays] < 0, -1, fixed[arrays] % plane).astype(np.int32),
            grid,
            links,
        )
        given = None
        if not (fixed[arrays] >= 0).any():
            given = strip_sites(owner[arrays], height[arrays], free.whole[number], grid.port)
        begin = [] if given is None else [given]
        found = assign_sites(problem, effort=effort, seed=seed, starts=begin).site
        if given is not None and effort:
            # The engine sees chains in place of trees, which have no length before they are laid.
            inside = np.flatnonzero(layer[packing.array] == number)
            local = np.searchsorted(arrays, packing.array[inside])
            part = tiles.only(inside)
            found = min((given, found), key=lambda way: _trees_pj(part, way[local], grid, links))
        site[arrays] = number * plane + found
    at = np.stack(np.unravel_index(site, free.whole.shape), axis=1)[packing.array]
    cells = np.column_stack([packing.row, packing.col]) + starts[packing.array]
    return np.column_stack([at, cells]).astype(np.int32)


def by_columns(tiles: PlaceableTiles, packing: Packing) -> tuple[Packing, np.ndarray]:
    """``packing`` with arrays numbered by matrix and, in each, along its shorter side first; and
    the blocks of that side, int [arrays] (strips.py lays them in this order)."""
    row, col = _block_numbers(tiles, 1), _block_numbers(tiles, 3)
    rows, cols = (np.zeros(int(tiles.owner.max(initial=-1)) + 1, np.int64) for _ in range(2))
    np.maximum.at(rows, tiles.owner, row + 1)
    np.maximum.at(cols, tiles.owner, col + 1)
    upright = (rows <= cols)[tiles.owner]
    inner, outer = np.where(upright, (row, col), (col, row))
    order = np.lexsort((inner, outer, tiles.table[:, 0], tiles.owner))
    first = np.full(packing.arrays, len(order), np.int64)
    np.minimum.at(first, packing.array[order], np.arange(len(order)))
    rank = np.empty(packing.arrays, packing.array.dtype)
    rank[np.argsort(first, kind="stable")] = np.arange(packing.arrays)
    height = np.minimum(rows, cols)[tiles.owner[order[np.sort(first)]]]
    return replace(packing, array=rank[packing.array]), height


def _block_numbers(tiles: PlaceableTiles, column: int) -> np.ndarray:
    """The number of each tile's row block (``column`` 1) or column block (3) in its matrix."""
    key = tiles.owner.astype(np.int64) << 32 | tiles.table[:, column]
    cuts, number = np.unique(key, return_inverse=True)
    return number.reshape(-1) - np.searchsorted(cuts, tiles.owner.astype(np.int64) << 32)


def extents_of(tiles: PlaceableTiles, packing: Packing) -> np.ndarray:
    """Rows and weight columns that the content of each array takes, int [arrays, 2]."""
    extents = np.zeros((packing.arrays, 2), np.int64)
    ends = np.column_stack([packing.row, packing.col]) + tiles.sizes
    np.maximum.at(extents, packing.array, ends)
    return extents


def _trees_pj(tiles: PlaceableTiles, site: np.ndarray, grid: SiteGrid, links: LinkCosts) -> float:
    """Energy of all trees of tiles in one layer at ``site`` [T] (row * cols + col), pJ."""
    sites = np.zeros((len(site), 5), np.int32)
    stacks = sites[:, 1:3] = np.stack(np.divmod(site, grid.cols), axis=1)
    lines = links.x_bytes, links.y_bytes
    routes = route_tiles(tiles.table, sites, tiles.owner, grid, *lines)
    step_pj, energy = np.array([links.row_pj, links.col_pj]), 0.0
    for parent, size, per_line in ((0, 2, lines[0]), (2, 4, lines[1])):
        far = np.abs(stacks - other_ends(routes[:, parent], stacks, grid.port)) @ step_pj
        energy += float((tiles.table[:, size] * per_line * tiles.positions) @ far)
    return energy


def layer_problem(
    traffic: ArrayTraffic,
    allowed: np.ndarray,
    fixed: np.ndarray,
    grid: SiteGrid,
    links: LinkCosts,
) -> SiteProblem:
    """What the engine minimises in one layer: the energy of the wires, pJ.

    ``traffic`` is that among the layer's arrays, ``allowed`` bool [rows * cols] are its sites,
    ``fixed`` says the one that an array must have, or -1.
    """
    allowed = allowed.copy()
    allowed[fixed[fixed >= 0]] = True
    return SiteProblem(
        layers=1,
        rows=grid.rows,
        cols=grid.cols,
        step_cost=(0.0, links.row_pj, links.col_pj),
        indptr=traffic.indptr,
        neighbour=traffic.neighbour,
        weight=traffic.weight.astype(np.float32),
        anchor_weight=traffic.port.astype(np.float32),
        port=grid.port,
        allowed=allowed,
        fixed=fixed,
    )


def _largest_owner(tiles: PlaceableTiles, packing: Packing) -> np.ndarray:
    """The matrix that has most of each array, int32 [arrays]."""
    cells = tiles.sizes.astype(np.int64).prod(axis=1)
    owner = np.full(packing.arrays, -1, np.int32)
    order = np.argsort(cells, kind="stable")
    owner[packing.array[order]] = tiles.owner[order]
    return owner
