"""``semc.pal``: the OpenPAL number format (our own open definition, docs/pal.md)."""

from .backends.pal.openpal import (
    FLOAT_FORMATS,
    FORMATS,
    Format,
    Logs,
    PalArray,
    decode,
    dot_exact,
    encode,
    logs,
    matmul,
    matmul_bound,
    matmul_exact,
    multiply,
    quantize,
    round_to,
)

__all__ = [
    "FLOAT_FORMATS",
    "FORMATS",
    "Format",
    "Logs",
    "PalArray",
    "decode",
    "dot_exact",
    "encode",
    "logs",
    "matmul",
    "matmul_bound",
    "matmul_exact",
    "multiply",
    "quantize",
    "round_to",
]
