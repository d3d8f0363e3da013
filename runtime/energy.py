"""Sums of energies, and the figures of merit that follow from them.

What an event costs is said by the targets (``backends/targets/memcap_cost.py``, ``mesh_cost.py``).
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..backends.targets.memcap_cost import ARRAY_PARTS

Part = TypeVar("Part", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Tera-operations per second and watt; a multiply-add counts as two operations."""

    array_tops_per_w: float
    """Over the energy of the arrays and their converters alone; 0 where no array worked."""
    system_tops_per_w: float
    """Over all energy."""


def efficiency(array_macs: float, total_macs: float, parts_j: Mapping[str, float]) -> Efficiency:
    """Array-only and whole-system efficiency.

    Args:
        array_macs: multiply-adds done in arrays.
        total_macs: multiply-adds done anywhere.
        parts_j: energy by part; the ``ARRAY_PARTS`` among them are the arrays'.
    """
    array_j = sum(parts_j.get(part, 0.0) for part in ARRAY_PARTS)
    total_j = sum(parts_j.values())
    return Efficiency(_tops_per_w(array_macs, array_j), _tops_per_w(total_macs, total_j))


def add_parts(*parts_j: Mapping[Part, float]) -> dict[Part, float]:
    """Sum of energies (or other amounts) part by part."""
    total: dict[Part, float] = {}
    for parts in parts_j:
        for name, joules in parts.items():
            total[name] = total.get(name, 0.0) + joules
    return total


def _tops_per_w(macs: float, energy_j: float) -> float:
    return 2e-12 * macs / energy_j if energy_j > 0 else 0.0
