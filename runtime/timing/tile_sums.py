"""What timing a product must know of the tiles of one instruction, added up once."""

from dataclasses import dataclass

import numpy as np

from ...backends.memcap.decode import Matrix
from ...backends.targets import SUM_BYTES, MemcapTarget
from ...dialects.route_table import Traffic, product_traffic, within
from ...dialects.tile_table import ArrayCells, read_rounds, weights_in


@dataclass(frozen=True, slots=True)
class TileSums:
    """Tiles of one matrix in one layer that are read together.

    ``rounds`` is how often the fullest array is read, ``sizes`` how many have each (rows, cols);
    ``inputs`` and ``sums`` are what one position moves over the base die.
    """

    weights: int
    widest: int
    rounds: int
    layer: int
    sizes: dict[tuple[int, int], int]
    inputs: Traffic
    sums: Traffic
    busiest_link_bytes: float
    """Bytes a position over the fullest link, each direction by itself."""

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
            widest=int(tiles[:, 4].max()),
            rounds=read_rounds(tiles, sites, cells),
            layer=int(sites[0, 0]),
            sizes={
                (size >> 32, size & 0xFFFFFFFF): count
                for size, count in zip(sizes.tolist(), counts.tolist(), strict=True)
            },
            inputs=inputs,
            sums=sums,
            busiest_link_bytes=float((inputs.loads + sums.loads).max(initial=0.0)),
        )
