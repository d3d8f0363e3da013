"""One chip of many: what the arrays of a seed really compute, folded into matrices once.

Everything static (mismatch, programming, stuck cells, drift, charge divider, settling, coupling,
injection, converter errors) is linear in the input, or an offset, or a fixed curve of the
converter; it is drawn and folded here. What is left for every read is one normal per output
(``Instance.sigma``, ``Instance.read_sigma``), which has exactly the distribution of per-cell
noise.

Units: *levels* of a slice times normalised input, as in the compiler's converter ranges; one level
at full input is the charge ``level_ff * read_voltage_v``.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from . import charge, devices
from .columns import (
    leg_totals_ff,
    line_total_ff,
    nominal_pairs_ff,
    readout_gain,
    reference_gain,
)
from .streams import derive_key, normals

Array = NDArray[np.float32]
_MISMATCH, _PROGRAMMING, _STUCK, _DAC, _ADC, _INJECTION = range(6)


@dataclass(frozen=True, slots=True)
class Instance:
    """Equal-shaped tiles as built. Arrays are ``[slices, tiles, cols]`` unless said otherwise."""

    matrix: Array
    """Effective levels ``[slices, tiles, rows, cols]``."""
    offset: Array
    sigma: Array
    """Thermal noise of one read, one sigma."""
    read_sigma: Array
    """Cell read noise of one read is ``read_sigma * ||x||``."""
    adc_gain: Array
    adc_offset_lsb: Array
    inl_lsb: Array


def build_instance(
    levels: Array, sites: NDArray[np.int32], target: MemcapTarget, seed: int
) -> Instance:
    """The devices of ``seed`` under the tiles' ``levels [slices, tiles, rows, cols]``.

    ``sites`` is ``[tiles, 3]`` (layer, row, col), or ``[tiles, 5]`` with the tile's first row and
    first logical column inside its array.
    """
    pairs_ff = stored_pairs_ff(levels, sites, target, seed)
    nominal_ff = nominal_pairs_ff(levels, target)
    line_ff = line_total_ff(levels.shape, sites, target)
    leg_ff = leg_totals_ff(pairs_ff, line_ff, target)
    planned_ff = leg_totals_ff(nominal_ff, line_ff, target)
    gain, planned = readout_gain(leg_ff, target), readout_gain(planned_ff, target)
    reference = reference_gain(planned)
    gain = gain / reference if target.noise.is_on("divider") else np.ones_like(gain)
    pairs_ff *= _row_settling(pairs_ff, target)
    pairs_ff *= (1 + _dac_errors(levels.shape[2], sites, target, seed))[:, :, None]
    pairs_ff *= gain[..., None, :]
    matrix = (pairs_ff[0] - pairs_ff[1]) / np.float32(target.array.level_ff)
    if target.noise.is_on("coupling") and target.noise.column_coupling:
        matrix = charge.couple_columns(matrix, target.noise.column_coupling)
    offset, injected = _injection(leg_ff, gain, sites, target, seed)
    matrix *= injected[..., None, :]
    adc_gain, adc_offset, inl = _adc_errors(levels.shape, sites, target, seed)
    scale = np.sqrt((gain**2).sum(axis=0))
    return Instance(
        matrix.astype(np.float32),
        offset.astype(np.float32),
        _thermal_sigma(leg_ff, reference, sites, target),
        (np.float32(_read_sigma(target)) * scale).astype(np.float32),
        adc_gain,
        adc_offset,
        inl,
    )


def stored_pairs_ff(
    levels: Array, sites: NDArray[np.int32], target: MemcapTarget, seed: int
) -> Array:
    """Capacitances that are really there, ``[2, slices, tiles, rows, cols]`` (plus, minus leg)."""
    noise, array = target.noise, target.array
    pairs_ff = nominal_pairs_ff(levels, target)
    cells = _cell_numbers(levels.shape, sites, target)
    if noise.is_on("programming") and noise.programming_sigma:
        pairs_ff = devices.add_programming_error(
            pairs_ff,
            noise.programming_sigma,
            array.c_on_ff - array.c_off_ff,
            _site_keys(seed, sites, _PROGRAMMING),
            cells,
        )
    if noise.is_on("mismatch") and noise.mismatch_percent_um:
        sigma = devices.mismatch_sigma(noise.mismatch_percent_um, array.cell_area_um2)
        keys = _site_keys(seed, sites, _MISMATCH)
        pairs_ff = devices.add_mismatch(pairs_ff, sigma, keys, cells)
    if noise.is_on("drift") and noise.drift_nu:
        left = devices.drift_factor(noise.drift_nu, noise.drift_time_s, noise.drift_t0_s)
        pairs_ff = devices.add_drift(pairs_ff, array.c_off_ff, left)
    if noise.is_on("stuck") and (noise.stuck_on_fraction or noise.stuck_off_fraction):
        pairs_ff = devices.add_stuck(
            pairs_ff,
            noise.stuck_on_fraction,
            noise.stuck_off_fraction,
            array.c_on_ff,
            array.c_off_ff,
            _site_keys(seed, sites, _STUCK),
            cells,
        )
    return pairs_ff


def temperature_k(sites: NDArray[np.int32], target: MemcapTarget) -> Array:
    """Temperature of each tile's layer, K, ``[tiles]``."""
    rise = target.noise.temperature_per_layer_k * sites[:, 0]
    return (target.noise.temperature_k + rise).astype(np.float32)


def _cell_numbers(
    shape: tuple[int, ...], sites: NDArray[np.int32], target: MemcapTarget
) -> NDArray[np.uint64]:
    """Number of each pair in its array, ``[slices, tiles, rows, cols]``."""
    slices, tiles, rows, cols = shape
    row0, col0 = (sites[:, 3], sites[:, 4]) if sites.shape[1] == 5 else np.zeros((2, tiles), int)
    row = (row0[:, None] + np.arange(rows))[None, :, :, None]
    col = (col0[:, None] + np.arange(cols))[None, :, None, :]
    pair = col * slices + np.arange(slices)[:, None, None, None]
    return (row * (target.array.cols // 2) + pair).astype(np.uint64)


def _site_keys(seed: int, sites: NDArray[np.int32], effect: int) -> NDArray[np.uint64]:
    return derive_key(seed, effect, sites[:, 0], sites[:, 1], sites[:, 2])[:, None, None]


def _stack_keys(seed: int, sites: NDArray[np.int32], effect: int) -> NDArray[np.uint64]:
    """Converters lie on the base die: the layers of a stack share them."""
    return derive_key(seed, effect, sites[:, 1], sites[:, 2])[:, None]


def _thermal_sigma(
    leg_ff: Array, reference: Array, sites: NDArray[np.int32], target: MemcapTarget
) -> Array:
    """Sampled noise of both legs, in level units at the converter."""
    array = target.array
    if not target.noise.is_on("thermal"):
        return np.zeros(leg_ff.shape[1:], np.float32)
    heat_k = temperature_k(sites, target)[:, None]
    if array.readout == "passive":
        volts = charge.thermal_sigma_v(leg_ff, heat_k)
        charge_ff = np.float32(1) / reference
    else:
        volts = charge.amplifier_sigma_v(
            leg_ff, array.feedback_ff, array.amplifier_load_ff, array.amplifier_gamma, heat_k
        )
        charge_ff = np.float32(array.feedback_ff) / reference
    both = np.sqrt((volts**2).sum(axis=0))
    return (both * charge_ff / (array.level_ff * array.read_voltage_v)).astype(np.float32)


def _read_sigma(target: MemcapTarget) -> float:
    """Read noise of one cell in levels."""
    if not target.noise.is_on("read"):
        return 0.0
    return target.noise.read_sigma * (target.array.levels - 1)


def _row_settling(pairs_ff: Array, target: MemcapTarget) -> Array:
    """Share of the step each row has made, ``[tiles, rows, 1]``; all slices share the row line."""
    array = target.array
    if not target.noise.is_on("settling"):
        return np.ones(pairs_ff.shape[2:4], np.float32)[:, :, None]
    used = pairs_ff.shape[1] * pairs_ff.shape[4] * 2
    row_ff = pairs_ff.sum(axis=(0, 1, 4)) + (array.cols - used) * array.c_off_ff
    row_um = array.line_um[0]
    row_ff += row_um * array.line_capacitance_ff_um
    wire_ohm = row_um * array.line_resistance_ohm_um
    share = charge.settling(row_ff, array.driver_resistance_ohm, wire_ohm, array.settle_ns)
    return share.astype(np.float32)[:, :, None]


def _dac_errors(rows: int, sites: NDArray[np.int32], target: MemcapTarget, seed: int) -> Array:
    """Relative gain error of each row driver, ``[tiles, rows]``."""
    if not (target.noise.is_on("dac") and target.dac.gain_sigma):
        return np.zeros((len(sites), rows), np.float32)
    row0 = sites[:, 3:4] if sites.shape[1] == 5 else 0
    counters = (row0 + np.arange(rows)[None, :]).astype(np.uint64)
    return np.float32(target.dac.gain_sigma) * normals(_stack_keys(seed, sites, _DAC), counters)


def _injection(
    leg_ff: Array, gain: Array, sites: NDArray[np.int32], target: MemcapTarget, seed: int
) -> tuple[Array, Array]:
    """(offset in levels, gain factor) that opening the readout switches leaves."""
    noise, array = target.noise, target.array
    shape = leg_ff.shape[1:]
    if not noise.is_on("injection"):
        return np.zeros(shape, np.float32), np.ones(shape, np.float32)
    pushed = charge.injected_charge_ff_v(
        noise.switch_area_um2,
        noise.switch_oxide_ff_um2,
        noise.switch_overlap_ff,
        noise.switch_high_v,
        noise.switch_threshold_v,
    )
    column = np.arange(shape[0])[:, None, None] + shape[0] * np.arange(shape[2])
    keys = derive_key(seed, _INJECTION, sites[:, 0], sites[:, 1], sites[:, 2])[:, None]
    if sites.shape[1] == 5:
        column = column + shape[0] * sites[None, :, 4:5]
    left = np.float32(noise.injection_residual) * normals(keys, column.astype(np.uint64))
    unit = array.level_ff * array.read_voltage_v
    on_ff = leg_ff.mean(axis=0) if array.readout == "passive" else np.float32(array.feedback_ff)
    factor = charge.injection_gain(
        noise.switch_area_um2, noise.switch_oxide_ff_um2, np.broadcast_to(on_ff, shape)
    )
    return left * pushed * gain.mean(axis=0) / np.float32(unit), factor


def _adc_errors(
    shape: tuple[int, ...], sites: NDArray[np.int32], target: MemcapTarget, seed: int
) -> tuple[Array, Array, Array]:
    """(relative gain error, offset in steps, INL peak in steps), ``[slices, tiles, cols]``.

    Neighbouring pairs go to different converters in turn, so that a narrow tile uses them all.
    """
    noise, adc = target.noise, target.adc
    slices, _, _, cols = shape
    pair = slices * np.arange(cols) + np.arange(slices)[:, None, None]
    if sites.shape[1] == 5:
        pair = pair + slices * sites[None, :, 4:5]
    unit = (pair % target.adcs_per_array).astype(np.uint64) * np.uint64(3)
    keys = _stack_keys(seed, sites, _ADC)
    full = (slices, len(sites), cols)

    def draw(effect: str, sigma: float, which: int) -> Array:
        if not (noise.is_on(effect) and sigma):
            return np.zeros(full, np.float32)
        values = np.float32(sigma) * normals(keys, unit + np.uint64(which))
        return np.broadcast_to(values, full)

    return (
        draw("adc_gain", adc.gain_sigma, 0),
        draw("adc_offset", adc.offset_sigma_lsb, 1),
        draw("adc_inl", adc.inl_sigma_lsb, 2),
    )


def converter_sigma_lsb(target: MemcapTarget) -> float:
    """Noise of one conversion in steps: comparator noise and, as white noise, the DNL."""
    noise, adc = target.noise, target.adc
    variance = adc.noise_lsb**2 if noise.is_on("adc_noise") else 0.0
    variance += adc.dnl_sigma_lsb**2 if noise.is_on("adc_inl") else 0.0
    return math.sqrt(variance)
