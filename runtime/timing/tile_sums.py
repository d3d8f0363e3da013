"""What timing a product must know of the tiles of one instruction, added up once."""

from dataclasses import dataclass

import numpy as np

from ...backends.memcap.decode import Matrix
from ...backends.targets import SUM_BYTES, MemcapTarget
from ...backends.targets.chips import within_chip
from ...backends.targets.memcap_cost import ProductLoad
from ...dialects.route_table import Traffic, port_of, product_traffic, within
from ...dialects.tile_table import ArrayCells, position_bounds, read_rounds


@dataclass(frozen=True, slots=True)
class WrittenRound:
    """What is written side by side: rows of the fullest array, and weights in all."""

    rows: int
    weights: int

    def beside(self, other: "WrittenRound") -> "WrittenRound":
        """Both at once, in different arrays."""
        return WrittenRound(max(self.rows, other.rows), self.weights + other.weights)


@dataclass(frozen=True, slots=True)
class TileSums:
    """Tiles of one matrix in one layer that are read together, for all positions of a product.

    ``share`` is the share of the positions that they read, ``sizes`` the positions read by all
    tiles of a size (rows, cols), ``written`` the rounds in which streamed tiles are written, in
    order. A weight's way from the port to its array is ``mean_mm`` and ``mean_vias`` on average.
    """

    load: ProductLoad
    share: float
    macs: int
    sizes: dict[tuple[int, int], int]
    inputs: Traffic
    sums: Traffic
    written: list[WrittenRound]
    mean_mm: float
    mean_vias: float

    @staticmethod
    def of(
        matrix: Matrix,
        span: tuple[int, int],
        positions: int,
        target: MemcapTarget,
        cells: ArrayCells,
    ) -> "TileSums":
        """Of the tiles ``span[0] .. span[1]`` of ``matrix``; ``cells`` are those of all tiles."""
        part, stack = slice(*span), target.stack
        tiles, copy = matrix.tiles[part], matrix.copy[part]
        copy_reads = np.diff(position_bounds(positions, matrix.copies))
        reads = copy_reads[copy]
        sites = within_chip(matrix.sites[part], stack.layers)
        mesh = stack.grid_rows, stack.grid_cols
        weights = tiles[:, 2].astype(np.int64) * tiles[:, 4]
        mm = np.abs(sites[:, 1:3] - port_of(*mesh)) @ _step_mm(target)
        routes, lines = within(matrix.routes, *span), (target.code_bytes, SUM_BYTES)
        inputs, sums = product_traffic(tiles, sites, routes, mesh, *lines, reads)
        level = int(sites[0, 0]) + 1
        load = ProductLoad(
            most=int(reads.max()),
            rounds=_one_by_one(tiles, sites)
            if matrix.rounds[part].any()
            else read_rounds(tiles, matrix.sites[part], cells),
            in_bytes=float(inputs.loads.max(initial=0.0)),
            out_bytes=float(sums.loads.max(initial=0.0)),
            in_hops=inputs.depth_hops + level,
            out_hops=sums.depth_hops + level,
        )
        sizes, index = np.unique(
            tiles[:, 2].astype(np.int64) << 32 | tiles[:, 4], return_inverse=True
        )
        counts = np.bincount(index.reshape(-1), weights=reads)
        return TileSums(
            load=load,
            share=float(copy_reads[np.unique(copy)].sum()) / max(positions, 1),
            macs=int((weights * reads).sum()),
            sizes={
                (size >> 32, size & 0xFFFFFFFF): int(count)
                for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
            },
            inputs=inputs,
            sums=sums,
            written=_written(matrix, part),
            mean_mm=float(np.average(mm, weights=weights)),
            mean_vias=float(np.average(sites[:, 0] + 1, weights=weights)),
        )


def _step_mm(target: MemcapTarget) -> np.ndarray:
    """Length of a step from row to row and from column to column."""
    width_um, height_um = target.site_um
    return np.array([height_um, width_um]) * 1e-3


def _written(matrix: Matrix, part: slice) -> list[WrittenRound]:
    rounds = matrix.rounds[part]
    if not rounds.any():
        return []
    starts = np.flatnonzero(np.diff(rounds, prepend=0))
    rows, cols = matrix.tiles[part, 2].astype(np.int64), matrix.tiles[part, 4].astype(np.int64)
    highest = np.maximum.reduceat(matrix.sites[part, 3] + rows, starts)
    weights = np.add.reduceat(rows * cols, starts)
    return [WrittenRound(int(r), int(w)) for r, w in zip(highest, weights, strict=True)]


def _one_by_one(tiles: np.ndarray, sites: np.ndarray) -> list[tuple[int, ...]]:
    """Columns read in each round of streamed tiles, for every array: those of one are not there
    while another is, and tiles of one round of writing are read one after another."""
    order = np.lexsort(sites[:, :3].T[::-1])
    starts = np.flatnonzero(np.diff(sites[order, :3], axis=0, prepend=-1).any(axis=1))
    parts = np.split(tiles[order, 4], starts[1:])
    return sorted({tuple(part.tolist()) for part in parts})
