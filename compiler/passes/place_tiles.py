"""Choose the array site of every weight tile

Writes the attribute ``sites`` (one row a tile, columns of ``place.SITE_COLUMNS``) on each
``tile.program``; ``convert-tile-to-place`` applies it. Rows of ``sites`` that stand there already
are fixed positions, except those of layer -1; they are kept in the attribute ``fixed``, and no
other tile comes into their arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets.defects import DefectTables
from ...dialects import place, tile
from ...dialects.attributes import table_attr, table_of
from ...errors import CapacityError, IRError, TargetError
from ..context import say_unchanged
from ..placement.assign import assign_sites
from ..placement.assign_around import FreeSites, assign_around
from ..placement.check import PlacedMatrix, check_matrices
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import Packing, pack_tiles
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
        fixed = _fixed_sites(programs, grid, DefectTables.of(target))
        tables = [p.tile_table for p in programs]
        sizes = np.concatenate([t[:, [2, 4]] for t in tables])
        sites = np.concatenate(fixed)
        free = sites[:, 0] < 0
        sites[free] = place_free_tiles(target.name, sizes[free], sites[~free, :3], grid)
        cuts = np.cumsum([len(t) for t in tables])[:-1]
        parts = np.split(sites, cuts)
        for program, rows, given in zip(programs, parts, fixed, strict=True):
            program.attributes["sites"] = table_attr(rows)
            if (given[:, 0] >= 0).any():
                program.attributes["fixed"] = table_attr(given)


def _fixed_sites(
    programs: Sequence[tile.ProgramOp], grid: SiteGrid, defects: DefectTables
) -> list[np.ndarray]:
    """Where the tiles of each matrix must go, int32 [T, 5]; layer -1 where nothing says it.

    Raises IRError where they cannot go there, with every fault.
    """
    tables, fixed = [], []
    for program in programs:
        given = program.attributes.get("sites")
        shape = (len(program.tile_table), len(place.SITE_COLUMNS))
        table = np.full(shape, -1, np.int32)
        if isinstance(given, DenseIntOrFPElementsAttr):
            table = np.array(table_of(given), np.int32)
            if table.shape != shape:
                raise IRError(
                    f"sites of {program.weight.data} must have {list(shape)} numbers, a row a tile "
                    f"({', '.join(place.SITE_COLUMNS)}), came {list(table.shape)}"
                )
        kept = table[:, 0] != -1
        tables.append(table)
        if kept.any():
            sizes = program.tile_table[kept][:, [2, 4]]
            tiles = np.flatnonzero(kept)
            fixed.append(PlacedMatrix(program.weight.data, sizes, table[kept], None, tiles=tiles))
    faults = check_matrices(fixed, grid, defects)
    if faults:
        raise IRError(
            f"fixed positions must be possible: {faults[0]}",
            help="change sites, or give a tile layer -1 to let place-tiles choose",
            faults=[IRError(fault) for fault in faults],
        )
    return tables


def place_free_tiles(name: str, sizes: np.ndarray, taken: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """Sites int32 [T, 5] of free tiles, outside the ``taken`` arrays. Raises CapacityError."""
    packing = pack_tiles(sizes, grid.array_rows, grid.array_cols)
    if not len(taken) and grid.usable is None:
        if packing.arrays > grid.sites:
            raise _too_large(name, packing, grid, sizes, grid.sites)
        sites = assign_sites(_first_use(packing), grid)[packing.array]
        return np.column_stack([sites, packing.row, packing.col]).astype(np.int32)
    extents = np.zeros((packing.arrays, 2), np.int64)
    ends = np.column_stack([packing.row, packing.col]) + sizes
    np.maximum.at(extents, packing.array, ends)
    free = FreeSites.of(grid, taken)
    room = free.room_for(extents)
    if room < packing.arrays:
        raise _too_large(name, packing, grid, sizes, room)
    sites, starts = assign_around(extents, _first_use(packing), free, grid)
    start = starts[packing.array]
    cells = np.column_stack([packing.row + start[:, 0], packing.col + start[:, 1]])
    return np.column_stack([sites[packing.array], cells]).astype(np.int32)


def _first_use(packing: Packing) -> np.ndarray:
    """For each array, the first tile (in program order) that it holds."""
    first = np.full(packing.arrays, len(packing.array), np.int64)
    np.minimum.at(first, packing.array, np.arange(len(packing.array)))
    return first


def _too_large(
    name: str, packing: Packing, grid: SiteGrid, sizes: np.ndarray, arrays: int
) -> CapacityError:
    """The model needs more than the ``arrays`` that it can use."""
    weights = int(sizes.astype(np.int64).prod(axis=1).sum())
    per_layer = grid.rows * grid.cols
    per_array = grid.array_rows * grid.array_cols
    layers = -(-packing.arrays * grid.sites // (per_layer * arrays)) if arrays else grid.layers + 1
    chips = -(-packing.arrays // max(arrays, 1))
    lost = grid.sites - arrays
    unusable = f", of which {lost:,} are defect, too small or taken by fixed tiles" if lost else ""
    return CapacityError(
        f"the model needs {packing.arrays:,} arrays ({layers:,} layers) for {weights:,} "
        f"parameters; {name} has {grid.sites:,} arrays ({grid.layers:,} layers) for at most "
        f"{grid.sites * per_array:,}{unusable}",
        demand={"arrays": packing.arrays, "layers": layers, "parameters": weights},
        available={
            "arrays": arrays,
            "layers": grid.layers,
            "parameters": arrays * per_array,
        },
        levers=(
            f"use a target with stack.layers = {layers}",
            f"split the model over {chips} chips",
            f"use arrays or cells that hold {packing.arrays / max(arrays, 1):.2f}x the parameters",
        ),
    )
