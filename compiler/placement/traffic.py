"""Traffic between arrays, as the engine that places them sees it.

The trees of a product (route.py) are known only when its arrays have sites. Before, the tiles of a
row block stand in a chain in the order of their columns, and those of a column block in the order
of their rows: neighbours in a chain are linked by what the block carries. What a tree carries
between the port and its block is shared out over the block's tiles.
"""

from dataclasses import dataclass

import numpy as np

from .pack_kinds import Packing


@dataclass(frozen=True, slots=True)
class ArrayTraffic:
    """Bytes an inference between arrays (symmetric, CSR) and between each and the port.

    The neighbours of array a are ``neighbour[indptr[a] : indptr[a + 1]]`` with ``weight`` bytes;
    ``port`` [arrays] goes to or comes from the port.
    """

    indptr: np.ndarray
    neighbour: np.ndarray
    weight: np.ndarray
    port: np.ndarray

    def among(self, arrays: np.ndarray) -> "ArrayTraffic":
        """The traffic among some ``arrays`` (rising), which are numbered anew, and to the port."""
        number = np.full(len(self.port), -1, np.int32)
        number[arrays] = np.arange(len(arrays))
        row = np.repeat(np.arange(len(self.port)), np.diff(self.indptr))
        inner = np.flatnonzero((number[row] >= 0) & (number[self.neighbour] >= 0))
        indptr = np.searchsorted(number[row[inner]], np.arange(len(arrays) + 1))
        return ArrayTraffic(
            indptr.astype(np.int64),
            number[self.neighbour[inner]],
            self.weight[inner],
            self.port[arrays],
        )


def array_traffic(
    table: np.ndarray,
    owner: np.ndarray,
    positions: np.ndarray,
    packing: Packing,
    x_bytes: float,
    y_bytes: float,
) -> ArrayTraffic:
    """Traffic of the tiles ``table`` [T, 5] of matrices ``owner`` [T], read at ``positions`` [T].

    A position sends ``x_bytes`` to a row and ``y_bytes`` come back from a column of weights.
    """
    tiles, matrix = table.astype(np.int64), owner
    reads = np.asarray(positions, np.float64)
    array, arrays = packing.array, packing.arrays
    port = np.zeros(arrays)
    links = []
    for block, along, size, per_line in ((1, 3, 2, x_bytes), (3, 1, 4, y_bytes)):
        carried = tiles[:, size] * per_line * reads
        order = np.lexsort((tiles[:, along], tiles[:, block], tiles[:, 0], matrix))
        key = np.stack([matrix, tiles[:, 0], tiles[:, block]], axis=1)[order]
        same = (key[1:] == key[:-1]).all(axis=1)
        links.append((array[order[:-1][same]], array[order[1:][same]], carried[order[1:][same]]))
        start = np.concatenate([[0], np.cumsum(~same)])
        share = carried[order] / np.bincount(start)[start]
        port += np.bincount(array[order], share, arrays)
    low, high, nbytes = (np.concatenate(part) for part in zip(*links, strict=True))
    return ArrayTraffic(*_symmetric(low, high, nbytes, arrays), port)


def _symmetric(
    low: np.ndarray, high: np.ndarray, nbytes: np.ndarray, arrays: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CSR of the links both ways, parallel ones added and those inside an array left out."""
    apart = low != high
    low, high, nbytes = low[apart], high[apart], nbytes[apart]
    key = np.concatenate([low, high]).astype(np.int64) * arrays + np.concatenate([high, low])
    pairs, number = np.unique(key, return_inverse=True)
    weight = np.bincount(number, np.concatenate([nbytes, nbytes]), len(pairs))
    indptr = np.searchsorted(pairs, np.arange(arrays + 1, dtype=np.int64) * arrays)
    return indptr.astype(np.int64), (pairs % max(arrays, 1)).astype(np.int32), weight
