"""Coarser graphs by heavy-edge matching (Karypis and Kumar, SIAM J. Sci. Comput. 20 (1998) 359).

The compiled functions of this file call each other and none elsewhere, so their cache is right.
"""

from dataclasses import dataclass

import numpy as np

from ...compiled import compiled


@dataclass(frozen=True, slots=True)
class Graph:
    """A symmetric weighted graph in CSR form whose vertices stand for ``size`` ones each."""

    indptr: np.ndarray  # int64 [n + 1]
    neighbour: np.ndarray  # int32
    weight: np.ndarray  # float32
    size: np.ndarray  # int32 [n]

    @property
    def vertices(self) -> int:
        return len(self.size)


def merge_clusters(graph: Graph, cluster: np.ndarray, count: int) -> Graph:
    """The graph whose vertices are the ``count`` clusters; links inside a cluster are dropped."""
    rows = np.repeat(cluster, np.diff(graph.indptr))
    key = rows.astype(np.int64) * count + cluster[graph.neighbour]
    outer = rows != cluster[graph.neighbour]
    key, inverse = np.unique(key[outer], return_inverse=True)
    weight = np.bincount(inverse, graph.weight[outer], minlength=len(key))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(key // count, minlength=count))])
    return Graph(
        indptr.astype(np.int64),
        (key % count).astype(np.int32),
        weight.astype(np.float32),
        np.bincount(cluster, graph.size, minlength=count).astype(np.int32),
    )


def cluster_vertices(graph: Graph, rounds: int, most: int) -> tuple[np.ndarray, Graph]:
    """Clusters of up to ``most`` vertices by ``rounds`` of matching.

    Returns (the cluster of each vertex int32 [n], the graph of clusters).
    """
    cluster = np.arange(graph.vertices, dtype=np.int32)
    for _ in range(rounds):
        pairs, count = match_heavy_edges(
            graph.indptr, graph.neighbour, graph.weight, graph.size, most
        )
        cluster = pairs[cluster]
        graph = merge_clusters(graph, pairs, count)
    return cluster, graph


@compiled()
def match_heavy_edges(
    indptr: np.ndarray, neighbour: np.ndarray, weight: np.ndarray, size: np.ndarray, most: int
) -> tuple[np.ndarray, int]:
    """Pairs of vertices with the heaviest link for their size: (pair of each int32 [n], count).

    Vertices come in the order of their number; a pair never stands for more than ``most``.
    """
    n = len(size)
    pair = np.full(n, -1, np.int32)
    count = 0
    for i in range(n):
        if pair[i] >= 0:
            continue
        best, best_rating = -1, 0.0
        for e in range(indptr[i], indptr[i + 1]):
            j = neighbour[e]
            if pair[j] < 0 and j != i and size[i] + size[j] <= most:
                rating = weight[e] / (np.float64(size[i]) * size[j])
                if rating > best_rating:
                    best, best_rating = j, rating
        pair[i] = count
        if best >= 0:
            pair[best] = count
        count += 1
    return pair, count
