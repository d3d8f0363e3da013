"""The table of OpenPAL v0 formats, and the exact powers that every table is made of.

    value = (-1)^s * 2^((S - depth[c]) / 2^m)

``c`` is the magnitude code (0 means zero), ``S`` the scale of the block, ``m`` the number of
fraction bits of the log grid. All levels of all formats lie on such grids, so a product is one
integer addition. OpenPAL is our own open definition (docs/pal.md); it is not Lemurian Labs' PAL.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import InputError

Array = TypeVar("Array", bound=npt.NDArray[Any])

#: Fraction bits of a block's scale: one step is 1/16 octave.
SCALE_BITS = 4
#: Largest block exponent of a number; one more marks a block of NaN.
MAX_EXPONENT = 254
NAN_EXPONENT = 255


@dataclass(frozen=True, slots=True, eq=False)
class Format:
    """One width of OpenPAL. Compared by identity: the formats are those of :data:`FORMATS`.

    ``depths`` holds the distance of each level below the block's scale, from the largest level
    down, in units of 2^-``grid_bits`` octave. ``search`` is the number of scale steps (1/16
    octave) tried on each side when weights are encoded offline. ``table_bits`` and ``guard_bits``
    are the width of the antilog table and of the extra bits kept below it in a block's sum.
    """

    name: str
    bits: int
    block: int
    grid_bits: int
    depths: tuple[int, ...]
    table_bits: int = 8
    guard_bits: int = 4
    search: int = 2

    @property
    def top(self) -> int:
        """The magnitude code of the largest level; levels are codes 1..top."""
        return len(self.depths)

    @property
    def sign_bit(self) -> int:
        return 1 << (self.bits - 1)

    @property
    def has_nan_code(self) -> bool:
        """Whether one element can be NaN (minus zero); narrow formats mark the whole block."""
        return self.bits >= 8

    @property
    def block_bytes(self) -> int:
        """Bytes of one block's packed codes, without its exponent."""
        return self.block * self.bits // 8

    @property
    def bits_per_value(self) -> float:
        """Stored bits per value, the block's exponent included."""
        return self.bits + 8 / self.block

    @property
    def octaves(self) -> float:
        """Distance between the largest and the smallest level, in octaves."""
        return self.depths[-1] / (1 << self.grid_bits)


def space_by_power(levels: int, grid_bits: int, power: float, octaves: float) -> tuple[int, ...]:
    """Depths of ``levels`` levels over ``octaves`` octaves, at equal distances of level**power.

    ``power`` 1 spaces them as integers do, a small power as a pure log format; each depth is
    snapped to the grid and is at least one step below the one above.
    """
    depths: list[int] = []
    for i in range(levels):
        fraction = 1 - i * (1 - 2.0 ** (-power * octaves)) / (levels - 1)
        depth = round(-math.log2(fraction) / power * (1 << grid_bits))
        depths.append(depth if not depths else max(depth, depths[-1] + 1))
    return tuple(depths)


#: Levels of the 4-bit formats, in 1/16 octave: fitted offline to mixtures of Gaussian, Laplace
#: and long-tailed samples, then snapped to the grid.
FOUR_BIT_DEPTHS = (0, 6, 13, 20, 30, 43, 63)
_EIGHT_BIT_DEPTHS = space_by_power(127, 6, 0.65, 11)

FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("pal4", 4, 16, 4, FOUR_BIT_DEPTHS, search=8),
        Format("pal4k32", 4, 32, 4, FOUR_BIT_DEPTHS, search=8),
        Format("pal6", 6, 32, 5, space_by_power(31, 5, 0.55, 7), search=4),
        Format("pal8", 8, 32, 6, _EIGHT_BIT_DEPTHS, table_bits=9),
        Format("pal8lite", 8, 32, 5, space_by_power(127, 5, 0.6, 10)),
        Format("pal8k16", 8, 16, 6, _EIGHT_BIT_DEPTHS, table_bits=9),
        Format("pal16", 16, 32, 10, tuple(range(32767)), table_bits=16, guard_bits=6, search=0),
    )
}


def find_format(name: str | Format) -> Format:
    """The format called ``name``. Raises InputError when there is none."""
    if isinstance(name, Format):
        return name
    if name not in FORMATS:
        raise InputError(f"a PAL format must be one of {', '.join(FORMATS)}, not {name!r}")
    return FORMATS[name]


@cache
def fraction_powers(grid_bits: int) -> npt.NDArray[np.float64]:
    """2^(f / 2^grid_bits) for f = 0 .. 2^grid_bits - 1, each rounded once to float64.

    Computed in decimal arithmetic, so that no machine's exp2 decides a last bit.
    """
    context = Context(prec=40)
    steps = 1 << grid_bits
    powers = [float(context.power(Decimal(2), Decimal(f) / steps)) for f in range(steps)]
    return _frozen(np.array(powers))


@cache
def antilog_table(grid_bits: int, table_bits: int) -> npt.NDArray[np.int64]:
    """round(2^(f / 2^grid_bits) * 2^table_bits): the only table of the dot-product datapath."""
    return _frozen(np.rint(np.ldexp(fraction_powers(grid_bits), table_bits)).astype(np.int64))


def power_of_grid(logs: npt.NDArray[np.integer], grid_bits: int) -> npt.NDArray[np.float64]:
    """2^(logs / 2^grid_bits) in float64: one table entry times an exact power of two."""
    logs = np.asarray(logs, dtype=np.int64)
    table = fraction_powers(grid_bits)
    with np.errstate(over="ignore", under="ignore"):
        return np.ldexp(table[logs & (len(table) - 1)], (logs >> grid_bits).astype(np.int32))


@cache
def code_depths(format: Format) -> npt.NDArray[np.int64]:
    """Depth of each magnitude code 0..top; the entry of code 0 (zero) is not used."""
    return _frozen(np.array([0, *reversed(format.depths)], dtype=np.int64))


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
