"""Choose the array site of every weight tile

Writes the attribute ``sites`` (one row a tile, columns of ``place.SITE_COLUMNS``) on each
``tile.program``; ``convert-tile-to-place`` applies it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...dialects import tile
from ...dialects.attributes import table_attr
from ...dialects.control import repetitions
from ...dialects.types import shape_of
from ...errors import CapacityError, IRError, TargetError
from ..context import say_unchanged
from ..placement.assign import assign_sites
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import SHARING, Sharing, pack_tiles
from ..placement.pack_kinds import Packing
from ..rewriting import whole_ops

if TYPE_CHECKING:
    from ...backends.targets import MemcapTarget


@dataclass(frozen=True)
class PlaceTiles(ModulePass):
    """Packs tiles into arrays and gives each array a site; CapacityError when they do not fit.

    ``packing`` says what may share an array: ``dense``, ``exclusive`` or ``auto``.
    """

    name = "place-tiles"
    target: str
    packing: str = "auto"

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
        counts = [len(t) for t in tables]
        packing = pack_tiles(
            np.concatenate([t[:, [2, 4]] for t in tables]),
            grid.array_rows,
            grid.array_cols,
            owner=np.repeat(np.arange(len(programs)), counts),
            positions=np.array([positions_of(p) for p in programs]),
            read_cost=_read_cost(target),
            arrays=grid.sites,
            sharing=_sharing(self.packing),
        )
        if packing.arrays > grid.sites:
            weights = sum(int((t[:, 2].astype(np.int64) * t[:, 4]).sum()) for t in tables)
            raise _too_large(target.name, packing, grid, weights)
        sites = assign_sites(_first_use(packing), grid)[packing.array]
        table = np.column_stack([sites, packing.row, packing.col]).astype(np.int32)
        cuts = np.cumsum(counts)[:-1]
        for program, rows in zip(programs, np.split(table, cuts), strict=True):
            program.attributes["sites"] = table_attr(rows)


def positions_of(program: tile.ProgramOp) -> int:
    """How many input vectors the matrix is multiplied with in an inference."""
    products = [use.operation for use in program.result.uses]
    return sum(
        shape_of(op.x)[-2] * repetitions(op) for op in products if isinstance(op, tile.MvmOp)
    )


def _read_cost(target: "MemcapTarget") -> tuple[float, float]:
    """Seconds of a round of reads, and of each column of weights in it."""
    from ...backends.targets.memcap_cost import mvm_latency_s

    round_s, full_s = (mvm_latency_s(target, 1, cols) for cols in (0, target.weight_cols))
    return round_s, (full_s - round_s) / target.weight_cols


def _sharing(name: str) -> Sharing:
    for mode in SHARING:
        if mode == name:
            return mode
    raise IRError(f"packing must be one of {', '.join(SHARING)}, not {name!r}")


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
