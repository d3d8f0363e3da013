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


def worst_range(levels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest column sum that rows in [-1, 1] can make, per slice: ``[slices, ...]`` for ``levels
    [slices, ..., rows, cols]``. Whole numbers, exact in float32 (rows * levels < 2^24)."""
    return np.abs(levels).sum(axis=-2).max(axis=-1)


def units_per_step(
    levels: NDArray[np.float32], target: MemcapTarget, adc_bits: int | None = None
) -> NDArray[np.int64]:
    """The integer n of the proof, ``[slices, tiles]``: a lossless step is the sums' unit over n.

    0 where the converter lacks codes; 1 where all levels are 0 and any step will do. ``levels`` is
    ``[slices, tiles, rows, cols]``, whole numbers.
    """
    return _proof(levels, target, adc_bits)[0]


def lossless_full_scale(
    levels: NDArray[np.float32], target: MemcapTarget, adc_bits: int | None = None
) -> NDArray[np.float64]:
    """Full scale that makes each conversion the identity, in units of normalised input x level,
    ``[slices, tiles]``; 0 where none does, or where all levels are 0."""
    bits = target.adc.bits if adc_bits is None else adc_bits
    count, unit = _proof(levels, target, bits)
    step = unit / (np.maximum(count, 1) * float(input_code_limit(target)))
    return np.where(count > 0, step * 2.0 ** (bits - 1), 0.0)


def _proof(
    levels: NDArray[np.float32], target: MemcapTarget, adc_bits: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(n, u) of each slice and tile; u is 0 where the levels are, or where n is 0 without it."""
    codes = 2 ** ((target.adc.bits if adc_bits is None else adc_bits) - 1) - 1
    worst = worst_range(levels).astype(np.int64) * input_code_limit(target)
    unit = np.zeros(worst.shape, np.int64)
    # A divisor is at most the largest level: most tiles need no divisor to be refused.
    peak = np.abs(levels).max(axis=(-2, -1)).astype(np.int64)
    close = np.nonzero((worst > 0) & (worst <= peak * codes))
    if len(close[0]):
        whole = np.abs(levels[close]).astype(np.int64)
        unit[close] = np.gcd.reduce(whole.reshape(len(whole), -1), axis=-1)
    return np.where(worst > 0, unit * codes // np.maximum(worst, 1), 1), unit
