"""Where the constants of a target stand beside what is published for their node.

A constant may be above what a good design takes, since a chip has its reasons, but not below what
physics or the best published circuit allows.
"""

from dataclasses import asdict, dataclass
from typing import Any

from .area import area_parts_mm2
from .load import Target
from .memcap import MemcapTarget
from .survey import adc_area_um2, adc_energy_fj, adc_envelope_fj
from .technology import (
    SRAM_ARRAY_SHARE,
    digital_energy_pj,
    logic_leakage_w_per_mm2,
    sram_area_mm2,
    vector_area_mm2,
)

WIRE_FF_PER_MM = 200.0
"""Usual on-chip wire (Horowitz, ISSCC 2014)."""
OFF_NA_PER_UM = 1.0
"""Off current of a low-power process; 100 times as much for a fast one (ITRS)."""


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
    vector, sram, links = target.vector, target.sram, target.links
    least_adc_fj = adc_envelope_fj(adc.bits, rate_hz)
    expected_adc_fj = adc_energy_fj(adc.bits, rate_hz, node_nm)
    area_um2 = adc_area_um2(adc.bits, rate_hz, node_nm)
    survey = "Murmann, ADC survey; Andrulis et al. 2024"
    tables = "Horowitz, ISSCC 2014 and Jouppi et al., ISCA 2021, by node"
    wire_pj = 8 / 4 * WIRE_FF_PER_MM * supply_v**2 * 1e-3
    leakage_w = area_parts_mm2(target)["base"] * logic_leakage_w_per_mm2(
        node_nm, supply_v, OFF_NA_PER_UM
    )

    def digital(name: str, unit: str, value: float, operation: str) -> Standing:
        return Standing(name, unit, value, digital_energy_pj(operation, node_nm), 0.0, tables)

    return [
        Standing(
            "energy of a conversion", "fJ", adc.energy_fj, expected_adc_fj, least_adc_fj, survey
        ),
        Standing("adc.area_um2", "um2", adc.area_um2, area_um2, 0.0, survey),
        digital("vector.energy_pj.add", "pJ", vector.energy_pj.add, "add"),
        digital("vector.energy_pj.mul", "pJ", vector.energy_pj.mul, "mul"),
        Standing(
            "vector.area_mm2",
            "mm2",
            vector.area_mm2,
            vector_area_mm2(vector.lanes, node_nm),
            0.0,
            "Horowitz, ISSCC 2014, with as much again for registers, by node",
        ),
        digital("sram.energy_pj_per_byte", "pJ/B", sram.energy_pj_per_byte, "sram_byte"),
        Standing(
            "sram.area_mm2",
            "mm2",
            sram.area_mm2,
            sram_area_mm2(sram.bytes, node_nm),
            sram_area_mm2(sram.bytes, node_nm) * SRAM_ARRAY_SHARE,
            "published bit cells; no less than the cells alone",
        ),
        Standing(
            "links.energy_pj_per_byte_mm",
            "pJ/B/mm",
            links.energy_pj_per_byte_mm,
            wire_pj,
            wire_pj,
            "the wire alone, C V^2 / 4 a random bit",
        ),
        Standing(
            "leakage_w",
            "W",
            target.leakage_w,
            leakage_w,
            0.0,
            "base die as logic of 1 nA/um off current",
        ),
    ]
