"""What a CMOS process does to energy, delay, leakage and area: by node, and by supply voltage.

Two uses. The node functions bring a constant of one node to another, or say what a circuit of a
node should cost. The supply functions bring a measured circuit to another supply voltage; they
need no node, only the threshold of its transistors.

Nothing here is fitted to a target. Laws and constants:

- Energy by node: published tables of two nodes, and the power law between them (``DIGITAL_PJ``).
- Area by node: Stillmaker and Baas, Integration 58, 74 (2017), table 1.
- Delay: alpha-power law, t ~ V / (V - Vt)^alpha (Sakurai and Newton, JSSC 25, 584, 1990).
- Short circuit: Veendrick, JSSC 19, 468 (1984), with edges as steep at the input as at the output.
- Leakage: drain-induced barrier lowering (Roy et al., Proc. IEEE 91, 305, 2003).
"""

import bisect
import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .schema import NonNegative, Positive, Section

DIBL_V_PER_V = 0.1
"""Threshold lowering per volt of drain voltage; 0.05 to 0.15 from 90 to 22 nm (Roy et al. 2003)."""
SWING_V = 0.039
"""n kT/q at 300 K with n = 1.5 (90 mV a decade)."""


class Technology(Section):
    """The process, and the supply at which the constants of the file hold."""

    node_nm: Positive
    supply_v: Positive
    threshold_v: NonNegative
    """Of the transistors on the critical path."""
    alpha: Annotated[float, Field(ge=1, le=2)] = 1.3
    """Velocity saturation index: 2 for a long channel, about 1.3 for a short one."""
    fixed: Annotated[tuple[Literal["read_voltage", "adc", "clock"], ...], Field(strict=False)] = ()
    """What keeps its own supply or its own clock when ``supply_v`` changes."""

    @model_validator(mode="after")
    def _conducts(self) -> "Technology":
        if self.supply_v <= self.threshold_v:
            raise ValueError(
                f"supply_v ({self.supply_v}) must be above threshold_v ({self.threshold_v})"
            )
        return self


AREA = {
    130: 4.3, 90: 1.9, 65: 1.0, 45: 0.66, 32: 0.31,
    20: 0.14, 16: 0.13, 14: 0.12, 10: 0.068, 7: 0.039,
}  # fmt: skip
"""Area of a digital circuit by node in nm, over that at 65 nm (Stillmaker and Baas, table 1)."""

DIGITAL_PJ = {
    "add": {45: 0.9, 7: 0.38},
    "mul": {45: 3.7, 7: 1.31},
    "sram_byte": {45: 12.5, 7: 1.75},
}
"""Energy by node in nm: float32 addition, multiplication, a byte of a 1 MB buffer (64-bit access).

45 nm: Horowitz, ISSCC 2014. 7 nm: Jouppi et al., ISCA 2021, table 2.
"""


SRAM_CELL_UM2 = {65: 0.57, 45: 0.346, 32: 0.171, 22: 0.092, 14: 0.0499, 10: 0.0312, 7: 0.027}
"""Published dense bit cells by node in nm (Intel, IEDM 2004 to 2017; 7 nm: TSMC, ISSCC 2017)."""
SRAM_ARRAY_SHARE = 0.6
"""Share of a buffer's area that is bit cells; 0.5 to 0.7 is usual for macros of this size."""
FLOAT32_LANE_UM2 = 4184.0 + 7700.0
"""A float32 adder and multiplier at 45 nm (Horowitz, ISSCC 2014)."""


def sram_area_mm2(nbytes: int, node_nm: float) -> float:
    """Area of a buffer of ``nbytes``."""
    cells_um2 = 8 * nbytes * _by_power_law(SRAM_CELL_UM2, node_nm)
    return cells_um2 / SRAM_ARRAY_SHARE * 1e-6


def vector_area_mm2(lanes: int, node_nm: float) -> float:
    """Area of ``lanes`` float32 lanes, half of each being registers and control."""
    return lanes * 2 * FLOAT32_LANE_UM2 * area_ratio(45, node_nm) * 1e-6


def area_ratio(from_nm: float, to_nm: float) -> float:
    """Area of a digital circuit at ``to_nm`` over that at ``from_nm``.

    Raises:
        ValueError: a node outside the table, 7 to 130 nm.
    """
    for node_nm in (from_nm, to_nm):
        if not min(AREA) <= node_nm <= max(AREA):
            raise ValueError(f"the node must be {min(AREA)} to {max(AREA)} nm, came {node_nm:g}")
    return _by_power_law(AREA, to_nm) / _by_power_law(AREA, from_nm)


def digital_energy_pj(operation: str, node_nm: float) -> float:
    """Energy of an operation of ``DIGITAL_PJ`` at a node, by the power law through its two figures.

    The polynomials of Stillmaker and Baas say that a gate of 7 nm takes a seventeenth of one of
    45 nm; the two tables of measured arithmetic, a third. Wires and clocks do not shrink as gates
    do, so the tables are what a design sees.
    """
    return _by_power_law(DIGITAL_PJ[operation], node_nm)


def _by_power_law(table: Mapping[int, float], node_nm: float) -> float:
    """The value at ``node_nm`` on the power law through the two nodes of ``table`` around it."""
    nodes = sorted(table)
    index = min(max(bisect.bisect_left(nodes, node_nm), 1), len(nodes) - 1)
    low, high = nodes[index - 1], nodes[index]
    share = math.log(node_nm / low) / math.log(high / low)
    return float(table[low] ** (1 - share) * table[high] ** share)


def delay_ratio(technology: Technology, supply_v: float) -> float:
    """Delay at ``supply_v`` over that at the technology's own supply, by the alpha-power law."""

    def delay(volts: float) -> float:
        return volts / (volts - technology.threshold_v) ** technology.alpha

    return float(delay(supply_v) / delay(technology.supply_v))


def short_circuit_share(supply_v: float, threshold_v: float) -> float:
    """Short-circuit energy of a gate over C V^2: (V - 2 Vt)^3 / (6 V (V - Vt)^2).

    Veendrick's E = (beta/12) (V - 2 Vt)^3 tau, where tau = 2 C V / (beta (V - Vt)^2) is the edge
    that an equal gate makes. Both transistors conduct at once only where V > 2 Vt.
    """
    both = max(0.0, supply_v - 2 * threshold_v)
    return both**3 / (6 * supply_v * (supply_v - threshold_v) ** 2)


def switching_ratio(technology: Technology, supply_v: float) -> float:
    """Energy of a gate's switching at ``supply_v`` over that at the technology's own supply.

    C V^2 (1 + s(V)), s being the short-circuit share.
    """

    def energy(volts: float) -> float:
        return volts**2 * (1 + short_circuit_share(volts, technology.threshold_v))

    return energy(supply_v) / energy(technology.supply_v)


def leakage_ratio(technology: Technology, supply_v: float) -> float:
    """Leakage power at ``supply_v`` over that at the technology's own supply.

    P = V I, I ~ exp(eta V / (n kT/q)) by drain-induced barrier lowering.
    """
    rise_v = supply_v - technology.supply_v
    return supply_v / technology.supply_v * math.exp(DIBL_V_PER_V * rise_v / SWING_V)


def logic_leakage_w_per_mm2(node_nm: float, supply_v: float, off_na_um: float) -> float:
    """Leakage of a square millimetre of logic, from the off current of a transistor.

    Widths: 800,000 gates of four transistors of 3 F in a square millimetre of 65 nm, by area at
    other nodes; half of the transistors are off, and stacks halve what those leak.
    ``off_na_um``: about 0.03 (low standby power), 1 to 5 (low operating power) or 100 (high
    performance) nA per um of width (ITRS 2007 to 2011, process integration tables).
    """
    gates = 8e5 / area_ratio(65, node_nm)
    width_um = gates * 4 * 3 * node_nm * 1e-3
    return width_um / 4 * off_na_um * 1e-9 * supply_v
