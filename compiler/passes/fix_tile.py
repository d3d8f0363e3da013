"""Fix the array of one weight tile before place-tiles chooses the others

Writes a row of the attribute ``sites`` on the matrix of an ONNX node, or of a weight of that name:

    fix-tile{node=/fc/MatMul site=3,0,1 tile=2}    tile 2 goes to layer 3, row 0, column 1

The tile begins at the first cell of the array.
"""

import difflib
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp
from xdsl.passes import ModulePass

from ...dialects import place, tile
from ...dialects.attributes import node_names, table_attr, table_of
from ...errors import IRError
from ..rewriting import whole_ops


@dataclass(frozen=True)
class FixTile(ModulePass):
    """``site`` is (layer, row, col); tiles are numbered from 0 in the order of the matrix's table.

    Raises IRError where ``node`` has no matrix, or several, or the matrix no such tile.
    """

    name = "fix-tile"
    node: str
    site: tuple[int, ...]
    tile: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if len(self.site) != 3:
            raise IRError(f"a site must be LAYER,ROW,COL, came {','.join(map(str, self.site))}")
        program = _matrix_of(self.node, op)
        tiles = len(program.tile_table)
        if not 0 <= self.tile < tiles:
            raise IRError(f"the tile of {self.node} must be in 0..{tiles - 1}, came {self.tile}")
        given = program.attributes.get("sites")
        sites = np.full((tiles, len(place.SITE_COLUMNS)), -1, np.int32)
        if isinstance(given, DenseIntOrFPElementsAttr):
            sites[:] = table_of(given)
        sites[self.tile] = (*self.site, 0, 0)
        program.attributes["sites"] = table_attr(sites)


def _matrix_of(node: str, module: ModuleOp) -> tile.ProgramOp:
    """The matrix that the products of ``node`` use, or that is called so."""
    names: dict[tile.ProgramOp, set[str]] = {}
    for op in whole_ops(module):
        if isinstance(op, tile.ProgramOp):
            used = {name for use in op.result.uses for name in node_names(use.operation)}
            names[op] = {op.weight.data, *used}
    found = [op for op, known in names.items() if node in known]
    if len(found) == 1:
        return found[0]
    if found:
        raise IRError(
            f"one matrix must be named, {node} has {', '.join(op.weight.data for op in found)}",
            help="give the matrix's name in place of the node's",
        )
    known = sorted(set().union(*names.values()))
    close = difflib.get_close_matches(node, known, n=3) or known[:3]
    raise IRError(
        f"a node with a matrix in arrays must be named, came {node!r}",
        help=f"such are {', '.join(close)}" if close else None,
    )
