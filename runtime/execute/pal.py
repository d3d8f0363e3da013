"""What the devices of a mesh do to numbers: rounding to formats, products in PAL.

In exact mode nothing is rounded: encoding and decoding are the identity, a product is float32's, or
float64's of such operands.
In quantized mode values are rounded to a device's format. On a device that multiplies in PAL the
format of all other values is pal16, the wide companion, in blocks along the last axis with the
ceiling scale; infinities and magnitudes from 2^80 on (the constants of attention masks) take a
code of their own there: they neither set a block's scale nor change.
"""

from dataclasses import dataclass

import numpy as np

from ...backends.pal.openpal import PalArray, encode, matmul, matmul_exact, round_to
from ...backends.pal.work import WIDE_FORMAT, is_float, is_pal
from ...errors import InputError

#: From this magnitude on a value is a marker, not a number, to a block of pal16.
MARKER = 2.0**80


@dataclass(frozen=True, slots=True)
class Stationary:
    """A weight as a device holds it: ``values`` as decoded, ``codes`` for the exact datapath."""

    values: np.ndarray
    codes: PalArray | None = None


#: What a register of a task holds.
Register = np.ndarray | PalArray | Stationary


def round_values(x: np.ndarray, format: str) -> np.ndarray:
    """``x`` rounded to what a device of ``format`` keeps; integers and booleans as they are."""
    if format == "fp32" or not is_float(x.dtype):
        return x
    if is_pal(format):
        return _round_wide(x)
    return round_to(x, format).astype(x.dtype, copy=False)


def _round_wide(x: np.ndarray) -> np.ndarray:
    """``x`` rounded to pal16 in blocks along the last axis, markers and NaN as they are."""
    if x.size == 0:
        return x
    wide = x.astype(np.float32) if x.dtype.itemsize < 4 else x
    lines = wide.reshape(1) if wide.ndim == 0 else wide
    markers = ~(np.abs(lines) < MARKER)
    plain = np.where(markers, 0, lines) if markers.any() else lines
    rounded = encode(plain, WIDE_FORMAT, axis=-1, search=0).decode(plain.dtype)
    if markers.any():
        rounded = np.where(markers, lines, rounded)
    return rounded.reshape(x.shape).astype(x.dtype, copy=False)


def encode_values(x: Register, format: str, axis: int, search: int, exact: bool) -> Register:
    """``pal.encode``: codes of ``x`` (the values themselves in exact mode).

    pal16 keeps markers, as :func:`round_values` does, and so is held by its values.
    """
    values = values_of(x)
    if exact:
        return values
    if format == WIDE_FORMAT and axis == values.ndim - 1 and search == 0:
        return _round_wide(values)
    return encode(values, format, axis, None if search < 0 else search)


def multiply(a: Register, b: Register, bit_exact: bool, exact: bool) -> np.ndarray:
    """``pal.matmul``: float32 product of the decoded operands, or of the integer datapath.

    ``bit_exact`` needs both operands as codes. In ``exact`` mode there are none: values are
    multiplied as they are, in at least float32.
    """
    if bit_exact and not exact:
        left, right = codes_of(a), codes_of(b)
        if left is not None and right is not None:
            return matmul_exact(left, right).astype(np.float32)
    try:
        with np.errstate(all="ignore"):
            if exact:
                x, y = values_of(a), values_of(b)
                dtype = np.result_type(x, y, np.float32)
                return np.asarray(np.matmul(x.astype(dtype), y.astype(dtype)))
            return matmul(_operand(a), _operand(b))
    except ValueError as error:
        raise InputError(f"operands of a product must fit: {error}") from error


def _operand(x: Register) -> np.ndarray | PalArray:
    return x.values if isinstance(x, Stationary) else x


def values_of(x: Register) -> np.ndarray:
    """The values of a register, decoded where they are codes."""
    match x:
        case PalArray():
            return x.decode()
        case Stationary():
            return x.values
    return x


def codes_of(x: Register) -> PalArray | None:
    """The codes of a register; None for plain values."""
    match x:
        case PalArray():
            return x
        case Stationary():
            return x.codes
    return None
