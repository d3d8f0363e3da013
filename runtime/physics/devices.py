"""What makes a stored level differ from the level that was meant: drawn once per device.

Every function that draws takes ``pairs_ff [2, n, m]``, the two capacitors (fF) of ``m`` pairs in
``n`` sets, the sets' stream keys ``[n]`` and the pairs' numbers ``[n, m]`` (see ``streams``), so a
device keeps its value however work is cut.
"""

import math

import numpy as np
from numpy.typing import NDArray

from .streams import Keys, kept_pairs, normal_pairs, uniforms
from .window import drift_factor

Array = NDArray[np.float32]
Cells = NDArray[np.uint32]


def mismatch_sigma(coefficient_percent_um: float, area_um2: float) -> float:
    """Relative spread of equal capacitors, A_C / sqrt(W L) (Pelgrom et al., JSSC 1989)."""
    return coefficient_percent_um * 1e-2 / math.sqrt(area_um2)


def mismatch_factors(sigma: float, keys: Keys, cells: Cells) -> Array:
    """Fixed relative size of each capacitor, 1 + sigma n, ``[2, n, m]``."""
    return 1 + np.float32(sigma) * normal_pairs(keys, cells)


def limit_to_window(pairs_ff: Array, factors: Array, off_ff: float, on_ff: float) -> Array:
    """Verified writes in capacitors of unequal size: what is read back is the real capacitance, so
    its size does not matter, but its own window [C_off, C_on] x factor cannot be left."""
    low, high = np.float32(off_ff) * factors, np.float32(on_ff) * factors
    return np.minimum(np.maximum(pairs_ff, low), high)


def programming_errors(
    sigma: float, tolerance: float, rounds: int, keys: Keys, cells: Cells
) -> Array:
    """What writing leaves, ``[2, n, m]``, in the unit of ``sigma``.

    One write errs by ``sigma`` n. With a ``tolerance`` above 0 a cell is read back and written
    again until it is within it, ``rounds`` times at most (program and verify); the last try stays.
    So the error is a normal cut at the tolerance, or with chance (1 - p)^rounds one of its tails,
    p = P(|e| <= t) of one write.
    """
    kept, miss = verify_chances(sigma, tolerance, rounds)
    if not 0 < kept < 1:  # no verify, or a tolerance that no write misses or meets
        return np.float32(sigma) * normal_pairs(keys, cells)
    return np.float32(sigma) * kept_pairs(keys, cells, kept, max(miss, 1e-12))


def verify_chances(sigma: float, tolerance: float, rounds: int) -> tuple[float, float]:
    """(p, miss): that one write is within ``tolerance``, and that none of ``rounds`` is. Without
    verify p is 1."""
    if not tolerance or not sigma:
        return 1.0, 0.0
    p = math.erf(tolerance / sigma / math.sqrt(2))
    return p, (1 - p) ** rounds


def add_programming_error(pairs_ff: Array, errors: Array, window_ff: float) -> Array:
    """Additive: C + (C_on - C_off) e, never below 0."""
    return np.maximum(pairs_ff + np.float32(window_ff) * errors, np.float32(0))


def add_drift(
    pairs_ff: Array,
    off_ff: float,
    nu: float,
    nu_sigma: float,
    decades: float,
    keys: Keys,
    cells: Cells,
) -> Array:
    """The window of each cell shrunk towards C_off by its own ``drift_factor``; nu is normal from
    cell to cell."""
    off = np.float32(off_ff)
    if not nu_sigma:
        return off + np.float32(drift_factor(nu, decades)) * (pairs_ff - off)
    left = 1 - np.float32(decades) * (nu + np.float32(nu_sigma) * normal_pairs(keys, cells))
    return off + np.maximum(left, np.float32(0)) * (pairs_ff - off)


def shrink_window(pairs_ff: Array, off_ff: float, share: float) -> Array:
    """The window of all cells at ``share``."""
    off = np.float32(off_ff)
    return off + np.float32(share) * (pairs_ff - off)


def stuck_cells(
    on_fraction: float, off_fraction: float, keys: Keys, cells: Cells
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Cells that no write changes, ``[2, n, m]`` each: those at C_on and those at C_off."""
    draw = np.stack([uniforms(keys, cells, lane) for lane in range(2)])
    on = draw <= np.float32(on_fraction)
    return on, ~on & (draw <= np.float32(on_fraction + off_fraction))


def add_stuck(
    pairs_ff: Array,
    stuck: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    off_ff: float,
    on_ff: float,
) -> Array:
    """The stuck cells at C_on and C_off."""
    out = np.where(stuck[0], np.float32(on_ff), pairs_ff)
    return np.where(stuck[1], np.float32(off_ff), out)


def repair_pairs(
    pairs_ff: Array,
    meant_ff: Array,
    stuck: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    off_ff: float,
    on_ff: float,
) -> Array:
    """Partners of stuck cells rewritten so that the difference is as meant, within the window.

    ``pairs_ff`` holds the stuck cells, ``meant_ff`` what all should be. The weight is a difference,
    so the healthy cell of a pair can make up for the other (Xia et al., "Stuck-at fault tolerance
    in RRAM computing systems", JETCAS 2018); verify reads the pair. A pair with two stuck cells
    stays as it is.
    """
    either = stuck[0] | stuck[1]
    excess = (pairs_ff - meant_ff) * either
    partner = pairs_ff + excess[::-1] * ~either
    inside = np.clip(partner, np.float32(off_ff), np.float32(on_ff))
    return np.where(either[::-1] & ~either, inside, pairs_ff)
