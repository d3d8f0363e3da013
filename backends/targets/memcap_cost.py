"""Time and energy of single events on a memcap chip, from the target alone.

Each function is one event class; a simulator multiplies and adds. Energies are in joules,
times in seconds. Parts that belong to the arrays are apart from those of the system around them,
because published array figures leave the latter out.
"""

import math
from collections.abc import Mapping

from .memcap import MemcapTarget

ARRAY_PARTS = ("array", "drivers", "dac", "amplifier", "adc")
"""Parts of ``mvm_energy_j`` that an array figure of merit counts."""

OP_CLASSES = ("add", "mul", "special", "move")


def adiabatic_factor(ratio: float) -> float:
    """Energy lost in charging by a ramp over C V^2: r (1 - r (1 - exp(-1/r))), r = RC/T_ramp.

    Tends to 1/2 for a step (r large) and to r for a slow ramp (Athas et al., TVLSI 1994).
    """
    if ratio > 1e3:
        return 0.5 - 1.0 / (6.0 * ratio)  # the closed form cancels
    return ratio * (1.0 + ratio * math.expm1(-1.0 / ratio))


def mvm_energy_j(
    target: MemcapTarget,
    rows_used: float,
    weight_cols_used: float,
    positions: float,
    mean_square_input: float,
    mean_level: float | None = None,
    adc_bits: int | None = None,
) -> dict[str, float]:
    """Energy of ``positions`` reads of one array, by part.

    - ``array``: 2 f C V^2 <x^2> over the cells of the driven rows (charge and discharge, f = 1/2
      for a step). Unused columns hang on the rows at C_off.
    - ``drivers``: the same for the wire of the row lines.
    - ``dac``: one conversion per driven row, ``adc``: FOM_W 2^B + k 4^B per slice and column
      (Murmann, ADC survey), ``amplifier``: bias power over the read, ``accumulate``: one addition
      per conversion (shift-add of slices, sum of tiles).

    Args:
        rows_used, weight_cols_used: extent of the tile, in rows and logical columns.
        mean_square_input: mean of the squared normalised input, in [0, 1].
        mean_level: mean magnitude of a slice in levels; None assumes uniform levels.
        adc_bits: bits after which the converters stop; None takes the target's.
    """
    array = target.array
    if mean_level is None:
        mean_level = (array.levels - 1) / 2
    pairs = weight_cols_used * target.slices
    # One leg of a pair carries the magnitude, both carry C_off, as do the unused columns.
    row_ff = array.cols * array.c_off_ff + pairs * mean_level * array.level_ff
    wire_ff = array.line_um[0] * array.line_capacitance_ff_um
    loss = 2 * (adiabatic_factor(array.ramp_rc_ratio) if array.drive == "adiabatic" else 0.5)
    square_v2 = loss * array.read_voltage_v**2 * mean_square_input
    reads = rows_used * positions
    amplifiers = 2 * pairs if array.readout == "amplifier" else 0
    busy_s = mvm_latency_s(target, positions, weight_cols_used, adc_bits)
    conversion_fj = target.adc.energy_at_fj(target.adc.bits if adc_bits is None else adc_bits)
    return {
        "array": reads * row_ff * 1e-15 * square_v2,
        "drivers": reads * wire_ff * 1e-15 * square_v2,
        "dac": reads * target.dac.energy_fj * 1e-15,
        "amplifier": amplifiers * array.amplifier_power_uw * 1e-6 * busy_s,
        "adc": positions * pairs * conversion_fj * 1e-15,
        "accumulate": positions * pairs * target.vector.energy_pj.add * 1e-12,
    }


def mvm_latency_s(
    target: MemcapTarget, positions: float, weight_cols_used: float, adc_bits: int | None = None
) -> float:
    """Time of ``positions`` reads of one array: settle, then the converters go round the pairs.

    Pairs are dealt to the converters in turn, so a narrow tile uses all of them. A successive
    approximation takes a cycle a bit, so one that stops after ``adc_bits`` takes that share.
    """
    rounds = math.ceil(weight_cols_used * target.slices / target.adcs_per_array)
    share = 1.0 if adc_bits is None else adc_bits / target.adc.bits
    conversion_ns = target.adc.conversion_ns * share
    return positions * (target.array.settle_ns + rounds * conversion_ns) * 1e-9


def vector_energy_j(target: MemcapTarget, counts: Mapping[str, float]) -> float:
    """Energy of scalar operations by class (``OP_CLASSES``); buffer accesses are apart."""
    energy = target.vector.energy_pj
    return sum(getattr(energy, _op_class(name)) * n for name, n in counts.items()) * 1e-12


def vector_latency_s(target: MemcapTarget, counts: Mapping[str, float]) -> float:
    """Time of scalar operations by class, all lanes busy: one clock each, special ones more."""
    clocks = sum(
        n * (target.vector.special_cycles if _op_class(name) == "special" else 1)
        for name, n in counts.items()
    )
    return math.ceil(clocks / target.vector.lanes) / (target.vector.clock_ghz * 1e9)


def sram_energy_j(target: MemcapTarget, nbytes: float) -> float:
    """Energy of reading or writing ``nbytes`` of the buffer."""
    return nbytes * target.sram.energy_pj_per_byte * 1e-12


def sram_latency_s(target: MemcapTarget, nbytes: float) -> float:
    """Time of reading or writing ``nbytes`` of the buffer at full bandwidth."""
    return nbytes / (target.sram.bandwidth_gb_s * 1e9)


def move_energy_j(
    target: MemcapTarget, nbytes: float, distance_mm: float, vias: float = 0.0
) -> float:
    """Energy of moving ``nbytes`` over wires of ``distance_mm`` and through ``vias`` layers."""
    links = target.links
    per_byte_pj = links.energy_pj_per_byte_mm * distance_mm + links.via_energy_pj_per_byte * vias
    return nbytes * per_byte_pj * 1e-12


def move_latency_s(target: MemcapTarget, nbytes: float, hops: float) -> float:
    """Wormhole transfer: the head passes ``hops`` routers, the rest follows at link speed."""
    links = target.links
    return hops * links.hop_ns * 1e-9 + nbytes / (links.bandwidth_gb_s * 1e9)


def host_latency_s(target: MemcapTarget, flops: float, nbytes: float) -> float:
    """Time of one host operator: launch, transfer both ways (``nbytes`` in all), arithmetic."""
    host = target.host
    return host.launch_us * 1e-6 + nbytes / (host.link_gb_s * 1e9) + flops / (host.gflops * 1e9)


def host_energy_j(target: MemcapTarget, busy_s: float, nbytes: float) -> float:
    """Energy of the host while it works, and of the link to it."""
    return target.host.power_w * busy_s + nbytes * target.host.link_energy_pj_per_byte * 1e-12


def controller_energy_j(target: MemcapTarget, instructions: float) -> float:
    """Fetch, decode and issue of ``instructions``."""
    return instructions * target.controller.energy_pj_per_instruction * 1e-12


def leakage_j(target: MemcapTarget, time_s: float) -> float:
    """Static power over ``time_s``."""
    return target.leakage_w * time_s


def write_latency_s(target: MemcapTarget, rows: float) -> float:
    """Time to program and verify ``rows`` rows of one array, one after another."""
    return rows * target.array.write_ns * 1e-9


def write_energy_j(target: MemcapTarget, weights: float) -> float:
    """Energy to program and verify ``weights`` weights (all cells of each)."""
    return weights * target.columns_per_weight * target.array.write_energy_fj * 1e-15


def site_distance_mm(target: MemcapTarget, rows: float, cols: float) -> float:
    """Wire length of a route of ``rows`` and ``cols`` steps over the grid of sites."""
    width_um, height_um = target.site_um
    return (cols * width_um + rows * height_um) * 1e-3


def _op_class(name: str) -> str:
    if name not in OP_CLASSES:
        raise ValueError(f"operation class must be one of {', '.join(OP_CLASSES)}, came {name!r}")
    return name
