"""Programs whose tiles share arrays: how long a product takes, and that it stays right."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import semc
from semc.backends.memcap.decode import decode_program
from semc.backends.targets.memcap_cost import mvm_latency_s
from semc.compiler.passes.place_tiles import PlaceTiles
from semc.runtime.timing.memcap import time_program

from .memcap_programs import compiled, demo_target
from .onnx_models import info, model

#: Sixteen groups of 36 x 8 weights: three fit on a diagonal of 128 rows, twelve into one array.
GROUPS, CHANNELS, OUTS, SIZE = 16, 64, 128, 8


@pytest.fixture(scope="module")
def grouped() -> bytes:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(OUTS, CHANNELS // GROUPS, 3, 3)).astype(np.float32)
    conv = helper.make_node("Conv", ["x", "w"], ["y"], name="conv", group=GROUPS, pads=[1, 1, 1, 1])
    data: bytes = model(
        [conv],
        [info("x", [1, CHANNELS, SIZE, SIZE])],
        [info("y", [1, OUTS, SIZE, SIZE])],
        {"w": weight},
    ).SerializeToString()
    return data


def test_every_way_to_share_arrays_computes_the_same(
    grouped: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(1).normal(size=(1, CHANNELS, SIZE, SIZE)).astype(np.float32)
    session = onnxruntime.InferenceSession(grouped, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": x})[0]
    arrays, latency_s = {}, {}
    for sharing in ("dense", "auto", "exclusive"):
        monkeypatch.setattr(
            "semc.compiler.passes.place_tiles.PlaceTiles", partial(PlaceTiles, packing=sharing)
        )
        program = semc.compile(grouped, target="memcap-demo")
        assert program.manifest["stats"]["work"]["array_macs"] > 0
        arrays[sharing] = program.manifest["stats"]["arrays"]["used"]
        result = semc.simulate(program, {"x": x}, mode="exact")
        np.testing.assert_allclose(result.outputs["y"], expected, atol=1e-5)
        latency_s[sharing] = result.latency_s
    assert arrays["dense"] < arrays["exclusive"] < arrays["auto"] == GROUPS
    # One after another, on diagonals in one round, and each by converters of its own.
    assert latency_s["dense"] > latency_s["exclusive"] > latency_s["auto"]


TWO_GROUPS = """
func.func @main(%x: tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  %m = tile.program <"m"> tiles dense<[[0, 0, 8, 0, 8], [1, 0, 8, 0, 8]]> : tensor<2x5xi32>
    {sites = dense<[[0, 0, 0, 0, 0], [0, 0, COL, FIRST_ROW, FIRST_COL]]> : tensor<2x5xi32>}
    : !tile.crossbar<2x8x8>
  %y = tile.mvm %m, %x : (!tile.crossbar<2x8x8>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  func.return %y : tensor<2x3x8xf32>
}
"""


def makespan_s(col: int, first_row: int, first_col: int) -> float:
    """Of a product of two groups, the second of them at a site."""
    text = TWO_GROUPS.replace("FIRST_ROW", str(first_row)).replace("FIRST_COL", str(first_col))
    weights = {"m": np.ones((2, 8, 8), np.float32)}
    program = compiled(text.replace("COL", str(col)), weights)
    return time_program(decode_program(program)).timeline.makespan_s


def test_a_product_takes_its_rounds_and_their_columns() -> None:
    target = demo_target()
    narrow_s, wide_s = (mvm_latency_s(target, 3, cols) for cols in (8, 16))
    diagonal_s = makespan_s(0, 8, 8)
    assert makespan_s(0, 0, 8) - diagonal_s == pytest.approx(2 * narrow_s - wide_s)
    assert makespan_s(0, 8, 0) - diagonal_s == pytest.approx(2 * narrow_s - wide_s)
    # Two arrays have converters each; the second is nearer, so the way to the first still counts.
    assert diagonal_s - makespan_s(1, 0, 0) == pytest.approx(wide_s - narrow_s)
