"""How warm a chip becomes while it runs a program again and again.

The arrays' heat is made where they are, with the inputs and levels that were measured; what the
digital units on the base die take is spread evenly over it. The host and its link are outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.memcap.decode import MemcapProgram
from ..backends.targets import MemcapTarget
from ..backends.targets.chips import within_chip
from ..backends.targets.heat import site_power_w, temperature_facts, tile_heat_j
from ..backends.targets.memcap_cost import ASSUMED_MEAN_SQUARE
from ..backends.targets.thermal import stack_temperature_c, thermal_network
from .timing.timed_program import TimedProgram

#: Parts of a program's energy that do not warm the chip.
OUTSIDE = ("host", "host_link")


@dataclass(frozen=True, slots=True, eq=False)
class TileHeat:
    """``sites`` int32 [T, 3] of the tiles that were read, and their ``heat_j`` [T, 2] in one
    inference: in their layer, and on the base die."""

    sites: np.ndarray
    heat_j: np.ndarray


def tile_heat(
    program: MemcapProgram,
    timed: TimedProgram,
    mean_square: Mapping[int, float],
    mean_level: Mapping[int, float],
) -> TileHeat:
    """The heat of the tiles of ``program``, as often as they are read in ``timed``.

    The other arguments are those of ``timing.memcap.time_program``.
    """
    sites, heat_j = [np.empty((0, 3), np.int32)], [np.empty((0, 2))]
    for (number, first, end), reads in timed.reads.items():
        matrix = program.matrices[number]
        sizes = matrix.tiles[first:end, [2, 4]]
        square = mean_square.get(number, ASSUMED_MEAN_SQUARE)
        level = mean_level.get(number)
        sites.append(matrix.sites[first:end, :3])
        heat_j.append(tile_heat_j(program.target, sizes, reads, square, level, matrix.adc_bits))
    return TileHeat(np.concatenate(sites), np.concatenate(heat_j))


def temperature_report(
    target: MemcapTarget,
    tiles: TileHeat,
    parts_j: Mapping[str, float],
    latency_s: float,
    chips: int = 1,
) -> dict[str, Any]:
    """Temperatures in C where one inference follows another: the keys of ``temperature_c``.

    ``parts_j`` is the energy of an inference by part, ``tiles`` that of the arrays among it. Of
    several ``chips`` the warmest is told; what is not of the arrays is the same on each.
    """
    stack, limit_c = target.stack, target.thermal.max_temperature_c
    shape = (stack.layers, stack.grid_rows, stack.grid_cols)
    inside_j = sum(joules for part, joules in parts_j.items() if part not in OUTSIDE)
    even_w = max(inside_j - float(tiles.heat_j.sum()), 0.0) / latency_s / chips
    chip, sites = tiles.sites[:, 0] // stack.layers, within_chip(tiles.sites, stack.layers)
    found = []
    for number in range(chips):
        here = chip == number
        layer_w, die_w = site_power_w(sites[here], tiles.heat_j[here], shape, latency_s)
        die_w = die_w + even_w / die_w.size
        temperature_c = stack_temperature_c(thermal_network(target), layer_w, die_w)
        found.append(temperature_facts(temperature_c, layer_w.sum(axis=(1, 2)), limit_c))
    return max(found, key=lambda facts: float(facts["hottest"]))
