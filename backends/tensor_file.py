"""The layout of a safetensors file, which programs and the weights beside textual IR share.

    file   = length u64 | header JSON, padded to 8 bytes | arrays, one after another
    header = {"__metadata__"?: strings by name, name: {"dtype", "shape", "data_offsets"}...}

Falling item sizes keep every array aligned without holes, which the format forbids.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from math import prod

import numpy as np

from ..dialects.elements import ELEMENTS

HEADER_LIMIT = 100_000_000  # the limit of the safetensors format
CHUNK_BYTES = 1 << 24
# The format has no tags for most narrow elements, and packs the rest: they are stored as bytes.
DTYPE_OF_TAG = {
    "BOOL" if e.name == "i1" else e.name.upper().replace("UI", "U"): e.dtype
    for e in ELEMENTS
    if not e.is_narrow
}
TAG_OF_DTYPE = {dtype: tag for tag, dtype in DTYPE_OF_TAG.items()}


def encode_header(
    arrays: Mapping[str, tuple[str, list[int]]], metadata: Mapping[str, str] | None = None
) -> bytes:
    """The bytes before the first array; ``arrays`` gives (tag, shape) in the order of the file."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    for name, (tag, shape) in arrays.items():
        end = offset + prod(shape) * DTYPE_OF_TAG[tag].itemsize
        header[name] = {"dtype": tag, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def header_length(prefix: bytes, size: int) -> int | None:
    """Bytes of the header by the first eight of a file of ``size`` bytes; None if it cannot be."""
    length: int = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
    return length if 2 <= length <= min(HEADER_LIMIT, size - 8) else None


def array_bytes(array: np.ndarray) -> Iterator[memoryview]:
    """Row-major bytes in pieces, so that views and broadcasts are never copied whole."""
    if array.ndim == 0 or array.flags.c_contiguous:
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
        for start in range(0, len(flat), CHUNK_BYTES):
            yield flat[start : start + CHUNK_BYTES]
    elif array.nbytes <= CHUNK_BYTES:
        yield from array_bytes(np.ascontiguousarray(array))
    else:
        for part in array:
            yield from array_bytes(part)
