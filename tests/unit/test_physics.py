"""Every physical effect against its closed form."""

import math

import numpy as np
import pytest

from semc.backends import targets
from semc.backends.targets.slicing import slice_weights, split_slices
from semc.runtime.physics import charge, columns, converters, devices, instance, streams

K_T_300 = 1.380649e-23 * 300


def only(target, *effects, **noise):
    """``target`` with just these effects on."""
    off = tuple(e for e in targets.EFFECTS if e not in effects)
    data = target.noise.model_copy(update={"off": off, **noise})
    return target.model_copy(update={"noise": data})


@pytest.fixture(scope="module")
def demo():
    return targets.load_target("memcap-demo")


@pytest.fixture(scope="module")
def phone():
    return targets.load_target("memcap-phone")


# Streams


def test_stream_values_do_not_depend_on_what_else_is_asked():
    keys = streams.derive_key(7, np.arange(5))[None]
    whole = streams.position_normals(keys, 0, 101)
    for first, count in ((0, 1), (1, 1), (7, 5), (8, 4), (100, 1)):
        part = streams.position_normals(keys, first, count)
        assert np.array_equal(part, whole[first : first + count])


def test_stream_keys_are_those_of_their_own_words():
    batch = streams.derive_key(3, np.arange(4), 9)
    assert [int(k) for k in batch] == [int(streams.derive_key(3, i, 9)) for i in range(4)]
    assert len({int(k) for k in batch}) == 4
    assert int(streams.derive_key(1, 2)) != int(streams.derive_key(2, 1))
    assert int(streams.derive_key(-1)) == int(streams.derive_key(2**64 - 1))


def test_stream_normals_are_standard_and_uncorrelated():
    values = streams.position_normals(streams.derive_key(1, np.arange(64))[None], 0, 8192)
    count = values.size
    assert abs(values.mean()) < 4 / math.sqrt(count)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((values.astype(np.float64) ** 4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert 4.2 < np.abs(values).max() < 7
    correlation = np.corrcoef(values.T) - np.eye(64)
    assert np.abs(correlation).max() < 6 / math.sqrt(8192)
    serial = (values[1:] * values[:-1]).mean()
    assert abs(serial) < 4 / math.sqrt(count)


def test_uniforms_fill_the_interval():
    values = streams.uniforms(streams.derive_key(2), np.arange(100_000, dtype=np.uint64))
    assert values.min() > 0
    assert values.max() <= 1
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert np.abs(counts - 5000).max() < 5 * math.sqrt(5000)


# Charge


def test_thermal_noise_is_k_t_over_c():
    assert charge.thermal_sigma_v(np.float32(1.0), 300.0) == pytest.approx(2.035e-3, rel=1e-3)
    assert charge.thermal_sigma_v(np.float32(10.0), 300.0) == pytest.approx(0.6436e-3, rel=1e-3)


def test_divider_conserves_charge():
    rng = np.random.default_rng(0)
    cells, volts = rng.uniform(1, 20, (128, 8)), rng.normal(size=128)
    out = charge.divider_voltage(cells, volts, 50.0)
    before = (cells * volts[:, None]).sum(axis=0)
    after = (cells * out).sum(axis=0) + 50.0 * out
    assert np.allclose(before, after)


def test_amplifier_gain_and_noise():
    assert charge.amplifier_gain(np.float32(1500), 500.0, 1000.0) == pytest.approx(1 / 1.004)
    assert charge.amplifier_gain(np.float32(1500), 500.0, 1e12) == pytest.approx(1.0)
    sigma = charge.amplifier_sigma_v(np.float32(1500), 500.0, 100.0, 1.5, 300.0)
    expected = K_T_300 / 500e-15 + 1.5 * K_T_300 / (0.25 * (100 + 0.75 * 500) * 1e-15)
    assert sigma**2 == pytest.approx(expected, rel=1e-5)


def test_trim_leaves_its_share_of_the_difference():
    plus, minus = charge.trim_legs(np.array([10.0]), np.array([14.0]), 0.25)
    assert (plus[0], minus[0]) == (13.0, 14.0)


def test_injection_formulas():
    pushed = charge.injected_charge_ff_v(0.02, 12.0, 0.05, 1.2, 0.4)
    assert pushed == pytest.approx(0.5 * 0.02 * 12 * 0.8 + 0.06)
    assert charge.injection_gain(0.02, 12.0, np.float32(100.0)) == pytest.approx(1 - 0.0012)


def test_dielectric_and_settling_and_coupling():
    assert charge.dielectric_input(np.float32(0.5), 1e-2, 2.0) == pytest.approx(0.5 * 1.01)
    share = charge.settling(np.float32(1000.0), 1000.0, 0.0, 2.0)
    assert share == pytest.approx(1 - math.exp(-2.0))
    matrix = np.array([[1.0, 2.0, 4.0]])
    assert charge.couple_columns(matrix, 0.5).tolist() == [[2.0, 4.5, 5.0]]


# Devices


def test_mismatch_follows_pelgrom():
    assert devices.mismatch_sigma(1.0, 4.0) == pytest.approx(0.005)
    cells = np.arange(200_000, dtype=np.uint64)
    pairs = np.full((2, cells.size), 20.0, np.float32)
    out = devices.add_mismatch(pairs, 0.01, streams.derive_key(1), cells)
    assert (out / 20 - 1).std() == pytest.approx(0.01, rel=0.01)
    assert abs(np.corrcoef(out)[0, 1]) < 0.01


def test_programming_error_is_additive_and_never_negative():
    cells = np.arange(100_000, dtype=np.uint64)
    pairs = np.stack((np.full(cells.size, 10.0), np.zeros(cells.size))).astype(np.float32)
    out = devices.add_programming_error(pairs, 0.02, 19.0, streams.derive_key(1), cells)
    assert (out[0] - 10).std() == pytest.approx(0.38, rel=0.02)
    # Rectified normal: mean sigma / sqrt(2 pi).
    assert out.min() == 0
    assert out[1].mean() == pytest.approx(0.38 / math.sqrt(2 * math.pi), rel=0.03)


def test_drift_shrinks_the_window_only():
    assert devices.drift_factor(0.01, 999.0, 1.0) == pytest.approx(0.97)
    assert devices.drift_factor(1.0, 1e9, 1.0) == 0.0
    out = devices.add_drift(np.array([[1.0], [11.0]], np.float32), 1.0, 0.9)
    assert out.ravel().tolist() == pytest.approx([1.0, 10.0])


def test_stuck_fractions():
    cells = np.arange(100_000, dtype=np.uint64)
    pairs = np.full((2, cells.size), 5.0, np.float32)
    out = devices.add_stuck(pairs, 0.02, 0.03, 20.0, 1.0, streams.derive_key(1), cells)
    assert (out == 20).mean() == pytest.approx(0.02, rel=0.1)
    assert (out == 1).mean() == pytest.approx(0.03, rel=0.1)
    assert ((out == 5) | (out == 20) | (out == 1)).all()


# Converters


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_converter_error_is_half_a_step_and_uniform(bits):
    values = np.random.default_rng(1).uniform(-0.99, 0.98, 100_000).astype(np.float32)
    step = converters.adc_step(np.float32(1.0), bits)
    codes = converters.adc_codes(values / step, bits)
    assert codes.max() <= 2 ** (bits - 1) - 1
    inside = values <= (2 ** (bits - 1) - 0.5) * step
    error = (codes * step - values)[inside]
    assert np.abs(error).max() <= step / 2 * 1.001
    assert error.std() == pytest.approx(converters.quantisation_sigma(step), rel=0.02)


def test_converter_clips_to_its_codes():
    out = converters.adc_codes(np.array([-1e9, 1e9], np.float32), 8)
    assert out.tolist() == [-128.0, 127.0]


def test_input_codes_and_zero_scale():
    x = np.array([[1.0, -2.0, 0.004], [0.0, 0.0, 0.0]], np.float32)
    codes = converters.quantise_input(x, np.array([[1.0], [0.0]], np.float32), 8)
    assert codes.tolist() == [[127, -127, 1], [0, 0, 0]]


def test_inl_is_zero_at_centre_and_ends_and_peaks_as_asked():
    linear, cubic = converters.inl_coefficients(np.float32(0.5), 8)
    lsb = np.linspace(-128, 128, 2001).astype(np.float32)
    error = converters.add_inl(lsb.copy(), linear, cubic) - lsb
    assert np.abs(error[[0, 1000, 2000]]).max() < 1e-3
    assert np.abs(error).max() == pytest.approx(0.5, rel=1e-3)


# Instances


def levels_of(target, rows, cols, seed=0, tiles=1):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (tiles, rows, cols)).astype(np.int8)
    return codes, split_slices(codes, target)


def sites_of(*rows):
    return np.array(rows, np.int32)


def test_slices_recompose_the_code(phone):
    codes, levels = levels_of(phone, 16, 8)
    assert np.abs(levels).max() <= 15
    weights = slice_weights(phone)[:, None, None, None]
    assert np.array_equal((levels * weights).sum(axis=0), codes)


@pytest.mark.parametrize("name", ["memcap-demo", "memcap-phone"])
def test_ideal_instance_is_the_nominal_matrix(name):
    target = only(targets.load_target(name))
    _, levels = levels_of(target, 32, 8)
    made = instance.build_instance(levels, sites_of((1, 2, 3)), target, seed=5)
    assert np.allclose(made.matrix, levels, atol=2e-5)
    for still in (made.offset, made.sigma, made.read_sigma, made.adc_gain, made.inl_lsb):
        assert not still.any()
    gain = columns.nominal_column_gain(levels, sites_of((1, 2, 3)), target)
    assert gain.mean() == pytest.approx(1, rel=1e-3)


def test_divider_instance_equals_the_circuit(phone):
    """The folded matrix against charge sharing of both legs, with one reference per slice."""
    target = only(phone, "divider", leg_imbalance=1.0)
    _, levels = levels_of(target, 64, 16)
    made = instance.build_instance(levels, sites_of((3, 0, 0)), target, seed=0)
    array, x = target.array, np.random.default_rng(2).uniform(-1, 1, 64)
    line = 5.0 + 512 * 0.12 * 0.2 + 3 * 0.1 + (512 - 64) * array.c_off_ff
    volts = []
    for leg in (np.maximum(levels, 0), np.maximum(-levels, 0)):
        cells = array.c_off_ff + array.level_ff * leg[:, 0].astype(np.float64)
        volts.append(charge.divider_voltage(cells, x * array.read_voltage_v, line))
    seen = np.einsum("r,src->sc", x, made.matrix[:, 0].astype(np.float64))
    ratio = (volts[0] - volts[1]) / seen
    # One constant per slice turns levels into volts.
    assert np.allclose(ratio / ratio.mean(axis=1, keepdims=True), 1, rtol=2e-3)


def test_gain_correction_undoes_the_divider(phone):
    target = only(phone, "divider", leg_imbalance=0.0)
    _, levels = levels_of(target, 512, 32)
    made = instance.build_instance(levels, sites_of((0, 0, 0)), target, seed=0)
    assert np.abs(made.matrix - levels).max() > 0.01
    gain = columns.nominal_column_gain(levels, sites_of((0, 0, 0)), target)
    assert np.allclose(made.matrix / gain[..., None, :], levels, atol=2e-4)


def test_passive_thermal_sigma_is_k_t_c_of_both_legs(phone):
    target = only(phone, "thermal", leg_imbalance=0.0, temperature_k=300.0)
    _, levels = levels_of(target, 512, 8)
    made = instance.build_instance(levels, sites_of((0, 0, 0)), target, seed=0)
    array = target.array
    magnitude = np.stack((np.maximum(levels, 0), np.maximum(-levels, 0)))
    total = (array.c_off_ff + array.level_ff * magnitude).sum(axis=3) + 5.0 + 512 * 0.12 * 0.2
    total = total.max(axis=0)  # trimmed to the heavier leg
    volts = np.sqrt(2 * K_T_300 / (total * 1e-15))
    reference = (1 / total).mean(axis=-1, keepdims=True)
    expected = volts / reference / (array.level_ff * array.read_voltage_v)
    assert np.allclose(made.sigma, expected, rtol=1e-4)


def test_upper_layers_are_noisier(phone):
    target = only(phone, "thermal")
    _, levels = levels_of(target, 64, 4, tiles=1)
    both = np.repeat(levels, 2, axis=1)
    sigma = instance.build_instance(both, sites_of((0, 0, 0), (15, 0, 0)), target, 0).sigma
    assert (sigma[:, 1] > sigma[:, 0]).all()


def test_devices_belong_to_their_site(demo):
    _, levels = levels_of(demo, 16, 4)
    two = np.repeat(levels, 2, axis=1)
    pair = instance.build_instance(two, sites_of((0, 1, 1), (0, 1, 2)), demo, seed=3)
    alone = instance.build_instance(levels, sites_of((0, 1, 2)), demo, seed=3)
    other = instance.build_instance(levels, sites_of((0, 1, 2)), demo, seed=4)
    assert np.array_equal(pair.matrix[:, 1], alone.matrix[:, 0])
    assert not np.array_equal(pair.matrix[:, 0], pair.matrix[:, 1])
    assert not np.array_equal(other.matrix, alone.matrix)


def test_tile_offsets_name_the_physical_cell(demo):
    """A tile in the corner of an array sees the same cells as that corner of a large tile."""
    target = only(demo, "mismatch", "programming")
    _, levels = levels_of(target, 64, 16)
    whole = instance.stored_pairs_ff(levels, sites_of((0, 0, 0, 0, 0)), target, 1)
    corner = instance.stored_pairs_ff(
        levels[:, :, 40:, 10:], sites_of((0, 0, 0, 40, 10)), target, 1
    )
    assert np.array_equal(corner, whole[..., 40:, 10:])


def test_layers_of_a_stack_share_converters(demo):
    target = only(demo, "adc_gain", "adc_offset", "adc_inl")
    _, levels = levels_of(target, 8, 8)
    two = np.repeat(levels, 3, axis=1)
    made = instance.build_instance(two, sites_of((0, 1, 1), (3, 1, 1), (0, 1, 2)), target, seed=0)
    assert np.array_equal(made.adc_gain[:, 0], made.adc_gain[:, 1])
    assert not np.array_equal(made.adc_gain[:, 0], made.adc_gain[:, 2])
    # Eight converters serve the sixteen pairs.
    assert len(np.unique(made.adc_offset_lsb[:, 0])) == 8


STATIC = ("mismatch", "programming", "stuck", "drift", "divider", "settling", "coupling", "dac")


@pytest.mark.parametrize("effect", STATIC)
def test_each_static_effect_alone_changes_the_matrix(demo, effect):
    target = only(demo, effect, stuck_on_fraction=0.05, drift_nu=0.1)
    slow = target.array.model_copy(update={"driver_resistance_ohm": 50_000.0})
    target = target.model_copy(update={"array": slow})
    _, levels = levels_of(target, 64, 8)
    made = instance.build_instance(levels, sites_of((1, 0, 0)), target, seed=0)
    assert np.abs(made.matrix - levels).max() > 1e-3
    rest = (made.sigma, made.read_sigma, made.offset, made.adc_gain, made.inl_lsb)
    assert not any(values.any() for values in rest)


@pytest.mark.parametrize(
    ("effect", "field"),
    [
        ("thermal", "sigma"),
        ("read", "read_sigma"),
        ("injection", "offset"),
        ("adc_gain", "adc_gain"),
        ("adc_offset", "adc_offset_lsb"),
        ("adc_inl", "inl_lsb"),
    ],
)
def test_each_other_effect_alone_is_where_it_belongs(demo, effect, field):
    target = only(demo, effect, read_sigma=0.01)
    _, levels = levels_of(target, 64, 8)
    made = instance.build_instance(levels, sites_of((1, 0, 0)), target, seed=0)
    fields = ("sigma", "read_sigma", "offset", "adc_gain", "adc_offset_lsb", "inl_lsb")
    assert [name for name in fields if getattr(made, name).any()] == [field]


def test_converter_noise_adds_in_squares(demo):
    assert instance.converter_sigma_lsb(only(demo, "adc_noise")) == pytest.approx(0.3)
    both = instance.converter_sigma_lsb(only(demo, "adc_noise", "adc_inl"))
    assert both == pytest.approx(0.3 * math.sqrt(2))
    assert instance.converter_sigma_lsb(only(demo)) == 0.0


@pytest.mark.parametrize(("levels", "weight_bits"), [(64, 8), (32, 6), (16, 6), (8, 8), (128, 8)])
def test_bits_are_dealt_evenly_and_use_the_whole_window(phone, levels, weight_bits):
    """No slice keeps one bit of its own, and the largest digit lies near the top level."""
    data = targets.target_to_dict(phone)
    data["array"]["levels"], data["numerics"]["weight_bits"] = levels, weight_bits
    target = targets.target_from_dict(data, "test")
    top = 2 ** (weight_bits - 1) - 1
    codes = np.arange(-top, top + 1).astype(np.int8)
    digits = split_slices(codes, target)
    assert np.array_equal((digits * slice_weights(target)[:, None]).sum(axis=0), codes)
    assert np.abs(digits).max() <= levels - 1
    assert (np.abs(digits).max(axis=1) >= (levels - 1) / 2).all()
