"""The quadratic assignment problem: annealed starts, then a memetic search with tabu search.

Least ``sum a[i, j] * b[p[i], p[j]]`` over permutations (Koopmans and Beckmann 1957). A few annealed
permutations (Connolly, EJOR 46 (1990) 93) are recombined, keeping what two of them share, and each
child is improved by robust tabu search (Taillard 1991), as in Benlic and Hao, "Memetic search for
the quadratic assignment problem", Expert Systems with Applications 42 (2015) 584.
"""

import math
import time
from dataclasses import dataclass

import numpy as np

from .deadline import Clock, Deadline
from .qap_moves import Search, anneal_swaps, fill_deltas, tabu_search

_MEMBERS = 10
_START_SHARE = 0.4  # of the work goes into the annealed starts
_HOT = 0.3  # times the mean change of cost by a swap of a random permutation
_COLD = (0.01, 0.03)  # in turn: cold enough for costs of many sizes, and not too cold for even ones
_CHILD_ITERATIONS = 20  # of tabu search, times n
_SHAKEN_ITERATIONS = 10
_PROBE_TRIES = 50_000


@dataclass(frozen=True, slots=True)
class QapSolution:
    """A permutation and what it took."""

    permutation: np.ndarray
    """int32 [n]: the location of each facility."""
    cost: float
    work: float
    """Tries of swaps, looked at one by one or all at once."""
    children: int
    """Permutations that were recombined or shaken and then improved."""


def qap_cost(a: np.ndarray, b: np.ndarray, permutation: np.ndarray) -> float:
    """``sum a[i, j] * b[p[i], p[j]]``."""
    return float((a * b[np.ix_(permutation, permutation)]).sum())


def solve_qap(
    a: np.ndarray,
    b: np.ndarray,
    *,
    seconds: float | None = None,
    tries: float = 1e7,
    seed: int = 0,
    clock: Clock = time.perf_counter,
) -> QapSolution:
    """A permutation of little cost for flows ``a`` and distances ``b``, float [n, n].

    About ``tries`` swaps are looked at, and the result is the same for the same seed; or the search
    goes on for ``seconds`` of ``clock``. Raises ValueError when the matrices are not square and
    alike, or hold what is not finite.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.ndim != 2 or a.shape != b.shape or a.shape[0] != a.shape[1]:
        raise ValueError(f"two square matrices of one size are needed, got {a.shape}, {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("flows and distances must be finite")
    if len(a) < 3:
        orders = [np.arange(len(a), dtype=np.int32)]
        orders.append(orders[0][::-1].copy())
        best = min(orders, key=lambda p: qap_cost(a, b, p))
        return QapSolution(best, qap_cost(a, b, best), 0, 0)
    solver = _Solver(a, b, seed)
    solver.run(math.inf if seconds is not None else tries, Deadline(seconds, clock))
    return QapSolution(solver.best, qap_cost(a, b, solver.best), solver.work, solver.children)


class _Solver:
    def __init__(self, a: np.ndarray, b: np.ndarray, seed: int) -> None:
        self.n = len(a)
        self.rng = np.random.default_rng(seed)
        self.b, self.search = _search(a, b, self.rng)
        self.best = self.search.p.copy()
        self.best_cost = float(self.search.cost[0])
        self.work = 0.0
        self.children = 0
        self._tabu_work = self.n * self.n / 50  # an iteration in tries, as measured
        self.members: list[tuple[float, np.ndarray]] = []
        fill_deltas(self.search)
        changes = np.abs(self.search.delta[np.triu_indices(self.n, 1)])
        self._unit = float(changes[changes > 0].mean()) if changes.any() else 1.0

    def run(self, tries: float, deadline: Deadline) -> None:
        """Search until ``tries`` are made or the time is over; one of them must be finite."""
        each = self._tries_of_a_start(tries, deadline)
        while self.work < tries and not deadline.is_over():
            if len(self.members) < _MEMBERS:
                self._add_start(each)
            elif self.children % 2:
                self._recombine()
            else:
                self._shake()

    def _tries_of_a_start(self, tries: float, deadline: Deadline) -> int:
        """A share of the tries, or of what the time allows, from how long some take."""
        left = deadline.left_s()
        if left < math.inf:
            self._anneal(_COLD[0], _PROBE_TRIES)
            took = max(left - deadline.left_s(), 1e-6)
            tries = min(tries, deadline.left_s() / took * _PROBE_TRIES)
        return max(1000, int(tries * _START_SHARE / _MEMBERS))

    def _add_start(self, tries: int) -> None:
        """Annealing or tabu search from anywhere: one start of each, then the better of the two.

        Annealing finds the coarse order that most problems have; where costs are as good as random
        there is none, and tabu search is the better one from the start.
        """
        count = len(self.members)
        by_tabu = count == 1 if count < 2 else self.members[1][0] < self.members[0][0]
        if by_tabu:
            iterations = max(_SHAKEN_ITERATIONS, round(tries / self._tabu_work / self.n))
            self._improve(self.rng.permutation(self.n), iterations)
        else:
            self._anneal(_COLD[count % len(_COLD)], tries)
            self._improve(self.search.best.copy(), _SHAKEN_ITERATIONS)
        self.members.append((float(self.search.cost[1]), self.search.best.copy()))

    def _anneal(self, cold: float, tries: int) -> None:
        self._load(self.rng.permutation(self.n))
        anneal_swaps(self.search, self._unit * _HOT, self._unit * cold, tries)
        self.work += tries
        self._note()

    def _recombine(self) -> None:
        one, two = self.rng.choice(len(self.members), 2, replace=False)
        child = recombine(self.members[one][1], self.members[two][1], self.rng)
        self._improve(child, _CHILD_ITERATIONS)
        self._survive()

    def _shake(self) -> None:
        """Improve a good member anew after moving a tenth to a third of it."""
        one, two = self.rng.choice(len(self.members), 2, replace=False)
        _, member = min(self.members[one], self.members[two], key=lambda m: m[0])
        size = int(self.rng.integers(max(3, self.n // 10), max(4, self.n // 3) + 1))
        moved = self.rng.choice(self.n, min(size, self.n), replace=False)
        child = member.copy()
        child[moved] = child[np.roll(moved, 1)]
        self._improve(child, _SHAKEN_ITERATIONS)
        self._survive()

    def _improve(self, p: np.ndarray, iterations: int) -> None:
        self._load(p)
        fill_deltas(self.search)
        self.search.tabu[:] = 0
        count = iterations * self.n
        tabu_search(self.search, 1, count)
        self.work += count * self._tabu_work
        self._note()

    def _survive(self) -> None:
        """The child takes the place of the worst member, if better and not one of them."""
        self.children += 1
        cost = float(self.search.cost[1])
        worst = max(range(len(self.members)), key=lambda k: self.members[k][0])
        if cost < self.members[worst][0] and all(cost != other for other, _ in self.members):
            self.members[worst] = (cost, self.search.best.copy())

    def _load(self, p: np.ndarray) -> None:
        search = self.search
        search.p[:] = search.best[:] = p
        search.c[:] = self.b[np.ix_(p, p)]
        if search.ct is not search.c:
            search.ct[:] = search.c.T
        search.cost[:] = (search.a * search.c).sum()

    def _note(self) -> None:
        if self.search.cost[1] < self.best_cost:
            self.best_cost = float(self.search.cost[1])
            self.best = self.search.best.copy()


def recombine(p: np.ndarray, q: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A permutation that keeps what ``p`` and ``q`` share and takes the rest from either.

    Uniform crossover: an element takes the place it has in one parent, drawn by lot, or in the
    other if that is taken; what is left over gets the free places by lot.
    """
    child = np.where(p == q, p, -1).astype(np.int32)
    taken = np.zeros(len(p), bool)
    taken[child[child >= 0]] = True
    for i in rng.permutation(np.flatnonzero(child < 0)):
        pair = (p[i], q[i]) if rng.random() < 0.5 else (q[i], p[i])
        for place in pair:
            if not taken[place]:
                child[i] = place
                taken[place] = True
                break
    child[child < 0] = rng.permutation(np.flatnonzero(~taken))
    return child


def _search(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, Search]:
    """Distances and the state of the loops; symmetric where one of the matrices is."""
    symmetric = bool((a == a.T).all() or (b == b.T).all())
    if symmetric:
        a, b = (a + a.T) / 2, (b + b.T) / 2  # costs the same when either is symmetric
    n = len(a)
    p = np.arange(n, dtype=np.int32)
    c = b.copy()
    cost = float((a * b).sum())
    search = Search(
        symmetric=symmetric,
        a=a.copy(),
        at=a.T.copy(),
        c=c,
        ct=c if symmetric else b.T.copy(),
        p=p,
        best=p.copy(),
        upper=np.zeros((n, n)),
        lower=np.zeros((n, n)),
        own=np.zeros(n),
        ad=np.zeros(n),
        cd=np.zeros(n),
        delta=np.zeros((n, n)),
        tabu=np.zeros((n, n), np.int64),
        cost=np.array([cost, cost]),
        random=rng.integers(1, 2**63, 1, np.uint64),
    )
    return b, search
