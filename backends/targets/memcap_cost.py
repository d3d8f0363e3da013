"""Time and energy of single events on a memcap chip, from the target alone.

Each function is one event class; a simulator multiplies and adds. Energies are in joules,
times in seconds. Parts that belong to the arrays are apart from those of the system around them,
because published array figures leave the latter out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...dialects.route_table import Traffic
from .memcap import MemcapTarget

ARRAY_PARTS = ("array", "drivers", "dac", "amplifier", "adc")
"""Parts of ``mvm_energy_j`` that an array figure of merit counts."""

ASSUMED_MEAN_SQUARE = 1.0 / 3.0
"""Mean square of the normalised input where no run has measured it (uniform values)."""

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
    mean_abs_input: float | None = None,
    adc_bits: int | None = None,
) -> dict[str, float]:
    """Energy of ``positions`` reads of one array, by part.

    - ``array``: 2 f C V^2 per read over the cells of the driven rows (charge and discharge, f = 1/2
      for a step), C being what lets charge flow (``_row_ff``) and V^2 what the inputs put on a row
      (``_driven``). Unused columns hang on the rows at C_off.
    - ``drivers``: the same for the wire of the row lines.
    - ``dac``: one conversion per driven row, and x^2 V^2 / R of its ladder over the read; ``adc``:
      FOM_W 2^B + k 4^B per slice and column (Murmann, ADC survey), ``amplifier``: bias power over
      the read, ``accumulate``: one addition per conversion (shift-add of slices and input bits,
      sum of tiles). A bit-serial input drives and converts for each of its bits.

    An array of adders (``target.digital``) has its own parts.

    Args:
        rows_used, weight_cols_used: extent of the tile, in rows and logical columns.
        mean_square_input: mean of the squared normalised input, in [0, 1].
        mean_level: mean magnitude of a slice in levels; None assumes uniform levels.
        mean_abs_input: mean magnitude of the normalised input; None assumes uniform inputs.
        adc_bits: bits after which the converters stop; None takes the target's.
    """
    array, dac = target.array, target.dac
    if target.digital is not None:
        numerics = target.numerics
        one = target.digital.read_energy_j(
            array.rows, array.cols, numerics.weight_bits, numerics.input_bits
        )
        return {part: positions * joules for part, joules in one.items()}
    if mean_level is None:
        mean_level = (array.levels - 1) / 2
    pairs = weight_cols_used * target.slices
    wire_ff = array.line_um[0] * array.line_capacitance_ff_um
    loss = 2 * (adiabatic_factor(array.ramp_rc_ratio) if array.drive == "adiabatic" else 0.5)
    driven = loss * _driven(target, mean_square_input, mean_abs_input)
    square_v2 = driven * array.read_voltage_v**2
    reads = rows_used * positions
    conversions = positions * pairs * target.numerics.pulses
    amplifiers = 2 * pairs if array.readout == "amplifier" else 0
    busy_s = mvm_latency_s(target, positions, weight_cols_used, adc_bits)
    ladder_w = (
        mean_square_input * array.read_voltage_v**2 / (dac.ladder_kohm * 1e3)
        if dac.ladder_kohm
        else 0.0
    )
    row_ff = _row_ff(target, rows_used, pairs, mean_level)
    drive_j = reads * target.numerics.pulses * dac.energy_fj * 1e-15
    return {
        "array": reads * row_ff * 1e-15 * square_v2,
        "drivers": reads * wire_ff * 1e-15 * square_v2,
        "dac": drive_j + rows_used * ladder_w * busy_s,
        "amplifier": amplifiers * array.amplifier_power_uw * 1e-6 * busy_s,
        "adc": conversions * _conversion_fj(target, adc_bits) * 1e-15,
        "accumulate": conversions * target.vector.energy_pj.add * 1e-12,
    }


def _conversion_fj(target: MemcapTarget, adc_bits: int | None) -> float:
    """Energy of converting one column, with its reset where that is sampled too.

    The reset has ``reset_bits`` steps of the same size: as little switching as those bits need,
    but decisions as exact as the column's own, a share of its thermal term.
    """
    adc, array = target.adc, target.array
    bits = adc.bits if adc_bits is None else adc_bits
    energy_fj = adc.energy_at_fj(bits)
    if array.double_sampling:
        energy_fj += adc.fom_walden_fj * 2.0**array.reset_bits
        energy_fj += adc.fom_thermal_fj * 4.0**bits * array.reset_bits / bits
    return energy_fj


def _driven(target: MemcapTarget, mean_square: float, mean_abs: float | None) -> float:
    """Squared steps that one input makes on its row, in units of V^2.

    An amplitude x makes one step, x^2; a code of n pulses n full ones; a bit-serial code one for
    each set bit of its magnitude. Half the bits are set, or fewer where inputs are so small that
    the upper ones are not; a single bit is set as often as its square is 1.
    """
    if mean_abs is None:
        mean_abs = math.sqrt(3 * mean_square) / 2  # uniform in [-a, a]: a^2/3 and a/2
    if target.array.drive == "pulses":
        return target.pulses_per_input * mean_abs
    if target.numerics.input_coding == "amplitude":
        return mean_square
    bits = target.pulses_per_input
    if bits == 1:
        return mean_square
    used = bits + math.log2(min(1.0, 2 * mean_abs)) if mean_abs > 0 else 0.0
    return max(used, 0.0) / 2


def _row_ff(target: MemcapTarget, rows_used: float, pairs: float, mean_level: float) -> float:
    """Capacitance through which one row of cells takes charge, fF.

    One leg of a pair carries the magnitude, both carry C_off, as do the unused columns. An
    amplifier holds its column still, so a row sees its cells whole. A passive column follows its
    rows: a cell is in series with the rest of its column, C (1 - C / C_column), for inputs that do
    not go together.
    """
    array = target.array
    on_ff = array.c_off_ff + mean_level * array.level_ff
    line_ff = array.line_um[1] * array.line_capacitance_ff_um + array.adc_input_ff

    def seen_ff(cell_ff: float) -> float:
        if array.readout == "amplifier" or not cell_ff:
            return cell_ff
        column_ff = rows_used * cell_ff + (array.rows - rows_used) * array.c_off_ff + line_ff
        return cell_ff * (1 - cell_ff / column_ff)

    return pairs * seen_ff(on_ff) + (array.cols - pairs) * seen_ff(array.c_off_ff)


def settle_latency_s(target: MemcapTarget, positions: float) -> float:
    """Time that the rows of one array are driven in ``positions`` reads: every pulse settles.

    Adders have no such phase.
    """
    if target.digital is not None:
        return 0.0
    return positions * target.pulses_per_input * target.array.settle_ns * 1e-9


def mvm_latency_s(
    target: MemcapTarget, positions: float, weight_cols_used: float, adc_bits: int | None = None
) -> float:
    """Time of ``positions`` reads of one array: settle, then the converters go round the pairs.

    Pairs are dealt to the converters in turn, so a narrow tile uses all of them. Each bit of a
    bit-serial input is converted before the next one settles. A successive approximation takes a
    cycle a bit, so one that stops after ``adc_bits`` takes that share.
    """
    if target.digital is not None:
        return positions * target.digital.read_latency_s(target.numerics.input_bits)
    rounds = math.ceil(weight_cols_used * target.slices / target.adcs_per_array)
    convert_s = rounds * target.numerics.pulses * target.column_conversion_ns(adc_bits) * 1e-9
    return settle_latency_s(target, positions) + positions * convert_s


@dataclass(frozen=True, slots=True)
class ProductLoad:
    """What one product asks of the arrays and links, over the tiles that one controller drives.

    ``most`` positions are read by the busiest copy of the matrix; an array reads the columns of one
    of ``rounds``, one number after another. Over the fullest link ``in_bytes`` of inputs and
    ``out_bytes`` of sums pass in all; the way is ``in_hops`` there and ``out_hops`` back.
    """

    most: int
    rounds: Sequence[tuple[int, ...]]
    in_bytes: float
    out_bytes: float
    in_hops: int
    out_hops: int


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """What the parts of a product take: ``inputs_s`` and ``sums_s`` beside ``settle_s`` and
    ``convert_s``, in links of their own for either way."""

    drive_s: float
    settle_s: float
    convert_s: float
    inputs_s: float
    sums_s: float
    accumulate_s: float

    @property
    def total_s(self) -> float:
        """The whole product, where nothing else uses the links."""
        middle_s = max(self.settle_s + self.convert_s, self.inputs_s, self.sums_s)
        return self.drive_s + middle_s + self.accumulate_s


def product_latency_s(
    target: MemcapTarget, load: ProductLoad, adc_bits: int | None = None
) -> ProductTimes:
    """Times of a product.

    The first position of each copy pays the way to the arrays, the last one that back; in between
    the arrays read position after position, while the links carry inputs there and sums back.
    """
    bytes_s = target.links.bandwidth_gb_s * 1e9
    read_s, rounds = max(
        (sum(mvm_latency_s(target, load.most, cols, adc_bits) for cols in cols_of), len(cols_of))
        for cols_of in load.rounds
    )
    settle_s = settle_latency_s(target, load.most) * rounds
    in_s, out_s = load.in_bytes / bytes_s, load.out_bytes / bytes_s
    one = 1 / max(load.most, 1)
    return ProductTimes(
        drive_s=wire_latency_s(target, load.in_hops) + in_s * one,
        settle_s=settle_s,
        convert_s=read_s - settle_s,
        inputs_s=in_s * (1 - one),
        sums_s=out_s * (1 - one),
        accumulate_s=wire_latency_s(target, load.out_hops) + out_s * one,
    )


def range_search(elements: float) -> dict[str, float]:
    """Operations by class that find the largest magnitude of each input vector while running."""
    return {"add": elements}


def range_search_latency_s(target: MemcapTarget, elements: float, nbytes: float) -> float:
    """Time of that search over inputs of ``nbytes`` in the buffer."""
    busy_s = vector_latency_s(target, range_search(elements))
    return max(busy_s, sram_latency_s(target, nbytes))


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


def traffic_energy_j(target: MemcapTarget, traffic: Traffic) -> float:
    """Energy of carrying ``traffic`` once: wires between routers, and vias up to the arrays."""
    return carry_energy_j(target, byte_mm(target, traffic), traffic.byte_vias)


def carry_energy_j(target: MemcapTarget, byte_mm: float, byte_vias: float) -> float:
    """Energy of bytes times the way they go: over wires, mm, and through vias, levels."""
    links = target.links
    per_pj = links.energy_pj_per_byte_mm * byte_mm + links.via_energy_pj_per_byte * byte_vias
    return per_pj * 1e-12


def wire_latency_s(target: MemcapTarget, hops: int) -> float:
    """Time in which the head of a transfer passes ``hops`` routers and vias."""
    return hops * target.links.hop_ns * 1e-9


def byte_mm(target: MemcapTarget, traffic: Traffic) -> float:
    """Bytes times the length of the wires that they take, byte mm."""
    width_um, height_um = target.site_um
    along_rows = traffic.byte_hops - traffic.byte_rows
    return (along_rows * width_um + traffic.byte_rows * height_um) * 1e-3


def chip_link_latency_s(target: MemcapTarget, nbytes: float, links: int) -> float:
    """Time of ``nbytes`` over ``links`` links between chips, which pass them on as they come."""
    link = target.chip_link
    if not links:
        return 0.0
    return links * link.latency_ns * 1e-9 + nbytes / (link.bandwidth_gb_s * 1e9)


def chip_link_energy_j(target: MemcapTarget, nbytes: float, links: int) -> float:
    """Energy of ``nbytes`` over ``links`` links between chips."""
    return nbytes * links * target.chip_link.energy_pj_per_byte * 1e-12


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


def stored_bytes(target: MemcapTarget, weights: float) -> float:
    """Bytes of the codes of ``weights`` weights on their way to the arrays."""
    return weights * target.numerics.weight_bits / 8


def reload_latency_s(target: MemcapTarget, rows: float, weights: float) -> float:
    """Time to write ``weights`` from the host into arrays side by side, ``rows`` rows of each.

    The host's link brings the codes meanwhile; the slower of the two decides.
    """
    transfer_s = stored_bytes(target, weights) / (target.host.link_gb_s * 1e9)
    return max(write_latency_s(target, rows), transfer_s)


def _op_class(name: str) -> str:
    if name not in OP_CLASSES:
        raise ValueError(f"operation class must be one of {', '.join(OP_CLASSES)}, came {name!r}")
    return name
