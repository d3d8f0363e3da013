"""Cut each stored matrix into tiles that fit an array: full tiles, then the ragged edges.

A matrix of a block diagonal (groups) that fits one array is one tile, so that several can share
an array.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...dialects import tile
from ...dialects.attributes import table_attr
from ...dialects.tile_table import TILE_COLUMNS
from ...errors import IRError
from ..context import say_unchanged
from ..rewriting import whole_ops


@dataclass(frozen=True)
class CutTiles(ModulePass):
    """The size of an array: ``rows`` and columns of weights."""

    name = "cut-tiles"

    rows: int = 128
    weight_cols: int = 32

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.rows < 1 or self.weight_cols < 1:
            raise IRError(
                f"an array must have rows and columns, not {self.rows} x {self.weight_cols}"
            )
        programs = [inner for inner in whole_ops(op) if isinstance(inner, tile.ProgramOp)]
        for program in programs:
            assert isinstance(program.result.type, tile.CrossbarType)
            shape = program.result.type.shape
            program.tiles = table_attr(tile_grid(shape, self.rows, self.weight_cols))
        if not programs:
            say_unchanged(ctx)


def tile_grid(shape: tuple[int, int, int], rows: int, cols: int) -> np.ndarray:
    """The tiles of ``shape`` [groups, K, N], int32 [T, 5] in the order of ``TILE_COLUMNS``.

    Row-major over groups, row blocks and column blocks.
    """
    groups, depth, width = shape
    row, col = np.arange(0, depth, rows), np.arange(0, width, cols)
    table = np.empty((groups, len(row), len(col), len(TILE_COLUMNS)), np.int32)
    table[..., 0] = np.arange(groups)[:, None, None]
    table[..., 1] = row[:, None]
    table[..., 2] = np.minimum(rows, depth - row)[:, None]
    table[..., 3] = col
    table[..., 4] = np.minimum(cols, width - col)
    return table.reshape(-1, len(TILE_COLUMNS))
