"""Digital to analog and back: quantisation, range, offset, gain and curvature.

A converter of B bits has codes -2^(B-1) ... 2^(B-1) - 1 over a full scale +-R: its step is
R / 2^(B-1).
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

BOW = 3 * math.sqrt(3) / 2
"""Scales u^3 - u to a peak of 1, reached at u = 1/sqrt(3)."""


def input_limit(bits: int) -> int:
    """Largest magnitude of a signed amplitude code."""
    return 2 ** (bits - 1) - 1


def quantise_input(x: Array, scale: Array | float, bits: int) -> Array:
    """Input codes round(x / scale (2^(bits-1) - 1)), clipped, as float32 integers.

    ``scale`` broadcasts against ``x``; where it is 0 the code is 0.
    """
    limit = np.float32(input_limit(bits))
    factor = np.divide(
        limit, scale, out=np.zeros(np.shape(scale), np.float32), where=np.not_equal(scale, 0)
    )
    codes = np.multiply(x, factor, dtype=np.float32)
    np.rint(codes, out=codes)
    return np.clip(codes, -limit, limit, out=codes)


def adc_step(full_scale: Array, bits: int) -> Array:
    """Step of a converter over +-``full_scale``."""
    return full_scale * np.float32(2.0 ** (1 - bits))


def adc_codes(lsb: Array, bits: int) -> Array:
    """Round ``lsb`` (the input in steps) to codes and clip, in place; returns ``lsb``."""
    top = np.float32(2.0 ** (bits - 1))
    np.rint(lsb, out=lsb)
    return np.clip(lsb, -top, top - 1, out=lsb)


def inl_coefficients(peak_lsb: Array, bits: int) -> tuple[Array, Array]:
    """(c1, c3) of the bow y + c1 y + c3 y^3 whose peak departure within range is ``peak_lsb``.

    The static curve of a converter with cubic distortion, zero at 0 and at both ends:
    INL(u) = peak (3 sqrt(3) / 2) (u^3 - u), u = y / 2^(bits-1).
    """
    half = 2.0 ** (bits - 1)
    strength = np.float32(BOW) * peak_lsb
    return -strength / np.float32(half), strength / np.float32(half**3)


def add_inl(lsb: Array, linear: Array, cubic: Array) -> Array:
    """Bend ``lsb`` by ``inl_coefficients``, in place; returns ``lsb``."""
    factor = lsb * lsb
    factor *= cubic
    factor += 1 + linear
    lsb *= factor
    return lsb


def quantisation_sigma(step: Array | float) -> Array | float:
    """RMS error of rounding to ``step``: step / sqrt(12)."""
    return step / math.sqrt(12.0)
