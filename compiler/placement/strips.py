"""Lays the arrays of a layer so that blocks of a row and of a column of a matrix lie side by side.

A matrix of K x N blocks whose shorter side is h fills columns of h arrays, one after another along
a *strip* of h rows of sites: neighbours in both directions are one hop apart. Strips of one height
lie one below the other and are filled to and fro, so that a matrix that reaches the end of one goes
on in the next. They are made as long as leaves the region nearest to a square around the port.
Arrays that find no column, or a broken site in it, take what is left, along a curve.
"""

import numpy as np

from .curves import rectangle_ranks


def strip_sites(
    matrix: np.ndarray, height: np.ndarray, allowed: np.ndarray, port: tuple[int, int]
) -> np.ndarray:
    """Site number (row * cols + col) of each array of a layer, int64 [n].

    Args:
        matrix: int [n], the matrix of each array; those of one follow each other, in the order in
            which they fill its columns.
        height: int [n], arrays in a column of its matrix.
        allowed: bool [rows, cols], sites that may be taken, ``n`` or more.
        port: (row, col) around which the strips lie.
    """
    rows, cols = allowed.shape
    height = np.minimum(height, rows)
    column, across = _columns(matrix, height)
    heights, strip_of = np.unique(height, return_inverse=True)
    counts = np.array([len(np.unique(column[strip_of == s])) for s in range(len(heights))])
    length = _strip_length(heights, counts, rows, cols)
    left = min(max(port[1] - length // 2, 0), cols - length)
    deep = int((heights * -(-counts // length)).sum())
    top = min(max(port[0] - deep // 2, 0), max(rows - deep, 0))
    site = np.full(len(matrix), -1, np.int64)
    for number in reversed(range(len(heights))):
        mine = np.flatnonzero(strip_of == number)
        _, place = np.unique(column[mine], return_inverse=True)
        strip, along = np.divmod(place.reshape(-1), length)
        along = np.where(strip % 2 == 0, along, length - 1 - along)
        row = top + strip * heights[number] + across[mine]
        fits = (row < rows) & (strip * heights[number] + top + heights[number] <= rows)
        site[mine[fits]] = row[fits] * cols + left + along[fits]
        top += int(heights[number] * -(-counts[number] // length))
    return _fill_up(site, allowed, port)


def _columns(matrix: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The column of each array, numbered through all matrices, and its place in it, int [n]."""
    starts = np.flatnonzero(np.diff(matrix, prepend=-1))
    first = np.zeros(len(matrix), np.int64)
    first[starts] = starts
    within = np.arange(len(matrix)) - np.maximum.accumulate(first)
    new = within % np.maximum(height, 1) == 0
    return np.cumsum(new) - 1, within % np.maximum(height, 1)


def _strip_length(heights: np.ndarray, counts: np.ndarray, rows: int, cols: int) -> int:
    """Sites along a strip: those that make the region least long, or all where none suffices."""
    lengths = np.arange(1, cols + 1)
    deep = (heights[:, None] * -(-counts[:, None] // lengths)).sum(axis=0)
    side = np.where(deep <= rows, np.maximum(deep, lengths), rows + cols + 1)
    return int(lengths[side.argmin()]) if side.min() <= rows + cols else cols


def _fill_up(site: np.ndarray, allowed: np.ndarray, port: tuple[int, int]) -> np.ndarray:
    """``site`` with those on none (-1), or on one not allowed, where there is room near the port.

    They lie along a curve through what they take.
    """
    free = allowed.reshape(-1).copy()
    homeless = (site < 0) | ~free[site]
    free[site[~homeless]] = False
    left = np.flatnonzero(free)
    far = np.abs(np.stack(np.unravel_index(left, allowed.shape), axis=1) - port).sum(axis=1)
    near = left[np.argsort(far, kind="stable")[: int(homeless.sum())]]
    ranks = rectangle_ranks(*allowed.shape).reshape(-1)[near]
    site[homeless] = near[np.argsort(ranks, kind="stable")]
    return site
