"""The buffer allocator: known optima, never above plain greedy, and what the report says of it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.compiler.buffer_report import buffer_report
from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.compiler.passes.convert_tile_to_place import ConvertTileToPlace
from semc.compiler.placement.buffers import aligned, allocate, live_bytes, live_peak_bytes

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "placement"))

from buffers import measure

ROOM = 1 << 40
Lives = list[tuple[int, int, int]]
LIVES = st.lists(
    st.tuples(st.integers(1, 2000), st.integers(0, 25), st.integers(0, 25)), min_size=1, max_size=40
)


def arrays_of(lives: Lives) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    size, a, b = np.array(lives, np.int64).T
    return size, np.minimum(a, b), np.maximum(a, b)


def assert_apart(
    sizes: np.ndarray, first: np.ndarray, last: np.ndarray, offsets: np.ndarray
) -> None:
    for i in range(len(sizes)):
        for j in range(i):
            if first[i] <= last[j] and first[j] <= last[i] and min(offsets[i], offsets[j]) >= 0:
                low, high = sorted((i, j), key=lambda k: offsets[k])
                assert offsets[low] + sizes[low] <= offsets[high]


def greedy_by_size(
    sizes: np.ndarray, first: np.ndarray, last: np.ndarray, capacity: int
) -> np.ndarray:
    """Largest first into the smallest gap: Pisarchyk and Lee 2020, section 5, as plain as it is."""
    size = aligned(sizes)
    offsets = np.full(len(size), -1, np.int64)
    for i in np.lexsort((np.arange(len(size)), first, -size)):
        taken = sorted(
            (int(offsets[j]), int(offsets[j] + size[j]))
            for j in range(len(size))
            if offsets[j] >= 0 and first[j] <= last[i] and first[i] <= last[j]
        )
        at, gaps = 0, []
        for begin, end in taken:
            if begin - at >= size[i]:
                gaps.append((begin - at, at))
            at = max(at, end)
        if gaps:
            offsets[i] = min(gaps)[1]
        elif at + size[i] <= capacity:
            offsets[i] = at
    return offsets


@given(LIVES)
@settings(deadline=None, max_examples=60)
def test_never_above_the_largest_first_and_never_below_the_bound(lives: Lives) -> None:
    sizes, first, last = arrays_of(lives)
    offsets = allocate(sizes, first, last, ROOM)
    assert_apart(sizes, first, last, offsets)
    peak = (offsets + aligned(sizes)).max()
    plain = greedy_by_size(sizes, first, last, ROOM)
    assert peak <= (plain + aligned(sizes)).max()
    assert peak >= live_peak_bytes(aligned(sizes), first, last)
    assert (offsets % 64 == 0).all()


@given(LIVES, st.integers(64, 4000))
@settings(deadline=None, max_examples=60)
def test_no_more_is_left_over_than_by_the_largest_first(lives: Lives, capacity: int) -> None:
    sizes, first, last = arrays_of(lives)
    offsets = allocate(sizes, first, last, capacity)
    assert_apart(sizes, first, last, offsets)
    placed = offsets >= 0
    assert (offsets[placed] + sizes[placed] <= capacity).all()
    plain = greedy_by_size(sizes, first, last, capacity)
    assert aligned(sizes)[~placed].sum() <= aligned(sizes)[plain < 0].sum()


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_perfect_allocation_is_found(seed: int) -> None:
    """Rectangles cut out of an arena that is full at all times."""
    rng = np.random.default_rng(seed)
    parts = [(0, 32, 0, 20)]  # from, to in 64 bytes; first slot, end slot
    for _ in range(24):
        parts.sort(key=lambda p: (p[1] - p[0]) * (p[3] - p[2]))
        low, high, begin, end = parts.pop()
        if (high - low >= end - begin and high - low > 1) or end - begin < 2:
            at = int(rng.integers(low + 1, high))
            parts += [(low, at, begin, end), (at, high, begin, end)]
        else:
            at = int(rng.integers(begin + 1, end))
            parts += [(low, high, begin, at), (low, high, at, end)]
    low, high, begin, end = np.array(parts).T
    sizes = 64 * (high - low)
    assert live_peak_bytes(sizes, begin, end - 1) == 32 * 64
    offsets = allocate(sizes, begin, end - 1, ROOM)
    assert (offsets + sizes).max() == 32 * 64


def test_what_lives_all_the_time_stands_at_the_bottom() -> None:
    sizes = np.array([64, 640, 128, 640])
    first, last = np.array([0, 1, 0, 5]), np.array([9, 4, 9, 8])
    offsets = allocate(sizes, first, last, ROOM)
    assert sorted(offsets[[0, 2]].tolist()) in ([0, 64], [0, 128])
    assert (offsets[[1, 3]] == 192).all()


def test_fifty_thousand_short_lives() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 50_000, 50_000)
    last = first + rng.geometric(0.2, 50_000)
    sizes = 64 * rng.integers(1, 2000, 50_000)
    offsets = allocate(sizes, first, last, ROOM, tries=0)
    assert (offsets + sizes).max() <= 1.05 * live_peak_bytes(sizes, first, last)


def test_many_pairs_are_placed_without_listing_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    sizes, first, last = arrays_of([tuple(row) for row in rng.integers(1, 100, (200, 3))])
    listed = allocate(sizes, first, last, ROOM, tries=0)
    monkeypatch.setattr("semc.compiler.placement.buffers._LISTED", 0)
    looked_for = allocate(sizes, first, last, ROOM, tries=0)
    assert_apart(sizes, first, last, looked_for)
    assert (listed == looked_for).all()


def test_an_example_of_minimalloc_fits(tmp_path: Path) -> None:
    """Five buffers of 4 in 12 (benchmarks/examples/input.12.csv there), times 64 bytes here."""
    path = tmp_path / "example.768.csv"
    path.write_text(
        "buffer,start,end,size\nb1,0,3,256\nb2,3,9,256\nb3,0,9,256\nb4,9,21,256\nb5,0,21,256\n"
    )
    row = measure(path)
    assert (row["buffers"], row["bound"], row["peak"], row["fits"]) == (5, 768, 768, True)


def test_no_buffers() -> None:
    none = np.empty(0, np.int64)
    assert len(allocate(none, none, none, 100)) == 0
    assert live_peak_bytes(none, none, none) == 0


def test_live_bytes_by_slot() -> None:
    live = live_bytes(np.array([10, 20, 5]), np.array([2, 3, 5]), np.array([3, 3, 6]))
    assert live.tolist() == [10, 30, 0, 5, 5]


def test_the_report_knows_lives_in_and_around_loops() -> None:
    """What a loop takes from around it lives until the loop ends; what it makes does not."""
    text = """
func.func @main(%x: tensor<64xf32>, %n: tensor<64xf32>) -> tensor<64xf32> {
  %a = tile.map(%x) : (tensor<64xf32>) -> tensor<64xf32> {
  ^bb0(%u: f32):
    %v = arith.addf %u, %u : f32
    tile.yield %v : f32
  }
  %y = tile.loop (%n) max 3 : (tensor<64xf32>) -> (tensor<64xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<64xf32>):
    %t = tile.map(%s, %a) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32> {
    ^bb1(%p: f32, %q: f32):
      %w = arith.addf %p, %q : f32
      tile.yield %w : f32
    }
    tile.yield %t : tensor<64xf32>
  }
  func.return %y : tensor<64xf32>
}
"""
    ctx = new_context()
    module = parse_module(text, ctx, "file.mlir")
    ConvertTileToPlace("memcap-demo").apply(ctx, module)
    report = buffer_report(module)
    # In the SRAM: a near copy of x and of a, what is carried, and the counter.
    assert report["sram"]["peak_bytes"] == report["sram"]["bound_bytes"] == 2 * 256 + 64
    assert report["sram"]["gap"] == 0.0
    assert report["host"]["bound_bytes"] == 3 * 256
