"""Points in space for the vertices of a graph, so that few steps in the graph are short in space.

Distances to landmarks (de Silva and Tenenbaum, "Sparse multidimensional scaling using landmark
points", 2004; Brandes and Pich, GD 2006), in steps of the graph. A landmark is the vertex farthest
from a random one: in a grid that is a corner, and distances to corners are linear in the
coordinates. The axes are then turned until the graph's edges are parallel to them.

The compiled functions of this file call each other and none elsewhere, so their cache is right.
"""

from itertools import permutations

import numpy as np

from ...compiled import compiled
from .site_problem import SiteProblem

_LANDMARKS = 24
_ANGLES = 90
_EDGE_SAMPLE = 20_000


def embed_graph(indptr: np.ndarray, neighbour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points float64 [n, 3] of unit variance along each axis, edges mostly along the axes.

    ``indptr`` and ``neighbour`` are a symmetric CSR graph; what is not reached from a landmark is
    taken as farthest. Needs at least four vertices.
    """
    distance = _landmark_distances(indptr, neighbour, rng)
    centred = distance - distance.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    points = centred @ vectors[:, :-4:-1]
    if points.shape[1] < 3:
        points = np.pad(points, ((0, 0), (0, 3 - points.shape[1])))
    spread = points.std(axis=0)
    points /= np.where(spread > 1e-6 * spread.max(initial=1e-30), spread, np.inf)
    rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    edges = np.flatnonzero(rows < neighbour)
    if len(edges) > _EDGE_SAMPLE:
        edges = rng.choice(edges, _EDGE_SAMPLE, replace=False)
    return points @ _turn(points[rows[edges]] - points[neighbour[edges]])


def fit_axes(points: np.ndarray, problem: SiteProblem) -> np.ndarray:
    """``points`` [n, 3] with their axes in the order that suits the grid of ``problem`` best.

    An axis counts by ranks, as if its points were spread evenly over the grid's.
    """
    ranks = np.empty_like(points)
    for axis in range(3):
        ranks[np.argsort(points[:, axis], kind="stable"), axis] = np.arange(len(points))
    far = np.abs(ranks[problem.link_rows] - ranks[problem.neighbour])
    spread = problem.weight @ far
    price = np.array(problem.step_cost) * np.array(problem.shape)
    best = min(permutations(range(3)), key=lambda axes: float(price @ spread[list(axes)]))
    return points[:, best]


def _landmark_distances(
    indptr: np.ndarray, neighbour: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Steps from each vertex to each landmark, float64 [n, landmarks]."""
    n = len(indptr) - 1
    columns: dict[int, np.ndarray] = {}
    for start in rng.integers(n, size=_LANDMARKS):
        landmark = int(steps_from(indptr, neighbour, start).argmax())
        if landmark not in columns:
            columns[landmark] = steps_from(indptr, neighbour, landmark)
    return np.stack(list(columns.values()), axis=1).astype(float)


def _turn(edges: np.ndarray) -> np.ndarray:
    """The rotation float64 [3, 3] after which ``edges`` [m, 3] have the least sum of |parts|."""
    turn = np.eye(3)
    angles = np.linspace(0, np.pi / 2, _ANGLES, endpoint=False)
    for width in (1.0, 1.0, 0.1, 0.01, 0.001):
        for a, b in ((0, 1), (0, 2), (1, 2)):
            x, y = (edges @ turn[:, [a, b]]).T
            tries = angles if width == 1.0 else (angles - np.pi / 4) * width
            sums = [
                np.abs(np.cos(t) * x + np.sin(t) * y).sum()
                + np.abs(np.cos(t) * y - np.sin(t) * x).sum()
                for t in tries
            ]
            t = tries[int(np.argmin(sums))]
            pair = turn[:, [a, b]] @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
            turn[:, [a, b]] = pair
    return turn


@compiled()
def steps_from(indptr: np.ndarray, neighbour: np.ndarray, start: int) -> np.ndarray:
    """Steps from vertex ``start`` to each vertex, int32 [n]; farthest + 1 where none leads."""
    n = len(indptr) - 1
    steps = np.full(n, -1, np.int32)
    queue = np.empty(n, np.int32)
    queue[0] = start
    steps[start] = 0
    head, tail = 0, 1
    while head < tail:
        i = queue[head]
        head += 1
        for e in range(indptr[i], indptr[i + 1]):
            j = neighbour[e]
            if steps[j] < 0:
                steps[j] = steps[i] + 1
                queue[tail] = j
                tail += 1
    farthest = steps[queue[tail - 1]] + 1
    for i in range(n):
        if steps[i] < 0:
            steps[i] = farthest
    return steps
