"""Chooses the layer of each array.

The trees of a product stay in one layer (route.py), so a matrix in two layers has two for a block,
and its product is issued twice. So whole matrices go to layers: largest first, each into the first
layer from below that has room (first fit decreasing: Johnson, "Near-optimal bin packing
algorithms", MIT 1973). What no layer has room for is cut, over as few layers as can be.

Where layers have a limit of power, each matrix goes to the coolest layer that has room (longest
processing time first: Graham, SIAM J. Applied Mathematics 17, 1969).
"""

import numpy as np


def choose_layers(
    group: np.ndarray, fixed: np.ndarray, room: np.ndarray, heat: np.ndarray | None = None
) -> np.ndarray:
    """The layer of each array, int32 [arrays].

    Args:
        group: int [arrays], the matrix that an array is of.
        fixed: int [arrays], the layer that an array must have, -1 where it may have any.
        room: int [layers], arrays that each layer takes besides the fixed ones. All others find
            room.
        heat: [arrays], what is to be spread evenly over the layers; None: the lowest fill first.
    """
    layer, left = np.array(fixed, np.int32), np.array(room, np.int64)
    if int((layer < 0).sum()) > int(left.sum()):
        raise ValueError(f"{(layer < 0).sum()} arrays need as many sites, there are {left.sum()}")
    load = np.zeros(len(left))
    warmth = np.zeros(len(layer)) if heat is None else heat
    np.add.at(load, layer[layer >= 0], warmth[layer >= 0])
    free = np.flatnonzero(layer < 0)
    free = free[np.argsort(group[free], kind="stable")]
    members = np.split(free, np.flatnonzero(np.diff(group[free])) + 1) if len(free) else []
    weigh = len if heat is None else (lambda arrays: float(warmth[arrays].sum()))
    for arrays in sorted(members, key=weigh, reverse=True):
        start = 0
        while start < len(arrays):
            at = _layer_for(len(arrays) - start, left, load, heat is not None)
            part = arrays[start : start + left[at]]
            layer[part] = at
            left[at] -= len(part)
            load[at] += float(warmth[part].sum())
            start += len(part)
    return layer


def _layer_for(count: int, left: np.ndarray, load: np.ndarray, spread: bool) -> int:
    """A layer with room for ``count`` arrays, or else the one with most room."""
    fits = np.flatnonzero(left >= count)
    if not len(fits):
        return int(left.argmax())
    return int(fits[np.argmin(load[fits])]) if spread else int(fits[0])
