"""Orders of the sites of a grid in which neighbours in the order are neighbours in space."""

import numpy as np


def hilbert_index(coordinates: np.ndarray, bits: int) -> np.ndarray:
    """Place of each point on the Hilbert curve, int64 [n], for int [n, d] below ``2**bits``.

    Needs ``bits * d`` to be 63 at most.

    Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707 (2004) 381, on whole columns.
    """
    kind = "int32" if bits * coordinates.shape[1] < 32 else "int64"  # half the time
    x = [np.array(column, np.dtype(kind)) for column in np.asarray(coordinates).T]
    top = 1 << (bits - 1)
    q = top
    while q > 1:
        p = q - 1
        for axis in range(len(x)):
            upper = (x[axis] & q) != 0
            swap = np.where(upper, 0, (x[0] ^ x[axis]) & p)
            x[0] ^= np.where(upper, p, swap)
            x[axis] ^= swap
        q >>= 1
    for axis in range(1, len(x)):
        x[axis] ^= x[axis - 1]
    turn = np.zeros_like(x[0])
    q = top
    while q > 1:
        turn ^= np.where((x[-1] & q) != 0, q - 1, 0)
        q >>= 1
    index = np.zeros_like(turn)
    for bit in range(bits - 1, -1, -1):
        for axis in range(len(x)):
            index = (index << 1) | (((x[axis] ^ turn) >> bit) & 1)
    return index.astype(np.int64)


def space_filling_order(coordinates: np.ndarray) -> np.ndarray:
    """Order int64 [n] of the points int [n, 3] (layer, row, col) along a 3-D Hilbert curve."""
    return np.argsort(hilbert_index(coordinates, _bits(coordinates)), kind="stable")


def layered_order(coordinates: np.ndarray) -> np.ndarray:
    """Order of the points layer by layer, in each along a 2-D Hilbert curve, to and fro."""
    plane = hilbert_index(coordinates[:, 1:], _bits(coordinates))
    layer = coordinates[:, 0]
    return np.lexsort((np.where(layer % 2 == 0, plane, -plane), layer))


def _bits(coordinates: np.ndarray) -> int:
    return max(1, int(coordinates.max(initial=0)).bit_length())
