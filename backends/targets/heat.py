"""Where the heat of reading arrays is made: by tile and by site, from the target alone."""

from typing import Any

import numpy as np

from .memcap import MemcapTarget
from .memcap_cost import ASSUMED_MEAN_SQUARE, mvm_energy_j

LAYER_PARTS = ("array", "drivers")
"""Parts of ``mvm_energy_j`` that warm the layer of the array: what its cells and row lines take."""


def tile_heat_j(
    target: MemcapTarget,
    sizes: np.ndarray,
    reads: float,
    mean_square_input: float = ASSUMED_MEAN_SQUARE,
    mean_level: float | None = None,
    adc_bits: int | None = None,
) -> np.ndarray:
    """Heat of ``reads`` reads of tiles, J, float64 [T, 2]: in their layer, and below it.

    ``LAYER_PARTS`` are lost in the layer; converters and amplifiers are on the base die under the
    stack.

    Args:
        sizes: int [T, 2], rows and weight columns of the tiles.
        mean_square_input, mean_level, adc_bits: as in ``memcap_cost.mvm_energy_j``.
    """
    key = (sizes[:, 0].astype(np.int64) << 32) | sizes[:, 1]  # one number for each size
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    heat_j = np.zeros((len(first), 2))
    for number, (rows, cols) in enumerate(sizes[first].tolist()):
        parts = mvm_energy_j(
            target, rows, cols, reads, mean_square_input, mean_level, adc_bits=adc_bits
        )
        in_layer = sum(parts[part] for part in LAYER_PARTS)
        heat_j[number] = in_layer, sum(parts.values()) - in_layer
    return heat_j[kind]


def site_power_w(
    sites: np.ndarray, heat_j: np.ndarray, shape: tuple[int, int, int], period_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Heat of the sites, W: [layers, rows, cols], and below the stacks, [rows, cols].

    Args:
        sites: int [T, 3], layer, row and column of tiles.
        heat_j: [T, 2] of the tiles in one period, as ``tile_heat_j`` gives it.
        shape: layers, rows and columns of the grid.
    """
    layer, row, col = np.asarray(sites, np.int64).T
    _, rows, cols = shape
    stack = row * cols + col
    layer_w = np.bincount(layer * rows * cols + stack, heat_j[:, 0], minlength=np.prod(shape))
    die_w = np.bincount(stack, heat_j[:, 1], minlength=rows * cols)
    return layer_w.reshape(shape) / period_s, die_w.reshape(rows, cols) / period_s


def temperature_facts(
    temperature_c: np.ndarray, layer_w: np.ndarray, limit_c: float
) -> dict[str, Any]:
    """What reports say of temperatures in C, and of the heat that the layers make.

    Args:
        temperature_c: [layers + 1, rows, cols], level 0 being the base die.
        layer_w: [layers].
    """
    levels = temperature_c.max(axis=(1, 2))
    return {
        "hottest": float(levels.max()),
        "hottest_layer": int(levels[1:].argmax()),
        "layers": [float(level) for level in levels[1:]],
        "base_die": float(levels[0]),
        "limit": limit_c,
        "layer_power_w": [float(watts) for watts in layer_w],
    }
