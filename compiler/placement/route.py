"""Routes of a matrix over the base die: a tree for each row block and each column block.

A tree is a minimum spanning tree of the port and the block's arrays under the hops between them,
grown from the port (Prim, "Shortest connection networks and some generalizations", Bell System
Technical Journal 36, 1957); among equally near arrays the one with the shorter way to the port goes
first, which keeps the delay of the first position low. A leg with a bend turns where the fuller of
its two ways is less full: deterministic, and since both ways are dimension-ordered, two virtual
channels keep it free of deadlock (O1TURN: Seo, Ali, Lim, Rafique, Thottethodi, ISCA 2005).
"""

import numpy as np

from ...compiled import compiled
from ...dialects.route_table import PORT, ROUTE_COLUMNS, other_ends
from .machine import SiteGrid

#: Arrays of one tree that are looked at together; beyond, the next lot starts at the last of it.
_LOT = 1024


def route_tiles(
    tiles: np.ndarray,
    sites: np.ndarray,
    lot: np.ndarray,
    grid: SiteGrid,
    x_bytes: float,
    y_bytes: float,
) -> np.ndarray:
    """Route table of a matrix, int32 [T, 4] in the order of ``ROUTE_COLUMNS``.

    ``tiles`` [T, 5] and ``sites`` [T, 5] are its tables; tiles of different ``lot`` [T]
    (``tile_table.lots``) have trees of their own. ``x_bytes`` is what a position sends to one row,
    ``y_bytes`` what comes back from one column of weights.
    """
    routes = np.zeros((len(tiles), len(ROUTE_COLUMNS)), np.int32)
    tiles, sites = np.asarray(tiles, np.int32), np.asarray(sites, np.int32)
    stacks = np.ascontiguousarray(sites[:, 1:3].astype(np.int64))
    port = np.array(grid.port, np.int64)
    legs = []
    for parent, block, per_line, size in ((0, 1, x_bytes, 2), (2, 3, y_bytes, 4)):
        order, starts = _blocks(lot, tiles[:, 0], tiles[:, block])
        grown = np.empty(len(tiles), np.int64)
        parents = np.full(len(tiles), PORT, np.int64)
        _grow_trees(order, starts, stacks, port, parents, grown)
        routes[:, parent] = parents
        ends = [other_ends(parents, stacks, grid.port)[grown], stacks[grown]]
        # Inputs go out, sums come back.
        legs.append(
            (parent + 1, grown, *ends[:: 1 if parent == 0 else -1], tiles[grown, size] * per_line)
        )
    column = np.concatenate([np.full(len(leg[1]), leg[0]) for leg in legs])
    tile, start, end, nbytes = (np.concatenate([leg[i] for leg in legs]) for i in range(1, 5))
    of_leg = lot[tile]
    order = np.argsort(of_leg, kind="stable")
    bends = np.zeros(len(order), np.int32)
    mesh = np.array([grid.rows, grid.cols], np.int64)
    _choose_bends(of_leg[order], start[order], end[order], nbytes[order], mesh, bends)
    routes[tile[order], column[order]] = bends
    return routes


def _blocks(lot: np.ndarray, group: np.ndarray, first: np.ndarray) -> tuple[np.ndarray, ...]:
    """Tiles by (lot, group, block): their order, and where each block starts in it."""
    order = np.lexsort((np.arange(len(lot)), first, group, lot))
    keys = np.stack([lot, group, first], axis=1)[order]
    new = np.concatenate([[True], (keys[1:] != keys[:-1]).any(axis=1)])
    return order, np.append(np.flatnonzero(new), len(order))


@compiled()
def _grow_trees(order, starts, stacks, port, parents, grown):  # type: ignore[no-untyped-def]
    """Fills ``parents`` of each tile and ``grown``, the tiles in the order they joined."""
    for block in range(len(starts) - 1):
        for low in range(starts[block], starts[block + 1], _LOT):
            high = min(low + _LOT, starts[block + 1])
            count = high - low
            gap = np.empty(count, np.int64)
            depth = np.zeros(count, np.int64)
            via = np.empty(count, np.int64)
            open_ = np.ones(count, np.bool_)
            before = order[low - 1] if low > starts[block] else PORT
            row, col = port[0], port[1]
            if before != PORT:
                row, col = stacks[before, 0], stacks[before, 1]
            for i in range(count):
                tile = order[low + i]
                gap[i] = abs(stacks[tile, 0] - row) + abs(stacks[tile, 1] - col)
                via[i] = before
                depth[i] = gap[i]
            for step in range(count):
                best = -1
                for i in range(count):
                    if open_[i] and (
                        best < 0
                        or gap[i] < gap[best]
                        or (gap[i] == gap[best] and depth[i] < depth[best])
                    ):
                        best = i
                tile = order[low + best]
                open_[best] = False
                parents[tile] = via[best]
                grown[low + step] = tile
                for i in range(count):
                    if open_[i]:
                        other = order[low + i]
                        hops = abs(stacks[other, 0] - stacks[tile, 0]) + abs(
                            stacks[other, 1] - stacks[tile, 1]
                        )
                        far = depth[best] + hops
                        if hops < gap[i] or (hops == gap[i] and far <= depth[i]):
                            gap[i], via[i], depth[i] = hops, tile, far


@compiled()
def _walk(loads, row0, col0, row1, col1, bend, add):  # type: ignore[no-untyped-def]
    """The fullest link of a leg; ``add`` bytes are put on each."""
    fullest = 0.0
    level, pillar = (row0, col1) if bend == 0 else (row1, col0)
    step = 1 if col1 > col0 else -1
    for col in range(col0, col1, step):
        side = 0 if step > 0 else 1
        loads[side, level, col] += add
        fullest = max(fullest, loads[side, level, col])
    step = 1 if row1 > row0 else -1
    for row in range(row0, row1, step):
        side = 2 if step > 0 else 3
        loads[side, row, pillar] += add
        fullest = max(fullest, loads[side, row, pillar])
    return fullest


@compiled()
def _choose_bends(lot, start, end, nbytes, mesh, bends):  # type: ignore[no-untyped-def]
    """Fills ``bends`` of legs sorted by lot; the links of each lot's legs are its own."""
    loads = np.zeros((4, mesh[0], mesh[1]))
    for leg in range(len(bends)):
        if leg and lot[leg] != lot[leg - 1]:
            loads[:] = 0.0
        row0, col0, row1, col1 = start[leg, 0], start[leg, 1], end[leg, 0], end[leg, 1]
        if row0 != row1 and col0 != col1:
            first, second = np.int32(0), np.int32(1)  # as in ``bends``: compiled once
            fullest = _walk(loads, row0, col0, row1, col1, first, 0.0)
            if _walk(loads, row0, col0, row1, col1, second, 0.0) < fullest:
                bends[leg] = second
        _walk(loads, row0, col0, row1, col1, bends[leg], nbytes[leg])
