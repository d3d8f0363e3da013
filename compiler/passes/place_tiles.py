"""Choose the array site of every weight tile

Writes the attribute ``sites`` (one row a tile, columns of ``place.SITE_COLUMNS``) on each
``tile.program``; ``convert-tile-to-place`` applies it. What does not fit is refused, or with
``on-overflow=reload`` shares arrays over time: the attribute ``rounds`` says which tiles. With
``on-overflow=chips`` it takes as many chips as are needed: the attribute ``chip`` says which one
an operation runs on, and layers are counted through all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget, load_target
from ...backends.targets.chips import MOST_CHIPS
from ...backends.targets.memcap_cost import code_bytes, write_latency_s
from ...dialects import tile
from ...dialects.attributes import table_attr
from ...errors import CapacityError, InputError, TargetError
from ..context import say_unchanged
from ..matrix_uses import in_order_of_use, product_counts
from ..placement.assign import assign_sites
from ..placement.machine import SiteGrid, grid_of
from ..placement.pack import Packing, pack_tiles
from ..placement.reload import ReloadPlan, Writing, plan_reload
from ..rewriting import whole_ops
from ..split_over_chips import choose_partition, split_over_chips

ON_OVERFLOW = ("error", "reload", "chips")


@dataclass(frozen=True)
class PlaceTiles(ModulePass):
    """Packs tiles into arrays and gives each array a site; CapacityError when they do not fit."""

    name = "place-tiles"
    target: str
    on_overflow: str = "error"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = load_target(self.target)
        if not isinstance(target, MemcapTarget):
            raise TargetError(f"place-tiles needs a memcap target, {target.name} is a mesh")
        if self.on_overflow not in ON_OVERFLOW:
            raise InputError(
                f"on-overflow must be one of {', '.join(ON_OVERFLOW)}, came {self.on_overflow!r}"
            )
        programs = [p for p in whole_ops(op) if isinstance(p, tile.ProgramOp)]
        if not programs:
            say_unchanged(ctx)
            return
        grid = grid_of(target)
        sizes = [p.tile_table[:, [2, 4]] for p in programs]
        packing = pack_tiles(np.concatenate(sizes), grid.array_rows, grid.array_cols)
        if packing.arrays <= grid.sites:
            sites = assign_sites(_first_use(packing), grid)[packing.array]
            table = np.column_stack([sites, packing.row, packing.col]).astype(np.int32)
            _write(programs, table, None)
            return
        programs = in_order_of_use(programs)
        if self.on_overflow == "chips":
            _over_chips(op, programs, grid, target)
            return
        sizes = [p.tile_table[:, [2, 4]] for p in programs]
        plan = plan_reload(sizes, *product_counts(programs), grid, writing_of(target))
        if plan is None or self.on_overflow == "error":
            levers = _lever_reload(plan), _lever_chips(programs, grid, target)
            raise _too_large(target.name, packing.arrays, grid, sizes, levers)
        _write(programs, plan.sites, plan.rounds)


def _over_chips(
    op: ModuleOp, programs: list[tile.ProgramOp], grid: SiteGrid, target: MemcapTarget
) -> None:
    partition = choose_partition(programs, grid, target.numerics.input_bits / 8)
    if partition.chips > MOST_CHIPS:
        raise CapacityError(
            f"a program can span {MOST_CHIPS} chips, this model needs {partition.chips:,} of "
            f"{target.name}",
            demand={"chips": partition.chips},
            available={"chips": MOST_CHIPS},
            levers=("use a target with more arrays", "write matrices anew (--on-overflow reload)"),
        )
    for placed in split_over_chips(op, programs, grid, partition):
        _write(placed.programs, placed.sites, None)


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
    transfer_s = code_bytes(target, target.weights_per_array) / (target.host.link_gb_s * 1e9)
    stack = target.stack
    return Writing(
        write_latency_s(target, target.array.rows),
        transfer_s,
        stack.grid_rows * stack.grid_cols * stack.max_active_layers,
    )


def _first_use(packing: Packing) -> np.ndarray:
    """For each array, the first tile (in program order) that it holds."""
    first = np.full(packing.arrays, len(packing.array), np.int64)
    np.minimum.at(first, packing.array, np.arange(len(packing.array)))
    return first


def _too_large(
    name: str, arrays: int, grid: SiteGrid, sizes: Sequence[np.ndarray], levers: Sequence[str]
) -> CapacityError:
    weights = sum(int(table.astype(np.int64).prod(axis=1).sum()) for table in sizes)
    per_layer = grid.rows * grid.cols
    per_array = grid.array_rows * grid.array_cols
    layers = -(-arrays // per_layer)
    return CapacityError(
        f"the model needs {arrays:,} arrays ({layers:,} layers) for {weights:,} "
        f"parameters; {name} has {grid.sites:,} arrays ({grid.layers:,} layers) for at most "
        f"{grid.sites * per_array:,}",
        demand={"arrays": arrays, "layers": layers, "parameters": weights},
        available={
            "arrays": grid.sites,
            "layers": grid.layers,
            "parameters": grid.sites * per_array,
        },
        levers=(
            f"use a target with stack.layers = {layers}",
            *levers,
            f"use arrays or cells that hold {arrays / grid.sites:.2f}x the parameters",
        ),
    )


def _lever_reload(plan: ReloadPlan | None) -> str:
    """What writing anew what does not fit would cost, or why it would not do."""
    if plan is None:
        return "take matrices out of control flow: those in it cannot be written while running"
    return (
        f"write {plan.residency.written:,} arrays anew in each inference (--on-overflow reload), "
        f"which takes up to {plan.residency.write_s:.3g} s"
    )


def _lever_chips(programs: Sequence[tile.ProgramOp], grid: SiteGrid, target: MemcapTarget) -> str:
    """How many chips would do, and what would pass between them; or what stands against it."""
    try:
        found = choose_partition(programs, grid, target.numerics.input_bits / 8)
    except CapacityError as error:
        return f"take a chip with more arrays: {error.message}"
    return (
        f"split the model over {found.chips:,} chips (--on-overflow chips), with "
        f"{found.crossing_bytes:,.0f} bytes an inference between them"
    )
