"""Points in space to distinct sites of a grid, neighbours to neighbours."""

import numpy as np


def legalize(points: np.ndarray, sites: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """For each of the points float [n, 3] one of the ``sites`` int [n, 3], int64 [n] (a row).

    The sites are halved along their longest side again and again, at a boundary between two
    planes, and the points with them in the order of that coordinate, until each is alone. ``unit``
    float [3] is how long a step counts along each axis. n log n steps in each of log n rounds.
    """
    n = len(sites)
    point_rank, site_rank = _ranks(points), _ranks(sites)
    point_order, site_order = np.arange(n), np.arange(n)
    starts = np.arange(min(1, n))  # of the parts, in both orders
    while len(starts) < n:
        sizes = np.diff(np.append(starts, n))
        part = np.repeat(np.arange(len(starts)), sizes)
        at = sites[site_order]
        extent = np.maximum.reduceat(at, starts) - np.minimum.reduceat(at, starts)
        axis = np.argmax(extent * unit, axis=1)[part]
        site_order = site_order[np.argsort(part * n + site_rank[site_order, axis])]
        point_order = point_order[np.argsort(part * n + point_rank[point_order, axis])]
        starts = np.union1d(starts, _boundaries(sites[site_order, axis], part, starts, sizes))
    found = np.empty(n, np.int64)
    found[point_order] = site_order
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each row along each axis, int64 [n, 3], no two alike."""
    ranks = np.empty(values.shape, np.int64)
    for axis in range(values.shape[1]):
        ranks[np.argsort(values[:, axis], kind="stable"), axis] = np.arange(len(values))
    return ranks


def _boundaries(
    key: np.ndarray, part: np.ndarray, starts: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Where each part of more than one site is cut: where ``key`` changes, nearest the middle."""
    cuts = np.flatnonzero((key[1:] != key[:-1]) & (part[1:] == part[:-1])) + 1
    owner = part[cuts]
    far = np.abs(2 * (cuts - starts[owner]) - sizes[owner])
    order = np.lexsort((far, owner))
    owner = owner[order]
    first = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    return cuts[order][first]
