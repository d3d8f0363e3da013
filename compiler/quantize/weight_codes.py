"""Integer codes of stored matrices: symmetric, one scale a column of each group.

    scale[g, n] = max_k |w[g, k, n]| / (2^(bits-1) - 1)        code = round(w / scale)

Rounding to the nearest code is exact to half a step: |code * scale - w| <= scale / 2. A column of
zeros has scale 0.
"""

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 20  # elements quantised at a time, so that float copies stay small


def quantize_columns(weight: np.ndarray, bits: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Codes int8 ``[G, K, N]`` and scale float32 ``[G, N]`` of ``weight [G, K, N]``.

    Raises ValueError for more than 8 bits, fewer than 2, or weights that are not finite.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"weight codes must have 2 to 8 bits, not {bits}")
    top = np.float32(2 ** (bits - 1) - 1)
    absmax = np.maximum(weight.max(axis=1), -weight.min(axis=1)).astype(np.float32)
    if not np.isfinite(absmax).all():
        raise ValueError("weights must be finite")
    scale = absmax / top
    # A column of denormals can have a scale that rounds to 0; it is stored as zeros.
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > np.finfo("f4").tiny)
    scale = np.where(inverse > 0, scale, np.float32(0))
    codes = np.empty(weight.shape, np.int8)
    step = max(1, _BLOCK // max(1, weight.shape[0] * weight.shape[2]))
    for begin in range(0, weight.shape[1], step):
        part = weight[:, begin : begin + step].astype(np.float32) * inverse[:, None]
        np.rint(part, out=part)
        np.clip(part, -top, top, out=part)
        codes[:, begin : begin + step] = part.astype(np.int8)
    return codes, scale.astype(np.float32)
