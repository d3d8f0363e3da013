"""The column of a crossbar as designed: what hangs on its legs, and the gain it reads with.

Everything here follows from the target, the codes and the place of a tile, so a compiler knows it
before a chip is made. Levels are ``[slices, tiles, rows, cols]``, ``sites`` ``[tiles, 3]`` (layer,
row, col) or ``[tiles, 5]`` (with the tile's first row and column inside its array).
"""

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from . import charge, window

Array = NDArray[np.float32]


def nominal_column_gain(levels: Array, sites: NDArray[np.int32], target: MemcapTarget) -> Array:
    """Gain of each column over the mean column of its tile, float32 ``[slices, tiles, cols]``.

    The charge divider's denominator holds the stored weights, so heavy columns read low; one
    digital factor a column, the inverse of this, takes it back.
    """
    planned = nominal_gain(levels, sites, target)
    return (planned.mean(axis=0) / reference_gain(planned)).astype(np.float32)


def nominal_gain(levels: Array, sites: NDArray[np.int32], target: MemcapTarget) -> Array:
    """Designed gain of each leg, ``[2, slices, tiles, cols]``; the sums of a leg's cells follow
    from those of the levels and of their magnitudes."""
    total, size = levels.sum(axis=-2), np.abs(levels).sum(axis=-2)
    stored = np.stack((size + total, size - total)) * np.float32(target.array.level_ff / 2)
    fixed = levels.shape[2] * target.array.c_off_ff + line_total_ff(levels.shape, sites, target)
    return readout_gain(trimmed_ff(stored + fixed, target), target)


def nominal_pairs_ff(levels: Array, target: MemcapTarget) -> Array:
    """C_off + level (C_on - C_off)/(levels - 1) on the leg of the sign, C_off on the other."""
    pairs = np.stack((np.maximum(levels, 0), np.maximum(-levels, 0)))
    pairs *= np.float32(target.array.level_ff)
    pairs += np.float32(target.array.c_off_ff)
    return pairs


def line_total_ff(shape: tuple[int, ...], sites: NDArray[np.int32], target: MemcapTarget) -> Array:
    """What hangs on a column leg besides the tile's cells, fF, ``[tiles, 1]``: unused rows at
    C_off, the wire, the vias down to the base die, the converter."""
    array = target.array
    fixed = (array.rows - shape[2]) * array.c_off_ff + array.adc_input_ff
    fixed += array.line_um[1] * array.line_capacitance_ff_um
    return (fixed + sites[:, :1] * target.stack.via_capacitance_ff).astype(np.float32)


def trimmed_ff(totals_ff: Array, target: MemcapTarget) -> Array:
    """Total of each leg after trimming, fF, ``[2, slices, tiles, cols]`` as before."""
    left = target.noise.leg_imbalance
    return np.stack(charge.trim_legs(totals_ff[0], totals_ff[1], left))


def readout_gain(leg_ff: Array, target: MemcapTarget) -> Array:
    """Volts per unit charge, up to a constant of the target."""
    if target.array.readout == "passive":
        return np.float32(1) / leg_ff
    array = target.array
    return charge.amplifier_gain(leg_ff, array.feedback_ff, array.amplifier_gain)


def reference_gain(planned: Array) -> Array:
    """Gain that the converter's range is set for: that of a tile's mean column, ``[slices, tiles,
    1]``, from the designed gain of the legs, ``planned [2, slices, tiles, cols]``."""
    return planned.mean(axis=(0, -1), keepdims=True)[0]


def pair_numbers(slices: int, cols: int, sites: NDArray[np.int32]) -> NDArray[np.int64]:
    """Number of each physical pair in its array, ``[slices, tiles, cols]``; the slices of a
    logical column lie side by side."""
    col0 = sites[:, 4] if sites.shape[1] == 5 else np.zeros(len(sites), np.int64)
    column = col0[:, None] + np.arange(cols)
    return slices * column + np.arange(slices)[:, None, None]


def conversion_ns(shape: tuple[int, ...], sites: NDArray[np.int32], target: MemcapTarget) -> Array:
    """Time from the row step to the conversion of each pair, ``[slices, tiles, cols]``: the
    converters go round the pairs."""
    turn = pair_numbers(shape[0], shape[3], sites) // target.adcs_per_array
    wait_ns = target.array.settle_ns + turn * target.column_conversion_ns()
    return wait_ns.astype(np.float32)


def read_window(target: MemcapTarget) -> float:
    """Share of the window that the read frequency leaves."""
    return window.window_share(1e3 / target.read_period_ns, target.noise.window_corner_mhz)


def expected_window(target: MemcapTarget) -> float:
    """Mean share of the window that is left when reading, by the effects that are on.

    Reference cells, written and read with the rest, show it; the digital side divides by it.
    """
    noise, share = target.noise, 1.0
    if noise.is_on("drift"):
        decades = window.drift_decades(noise.drift_time_s, noise.drift_t0_s)
        share *= window.drift_factor(noise.drift_nu, decades)
    return share * read_window(target) if noise.is_on("window") else share
