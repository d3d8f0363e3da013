"""Element codes packed into bytes: two 4-bit codes a byte, four 6-bit codes three bytes.

The first code of a group sits in the low bits. 16-bit codes are stored low byte first.
"""

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def pack_codes(codes: Codes, bits: int) -> npt.NDArray[np.uint8]:
    """Codes [..., n] as bytes [..., n * bits / 8]."""
    if bits == 16:
        return np.ascontiguousarray(codes, dtype="<u2").view(np.uint8)
    codes = codes.astype(np.uint8, copy=False)
    if bits == 8:
        return codes
    if bits == 4:
        return np.bitwise_or(codes[..., 0::2], codes[..., 1::2] << 4, dtype=np.uint8)
    a, b, c, d = (codes[..., i::4] for i in range(4))
    packed = np.stack([a | (b << 6), (b >> 2) | (c << 4), (c >> 4) | (d << 2)], axis=-1)
    return packed.reshape(*codes.shape[:-1], -1)


def unpack_codes(packed: npt.NDArray[np.uint8], bits: int) -> Codes:
    """Bytes [..., m] as codes [..., m * 8 / bits]; the inverse of :func:`pack_codes`."""
    packed = np.ascontiguousarray(packed)
    if bits == 16:
        return packed.view("<u2")
    if bits == 8:
        return packed
    if bits == 4:
        pair = np.stack([packed & 15, packed >> 4], axis=-1)
        return pair.reshape(*packed.shape[:-1], -1)
    a, b, c = (packed[..., i::3] for i in range(3))
    four = np.stack([a & 63, (a >> 6) | ((b & 15) << 2), (b >> 4) | ((c & 3) << 4), c >> 2], -1)
    return four.reshape(*packed.shape[:-1], -1)
