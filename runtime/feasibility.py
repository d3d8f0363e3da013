"""What the makers of a chip ask: does it meet its budgets, at what rate and price, what helps.

Reads a timed inference and the target. A chip that would take more power than its budget at full
speed is run slower: energy an inference stays, leakage stays, so the power falls with the rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..backends.targets import MemcapTarget
from ..backends.targets.area import area_parts_mm2
from ..backends.targets.price import chip_usd, inference_usd
from .report.quantity import quantity

#: Parts of the energy that a lever is named for at most.
_LEVERS = 3


def feasibility(
    target: MemcapTarget, latency_s: float, parts_j: Mapping[str, float], chips: int = 1
) -> dict[str, Any]:
    """The key ``feasibility`` of reports, from the latency and the energy parts of one inference.

    Budgets are those of all ``chips``, area is that of one.
    ``rate_per_s`` and ``power_w`` are what the power budget allows, ``limits`` each budget with
    whether it is met (at full speed) and what would meet it.
    """
    moving_j = sum(joules for part, joules in parts_j.items() if part != "leakage")
    full_per_s = 1 / latency_s if latency_s else 0.0
    idle_w, budget_w = chips * target.leakage_w, chips * target.budget_power_w
    full_w = moving_j * full_per_s + idle_w
    rate_per_s = full_per_s
    if budget_w and full_w > budget_w:
        spare_w = budget_w - idle_w
        rate_per_s = max(spare_w, 0.0) / moving_j if moving_j else full_per_s
    energy_j = moving_j + (idle_w / rate_per_s if rate_per_s else 0.0)
    each_usd = inference_usd(target, energy_j, rate_per_s, chips)
    speed = _Speed(full_w, full_per_s, rate_per_s, idle_w, budget_w)
    limits = [_area_limit(target), _power_limit(speed, parts_j)]
    return {
        "rate_per_s": rate_per_s,
        "power_w": moving_j * rate_per_s + idle_w,
        "full_rate_per_s": full_per_s,
        "full_power_w": full_w,
        "energy_j": energy_j,
        "chip_usd": chip_usd(target),
        "usd_per_million": None if each_usd is None else each_usd * 1e6,
        "limits": [limit for limit in limits if limit is not None],
    }


@dataclass(frozen=True, slots=True)
class _Speed:
    """Power and rate at full speed, the rate that the budget allows, leakage and budget."""

    full_w: float
    full_per_s: float
    rate_per_s: float
    idle_w: float
    budget_w: float


def _limit(what: str, value: float, budget: float, unit: str, levers: list[str]) -> dict[str, Any]:
    met = value <= budget
    return {
        "what": what,
        "value": value,
        "budget": budget,
        "unit": unit,
        "met": met,
        "levers": [] if met else levers,
    }


def _area_limit(target: MemcapTarget) -> dict[str, Any] | None:
    if not target.budget_area_mm2:
        return None
    parts, budget = area_parts_mm2(target), target.budget_area_mm2
    levers = []
    if parts["layer"] > budget:
        layers = -(-target.stack.layers * parts["layer"] // budget)
        levers.append(f"as many arrays on {layers:.0f} layers of {budget:g} mm2")
        pitch_nm = target.array.cell_pitch_nm * (budget / parts["layer"]) ** 0.5
        levers.append(f"cells at a pitch of about {pitch_nm:.3g} nm")
    if parts["base"] > budget:
        largest = max(
            (p for p in parts if p not in ("base", "layer", "die")), key=parts.__getitem__
        )
        levers.append(
            f"{parts['base'] - budget:.3g} mm2 less on the base die, whose largest part is "
            f"{largest} with {parts[largest]:.3g} mm2"
        )
    return _limit("area", parts["die"], budget, "mm2", levers)


def _power_limit(speed: _Speed, parts_j: Mapping[str, float]) -> dict[str, Any] | None:
    full_w, full_per_s, budget = speed.full_w, speed.full_per_s, speed.budget_w
    if not budget:
        return None
    levers = []
    if speed.rate_per_s:
        slow, fast = (quantity(rate, "inferences/s") for rate in (speed.rate_per_s, full_per_s))
        levers.append(f"{slow} in place of {fast}")
    if speed.idle_w >= budget:
        levers.append(f"less leakage: {quantity(speed.idle_w, 'W')} are lost at any rate")
    largest = sorted(parts_j.items(), key=lambda item: (-item[1], item[0]))
    for part, joules in [item for item in largest if item[0] != "leakage"][:_LEVERS]:
        without_w = full_w - joules * full_per_s
        if without_w < budget:
            kept = 1 - (full_w - budget) / (joules * full_per_s)
            levers.append(
                f"{part}: {kept:.0%} of its {quantity(joules, 'J')} an inference would do"
            )
        else:
            share = joules * full_per_s / full_w
            levers.append(
                f"{part} takes {share:.0%}; without it {quantity(without_w, 'W')} are left"
            )
    return _limit("power at full speed", full_w, budget, "W", levers)
