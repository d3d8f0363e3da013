"""What timing a product must know of the tiles of one instruction, added up once."""

from dataclasses import dataclass

import numpy as np

from ...backends.memcap.decode import Matrix
from ...backends.targets import SUM_BYTES, MemcapTarget
from ...backends.targets.chips import within_chip
from ...dialects.route_table import Traffic, port_of, product_traffic, within
from ...dialects.tile_table import ArrayCells, read_rounds, weights_in


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
    """Tiles of one matrix in one layer that are read together.

    ``rounds`` is what ``read_rounds`` says, ``sizes`` how many have each (rows, cols);
    ``inputs`` and ``sums`` are what one position moves over the base die.
    """

    weights: int
    rounds: list[tuple[int, ...]]
    layer: int
    sizes: dict[tuple[int, int], int]
    inputs: Traffic
    sums: Traffic
    busiest_link_bytes: float
    """Bytes a position over the fullest link, each direction by itself."""
    written: list[WrittenRound]
    """The rounds in which streamed tiles are written, in order; none where all stay."""
    mean_mm: float
    """Mean way of a weight from the port to its array over the base die."""
    mean_vias: float
    """Mean levels from the base die up to it."""

    @staticmethod
    def of(
        matrix: Matrix, span: tuple[int, int], target: MemcapTarget, cells: ArrayCells
    ) -> "TileSums":
        """Of the tiles ``span[0] .. span[1]`` of ``matrix``; ``cells`` are those of all tiles."""
        part = slice(*span)
        tiles, sites = matrix.tiles[part], matrix.sites[part]
        sizes, counts = np.unique(
            tiles[:, 2].astype(np.int64) << 32 | tiles[:, 4], return_counts=True
        )
        stack = target.stack
        sites = within_chip(sites, stack.layers)
        weights = tiles[:, 2].astype(np.int64) * tiles[:, 4]
        mm = np.abs(sites[:, 1:3] - port_of(stack.grid_rows, stack.grid_cols)) @ _step_mm(target)
        inputs, sums = product_traffic(
            tiles,
            sites,
            within(matrix.routes, *span),
            (stack.grid_rows, stack.grid_cols),
            target.code_bytes,
            SUM_BYTES,
        )
        return TileSums(
            weights=weights_in(tiles),
            rounds=read_rounds(tiles, sites, cells),
            layer=int(sites[0, 0]),
            sizes={
                (size >> 32, size & 0xFFFFFFFF): count
                for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
            },
            inputs=inputs,
            sums=sums,
            busiest_link_bytes=float((inputs.loads + sums.loads).max(initial=0.0)),
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
