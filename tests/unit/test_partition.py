"""Partitions of chains over chips, against all partitions of small ones."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.partition import (
    Chain,
    Partition,
    cheapest_cuts,
    cut_arrays,
    partition_chain,
)

CAPACITY = 6


def never(_: Sequence[int]) -> bool:
    """No arrays are shared."""
    return False


def simple_chain(
    matrices: Sequence[Sequence[int]],
    arrays: Sequence[int],
    values: Sequence[tuple[int, int, int]] = (),
    product_bytes: Sequence[float] | None = None,
) -> Chain:
    made, read, nbytes = np.array(values, np.int64).reshape(-1, 3).T
    given_bytes = np.zeros(len(matrices)) if product_bytes is None else np.array(product_bytes)
    return Chain(matrices, np.array(arrays), given_bytes, made, read, nbytes)


@st.composite
def chains(draw: st.DrawFn, once: bool = False) -> Chain:
    count = draw(st.integers(1, 4 if once else 7))
    arrays = draw(st.lists(st.integers(1, 8), min_size=count, max_size=count))
    if once:
        matrices = [[n] if draw(st.booleans()) else [] for n in range(count)]
    else:
        choice = st.lists(st.integers(0, len(arrays) - 1), max_size=1)
        matrices = [draw(choice) for _ in range(count)]
    value = st.tuples(st.integers(-1, count - 1), st.integers(0, count - 1), st.integers(1, 9))
    values = draw(st.lists(value, max_size=6))
    sent = draw(st.lists(st.sampled_from([0.0, 5.0, 40.0]), min_size=count, max_size=count))
    return simple_chain(matrices, arrays, values, sent)


def crossing_of(chain: Chain, home: Sequence[int]) -> int:
    """Bytes by the links that each value passes."""
    return sum(
        int(size) * (home[read] - home[made])
        for made, read, size in zip(chain.made, chain.read, chain.nbytes, strict=True)
        if 0 <= made < read
    )


def all_homes(count: int) -> Iterator[list[int]]:
    for cuts in range(count):
        for places in combinations(range(1, count), cuts):
            yield [sum(place <= i for place in places) for i in range(count)]


def cost_between_operations(chain: Chain, home: Sequence[int]) -> tuple[int, int] | None:
    for chip in range(max(home) + 1):
        driven = {m for i, ms in enumerate(chain.matrices) if home[i] == chip for m in ms}
        if int(chain.arrays[list(driven)].sum()) > CAPACITY:
            return None
    return max(home) + 1, crossing_of(chain, home)


@given(chains())
@settings(deadline=None, max_examples=150)
def test_the_best_of_all_partitions_between_operations(chain: Chain) -> None:
    found = partition_chain(chain, CAPACITY, never)
    costs = [cost_between_operations(chain, home) for home in all_homes(len(chain.matrices))]
    possible = [cost for cost in costs if cost is not None]
    if not possible:
        assert found is None
        return
    assert found is not None
    assert (found.chips, found.crossing_bytes) == min(possible)
    assert cost_between_operations(chain, found.home.tolist()) == min(possible)


def cost_between_arrays(chain: Chain, cuts: Sequence[int], home: Sequence[int]) -> float:
    """Values by the links they pass, and products by the links to each of their arrays.

    Infinite where an operation runs on a chip that has none of its matrix.
    """
    total = float(crossing_of(chain, home))
    at = 0
    for i, matrices in enumerate(chain.matrices):
        for m in matrices:
            size = int(chain.arrays[m])
            where = np.searchsorted(cuts[1:-1], np.arange(at, at + size), "right")
            away = np.abs(where - home[i])
            total += away.sum() * chain.product_bytes[i] / size if not away.all() else np.inf
            at += size
    return total


@given(chains(once=True))
@settings(deadline=None, max_examples=80)
def test_the_best_of_all_partitions_between_arrays(chain: Chain) -> None:
    found = cut_arrays(chain, CAPACITY)
    assert found is not None
    assert found.cuts is not None
    arrays = sum(int(chain.arrays[m]) for ms in chain.matrices for m in ms)
    chips = max(1, -(-arrays // CAPACITY))
    assert found.chips == chips
    claimed = cost_between_arrays(chain, found.cuts.tolist(), found.home.tolist())
    assert abs(claimed - found.crossing_bytes) < 1e-9
    best = min(
        cost_between_arrays(chain, [0, *cuts, arrays], home)
        for cuts in combinations(range(1, max(arrays, 1)), chips - 1)
        if max(np.diff([0, *cuts, arrays]), default=0) <= CAPACITY
        for home in _homes_on(len(chain.matrices), chips)
    )
    assert found.crossing_bytes <= best + 1e-9


def _homes_on(count: int, chips: int) -> Iterator[list[int]]:
    """All rising chips of operations."""
    for places in combinations(range(count + chips - 1), chips - 1):
        cuts = [place - n for n, place in enumerate(places)]
        yield [sum(cut <= i for cut in cuts) for i in range(count)]


COSTS = st.lists(st.sampled_from([0.0, 1.0, 3.0, float("inf")]), min_size=2, max_size=14)


@given(COSTS, st.integers(1, 6))
@settings(deadline=None)
def test_cuts_are_the_fewest_and_cheapest(costs: list[float], capacity: int) -> None:
    cost, count = np.array(costs), len(costs) - 1
    found = cheapest_cuts(cost, capacity)
    possible = [
        (len(cuts), sum(costs[c] for c in cuts))
        for n in range(count)
        for cuts in combinations(range(1, count), n)
        if max(b - a for a, b in pairwise([0, *cuts, count])) <= capacity
    ]
    possible = [each for each in possible if np.isfinite(each[1])]
    if not possible:
        assert found is None
        return
    assert found is not None
    inner = found[1:-1].tolist()
    assert (len(inner), sum(costs[c] for c in inner)) == min(possible)


def test_cuts_where_little_crosses() -> None:
    values = [(0, 1, 50), (1, 2, 1), (2, 3, 50)]
    chain = simple_chain([[0], [1], [2], [3]], [3, 3, 3, 3], values)
    found = partition_chain(chain, CAPACITY, never)
    assert found is not None
    assert found.home.tolist() == [0, 0, 1, 1]
    assert found.crossing_bytes == 1


def test_a_shared_matrix_is_counted_once_on_a_chip_and_not_cut() -> None:
    chain = simple_chain([[0], [1], [0]], [4, 2])
    found = partition_chain(chain, CAPACITY, never)
    assert found is not None
    assert found.chips == 1
    assert cut_arrays(chain, CAPACITY) is None


def test_matrices_that_share_arrays_are_asked_for() -> None:
    chain = simple_chain([[n] for n in range(20)], [1] * 20)
    together = partition_chain(chain, CAPACITY, lambda matrices: len(matrices) <= 10)
    assert together is not None
    assert together.chips == 2


def test_a_matrix_over_two_chips_saves_a_third() -> None:
    chain = simple_chain([[0], [1], [2]], [4, 4, 4], [(0, 1, 7), (1, 2, 9)], [8.0, 8.0, 8.0])
    between = partition_chain(chain, CAPACITY, never)
    cut: Partition | None = cut_arrays(chain, CAPACITY)
    assert between is not None
    assert cut is not None
    assert (between.chips, cut.chips) == (3, 2)
    # Half of the second matrix is on each chip: 4 of its 8 bytes cross, and 7 rather than 9.
    assert cut.crossing_bytes == 11
    assert cut.home.tolist() == [0, 1, 1]
