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
from . import charge, converters, devices, window
from .columns import (
    conversion_ns,
    line_total_ff,
    nominal_gain,
    nominal_pairs_ff,
    pair_numbers,
    read_window,
    readout_gain,
    reference_gain,
    trimmed_ff,
)
from .streams import Keys, derive_key, normal_pairs, normals

Array = NDArray[np.float32]
Sites = NDArray[np.int32]
_MISMATCH, _PROGRAMMING, _STUCK, _DAC, _ADC, _INJECTION, _DRIFT = range(7)


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
    adc_steps: Array | None
    """``converters.bit_steps`` ``[slices, tiles, bits, cols]``; None where they are even."""


def build_instance(
    levels: Array, sites: Sites, target: MemcapTarget, seed: int, adc_bits: int | None = None
) -> Instance:
    """The devices of ``seed`` under the tiles' ``levels [slices, tiles, rows, cols]``.

    ``sites`` is ``[tiles, 3]`` (layer, row, col), or ``[tiles, 5]`` with the tile's first row and
    first logical column inside its array. ``adc_bits`` is by default the target's.
    """
    noise = target.noise
    pairs_ff = stored_pairs_ff(levels, sites, target, seed)
    line_ff = line_total_ff(levels.shape, sites, target)
    leg_ff = trimmed_ff(pairs_ff.sum(axis=-2) + line_ff, target)
    reference = reference_gain(nominal_gain(levels, sites, target))
    gain = np.ones_like(leg_ff)
    if noise.is_on("divider"):
        gain = readout_gain(leg_ff, target) / reference
    if noise.is_on("settling"):
        pairs_ff *= _row_settling(pairs_ff, sites, target)
        gain = gain * _column_settling(leg_ff, sites, target)
    if noise.is_on("droop") and noise.leakage_tau_us:
        held = charge.held_share(conversion_ns(levels.shape, sites, target), noise.leakage_tau_us)
        gain = gain * held
    if noise.is_on("dac") and target.dac.gain_sigma:
        pairs_ff *= (1 + _dac_errors(levels.shape[2], sites, target, seed))[:, :, None]
    pairs_ff *= gain[..., None, :]
    matrix = (pairs_ff[0] - pairs_ff[1]) / np.float32(target.array.level_ff)
    if noise.is_on("coupling") and noise.column_coupling:
        matrix = charge.couple_columns(matrix, noise.column_coupling)
    offset = np.zeros(leg_ff.shape[1:], np.float32)
    if noise.is_on("injection") and not target.array.double_sampling:  # which subtracts it
        offset, injected = _injection(leg_ff, gain, sites, target, seed)
        matrix *= injected[..., None, :]
    return Instance(
        matrix.astype(np.float32),
        offset.astype(np.float32),
        _thermal_sigma(leg_ff, reference, sites, target),
        np.float32(_read_sigma(target)) * np.sqrt((gain**2).sum(axis=0)),
        *_adc_errors(levels.shape, sites, target, seed, adc_bits or target.adc.bits),
    )


def stored_pairs_ff(levels: Array, sites: Sites, target: MemcapTarget, seed: int) -> Array:
    """Capacitances that are really there, ``[2, slices, tiles, rows, cols]`` (plus, minus leg)."""
    noise, array = target.noise, target.array
    nominal = nominal_pairs_ff(levels, target)
    slices, tiles = levels.shape[:2]
    # One set of cells for each slice and tile.
    pairs_ff = nominal.reshape(2, slices * tiles, -1)
    cells = _cell_numbers(levels.shape, sites, target).reshape(slices * tiles, -1)
    window_ff = array.c_on_ff - array.c_off_ff

    def keys(effect: int) -> Keys:
        return np.tile(_site_keys(seed, sites, effect), slices)

    if noise.is_on("programming") and noise.programming_sigma:
        errors = devices.programming_errors(
            noise.programming_sigma,
            noise.verify_tolerance,
            noise.verify_rounds,
            keys(_PROGRAMMING),
            cells,
        )
        pairs_ff = devices.add_programming_error(pairs_ff, errors, window_ff)
    if noise.is_on("mismatch") and noise.mismatch_percent_um:
        sigma = devices.mismatch_sigma(noise.mismatch_percent_um, array.cell_area_um2)
        factors = devices.mismatch_factors(sigma, keys(_MISMATCH), cells)
        if noise.verify_tolerance:
            on_ff = array.c_on_ff
            pairs_ff = devices.limit_to_window(pairs_ff, factors, array.c_off_ff, on_ff)
        else:
            pairs_ff = pairs_ff * factors
    if noise.is_on("drift") and (noise.drift_nu or noise.drift_nu_sigma):
        pairs_ff = devices.add_drift(
            pairs_ff,
            array.c_off_ff,
            noise.drift_nu,
            noise.drift_nu_sigma,
            window.drift_decades(noise.drift_time_s, noise.drift_t0_s),
            keys(_DRIFT),
            cells,
        )
    if noise.is_on("stuck") and (noise.stuck_on_fraction or noise.stuck_off_fraction):
        ends_ff = (array.c_off_ff, array.c_on_ff)
        meant = nominal.reshape(pairs_ff.shape)
        stuck = devices.stuck_cells(
            noise.stuck_on_fraction, noise.stuck_off_fraction, keys(_STUCK), cells
        )
        pairs_ff = devices.add_stuck(pairs_ff, stuck, *ends_ff)
        if target.numerics.pair_repair:
            pairs_ff = devices.repair_pairs(pairs_ff, meant, stuck, *ends_ff)
    if noise.is_on("window") and noise.window_corner_mhz:
        pairs_ff = devices.shrink_window(pairs_ff, array.c_off_ff, read_window(target))
    return pairs_ff.reshape(nominal.shape)


def temperature_k(sites: Sites, target: MemcapTarget) -> Array:
    """Temperature of each tile's layer, K, ``[tiles]``."""
    rise = target.noise.temperature_per_layer_k * sites[:, 0]
    return (target.noise.temperature_k + rise).astype(np.float32)


def _cell_numbers(shape: tuple[int, ...], sites: Sites, target: MemcapTarget) -> NDArray[np.uint32]:
    """Number of each pair in its array, ``[slices, tiles, rows, cols]``."""
    slices, tiles, rows, cols = shape
    row0 = sites[:, 3] if sites.shape[1] == 5 else np.zeros(tiles, np.int32)
    row = (row0[:, None] + np.arange(rows))[None, :, :, None]
    pair = pair_numbers(slices, cols, sites)[:, :, None, :]
    return (row * (target.array.cols // 2) + pair).astype(np.uint32)


def _site_keys(seed: int, sites: Sites, effect: int) -> Keys:
    return derive_key(seed, effect, sites[:, 0], sites[:, 1], sites[:, 2])


def _stack_keys(seed: int, sites: Sites, effect: int) -> Keys:
    """Converters and drivers lie on the base die: the layers of a stack share them."""
    return derive_key(seed, effect, sites[:, 1], sites[:, 2])


def _thermal_sigma(leg_ff: Array, reference: Array, sites: Sites, target: MemcapTarget) -> Array:
    """Sampled noise of both legs, in level units at the converter.

    A passive column floats after its reset, so its noise is the reset's, which double sampling
    takes away.
    """
    array = target.array
    cancelled = array.readout == "passive" and array.double_sampling
    if cancelled or not target.noise.is_on("thermal"):
        return np.zeros(leg_ff.shape[1:], np.float32)
    heat_k = temperature_k(sites, target)[:, None]
    if array.readout == "passive":
        volts = charge.thermal_sigma_v(leg_ff, heat_k)
        charge_ff = np.float32(1) / reference
    else:
        volts = charge.amplifier_sigma_v(
            leg_ff,
            array.feedback_ff,
            array.amplifier_load_ff,
            array.amplifier_gamma,
            heat_k,
            array.double_sampling,
        )
        charge_ff = np.float32(array.feedback_ff) / reference
    both = np.sqrt((volts**2).sum(axis=0))
    return (both * charge_ff / (array.level_ff * array.read_voltage_v)).astype(np.float32)


def _read_sigma(target: MemcapTarget) -> float:
    """Read noise of one cell in levels."""
    if not target.noise.is_on("read"):
        return 0.0
    return target.noise.read_sigma * (target.array.levels - 1)


def _row_settling(pairs_ff: Array, sites: Sites, target: MemcapTarget) -> Array:
    """Share of the step that each row has made at each column, ``[slices, tiles, rows, cols]``,
    or ``[tiles, rows, 1]`` where the wire's own delay is nothing; all slices share the row line."""
    array = target.array
    slices, cols = pairs_ff.shape[1], pairs_ff.shape[4]
    row_ff = pairs_ff.sum(axis=(0, 1, 4)) + (array.cols - slices * cols * 2) * array.c_off_ff
    row_um = array.line_um[0]
    row_ff += row_um * array.line_capacitance_ff_um
    wire_ohm = row_um * array.line_resistance_ohm_um

    def share(position: Array | float) -> Array:
        tau_ns = charge.elmore_ns(
            row_ff[:, :, None], array.driver_resistance_ohm, wire_ohm, position
        )
        return charge.settled_share(tau_ns, array.settle_ns).astype(np.float32)

    end = share(1.0)
    if end.min() > 1 - 1e-7:  # settled to float32's last bit, even at the end
        return end
    position = (2 * pair_numbers(slices, cols, sites) + 1) / array.cols
    return share(position[:, :, None, :].astype(np.float32))


def _column_settling(leg_ff: Array, sites: Sites, target: MemcapTarget) -> Array:
    """Share of its charge that has come down each leg to the converter, ``[2, slices, tiles,
    cols]``: the column wire in series with the vias below its layer."""
    array = target.array
    wire_ohm = array.line_um[1] * array.line_resistance_ohm_um
    via_ohm = (target.stack.via_resistance_ohm * sites[:, :1]).astype(np.float32)
    tau_ns = charge.elmore_ns(leg_ff, via_ohm, wire_ohm, 1.0)
    return charge.settled_share(tau_ns, array.settle_ns).astype(np.float32)


def _dac_errors(rows: int, sites: Sites, target: MemcapTarget, seed: int) -> Array:
    """Relative gain error of each row driver, ``[tiles, rows]``."""
    row0 = sites[:, 3:4] if sites.shape[1] == 5 else np.zeros((len(sites), 1), np.int32)
    counters = (row0 + np.arange(rows)).astype(np.uint32)
    return np.float32(target.dac.gain_sigma) * normals(_stack_keys(seed, sites, _DAC), counters)


def _injection(
    leg_ff: Array, gain: Array, sites: Sites, target: MemcapTarget, seed: int
) -> tuple[Array, Array]:
    """(offset in levels, gain factor) that opening the readout switches leaves."""
    noise, array = target.noise, target.array
    slices, tiles, cols = leg_ff.shape[1:]
    pushed = charge.injected_charge_ff_v(
        noise.switch_area_um2,
        noise.switch_oxide_ff_um2,
        noise.switch_overlap_ff,
        noise.switch_high_v,
        noise.switch_threshold_v,
    )
    pairs = pair_numbers(slices, cols, sites).reshape(slices * tiles, cols).astype(np.uint32)
    keys = np.tile(_site_keys(seed, sites, _INJECTION), slices)
    left = np.float32(noise.injection_residual) * normals(keys, pairs)
    left = left.reshape(slices, tiles, cols)
    unit = array.level_ff * array.read_voltage_v
    on_ff = leg_ff.mean(axis=0)
    if array.readout == "amplifier":
        on_ff = np.full_like(on_ff, array.feedback_ff)
    factor = charge.injection_gain(noise.switch_area_um2, noise.switch_oxide_ff_um2, on_ff)
    return left * pushed * gain.mean(axis=0) / np.float32(unit), factor


def _adc_errors(
    shape: tuple[int, ...], sites: Sites, target: MemcapTarget, seed: int, bits: int
) -> tuple[Array, Array, Array, Array | None]:
    """(relative gain error, offset in steps, INL peak in steps), ``[slices, tiles, cols]``, and
    the steps.

    Neighbouring pairs go to different converters in turn, so that a narrow tile uses them all.
    """
    noise, adc = target.noise, target.adc
    slices, tiles, _, cols = shape
    unit = pair_numbers(slices, cols, sites) % target.adcs_per_array
    units = unit.reshape(slices * tiles, cols).astype(np.uint32)
    keys = np.tile(_stack_keys(seed, sites, _ADC), slices)

    def draw(lane: int) -> Array:
        return normal_pairs(keys, units, lane).reshape(2, slices, tiles, cols)

    def sized(effect: str, sigma: float, values: Array) -> Array:
        return values * np.float32(sigma if noise.is_on(effect) else 0.0)

    first, second = draw(0), draw(1)
    offset_lsb = 0.0 if target.array.double_sampling else adc.offset_sigma_lsb
    steps = None
    if noise.is_on("adc_dnl") and adc.dnl_sigma_lsb:
        lanes = [draw(2 + lane) for lane in range(-(-bits // 2))]
        each = np.moveaxis(np.concatenate(lanes)[:bits], 0, -1)
        steps = np.moveaxis(converters.bit_steps(each, adc.dnl_sigma_lsb, bits), -1, -2)
    return (
        sized("adc_gain", adc.gain_sigma, first[0]),
        sized("adc_offset", offset_lsb, first[1]),
        sized("adc_inl", adc.inl_sigma_lsb, second[0]),
        steps,
    )


def converter_sigma_lsb(target: MemcapTarget) -> float:
    """Noise of one conversion in steps: the comparator's; of the two conversions of double
    sampling both, and the rounding of the first, which the reset noise makes uniform."""
    sigma = target.adc.noise_lsb if target.noise.is_on("adc_noise") else 0.0
    if not target.array.double_sampling:
        return sigma
    rounding = converters.quantisation_sigma(1.0) if target.noise.is_on("thermal") else 0.0
    return math.sqrt(2 * sigma**2 + rounding**2)
