"""Counter-based random streams, vectorised over keys.

Every draw is a function of a key (seed, site, effect) and a counter (cell, or read position), so a
result does not depend on how work was batched, ordered or spread over threads, and an array keeps
its own device instance wherever the matrix on it comes from. The generator is Threefry-2x32 with
twenty rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011); its two words
make two normals through Box-Muller, with the logarithm and the sine as polynomials so that the
loops run on vector registers. Keys are derived with SplitMix64's finaliser (Steele, Lea, Flood,
OOPSLA 2014).

The compiled functions of this file call each other and none elsewhere, so their cache is right.
"""

import math

import numpy as np
from numpy.typing import NDArray

from ...compiled import compiled

Keys = NDArray[np.uint64]
Array = NDArray[np.float32]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_ALL = 0xFFFFFFFFFFFFFFFF
_U = np.uint32
_F = np.float32
_I = np.int32
#: Reordering is left out: an element must not depend on where in a vector it stands.
_FAST = {"contract", "nsz", "afn"}
_QUARTER = _F(math.pi / 2 * 2.0**-30)
_LN2 = _F(math.log(2.0))
_ROOT2 = _F(math.sqrt(2.0))


def derive_key(*words: int | NDArray[np.integer]) -> Keys:
    """A key from integers or integer arrays (broadcast together); order matters."""
    scalar, first = 0, 0
    for word in words:  # as below, without arrays of one
        if not isinstance(word, int):
            break
        scalar = _mixed_int((scalar ^ (word & _ALL)) + int(_GAMMA))
        first += 1
    key = np.array(scalar, np.uint64)
    with np.errstate(over="ignore"):
        for word in words[first:]:
            value = np.asarray(word & _ALL if isinstance(word, int) else word)
            mixed = np.array((key ^ value.astype(np.uint64)) + _GAMMA, np.uint64)
            key = _mix(mixed.reshape(-1)).reshape(mixed.shape)
    return key


def _mixed_int(value: int) -> int:
    """SplitMix64's finaliser."""
    value &= _ALL
    value = (value ^ (value >> 30)) * int(_M1) & _ALL
    value = (value ^ (value >> 27)) * int(_M2) & _ALL
    return value ^ (value >> 31)


def _mix(value: Keys) -> Keys:
    """``_mixed_int`` of every element, in place; returns ``value``."""
    value ^= value >> np.uint64(30)
    value *= _M1
    value ^= value >> np.uint64(27)
    value *= _M2
    value ^= value >> np.uint64(31)
    return value


def uniforms(keys: Keys, counters: NDArray[np.uint32], lane: int = 0) -> Array:
    """Uniform in (0, 1] of ``keys [n]`` at ``counters [n, m]`` (or ``[m]``): ``[n, m]``."""
    counters = np.broadcast_to(counters, (len(keys), counters.shape[-1]))
    out = np.empty(counters.shape, np.float32)
    _fill_uniforms(out, *_words(keys), counters, _U(lane))
    return out


def normal_pairs(keys: Keys, counters: NDArray[np.uint32], lane: int = 0) -> Array:
    """Two independent standard normals of ``keys [n]`` at ``counters [n, m]`` (or ``[m]``):
    ``[2, n, m]``.

    ``lane`` is a second counter: other lanes give other draws.
    """
    counters = np.broadcast_to(counters, (len(keys), counters.shape[-1]))
    out = np.empty((2, *counters.shape), np.float32)
    _fill_pairs(out, *_words(keys), counters, _U(lane))
    return out


def kept_pairs(
    keys: Keys, counters: NDArray[np.uint32], inside: float, miss: float, lane: int = 0
) -> Array:
    """``normal_pairs`` under a condition: within the bound that ``inside`` of all normals keep,
    but with chance ``miss`` (above 0) beyond it. ``[2, n, m]``."""
    counters = np.broadcast_to(counters, (len(keys), counters.shape[-1]))
    out = np.empty((2, *counters.shape), np.float32)
    _fill_kept(out, *_words(keys), counters, _U(lane), _F(inside), _F(miss))
    return out


def normals(keys: Keys, counters: NDArray[np.uint32]) -> Array:
    """One standard normal of ``keys [n]`` at ``counters [n, m]`` (or ``[m]``): ``[n, m]``."""
    return normal_pairs(keys, counters)[0]


def position_normals(
    keys: Keys, first: int, count: int, lane: int = 0, out: Array | None = None
) -> Array:
    """Normals ``[n, count, cols]`` of ``keys [n, cols]`` at positions ``first ... + count - 1``.

    Positions 2q and 2q+1 share the two normals of counter q, so ``first`` may be any position and
    a position's value does not depend on which others are asked for.
    """
    if out is None:
        out = np.empty((keys.shape[0], count, keys.shape[1]), np.float32)
    _fill_positions(out, *_words(keys), first, _U(lane))
    return out


def _words(keys: Keys) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Low and high words of 64-bit keys."""
    return keys.astype(np.uint32), (keys >> np.uint64(32)).astype(np.uint32)


@compiled()
def _rotated(x, r):  # type: ignore[no-untyped-def]
    return _U((x << _U(r)) | (x >> _U(32 - r)))


@compiled()
def _round(a, b, r):  # type: ignore[no-untyped-def]
    a = _U(a + b)
    return a, _U(_rotated(b, r) ^ a)


@compiled()
def _even_rounds(a, b):  # type: ignore[no-untyped-def]
    a, b = _round(a, b, 13)
    a, b = _round(a, b, 15)
    a, b = _round(a, b, 26)
    return _round(a, b, 6)


@compiled()
def _odd_rounds(a, b):  # type: ignore[no-untyped-def]
    a, b = _round(a, b, 17)
    a, b = _round(a, b, 29)
    a, b = _round(a, b, 16)
    return _round(a, b, 24)


@compiled()
def threefry(k0, k1, c0, c1):  # type: ignore[no-untyped-def]
    """Two random words of a key and a counter of two words each: Threefry-2x32-20."""
    k2 = _U(k0 ^ k1 ^ _U(0x1BD11BDA))
    a, b = _even_rounds(_U(c0 + k0), _U(c1 + k1))
    a, b = _odd_rounds(_U(a + k1), _U(b + k2 + _U(1)))
    a, b = _even_rounds(_U(a + k2), _U(b + k0 + _U(2)))
    a, b = _odd_rounds(_U(a + k0), _U(b + k1 + _U(3)))
    a, b = _even_rounds(_U(a + k1), _U(b + k2 + _U(4)))
    return _U(a + k2), _U(b + k0 + _U(5))


@compiled(fastmath=_FAST)
def _log(value):  # type: ignore[no-untyped-def]
    """Natural logarithm of a normal float32 above 0: Cephes' logf (Moshier)."""
    bits = _F(value).view(np.int32)
    exponent = _I(_I(bits - _I(0x3F3504F3)) >> _I(23))
    z = _I(bits - _I(exponent << _I(23))).view(np.float32) - _F(1)
    y = _F(7.0376836292e-2)
    y = y * z + _F(-1.1514610310e-1)
    y = y * z + _F(1.1676998740e-1)
    y = y * z + _F(-1.2420140846e-1)
    y = y * z + _F(1.4249322787e-1)
    y = y * z + _F(-1.6668057665e-1)
    y = y * z + _F(2.0000714765e-1)
    y = y * z + _F(-2.4999993993e-1)
    y = y * z + _F(3.3333331174e-1)
    square = z * z
    return y * z * square - _F(0.5) * square + z + _F(exponent) * _LN2


@compiled(fastmath=_FAST)
def _radius(word):  # type: ignore[no-untyped-def]
    """sqrt(-2 ln u) of u = (word + 1/2) / 2^32."""
    twice = _F(-2) * _log((_F(word) + _F(0.5)) * _F(2.0**-32))
    return np.sqrt(twice if twice > _F(0) else _F(0))


@compiled(fastmath=_FAST)
def _kept_share(word, inside, miss):  # type: ignore[no-untyped-def]
    """Share of normals beyond the one that ``word`` draws, to both sides: below ``1 - inside``
    with chance ``miss``, else above."""
    u = (_F(_I(word & _U(0x7FFFFFFF))) + _F(0.5)) * _F(2.0**-31)
    beyond = (_F(1) - inside) * (u / miss)
    within = _F(1) - inside * ((u - miss) / (_F(1) - miss))
    return beyond if u < miss else within


@compiled(fastmath=_FAST)
def _central_quantile(share):  # type: ignore[no-untyped-def]
    """sqrt(2) erfinv(1 - share) for a share above 0.0034: Giles' polynomial for single precision
    (GPU Computing Gems Jade, 2010)."""
    w = -_log(share * (_F(2) - share)) - _F(2.5)
    p = _F(2.81022636e-08)
    p = p * w + _F(3.43273939e-07)
    p = p * w + _F(-3.5233877e-06)
    p = p * w + _F(-4.39150654e-06)
    p = p * w + _F(0.00021858087)
    p = p * w + _F(-0.00125372503)
    p = p * w + _F(-0.00417768164)
    p = p * w + _F(0.246640727)
    p = p * w + _F(1.50140941)
    return _ROOT2 * (_F(1) - share) * p


@compiled(fastmath=_FAST)
def _tail_quantile(share):  # type: ignore[no-untyped-def]
    """As ``_central_quantile``, for the rest."""
    w = np.sqrt(-_log(share * (_F(2) - share))) - _F(3)
    p = _F(-0.000200214257)
    p = p * w + _F(0.000100950558)
    p = p * w + _F(0.00134934322)
    p = p * w + _F(-0.00367342844)
    p = p * w + _F(0.00573950773)
    p = p * w + _F(-0.0076224613)
    p = p * w + _F(0.00943887047)
    p = p * w + _F(1.00167406)
    p = p * w + _F(2.83297682)
    return _ROOT2 * (_F(1) - share) * p


@compiled(fastmath=_FAST)
def _direction(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of a uniform angle: thirty bits within a quarter, two choose the quarter.

    The polynomials are Cephes' sinf and cosf (Moshier), good to one part in 2^24.
    """
    t = _F(_I(_I(word & _U(0x3FFFFFFF)) - _I(0x20000000))) * _QUARTER
    square = t * t
    s = _F(8.3321608736e-3) + square * _F(-1.9515295891e-4)
    s = t * (_F(1) + square * (_F(-1.6666654611e-1) + square * s))
    c = _F(-1.388731625493765e-3) + square * _F(2.443315711809948e-5)
    c = _F(1) - _F(0.5) * square + square * square * (_F(4.166664568298827e-2) + square * c)
    turn = word & _U(0x40000000)
    first = -s if turn else c
    second = c if turn else s
    back = word & _U(0x80000000)
    return (-first if back else first), (-second if back else second)


@compiled(fastmath=_FAST)
def _fill_pairs(out, low, high, counters, lane):  # type: ignore[no-untyped-def]
    for n in range(low.size):
        k0, k1 = low[n], high[n]
        first, second, counter = out[0, n], out[1, n], counters[n]
        for i in range(counter.size):
            a, b = threefry(k0, k1, counter[i], lane)
            radius = _radius(a)
            c, s = _direction(b)
            first[i] = radius * c
            second[i] = radius * s


@compiled(fastmath=_FAST)
def _fill_kept(out, low, high, counters, lane, inside, miss):  # type: ignore[no-untyped-def]
    shares, signs = np.empty((2, 512), np.float32), np.empty((2, 512), np.float32)
    for n in range(low.size):
        k0, k1 = low[n], high[n]
        for begin in range(0, counters.shape[1], 512):
            counter = counters[n, begin : begin + 512]
            for i in range(counter.size):
                a, b = threefry(k0, k1, counter[i], lane)
                shares[0, i] = _kept_share(a, inside, miss)
                shares[1, i] = _kept_share(b, inside, miss)
                signs[0, i] = _F(-1) if a & _U(0x80000000) else _F(1)
                signs[1, i] = _F(-1) if b & _U(0x80000000) else _F(1)
            for leg in range(2):
                share, sign, row = shares[leg], signs[leg], out[leg, n, begin : begin + 512]
                for i in range(row.size):
                    row[i] = sign[i] * _central_quantile(share[i])
                for i in range(row.size):  # rare: by itself, so that the loop above is a vector's
                    if share[i] < _F(0.0034):
                        row[i] = sign[i] * _tail_quantile(max(share[i], _F(1e-30)))


@compiled()
def _fill_uniforms(out, low, high, counters, lane):  # type: ignore[no-untyped-def]
    for n in range(low.size):
        k0, k1 = low[n], high[n]
        row, counter = out[n], counters[n]
        for i in range(counter.size):
            a, _ = threefry(k0, k1, counter[i], lane)
            row[i] = _F(_I(_U(a >> _U(8))) + _I(1)) * _F(2.0**-24)


@compiled(fastmath=_FAST)
def _fill_positions(out, low, high, begin, lane):  # type: ignore[no-untyped-def]
    bands, count, cols = out.shape
    for n in range(bands):
        k0, k1 = low[n], high[n]
        at = 0
        if begin & 1:  # the odd half of a pair
            row = out[n, 0]
            for j in range(cols):
                a, b = threefry(k0[j], k1[j], _U(begin >> 1), lane)
                _, s = _direction(b)
                row[j] = _radius(a) * s
            at = 1
        while at + 1 < count:
            even, odd = out[n, at], out[n, at + 1]
            q = _U((begin + at) >> 1)
            for j in range(cols):
                a, b = threefry(k0[j], k1[j], q, lane)
                radius = _radius(a)
                c, s = _direction(b)
                even[j] = radius * c
                odd[j] = radius * s
            at += 2
        if at < count:
            row = out[n, at]
            for j in range(cols):
                a, b = threefry(k0[j], k1[j], _U((begin + at) >> 1), lane)
                c, _ = _direction(b)
                row[j] = _radius(a) * c
