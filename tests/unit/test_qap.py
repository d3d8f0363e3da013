"""The quadratic assignment engine against enumeration, known optima and its own bookkeeping."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.qap import _Solver, qap_cost, recombine, solve_qap
from semc.compiler.placement.qap_moves import anneal_swaps, fill_deltas, tabu_search


def random_matrices(n: int, seed: int, symmetric: bool) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 20, (2, n, n)).astype(float)
    return (a + a.T, b) if symmetric else (a, b)


def grid_distances(rows: int, cols: int) -> np.ndarray:
    at = np.indices((rows, cols)).reshape(2, -1).T
    return np.abs(at[:, None] - at).sum(axis=2).astype(float)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7])
def test_small_problems_are_solved(n: int, symmetric: bool) -> None:
    a, b = random_matrices(n, n, symmetric)
    least = min(qap_cost(a, b, np.array(p)) for p in permutations(range(n)))
    found = solve_qap(a, b, tries=2e4)
    assert sorted(found.permutation) == list(range(n))
    assert found.cost == least == qap_cost(a, b, found.permutation)


def test_nugent_of_five() -> None:
    """Nugent, Vollmann and Ruml (1968), five facilities: the optimum is 50."""
    a = np.array(
        [[0, 1, 1, 2, 3], [1, 0, 2, 1, 2], [1, 2, 0, 1, 2], [2, 1, 1, 0, 1], [3, 2, 2, 1, 0]]
    )
    b = np.array(
        [[0, 5, 2, 4, 1], [5, 0, 3, 0, 2], [2, 3, 0, 0, 0], [4, 0, 0, 0, 5], [1, 2, 0, 5, 0]]
    )
    assert solve_qap(a, b, tries=1e4).cost == 50


def test_a_hidden_grid_is_found() -> None:
    """The links of a grid of 5 x 6 under random names: each is one step long in the optimum."""
    b = grid_distances(5, 6)
    hidden = np.random.default_rng(0).permutation(30)
    a = np.where(b == 1, 1.0, 0.0)[np.ix_(hidden, hidden)]
    assert solve_qap(a, b, tries=3e6).cost == a.sum()


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(0, 1000), st.booleans(), st.integers(1, 60))
def test_costs_and_deltas_stay_true(n: int, seed: int, symmetric: bool, steps: int) -> None:
    a, b = random_matrices(n, seed, symmetric)
    solver = _Solver(a, b, seed)
    search = solver.search
    anneal_swaps(search, 100.0, 10.0, steps * 10)
    assert search.cost[0] == qap_cost(a, b, search.p)
    fill_deltas(search)
    tabu_search(search, 1, steps)
    assert search.cost[0] == qap_cost(a, b, search.p)
    assert search.cost[1] == qap_cost(a, b, search.best) <= search.cost[0]
    for i in range(n):
        for j in range(i + 1, n):
            other = search.p.copy()
            other[[i, j]] = other[[j, i]]
            assert search.delta[i, j] == qap_cost(a, b, other) - search.cost[0]


@given(st.integers(2, 30), st.integers(0, 1000))
def test_children_keep_what_their_parents_share(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.permutation(n)
    q = p.copy()
    moved = rng.choice(n, n // 2, replace=False)
    q[moved] = q[rng.permutation(moved)]
    child = recombine(p, q, rng)
    assert sorted(child) == list(range(n))
    assert (child[p == q] == p[p == q]).all()


def test_same_seed_gives_the_same_permutation() -> None:
    a, b = random_matrices(20, 1, True)
    one, two = (solve_qap(a, b, tries=3e5, seed=4) for _ in range(2))
    assert (one.permutation == two.permutation).all()
    assert one.cost == two.cost


def test_more_tries_cost_no_more() -> None:
    a, b = random_matrices(25, 2, False)
    assert solve_qap(a, b, tries=1e6).cost <= solve_qap(a, b, tries=2e3).cost


def test_seconds_end_the_search() -> None:
    a, b = random_matrices(12, 3, True)
    found = solve_qap(a, b, seconds=0.05)
    assert found.cost == qap_cost(a, b, found.permutation) <= qap_cost(a, b, np.arange(12))


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.zeros((3, 3)), np.zeros((4, 4)), "two square matrices"),
        (np.zeros((3, 2)), np.zeros((3, 2)), "two square matrices"),
        (np.full((3, 3), np.nan), np.zeros((3, 3)), "must be finite"),
    ],
)
def test_matrices_that_do_not_fit_are_refused(a: np.ndarray, b: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        solve_qap(a, b)
