"""Partitions of chains over chips, against all partitions of small ones."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.placement.partition import Chain, partition_chain

CAPACITY = 6


def never(_: Sequence[int]) -> bool:
    """No arrays are shared."""
    return False


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    count = draw(st.integers(1, 7))
    arrays = draw(st.lists(st.integers(1, 14), min_size=1, max_size=5))
    choice = st.lists(st.integers(0, len(arrays) - 1), max_size=1)
    matrices = [draw(choice) for _ in range(count)]
    values = draw(
        st.lists(
            st.tuples(st.integers(-1, count - 1), st.integers(0, count), st.integers(1, 9)),
            max_size=6,
        )
    )
    made, read, nbytes = np.array(values, np.int64).reshape(-1, 3).T
    return Chain(matrices, np.array(arrays), made, np.minimum(read, count - 1), nbytes)


def all_segments(count: int) -> Iterator[list[tuple[int, int]]]:
    for mask in range(1 << (count - 1)):
        cuts = [0, *(k + 1 for k in range(count - 1) if mask >> k & 1), count]
        yield list(pairwise(cuts))


def cost_of(chain: Chain, segments: list[tuple[int, int]]) -> tuple[int, int] | None:
    """Chips, and bytes by the links that each value passes; None where a chip is too small."""
    home, chips = [], 0
    for first, end in segments:
        driven = {m for i in range(first, end) for m in chain.matrices[i]}
        taken = int(chain.arrays[list(driven)].sum())
        if taken > CAPACITY and len(driven) > 1:
            return None
        users = sum(bool(chain.matrices[i]) for i in range(first, end))
        if taken > CAPACITY and users > 1:
            return None  # a large matrix serves one operation where it is
        home += [chips] * (end - first)
        chips += max(1, -(-taken // CAPACITY))
    crossing = sum(
        int(size) * (home[read] - home[made])
        for made, read, size in zip(chain.made, chain.read, chain.nbytes, strict=True)
        if 0 <= made < read
    )
    return chips, crossing


@given(chains())
@settings(deadline=None, max_examples=300)
def test_the_best_of_all_partitions(chain: Chain) -> None:
    found = partition_chain(chain, CAPACITY, never)
    costs = [cost_of(chain, segments) for segments in all_segments(len(chain.matrices))]
    best = min(cost for cost in costs if cost is not None)
    assert (found.chips, found.crossing_bytes) == best
    assert cost_of(chain, [(s.first, s.end) for s in found.segments]) == best


def test_cuts_where_little_crosses() -> None:
    # Four products of 3 arrays: two a chip, or one on the first and one on the last of three.
    bottleneck = Chain(
        [[0], [1], [2], [3]],
        np.full(4, 3),
        np.array([0, 1, 2]),
        np.array([1, 2, 3]),
        np.array([1, 100, 1]),
    )
    found = partition_chain(bottleneck, CAPACITY, never)
    assert [(s.first, s.end) for s in found.segments] == [(0, 2), (2, 4)]
    assert found.crossing_bytes == 100  # two chips, whatever crosses


def test_a_shared_matrix_is_counted_once_on_a_chip() -> None:
    none = np.empty(0, np.int64)
    chain = Chain([[0], [1], [0]], np.array([4, 2]), none, none, none)
    assert partition_chain(chain, CAPACITY, never).chips == 1


def test_matrices_that_share_arrays_are_asked_for() -> None:
    none = np.empty(0, np.int64)
    chain = Chain([[n] for n in range(20)], np.ones(20, np.int64), none, none, none)
    together = partition_chain(chain, CAPACITY, lambda matrices: len(matrices) <= 10)
    assert together.chips == 2


def test_an_operation_of_several_large_matrices_is_refused() -> None:
    none = np.empty(0, np.int64)
    chain = Chain([[0, 1]], np.array([4, 4]), none, none, none)
    with pytest.raises(ValueError, match="drives matrices of 8 arrays"):
        partition_chain(chain, CAPACITY, never)
