"""Tiles, codes, calibration statistics and converter ranges of stored matrices."""

import time

import numpy as np
import pytest
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp

from semc.backends.targets import MemcapTarget, load_target
from semc.compiler.context import CompilerContext, new_context
from semc.compiler.cost import (
    MachineCosts,
    array_use,
    block_diagonal_arrays,
    costs_of,
    on_arrays,
    on_vector_engine,
    prefers_arrays,
)
from semc.compiler.parse import parse_module
from semc.compiler.passes.cut_tiles import tile_grid
from semc.compiler.pipeline import run_passes
from semc.compiler.quantize.calibration import ROWS, Calibration, MatrixStatistics
from semc.compiler.quantize.weight_codes import quantize_columns
from semc.dialects import tile
from semc.dialects.attributes import node_names, table_of
from semc.dialects.tile import verify_tiles
from semc.errors import IRError
from semc.runtime.interpret.interpret import interpret_function

PROGRAM = """
func.func @main(%x: tensor<PxKxf32>) -> tensor<PxNxf32> {
  %0 = tile.program <"w"> : !tile.crossbar<1xKxN> loc("fc")
  %1 = tile.mvm %0, %x : (!tile.crossbar<1xKxN>, tensor<PxKxf32>) -> tensor<PxNxf32> loc("fc")
  func.return %1 : tensor<PxNxf32>
}
"""


def matrix_module(
    weight: np.ndarray, positions: int = 1
) -> tuple[ModuleOp, CompilerContext, func.FuncOp, tile.ProgramOp]:
    """``x @ weight`` at the tile level, with its function and the op that stores the matrix."""
    ctx = new_context()
    ctx.weights.add("w", weight[None])
    text = PROGRAM.replace("PxK", f"{positions}x{weight.shape[0]}")
    text = text.replace("PxN", f"{positions}x{weight.shape[1]}")
    text = text.replace("1xKxN", f"1x{weight.shape[0]}x{weight.shape[1]}")
    module = parse_module(text, ctx, "test.mlir")
    (main,) = module.ops
    assert isinstance(main, func.FuncOp)
    program = main.body.block.first_op
    assert isinstance(program, tile.ProgramOp)
    return module, ctx, main, program


@pytest.fixture(scope="module")
def demo() -> MemcapTarget:
    target = load_target("memcap-demo")
    assert isinstance(target, MemcapTarget)
    return target


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 128, 32), (1, 300, 70), (5, 9, 1), (2, 129, 33)])
def test_tiles_cover_every_matrix(shape: tuple[int, int, int]) -> None:
    tiles = tile_grid(shape, 128, 32)
    verify_tiles(tiles, shape)
    assert tiles[:, 2].max() <= 128
    assert tiles[:, 4].max() <= 32
    order = np.lexsort(tiles[:, [3, 1, 0]].T)
    np.testing.assert_array_equal(order, np.arange(len(tiles)))


def test_cutting_a_large_matrix_is_quick() -> None:
    start = time.perf_counter()
    tiles = tile_grid((1, 128 * 200, 32 * 200), 128, 32)
    assert time.perf_counter() - start < 0.05
    assert tiles.shape == (40_000, 5)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_codes_are_the_nearest(bits: int) -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((3, 50, 7)).astype(np.float32)
    weight[1, :, 2] = 0
    codes, scale = quantize_columns(weight, bits)
    assert codes.dtype == np.int8
    top = 2 ** (bits - 1) - 1
    assert np.abs(codes).max() == top
    assert scale[1, 2] == 0
    assert not codes[1, :, 2].any()
    error = np.abs(codes * scale[:, None] - weight)
    assert (error <= scale[:, None] * 0.5001).all()
    largest = np.take_along_axis(codes, np.abs(weight).argmax(axis=1, keepdims=True), axis=1)
    assert (np.abs(largest[:, 0])[scale > 0] == top).all()


def test_codes_of_extreme_columns() -> None:
    weight = np.array([[[1e-45, 1e38, -5.0, 2e-38], [0.0, -1e38, 5.0, 1e-38]]], np.float32)
    codes, scale = quantize_columns(weight, 8)
    assert np.isfinite(scale).all()
    np.testing.assert_array_equal(codes[0, :, 1:3], [[127, -127], [-127, 127]])
    with pytest.raises(ValueError, match="finite"):
        quantize_columns(np.array([[[np.inf]]], np.float32), 8)
    with pytest.raises(ValueError, match="2 to 8 bits"):
        quantize_columns(weight, 9)


def test_codes_do_not_hang_on_how_the_matrix_lies() -> None:
    weight = np.random.default_rng(2).standard_normal((2000, 700)).astype(np.float32)
    codes, scale = quantize_columns(weight[None], 8)
    turned, turned_scale = quantize_columns(np.ascontiguousarray(weight.T).T[None], 8)
    np.testing.assert_array_equal(codes, turned)
    np.testing.assert_array_equal(scale, turned_scale)


def test_without_calibration_ranges_come_from_the_codes() -> None:
    weight = np.random.default_rng(3).standard_normal((200, 40)).astype(np.float32)
    module, ctx, _, program = matrix_module(weight)
    run_passes(module, "cut-tiles,quantize-matrices{target=memcap-demo}", ctx=ctx)
    assert program.input_scale is None
    assert program.codes is not None
    assert program.scale is not None
    assert program.adc_range is not None
    codes, scale = ctx.weights[program.codes.data], ctx.weights[program.scale.data]
    assert (codes.shape, scale.shape) == ((1, 200, 40), (1, 40))
    np.testing.assert_allclose(codes[0] * scale[0], weight, atol=float(scale.max()) * 0.501)
    ranges = table_of(program.adc_range)
    assert ranges.shape == (len(program.tile_table),)
    assert (ranges > 0).all()
    names = list(ctx.weights)
    run_passes(module, "quantize-matrices{target=memcap-demo}", ctx=ctx)
    assert list(ctx.weights) == names


def test_calibration_sets_input_scale_and_ranges() -> None:
    rng = np.random.default_rng(4)
    module, ctx, main, program = matrix_module(
        rng.standard_normal((100, 20)).astype(np.float32), positions=60
    )
    calibration = Calibration()
    for _ in range(10):
        x = rng.standard_normal((60, 100)).astype(np.float32)
        interpret_function(main, [x], ctx.weights, observe=calibration.observe)
    ctx.calibration = calibration
    assert list(calibration) == ["w"]
    assert calibration["w"].seen == 600
    assert calibration["w"].rows.shape == (1, ROWS, 100)
    dynamic = module.clone()
    run_passes(module, "cut-tiles,quantize-matrices{target=memcap-demo}", ctx=ctx)
    assert program.input_scale is not None
    full_scale = program.input_scale.value.data
    assert 2.5 < full_scale <= calibration["w"].absmax
    # an inner product of unit normals over the full scale, in levels: what default ranges guess
    assert program.adc_range is not None
    assert (table_of(program.adc_range) > 0).all()
    steps = (
        "cut-tiles,round-weights{target=memcap-demo},choose-converter-ranges{target=memcap-demo}"
    )
    run_passes(dynamic, steps, ctx=ctx)
    (copy,) = [op for op in dynamic.walk() if isinstance(op, tile.ProgramOp)]
    assert copy.input_scale is None
    assert copy.adc_range is not None


def test_input_scale_clips_outliers_only() -> None:
    rng = np.random.default_rng(5)
    uniform, spiked = MatrixStatistics(), MatrixStatistics()
    uniform.add(rng.uniform(-1, 1, (300, 40)).astype(np.float32), rng)
    assert uniform.input_scale(8) == pytest.approx(1.0, abs=0.01)
    x = rng.standard_normal((250, 40)).astype(np.float32)
    x[0, 0] = 1000.0
    spiked.add(x, rng)
    assert spiked.absmax == 1000.0
    assert spiked.input_scale(4) <= 1000.0
    zero = MatrixStatistics()
    zero.add(np.zeros((3, 4), np.float32), rng)
    assert zero.input_scale(8) == 0


def test_statistics_sample_rows_evenly() -> None:
    statistics, rng = MatrixStatistics(), np.random.default_rng(6)
    for start in range(0, 20_000, 100):
        rows = np.arange(start, start + 100, dtype=np.float32)[:, None]
        statistics.add(np.stack([rows, -rows]), rng)
    assert statistics.seen == 20_000
    assert statistics.absmax == 19_999
    assert statistics.rows.shape == (2, ROWS, 1)
    np.testing.assert_array_equal(statistics.rows[0], -statistics.rows[1])
    kept = statistics.rows[0, :, 0]
    assert len(np.unique(kept)) == ROWS
    assert abs(kept.mean() - 10_000) < 1_500  # four standard errors
    quarters = np.histogram(kept, bins=4, range=(0, 20_000))[0]
    assert quarters.min() > ROWS / 8


def test_statistics_ignore_what_is_not_finite() -> None:
    statistics, rng = MatrixStatistics(), np.random.default_rng(7)
    statistics.add(np.array([[np.nan, 2.0], [np.inf, -3.0]], np.float32), rng)
    statistics.add(np.empty((0, 2), np.float32), rng)
    assert statistics.absmax == 3.0
    assert np.isfinite(statistics.rows).all()


def test_calibration_is_repeatable_and_apart_by_matrix() -> None:
    rng = np.random.default_rng(8)
    xs = [rng.standard_normal((400, 5)).astype(np.float32) for _ in range(3)]

    def collect() -> Calibration:
        _, ctx, main, _ = matrix_module(np.ones((5, 2), np.float32), positions=400)
        calibration = Calibration()
        for x in xs:
            interpret_function(main, [x], ctx.weights, observe=calibration.observe)
        return calibration

    np.testing.assert_array_equal(collect()["w"].rows, collect()["w"].rows)


def test_a_matrix_that_no_cell_can_hold_is_computed_digitally() -> None:
    w = np.array([[np.nan, 1.0], [np.inf, -np.inf], [2.0, 3.0]], np.float32)
    module, ctx, main, _ = matrix_module(w, positions=2)
    run_passes(module, "cut-tiles,quantize-matrices{target=memcap-demo}", ctx=ctx)
    assert not [op for op in main.walk() if isinstance(op, (tile.ProgramOp, tile.MvmOp))]
    (product,) = [op for op in main.walk() if isinstance(op, tile.ContractOp)]
    assert node_names(product) == ["fc"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (found,) = interpret_function(main, [x], ctx.weights)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, x @ w)


def test_an_uncut_matrix_is_refused() -> None:
    module, ctx, _, _ = matrix_module(np.ones((5, 2), np.float32))
    with pytest.raises(IRError, match=r"fc: .*run cut-tiles"):
        run_passes(module, "quantize-matrices{target=memcap-demo}", ctx=ctx)


def test_default_costs_are_those_of_the_demo(demo: MemcapTarget) -> None:
    costs, default = costs_of(demo), MachineCosts()
    for name in MachineCosts.__slots__:
        assert getattr(costs, name) == pytest.approx(getattr(default, name), rel=0.15), name


def test_block_diagonals_share_arrays() -> None:
    costs = MachineCosts(array_rows=128, array_weight_cols=32)
    assert block_diagonal_arrays(28, 9, 1, costs) == 2  # 14 on each diagonal
    assert block_diagonal_arrays(3, 128, 32, costs) == 3
    assert block_diagonal_arrays(2, 129, 33, costs) == 8
    assert array_use(3, 128, 32, costs) == 1.0
    assert array_use(14, 9, 1, costs) == pytest.approx(14 * 9 / 4096)


def test_costs_grow_with_the_work() -> None:
    costs = MachineCosts()
    for estimate in (on_arrays, on_vector_engine):
        one, two = estimate(4, 36, 4, 100, costs), estimate(4, 36, 4, 200, costs)
        assert two.time_ns == pytest.approx(2 * one.time_ns)
        assert two.energy_pj == pytest.approx(2 * one.energy_pj)
    # wide groups belong on arrays, depthwise ones do not
    assert prefers_arrays(2, 64, 16, 1000, costs, 0.05)
    assert not prefers_arrays(96, 9, 1, 1000, costs, 0.0)
    assert not prefers_arrays(2, 64, 16, 1000, costs, 0.9)
