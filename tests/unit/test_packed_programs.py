"""A grouped convolution through the whole compiler, however its tiles share arrays."""

from functools import partial

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import semc
from semc.compiler.passes.place_tiles import PlaceTiles

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
