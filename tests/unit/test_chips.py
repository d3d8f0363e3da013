"""Programs over several chips: names, results, what crosses the links, devices, rules."""

import numpy as np
import pytest

from semc.backends.memcap.crossing import chip_report
from semc.backends.memcap.decode import decode_program
from semc.backends.program import Program
from semc.backends.targets.chips import MOST_CHIPS, on_chip, own_sites, split_name
from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.compiler.passes.place_tiles import PlaceTiles
from semc.compiler.pipeline import run_passes
from semc.dialects import tile
from semc.dialects.attributes import table_of
from semc.errors import ProgramError
from semc.runtime.execute.memcap import MemcapExecutor
from semc.runtime.physics.instance import temperature_k
from semc.runtime.timing.memcap import time_program

from .memcap_programs import TO_ANALOG, compiled, demo_target

#: y = (-(x @ a) - x @ a) @ b, b on the second chip but for its last columns, which are on a third.
THREE_CHIPS = """
builtin.module attributes {chips = 3 : i64} {
func.func @main(%x: tensor<2x32xf32>) -> tensor<2x64xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32>
    {sites = dense<[[1, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x32x32>
  %b = tile.program <"b"> tiles dense<[[0, 0, 32, 0, 32], [0, 0, 32, 32, 32]]> : tensor<2x5xi32>
    {sites = dense<[[4, 2, 2, 0, 0], [8, 2, 2, 0, 0]]> : tensor<2x5xi32>} : !tile.crossbar<1x32x64>
  %1 = tile.mvm %a, %x {chip = 0 : i64}
    : (!tile.crossbar<1x32x32>, tensor<2x32xf32>) -> tensor<2x32xf32>
  %2 = tile.map(%1) {chip = 0 : i64} : (tensor<2x32xf32>) -> tensor<2x32xf32> {
  ^bb0(%p: f32):
    %n = arith.negf %p : f32
    tile.yield %n : f32
  }
  %3 = tile.map(%2, %1) {chip = 1 : i64}
    : (tensor<2x32xf32>, tensor<2x32xf32>) -> tensor<2x32xf32> {
  ^bb0(%p: f32, %q: f32):
    %d = arith.subf %p, %q : f32
    tile.yield %d : f32
  }
  %4 = tile.mvm %b, %3 {chip = 1 : i64}
    : (!tile.crossbar<1x32x64>, tensor<2x32xf32>) -> tensor<2x64xf32>
  func.return %4 : tensor<2x64xf32>
}
}
"""
_TILES = [[0, row, 128, col, 32] for row in range(0, 512, 128) for col in range(0, 512, 32)]
SQUARE = f"dense<{_TILES}> : tensor<64x5xi32>"
QUANTIZED = "quantize-matrices{target=memcap-demo}," + TO_ANALOG


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    shapes = {"a": (1, 32, 32), "b": (1, 32, 64)}
    return {name: rng.standard_normal(s).astype(np.float32) / 5 for name, s in shapes.items()}


def inputs() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled(THREE_CHIPS, weights(), QUANTIZED)


@pytest.mark.parametrize("name", ["sram", "layer7", "vector"])
@pytest.mark.parametrize("chip", [0, 1, 12])
def test_names_come_back(chip: int, name: str) -> None:
    assert split_name(on_chip(chip, name)) == (chip, name)


def test_the_first_chip_keeps_plain_names() -> None:
    assert on_chip(0, "sram") == "sram"
    assert split_name("chip0.sram") == (0, "chip0.sram")


@pytest.mark.parametrize(("mode", "tolerance"), [("exact", 1e-5), ("quantized", 0.1)])
def test_chips_compute_as_one(program: Program, mode: str, tolerance: float) -> None:
    x, w = inputs(), weights()
    expected = -2 * (x @ w["a"][0]) @ w["b"][0]
    found = MemcapExecutor(program, mode).run({"input0": x})["output0"]  # type: ignore[arg-type]
    np.testing.assert_allclose(found, expected, atol=tolerance)


def test_what_crosses_is_counted_by_link(program: Program) -> None:
    decoded = decode_program(program)
    assert decoded.chips == 3
    moved = 2 * (2 * 32 * 4)  # two operands of the second chip's first operation
    there_and_back = 2 * 32 * 1 + 2 * 32 * 4  # codes of two rows, sums of two times 32 columns
    report = chip_report(decoded)
    assert report == {
        "used": 3,
        "arrays": [1, 1, 1],
        "link_bytes": [moved, there_and_back],
        "crossing_bytes": moved + there_and_back,
    }
    timed = time_program(decoded)
    energy_j = report["crossing_bytes"] * demo_target().chip_link.energy_pj_per_byte * 1e-12
    assert timed.parts_j["chip_link"] == pytest.approx(energy_j)
    leaked_j = 3 * demo_target().leakage_w * timed.timeline.makespan_s
    assert timed.parts_j["leakage"] == pytest.approx(leaked_j)


def test_each_chip_has_its_own_devices_in_the_same_place_of_a_stack() -> None:
    target = demo_target()
    sites = np.array([[1, 2, 3, 0, 0], [5, 2, 3, 0, 0], [9, 2, 3, 0, 0]], np.int32)
    own = own_sites(sites, target)
    assert own.tolist() == [[1, 2, 3, 0, 0], [1, 6, 3, 0, 0], [1, 10, 3, 0, 0]]
    assert len(np.unique(own, axis=0)) == 3
    assert len(set(temperature_k(own, target).tolist())) == 1
    np.testing.assert_array_equal(own_sites(sites[:1], target), sites[:1])


def test_noisy_chips_differ_by_seed(program: Program) -> None:
    x = inputs()
    one, other = (
        MemcapExecutor(program, "noisy", seed).run({"input0": x})["output0"] for seed in (1, 2)
    )
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("chips", [0, 1, 2, MOST_CHIPS + 1, "3", True])
def test_fewer_or_unlikely_chips_are_refused(program: Program, chips: object) -> None:
    hostile = Program({**program.manifest, "chips": chips}, dict(program.tensors))
    with pytest.raises(ProgramError, match=r"must lie|spans 1 to"):
        decode_program(hostile)


def placed_sites(names: str) -> list[np.ndarray]:
    """Sites of square matrices of 64 arrays each, which are driven one after another."""
    program = "".join(
        f'  %{name} = tile.program <"{name}"> tiles {SQUARE} : !tile.crossbar<1x512x512>\n'
        for name in names
    )
    values = ["x", *(f"{name}y" for name in names)]
    products = "".join(
        f"  %{y} = tile.mvm %{name}, %{x}"
        " : (!tile.crossbar<1x512x512>, tensor<1x512xf32>) -> tensor<1x512xf32>\n"
        for name, x, y in zip(names, values, values[1:], strict=False)
    )
    module = parse_module(
        "builtin.module {\nfunc.func @main(%x: tensor<1x512xf32>) -> tensor<1x512xf32> {\n"
        f"{program}{products}  func.return %{values[-1]} : tensor<1x512xf32>\n}}\n}}",
        new_context(),
        "test",
    )
    run_passes(module, [PlaceTiles(target="memcap-demo", on_overflow="chips")])
    return [
        np.array(table_of(op.attributes["sites"]))
        for op in module.walk()
        if isinstance(op, tile.ProgramOp)
    ]


def test_each_chip_is_placed_as_if_alone() -> None:
    (alone,) = placed_sites("a")
    layers = demo_target().stack.layers
    for chip, sites in enumerate(placed_sites("abc")):
        assert (sites - [chip * layers, 0, 0, 0, 0] == alone).all()
