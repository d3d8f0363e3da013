"""Every physical effect against its closed form."""

import math

import numpy as np
import pytest

from semc.backends import targets
from semc.backends.targets.slicing import slice_weights, split_slices
from semc.runtime.physics import charge, columns, converters, devices, instance, streams, window

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
    """With single sampling, so that the noise of passive columns is there."""
    target = targets.load_target("memcap-phone")
    array = target.array.model_copy(update={"double_sampling": False})
    return target.model_copy(update={"array": array})


# Streams


@pytest.mark.parametrize(
    ("key", "counter", "expected"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_gives_its_published_answers(key, counter, expected):
    """The known answers that come with Random123 (Salmon et al., SC 2011)."""
    assert streams.threefry(*map(np.uint32, (*key, *counter))) == expected


def test_stream_values_do_not_depend_on_what_else_is_asked():
    keys = streams.derive_key(7, np.arange(5))[None]
    whole = streams.position_normals(keys, 0, 101)[0]
    for first, count in ((0, 1), (1, 1), (7, 5), (8, 4), (100, 1), (3, 90)):
        part = streams.position_normals(keys[:, 1:4], first, count)[0]
        assert np.array_equal(part, whole[first : first + count, 1:4])


def test_positions_and_counters_are_one_stream():
    """A read position pair is a counter: the same numbers through either door."""
    keys = streams.derive_key(7, np.arange(33))
    rows = streams.position_normals(keys[None], 0, 8, lane=3)[0]
    pairs = streams.normal_pairs(keys, np.arange(4, dtype=np.uint32), lane=3)
    assert np.array_equal(rows, np.stack((pairs[0].T, pairs[1].T), axis=1).reshape(8, 33))


def test_stream_keys_are_those_of_their_own_words():
    batch = streams.derive_key(3, np.arange(4), 9)
    assert [int(k) for k in batch] == [int(streams.derive_key(3, i, 9)) for i in range(4)]
    assert len({int(k) for k in batch}) == 4
    arrays = streams.derive_key(*(np.array(word) for word in (3, 2**63 + 5, 9)))
    assert int(arrays) == int(streams.derive_key(3, 2**63 + 5, 9))
    assert int(streams.derive_key(1, 2)) != int(streams.derive_key(2, 1))
    assert int(streams.derive_key(-1)) == int(streams.derive_key(2**64 - 1))


def test_stream_normals_are_standard_and_uncorrelated():
    values = streams.position_normals(streams.derive_key(1, np.arange(64))[None], 0, 8192)[0]
    count = values.size
    assert abs(values.mean()) < 4 / math.sqrt(count)
    assert abs(values.var() - 1) < 4 * math.sqrt(2 / count)
    assert abs((values.astype(np.float64) ** 4).mean() - 3) < 4 * math.sqrt(96 / count)
    assert 4.2 < np.abs(values).max() < 7
    correlation = np.corrcoef(values.T) - np.eye(64)
    assert np.abs(correlation).max() < 6 / math.sqrt(8192)
    serial = (values[1:] * values[:-1]).mean()
    assert abs(serial) < 4 / math.sqrt(count)


def test_stream_normals_follow_the_normal_distribution():
    """Share beyond each of several bounds, tails included, and lanes that differ."""
    keys = streams.derive_key(5, np.arange(64))
    values = streams.normal_pairs(keys, np.arange(1 << 14, dtype=np.uint32)).ravel()
    for bound in (0.1, 0.5, 1.0, 2.0, 3.0, 4.0):
        share = math.erfc(bound / math.sqrt(2))
        spread = math.sqrt(share * (1 - share) / values.size)
        assert abs((np.abs(values) > bound).mean() - share) < 5 * spread, bound
    other = streams.normal_pairs(keys, np.arange(1 << 14, dtype=np.uint32), lane=1).ravel()
    assert abs((values * other).mean()) < 5 / math.sqrt(values.size)


def test_uniforms_fill_the_interval():
    values = streams.uniforms(streams.derive_key(2)[None], np.arange(100_000, dtype=np.uint32))
    assert values.min() > 0
    assert values.max() <= 1
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert np.abs(counts - 5000).max() < 5 * math.sqrt(5000)


# Closed forms


def divider_voltage(cells_ff, volts, line_ff):
    """Passive sharing, V_j = sum_i C_ij V_i / (sum_i C_ij + C_line), by conservation of charge.

    ``cells_ff [..., rows, cols]``, ``volts [..., rows]`` -> ``[..., cols]``. The denominator holds
    the stored weights, so every column has its own gain.
    """
    charge = np.einsum("...rc,...r->...c", cells_ff, volts)
    return charge / (cells_ff.sum(axis=-2) + line_ff)


def dielectric_input(x, a2_per_v2, read_voltage_v):
    """Input as the charge sees it, x (1 + a2 (x V)^2)."""
    return x * (1 + a2_per_v2 * read_voltage_v**2 * x * x)


def verified_sigma(sigma, tolerance, rounds):
    """Standard deviation of ``devices.programming_errors``: the accepted errors have the variance
    of a normal cut at +-t, the missed ones that of its tails."""
    p, miss = devices.verify_chances(sigma, tolerance, rounds)
    if not 0 < p < 1:
        return sigma
    t = tolerance / sigma
    peak = 2 * t * math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    accepted, missed = (p - peak) / p, (1 - p + peak) / (1 - p)
    return sigma * math.sqrt((1 - miss) * accepted + miss * missed)


def mean_writes(sigma, tolerance, rounds):
    """Writes that a cell takes on average: (1 - (1 - p)^rounds) / p, a truncated geometric law."""
    p, miss = devices.verify_chances(sigma, tolerance, rounds)
    return (1 - miss) / p if p else float(rounds)


# Charge


def test_thermal_noise_is_k_t_over_c():
    assert charge.thermal_sigma_v(np.float32(1.0), 300.0) == pytest.approx(2.035e-3, rel=1e-3)
    assert charge.thermal_sigma_v(np.float32(10.0), 300.0) == pytest.approx(0.6436e-3, rel=1e-3)


def test_divider_conserves_charge():
    rng = np.random.default_rng(0)
    cells, volts = rng.uniform(1, 20, (128, 8)), rng.normal(size=128)
    out = divider_voltage(cells, volts, 50.0)
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


def test_neighbours_couple_into_a_column():
    matrix = np.array([[1.0, 2.0, 4.0]])
    assert charge.couple_columns(matrix, 0.5).tolist() == [[2.0, 4.5, 5.0]]


def test_line_delay_is_that_of_a_ladder():
    """Elmore's sum over a ladder of many sections tends to the closed form."""
    sections, driver, wire, total_ff = 4000, 700.0, 1500.0, 60.0
    for position in (0.25, 1.0):
        at = int(position * sections)
        node = np.arange(1, sections + 1)
        common_ohm = driver + wire * np.minimum(node, at) / sections
        ladder_ns = (common_ohm * total_ff / sections).sum() * 1e-6
        closed_ns = charge.elmore_ns(total_ff, driver, wire, position)
        assert closed_ns == pytest.approx(ladder_ns, rel=1e-3)


def test_settling_and_droop_are_exponential():
    assert charge.settled_share(np.float32(2.0), 4.0) == pytest.approx(1 - math.exp(-2.0))
    assert charge.settled_share(np.float32(0.0), 1.0) == 1.0
    assert charge.held_share(np.float64(500.0), 1.0) == pytest.approx(math.exp(-0.5))


# Devices

CELLS = np.arange(200_000, dtype=np.uint32)[None]
KEY = streams.derive_key(1)[None]


def capacitors(plus, minus=None):
    """Pairs ``[2, 1, n]`` of equal capacitors."""
    pairs = np.full((2, *CELLS.shape), plus, np.float32)
    pairs[1] = plus if minus is None else minus
    return pairs


def test_mismatch_follows_pelgrom():
    assert devices.mismatch_sigma(1.0, 4.0) == pytest.approx(0.005)
    # A quarter of the area has twice the spread.
    assert devices.mismatch_sigma(1.0, 1.0) == 2 * devices.mismatch_sigma(1.0, 4.0)
    factors = devices.mismatch_factors(0.01, KEY, CELLS)
    assert factors.mean() == pytest.approx(1, abs=1e-4)
    assert factors.std() == pytest.approx(0.01, rel=0.01)
    assert abs(np.corrcoef(factors[:, 0])[0, 1]) < 0.01


def test_verified_writes_meet_only_the_ends_of_a_capacitors_window():
    """A level inside is met whatever the size; at the ends half of the capacitors fall short, by
    the mean of half a normal."""
    sigma = 0.02
    factors = devices.mismatch_factors(sigma, KEY, CELLS)
    inside = devices.limit_to_window(capacitors(10.0), factors, 1.0, 20.0)
    assert np.array_equal(inside, capacitors(10.0))
    top = devices.limit_to_window(capacitors(20.0), factors, 1.0, 20.0)
    assert (20 - top).mean() == pytest.approx(20 * sigma / math.sqrt(2 * math.pi), rel=0.01)
    assert (top == 20).mean() == pytest.approx(0.5, abs=0.005)
    low = devices.limit_to_window(capacitors(1.0), factors, 1.0, 20.0)
    assert (low - 1).mean() == pytest.approx(sigma / math.sqrt(2 * math.pi), rel=0.01)


def test_programming_error_is_additive_and_never_negative():
    errors = devices.programming_errors(0.02, 0.0, 1, KEY, CELLS)
    out = devices.add_programming_error(capacitors(10.0, 0.0), errors, 19.0)
    assert (out[0] - 10).std() == pytest.approx(0.38, rel=0.02)
    # Rectified normal: mean sigma / sqrt(2 pi).
    assert out.min() == 0
    assert out[1].mean() == pytest.approx(0.38 / math.sqrt(2 * math.pi), rel=0.03)


@pytest.mark.parametrize(
    ("tolerance", "rounds"), [(0.02, 1), (0.02, 2), (0.02, 20), (0.005, 3), (0.2, 5)]
)
def test_write_verify_leaves_its_closed_form(tolerance, rounds):
    sigma = 0.04
    errors = devices.programming_errors(sigma, tolerance, rounds, KEY, CELLS)
    assert errors.std() == pytest.approx(verified_sigma(sigma, tolerance, rounds), rel=0.01)
    p = math.erf(tolerance / sigma / math.sqrt(2))
    miss = (1 - p) ** rounds
    outside = (np.abs(errors) > tolerance).mean()
    assert abs(outside - miss) < 5 * math.sqrt(miss * (1 - miss) / errors.size) + 1e-9
    assert abs(np.corrcoef(errors[:, 0])[0, 1]) < 0.01


def test_write_verify_takes_its_closed_form_of_writes():
    assert mean_writes(0.04, 0.0, 9) == 1.0
    assert verified_sigma(0.04, 0.0, 9) == 0.04
    assert mean_writes(0.04, 0.02, 1) == pytest.approx(1.0)
    p = math.erf(0.5 / math.sqrt(2))
    assert mean_writes(0.04, 0.02, 3) == pytest.approx(1 + (1 - p) + (1 - p) ** 2)
    # In the limit of many rounds the error is uniform within a narrow band.
    assert verified_sigma(1.0, 0.01, 5000) == pytest.approx(0.01 / math.sqrt(3), rel=0.01)


def test_drift_shrinks_the_window_only():
    decades = window.drift_decades(999.0, 1.0)
    assert decades == pytest.approx(3.0)
    assert window.drift_factor(0.01, decades) == pytest.approx(0.97)
    assert window.drift_factor(1.0, 9.0) == 0.0
    out = devices.add_drift(capacitors(11.0, 1.0), 1.0, 0.1, 0.0, 1.0, KEY, CELLS)
    assert np.allclose(out[0], 10.0)
    assert np.allclose(out[1], 1.0)


def test_drift_spreads_from_cell_to_cell():
    """The spread grows with the decades and the stored window: sigma_nu decades (C - C_off)."""
    out = devices.add_drift(capacitors(11.0, 6.0), 1.0, 0.01, 0.005, 3.0, KEY, CELLS)
    assert out[0].mean() == pytest.approx(1 + 0.97 * 10, rel=1e-3)
    assert out[0].std() == pytest.approx(0.005 * 3 * 10, rel=0.01)
    assert out[1].std() == pytest.approx(0.005 * 3 * 5, rel=0.01)


def test_window_halves_at_the_corner():
    assert window.window_share(1.0, 1.0) == 0.5
    assert window.window_share(3.0, 1.0) == pytest.approx(0.1)
    assert window.window_share(100.0, 0.0) == 1.0
    out = devices.shrink_window(capacitors(11.0, 1.0), 1.0, 0.5)
    assert np.allclose(out[0], 6.0)
    assert np.allclose(out[1], 1.0)


def test_stuck_fractions():
    stuck = devices.stuck_cells(0.02, 0.03, KEY, CELLS)
    out = devices.add_stuck(capacitors(5.0), stuck, 1.0, 20.0)
    assert (out == 20).mean() == pytest.approx(0.02, rel=0.1)
    assert (out == 1).mean() == pytest.approx(0.03, rel=0.1)
    assert ((out == 5) | (out == 20) | (out == 1)).all()


def test_the_partner_of_a_stuck_cell_keeps_the_difference():
    meant = np.array([[[8.0, 1.0, 8.0, 20.0]], [[1.0, 8.0, 1.0, 1.0]]], np.float32)
    on = np.zeros(meant.shape, bool)
    off = on.copy()
    # The plus cell is stuck on, on, off, off; the differences meant are 7, -7, 7, 19.
    on[0, 0, :2] = off[0, 0, 2:] = True
    stuck = devices.add_stuck(meant, (on, off), 1.0, 20.0)
    made = devices.repair_pairs(stuck, meant, (on, off), 1.0, 20.0)
    assert (made[0] - made[1]).ravel().tolist() == [7.0, 0.0, 0.0, 0.0]
    # Two stuck cells of one pair stay.
    on[:], off[:] = True, False
    both = devices.add_stuck(meant, (on, off), 1.0, 20.0)
    assert np.array_equal(devices.repair_pairs(both, meant, (on, off), 1.0, 20.0), both)


def test_repair_leaves_only_what_the_window_cannot(demo):
    """Uniform levels: an error is left where the stuck cell is on the wrong side, which is half."""
    levels = np.random.default_rng(0).integers(-15, 16, (2, 8, 128, 32)).astype(np.float32)
    errors = []
    for repair in (True, False):
        target = only(demo, "stuck", stuck_on_fraction=0.01, stuck_off_fraction=0.01)
        numerics = target.numerics.model_copy(update={"pair_repair": repair})
        target = target.model_copy(update={"numerics": numerics})
        sites = sites_of(*((0, i // 4, i % 4) for i in range(8)))
        made = instance.build_instance(levels, sites, target, seed=1).matrix
        errors.append(((made - levels) ** 2).mean())
    assert errors[0] < 0.6 * errors[1]


# Converters


def converted(lsb, bits, **effects):
    """Codes of ``lsb [P, C]`` from converters with the given effects."""
    none = converters.NONE
    values = np.ascontiguousarray(lsb, np.float32)[None].copy()
    one = np.ones((1, values.shape[2]), np.float32)
    out = np.zeros_like(values)
    args = {
        "draws": converters.NO_DRAWS, "offset": none, "sigma": none, "read": none, "norm": none,
        "linear": none, "cubic": none, "steps": converters.NO_STEPS,
    } | effects  # fmt: skip
    converters.convert(values, one, one, bits, out, *args.values())
    return out[0]


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_converter_error_is_half_a_step_and_uniform(bits):
    values = np.random.default_rng(1).uniform(-0.99, 0.98, (100, 1000)).astype(np.float32)
    step = converters.adc_step(np.float32(1.0), bits)
    codes = converted(values / step, bits)
    assert codes.max() <= 2 ** (bits - 1) - 1
    inside = values <= (2 ** (bits - 1) - 0.5) * step
    error = (codes * step - values)[inside]
    assert np.abs(error).max() <= step / 2 * 1.001
    assert error.std() == pytest.approx(converters.quantisation_sigma(step), rel=0.02)


def test_converter_clips_to_its_codes():
    assert converted([[-1e9, 1e9]], 8).tolist() == [[-128.0, 127.0]]


def test_even_steps_of_a_successive_approximation_round():
    lsb = np.linspace(-140, 140, 4001, dtype=np.float32)[:, None]
    steps = converters.bit_steps(np.zeros((1, 1, 8)), 0.3, 8).swapaxes(1, 2)
    assert steps[0, :, 0].tolist() == [128, 64, 32, 16, 8, 4, 2, 1]
    codes = converted(lsb, 8, steps=steps)
    assert np.array_equal(codes, np.clip(np.floor(lsb + 0.5), -128, 127))


def test_uneven_steps_make_the_dnl_that_was_asked_for():
    """The width of the middle code, found by ramping the input, over many converters."""
    count, bits, sigma = 4000, 6, 0.2
    draws = np.random.default_rng(3).standard_normal((count, bits))
    steps = converters.bit_steps(draws, sigma, bits)
    assert np.allclose(steps.sum(axis=1), 63, rtol=1e-5)
    ramp = np.arange(-3, 3, 1 / 64, dtype=np.float32)[:, None].repeat(count, axis=1)
    codes = converted(ramp, bits, steps=steps.T[None])
    width = (codes == -1).sum(axis=0) / 64
    middle = steps[:, 0] - steps[:, 1:].sum(axis=1) - 1
    # Code -1 ends where the top bit comes in; it began with all the others.
    assert middle.std() == pytest.approx(sigma, rel=0.05)
    assert np.allclose(width, np.maximum(1 + middle, 0), atol=0.04)


def test_input_codes_and_zero_scale():
    x = np.array([[1.0, -2.0, 0.004], [0.0, 0.0, 0.0]], np.float32)
    codes, _ = converters.quantise_input(x, np.array([[1.0], [0.0]], np.float32), 8)
    assert codes.tolist() == [[127, -127, 1], [0, 0, 0]]
    codes, scale = converters.quantise_input(x, None, 8)
    assert codes.tolist() == [[64, -127, 0], [0, 0, 0]]
    assert scale.tolist() == [[2.0], [0.0]]


def test_bent_inputs_follow_the_dielectric():
    x = np.linspace(-1, 1, 255, dtype=np.float32)[None]
    codes, _ = converters.quantise_input(x, 1.0, 8, square=0.04)
    expected = 127 * dielectric_input(np.rint(x * 127) / 127, 0.01, 2.0)
    assert np.allclose(codes, expected, rtol=1e-5)


def test_pulses_add_up_to_the_code():
    codes = np.arange(-127, 128, dtype=np.float32)[None]
    pulses = converters.input_pulses(codes, 8)
    assert pulses.shape == (7, 1, 255)
    assert set(np.unique(pulses)) == {-1.0, 0.0, 1.0}
    assert np.array_equal(np.einsum("bpk,b->pk", pulses, 2.0 ** np.arange(7)), codes)


def test_inl_is_zero_at_centre_and_ends_and_peaks_as_asked():
    linear, cubic = converters.inl_coefficients(np.full((1, 1), 0.5, np.float32), 8)
    lsb = np.linspace(-127, 127, 2001).astype(np.float32)[:, None]
    bend = lsb * (linear + cubic * lsb * lsb)
    assert abs(bend[1000, 0]) < 1e-6
    assert np.abs(bend).max() == pytest.approx(0.5, rel=1e-3)
    assert abs(128 * (linear[0, 0] + cubic[0, 0] * 128**2)) < 1e-5
    codes = converted(lsb, 8, linear=linear, cubic=cubic)
    assert np.array_equal(codes, np.clip(np.rint(lsb + bend), -128, 127))


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
        volts.append(divider_voltage(cells, x * array.read_voltage_v, line))
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


STATIC = (
    "mismatch", "programming", "stuck", "drift", "window", "divider", "settling", "coupling",
    "droop", "dac",
)  # fmt: skip


@pytest.mark.parametrize("effect", STATIC)
def test_each_static_effect_alone_changes_the_matrix(demo, effect):
    target = only(
        demo,
        effect,
        stuck_on_fraction=0.05,
        drift_nu=0.1,
        window_corner_mhz=2.0,
        leakage_tau_us=10.0,
    )
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


def test_only_the_comparator_is_noise(demo):
    assert instance.converter_sigma_lsb(only(demo, "adc_noise")) == pytest.approx(0.3)
    assert instance.converter_sigma_lsb(only(demo, "adc_dnl")) == 0.0


def test_double_sampling_takes_the_reset_away(demo, phone):
    """No kT/C, injection or offset on a passive column; twice the comparator, and a rounding."""
    for target in (demo, phone):
        array = target.array.model_copy(update={"double_sampling": True})
        twice = target.model_copy(update={"array": array})
        _, levels = levels_of(target, 64, 8)
        before = instance.build_instance(levels, sites_of((1, 0, 0)), target, seed=0)
        after = instance.build_instance(levels, sites_of((1, 0, 0)), twice, seed=0)
        assert before.offset.any()
        assert not after.offset.any()
        assert not after.adc_offset_lsb.any()
        assert instance.converter_sigma_lsb(twice) == pytest.approx(math.sqrt(2 * 0.3**2 + 1 / 12))
        if target.array.readout == "passive":
            assert not after.sigma.any()
        else:  # the amplifier's own noise, twice
            leg = np.float32(1500)
            own = charge.amplifier_sigma_v(leg, 500.0, 100.0, 1.5, 300.0, True)
            beta = 0.25
            expected = 2 * 1.5 * K_T_300 / (beta * (100 + 0.75 * 500) * 1e-15)
            assert own**2 == pytest.approx(expected, rel=1e-5)


def test_converters_of_a_stack_have_steps_of_their_own(demo):
    target = only(demo, "adc_dnl")
    _, levels = levels_of(target, 8, 8, tiles=1)
    two = np.repeat(levels, 2, axis=1)
    made = instance.build_instance(two, sites_of((0, 1, 1), (0, 1, 2)), target, seed=0)
    assert made.adc_steps.shape == (target.slices, 2, target.adc.bits, 8)
    assert np.allclose(made.adc_steps.sum(axis=2), 2**target.adc.bits - 1)
    assert not np.allclose(made.adc_steps[:, 0], made.adc_steps[:, 1])
    assert (
        instance.build_instance(two, sites_of((0, 1, 1), (0, 1, 2)), only(demo), 0).adc_steps
        is None
    )


def test_far_columns_settle_less(phone):
    """On a long slow row the far columns see less of the step, on upper layers all do."""
    array = phone.array.model_copy(update={"line_resistance_ohm_um": 2000.0})
    stack = phone.stack.model_copy(update={"via_resistance_ohm": 20000.0})
    slow = only(phone.model_copy(update={"array": array, "stack": stack}), "settling")
    levels = np.full((2, 2, 64, 128), 15, np.float32)
    made = instance.build_instance(levels, sites_of((0, 0, 0), (15, 0, 0)), slow, seed=0).matrix
    assert (np.diff(made[0, 0, 0]) <= 0).all()
    assert made[0, 0, 0, -1] < 0.97 * made[0, 0, 0, 0]
    assert (made[:, 1] < made[:, 0]).all()


def test_late_conversions_have_lost_more_charge(demo):
    target = only(demo, "droop", leakage_tau_us=5.0)
    _, levels = levels_of(target, 8, 32)
    made = instance.build_instance(levels, sites_of((0, 0, 0)), target, seed=0)
    pair = target.slices * np.arange(32) + np.arange(target.slices)[:, None]
    wait_ns = target.array.settle_ns + pair // target.adcs_per_array * target.adc.conversion_ns
    share = np.exp(-wait_ns * 1e-3 / 5.0)
    assert np.allclose(made.matrix[:, 0], levels[:, 0] * share[:, None], rtol=1e-4, atol=1e-4)


def test_the_mean_window_is_known(demo):
    target = only(demo, "drift", "window", drift_nu=0.1, drift_nu_sigma=0.01, window_corner_mhz=2.0)
    levels = np.full((2, 1, 128, 32), 15, np.float32)
    made = instance.build_instance(levels, sites_of((0, 0, 0)), target, seed=0)
    assert made.matrix.mean() / 15 == pytest.approx(columns.expected_window(target), rel=1e-3)
    assert columns.expected_window(only(demo)) == 1.0


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
