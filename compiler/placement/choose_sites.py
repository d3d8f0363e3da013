"""Puts packed arrays on the sites that defects and fixed tiles leave, at least traffic x distance.

Whole arrays are for anything. When they run out, arrays with dead lines take what fits the part of
them that no dead line crosses. The engine (assign.py) then places all others by their traffic.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...backends.targets import SUM_BYTES, MemcapTarget
from .assign import assign_sites
from .curves import hilbert_index
from .free_sites import FreeSites
from .machine import SiteGrid
from .pack_search import Packing
from .site_problem import SiteProblem
from .traffic import ArrayTraffic, array_traffic


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


@dataclass(frozen=True, slots=True)
class LinkCosts:
    """Energy of a byte, pJ: a step from row to row and from column to column, a level of vias."""

    row_pj: float
    col_pj: float
    via_pj: float
    x_bytes: float
    y_bytes: float

    @staticmethod
    def of(target: MemcapTarget) -> "LinkCosts":
        links = target.links
        width_mm, height_mm = (um * 1e-3 for um in target.site_um)
        return LinkCosts(
            links.energy_pj_per_byte_mm * height_mm,
            links.energy_pj_per_byte_mm * width_mm,
            links.via_energy_pj_per_byte,
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
    effort: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Sites int32 [T, 5] (layer, row, col, array row, array column) of packed ``tiles``.

    Needs ``free.room_for(extents_of(tiles, packing)) == packing.arrays``.
    """
    packing = by_neighbourhood(tiles, packing, grid)
    fixed, starts = free.take_parts(extents_of(tiles, packing))
    traffic = array_traffic(
        tiles.table, tiles.owner, tiles.positions, packing, links.x_bytes, links.y_bytes
    )
    problem = site_problem(tiles, packing, traffic, free, fixed, grid, links)
    site = assign_sites(problem, effort=effort, seed=seed).site
    at = np.stack(np.unravel_index(site, problem.shape), axis=1)[packing.array]
    start = starts[packing.array]
    cells = np.column_stack([packing.row, packing.col]) + start
    return np.column_stack([at, cells]).astype(np.int32)


def by_neighbourhood(tiles: PlaceableTiles, packing: Packing, grid: SiteGrid) -> Packing:
    """``packing`` with arrays numbered so that neighbours in a matrix have near numbers.

    Matrices come in their order, the blocks of each along a Hilbert curve over its rows and
    columns. The engine begins by laying arrays in their order along such a curve through the sites,
    so that blocks that share rows or columns come to lie side by side.
    """
    blocks = tiles.table[:, [1, 3]] // np.array([grid.array_rows, grid.array_cols])
    curve = hilbert_index(blocks, max(1, int(blocks.max(initial=0)).bit_length()))
    order = np.lexsort((curve, tiles.table[:, 0], tiles.owner))
    first = np.full(packing.arrays, len(order), np.int64)
    np.minimum.at(first, packing.array[order], np.arange(len(order)))
    rank = np.empty(packing.arrays, packing.array.dtype)
    rank[np.argsort(first, kind="stable")] = np.arange(packing.arrays)
    return replace(packing, array=rank[packing.array])


def extents_of(tiles: PlaceableTiles, packing: Packing) -> np.ndarray:
    """Rows and weight columns that the content of each array takes, int [arrays, 2]."""
    extents = np.zeros((packing.arrays, 2), np.int64)
    ends = np.column_stack([packing.row, packing.col]) + tiles.sizes
    np.maximum.at(extents, packing.array, ends)
    return extents


def site_problem(
    tiles: PlaceableTiles,
    packing: Packing,
    traffic: ArrayTraffic,
    free: FreeSites,
    fixed: np.ndarray,
    grid: SiteGrid,
    links: LinkCosts,
) -> SiteProblem:
    """What the engine minimises: the energy of the traffic, pJ.

    A matrix in two layers has two trees for a block, so a link between layers costs what another
    way to the port does, on average. Arrays of a matrix in one stack wait for each other, which
    costs more than any way that it could save.
    """
    step_pj = (links.row_pj + links.col_pj) / 2
    way = (grid.rows + grid.cols) / 4
    busiest = traffic.total().max(initial=0.0)
    allowed = free.whole.reshape(-1).copy()
    allowed[fixed[fixed >= 0]] = True
    return SiteProblem(
        layers=grid.layers,
        rows=grid.rows,
        cols=grid.cols,
        step_cost=(way * step_pj, links.row_pj, links.col_pj),
        indptr=traffic.indptr,
        neighbour=traffic.neighbour,
        weight=traffic.weight.astype(np.float32),
        anchor_weight=traffic.port.astype(np.float32),
        port=grid.port,
        layer_cost=(links.via_pj * np.arange(1, grid.layers + 1)).astype(np.float32),
        layer_weight=traffic.vias.astype(np.float32),
        allowed=allowed,
        fixed=fixed,
        group=_largest_owner(tiles, packing),
        active=grid.active,
        group_penalty=float(busiest * step_pj * (grid.rows + grid.cols)),
    )


def _largest_owner(tiles: PlaceableTiles, packing: Packing) -> np.ndarray:
    """The matrix that has most of each array, int32 [arrays]."""
    cells = tiles.sizes.astype(np.int64).prod(axis=1)
    owner = np.full(packing.arrays, -1, np.int32)
    order = np.argsort(cells, kind="stable")
    owner[packing.array[order]] = tiles.owner[order]
    return owner
