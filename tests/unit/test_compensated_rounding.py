"""Rounding and column corrections that samples of the inputs pay for."""

from pathlib import Path

import numpy as np
import pytest

import semc
from semc.backends.memcap.emit import emit_program
from semc.backends.targets import MemcapTarget, load_target
from semc.compiler.driver import CompileOptions, compile_model
from semc.compiler.passes.cut_tiles import tile_grid
from semc.compiler.quantize.calibration import MatrixStatistics
from semc.compiler.quantize.column_correction import choose_correction, fit_correction
from semc.compiler.quantize.compensated_rounding import product_error, round_compensated
from semc.compiler.quantize.weight_codes import quantize_columns
from semc.compiler.recipe import Quantization
from semc.dialects import analog
from semc.runtime.execute.quantized_product import quantized_product
from semc.runtime.interpret.interpret import interpret_function


def correlated(rng: np.random.Generator, rows: int, depth: int, rank: int) -> np.ndarray:
    """Inputs ``[1, rows, depth]`` that mostly lie in a space of ``rank`` directions."""
    base = rng.standard_normal((rank, depth))
    x = rng.standard_normal((rows, rank)) @ base + 0.1 * rng.standard_normal((rows, depth))
    return x[None].astype(np.float32)


def seen(x: np.ndarray) -> MatrixStatistics:
    statistics = MatrixStatistics()
    statistics.add(x, np.random.default_rng(0))
    return statistics


@pytest.mark.parametrize("bits", [3, 8])
def test_compensated_codes_lower_the_error_of_other_inputs(bits: int) -> None:
    rng = np.random.default_rng(1)
    weight = rng.standard_normal((2, 150, 40)).astype(np.float32)
    base = np.concatenate([correlated(rng, 2000, 150, 10), correlated(rng, 2000, 150, 10)])
    nearest, scale = quantize_columns(weight, bits)
    found = round_compensated(weight, nearest, scale, bits, seen(base[:, :200]))
    assert found.codes is not None
    assert "dB lower" in found.note
    assert np.abs(found.codes).max() <= 2 ** (bits - 1) - 1
    before = product_error(weight, nearest, scale, base[:, 1000:])
    after = product_error(weight, found.codes, scale, base[:, 1000:])
    assert after < before / 2


def test_inputs_of_one_row_each_leave_the_nearest_codes() -> None:
    """H is diagonal when each input drives one row: nothing can be paid back."""
    rng = np.random.default_rng(2)
    weight = rng.standard_normal((1, 64, 8)).astype(np.float32)
    x = np.tile(np.eye(64, dtype=np.float32), (3, 1))[None]
    nearest, scale = quantize_columns(weight, 8)
    found = round_compensated(weight, nearest, scale, 8, seen(x))
    assert found.codes is None
    assert found.note == "held-out inputs show no lower error"


@pytest.mark.parametrize(
    ("rows", "why"), [(0, "no calibration samples"), (20, "15 inputs to fit on, fewer than 32")]
)
def test_too_few_inputs_leave_the_nearest_codes(rows: int, why: str) -> None:
    weight = np.ones((1, 4, 2), np.float32)
    nearest, scale = quantize_columns(weight, 8)
    x = np.ones((1, rows, 4), np.float32)
    assert round_compensated(weight, nearest, scale, 8, seen(x)).note == why


def test_rows_that_nothing_drives_are_no_trouble() -> None:
    rng = np.random.default_rng(3)
    weight = rng.standard_normal((1, 30, 4)).astype(np.float32)
    x = correlated(rng, 200, 30, 3)
    x[:, :, ::2] = 0
    nearest, scale = quantize_columns(weight, 8)
    codes = round_compensated(weight, nearest, scale, 8, seen(x)).codes
    assert codes is not None
    np.testing.assert_array_equal(codes[:, ::2], nearest[:, ::2])


def test_correction_takes_back_gain_and_bias() -> None:
    rng = np.random.default_rng(4)
    found = rng.standard_normal((1, 100, 3)).astype(np.float32)
    gain, bias = np.array([[1.5, 1.0, 0.7]], np.float32), np.array([[0.0, 2.0, -1.0]], np.float32)
    wanted = found * gain[:, None] + bias[:, None]
    fitted = fit_correction(wanted, found, gain=True)
    np.testing.assert_allclose(fitted.gain, gain, rtol=1e-5)
    np.testing.assert_allclose(fitted.bias, bias, atol=1e-5)
    chosen, note = choose_correction((wanted, found), (wanted, found))
    assert chosen is not None
    assert note.endswith("dB lower")


def test_a_correction_that_does_not_help_is_left_out() -> None:
    y = np.ones((1, 40, 2), np.float32)
    assert choose_correction((y, y), (y, y))[0] is None
    shifted = (y + 1, y)
    assert choose_correction(shifted, (y, y)) == (None, "held-out inputs show no lower error")
    few = (y[:, :10], y[:, :10])
    assert choose_correction(few, few) == (None, "10 inputs to fit on, fewer than 32")


def test_converters_that_clip_one_side_are_corrected() -> None:
    """Inputs of one sign through narrow converters: most of the error is a constant."""
    demo = load_target("memcap-demo")
    assert isinstance(demo, MemcapTarget)
    rng = np.random.default_rng(5)
    weight = np.abs(rng.standard_normal((1, 128, 8))).astype(np.float32)
    codes, scale = quantize_columns(weight, 8)
    tiles = tile_grid(codes.shape, 128, 32)
    x = np.abs(rng.standard_normal((1, 400, 128))).astype(np.float32)
    ranges = np.full(1, 100.0, np.float32)
    found = quantized_product(codes, scale, tiles, demo, ranges, float(x.max()))(x)
    wanted = x @ weight
    cut = 200
    chosen, _ = choose_correction(
        (wanted[:, :cut], found[:, :cut]), (wanted[:, cut:], found[:, cut:])
    )
    assert chosen is not None
    corrected = chosen.apply(found[:, cut:])
    before, after = (np.square(wanted[:, cut:] - z).sum() for z in (found[:, cut:], corrected))
    assert after < before / 10


def test_the_recipe_rounds_and_corrects_a_real_model(examples: Path) -> None:
    options = CompileOptions(
        calibrate=examples / "digits_calibration.npz",
        quantization=Quantization(rounding="compensated"),
        interpreter=interpret_function,
        product=quantized_product,
    )
    compilation = compile_model(examples / "digits_mlp.onnx", options)
    notes = compilation.context.notes
    assert len(notes) == 3
    assert {note["rounding"] for note in notes.values()} == {"compensated"}
    assert all("bias_note" in note for note in notes.values())


def test_a_bias_reaches_the_outputs(examples: Path) -> None:
    data, model = examples / "digits_calibration.npz", examples / "digits_mlp.onnx"
    options = CompileOptions(
        calibrate=data, interpreter=interpret_function, product=quantized_product
    )
    compilation = compile_model(model, options)
    programs = [op for op in compilation.module.walk() if isinstance(op, analog.ProgramOp)]
    assert all(op.bias is not None for op in programs)
    for op in programs:
        op.bias = None
    bare = emit_program(compilation.module, compilation.context.weights, compilation.target)
    x = dict(np.load(examples / "digits_test.npz"))
    found, plain = (
        semc.simulate(program, x, mode="quantized", reference=model).reference
        for program in (compilation.program, bare)
    )
    assert found is not None
    assert plain is not None
    assert found["sqnr_db"] > plain["sqnr_db"]
