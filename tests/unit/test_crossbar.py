"""Crossbar numerics: tiling is exact, quantisation is bounded, noise has its predicted spread."""

import math

import numpy as np
import pytest

from semc.backends import targets
from semc.compiler.quantize.adc_range import (
    default_adc_range,
    observed_adc_range,
    typical_rms,
)
from semc.compiler.quantize.column_gain import column_gain
from semc.runtime.execute.crossbar import prepare_matrix, run_exact, run_matrix


def cut(groups, depth, width, rows, cols):
    """A regular grid of tiles."""
    return np.array(
        [
            (g, k, min(rows, depth - k), n, min(cols, width - n))
            for g in range(groups)
            for k in range(0, depth, rows)
            for n in range(0, width, cols)
        ],
        np.int32,
    )


def places(count, target):
    """A site for every tile."""
    index = np.arange(count)
    stack = target.stack
    layer, rest = index % stack.layers, index // stack.layers
    row, col = rest % stack.grid_rows, rest // stack.grid_rows
    return np.stack((layer, row, col), axis=1).astype(np.int32)


def matrix(groups, depth, width, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((groups, depth, width)).astype(np.float32)
    scale = np.abs(weights).max(axis=1) / 127
    return np.rint(weights / scale[:, None]).astype(np.int8), scale.astype(np.float32)


def changed(target, **sections):
    """``target`` with keys of sections replaced."""
    return target.model_copy(
        update={
            name: getattr(target, name).model_copy(update=keys) for name, keys in sections.items()
        }
    )


def only(target, *effects, **noise):
    off = tuple(e for e in targets.EFFECTS if e not in effects)
    return changed(target, noise={"off": off, **noise})


def sqnr_db(reference, value):
    return 10 * math.log10(float((reference**2).sum() / ((value - reference) ** 2).sum()))


@pytest.fixture(scope="module")
def demo():
    return targets.load_target("memcap-demo")


def setup(target, groups, depth, width, positions, seed=0):
    codes, scale = matrix(groups, depth, width, seed)
    tiles = cut(groups, depth, width, target.array.rows, target.weight_cols)
    rng = np.random.default_rng(seed + 1)
    x = rng.standard_normal((groups, positions, depth)).astype(np.float32)
    return codes, scale, tiles, places(len(tiles), target), x


@pytest.mark.parametrize(
    "shape", [(1, 300, 70, 9), (5, 9, 1, 30), (3, 130, 33, 1), (2, 128, 32, 2)]
)
def test_exact_tiling_equals_the_product(demo, shape):
    groups, depth, width, positions = shape
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((groups, depth, width)).astype(np.float32)
    x = rng.standard_normal((groups, positions, depth)).astype(np.float32)
    tiles = cut(groups, depth, width, 128, 32)
    rng.shuffle(tiles)
    assert np.allclose(run_exact(weights, tiles, x), x @ weights, atol=1e-3)


def test_exact_takes_ragged_bands(demo):
    """Columns cut differently in each band, some bands in pieces that are not neighbours."""
    weights = np.random.default_rng(0).standard_normal((1, 20, 10)).astype(np.float32)
    x = np.ones((1, 3, 20), np.float32)
    rows = [(0, 0, 8, 0, 4), (0, 0, 8, 6, 4), (0, 0, 8, 4, 2), (0, 8, 12, 0, 10)]
    assert np.allclose(run_exact(weights, np.array(rows, np.int32), x), x @ weights, atol=1e-4)
    split = [(0, 0, 8, 0, 3), (0, 0, 8, 3, 7), (0, 8, 6, 0, 10), (0, 14, 6, 5, 5), (0, 14, 6, 0, 5)]
    assert np.allclose(run_exact(weights, np.array(split, np.int32), x), x @ weights, atol=1e-4)


@pytest.mark.parametrize("levels", [2, 4, 16, 128])
def test_generous_converters_leave_only_input_rounding(demo, levels):
    target = changed(
        demo,
        array={"levels": levels, "cols": 512},
        adc={"bits": 24},
        numerics={"input_bits": 16},
        dac={"bits": 16},
    )
    codes, scale, tiles, sites, x = setup(target, 2, 200, 40, 17)
    worst = default_adc_range(codes, scale, tiles, target, x_rms=1e3)
    prepared = prepare_matrix(codes, scale, tiles, sites, target, "quantized", 0, worst)
    weights = codes * scale[:, None]
    bound = 0.5 * np.abs(x).max(axis=2)[..., None] / 32767 * np.abs(weights).sum(axis=1)[:, None]
    step = np.abs(codes).sum(axis=1, dtype=np.int64) * scale * 2.0**-23 * 200
    error = np.abs(run_matrix(prepared, x) - x @ weights)
    assert (error <= bound + step[:, None] * np.abs(x).max() + 1e-3).all()


def test_quantized_matches_the_definition_to_the_bit(demo):
    """Against the formula written out tile by tile in integers."""
    codes, scale, tiles, sites, x = setup(demo, 2, 150, 40, 7)
    ranges = default_adc_range(codes, scale, tiles, demo)
    got = run_matrix(prepare_matrix(codes, scale, tiles, sites, demo, "quantized", 0, ranges), x, 3)
    inputs = np.clip(np.rint(x / 3 * 127), -127, 127).astype(np.int64)
    out = np.zeros_like(got, np.float64)
    for (group, row0, rows, col0, cols), top in zip(tiles, ranges, strict=True):
        block = codes[group, row0 : row0 + rows, col0 : col0 + cols].astype(np.int64)
        slices = [np.sign(block) * ((np.abs(block) >> 4 * s) & 15) for s in (0, 1)]
        norms = [math.sqrt((m**2).sum(axis=0).max()) for m in slices]
        for s, level in enumerate(slices):
            full = min(top * norms[s] / max(norms), np.abs(level).sum(axis=0).max())
            sums = inputs[group][:, row0 : row0 + rows] @ level
            code = np.clip(np.rint(sums / 127 / (full / 128)), -128, 127)
            value = code * full / 128 * 16**s * scale[group, col0 : col0 + cols] * 3
            out[group][:, col0 : col0 + cols] += value
    assert np.allclose(got, out, rtol=1e-5, atol=1e-4)


def test_quantized_does_not_depend_on_batching(demo):
    codes, scale, tiles, sites, x = setup(demo, 3, 200, 40, 37)
    ranges = observed_adc_range(codes, scale, tiles, demo, x)
    prepared = prepare_matrix(codes, scale, tiles, sites, demo, "quantized", 0, ranges)
    whole = run_matrix(prepared, x)
    parts = [run_matrix(prepared, x[:, p : p + 5]) for p in range(0, 37, 5)]
    assert np.array_equal(whole, np.concatenate(parts, axis=1))


def test_noisy_batches_may_be_cut_anywhere(demo):
    codes, scale, tiles, sites, x = setup(demo, 2, 140, 40, 23)
    ranges = observed_adc_range(codes, scale, tiles, demo, x)
    prepared = prepare_matrix(codes, scale, tiles, sites, demo, "noisy", 1, ranges)
    whole = run_matrix(prepared, x, 4.0, stream=3)
    parts = [run_matrix(prepared, x[:, p : p + 3], 4.0, 3, p) for p in range(0, 23, 3)]
    # A sum at the edge of a step may round differently in a product of another shape.
    close = np.isclose(whole, np.concatenate(parts, axis=1), atol=1e-4)
    assert close.mean() > 0.99


def test_seed_and_stream_decide_the_noise(demo):
    codes, scale, tiles, sites, x = setup(demo, 1, 140, 40, 8)
    ranges = default_adc_range(codes, scale, tiles, demo)

    def run(seed, stream):
        prepared = prepare_matrix(codes, scale, tiles, sites, demo, "noisy", seed, ranges)
        return run_matrix(prepared, x, None, stream)

    first = run(1, 0)
    assert np.array_equal(first, run(1, 0))
    assert not np.array_equal(first, run(1, 1))
    assert not np.array_equal(first, run(2, 0))
    assert np.isfinite(first).all()


def test_order_of_tiles_does_not_matter(demo):
    codes, scale, tiles, sites, x = setup(demo, 2, 300, 70, 5)
    ranges = default_adc_range(codes, scale, tiles, demo)
    order = np.random.default_rng(3).permutation(len(tiles))
    for mode in ("quantized", "noisy"):
        a = prepare_matrix(codes, scale, tiles, sites, demo, mode, 0, ranges)
        b = prepare_matrix(codes, scale, tiles[order], sites[order], demo, mode, 0, ranges[order])
        assert np.array_equal(run_matrix(a, x), run_matrix(b, x))


def test_noisy_without_effects_is_quantized(demo):
    silent = only(demo)
    codes, scale, tiles, sites, x = setup(silent, 2, 140, 40, 8)
    ranges = default_adc_range(codes, scale, tiles, silent)
    noisy = prepare_matrix(codes, scale, tiles, sites, silent, "noisy", 0, ranges)
    plain = prepare_matrix(codes, scale, tiles, sites, silent, "quantized", 0, ranges)
    a, b = run_matrix(noisy, x), run_matrix(plain, x)
    assert np.isclose(a, b, atol=1e-4).mean() > 0.99


def fine(target):
    """A converter so fine that it adds nothing, and one slice per weight."""
    return changed(target, array={"levels": 128, "cols": 512}, adc={"bits": 20})


def test_thermal_noise_has_the_predicted_spread(demo):
    target = fine(only(demo, "thermal"))
    codes, scale, tiles, sites, _ = setup(target, 1, 100, 16, 1)
    x = np.zeros((1, 4000, 100), np.float32)
    ranges = default_adc_range(codes, scale, tiles, target)
    prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
    out = run_matrix(prepared, x, 2.0)[0]
    band = prepared.bands[0]
    sigma = band.noise.sigma[0, 0] * band.post[0, 0] * 2.0
    assert np.allclose(out.std(axis=0), sigma, rtol=0.06)
    assert np.abs(out.mean(axis=0) / sigma).max() < 5 / math.sqrt(4000)
    # By hand for column 0, from both legs' capacitance.
    array, column = target.array, codes[0, :, 0].astype(np.float64)
    legs = [np.maximum(column, 0), np.maximum(-column, 0)]
    total = [(array.c_off_ff + array.level_ff * leg).sum() + 28 * 1.0 + 50 + 51.2 for leg in legs]
    heavy = max(total)
    total = [c + 0.9 * (heavy - c) for c in total]
    volts = 0.0
    for c in total:
        beta = 500 / (500 + c)
        volts += 1.380649e-23 * 300 * 1e15 * (1 / 500 + 1 / (beta * (100 + (1 - beta) * 500)))
    by_hand = math.sqrt(volts) * 500 / (array.level_ff * 0.5) * scale[0, 0] * 2
    assert sigma[0] == pytest.approx(by_hand, rel=0.01)


def test_read_noise_equals_noise_on_every_cell(demo):
    """One normal per output has the spread of independent noise in all the cells."""
    target = fine(only(demo, "read", read_sigma=0.02))
    codes, scale, tiles, sites, _ = setup(target, 1, 100, 16, 1)
    rng = np.random.default_rng(5)
    row = rng.standard_normal(100).astype(np.float32)
    x = np.tile(row, (1, 4000, 1))
    ranges = default_adc_range(codes, scale, tiles, target, x_rms=2.0)
    prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
    got = run_matrix(prepared, x)[0].std(axis=0)
    # Per-cell reference: two legs, each with noise of 2 % of the 127-level window.
    level_noise = rng.standard_normal((2000, 2, 100)) * 0.02 * 127
    per_cell = np.einsum("nlk,k,l->n", level_noise, row, [1.0, -1.0]).std()
    assert np.allclose(got / scale[0], per_cell, rtol=0.08)
    exact = 0.02 * 127 * math.sqrt(2) * np.linalg.norm(row)
    assert np.allclose(got / scale[0], exact, rtol=0.06)


def serial(target):
    return changed(target, numerics={"input_coding": "bit-serial"})


def test_serial_inputs_match_the_definition_to_the_bit(demo):
    """Pulse by pulse, each converted, in integers."""
    chip = serial(demo)
    codes, scale, tiles, sites, x = setup(chip, 1, 100, 20, 5)
    ranges = default_adc_range(codes, scale, tiles, chip)
    got = run_matrix(prepare_matrix(codes, scale, tiles, sites, chip, "quantized", 0, ranges), x, 3)
    inputs = np.clip(np.rint(x[0] / 3 * 127), -127, 127).astype(np.int64)
    block = codes[0].astype(np.int64)
    slices = [np.sign(block) * ((np.abs(block) >> 4 * s) & 15) for s in (0, 1)]
    norms = [math.sqrt((m**2).sum(axis=0).max()) for m in slices]
    out = np.zeros(got[0].shape)
    for s, level in enumerate(slices):
        full = min(ranges[0] * norms[s] / max(norms), np.abs(level).sum(axis=0).max())
        for bit in range(7):
            sums = (np.sign(inputs) * ((np.abs(inputs) >> bit) & 1)) @ level
            code = np.clip(np.rint(sums / (full / 128)), -128, 127)
            out += code * full / 128 * 16**s * 2**bit / 127 * scale[0] * 3
    assert np.allclose(got[0], out, rtol=1e-5, atol=1e-4)


def test_serial_inputs_read_each_pulse_with_noise_of_its_own(demo):
    """Thermal noise of seven conversions, weighted: sqrt(sum 4^b) / 127 of one full-scale read."""
    sigmas = []
    for chip in (demo, serial(demo)):
        target = fine(only(chip, "thermal"))
        codes, scale, tiles, sites, _ = setup(target, 1, 100, 16, 1)
        ranges = default_adc_range(codes, scale, tiles, target)
        prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
        sigmas.append(run_matrix(prepared, np.zeros((1, 4000, 100), np.float32), 2.0)[0].std())
    expected = math.sqrt(sum(4.0**bit for bit in range(7))) / 127
    assert sigmas[1] / sigmas[0] == pytest.approx(expected, rel=0.02)


def test_serial_inputs_may_be_cut_anywhere(demo):
    chip = serial(demo)
    codes, scale, tiles, sites, x = setup(chip, 1, 200, 50, 9)
    ranges = default_adc_range(codes, scale, tiles, chip)
    prepared = prepare_matrix(codes, scale, tiles, sites, chip, "noisy", 3, ranges)
    whole = run_matrix(prepared, x, 3.0)
    parts = [run_matrix(prepared, x[:, a:b], 3.0, first_position=a) for a, b in ((0, 4), (4, 9))]
    assert np.allclose(whole, np.concatenate(parts, axis=1), rtol=1e-5, atol=1e-5)


def test_the_lost_window_is_restored_in_the_mean(demo):
    """Half of the window drifted away: with the correction only resolution is lost."""
    found = []
    for correct in (True, False):
        target = fine(only(demo, "drift", drift_nu=0.1, drift_nu_sigma=0.0, drift_time_s=1e5))
        target = changed(target, numerics={"window_correction": correct})
        codes, scale, tiles, sites, x = setup(target, 1, 128, 16, 8)
        ranges = default_adc_range(codes, scale, tiles, target, x_rms=2.0)
        prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
        found.append(sqnr_db(x @ (codes * scale[:, None]), run_matrix(prepared, x)))
    assert found[0] > 40
    assert found[1] == pytest.approx(6.02, abs=0.2)


def test_fewer_bits_of_a_conversion_make_larger_steps(demo):
    codes, scale, tiles, sites, x = setup(demo, 1, 128, 16, 64)
    ranges = default_adc_range(codes, scale, tiles, demo)
    found = []
    for bits in (8, 6, 4):
        prepared = prepare_matrix(
            codes, scale, tiles, sites, demo, "quantized", 0, ranges, adc_bits=bits
        )
        found.append(sqnr_db(x @ (codes * scale[:, None]), run_matrix(prepared, x)))
    assert found[0] - found[1] == pytest.approx(12, abs=2)
    assert found[1] - found[2] == pytest.approx(12, abs=2)


def test_divider_gain_is_taken_back_after_conversion():
    """Columns of unequal weight on passive lines: only the correction makes them right."""
    phone = targets.load_target("memcap-phone")
    target = fine(only(phone, "divider", leg_imbalance=0.0))
    codes, scale, tiles, sites, x = setup(target, 1, 512, 16, 4)
    codes[:, :, ::2] //= 8
    ranges = default_adc_range(codes, scale, tiles, target, x_rms=2.0)
    reference = x @ (codes * scale[:, None])
    found = []
    gain = column_gain(codes, tiles, sites, target)
    for correction in (1 / gain, None):
        prepared = prepare_matrix(
            codes, scale, tiles, sites, target, "noisy", 0, ranges, correction=correction
        )
        found.append(sqnr_db(reference, run_matrix(prepared, x)))
    assert found[0] > 40
    assert found[1] < 25


def test_dielectric_bends_the_input(demo):
    target = fine(only(demo, "dielectric", dielectric_a2_per_v2=0.1))
    codes, scale, tiles, sites, x = setup(target, 1, 64, 8, 4)
    ranges = default_adc_range(codes, scale, tiles, target, x_rms=2.0)
    prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
    top = np.abs(x).max(axis=2, keepdims=True)
    unit = np.rint(x / top * 127) / 127
    bent = unit * (1 + 0.1 * 0.25 * unit**2) * top
    expected = bent @ (codes * scale[:, None]).astype(np.float64)
    assert np.allclose(run_matrix(prepared, x), expected, atol=2e-3)


def test_more_noise_is_worse(demo):
    codes, scale, tiles, sites, x = setup(demo, 1, 256, 64, 32)
    ranges = observed_adc_range(codes, scale, tiles, demo, x)
    reference = x @ (codes * scale[:, None])
    found = []
    for sigma in (0.0, 0.005, 0.02, 0.08):
        target = only(demo, "programming", programming_sigma=sigma)
        prepared = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
        found.append(sqnr_db(reference, run_matrix(prepared, x)))
    assert found == sorted(found, reverse=True)
    assert found[0] > 30
    assert found[-1] < 15


@pytest.mark.parametrize("name", ["memcap-demo", "memcap-phone"])
def test_shipped_targets_compute(name):
    """The ranges are good enough that eight bits stay above 35 dB; noise stays above 12 dB."""
    target = targets.load_target(name)
    codes, scale, tiles, sites, x = setup(target, 1, 600, 150, 32)
    reference = x @ (codes * scale[:, None])
    for ranges in (
        default_adc_range(codes, scale, tiles, target),
        observed_adc_range(codes, scale, tiles, target, x),
    ):
        plain = prepare_matrix(codes, scale, tiles, sites, target, "quantized", 0, ranges)
        assert sqnr_db(reference, run_matrix(plain, x)) > 35
        noisy = prepare_matrix(codes, scale, tiles, sites, target, "noisy", 0, ranges)
        assert 12 < sqnr_db(reference, run_matrix(noisy, x)) < 35


def test_observed_range_follows_the_data(demo):
    codes, scale, tiles, _, x = setup(demo, 1, 256, 64, 64)
    whole = observed_adc_range(codes, scale, tiles, demo, x, percentile=100.0)
    best = observed_adc_range(codes, scale, tiles, demo, x)
    half = observed_adc_range(codes, scale, tiles, demo, x * 0.5, input_scale=np.abs(x).max())
    full = observed_adc_range(codes, scale, tiles, demo, x, input_scale=np.abs(x).max())
    assert (best <= whole * 1.0001).all()
    assert (best > 0.2 * whole).all()
    assert np.median(half / full) == pytest.approx(0.5, rel=0.1)
    # All-positive inputs make larger sums of one sign: no statistics without data can know.
    codes[...] = np.abs(codes)
    shifted = observed_adc_range(codes, scale, tiles, demo, np.abs(x))
    assert (shifted > default_adc_range(codes, scale, tiles, demo)).all()


def test_ranges_stay_below_the_worst_case(demo):
    codes = np.full((1, 8, 4), 127, np.int8)
    tiles = np.array([(0, 0, 8, 0, 4)], np.int32)
    scale = np.ones((1, 4), np.float32)
    assert default_adc_range(codes, scale, tiles, demo, x_rms=100.0).tolist() == [120.0]
    zero = np.zeros_like(codes)
    assert default_adc_range(zero, scale, tiles, demo).tolist() == [1.0]
    assert observed_adc_range(zero, scale, tiles, demo, np.ones((1, 2, 8), np.float32)) == [1.0]
    assert typical_rms(1) == 1.0
    assert typical_rms(512) == pytest.approx(0.2831, abs=1e-3)


def test_zero_matrix_and_zero_input(demo):
    codes, scale, tiles, sites, x = setup(demo, 1, 130, 33, 4)
    ranges = default_adc_range(codes, scale, tiles, demo)
    prepared = prepare_matrix(codes, scale, tiles, sites, demo, "quantized", 0, ranges)
    assert not run_matrix(prepared, np.zeros_like(x)).any()
    empty = prepare_matrix(codes * 0, scale, tiles, sites, demo, "quantized", 0, ranges)
    assert not run_matrix(empty, x).any()
    assert run_matrix(prepared, x[:, :0]).shape == (1, 0, 33)


@pytest.mark.parametrize(
    ("tiles", "words"),
    [
        ([(0, 0, 128, 0, 32)], "cover"),
        ([(0, 0, 130, 0, 32)], "fit 128 x 32"),
        ([(0, 0, 128, 0, 32), (0, 128, 3, 0, 32)], "inside"),
        ([(1, 0, 128, 0, 32), (0, 128, 2, 0, 32)], "inside"),
        ([(0, -1, 128, 0, 32), (0, 128, 2, 0, 32)], "inside"),
    ],
)
def test_wrong_tiles_are_refused(demo, tiles, words):
    codes, scale = matrix(1, 130, 32)
    table = np.array(tiles, np.int32)
    sites = places(len(table), demo)
    with pytest.raises(ValueError, match=words):
        prepare_matrix(
            codes, scale, table, sites, demo, "quantized", 0, np.ones(len(table), np.float32)
        )


def test_wrong_input_shape_and_mode_are_refused(demo):
    codes, scale, tiles, sites, x = setup(demo, 1, 130, 32, 2)
    ones = np.ones(len(tiles), np.float32)
    prepared = prepare_matrix(codes, scale, tiles, sites, demo, "quantized", 0, ones)
    with pytest.raises(ValueError, match="input must be"):
        run_matrix(prepared, x[:, :, 1:])
    with pytest.raises(ValueError, match="mode must be"):
        prepare_matrix(codes, scale, tiles, sites, demo, "loud", 0, ones)
    with pytest.raises(ValueError, match="one row per tile"):
        prepare_matrix(codes, scale, tiles, sites[:1], demo, "quantized", 0, ones)
