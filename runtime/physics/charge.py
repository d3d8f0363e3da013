"""Charge on a shared line: the divider, the amplifier, and the noise of both.

Symbols: C in fF, V in volts, T in kelvin, x the normalised row input. Capacitance arrays may have
any shape; each function is one equation.
"""

import numpy as np
from numpy.typing import NDArray

BOLTZMANN_J_PER_K = 1.380649e-23
"""Exact by the SI definition of 2019."""

Array = NDArray[np.float32]


def trim_legs(plus_ff: Array, minus_ff: Array, left: float) -> tuple[Array, Array]:
    """Totals of a pair's legs after trimming: the lighter is raised until ``left`` of the
    difference remains (0: equal legs, 1: no trim)."""
    heavy = np.maximum(plus_ff, minus_ff)
    keep = np.float32(1 - left)
    return plus_ff + keep * (heavy - plus_ff), minus_ff + keep * (heavy - minus_ff)


def thermal_sigma_v(total_ff: Array, temperature_k: Array | float) -> Array:
    """kT/C: sampled noise of a capacitor, sigma_V = sqrt(k T / C), by equipartition."""
    return np.sqrt(BOLTZMANN_J_PER_K * temperature_k / (total_ff * 1e-15)).astype(np.float32)


def amplifier_gain(input_ff: Array, feedback_ff: float, open_loop: float) -> Array:
    """Charge amplifier, V = -Q/C_f / (1 + (1 + C_in/C_f)/A0): the last factor.

    ``input_ff`` is everything on the virtual ground: cells, line, input pair.
    """
    return 1.0 / (1.0 + (1.0 + input_ff / feedback_ff) / open_loop)


def amplifier_sigma_v(
    input_ff: Array,
    feedback_ff: float,
    load_ff: float,
    gamma: float,
    temperature_k: Array | float,
    double_sampling: bool = False,
) -> Array:
    """Sampled output noise of a switched charge amplifier (Enz and Caizzone, arXiv 1908.08099).

    sigma_V^2 = kT/C_f + gamma kT/(beta C_Leff), beta = C_f/(C_f + C_in),
    C_Leff = C_L + (1 - beta) C_f: the reset switch's noise and the amplifier's own. Double sampling
    takes the first away and doubles the second.
    """
    beta = feedback_ff / (feedback_ff + input_ff)
    load = load_ff + (1.0 - beta) * feedback_ff
    own_per_ff = gamma / (beta * load)
    inverse_ff = 2 * own_per_ff if double_sampling else 1.0 / feedback_ff + own_per_ff
    return np.sqrt(BOLTZMANN_J_PER_K * temperature_k * inverse_ff / 1e-15).astype(np.float32)


def injected_charge_ff_v(
    area_um2: float, oxide_ff_um2: float, overlap_ff: float, high_v: float, threshold_v: float
) -> float:
    """Charge that an opening switch pushes on the line at V_in = 0, in fF V.

    Q = W L C_ox (V_H - V_T) / 2 + C_ov V_H: half of the channel, and the overlap feed-through.
    """
    return 0.5 * area_um2 * oxide_ff_um2 * (high_v - threshold_v) + overlap_ff * high_v


def injection_gain(area_um2: float, oxide_ff_um2: float, total_ff: Array) -> Array:
    """Gain left by the input-dependent half of the channel charge: 1 - W L C_ox / (2 C_tot)."""
    return 1.0 - 0.5 * area_um2 * oxide_ff_um2 / total_ff


def elmore_ns(
    line_ff: Array, driver_ohm: Array | float, wire_ohm: float, position: Array | float
) -> Array:
    """Delay to ``position`` (0 at the driver, 1 at the end) of a uniform line with a driver, ns.

    tau = (R_drv + R_w (u - u^2/2)) C: the Elmore delay of a distributed line (Rubinstein,
    Penfield, Horowitz, TCAD 1983). No current flows at rest, so there is no IR drop.
    """
    ohm = driver_ohm + wire_ohm * (position - position * position / 2)
    return line_ff * np.asarray(ohm, np.float32) * np.float32(1e-6)


def settled_share(tau_ns: Array, time_ns: float) -> Array:
    """Share of its step that a line has made after ``time_ns``: 1 - exp(-t/tau)."""
    return -np.expm1(-time_ns / np.maximum(tau_ns, np.float32(1e-9)))


def held_share(time_ns: Array, tau_us: float) -> Array:
    """Share of its charge that a column still holds after ``time_ns``: exp(-t/(R_leak C)).

    R_leak C is a constant of the dielectric, resistivity times permittivity, whatever the area.
    """
    return np.exp(time_ns * np.float32(-1e-3 / tau_us))


def couple_columns(matrix: Array, share: float) -> Array:
    """Columns with ``share`` of each neighbour's signal added (last axis)."""
    out = matrix.copy()
    out[..., 1:] += np.float32(share) * matrix[..., :-1]
    out[..., :-1] += np.float32(share) * matrix[..., 1:]
    return out
