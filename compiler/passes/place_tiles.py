"""Choose the array site of every weight tile

Writes the attribute ``sites`` (one row a tile, columns of ``place.SITE_COLUMNS``) on each
``tile.program``; ``convert-tile-to-place`` applies it.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...dialects import tile
from ...dialects.attributes import table_attr
from ...errors import CapacityError, TargetError
from ..context import say_unchanged
from ..placement.assign import assign_sites
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import Packing, pack_apart
from ..rewriting import whole_ops


@dataclass(frozen=True)
class PlaceTiles(ModulePass):
    """Packs tiles into arrays and gives each array a site; CapacityError when they do not fit."""

    name = "place-tiles"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        from ...backends.targets import MemcapTarget, load_target

        target = load_target(self.target)
        if not isinstance(target, MemcapTarget):
            raise TargetError(f"place-tiles needs a memcap target, {target.name} is a mesh")
        programs = [p for p in whole_ops(op) if isinstance(p, tile.ProgramOp)]
        if not programs:
            say_unchanged(ctx)
            return
        grid = grid_of(target)
        tables = [p.tile_table for p in programs]
        sizes = np.concatenate([t[:, [2, 4]] for t in tables])
        alone = np.repeat([p.copy is not None for p in programs], [len(t) for t in tables])
        packing = pack_apart(sizes, alone, grid.array_rows, grid.array_cols)
        if packing.arrays > grid.sites:
            weights = sum(int((t[:, 2].astype(np.int64) * t[:, 4]).sum()) for t in tables)
            raise _too_large(target.name, packing, grid, weights)
        sites = assign_sites(_first_use(packing), grid)[packing.array]
        table = np.column_stack([sites, packing.row, packing.col]).astype(np.int32)
        cuts = np.cumsum([len(t) for t in tables])[:-1]
        for program, rows in zip(programs, np.split(table, cuts), strict=True):
            program.attributes["sites"] = table_attr(rows)


def _first_use(packing: Packing) -> np.ndarray:
    """For each array, the first tile (in program order) that it holds."""
    first = np.full(packing.arrays, len(packing.array), np.int64)
    np.minimum.at(first, packing.array, np.arange(len(packing.array)))
    return first


def _too_large(name: str, packing: Packing, grid: SiteGrid, weights: int) -> CapacityError:
    per_layer = grid.rows * grid.cols
    per_array = grid.array_rows * grid.array_cols
    layers = -(-packing.arrays // per_layer)
    chips = -(-packing.arrays // grid.sites)
    return CapacityError(
        f"the model needs {packing.arrays:,} arrays ({layers:,} layers) for {weights:,} "
        f"parameters; {name} has {grid.sites:,} arrays ({grid.layers:,} layers) for at most "
        f"{grid.sites * per_array:,}",
        demand={"arrays": packing.arrays, "layers": layers, "parameters": weights},
        available={
            "arrays": grid.sites,
            "layers": grid.layers,
            "parameters": grid.sites * per_array,
        },
        levers=(
            f"use a target with stack.layers = {layers}",
            f"split the model over {chips} chips",
            f"use arrays or cells that hold {packing.arrays / grid.sites:.2f}x the parameters",
        ),
    )
