"""Exact assignment against enumeration; the engine against the proved optimum."""

import sys
from importlib.util import find_spec
from itertools import permutations

import numpy as np
import pytest

from semc.compiler.placement.assign import assign_sites
from semc.compiler.placement.exact import assign_exactly
from semc.compiler.placement.site_problem import SiteProblem, assignment_cost
from semc.errors import InputError

needs_ortools = pytest.mark.skipif(find_spec("ortools") is None, reason="needs the extra 'exact'")


def problem_of(n: int, shape: tuple[int, int, int], seed: int, **options: object) -> SiteProblem:
    rng = np.random.default_rng(seed)
    links = np.triu(rng.integers(0, 9, (n, n)) * (rng.random((n, n)) < 0.5), 1)
    links = links + links.T
    rows, cols = np.nonzero(links)
    given: dict[str, object] = {
        "step_cost": (1.0, 1.5, 1.0),
        "indptr": np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))]),
        "neighbour": cols.astype(np.int32),
        "weight": links[rows, cols].astype(np.float32),
        "anchor_weight": rng.integers(0, 4, n).astype(np.float32),
        "port": (shape[1] // 2, shape[2] // 2),
    }
    return SiteProblem(*shape, **(given | options))  # type: ignore[arg-type]


def least_cost(problem: SiteProblem) -> float:
    sites = np.flatnonzero(problem.usable)
    return min(
        assignment_cost(problem, np.array(chosen)).total
        for chosen in permutations(sites, problem.arrays)
        if all(f in (-1, c) for f, c in zip(problem.fixed_sites, chosen, strict=True))
    )


OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "dead and fixed": {
        "allowed": np.array([1, 1, 0, 1, 1, 1, 1, 1], bool),
        "fixed": np.array([-1, 7, -1, -1, -1], np.int32),
    },
    "groups": {"group": np.array([0, 0, 0, 1, 1], np.int32), "group_penalty": 30.0},
    "power": {"power_w": np.array([3, 3, 1, 1, 1], np.float32), "layer_cap_w": 5.0},
    "layers": {"layer_cost": np.array([0.0, 5.5], np.float32)},
}


@needs_ortools
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_proved_cost_is_the_least(options: dict[str, object]) -> None:
    problem = problem_of(5, (2, 2, 2), 3, **options)
    found = assign_exactly(problem, seconds=30)
    assert found.is_optimal
    assert found.cost == pytest.approx(least_cost(problem), rel=1e-6)
    assert found.lower_bound == pytest.approx(found.cost, rel=1e-5)
    assert found.cost == assignment_cost(problem, found.site).total


@needs_ortools
def test_the_engine_reaches_the_proved_optimum() -> None:
    problem = problem_of(7, (1, 2, 4), 5)
    found = assign_exactly(problem, seconds=60)
    assert found.lower_bound <= found.cost + 1e-6
    assert assign_sites(problem).cost == pytest.approx(found.cost, rel=1e-6)


def without_links(n: int, shape: tuple[int, int, int], **options: object) -> SiteProblem:
    none = {"indptr": np.zeros(n + 1, np.int64), "neighbour": np.zeros(0, np.int32)}
    anchor = np.random.default_rng(n).random(n).astype(np.float32)
    lone = none | {"weight": np.zeros(0, np.float32), "anchor_weight": anchor}
    return problem_of(n, shape, 0, **(lone | options))


@needs_ortools
def test_arrays_without_links_are_a_linear_problem() -> None:
    layers = np.array([0.0, 0.7], np.float32)
    small = without_links(4, (2, 2, 2), layer_cost=layers)
    assert assign_exactly(small).cost == pytest.approx(least_cost(small), rel=1e-6)
    large = without_links(60, (2, 6, 6), layer_cost=layers)
    found = assign_exactly(large)
    assert len(np.unique(found.site)) == 60
    assert found.cost <= assign_sites(large, effort=3).cost * (1 + 1e-6)


def test_port_traffic_alone_needs_no_solver() -> None:
    problem = without_links(5, (1, 2, 3))
    found = assign_exactly(problem)
    assert found.is_optimal
    assert found.cost == pytest.approx(least_cost(problem))


def test_a_missing_solver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ortools.sat.python.cp_model", None)
    with pytest.raises(InputError, match=r'OR-tools .*pip install "semc-compiler\[exact\]"'):
        assign_exactly(problem_of(4, (1, 2, 3), 0))
