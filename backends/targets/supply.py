"""A target at another supply voltage: every constant that the supply sets, by its own law.

Switching energies go as C V^2 with the short-circuit share, delays by the alpha-power law, leakage
by barrier lowering (technology.py); lines and cells see the read voltage, which follows the supply
unless ``technology.fixed`` says that it is a reference of its own. The host is another chip, and
writing has supplies of its own.
"""

from typing import Any

from pydantic import BaseModel

from ...errors import TargetError
from .memcap import MemcapTarget
from .technology import delay_ratio, leakage_ratio, switching_ratio


def at_supply(target: MemcapTarget, supply_v: float) -> MemcapTarget:
    """``target`` with the constants that hold at ``supply_v``.

    Raises:
        TargetError: the target states no technology, or its transistors do not conduct.
    """
    technology = target.technology
    where = f"{target.name}: technology"
    if technology is None:
        raise TargetError(
            f"another supply ({supply_v:g} V) needs the section [technology], it is missing",
            where=where,
            help="give node_nm, supply_v and threshold_v",
        )
    if supply_v <= technology.threshold_v:
        raise TargetError(
            f"the supply must be above threshold_v ({technology.threshold_v:g} V), "
            f"came {supply_v:g} V",
            where=where,
        )
    if supply_v == technology.supply_v:
        return target
    fixed = technology.fixed
    volts = supply_v / technology.supply_v
    energy, leakage = switching_ratio(technology, supply_v), leakage_ratio(technology, supply_v)
    delay = 1.0 if "clock" in fixed else delay_ratio(technology, supply_v)
    convert = 1.0 if "adc" in fixed else energy
    read = 1.0 if "read_voltage" in fixed else volts
    return target.model_copy(
        update={
            "array": _scaled(
                target.array, read_voltage_v=read, settle_ns=delay, amplifier_power_uw=volts**2
            ),
            "adc": _scaled(
                target.adc, fom_walden_fj=convert, fom_thermal_fj=convert, conversion_ns=delay
            ),
            "dac": _scaled(target.dac, energy_fj=energy),
            "digital": target.digital
            and _scaled(
                target.digital,
                clock_ns=delay,
                adder_fj=energy,
                multiplier_fj=energy,
                driver_fj=energy,
                register_fj=energy,
                control_fj=energy,
            ),
            "vector": _scaled(
                target.vector,
                clock_ghz=1 / delay,
                energy_pj=_scaled(
                    target.vector.energy_pj, add=energy, mul=energy, special=energy, move=energy
                ),
            ),
            "sram": _scaled(target.sram, energy_pj_per_byte=energy, bandwidth_gb_s=1 / delay),
            "links": _scaled(
                target.links,
                hop_ns=delay,
                bandwidth_gb_s=1 / delay,
                energy_pj_per_byte_mm=energy,
                via_energy_pj_per_byte=energy,
            ),
            "controller": _scaled(
                target.controller, energy_pj_per_instruction=energy, issue_ns=delay
            ),
            "technology": technology.model_copy(update={"supply_v": supply_v}),
            "leakage_w": target.leakage_w * leakage,
        }
    )


def _scaled(section: BaseModel, **factors: Any) -> BaseModel:
    """``section`` with each named field times its factor, or replaced by a section."""
    update = {
        name: factor if isinstance(factor, BaseModel) else getattr(section, name) * factor
        for name, factor in factors.items()
    }
    return section.model_copy(update=update)
