"""How many copies of each matrix pay, for given uses: the allocation on a target's arrays.

Used twice: to judge a way of streaming before it is written, and to replicate what is there then.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..dialects import tile
from .cost import product_times, search_latency_s
from .placement.machine import grid_of
from .placement.pack import pack_tiles
from .placement.replicate import Allocation, Stage, least_bottleneck, least_sum, stage_options

if TYPE_CHECKING:
    from ..backends.targets import MemcapTarget

#: Copies are added until unlimited ones would shorten an inference by less than this share.
TOLERANCE = 0.05

#: By number of positions, how many products of so many there are in an inference.
Uses = Mapping[int, int]


def spare_arrays(programs: Sequence[tile.ProgramOp], target: "MemcapTarget") -> int:
    """Arrays that are left when every matrix lies in the arrays once; below 0: they do not fit."""
    grid = grid_of(target)
    sizes = [p.tile_table[:, [2, 4]] for p in programs]
    if not sizes:
        return grid.capacity
    packing = pack_tiles(np.concatenate(sizes), grid.array_rows, grid.array_cols)
    return grid.capacity - packing.arrays


def choose_copies(
    uses: Mapping[tile.ProgramOp, Uses],
    spare: int,
    rest_s: float,
    target: "MemcapTarget",
    *,
    most: int = 0,
    objective: str = "latency",
) -> dict[tile.ProgramOp, int]:
    """The matrices that pay to have in several copies, at most ``most`` of each (0: any number).

    ``spare`` arrays may be spent; ``rest_s`` is what an inference takes outside of the arrays.
    ``objective`` is ``latency`` or ``throughput``, for which the slowest matrix counts alone.
    """
    spare = max(spare, 0)
    stages = {op: _stage(op, runs, target, most) for op, runs in uses.items()}
    offers = {op: stage for op, stage in stages.items() if len(stage.copies) > 1}
    if not offers:
        return {}
    found: Allocation
    if objective == "throughput":
        found = least_bottleneck(list(offers.values()), spare)
    else:
        rest_s += sum(float(s.seconds[0]) for op, s in stages.items() if op not in offers)
        least_s = rest_s + sum(float(stage.seconds[-1]) for stage in offers.values())
        found = least_sum(list(offers.values()), spare, (1 + TOLERANCE) * least_s - rest_s)
    chosen = zip(offers.items(), found.chosen, strict=True)
    copies = {op: int(stage.copies[option]) for (op, stage), option in chosen}
    return {op: count for op, count in copies.items() if count > 1}


def _stage(op: tile.ProgramOp, uses: Uses, target: "MemcapTarget", most: int) -> Stage:
    """The options of a matrix. All tiles of its copies must be able to work at the same time."""

    searches = {positions: search_latency_s(op, positions, target) for positions in uses}

    def seconds(copies: int) -> float:
        return sum(
            (product_times(op, positions, copies, target).total_s + searches[positions]) * runs
            for positions, runs in uses.items()
        )

    stack, tiles = target.stack, len(op.tile_table)
    at_once = stack.grid_rows * stack.grid_cols * stack.max_active_layers // tiles
    return stage_options(list(uses), tiles, min(at_once, most or at_once), seconds)
