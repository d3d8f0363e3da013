"""OpenPAL v0: the number format of the PAL machine. The public surface of the format.

    encode(x, "pal8", axis=-1) -> PalArray       quantize(x, "pal8", axis=-1) -> float32 array
    matmul(a, b)        decode and one float32 BLAS call      multiply(a, b)   exact products
    matmul_exact(a, b)  the integer datapath, bit by bit      dot_exact(a, b)  the same, per line

OpenPAL is an open definition of our own, written down in docs/pal.md. It is not Lemurian Labs'
PAL, whose encoding is not public, and there is no affiliation.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .array import PalArray
from .dot import Logs, dot_exact, logs, matmul, matmul_bound, matmul_exact, multiply
from .encode import encode
from .float_formats import FLOAT_FORMATS, FloatFormat, round_to
from .formats import FORMATS, Format, find_format

__all__ = [
    "FLOAT_FORMATS",
    "FORMATS",
    "FloatFormat",
    "Format",
    "Logs",
    "PalArray",
    "decode",
    "dot_exact",
    "encode",
    "find_format",
    "logs",
    "matmul",
    "matmul_bound",
    "matmul_exact",
    "multiply",
    "quantize",
    "round_to",
]


def decode(x: PalArray, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """The values of a PAL tensor: ``x.decode(dtype)``."""
    return x.decode(dtype)


def quantize(
    x: npt.ArrayLike, format: str | Format, axis: int = -1, search: int | None = None
) -> npt.NDArray[np.float32]:
    """``x`` as it comes back from ``format`` (a PAL format, or "fp32", "bf16", "fp16").

    ``axis`` and ``search`` are those of :func:`encode`; a float format needs neither. Raises
    InputError for an unknown format.
    """
    if isinstance(format, str) and format in FLOAT_FORMATS:
        return round_to(x, format)
    return encode(x, format, axis, search).decode()
