"""What is done with more matrices than a chip holds: refuse, write anew, or take more chips.

``place-tiles`` calls this when tiles do not fit. What each way would cost is a lever of the
refusal.
"""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ..backends.targets import MemcapTarget
from ..backends.targets.chips import MOST_CHIPS
from ..backends.targets.memcap_cost import stored_bytes, write_latency_s
from ..dialects import tile
from ..dialects.attributes import table_attr
from ..errors import CapacityError
from .matrix_uses import in_order_of_use, product_counts
from .placement.machine import SiteGrid
from .placement.pack import pack_tiles
from .placement.reload import ReloadPlan, Writing, plan_reload
from .split_over_chips import Lay, choose_partition, split_over_chips

ON_OVERFLOW = ("error", "reload", "chips")


def place_overflow(
    module: ModuleOp,
    programs: Sequence[tile.ProgramOp],
    grid: SiteGrid,
    target: MemcapTarget,
    on_overflow: str,
    lay: Lay,
) -> None:
    """Place ``programs``, which do not fit ``grid`` together, as ``on_overflow`` says.

    ``lay`` gives packed tiles that fit one chip their sites.

    Raises CapacityError for ``error``, and where the way chosen does not do.
    """
    if not grid.capacity:  # nothing can be written anew, here or on other such chips
        sizes = [p.tile_table[:, [2, 4]] for p in programs]
        raise _too_large(target.name, grid, sizes, ("take a chip with arrays that work",))
    programs = in_order_of_use(programs)
    if on_overflow == "chips":
        _over_chips(module, programs, grid, target, lay)
        return
    sizes = [p.tile_table[:, [2, 4]] for p in programs]
    plan = plan_reload(sizes, *product_counts(programs), grid, writing_of(target))
    if plan is None or on_overflow == "error":
        levers = _lever_reload(plan), _lever_chips(programs, grid, target)
        raise _too_large(target.name, grid, sizes, levers)
    write_sites(programs, plan.sites, plan.rounds)


def write_sites(
    programs: Sequence[tile.ProgramOp], sites: np.ndarray, rounds: np.ndarray | None = None
) -> None:
    """Put the rows of ``sites`` [tiles of all, 5] and of ``rounds`` on each matrix's program."""
    at = 0
    for program in programs:
        part = slice(at, at + len(program.tile_table))
        at = part.stop
        program.attributes["sites"] = table_attr(sites[part])
        if rounds is not None and rounds[part].any():
            program.attributes["rounds"] = table_attr(rounds[part])


def _over_chips(
    module: ModuleOp,
    programs: list[tile.ProgramOp],
    grid: SiteGrid,
    target: MemcapTarget,
    lay: Lay,
) -> None:
    partition = choose_partition(programs, grid, target.code_bytes)
    if partition.chips > MOST_CHIPS:
        raise CapacityError(
            f"a program can span {MOST_CHIPS} chips, this model needs {partition.chips:,} of "
            f"{target.name}",
            demand={"chips": partition.chips},
            available={"chips": MOST_CHIPS},
            levers=("use a target with more arrays", "write matrices anew (--on-overflow reload)"),
        )
    for placed in split_over_chips(module, programs, grid, partition, lay):
        write_sites(placed.programs, placed.sites)


def writing_of(target: MemcapTarget) -> Writing:
    """What writing whole arrays of a target takes; the layers of a stack share their drivers."""
    transfer_s = stored_bytes(target, target.weights_per_array) / (target.host.link_gb_s * 1e9)
    stack = target.stack
    return Writing(
        write_latency_s(target, target.array.rows),
        transfer_s,
        stack.grid_rows * stack.grid_cols * stack.max_active_layers,
    )


def _too_large(
    name: str, grid: SiteGrid, sizes: Sequence[np.ndarray], levers: Sequence[str]
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
            *levers,
            f"use arrays or cells that hold {arrays / max(has, 1):.2f}x the parameters",
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
        found = choose_partition(programs, grid, target.code_bytes)
    except CapacityError as error:
        return f"take a chip with more arrays: {error.message}"
    return (
        f"split the model over {found.chips:,} chips (--on-overflow chips), with "
        f"{found.crossing_bytes:,.0f} bytes an inference between them"
    )
