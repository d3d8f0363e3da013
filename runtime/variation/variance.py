"""How much of the spread of a figure comes from the chips, and how much from reading them.

The figure of read j of chip i is taken as y_ij = mu + a_i + e_ij: a_i is what the devices of the
chip make of it (variance ``devices``), e_ij what one read adds (variance ``reads``). That is the
balanced one-way random-effects layout; the estimators are those of its analysis of variance, which
are unbiased (Searle, Casella and McCulloch, Variance Components, Wiley 1992, section 3.5).
"""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Unbiased estimates; None where there are too few chips or reads to tell.

    ``devices`` may come out below 0 when the chips differ by less than their reads do.
    """

    mean: float
    devices: float | None
    reads: float | None


def variance_components(figures: np.ndarray) -> VarianceComponents:
    """The components of ``figures [chips, reads]``.

    With n reads of k chips, MS_w = sum (y_ij - y_i.)^2 / (k (n - 1)) estimates the variance of the
    reads, and (MS_b - MS_w) / n with MS_b = n sum (y_i. - y..)^2 / (k - 1) that of the devices.
    """
    chips, reads = figures.shape
    mean = float(figures.mean())
    if not np.isfinite(figures).all():
        return VarianceComponents(mean, None, None)
    if reads < 2:
        return VarianceComponents(mean, None, None)
    # From the first read of each chip, so that equal reads have a variance of exactly 0.
    departures = figures - figures[:, :1]
    within = departures - departures.mean(axis=1, keepdims=True)
    ms_within = float((within**2).sum()) / (chips * (reads - 1))
    if chips < 2:
        return VarianceComponents(mean, None, ms_within)
    of_chip = figures[:, 0] + departures.mean(axis=1)
    # From the first chip, for the same reason.
    shift = of_chip - of_chip[0]
    ms_between = reads * float(((shift - shift.mean()) ** 2).sum()) / (chips - 1)
    return VarianceComponents(mean, (ms_between - ms_within) / reads, ms_within)


def deviation(variance: float | None) -> float | None:
    """The standard deviation of an estimated ``variance``; 0 for one that came out below 0."""
    return None if variance is None else math.sqrt(max(variance, 0.0))
