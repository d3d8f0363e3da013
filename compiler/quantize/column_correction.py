"""A gain and a bias for each output column, fitted to what the chip makes of calibration inputs.

Clipping and rounding of converters err by much the same amount for most inputs of a column, more so
where a range clips one side of skewed sums. With y the product wanted and z the chip's, a column's

    min_{a, b}  sum_p (y_p - a z_p - b)^2:   a = cov(y, z) / var(z),   b = mean(y) - a mean(z)

takes back what is constant (bias correction: Banner et al., NeurIPS 2019, arXiv 1810.05723; Nagel
et al., ICCV 2019, arXiv 1906.04721). Both act on digital sums: the bias costs one addition a column
and the gain nothing, for it goes into the column's scale.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .compensated_rounding import LEAST_ROWS

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ColumnCorrection:
    """What each column is multiplied by, and what is added, float32 ``[G, N]`` each."""

    gain: Array
    bias: Array

    def apply(self, found: Array) -> Array:
        """``found [G, P, N]``, corrected."""
        return found * self.gain[:, None] + self.bias[:, None]


def fit_correction(wanted: Array, found: Array, *, gain: bool) -> ColumnCorrection:
    """Least squares over the rows of ``wanted`` and ``found [G, P, N]``.

    Without ``gain`` the factors are 1.
    """
    wide, z = wanted.astype(np.float64), found.astype(np.float64)
    mean_y, mean_z = wide.mean(axis=1), z.mean(axis=1)
    slope = np.ones_like(mean_y)
    if gain:
        dz = z - mean_z[:, None]
        variance = np.square(dz).sum(axis=1)
        covariance = (dz * (wide - mean_y[:, None])).sum(axis=1)
        np.divide(covariance, variance, out=slope, where=variance > 0)
        slope = np.where(slope > 0, slope, 1.0)
    bias = mean_y - slope * mean_z
    return ColumnCorrection(slope.astype(np.float32), bias.astype(np.float32))


def choose_correction(
    fit: tuple[Array, Array], held_out: tuple[Array, Array]
) -> tuple[ColumnCorrection | None, str]:
    """The correction with the least error on held-out rows, and what was found, in words.

    ``fit`` and ``held_out`` are (wanted, found), ``[G, P, N]``. None where none is better than
    nothing at all.
    """
    if fit[0].shape[1] < LEAST_ROWS:
        return None, f"{fit[0].shape[1]} inputs to fit on, fewer than {LEAST_ROWS}"
    wanted, found = held_out
    before = squared_error(wanted, found)
    best, least = None, before
    for gain in (False, True):
        tried = fit_correction(*fit, gain=gain)
        error = squared_error(wanted, tried.apply(found))
        if error < least:
            best, least = tried, error
    if best is None:
        return None, "held-out inputs show no lower error"
    fall_db = 10 * np.log10(before / least) if least > 0 else np.inf
    return best, f"error of held-out products {fall_db:.1f} dB lower"


def squared_error(wanted: Array, found: Array) -> float:
    """Sum of the squares of what is off."""
    return float(np.square(wanted - found, dtype=np.float64).sum())
