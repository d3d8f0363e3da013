"""Monte Carlo: the spread of accuracy and error over chips, and over reads of one chip."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .trials import METRICS, Bench, Block, Chip, Trial
from .variance import deviation, variance_components


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """Trials ``[chips][reads]``: chips have the seeds ``seed``, ``seed + 1``, ...; reads the read
    seeds 0, 1, ..."""

    trials: Sequence[Sequence[Trial]]

    def as_dict(self) -> dict[str, Any]:
        """What ``--json`` has under ``runs``."""
        return {
            "chips": len(self.trials),
            "reads": len(self.trials[0]),
            "seed": self.trials[0][0].seed,
            "metrics": {
                name: summary for name in METRICS if (summary := self.summary(name)) is not None
            },
            "trials": [trial.as_dict() for chip in self.trials for trial in chip],
        }

    def summary(self, metric: str) -> dict[str, Any] | None:
        """Mean, deviation and worst case of a metric; None when it was not measured.

        ``deviation`` of all runs is the root of the sum of both variances: of one read of one chip
        that nobody has chosen. The worst chip is that of the worst mean over its reads; the worst
        read that which departs most, to the worse side, from the mean of its chip.
        """
        values = [[getattr(trial, metric) for trial in chip] for chip in self.trials]
        if values[0][0] is None:
            return None
        figures = np.array(values, np.float64)
        parts = variance_components(figures)
        sign = 1.0 if METRICS[metric] else -1.0
        with np.errstate(invalid="ignore"):  # infinite figures have no departures
            of_chip = figures.mean(axis=1)
            departures = figures - of_chip[:, None]
        run = self._at(np.argmax(sign * figures))
        read = self._at(np.argmax(sign * departures))
        chip = int(np.argmax(sign * of_chip))
        known = None not in (parts.devices, parts.reads)
        both = max(parts.devices or 0.0, 0.0) + (parts.reads or 0.0) if known else None
        return {
            "mean": parts.mean,
            "deviation": deviation(both),
            "worst": _place(run, getattr(run, metric)),
            "devices": {
                "deviation": deviation(parts.devices),
                "variance": parts.devices,
                "worst": {"value": float(of_chip[chip]), "seed": self.trials[chip][0].seed},
            },
            "reads": {
                "deviation": deviation(parts.reads),
                "variance": parts.reads,
                "worst": {
                    "departure": float(departures.flat[np.argmax(sign * departures)]),
                    **_place(read, getattr(read, metric)),
                },
            },
        }

    def _at(self, index: np.intp) -> Trial:
        chip, read = divmod(int(index), len(self.trials[0]))
        return self.trials[chip][read]


def _place(trial: Trial, value: float) -> dict[str, Any]:
    return {"value": value, "seed": trial.seed, "read_seed": trial.read_seed}


def monte_carlo(
    bench: Bench,
    *,
    chips: int,
    reads: int,
    seed: int,
    jobs: int,
    progress: Callable[[int, int], None],
) -> MonteCarlo:
    """``reads`` reads of each of ``chips`` chips, on ``jobs`` processes.

    The result does not depend on ``jobs``: each trial is that of ``simulate`` with its two seeds.
    """
    blocks = [Block(Chip(seed + number), tuple(range(reads))) for number in range(chips)]
    return MonteCarlo(bench.trials(blocks, jobs, progress))
