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
from ...backends.targets.chips import MOST_CHIPS
from ...backends.targets.defects import DefectTables
from ...backends.targets.memcap_cost import stored_bytes, write_latency_s
from ...dialects import place, tile
from ...dialects.attributes import table_attr, table_of
from ...dialects.control import ControlOp, repetitions
from ...dialects.types import shape_of
from ...errors import CapacityError, InputError, IRError, TargetError
from ..context import say_unchanged
from ..placement.check import PlacedMatrix, check_matrices
from ..placement.choose_sites import LinkCosts, PlaceableTiles, choose_sites, extents_of
from ..placement.free_sites import FreeSites
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import SHARING, Sharing, pack_tiles
from ..placement.reload import ReloadPlan, Writing, plan_reload
from ..rewriting import whole_ops
from ..split_over_chips import partition_module, split_over_chips

ON_OVERFLOW = ("error", "reload", "chips")


@dataclass(frozen=True)
class PlaceTiles(ModulePass):
    """Packs tiles into arrays and gives each array a site; CapacityError when they do not fit.

    ``effort`` (0 to 10) is how much the engine that places arrays may try, ``seed`` where it
    begins. ``packing`` says which tiles may share an array (pack.py).
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
        if not self._place(programs, fixed, grid, target):
            self._overflow(op, programs, fixed, grid, target)

    def _place(
        self,
        programs: Sequence[tile.ProgramOp],
        fixed: Sequence[np.ndarray],
        grid: SiteGrid,
        target: MemcapTarget,
    ) -> bool:
        """Place all tiles at once; False where they do not fit."""
        sites = np.concatenate(fixed)
        loose = sites[:, 0] < 0
        tiles = _tiles_of(programs, loose)
        free = FreeSites.of(grid, sites[~loose, :3])
        packing = pack_tiles(
            tiles.sizes,
            grid.array_rows,
            grid.array_cols,
            owner=tiles.owner,
            positions=np.array([positions_of(p) for p in programs]),
            read_cost=_read_cost(target),
            arrays=int(free.whole.sum()),
            sharing=_sharing(self.packing),
        )
        if free.room_for(extents_of(tiles, packing)) < packing.arrays:
            return False
        sites[loose] = choose_sites(
            tiles,
            packing,
            free,
            grid,
            LinkCosts.of(target),
            effort=self.effort,
            seed=self.seed,
        )
        _write(programs, sites, None)
        for program, given in zip(programs, fixed, strict=True):
            if (given[:, 0] >= 0).any():
                program.attributes["fixed"] = table_attr(given)
        return True

    def _overflow(
        self,
        module: ModuleOp,
        programs: list[tile.ProgramOp],
        fixed: Sequence[np.ndarray],
        grid: SiteGrid,
        target: MemcapTarget,
    ) -> None:
        """What is to be done with more than the arrays hold at once."""
        if any((given[:, 0] >= 0).any() for given in fixed) and self.on_overflow != "error":
            raise IRError(
                f"on-overflow={self.on_overflow} needs every site to choose from",
                help="take the fixed positions (attribute sites of tile.program) away",
            )
        if self.on_overflow == "chips":
            self._over_chips(module, programs, grid, target.name)
            return
        sizes = [p.tile_table[:, [2, 4]] for p in programs]
        uses, movable = _uses(programs)
        plan = plan_reload(sizes, uses, movable, grid, writing_of(target))
        if plan is None or self.on_overflow == "error":
            raise _too_large(target.name, grid, sizes, _lever(plan, uses))
        _write(programs, plan.sites, plan.rounds)

    def _over_chips(
        self, op: ModuleOp, programs: list[tile.ProgramOp], grid: SiteGrid, name: str
    ) -> None:
        partition = partition_module(op, programs, grid)
        if partition.chips > MOST_CHIPS:
            raise CapacityError(
                f"a program can span {MOST_CHIPS} chips, this model needs {partition.chips:,} of "
                f"{name}",
                demand={"chips": partition.chips},
                available={"chips": MOST_CHIPS},
                levers=("use a target with more arrays", "write matrices anew (reload)"),
            )
        for chip in split_over_chips(op, programs, grid, partition):
            _write(chip.programs, chip.sites, None)


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


def _tiles_of(programs: Sequence[tile.ProgramOp], loose: np.ndarray) -> PlaceableTiles:
    """The ``loose`` tiles (bool, of all) of ``programs``."""
    tables = [p.tile_table for p in programs]
    counts = [len(t) for t in tables]
    return PlaceableTiles(
        np.concatenate(tables)[loose],
        np.repeat(np.arange(len(programs)), counts)[loose],
        np.repeat([max(positions_of(p), 1) for p in programs], counts)[loose],
    )


def positions_of(program: tile.ProgramOp) -> int:
    """How many input vectors the matrix is multiplied with in an inference."""
    products = [use.operation for use in program.result.uses]
    return sum(
        shape_of(op.x)[-2] * repetitions(op) for op in products if isinstance(op, tile.MvmOp)
    )


def _read_cost(target: MemcapTarget) -> tuple[float, float]:
    """Seconds of a round of reads, and of each column of weights in it."""
    from ...backends.targets.memcap_cost import mvm_latency_s

    round_s, full_s = (mvm_latency_s(target, 1, cols) for cols in (0, target.weight_cols))
    return round_s, (full_s - round_s) / target.weight_cols


def _sharing(name: str) -> Sharing:
    for mode in SHARING:
        if mode == name:
            return mode
    raise IRError(f"packing must be one of {', '.join(SHARING)}, not {name!r}")


def _write(
    programs: Sequence[tile.ProgramOp], sites: np.ndarray, rounds: np.ndarray | None
) -> None:
    """Put the rows of each matrix on its program."""
    at = 0
    for program in programs:
        part = slice(at, at + len(program.tile_table))
        at = part.stop
        program.attributes["sites"] = table_attr(sites[part])
        if rounds is not None and rounds[part].any():
            program.attributes["rounds"] = table_attr(rounds[part])


def writing_of(target: MemcapTarget) -> Writing:
    """What writing whole arrays of a target takes; the layers of a stack share their drivers."""
    transfer_s = stored_bytes(target, target.weights_per_array) / (target.host.link_gb_s * 1e9)
    stack = target.stack
    return Writing(
        write_latency_s(target, target.array.rows),
        transfer_s,
        stack.grid_rows * stack.grid_cols * stack.max_active_layers,
    )


def _uses(programs: Sequence[tile.ProgramOp]) -> tuple[np.ndarray, np.ndarray]:
    """Products of each matrix, and whether none of them is in control flow: [M] each."""
    users = [[use.operation for use in p.result.uses] for p in programs]
    movable = [not any(isinstance(op.parent_op(), ControlOp) for op in ops) for ops in users]
    return np.array([len(ops) for ops in users], np.int64), np.array(movable)


def _too_large(
    name: str, grid: SiteGrid, sizes: Sequence[np.ndarray], reload: str
) -> CapacityError:
    """The model needs more arrays than there are."""
    tiles = np.concatenate(sizes).astype(np.int64)
    weights = int(tiles.prod(axis=1).sum())
    arrays, has = pack_tiles(tiles, grid.array_rows, grid.array_cols).arrays, grid.capacity
    per_array = grid.array_rows * grid.array_cols
    layers = -(-arrays * grid.layers // max(has, 1))
    lost = grid.sites - has
    unusable = f", of which {lost:,} are defect" if lost else ""
    return CapacityError(
        f"the model needs {arrays:,} arrays ({layers:,} layers) for {weights:,} "
        f"parameters; {name} has {grid.sites:,} arrays ({grid.layers:,} layers) for at most "
        f"{grid.sites * per_array:,}{unusable}",
        demand={"arrays": arrays, "layers": layers, "parameters": weights},
        available={"arrays": has, "layers": grid.layers, "parameters": has * per_array},
        levers=(
            f"use a target with stack.layers = {layers}",
            reload,
            f"split the model over {-(-arrays // max(has, 1))} chips (--on-overflow chips)",
            f"use arrays or cells that hold {arrays / max(has, 1):.2f}x the parameters",
        ),
    )


def _lever(plan: ReloadPlan | None, uses: np.ndarray) -> str:
    """What writing anew what does not fit would cost, or why it would not do."""
    if plan is None:
        return "take matrices out of control flow: those in it cannot be written while running"
    written = int((uses * plan.residency.streamed).sum())
    return (
        f"write {written:,} arrays anew in each inference (--on-overflow reload), which takes "
        f"up to {plan.residency.write_s:.3g} s"
    )
