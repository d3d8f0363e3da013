"""Curves through sites, points made legal, embeddings and clusters of graphs."""

import numpy as np
import pytest

from semc.compiler.placement.coarsen import Graph, cluster_vertices, merge_clusters
from semc.compiler.placement.curves import hilbert_index, layered_order, space_filling_order
from semc.compiler.placement.embed_graph import embed_graph, steps_from
from semc.compiler.placement.legalize import legalize


def box(*shape: int) -> np.ndarray:
    return np.indices(shape).reshape(len(shape), -1).T


def longest_step(points: np.ndarray) -> int:
    return int(np.abs(np.diff(points, axis=0)).sum(axis=1).max())


@pytest.mark.parametrize(("bits", "axes"), [(1, 2), (3, 2), (2, 3), (4, 3)])
def test_hilbert_curve_visits_all_in_single_steps(bits: int, axes: int) -> None:
    points = box(*[2**bits] * axes)
    index = hilbert_index(points, bits)
    assert sorted(index) == list(range(len(points)))
    assert longest_step(points[np.argsort(index)]) == 1


def test_hilbert_curve_is_the_same_in_wide_numbers() -> None:
    points = box(4, 4, 4)
    wide = hilbert_index(points << 9, 11)
    assert (np.argsort(wide) == np.argsort(hilbert_index(points, 2))).all()


def test_orders_are_permutations_and_layers_follow_each_other() -> None:
    points = box(3, 4, 4)
    for order in (space_filling_order(points), layered_order(points)):
        assert sorted(order) == list(range(48))
    layered = points[layered_order(points)]
    assert (np.diff(layered[:, 0]) >= 0).all()
    assert longest_step(layered) == 1  # the curve in the next layer is walked backwards


def test_points_that_are_sites_keep_their_place() -> None:
    sites = box(3, 5, 7)
    shuffled = np.random.default_rng(0).permutation(len(sites))
    points = sites[shuffled] * [10.0, 3.0, 2.0] + 1
    assert (legalize(points, sites, np.ones(3)) == shuffled).all()


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_points_get_distinct_sites(n: int) -> None:
    rng = np.random.default_rng(n)
    sites = box(3, 4, 5)[rng.choice(60, n, replace=False)]
    assert sorted(legalize(rng.random((n, 3)), sites, np.ones(3))) == list(range(n))


def grid_graph(rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    at = box(rows, cols)
    near = np.abs(at[:, None] - at).sum(axis=2) == 1
    ends, neighbour = np.nonzero(near)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=len(at)))])
    return indptr, neighbour.astype(np.int32)


def test_steps_are_manhattan_on_a_grid_and_one_more_where_none_leads() -> None:
    indptr, neighbour = grid_graph(4, 6)
    assert (steps_from(indptr, neighbour, 0) == box(4, 6).sum(axis=1)).all()
    alone = steps_from(np.append(indptr, indptr[-1]), neighbour, 0)
    assert alone[-1] == 3 + 5 + 1


def test_an_embedded_grid_has_its_edges_along_the_axes() -> None:
    indptr, neighbour = grid_graph(5, 9)
    points = embed_graph(indptr, neighbour, np.random.default_rng(0))
    ends = np.repeat(np.arange(45), np.diff(indptr))
    step = np.abs(points[ends] - points[neighbour])
    longest, rest = step.max(axis=1), np.sort(step, axis=1)[:, :-1].sum(axis=1)
    assert (rest < 1e-6 * longest).all()


def test_clusters_hold_what_they_were_made_of() -> None:
    indptr, neighbour = grid_graph(6, 6)
    graph = Graph(indptr, neighbour, np.ones(len(neighbour), np.float32), np.ones(36, np.int32))
    cluster, coarse = cluster_vertices(graph, rounds=2, most=4)
    assert (coarse.size == np.bincount(cluster)).all()
    assert 1 <= coarse.size.min() <= coarse.size.max() <= 4
    outer = cluster[np.repeat(np.arange(36), np.diff(indptr))] != cluster[neighbour]
    assert coarse.weight.sum() == outer.sum()
    again = merge_clusters(graph, cluster, coarse.vertices)
    assert (again.indptr == coarse.indptr).all()
