"""The designed gain of the columns of placed tiles: what digital correction divides by."""

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from ...backends.targets.slicing import tile_levels
from ...runtime.physics.columns import nominal_column_gain


def column_gain(
    codes: NDArray[np.int8],
    tiles: NDArray[np.int32],
    sites: NDArray[np.int32],
    target: MemcapTarget,
) -> NDArray[np.float32]:
    """Gain of each column over its tile's mean column, float32 ``[slices, C]``: the columns of all
    tiles ``[T, 5]`` in the order of the table.

    Args:
        codes: int8 ``[G, K, N]``.
        sites: int32 ``[T, 5]``; the vias down from a layer load its columns.
    """
    first = np.cumsum(tiles[:, 4]) - tiles[:, 4]
    gain = np.ones((target.slices, int(tiles[:, 4].sum())), np.float32)
    for index, levels in tile_levels(codes, tiles, target):
        spot = first[index][:, None] + np.arange(levels.shape[-1])
        gain[:, spot] = nominal_column_gain(levels, sites[index], target)
    return gain
