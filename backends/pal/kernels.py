"""The hot loops of OpenPAL, compiled by numba. Import late: numba takes half a second to load.

Every loop is over independent blocks (or output elements) and releases the interpreter lock, so
callers may split the work over threads without changing a bit of the result. No fast-math: the
results are those of IEEE float64 in the order written.
"""

import numpy as np
import numpy.typing as npt

from ...compiled import compiled
from .formats import MAX_EXPONENT, NAN_EXPONENT

FloatBlocks = npt.NDArray[np.float32] | npt.NDArray[np.float64]


@compiled()
def scan_blocks(
    x: FloatBlocks, largest: npt.NDArray[np.float64], special: npt.NDArray[np.uint8]
) -> None:
    """Largest finite magnitude of each block [b]; ``special``: 1 if it holds NaN, 2 infinity."""
    for b in range(x.shape[0]):
        top = 0.0
        flags = 0
        for i in range(x.shape[1]):
            v = abs(np.float64(x[b, i]))
            if v > top and v < np.inf:
                top = v
            if v != v:
                flags |= 1
            elif v == np.inf:
                flags |= 2
        largest[b] = top
        special[b] = flags


@compiled()
def encode_blocks(
    x: FloatBlocks,
    exponents: npt.NDArray[np.int64],
    special: npt.NDArray[np.uint8],
    search: int,
    inverse: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    cells: npt.NDArray[np.uint16],
    first_cell: int,
    cell_shift: int,
    thresholds: npt.NDArray[np.float64],
    levels: npt.NDArray[np.float64],
    sign_bit: int,
    has_nan_code: bool,
    codes: npt.NDArray[np.uint16],
    chosen: npt.NDArray[np.uint8],
) -> None:
    """Nearest codes of blocks x [b, k], under the scale with the least squared error.

    ``exponents`` [b] are the exponents to start from, not yet limited to 0..MAX_EXPONENT. The
    candidates go outwards from there, so that a good one is met early and the others are given
    up as soon as their error exceeds it; of equal errors the larger exponent wins.
    """
    count, block = x.shape
    magnitudes = np.empty(block)
    y = np.empty(1)
    y_bits = y.view(np.int64)
    last_cell = len(cells) - 1
    for b in range(count):
        for i in range(block):
            v = abs(np.float64(x[b, i]))
            magnitudes[i] = v if v < np.inf else 0.0
        best = min(max(exponents[b], 0), MAX_EXPONENT)
        least = np.inf
        for trial in range(2 * search + 1 if search > 0 else 0):
            step = (trial + 1) // 2 if trial % 2 == 1 else -(trial // 2)
            e = min(max(exponents[b] + step, 0), MAX_EXPONENT)
            error = 0.0
            for i in range(block):
                y[0] = magnitudes[i] * inverse[e]
                cell = min(max((y_bits[0] >> cell_shift) - first_cell, 0), last_cell)
                c = np.int64(cells[cell])
                if y[0] >= thresholds[c]:
                    c += 1
                d = (levels[c] - y[0]) * scale[e]
                error += d * d
                if (i & 7) == 7 and error > least:
                    break
            if error < least or (error == least and e > best):
                least = error
                best = e
        for i in range(block):
            y[0] = magnitudes[i] * inverse[best]
            cell = min(max((y_bits[0] >> cell_shift) - first_cell, 0), last_cell)
            c = np.int64(cells[cell])
            if y[0] >= thresholds[c]:
                c += 1
            if c > 0 and x[b, i] < 0:
                c |= sign_bit
            codes[b, i] = c
        if special[b] != 0:
            for i in range(block):
                v = np.float64(x[b, i])
                if v == np.inf:
                    codes[b, i] = sign_bit - 1
                elif v == -np.inf:
                    codes[b, i] = 2 * sign_bit - 1
                elif v != v and has_nan_code:
                    codes[b, i] = sign_bit
            if (special[b] & 1) != 0 and not has_nan_code:
                best = NAN_EXPONENT
        chosen[b] = best


@compiled()
def decode_blocks(
    codes: npt.NDArray[np.uint16],
    exponents: npt.NDArray[np.uint8],
    depths: npt.NDArray[np.int64],
    values: FloatBlocks,
    steps_per_exponent: int,
    sign_bit: int,
    out: FloatBlocks,
) -> None:
    """Values of codes [b, k]: ``values[d]`` is the power that lies d grid steps below the top."""
    for b in range(codes.shape[0]):
        e = np.int64(exponents[b])
        if e == NAN_EXPONENT:
            out[b, :] = np.nan
            continue
        base = e * steps_per_exponent
        for i in range(codes.shape[1]):
            code = np.int64(codes[b, i])
            c = code & (sign_bit - 1)
            if c == 0:
                out[b, i] = np.nan if code != 0 else 0.0
            elif code & sign_bit:
                out[b, i] = -values[base + depths[c]]
            else:
                out[b, i] = values[base + depths[c]]


@compiled()
def _dot_row(
    a: npt.NDArray[np.int32],
    b: npt.NDArray[np.int32],
    a_scales: npt.NDArray[np.int64],
    b_scales: npt.NDArray[np.int64],
    antilogs: npt.NDArray[np.int64],
    grid_bits: int,
    lowest: int,
) -> float:
    """One dot product of planes [blocks, k], in units of 2^lowest times the table's unit.

    Each block's integer sum is shifted into one long accumulator of two words: no rounding
    happens before the end, so neither the order of terms nor that of blocks matters.
    """
    mask = (1 << grid_bits) - 1
    low = np.int64(0)
    high = np.int64(0)
    for n in range(a.shape[0]):
        total_scale = a_scales[n] + b_scales[n]
        fraction = total_scale & mask
        part = np.int64(0)
        for i in range(a.shape[1]):
            u = fraction - (a[n, i] >> 1) - (b[n, i] >> 1)
            term = antilogs[u & mask] >> min(-(u >> grid_bits), 62)
            sign = np.int64((a[n, i] ^ b[n, i]) & 1)
            part += (term ^ -sign) + sign
        part = part << ((total_scale >> grid_bits) - lowest)
        low += part & 0xFFFFFFFF
        high += part >> 32
    high += low >> 32
    return np.float64(high) * 4294967296.0 + np.float64(low & 0xFFFFFFFF)


@compiled()
def dot_rows(
    a: npt.NDArray[np.int32],
    b: npt.NDArray[np.int32],
    a_scales: npt.NDArray[np.int64],
    b_scales: npt.NDArray[np.int64],
    antilogs: npt.NDArray[np.int64],
    grid_bits: int,
    lowest: int,
    out: npt.NDArray[np.float64],
) -> None:
    """out[r] = a[r] . b[r] for planes [r, blocks, k]."""
    for r in range(a.shape[0]):
        out[r] = _dot_row(a[r], b[r], a_scales[r], b_scales[r], antilogs, grid_bits, lowest)


@compiled()
def dot_all_pairs(
    a: npt.NDArray[np.int32],
    b: npt.NDArray[np.int32],
    a_scales: npt.NDArray[np.int64],
    b_scales: npt.NDArray[np.int64],
    antilogs: npt.NDArray[np.int64],
    grid_bits: int,
    lowest: int,
    out: npt.NDArray[np.float64],
) -> None:
    """out[i, j] = a[i] . b[j] for planes a [m, blocks, k] and b [n, blocks, k]."""
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            out[i, j] = _dot_row(a[i], b[j], a_scales[i], b_scales[j], antilogs, grid_bits, lowest)
