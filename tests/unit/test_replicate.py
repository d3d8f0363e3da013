"""Copies of matrices: the choice against brute force, the numbers against one copy."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semc
from semc.backends.memcap.emit import emit_program
from semc.compiler.placement import replicate
from semc.compiler.placement.replicate import (
    Stage,
    least_bottleneck,
    least_sum,
    lower_hull,
    stage_options,
)
from semc.compiler.quantize.column_gain import column_gain

from .memcap_programs import compiled, demo_target, lowered, stored

EXAMPLES = Path(__file__).parents[2] / "examples"


@st.composite
def stages(draw: st.DrawFn) -> list[Stage]:
    """A few stages of a few options each."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        positions = draw(st.integers(1, 12))
        each = draw(st.integers(1, 3))
        one_s, copy_s = draw(st.integers(1, 9)), draw(st.integers(0, 2))
        made.append(
            stage_options(
                [positions],
                each,
                positions,
                lambda n, p=positions, t=one_s, c=copy_s: -(-p // n) * t + c * n,
            )
        )
    return made


def best(stages: list[Stage], budget: int, of: object) -> float:
    """The least ``of`` (sum or max) over all choices within the budget."""
    return min(
        of(s.seconds[k] for s, k in zip(stages, choice, strict=True))  # type: ignore[operator]
        for choice in product(*(range(len(s.copies)) for s in stages))
        if sum(s.arrays[k] for s, k in zip(stages, choice, strict=True)) <= budget
    )


@given(stages(), st.integers(0, 40))
def test_the_choice_is_the_best_there_is(stages: list[Stage], budget: int) -> None:
    total, slowest = least_sum(stages, budget), least_bottleneck(stages, budget)
    assert total.arrays <= budget
    assert slowest.arrays <= budget
    assert total.seconds == best(stages, budget, sum) == total.bound_s
    assert slowest.seconds == best(stages, budget, max)


@given(stages(), st.integers(0, 40))
def test_the_greedy_choice_stays_within_its_bound(stages: list[Stage], budget: int) -> None:
    found = replicate._least_sum_by_gain(stages, budget, 0.0)
    optimum = best(stages, budget, sum)
    assert found.arrays <= budget
    assert found.bound_s - 1e-9 <= optimum <= found.seconds + 1e-9
    # The relaxation is off by less than one step.
    steps = [0.0]
    for s in stages:
        steps += (-np.diff(s.seconds[lower_hull(s.arrays, s.seconds)])).tolist()
    assert found.seconds - found.bound_s <= max(steps) + 1e-9


@given(stages(), st.integers(0, 40), st.integers(1, 60))
def test_no_more_arrays_than_the_wanted_time_needs(
    stages: list[Stage], budget: int, wanted: int
) -> None:
    found = least_sum(stages, budget, wanted)
    if found.seconds > wanted:
        assert found.seconds == best(stages, budget, sum)
    elif found.arrays:
        assert best(stages, found.arrays - 1, sum) > wanted


def test_options_are_the_fewest_copies_of_each_share() -> None:
    stage = stage_options([10], 3, 100, lambda n: float(-(-10 // n)))
    assert stage.copies.tolist() == [1, 2, 3, 4, 5, 10]
    assert stage.arrays.tolist() == [0, 6, 9, 12, 15, 30]
    assert stage_options([10], 3, 4, lambda n: float(-(-10 // n))).copies.max() == 4
    fed = stage_options([10], 3, 100, lambda n: max(-(-10 // n), 3.5))  # no use below the links
    assert fed.copies.tolist() == [1, 2, 3, 4]


#: Two copies, one in two layers; its other part shares layer 1 with the second copy.
COPIES = """
func.func @main(%x: tensor<5x200xf32>) -> tensor<5x16xf32> {
  %m = tile.program <"m"> codes <"codes"> scale <"scale"> copy dense<[0, 0, 1, 1]> : tensor<4xi32>
    tiles dense<[[0, 0, 128, 0, 16], [0, 128, 72, 0, 16], [0, 0, 128, 0, 16], [0, 128, 72, 0, 16]]>
    : tensor<4x5xi32>
    {sites = dense<[[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 2, 0, 0], [1, 3, 0, 0, 0]]>
    : tensor<4x5xi32>} : !tile.crossbar<1x200x16>
  %y = tile.mvm %m, %x : (!tile.crossbar<1x200x16>, tensor<5x200xf32>) -> tensor<5x16xf32>
  func.return %y : tensor<5x16xf32>
}
"""


ONE = (
    COPIES.replace("copy dense<[0, 0, 1, 1]> : tensor<4xi32>", "")
    .replace(", [0, 0, 128, 0, 16], [0, 128, 72, 0, 16]]", "]")
    .replace(", [1, 0, 2, 0, 0], [1, 3, 0, 0, 0]]", "]")
    .replace("tensor<4x5xi32>", "tensor<2x5xi32>")
)


def arrays_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    codes = rng.integers(-127, 128, (1, 200, 16)).astype(np.int8)
    scale = np.full((1, 16), 0.01, np.float32)
    return {"m": codes * scale[:, None], "codes": codes, "scale": scale}


@pytest.mark.parametrize("mode", ["exact", "quantized"])
def test_copies_do_not_change_the_numbers(mode: str) -> None:
    rng = np.random.default_rng(1)
    arrays, x = arrays_of(rng), {"input0": rng.standard_normal((5, 200), np.float32)}
    one, copies = (
        semc.simulate(compiled(text, arrays), x, mode=mode).outputs["output0"]
        for text in (ONE, COPIES)
    )
    np.testing.assert_allclose(one, copies, rtol=1e-6)  # tiles add up in float32, layer by layer
    np.testing.assert_allclose(
        one, x["input0"] @ arrays["m"][0], atol=2.0 if mode == "quantized" else 1e-4
    )


def test_each_copy_has_devices_of_its_own() -> None:
    arrays = arrays_of(np.random.default_rng(2))
    store = stored(arrays)
    demo = demo_target()
    noise = demo.noise.model_copy(update={"off": ("thermal", "read", "adc_noise")})
    quiet = demo.model_copy(update={"noise": noise})
    program = emit_program(lowered(COPIES, store), store, quiet)
    x = np.tile(np.random.default_rng(3).standard_normal((1, 200), np.float32), (5, 1))
    y = semc.simulate(program, {"input0": x}, mode="noisy").outputs["output0"]
    # The first copy reads positions 0 and 1, the second the others.
    np.testing.assert_array_equal(y[:2], y[:1].repeat(2, axis=0))
    np.testing.assert_array_equal(y[2:], y[2:3].repeat(3, axis=0))
    assert np.count_nonzero(y[0] != y[2]) > 8


def test_copies_shorten_an_inference_and_read_as_much() -> None:
    images = np.load(EXAMPLES / "digits_test.npz")
    x = {"image": images["image"][:1]}
    one, many = (
        semc.compile(EXAMPLES / "digits_cnn.onnx", "memcap-demo", copies=n) for n in (1, 0)
    )
    stats = [program.manifest["stats"] for program in (one, many)]
    assert not stats[0]["copies"]
    assert max(stats[1]["copies"].values()) > 1
    assert stats[0]["arrays"]["used"] < stats[1]["arrays"]["used"] <= 64
    slow, fast = (semc.simulate(program, x, mode="exact") for program in (one, many))
    assert fast.latency_s < slow.latency_s / 2
    assert fast.timing.array_macs == slow.timing.array_macs
    assert fast.timing.parts_j["adc"] == pytest.approx(slow.timing.parts_j["adc"])
    for name, y in slow.outputs.items():
        np.testing.assert_array_equal(y, fast.outputs[name])
    assert [n for n in many.tensors if n.startswith("codes.")] == [
        n for n in one.tensors if n.startswith("codes.")
    ]


def test_copies_have_the_gain_of_their_tile() -> None:
    rng = np.random.default_rng(6)
    demo, codes = demo_target(), rng.integers(-127, 128, (1, 200, 16)).astype(np.int8)
    tiles = np.array([[0, 0, 128, 0, 16], [0, 128, 72, 0, 16]], np.int32)
    sites = np.array([[0, 0, 0, 0, 0], [2, 1, 0, 0, 0]], np.int32)
    one = column_gain(codes, tiles, sites, demo)
    moved = sites[[1, 0, 1, 0]] + np.array([0, 1, 1, 0, 0], np.int32)
    both = column_gain(codes, tiles[[1, 0, 1, 0]], moved, demo)
    np.testing.assert_array_equal(both, np.tile(np.hstack([one[:, 16:], one[:, :16]]), 2))
    assert (one[:, 16:] != one[:, :16]).any()
