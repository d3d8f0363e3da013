"""Encoding to OpenPAL: nearest code in value, with a search for each block's scale.

Offline (weights) the scales around log2 of the block's largest magnitude are tried and the one
with the least squared error is kept. Activations take the smallest scale that is not below the
largest magnitude (``search=0``): one comparison per block, as hardware would do it.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .array import PalArray
from .formats import (
    MAX_EXPONENT,
    SCALE_BITS,
    Format,
    code_depths,
    find_format,
    fraction_powers,
    power_of_grid,
)
from .packing import pack_codes
from .parallel import for_row_ranges

#: A block without a finite number except zero takes the least scale, whatever the tensor's; one
#: with nothing but infinities takes the greatest.
_LEAST_SCALE, _GREATEST_SCALE = 1 << 20, -(1 << 20)
#: The scale (2^127) of a tensor that has infinities and no other numbers.
_INFINITE_TENSOR = 127 << SCALE_BITS
#: Scales beyond +-2^900 are brought near 1 first, so that no intermediate power overflows.
_EXTREME_OCTAVES = 900


def encode(
    x: npt.ArrayLike, format: str | Format = "pal8", axis: int = -1, search: int | None = None
) -> PalArray:
    """``x`` in a PAL format, cut into blocks along ``axis``.

    Each element takes the level nearest in value (of two equally near the larger). ``search`` is
    the number of scale steps tried on each side; None takes the format's own (for weights), 0 the
    ceiling of the block's maximum (for activations). A NaN stays NaN (in 4 and 6 bits its whole
    block does), an infinity becomes the largest level of its block, -0 becomes 0.

    Raises InputError for an unknown format, complex or non-numeric data, no such axis, or a
    negative ``search``.
    """
    spec = find_format(format)
    values = _as_float(x)
    if not -values.ndim <= axis < values.ndim:
        raise InputError(f"axis {axis} must be one of the {values.ndim} axes of the tensor")
    steps = spec.search if search is None else search
    if steps < 0:
        raise InputError(f"search must not be negative, not {steps}")
    axis %= values.ndim
    lines = np.moveaxis(values, axis, -1)
    blocks = _cut_blocks(lines, spec.block)
    codes, exponents, tensor_exponent = _encode_blocks(blocks, spec, steps)
    outer = (*lines.shape[:-1], -(-lines.shape[-1] // spec.block))
    return PalArray(
        pack_codes(codes, spec.bits).reshape(*outer, spec.block_bytes),
        exponents.reshape(outer),
        tensor_exponent,
        spec.name,
        values.shape,
        axis,
    )


def _as_float(x: npt.ArrayLike) -> npt.NDArray[Any]:
    array = x.decode() if isinstance(x, PalArray) else np.asarray(x)
    if array.dtype in (np.float32, np.float64):
        return array
    if array.dtype.kind in "cOSUMm":
        raise InputError(f"PAL encodes real numbers, not {array.dtype}")
    return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)


def _cut_blocks(lines: npt.NDArray[Any], block: int) -> npt.NDArray[Any]:
    """Lines [..., n] as contiguous blocks [b, block]; the last of a line is padded with zeros."""
    padding = -lines.shape[-1] % block
    if padding:
        lines = np.pad(lines, [(0, 0)] * (lines.ndim - 1) + [(0, padding)])
    return np.ascontiguousarray(lines).reshape(-1, block)


def _encode_blocks(
    blocks: npt.NDArray[Any], spec: Format, search: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint8], int]:
    from . import kernels

    count = len(blocks)
    codes = np.empty((count, spec.block), np.uint8 if spec.bits <= 8 else np.uint16)
    exponents = np.empty(count, np.uint8)
    largest = np.empty(count)
    special = np.empty(count, np.uint8)
    for_row_ranges(
        lambda rows: kernels.scan_blocks(blocks[rows], largest[rows], special[rows]),
        count,
        spec.block,
    )
    octaves = _octaves_to_remove(largest)
    if octaves:
        blocks = np.ldexp(blocks.astype(np.float64), -octaves)
        largest = np.ldexp(largest, -octaves)

    live = largest > 0
    scales = block_scales(largest[live], nearest=search > 0)
    if live.any():
        tensor_exponent = int(scales.max()) + search
    else:
        tensor_exponent = _INFINITE_TENSOR if (special & 2).any() else 0
    start = np.full(count, _LEAST_SCALE, np.int64)
    start[~live & ((special & 2) != 0)] = _GREATEST_SCALE
    start[live] = tensor_exponent - scales

    shift = spec.grid_bits - SCALE_BITS
    grid = (tensor_exponent - np.arange(MAX_EXPONENT + 1)) << shift
    inverse, scale = power_of_grid(-grid, spec.grid_bits), power_of_grid(grid, spec.grid_bits)
    quantiser = make_quantiser(spec)

    def run(rows: slice) -> None:
        kernels.encode_blocks(
            blocks[rows],
            start[rows],
            special[rows],
            search,
            inverse,
            scale,
            quantiser.cells,
            quantiser.first_cell,
            quantiser.cell_shift,
            quantiser.thresholds,
            quantiser.levels,
            spec.sign_bit,
            spec.has_nan_code,
            codes[rows],
            exponents[rows],
        )

    for_row_ranges(run, count, spec.block * (1 + 2 * search))
    return codes, exponents, tensor_exponent + (octaves << SCALE_BITS)


def _octaves_to_remove(largest: npt.NDArray[np.float64]) -> int:
    exponent = int(np.frexp(largest.max(initial=0.0))[1])
    return exponent if abs(exponent) > _EXTREME_OCTAVES else 0


def block_scales(largest: npt.NDArray[np.float64], nearest: bool) -> npt.NDArray[np.int64]:
    """log2 of positive numbers in 1/16 octave, rounded to nearest or up.

    By comparison with the powers themselves: no logarithm's last bit can change the result, and
    a power of the grid is always its own ceiling.
    """
    mantissa, exponent = np.frexp(largest)
    if nearest:
        edges = fraction_powers(SCALE_BITS + 1)[1::2]
        steps = np.searchsorted(edges, 2 * mantissa, side="left")
    else:
        steps = np.searchsorted(fraction_powers(SCALE_BITS), 2 * mantissa, side="left")
    return ((exponent.astype(np.int64) - 1) << SCALE_BITS) + steps


@dataclass(frozen=True, slots=True)
class Quantiser:
    """Finds the nearest level of y >= 0 (in units of the block's scale) without a search.

    The top bits of the float64 y name a cell (``bits(y) >> cell_shift``, less ``first_cell``);
    ``cells`` holds the code at the cell's lower edge. Cells are so fine that at most one threshold
    lies inside, so one comparison with ``thresholds[code]`` finishes the rounding exactly.
    """

    cells: npt.NDArray[np.uint16]
    first_cell: int
    cell_shift: int
    thresholds: npt.NDArray[np.float64]
    levels: npt.NDArray[np.float64]


@cache
def make_quantiser(spec: Format) -> Quantiser:
    """The tables of :class:`Quantiser` for one format."""
    levels = power_of_grid(-code_depths(spec), spec.grid_bits)
    levels[0] = 0.0
    midpoints = (levels[:-1] + levels[1:]) / 2
    lowest = int(np.frexp(midpoints[0])[1]) - 2  # below the first threshold: cell 0 means zero
    for mantissa_bits in range(4, 53):
        cell_shift = 52 - mantissa_bits
        first_cell = (1023 + lowest) << mantissa_bits
        count = (2 - lowest) << mantissa_bits
        edges = ((first_cell + np.arange(count + 1)) << cell_shift).view(np.float64)
        codes = np.searchsorted(midpoints, edges, side="right")
        if np.diff(codes).max() <= 1:
            break
    thresholds = np.append(midpoints, np.inf)
    return Quantiser(codes[:-1].astype(np.uint16), first_cell, cell_shift, thresholds, levels)
