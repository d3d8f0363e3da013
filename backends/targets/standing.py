"""Where the constants of a target stand beside what is published for their node.

A constant may be above what a good design takes, since a chip has its reasons, but not below what
physics or the best published circuit allows.
"""

from dataclasses import asdict, dataclass
from typing import Any

from .load import Target
from .memcap import MemcapTarget
from .survey import adc_area_um2, adc_energy_fj, adc_envelope_fj
from .technology import digital_energy_pj

WIRE_FF_PER_MM = 200.0
"""Usual on-chip wire (Horowitz, ISSCC 2014)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One constant, what a good design of the node takes, and what no design goes below."""

    name: str
    unit: str
    value: float
    expected: float
    least: float
    """0 where no bound is known."""
    source: str

    @property
    def ratio(self) -> float:
        """The constant over the expected value."""
        return self.value / self.expected

    def as_dict(self) -> dict[str, Any]:
        """Plain data, with the ratio."""
        return asdict(self) | {"ratio": self.ratio}


def standings(target: Target) -> list[Standing]:
    """The constants of ``target`` that a survey knows; none where it states no technology."""
    if not isinstance(target, MemcapTarget) or target.technology is None:
        return []
    node_nm, supply_v = target.technology.node_nm, target.technology.supply_v
    adc, rate_hz = target.adc, 1e9 / target.adc.conversion_ns
    survey = "Murmann, ADC survey; Andrulis et al. 2024"
    measured = "Horowitz, ISSCC 2014 and Jouppi et al., ISCA 2021, by node"
    wire_pj = 8 / 4 * WIRE_FF_PER_MM * supply_v**2 * 1e-3
    digital = [
        ("vector.energy_pj.add", "pJ", target.vector.energy_pj.add, "add"),
        ("vector.energy_pj.mul", "pJ", target.vector.energy_pj.mul, "mul"),
        ("sram.energy_pj_per_byte", "pJ/B", target.sram.energy_pj_per_byte, "sram_byte"),
    ]
    return [
        Standing(
            "adc energy of a conversion",
            "fJ",
            adc.energy_fj,
            adc_energy_fj(adc.bits, rate_hz, node_nm),
            adc_envelope_fj(adc.bits, rate_hz),
            survey,
        ),
        Standing(
            "adc.area_um2",
            "um2",
            adc.area_um2,
            adc_area_um2(adc.bits, rate_hz, node_nm),
            0.0,
            survey,
        ),
        *(
            Standing(name, unit, value, digital_energy_pj(operation, node_nm), 0.0, measured)
            for name, unit, value, operation in digital
        ),
        Standing(
            "links.energy_pj_per_byte_mm",
            "pJ/B/mm",
            target.links.energy_pj_per_byte_mm,
            wire_pj,
            wire_pj,
            "the wire alone, C V^2 / 4 a random bit",
        ),
    ]
