"""Assigns packed arrays to sites: program order along the sites nearest to the port."""

import numpy as np

from .machine import SiteGrid


def assign_sites(first_use: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """Site (layer, row, col) of each array, int32 [arrays, 3].

    ``first_use`` [arrays] orders the arrays by when the program first drives them; the lowest
    layers fill first, each from the port outwards. Needs ``len(first_use) <= grid.sites``.
    """
    sites = np.empty((len(first_use), 3), np.int32)
    order = np.argsort(first_use, kind="stable")
    sites[order] = grid.sites_near_first(len(first_use))
    return sites
