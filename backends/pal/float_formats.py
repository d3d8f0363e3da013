"""The ordinary floating-point formats that CPUs and GPUs of a mesh compute in."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """An IEEE-style float: ``bits`` stored per value, ``mantissa_bits`` without the hidden one."""

    name: str
    bits: int
    mantissa_bits: int
    max_exponent: int

    @property
    def bits_per_value(self) -> float:
        return float(self.bits)

    @property
    def dtype(self) -> np.dtype[Any]:
        return _dtype(self.name)


FLOAT_FORMATS: dict[str, FloatFormat] = {
    f.name: f
    for f in (
        FloatFormat("fp32", 32, 23, 127),
        FloatFormat("bf16", 16, 7, 127),
        FloatFormat("fp16", 16, 10, 15),
    )
}


def round_to(x: npt.ArrayLike, format: str | FloatFormat) -> npt.NDArray[np.float32]:
    """``x`` rounded to nearest-even in ``format``, as float32.

    Beyond the format's range the result is infinite, as in IEEE 754. Raises InputError for an
    unknown format.
    """
    name = format.name if isinstance(format, FloatFormat) else format
    if name not in FLOAT_FORMATS:
        raise InputError(f"a float format must be one of {', '.join(FLOAT_FORMATS)}, not {name!r}")
    values = np.asarray(x)
    with np.errstate(over="ignore"):
        return values.astype(_dtype(name)).astype(np.float32)


@cache
def _dtype(name: str) -> np.dtype[Any]:
    if name == "bf16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(np.float16 if name == "fp16" else np.float32)
