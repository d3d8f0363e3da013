"""Rounding of numbers to float8 as ONNX has it, written into a map body.

Where arith's ``truncf`` would give NaN or an infinity, ONNX's ``saturate`` asks for the nearest
finite value; float8e8m0, which holds powers of two only, is rounded as ``round_mode`` says.
"""

import ml_dtypes

from ....dialects.body import BodyBuilder
from ....dialects.types import dtype_named
from .scalar_formulas import clamp, compare

#: The types for which ``saturate`` makes a difference to ``truncf``.
FLOAT8 = ("f8E4M3FN", "f8E4M3FNUZ", "f8E5M2", "f8E5M2FNUZ")
_E8M0_BIAS, _E8M0_NAN = 127, 255
_F64_BIAS, _F64_FRACTION_BITS = 1023, 52
#: What is added to a float64's fraction, so that dropping it rounds ("nearest" has ties go up).
_ROUNDING = {
    "up": (1 << _F64_FRACTION_BITS) - 1,
    "nearest": 1 << (_F64_FRACTION_BITS - 1),
    "down": 0,
}


def widest(b: BodyBuilder, x: int) -> int:
    """``x`` as float64 if it is one, else as float32."""
    return x if b.types[x] == "f64" else b.cast(x, "f32")


def to_float8(b: BodyBuilder, x: int, to: str, *, saturate: bool) -> int:
    """``x`` rounded to nearest-even in one of FLOAT8; NaN stays NaN."""
    wide = widest(b, x)
    if saturate:
        largest = float(ml_dtypes.finfo(dtype_named(to)).max)
        wide = clamp(b, wide, -largest, largest)
    return b.cast(wide, to)


def to_e8m0(b: BodyBuilder, x: int, *, saturate: bool, round_mode: str) -> int:
    """``x`` as a power of two from 2^-127 to 2^127: what lies outside is clamped, or NaN.

    This follows the operator's table and ONNX Runtime; onnx's evaluator ignores the sign instead.
    """
    wide = b.cast(x, "f64")
    low, high = 2.0**-_E8M0_BIAS, 2.0**_E8M0_BIAS
    inside = clamp(b, wide, low, high)
    none = b.cmp("uno", wide, wide) if saturate else compare(b, "ne", inside, wide)
    bits = b.add(b.op("bitcast", "i64", inside), b.const(_ROUNDING[round_mode], "i64"))
    exponent = b.binary("shrui", bits, b.const(_F64_FRACTION_BITS, "i64"))
    code = b.cast(b.sub(exponent, b.const(_F64_BIAS - _E8M0_BIAS, "i64")), "i8")
    return b.op("bitcast", "f8E8M0FNU", b.select(none, b.const(_E8M0_NAN, "i8"), code))
