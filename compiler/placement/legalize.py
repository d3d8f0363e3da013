"""Points in space to distinct sites of a grid, neighbours to neighbours."""

import numpy as np


def legalize(points: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """For each of the points float [n, 3] one of the ``sites`` int [n, 3], int64 [n] (a row).

    The sites are halved along their longest side again and again, at a boundary between two
    planes, and the points with them in the order of that coordinate, until each is alone.
    """
    n = len(sites)
    point_order = np.arange(n)
    site_order = np.arange(n)
    starts = np.array([0])  # of the parts, in both orders
    while len(starts) < n:
        sizes = np.diff(np.append(starts, n))
        part = np.repeat(np.arange(len(starts)), sizes)
        at = sites[site_order]
        low = np.minimum.reduceat(at, starts)
        high = np.maximum.reduceat(at, starts)
        axis = np.argmax(high - low, axis=1)[part]
        site_key = np.take_along_axis(at, axis[:, None], 1)[:, 0]
        site_order = site_order[np.lexsort((site_key, part))]
        point_key = np.take_along_axis(points[point_order], axis[:, None], 1)[:, 0]
        point_order = point_order[np.lexsort((point_key, part))]
        site_key = np.take_along_axis(sites[site_order], axis[:, None], 1)[:, 0]
        starts = np.union1d(starts, _boundaries(site_key, part, starts, sizes))
    found = np.empty(n, np.int64)
    found[point_order] = site_order
    return found


def _boundaries(
    key: np.ndarray, part: np.ndarray, starts: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Where each part of more than one site is cut: where ``key`` changes, nearest the middle."""
    cuts = np.flatnonzero((key[1:] != key[:-1]) & (part[1:] == part[:-1])) + 1
    far = np.abs(2 * (cuts - starts[part[cuts]]) - sizes[part[cuts]])
    order = np.lexsort((far, part[cuts]))
    owner = part[cuts][order]
    first = np.append(True, owner[1:] != owner[:-1]) if len(owner) else np.zeros(0, bool)
    return cuts[order][first]
