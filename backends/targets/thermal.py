"""How warm a stack gets: steady-state conduction from the sites to the package.

The stack is cut into finite volumes, one a site and level: the base die is level 0, array layer l
is level l + 1. Heat flows between neighbours of a level and, through the material of the layers,
between levels; it leaves below the base die through the package. The sides and the top are
adiabatic. This is the block model of HotSpot (Huang et al., TVLSI 14, 501, 2006) on the grid of
3D-ICE (Sridhar et al., ICCAD 2010), without time.

On a uniform grid with adiabatic sides the cosine transform diagonalises conduction within a level,
so each spatial mode leaves one tridiagonal system over the levels: the solution is exact, in
n log n operations.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .schema import NonNegative, Positive, Section

if TYPE_CHECKING:
    from .memcap import MemcapTarget


class Thermal(Section):
    """Surroundings and materials of the stack; the defaults are assumptions for a small chip."""

    ambient_c: float = 25.0
    max_temperature_c: float = 85.0
    """No part of the stack may be warmer."""
    max_layer_power_w: NonNegative = 0.0
    """Heat that one array layer may make; 0 = no limit but the temperature."""
    package_k_per_w: Positive = 30.0
    """From the bottom of the base die to the ambient, for the whole die."""
    die_um: Positive = 100.0
    """Thickness of the base die."""
    die_w_per_m_k: Positive = 130.0
    """Conductivity of the base die: silicon, as in the examples of 3D-ICE."""
    layer_vertical_w_per_m_k: Positive = 1.0
    """Conductivity across the array layers, between HfO2 films (0.5 to 1.1) and back-end metal with
    its dielectric (2.25 in the examples of 3D-ICE)."""
    layer_lateral_w_per_m_k: Positive = 2.25
    """Conductivity along the array layers."""


@dataclass(frozen=True, slots=True)
class ThermalNetwork:
    """Conductances of one site, W/K; rows and columns name the direction of the flow.

    ``sink`` joins the base die to the ambient, ``attach`` to the lowest layer, ``between`` a layer
    to the next one.
    """

    ambient_c: float
    sink: float
    attach: float
    between: float
    die_rows: float
    die_cols: float
    layer_rows: float
    layer_cols: float


def thermal_network(target: "MemcapTarget") -> ThermalNetwork:
    """The conductances of a target's stack: k A / d of each volume.

    The base die makes its heat at its upper face, a layer in its middle. The die is taken to be as
    large as the grid of sites, and its package to take heat evenly from it.
    """
    thermal, stack = target.thermal, target.stack
    width_m, height_m = (um * 1e-6 for um in target.site_um)
    area_m2 = width_m * height_m
    die_m, pitch_m = thermal.die_um * 1e-6, stack.layer_pitch_um * 1e-6
    package = thermal.package_k_per_w * stack.grid_rows * stack.grid_cols
    through_die = die_m / (thermal.die_w_per_m_k * area_m2)
    between = thermal.layer_vertical_w_per_m_k * area_m2 / pitch_m
    die_sheet = thermal.die_w_per_m_k * die_m
    layer_sheet = thermal.layer_lateral_w_per_m_k * pitch_m
    return ThermalNetwork(
        ambient_c=thermal.ambient_c,
        sink=1 / (package + through_die),
        attach=2 * between,
        between=between,
        die_rows=die_sheet * width_m / height_m,
        die_cols=die_sheet * height_m / width_m,
        layer_rows=layer_sheet * width_m / height_m,
        layer_cols=layer_sheet * height_m / width_m,
    )


def stack_temperature_c(
    network: ThermalNetwork, layer_w: np.ndarray, die_w: np.ndarray
) -> np.ndarray:
    """Temperature of every volume, float64 [layers + 1, rows, cols]; level 0 is the base die.

    Args:
        layer_w: heat of the sites, [layers, rows, cols].
        die_w: heat of the base die below them, [rows, cols].
    """
    power = np.concatenate([np.asarray(die_w, np.float64)[None], layer_w])
    modes = _cosines(_cosines(power, 1), 2)
    _, rows, cols = power.shape
    row_mode = 2 - 2 * np.cos(np.pi * np.arange(rows) / rows)[:, None]
    col_mode = 2 - 2 * np.cos(np.pi * np.arange(cols) / cols)
    die = network.die_rows * row_mode + network.die_cols * col_mode
    layer = network.layer_rows * row_mode + network.layer_cols * col_mode
    _solve_levels(network, die, layer, modes)
    return network.ambient_c + _from_cosines(_from_cosines(modes, 2), 1)


def _solve_levels(
    network: ThermalNetwork, die: np.ndarray, layer: np.ndarray, modes: np.ndarray
) -> None:
    """Replace each mode's heat by its temperature: elimination from the top down, then back up.

    ``die`` and ``layer`` [rows, cols] are what conduction within a level takes from each mode. The
    conductance to below of a chain of levels is built up from the top, so no difference of large
    numbers is taken.
    """
    levels = len(modes)
    down = [network.sink, network.attach, *[network.between] * (levels - 2)]
    leaves: list[np.ndarray] = [np.empty(0)] * levels
    above = np.zeros_like(die)
    for level in range(levels - 1, 0, -1):
        lost = layer + above  # leaves a level other than downwards, per kelvin
        leaves[level] = lost + down[level]
        share = down[level] / leaves[level]
        modes[level - 1] += share * modes[level]
        above = share * lost
    modes[0] /= die + above + down[0]
    for level in range(1, levels):
        modes[level] = (modes[level] + down[level] * modes[level - 1]) / leaves[level]


def _cosines(x: np.ndarray, axis: int) -> np.ndarray:
    """sum_n x_n cos(pi k (2 n + 1) / (2 N)) along ``axis``, by one transform of length N.

    Even entries forwards, then odd ones backwards (Makhoul, IEEE Trans. ASSP 28, 27, 1980).
    """
    x = np.moveaxis(x, axis, -1)
    count = x.shape[-1]
    folded = np.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], axis=-1)
    turned = np.fft.fft(folded) * np.exp(-0.5j * np.pi * np.arange(count) / count)
    return np.moveaxis(turned.real, -1, axis)


def _from_cosines(modes: np.ndarray, axis: int) -> np.ndarray:
    """The inverse of ``_cosines``."""
    modes = np.moveaxis(modes, axis, -1)
    count = modes.shape[-1]
    mirrored = np.zeros_like(modes)
    mirrored[..., 1:] = modes[..., :0:-1]
    turned = (modes - 1j * mirrored) * np.exp(0.5j * np.pi * np.arange(count) / count)
    folded = np.fft.ifft(turned).real
    x = np.empty_like(folded)
    half = (count + 1) // 2
    x[..., ::2], x[..., 1::2] = folded[..., :half], folded[..., half:][..., ::-1]
    return np.moveaxis(x, -1, axis)
