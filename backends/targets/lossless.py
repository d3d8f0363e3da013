"""Which conversions lose nothing: a proof over integers, from stored levels and converter codes.

A column sum in code units is an integer S = sum_i x_i m_i, with x_i the input's code (or one pulse
of it, when inputs are bit-serial) and m_i the signed level. Two facts hold for every input:

    u = gcd_i |m_i| divides S            W = max_j sum_i |m_ij| max|x| is never exceeded by |S|

A converter of B bits has the codes -2^(B-1) ... 2^(B-1) - 1. When W <= u (2^(B-1) - 1), a step of
u / n, with n the largest integer for which W n <= u (2^(B-1) - 1), represents every S by the
integer S n / u within the codes: the conversion neither clips nor rounds, and slices and tiles add
up to the integer product. The largest n makes the converter's own noise count least.
"""

import numpy as np
from numpy.typing import NDArray

from .memcap import MemcapTarget


def input_code_limit(target: MemcapTarget) -> int:
    """Largest magnitude of what a row carries in one conversion: a whole code, or one pulse."""
    if target.numerics.input_coding == "bit-serial":
        return 1
    return 2 ** (target.numerics.input_bits - 1) - 1


def sum_units(levels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Greatest common divisor of the levels of each slice and tile, ``[slices, tiles]``; 0 where
    all are 0. ``levels`` is ``[slices, tiles, rows, cols]``, whole numbers."""
    flat = np.abs(levels).astype(np.int64).reshape(*levels.shape[:2], -1)
    return np.gcd.reduce(flat, axis=-1)


def worst_sums(levels: NDArray[np.float32]) -> NDArray[np.int64]:
    """Largest magnitude of a column's sum for rows of at most 1, ``[slices, tiles]``."""
    return np.abs(levels).astype(np.int64).sum(axis=-2).max(axis=-1)


def units_per_step(
    levels: NDArray[np.float32], target: MemcapTarget, adc_bits: int | None = None
) -> NDArray[np.int64]:
    """The integer n of the proof, ``[slices, tiles]``: a lossless step is the sums' unit over n.

    0 where the converter lacks codes; 1 where all levels are 0 and any step will do.
    """
    bits = target.adc.bits if adc_bits is None else adc_bits
    unit, worst = sum_units(levels), worst_sums(levels) * input_code_limit(target)
    room = unit * (2 ** (bits - 1) - 1)
    return np.where(worst > 0, room // np.maximum(worst, 1), 1)


def lossless_full_scale(
    levels: NDArray[np.float32], target: MemcapTarget, adc_bits: int | None = None
) -> NDArray[np.float64]:
    """Full scale that makes each conversion the identity, in units of normalised input x level,
    ``[slices, tiles]``; 0 where none does, or where all levels are 0."""
    bits = target.adc.bits if adc_bits is None else adc_bits
    count = units_per_step(levels, target, bits)
    step = sum_units(levels) / (np.maximum(count, 1) * float(input_code_limit(target)))
    return np.where(count > 0, step * 2.0 ** (bits - 1), 0.0)
