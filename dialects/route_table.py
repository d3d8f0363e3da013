"""The table of a matrix's routes as plain arrays (no xDSL): what a row says, lengths and loads.

Routers lie on the base die, one below each stack of sites, in a mesh. The input of a row block is
sent once and forked on its way to the arrays that need it; the partial sums of a column block are
added where their ways meet. So each block has a tree, and a tile has one leg in each:

    x_from   the tile of the same row block that its input comes from, -1 the port
    y_to     the tile of the same column block that its sums go to, -1 the port
    x_bend, y_bend   0: the leg runs along the row first, then along the column; 1: the other way

Trees stay in one layer, round and copy of the matrix (``tile_table.lots``), since tiles of
different ones work on other positions, or at another time.
"""

from dataclasses import dataclass

import numpy as np

ROUTE_COLUMNS = ("x_from", "x_bend", "y_to", "y_bend")
#: The other end of a leg that begins or ends at the port.
PORT = -1


def port_of(rows: int, cols: int) -> tuple[int, int]:
    """Router (row, col) where data enter and leave a mesh of ``rows`` x ``cols``."""
    return rows // 2, cols // 2


def reordered(routes: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The table whose row i is row ``order[i]`` [T] of ``routes`` [T, 4], with new tile numbers."""
    number = np.empty(len(order) + 1, np.int32)
    number[order], number[PORT] = np.arange(len(order)), PORT
    out = routes[order]
    out[:, [0, 2]] = number[out[:, [0, 2]]]
    return out


def other_ends(parents: np.ndarray, stacks: np.ndarray, port: tuple[int, int]) -> np.ndarray:
    """Router (row, col) at the port's side of each leg, int [T, 2].

    ``parents`` [T] are tiles or ``PORT``, ``stacks`` [T, 2] the routers of the tiles.
    """
    ends = stacks[np.maximum(parents, 0)]
    ends[parents < 0] = port
    return ends


def path_hops(parents: np.ndarray, hops: np.ndarray) -> np.ndarray | None:
    """Hops from each tile to the port along its tree, int [T]; None where legs go in a circle."""
    up, total = np.asarray(parents, np.int64).copy(), np.asarray(hops, np.int64).copy()
    for _ in range(len(up).bit_length() + 1):
        inner = np.flatnonzero(up >= 0)
        if not len(inner):
            return total
        # All ways double at once: what a tile's ancestor knew before this step.
        total[inner] += total[up[inner]]
        up[inner] = up[up[inner]]
    return None


def link_loads(
    start: np.ndarray,
    end: np.ndarray,
    bend: np.ndarray,
    nbytes: np.ndarray,
    mesh: tuple[int, int],
) -> np.ndarray:
    """Bytes on every link, float64 [4, rows, cols]: out of each router east, west, south, north.

    Legs run from routers ``start`` [n, 2] to ``end`` [n, 2] with ``bend`` [n] (see above) and carry
    ``nbytes`` [n].
    """
    (row0, col0), (row1, col1) = np.asarray(start, np.int64).T, np.asarray(end, np.int64).T
    level, pillar = np.where(bend == 0, row0, row1), np.where(bend == 0, col1, col0)
    loads = np.empty((4, *mesh))
    loads[0] = _run_loads(level, col0, col1, nbytes, mesh)
    loads[1] = _run_loads(level, col1 + 1, col0 + 1, nbytes, mesh)
    loads[2] = _run_loads(pillar, row0, row1, nbytes, mesh[::-1]).T
    loads[3] = _run_loads(pillar, row1 + 1, row0 + 1, nbytes, mesh[::-1]).T
    return loads


def _run_loads(
    line: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    nbytes: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Bytes on each place of ``shape`` (lines, places): runs take ``low .. high`` of their line."""
    run = np.flatnonzero(low < high)
    changes = np.zeros((shape[0], shape[1] + 1))
    if not len(run):
        return changes[:, :-1]
    np.add.at(changes, (line[run], low[run]), nbytes[run])
    np.add.at(changes, (line[run], high[run]), -np.asarray(nbytes, np.float64)[run])
    return np.cumsum(changes, axis=1)[:, :-1]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the legs of a product carry, one way: outwards (inputs) or back (sums)."""

    byte_hops: float
    """Bytes times hops of all legs."""
    byte_rows: float
    """Of these, along columns of routers (from row to row); the rest runs along rows."""
    byte_vias: float
    """Bytes times levels between the base die and the arrays."""
    leg_bytes: float
    """Bytes of all legs together."""
    port_byte_hops: float
    """Of ``byte_hops``, that of the legs at the port."""
    port_bytes: float
    depth_hops: int
    """The longest way between the port and an array."""
    loads: np.ndarray
    """Bytes on every link, [4, rows, cols] (``link_loads``)."""


def product_traffic(
    tiles: np.ndarray,
    sites: np.ndarray,
    routes: np.ndarray,
    mesh: tuple[int, int],
    x_bytes: float,
    y_bytes: float,
    reads: np.ndarray | float = 1.0,
) -> tuple[Traffic, Traffic]:
    """Inputs and sums through tiles of one layer, whose legs stay among them.

    For each position a row takes ``x_bytes`` and a column of weights gives ``y_bytes``; ``reads``
    [T] is how many positions each tile reads.
    """
    ways = (0, 2, x_bytes, True), (2, 4, y_bytes, False)
    inward, back = (
        _traffic(
            routes[:, way], routes[:, way + 1], sites, tiles[:, size] * per_line * reads, mesh, out
        )
        for way, size, per_line, out in ways
    )
    return inward, back


def _traffic(
    parents: np.ndarray,
    bends: np.ndarray,
    sites: np.ndarray,
    nbytes: np.ndarray,
    mesh: tuple[int, int],
    outwards: bool,
) -> Traffic:
    stacks = sites[:, 1:3].astype(np.int64)
    ends = other_ends(parents, stacks, port_of(*mesh))
    steps = np.abs(stacks - ends)
    hops = steps.sum(axis=1)
    depth = path_hops(parents, hops)
    if depth is None:
        raise ValueError("the legs of a block must lead to the port")
    at_port = parents < 0
    start, end = (ends, stacks) if outwards else (stacks, ends)
    return Traffic(
        byte_hops=float(nbytes @ hops),
        byte_rows=float(nbytes @ steps[:, 0]),
        byte_vias=float(nbytes @ (sites[:, 0] + 1)),
        leg_bytes=float(nbytes.sum()),
        port_byte_hops=float(nbytes[at_port] @ hops[at_port]),
        port_bytes=float(nbytes[at_port].sum()),
        depth_hops=int(depth.max(initial=0)),
        loads=link_loads(start, end, bends, nbytes, mesh),
    )


def within(routes: np.ndarray, first: int, end: int) -> np.ndarray:
    """Rows ``first .. end`` of a table, numbered from 0; legs from outside begin at the port."""
    part = routes[first:end].copy()
    parents = part[:, [0, 2]] - first
    parents[(parents < 0) | (parents >= end - first)] = PORT
    part[:, [0, 2]] = parents
    return part
