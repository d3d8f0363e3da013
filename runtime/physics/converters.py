"""Digital to analog and back: quantisation, range, offset, gain, curvature, uneven steps.

A converter of B bits has codes -2^(B-1) ... 2^(B-1) - 1 over a full scale +-R: its step is
R / 2^(B-1). ``convert`` is the whole way of a column sum, fused so that a block stays in cache;
its parts have functions of their own.

The compiled functions of this file call none of other files, so their cache is right.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ...compiled import compiled

Array = NDArray[np.float32]

BOW = 3 * math.sqrt(3) / 2
"""Scales u^3 - u to a peak of 1, reached at u = 1/sqrt(3)."""

_F = np.float32
_COLUMNS = 512
#: No reordering: an element must not depend on where in a block it stands.
_FAST = {"contract", "nsz"}


def input_limit(bits: int) -> int:
    """Largest magnitude of a signed code."""
    return 2 ** (bits - 1) - 1


def quantise_input(
    x: Array, scale: Array | float | None, bits: int, square: float = 0.0
) -> tuple[Array, Array]:
    """Input codes round(x / scale (2^(bits-1) - 1)), clipped, as float32 integers, and the scale.

    ``x`` is ``[..., K]``; ``scale`` broadcasts against ``[..., 1]``, None takes the largest
    magnitude of each row. Where it is 0 the code is 0. ``square`` bends what a code's voltage
    does, code (1 + square u^2), u the code over its limit: C(V) = C0 (1 + a1 V + a2 V^2) gives
    square = a2 V^2 at full voltage, and the differential drive removes the linear term.
    """
    lead = x.shape[:-1]
    codes = np.empty(x.shape, np.float32)
    rows = np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[-1])
    if scale is None:
        scales = np.empty((len(rows), 1), np.float32)
        _largest_magnitudes(rows.view(np.int32), scales.view(np.int32)[:, 0])
    else:
        given = np.broadcast_to(np.asarray(scale, np.float32), (*lead, 1))
        scales = np.ascontiguousarray(given).reshape(-1, 1)
    limit = input_limit(bits)
    _quantise_rows(rows, scales[:, 0], _F(limit), _F(square), codes.reshape(rows.shape))
    return codes, scales.reshape(*lead, 1)


@compiled()
def _largest_magnitudes(bits, out):  # type: ignore[no-untyped-def]
    """Of float32 rows by their bits: without the sign, they are in order as integers."""
    for i in range(bits.shape[0]):
        row = bits[i]
        top = np.int32(0)
        for k in range(row.size):
            size = np.int32(row[k] & np.int32(0x7FFFFFFF))
            top = size if size > top else top
        out[i] = top


@compiled(fastmath=_FAST)
def _quantise_rows(x, scale, limit, square, codes):  # type: ignore[no-untyped-def]
    for i in range(x.shape[0]):
        row, out = x[i], codes[i]
        factor = limit / scale[i] if scale[i] > _F(0) else _F(0)
        for k in range(row.size):
            v = np.rint(row[k] * factor)
            v = limit if v > limit else v
            out[k] = -limit if v < -limit else v
        if square != _F(0):
            bend = square / (limit * limit)
            for k in range(row.size):
                out[k] *= _F(1) + bend * out[k] * out[k]


def input_pulses(codes: Array, bits: int) -> Array:
    """Pulses of bit-serial inputs, ``[bits - 1, *codes.shape]``: sign times each magnitude bit,
    lowest first, so that the codes are their sum weighted by powers of two."""
    magnitude, sign = np.abs(codes).astype(np.int32), np.sign(codes)
    planes = np.arange(bits - 1, dtype=np.int32).reshape(-1, *(1,) * codes.ndim)
    return (((magnitude >> planes) & 1) * sign).astype(np.float32)


def adc_step(full_scale: Array, bits: int) -> Array:
    """Step of a converter over +-``full_scale``."""
    return full_scale * np.float32(2.0 ** (1 - bits))


def inl_coefficients(peak_lsb: Array, bits: int) -> tuple[Array, Array]:
    """(c1, c3) of the bow y + c1 y + c3 y^3 whose peak departure within range is ``peak_lsb``.

    The static curve of a converter with cubic distortion, zero at 0 and at both ends:
    INL(u) = peak (3 sqrt(3) / 2) (u^3 - u), u = y / 2^(bits-1).
    """
    half = 2.0 ** (bits - 1)
    strength = np.float32(BOW) * peak_lsb
    return -strength / np.float32(half), strength / np.float32(half**3)


def bit_steps(normals: Array, sigma_lsb: float, bits: int) -> Array:
    """Steps of a successive approximation in LSB, ``[..., bits]``, largest first.

    The capacitor of bit b is 2^b units, so its relative spread is that of a unit over 2^(b/2); with
    a unit's spread sigma_lsb / sqrt(2^bits - 1) the DNL at the middle code, step of the top bit
    less all the others less 1, has the spread ``sigma_lsb``. Steps are scaled to add up to
    2^bits - 1: what is left of a gain error belongs to ``adc.gain_sigma``. ``normals`` is
    ``[..., bits]``.
    """
    ideal = 2.0 ** np.arange(bits - 1, -1, -1)
    unit = sigma_lsb / math.sqrt(2.0**bits - 1)
    steps = ideal + unit * np.sqrt(ideal) * normals
    return (steps * (ideal.sum() / steps.sum(axis=-1, keepdims=True))).astype(np.float32)


def quantisation_sigma(step: Array | float) -> Array | float:
    """RMS error of rounding to ``step``: step / sqrt(12)."""
    return step / math.sqrt(12.0)


NONE = np.empty((0, 0), np.float32)
"""Stands for an effect that is off, in ``convert``."""
NO_STEPS = np.empty((0, 0, 0), np.float32)
NO_DRAWS = np.empty((0, 0, 0), np.float32)


@compiled(fastmath=_FAST)
def convert(  # type: ignore[no-untyped-def]
    y, per_step, post, bits, out, draws, offset, sigma, read, norm, linear, cubic, steps
):
    """Column sums ``y [n, P, C]`` through their converters, added to ``out`` of the same shape.

    ``y`` is overwritten. What is off is ``NONE``, ``NO_DRAWS`` or ``NO_STEPS``.

    Args:
        per_step, post: column sum to converter steps, and code to output, ``[n, C]``.
        bits: resolution.
        draws: a standard normal for each sum, ``[n, P, C]``.
        offset, sigma: in steps, ``[n, C]``; with draws only.
        read: variance of the cells' read noise in steps^2 for an input of norm 1, ``[n, C]``, and
            ``norm``, the squared norm of each input, ``[n, P]``.
        linear, cubic: ``inl_coefficients``, ``[n, C]``.
        steps: ``bit_steps`` of the converter of each column, ``[n, bits, C]``; without them the
            steps are even.
    """
    top = _F(2.0 ** (bits - 1))
    count, positions, width = y.shape
    for n in range(count):
        for c0 in range(0, width, _COLUMNS):
            c1 = min(c0 + _COLUMNS, width)
            scale, weight = per_step[n, c0:c1], post[n, c0:c1]
            for p in range(positions):
                v, o = y[n, p, c0:c1], out[n, p, c0:c1]
                if draws.size:
                    d, shift, spread = draws[n, p, c0:c1], offset[n, c0:c1], sigma[n, c0:c1]
                    if read.size:
                        per_cell, square = read[n, c0:c1], norm[n, p]
                        for j in range(v.size):
                            s = np.sqrt(spread[j] * spread[j] + square * per_cell[j])
                            v[j] = v[j] * scale[j] + s * d[j]
                        for j in range(v.size):
                            v[j] += shift[j]
                    else:
                        for j in range(v.size):
                            v[j] = v[j] * scale[j] + (spread[j] * d[j] + shift[j])
                else:
                    for j in range(v.size):
                        v[j] *= scale[j]
                if linear.size:
                    a, b = linear[n, c0:c1], cubic[n, c0:c1]
                    for j in range(v.size):
                        v[j] += v[j] * (a[j] + b[j] * v[j] * v[j])
                if steps.size:
                    for j in range(v.size):
                        v[j] += top + _F(0.5)
                        o[j] -= top * weight[j]
                    value = top
                    for k in range(bits):
                        step = steps[n, k, c0:c1]
                        for j in range(v.size):
                            hit = v[j] >= step[j]
                            o[j] += value * weight[j] if hit else _F(0)
                            v[j] -= step[j] if hit else _F(0)
                        value *= _F(0.5)
                else:
                    for j in range(v.size):
                        code = np.rint(v[j])
                        code = top - _F(1) if code > top - _F(1) else code
                        code = -top if code < -top else code
                        o[j] += code * weight[j]
