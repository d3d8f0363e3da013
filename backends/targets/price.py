"""What a chip costs to make and an inference to run, from a target's ``[price]`` section.

Silicon alone: no design, masks, margin or memory beside the chip.
"""

import math
from typing import TYPE_CHECKING

from .schema import NonNegative, Positive, Section

if TYPE_CHECKING:
    from .memcap import MemcapTarget

#: Clustering of defects in the negative binomial yield model; 2 to 3 is usual (Cunningham, "The use
#: and evaluation of yield models in integrated circuit manufacturing", IEEE Trans. Semiconductor
#: Manufacturing 3, 1990).
DEFECT_CLUSTERING = 3.0
_YEAR_S = 365.25 * 24 * 3600


class Price(Section):
    """Prices of one process, US dollars."""

    wafer_usd: Positive
    """A processed wafer of the base die."""
    wafer_diameter_mm: Positive = 300.0
    layer_usd: NonNegative
    """One layer of arrays on a whole wafer."""
    defects_per_cm2: NonNegative
    package_usd: NonNegative
    """Package and test of one chip."""
    electricity_usd_per_kwh: NonNegative
    lifetime_years: Positive
    """How long a chip works; its price is spread over all that it computes in this time."""


def dies_per_wafer(area_mm2: float, diameter_mm: float) -> float:
    """Whole dies of a wafer, the edge's taken off: pi d^2 / 4A - pi d / sqrt(2A) (de Vries,
    "Investigation of gross die per wafer formulas", IEEE Trans. Semiconductor Manufacturing 2005).
    """
    whole = math.pi * diameter_mm**2 / (4 * area_mm2)
    return max(whole - math.pi * diameter_mm / math.sqrt(2 * area_mm2), 0.0)


def die_yield(area_mm2: float, defects_per_cm2: float) -> float:
    """Share of good dies, (1 + A D / a)^-a: the negative binomial model (Cunningham 1990)."""
    faults = area_mm2 / 100 * defects_per_cm2
    return float((1 + faults / DEFECT_CLUSTERING) ** -DEFECT_CLUSTERING)


def chip_usd(target: "MemcapTarget") -> float | None:
    """Price of one good chip in its package; None without prices, infinite where no die fits."""
    price = target.price
    if price is None:
        return None
    wafer_usd = price.wafer_usd + target.stack.layers * price.layer_usd
    dies = dies_per_wafer(target.area_mm2, price.wafer_diameter_mm)
    good = dies * die_yield(target.area_mm2, price.defects_per_cm2)
    return wafer_usd / good + price.package_usd if good else math.inf


def inference_usd(
    target: "MemcapTarget", energy_j: float, per_s: float, chips: int = 1
) -> float | None:
    """Price of one inference of ``energy_j`` on ``chips`` that make ``per_s`` all their life.

    None without prices.
    """
    price, chip = target.price, chip_usd(target)
    if price is None or chip is None or not per_s:
        return None
    made = per_s * price.lifetime_years * _YEAR_S
    return chips * chip / made + energy_j / 3.6e6 * price.electricity_usd_per_kwh
