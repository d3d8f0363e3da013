"""Routes between the base die's port and the arrays: along the base die, then up the stack."""

import numpy as np

from .machine import SiteGrid


def route_sites(sites: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """Rows (layer, row, col, hops, vias) for sites int [n, 3]: Manhattan hops, one via a layer.

    They begin and end at the port of the site's own chip.
    """
    layer, row, col = np.asarray(sites, np.int32).T
    hops = np.abs(row - grid.port[0]) + np.abs(col - grid.port[1])
    vias = layer % grid.chip_layers + 1
    return np.stack([layer, row, col, hops, vias], axis=1).astype(np.int32)
