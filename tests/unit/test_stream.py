"""Streaming: schedules, bands of rows, and results computed side by side."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper
from xdsl.dialects.builtin import ModuleOp

import semc
from semc.compiler.context import new_context
from semc.compiler.driver import CompileOptions, compile_model
from semc.compiler.parse import parse_module
from semc.compiler.passes import stream_rows
from semc.compiler.pipeline import run_passes
from semc.compiler.placement.stream import (
    StreamTask,
    band_bounds,
    best_order,
    in_order_makespan,
    schedule,
)
from semc.dialects import place, tile

from .memcap_programs import compiled
from .onnx_models import info, model


@st.composite
def task_graphs(draw: st.DrawFn) -> list[StreamTask]:
    tasks: list[StreamTask] = []
    for i in range(draw(st.integers(1, 12))):
        needs = draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else []
        unit = draw(st.sampled_from([None, 0, 1, 2]))
        times = [draw(st.integers(0, 5)) if unit is not None else 0 for _ in range(4)]
        tasks.append(StreamTask(unit, times[0], needs, (draw(st.integers(0, 3)), i), *times[1:]))
    return tasks


@given(task_graphs())
def test_an_order_can_be_kept_in_the_time_it_promises(tasks: list[StreamTask]) -> None:
    order = best_order(tasks)
    assert sorted(order.tasks) == list(range(len(tasks)))
    at = {task: i for i, task in enumerate(order.tasks)}
    assert all(at[j] < at[i] for i, task in enumerate(tasks) for j in task.needs)
    again = [
        StreamTask(t.unit, t.seconds, [at[j] for j in t.needs], t.key, t.lead_s, t.out_s, t.back_s)
        for t in (tasks[i] for i in order.tasks)
    ]
    assert in_order_makespan(again) == order.makespan_s
    units = {task.unit for task in tasks if task.unit is not None}
    for unit in units:
        assert order.makespan_s >= sum(t.lead_s + t.seconds for t in tasks if t.unit == unit)
    assert order.makespan_s >= max(sum(t.out_s for t in tasks), sum(t.back_s for t in tasks))


def test_two_stages_of_four_bands_overlap() -> None:
    first = [StreamTask(0, 1.0, [], (i, 0)) for i in range(4)]
    second = [StreamTask(1, 1.0, [i], (i, 1)) for i in range(4)]
    tasks = [*first, *second]
    assert best_order(tasks).makespan_s == 5.0
    assert schedule(tasks, [(-i, i) for i in range(8)]).makespan_s == 5.0
    assert in_order_makespan([StreamTask(0, 4.0, [], (0, 0)), StreamTask(1, 4.0, [0], (0, 1))]) == 8


def test_bands_are_nearly_equal_and_cover_all_rows() -> None:
    assert band_bounds(10, 4) == [(0, 2), (2, 5), (5, 7), (7, 10)]
    assert band_bounds(2, 8) == [(0, 1), (1, 2)]


def conv_chain(
    rng: np.random.Generator, size: tuple[int, int], pads: list[int], strides: list[int]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Convolutions of several kinds, pools, a branch, a concatenation and a mean."""
    node = helper.make_node
    weights = {
        "w1": rng.standard_normal((6, 3, 3, 3)),
        "b1": rng.standard_normal(6),
        "w2": rng.standard_normal((4, 6, 1, 1)),
        "w3": rng.standard_normal((6, 1, 3, 3)),
        "w4": rng.standard_normal((5, 10, 2, 3)),
        "w5": rng.standard_normal((5, 5, 3, 3)),
    }
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=pads, strides=strides),
        node("Relu", ["c1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["c2"]),
        node("Conv", ["r1", "w3"], ["c3"], group=6, pads=[1, 1, 1, 1]),
        node("Concat", ["c2", "c3"], ["k"], axis=1),
        node("MaxPool", ["k"], ["m"], kernel_shape=[3, 2], strides=[2, 1], ceil_mode=1),
        node("Conv", ["m", "w4"], ["c4"], dilations=[2, 1], pads=[2, 1, 1, 1]),
        node("Conv", ["c4", "w5"], ["c5"], pads=[1, 1, 1, 1]),
        node("Add", ["c4", "c5"], ["a"]),
        node("AveragePool", ["a"], ["v"], kernel_shape=[2, 2], count_include_pad=1,
             pads=[1, 0, 1, 0]),
        node("GlobalAveragePool", ["v"], ["y"]),
    ]  # fmt: skip
    proto = model(
        nodes,
        [info("x", [1, 3, *size])],
        [info("y", None), info("r1", None)],
        {name: array.astype(np.float32) / 3 for name, array in weights.items()},
    )
    return proto, {"x": rng.standard_normal((1, 3, *size), np.float32)}


@pytest.mark.parametrize("bands", [2, 3, 7])
@pytest.mark.parametrize(
    ("size", "pads", "strides"),
    [((17, 12), [1, 1, 1, 1], [1, 1]), ((22, 14), [2, 0, 0, 1], [2, 1]), ((9, 9), [0] * 4, [1, 1])],
)
def test_bands_do_not_change_the_numbers(
    bands: int,
    size: tuple[int, int],
    pads: list[int],
    strides: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream_rows, "BANDS", (bands,))
    monkeypatch.setattr(stream_rows, "GAIN", -100.0)  # however long it takes
    proto, inputs = conv_chain(np.random.default_rng(bands), size, pads, strides)
    compilation = compile_model(proto, CompileOptions(target="memcap-phone", keep_levels=True))
    placed = compilation.levels["place"]
    products = [op for op in placed.walk() if isinstance(op, place.MvmOp)]
    assert len(products) > 2 * bands
    result = semc.simulate(compilation.program, inputs, mode="exact", reference=proto)
    assert result.reference is not None
    assert result.reference["max_rel_error"] < 1e-5


def test_bands_are_cut_where_they_pay() -> None:
    rng = np.random.default_rng(0)
    counts = []
    for size in (96, 9):
        proto, _ = conv_chain(rng, (size, size), [1, 1, 1, 1], [1, 1])
        levels = compile_model(proto, CompileOptions("memcap-phone", keep_levels=True)).levels
        counts.append(sum(isinstance(op, place.MvmOp) for op in levels["place"].walk()))
    assert counts[0] > counts[1] == 4


JOINED = """
func.func @main(%x: tensor<4x8xf32>) -> (tensor<8x8xf32>, tensor<4x8xf32>) {
  %m = tile.program <"m"> tiles dense<[[0, 0, 8, 0, 8]]> : tensor<1x5xi32>
    {sites = dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x8x8>
  %a = tile.mvm %m, %x : (!tile.crossbar<1x8x8>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %b = tile.mvm %m, %a : (!tile.crossbar<1x8x8>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %c = tile.mvm %m, %b : (!tile.crossbar<1x8x8>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %ab = tile.concat(%a, %b) axis = 0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  %bc = tile.concat(%b, %c) axis = 0 : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>
  %mid = tile.view(%bc) offset = 16, strides = [8, 1] : (tensor<8x8xf32>) -> tensor<4x8xf32>
  %OTHER
  %s = tile.map(%ab, %LAST) : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32> {
  ^bb0(%p: f32, %q: f32):
    %t = arith.addf %p, %q : f32
    tile.yield %t : f32
  }
  func.return %s, %mid : tensor<8x8xf32>, tensor<4x8xf32>
}
"""


def placed(text: str) -> ModuleOp:
    ctx = new_context()
    module = parse_module(text, ctx, "test")
    run_passes(module, "convert-tile-to-place{target=memcap-demo},check-placement", ctx=ctx)
    return module


def concats(module: ModuleOp) -> int:
    return sum(isinstance(op, tile.OPS["concat"]) for op in module.walk())


def test_neighbours_are_computed_side_by_side() -> None:
    module = placed(JOINED.replace("%OTHER", "").replace("%LAST", "%bc"))
    assert concats(module) == 0
    buffers = [op for op in module.walk() if isinstance(op, place.BufferOp)]
    (run,) = [op for op in buffers if op.result.type.nbytes == 384]
    products = [op for op in module.walk() if isinstance(op, place.MvmOp)]
    assert [place.root_of(op.y) for op in products] == [(run, 0), (run, 128), (run, 256)]


def test_a_value_has_one_place_only() -> None:
    types = "(tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<8x8xf32>"
    other = f"%cb = tile.concat(%c, %b) axis = 0 : {types}"
    module = placed(JOINED.replace("%OTHER", other).replace("%LAST", "%cb"))
    assert concats(module) == 1


def test_a_concatenation_of_concatenations_is_one_run() -> None:
    types = "(tensor<8x8xf32>, tensor<4x8xf32>) -> tensor<12x8xf32>"
    rest = "offset = 32, strides = [8, 1] : (tensor<12x8xf32>) -> tensor<8x8xf32>"
    other = f"%abc = tile.concat(%ab, %c) axis = 0 : {types}\n  %end = tile.view(%abc) {rest}"
    text = JOINED.replace("%OTHER", other).replace("%LAST", "%end")
    assert concats(placed(text)) == 0
    rng = np.random.default_rng(4)
    matrix = rng.standard_normal((1, 8, 8)).astype(np.float32) / 3
    x = rng.standard_normal((4, 8), np.float32)
    found = semc.simulate(compiled(text, {"m": matrix}), {"input0": x}, mode="exact").outputs
    a, b, c = (x @ np.linalg.matrix_power(matrix[0], n) for n in (1, 2, 3))
    want = np.concatenate([a, b]) + np.concatenate([b, c])
    np.testing.assert_allclose(found["output0"], want, rtol=1e-5, atol=1e-5)
    middle = np.concatenate([b, c])[2:6]
    np.testing.assert_allclose(found["output1"], middle, rtol=1e-5, atol=1e-5)
