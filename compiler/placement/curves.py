"""Orders of the sites of a grid in which neighbours in the order are neighbours in space."""

from functools import lru_cache

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
    """Order of the points layer by layer, in each along a curve over the rectangle, to and fro."""
    layer, row, col = np.asarray(coordinates).T
    rows, cols = int(row.max(initial=0)) + 1, int(col.max(initial=0)) + 1
    plane = rectangle_ranks(rows, cols)[row, col]
    return np.lexsort((np.where(layer % 2 == 0, plane, -plane), layer))


@lru_cache(64)
def rectangle_ranks(rows: int, cols: int) -> np.ndarray:
    """Place of each (row, col) on a curve like Hilbert's through a rectangle, int64 [rows, cols].

    Next in order are next in space, but for a diagonal step where a side is odd. A rectangle much
    longer than wide is halved; another one is cut in three, the first and the last a turn of the
    curve by a right angle (Hamilton and Rau-Chaplin, "Compact Hilbert indices: space-filling
    curves for domains with unequal side lengths", Information Processing Letters 105, 2008, cut in
    a like way).
    """
    ranks = np.empty((rows, cols), np.int64)
    along, across = ((1, cols), (0, rows)) if cols >= rows else ((0, rows), (1, cols))
    place = 0
    # Rectangles still to be filled, the next on top: corner, and the two sides as vectors.
    sides = [_vector(*along), _vector(*across)]
    stack = [((0, 0), *sides)]
    while stack:
        corner, a, b = stack.pop()
        length, width = abs(a[0] + a[1]), abs(b[0] + b[1])
        if length == 1 or width == 1:
            run = a if width == 1 else b
            count = max(length, width)
            step = np.arange(count)
            r, c = (corner[k] + step * _sign(run[k]) for k in (0, 1))
            ranks[r, c] = place + step
            place += count
            continue
        stack += reversed(_parts(corner, a, b, length, width))
    return ranks


_Vector = tuple[int, int]


def _parts(
    corner: _Vector, a: _Vector, b: _Vector, length: int, width: int
) -> list[tuple[_Vector, _Vector, _Vector]]:
    """The pieces of a rectangle in the order of the curve, which begins at ``corner`` and ends at
    the end of ``a``."""
    if 2 * length > 3 * width:
        first = _half(a, length)
        return [(corner, first, b), (_add(corner, first), _sub(a, first), b)]
    near, half = _half(b, width), _half_down(a)
    end = _add(_add(corner, _sub(a, _unit(a))), _sub(near, _unit(near)))
    return [
        (corner, near, half),
        (_add(corner, near), a, _sub(b, near)),
        (end, _negative(near), _negative(_sub(a, half))),
    ]


def _half(v: _Vector, size: int) -> _Vector:
    """Half of a side, an even length where the side is longer than 2."""
    half = size // 2
    if half % 2 and size > 2:
        half += 1
    return half * _sign(v[0]), half * _sign(v[1])


def _half_down(v: _Vector) -> _Vector:
    half = abs(v[0] + v[1]) // 2
    return half * _sign(v[0]), half * _sign(v[1])


def _vector(axis: int, size: int) -> _Vector:
    return (size, 0) if axis == 0 else (0, size)


def _unit(v: _Vector) -> _Vector:
    return _sign(v[0]), _sign(v[1])


def _sign(x: int) -> int:
    return (x > 0) - (x < 0)


def _add(a: _Vector, b: _Vector) -> _Vector:
    return a[0] + b[0], a[1] + b[1]


def _sub(a: _Vector, b: _Vector) -> _Vector:
    return a[0] - b[0], a[1] - b[1]


def _negative(v: _Vector) -> _Vector:
    return -v[0], -v[1]


def _bits(coordinates: np.ndarray) -> int:
    return max(1, int(coordinates.max(initial=0)).bit_length())
