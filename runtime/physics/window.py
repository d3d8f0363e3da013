"""How much of a cell's window is left, in the mean: by age, and by how often it is read."""

import math


def drift_decades(time_s: float, t0_s: float) -> float:
    """log10(1 + t/t0)."""
    return math.log10(1.0 + time_s / t0_s)


def drift_factor(nu: float, decades: float) -> float:
    """Share of the window left after ``decades``: 1 - nu decades, never below 0.

    The logarithmic law of polarisation and trapped charge (retention plots are straight over
    log time: Mulaosmanovic et al., IEDM 2017, for HfO2).
    """
    return max(0.0, 1.0 - nu * decades)


def window_share(read_mhz: float, corner_mhz: float) -> float:
    """Share of the window that is left when read at ``read_mhz``: C(f) = C_inf + dC / (1 +
    (f/f_c)^2), a first-order relaxation (Debye); FeCAP windows collapse above about 1 MHz
    (arXiv 2606.03677)."""
    return 1.0 / (1.0 + (read_mhz / corner_mhz) ** 2) if corner_mhz else 1.0
