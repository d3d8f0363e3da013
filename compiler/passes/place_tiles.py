"""Choose the array site of every weight tile

Writes the attribute ``sites`` (one row a tile, columns of ``place.SITE_COLUMNS``) on each
``tile.program``; ``convert-tile-to-place`` applies it. Rows of ``sites`` that stand there already
are fixed positions, except those of layer -1; they are kept in the attribute ``fixed``, and no
other tile comes into their arrays.

What does not fit is refused, or with ``on-overflow=reload`` shares arrays over time: the attribute
``rounds`` says which tiles. With ``on-overflow=chips`` it takes as many chips as are needed: the
attribute ``chip`` says which one an operation runs on, and layers are counted through all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget, load_target
from ...backends.targets.defects import DefectTables
from ...backends.targets.heat import tile_heat_j
from ...backends.targets.memcap_cost import mvm_latency_s
from ...dialects import place, tile
from ...dialects.attributes import table_attr, table_of
from ...errors import InputError, IRError, TargetError
from ..context import say_unchanged
from ..matrix_uses import positions_of, reads_of, tiles_of
from ..overflow import ON_OVERFLOW, place_overflow, write_sites
from ..placement.check import PlacedMatrix, check_matrices
from ..placement.choose_sites import LinkCosts, PlaceableTiles, choose_sites, extents_of
from ..placement.free_sites import FreeSites
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import SHARING, Sharing, pack_tiles
from ..placement.pack_kinds import Packing
from ..rewriting import whole_ops


@dataclass(frozen=True)
class PlaceTiles(ModulePass):
    """Packs tiles into arrays and gives each array a site; CapacityError when they do not fit.

    ``effort`` (0 to 10) is how much the engine that places arrays may try, ``seed`` where it
    begins. ``packing`` says what may share an array: ``dense``, ``exclusive`` or ``auto``.
    """

    name = "place-tiles"
    target: str
    on_overflow: str = "error"
    effort: int = 1
    seed: int = 0
    packing: str = "auto"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = load_target(self.target)
        if not isinstance(target, MemcapTarget):
            raise TargetError(f"place-tiles needs a memcap target, {target.name} is a mesh")
        if self.on_overflow not in ON_OVERFLOW:
            raise InputError(
                f"on-overflow must be one of {', '.join(ON_OVERFLOW)}, came {self.on_overflow!r}"
            )
        if not 0 <= self.effort <= 10:
            raise InputError(f"effort must be 0 to 10, came {self.effort}")
        programs = [p for p in whole_ops(op) if isinstance(p, tile.ProgramOp)]
        if not programs:
            say_unchanged(ctx)
            return
        grid = grid_of(target)
        fixed = _fixed_sites(programs, grid, DefectTables.of(target))
        if self._place(programs, fixed, grid, target):
            return
        if any((given[:, 0] >= 0).any() for given in fixed) and self.on_overflow != "error":
            raise IRError(
                f"on-overflow={self.on_overflow} needs every site to choose from",
                help="take the fixed positions (attribute sites of tile.program) away",
            )
        free, links = FreeSites.of(grid, np.empty((0, 3), np.int32)), LinkCosts.of(target)

        def lay(tiles: PlaceableTiles, packing: Packing) -> np.ndarray:
            return choose_sites(
                tiles, packing, free, grid, links, effort=self.effort, seed=self.seed
            )

        place_overflow(op, programs, grid, target, self.on_overflow, lay)

    def _place(
        self,
        programs: Sequence[tile.ProgramOp],
        fixed: Sequence[np.ndarray],
        grid: SiteGrid,
        target: MemcapTarget,
    ) -> bool:
        """Place all tiles at once; False where they do not fit."""
        hot = target.thermal.max_layer_power_w > 0
        sites = np.concatenate(fixed)
        loose = sites[:, 0] < 0
        tiles = tiles_of(programs).only(np.flatnonzero(loose))
        free = FreeSites.of(grid, sites[~loose, :3])
        # Copies work at the same time, so none of their tiles may share an array.
        alone = np.repeat(
            [p.copy is not None for p in programs], [len(p.tile_table) for p in programs]
        )[loose]
        packing = pack_tiles(
            tiles.sizes,
            grid.array_rows,
            grid.array_cols,
            owner=tiles.owner,
            positions=reads_of(programs),
            read_cost=_read_cost(target),
            arrays=int(free.whole.sum()),
            sharing=_sharing(self.packing),
            alone=alone,
        )
        if free.room_for(extents_of(tiles, packing)) < packing.arrays:
            return False
        sites[loose] = choose_sites(
            tiles,
            packing,
            free,
            grid,
            LinkCosts.of(target),
            heat_j=_layer_heat_j(programs, target)[loose] if hot else None,
            effort=self.effort,
            seed=self.seed,
        )
        write_sites(programs, sites)
        for program, given in zip(programs, fixed, strict=True):
            if (given[:, 0] >= 0).any():
                program.attributes["fixed"] = table_attr(given)
        return True


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
            tiles, numbers = program.tile_table[kept], np.flatnonzero(kept)
            fixed.append(
                PlacedMatrix(program.weight.data, tiles, table[kept], None, numbers=numbers)
            )
    faults = check_matrices(fixed, grid, defects)
    if faults:
        raise IRError(
            f"fixed positions must be possible: {faults[0]}",
            help="change sites, or give a tile layer -1 to let place-tiles choose",
            faults=[IRError(fault) for fault in faults],
        )
    return tables


def _layer_heat_j(programs: Sequence[tile.ProgramOp], target: MemcapTarget) -> np.ndarray:
    """Heat of each tile in its layer an inference, J [T]."""
    heat = []
    for program in programs:
        bits = None if program.adc_bits is None else program.adc_bits.value.data
        sizes, reads = program.tile_table[:, [2, 4]], positions_of(program) / program.copies
        heat.append(tile_heat_j(target, sizes, reads, adc_bits=bits)[:, 0])
    return np.concatenate(heat)


def _read_cost(target: MemcapTarget) -> tuple[float, float]:
    """Seconds of a round of reads, and of each column of weights in it."""
    round_s, full_s = (mvm_latency_s(target, 1, cols) for cols in (0, target.weight_cols))
    return round_s, (full_s - round_s) / target.weight_cols


def _sharing(name: str) -> Sharing:
    for mode in SHARING:
        if mode == name:
            return mode
    raise IRError(f"packing must be one of {', '.join(SHARING)}, not {name!r}")
