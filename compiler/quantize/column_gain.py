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
    # Copies of a tile in one layer are alike: each kind is computed once.
    alike = np.column_stack([tiles, sites[:, 0]])
    _, shown, kind = np.unique(alike, axis=0, return_index=True, return_inverse=True)
    own, first = tiles[shown], _first_columns(tiles[shown])
    gain = np.ones((target.slices, int(own[:, 4].sum())), np.float32)
    for index, levels in tile_levels(codes, own, target):
        spot = first[index][:, None] + np.arange(levels.shape[-1])
        gain[:, spot] = nominal_column_gain(levels, sites[shown][index], target)
    shift = np.repeat(first[kind] - _first_columns(tiles), tiles[:, 4])
    return gain[:, np.arange(len(shift)) + shift]


def _first_columns(tiles: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where the columns of each tile begin among those of all."""
    return np.cumsum(tiles[:, 4], dtype=np.int64) - tiles[:, 4]
