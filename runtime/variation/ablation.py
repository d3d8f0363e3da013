"""Ablation: which physical effect costs how much, alone and among the others."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...backends.targets import MemcapTarget
from ...backends.targets.memcap_sections import EFFECTS
from .trials import METRICS, Bench, Block, Chip, Trial

Figures = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class EffectCost:
    """Mean figures over the chips: with only ``effect`` on, and with all but it."""

    effect: str
    alone: Figures
    without: Figures


@dataclass(frozen=True, slots=True)
class Ablation:
    """Mean figures over ``chips`` chips: no effect (quantized mode), all, and each effect.

    Effects are sorted by what they cost alone, the dearest first.
    """

    seed: int
    chips: int
    none: Figures
    all: Figures
    effects: Sequence[EffectCost]

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` has under ``ablation``.

        The changes are against ``none`` for an effect alone and against ``all`` without it:
        ``accuracy_points`` in points, ``sqnr_change_db`` in dB; below 0 is worse.
        """
        return {
            "seed": self.seed,
            "chips": self.chips,
            "none": dict(self.none),
            "all": dict(self.all),
            "effects": [
                {
                    "effect": cost.effect,
                    "alone": _with_changes(cost.alone, self.none),
                    "without": _with_changes(cost.without, self.all),
                }
                for cost in self.effects
            ],
        }


def effects_on(target: MemcapTarget) -> list[str]:
    """The effects that ``target`` does not switch off by name."""
    return [effect for effect in EFFECTS if target.noise.is_on(effect)]


def all_but(*effects: str) -> tuple[str, ...]:
    """What to switch off so that only ``effects`` are on."""
    return tuple(effect for effect in EFFECTS if effect not in effects)


def ablate(
    bench: Bench,
    target: MemcapTarget,
    *,
    chips: int,
    seed: int,
    jobs: int,
    progress: Callable[[int, int], None],
) -> Ablation:
    """Try each effect that is on in ``target``, on the chips of ``seed``, ``seed + 1``, ..."""
    effects = effects_on(target)
    variants: list[tuple[str, ...]] = [all_but(*effects)]
    variants += [all_but(effect) for effect in effects]
    variants += [all_but(*(e for e in effects if e != effect)) for effect in effects]
    blocks = [Block(Chip(seed, mode="quantized"))]
    blocks += [Block(Chip(seed + n, off)) for off in variants for n in range(chips)]
    (quantized,), *rest = bench.trials(blocks, jobs, progress)
    trials = [trial for (trial,) in rest]
    means = [_mean(trials[i : i + chips]) for i in range(0, len(trials), chips)]
    everything, alone, without = means[0], means[1 : 1 + len(effects)], means[1 + len(effects) :]
    costs = [EffectCost(*parts) for parts in zip(effects, alone, without, strict=True)]
    costs.sort(key=lambda cost: (cost.alone["sqnr_db"], cost.effect))
    return Ablation(seed, chips, _mean([quantized]), everything, costs)


def _mean(trials: Sequence[Trial]) -> dict[str, float | None]:
    columns = {name: [getattr(trial, name) for trial in trials] for name in METRICS}
    return {
        name: None if values[0] is None else float(np.mean(values))
        for name, values in columns.items()
    }


def _with_changes(found: Figures, base: Figures) -> dict[str, float | None]:
    points = _change(found["accuracy"], base["accuracy"])
    return {
        **found,
        "accuracy_points": None if points is None else 100 * points,
        "sqnr_change_db": _change(found["sqnr_db"], base["sqnr_db"]),
    }


def _change(found: float | None, base: float | None) -> float | None:
    return None if found is None or base is None else found - base
