"""What makes a stored level differ from the level that was meant: drawn once per device.

Every function takes and returns capacitances in fF; ``keys`` and ``cells`` are the stream keys of
the sites and the numbers of the cells in them (see ``streams``), so a device keeps its value.
"""

import math

import numpy as np
from numpy.typing import NDArray

from .streams import Keys, normal_pairs, uniforms

Array = NDArray[np.float32]


def mismatch_sigma(coefficient_percent_um: float, area_um2: float) -> float:
    """Relative spread of equal capacitors, A_C / sqrt(W L) (Pelgrom et al., JSSC 1989)."""
    return coefficient_percent_um * 1e-2 / math.sqrt(area_um2)


def add_mismatch(pairs_ff: Array, sigma: float, keys: Keys, cells: Keys) -> Array:
    """Fixed relative error of each capacitor: C (1 + sigma n). ``pairs_ff [2, ...]``."""
    first, second = normal_pairs(keys, cells)
    return pairs_ff * (1 + np.float32(sigma) * np.stack((first, second)))


def add_programming_error(
    pairs_ff: Array, sigma: float, window_ff: float, keys: Keys, cells: Keys
) -> Array:
    """Residual of write-verify, additive: C + sigma (C_on - C_off) n, never below 0."""
    first, second = normal_pairs(keys, cells)
    errors = np.float32(sigma * window_ff) * np.stack((first, second))
    return np.maximum(pairs_ff + errors, np.float32(0))


def drift_factor(nu: float, time_s: float, t0_s: float) -> float:
    """Share of the window left after ``time_s``: 1 - nu log10(1 + t/t0), never below 0."""
    return max(0.0, 1.0 - nu * math.log10(1.0 + time_s / t0_s))


def add_drift(pairs_ff: Array, off_ff: float, factor: float) -> Array:
    """The window of each cell shrunk towards C_off by ``factor``."""
    return np.float32(off_ff) + np.float32(factor) * (pairs_ff - np.float32(off_ff))


def add_stuck(
    pairs_ff: Array,
    on_fraction: float,
    off_fraction: float,
    on_ff: float,
    off_ff: float,
    keys: Keys,
    cells: Keys,
) -> Array:
    """Cells that no write changes: ``on_fraction`` at C_on, ``off_fraction`` at C_off."""
    two = np.uint64(2)
    draw = np.stack((uniforms(keys, cells * two), uniforms(keys, cells * two + np.uint64(1))))
    out = np.where(draw <= np.float32(on_fraction), np.float32(on_ff), pairs_ff)
    low = (draw > np.float32(on_fraction)) & (draw <= np.float32(on_fraction + off_fraction))
    return np.where(low, np.float32(off_ff), out)
