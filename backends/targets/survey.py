"""What a converter should cost, by resolution, rate and node, from the survey of those published.

B. Murmann, ADC Performance Survey 1997-2026, in two regressions:

- the *envelope*, which no published converter passes by much: the Schreier figure of merit of the
  survey's own plot, FOM = F - 10 log10 sqrt(1 + (f / f_c)^2), with F and f_c as it fits them to the
  five best (plots/foms_plot.json of the survey's repository, 2026-08);
- the *expected* cost, the regression of Andrulis, Chen, Lee, Emer and Sze, Modeling
  analog-digital-converter energy and area for compute-in-memory accelerator design (arXiv
  2404.06553; constants of their model file of 2024), by ENOB, rate and node. It is a good design of
  a node, not the best: measured macros lie between a quarter of it and four times.
"""

import math

ENVELOPE_DB = 186.723
ENVELOPE_CORNER_HZ = 46.7345e6

_FOM_DB = (213.7806687, -2.8719030)
"""Schreier FOM that a rate allows: intercept, and slope per natural logarithm of 1/s."""
_FOM_OF_BITS_DB = (128.3068287, 3.2205115)
"""Schreier FOM that a resolution reaches: intercept, and slope per bit."""
_ENERGY_PJ = (26.0496216 - 1.4702022, 1.8800369, -2.8291256)
"""Correction, natural logarithms: intercept and residue, slope of nm, slope of bits."""
_AREA_UM2 = (1.3461916, 0.9932795, 0.1807154, 0.2991243)
"""Natural logarithms: intercept, slopes of nm, rate in 1/s, energy in pJ."""


def sndr_db(bits: float) -> float:
    """Signal to noise and distortion of an ideal converter: 6.02 B + 1.76 dB."""
    return 20 * bits * math.log10(2) + 10 * math.log10(1.5)


def adc_envelope_fj(bits: float, rate_hz: float) -> float:
    """The least energy of a conversion that the survey knows, any node, fJ."""
    fom = ENVELOPE_DB - 10 * math.log10(math.hypot(1.0, rate_hz / ENVELOPE_CORNER_HZ))
    return _schreier_j(fom, bits) * 1e15


def adc_energy_fj(bits: float, rate_hz: float, node_nm: float) -> float:
    """Energy of one conversion that a good design of the node takes, fJ; not below the envelope."""
    by_rate = _FOM_DB[0] + _FOM_DB[1] * math.log(rate_hz)
    by_bits = _FOM_OF_BITS_DB[0] + _FOM_OF_BITS_DB[1] * math.ceil(bits)
    constant, of_node, of_bits = _ENERGY_PJ
    correction = constant + of_node * math.log(node_nm) + of_bits * math.log(bits)
    expected_fj = _schreier_j(min(by_rate, by_bits), bits) * math.exp(correction) * 1e3
    return max(expected_fj, adc_envelope_fj(bits, rate_hz))


def adc_area_um2(bits: float, rate_hz: float, node_nm: float) -> float:
    """Area of that converter, um2."""
    energy_pj = adc_energy_fj(bits, rate_hz, node_nm) * 1e-3
    constant, of_node, of_rate, of_energy = _AREA_UM2
    return math.exp(
        constant
        + of_node * math.log(node_nm)
        + of_rate * math.log(rate_hz)
        + of_energy * math.log(energy_pj)
    )


def _schreier_j(fom_db: float, bits: float) -> float:
    """Energy of a conversion from FOM = SNDR + 10 log10(f_s / 2 / P)."""
    return float(0.5 * 10 ** ((sndr_db(bits) - fom_db) / 10))
