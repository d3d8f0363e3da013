"""Counter-based random streams, vectorised over keys.

Every draw is a function of a key (seed, site, effect) and a counter (cell, or read position), so a
result does not depend on how work was batched or ordered, and an array keeps its own device
instance wherever the matrix on it comes from. The generator is SplitMix64 (Steele, Lea, Flood,
OOPSLA 2014; passes BigCrush) read at arbitrary counters; normals are its two 32-bit halves through
Box-Muller. The idea of keyed counters is that of Salmon et al., SC 2011.
"""

import numpy as np
from numpy.typing import NDArray

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_LOW = int.from_bytes(np.array([1], np.uint64).tobytes()[:1], "little") ^ 1
"""Index of the low 32-bit half of a native uint64."""

Keys = NDArray[np.uint64]


def mix(value: Keys) -> Keys:
    """SplitMix64's finaliser, in place; returns ``value``."""
    value ^= value >> np.uint64(30)
    value *= _M1
    value ^= value >> np.uint64(27)
    value *= _M2
    value ^= value >> np.uint64(31)
    return value


def derive_key(*words: int | NDArray[np.integer]) -> Keys:
    """A key from integers or integer arrays (broadcast together); order matters."""
    key = np.zeros((), np.uint64)
    with np.errstate(over="ignore"):
        for word in words:
            value = np.asarray(word & 0xFFFFFFFFFFFFFFFF if isinstance(word, int) else word)
            mixed = np.array((key ^ value.astype(np.uint64)) + _GAMMA, np.uint64)
            key = mix(mixed.reshape(-1)).reshape(mixed.shape)
    return key


def at_counter(keys: Keys, counters: Keys) -> Keys:
    """64 random bits of each key at each counter (broadcast)."""
    with np.errstate(over="ignore"):
        return mix(np.atleast_1d(keys + counters * _GAMMA))


def uniforms(keys: Keys, counters: Keys) -> NDArray[np.float32]:
    """Uniform in (0, 1], one per key and counter."""
    high = (at_counter(keys, counters) >> np.uint64(40)).astype(np.float32)
    return (high + np.float32(1)) * np.float32(2.0**-24)


def normal_pairs(keys: Keys, counters: Keys) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two independent standard normals per key and counter."""
    halves = at_counter(keys, counters).view(np.uint32)
    radius = halves[..., _LOW::2].astype(np.float32)
    radius += np.float32(0.5)
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    radius *= np.float32(-2)
    np.maximum(radius, np.float32(0), out=radius)
    np.sqrt(radius, out=radius)
    angle = halves[..., 1 - _LOW :: 2].astype(np.float32)
    angle *= np.float32(2 * np.pi * 2.0**-32)
    first = np.cos(angle)
    first *= radius
    np.sin(angle, out=angle)
    angle *= radius
    return first, angle


def normals(keys: Keys, counters: Keys) -> NDArray[np.float32]:
    """One standard normal per key and counter."""
    return normal_pairs(keys, counters)[0]


def position_normals(keys: Keys, first: int, count: int) -> NDArray[np.float32]:
    """Normals ``[..., count, n]`` of ``keys[..., 1, n]`` at positions ``first ... first+count-1``.

    Positions 2q and 2q+1 share the two normals of counter q, so ``first`` may be any position and
    a position's value does not depend on which others are asked for.
    """
    low = first // 2
    counters = np.arange(low, (first + count + 1) // 2, dtype=np.uint64)[:, None]
    even, odd = normal_pairs(keys, counters)
    if count == 1:
        return odd if first & 1 else even
    both = np.stack((even, odd), axis=-2)
    both = both.reshape(*both.shape[:-3], -1, both.shape[-1])
    start = first - 2 * low
    return both[..., start : start + count, :]
