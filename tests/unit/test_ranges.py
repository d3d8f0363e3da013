"""How samples set ranges: methods by name, inputs, and converters of both ways to drive rows."""

import numpy as np
import pytest

from semc.backends.targets import MemcapTarget, load_target, target_from_dict, target_to_dict
from semc.backends.targets.slicing import split_slices
from semc.compiler.passes.cut_tiles import tile_grid
from semc.compiler.quantize.adc_range import (
    PULSE_RMS,
    default_adc_range,
    normalised_rms,
    observed_adc_range,
)
from semc.compiler.quantize.calibration import MatrixStatistics
from semc.compiler.quantize.range_method import DEFAULT_PERCENTILE, RangeMethod
from semc.errors import InputError


@pytest.fixture(scope="module")
def serial() -> MemcapTarget:
    """The demo chip with inputs sent bit by bit."""
    data = target_to_dict(load_target("memcap-demo"))
    data["numerics"]["input_coding"] = "bit-serial"
    target = target_from_dict(data, "serial")
    assert isinstance(target, MemcapTarget)
    return target


def test_methods_by_name() -> None:
    assert RangeMethod.parse("mse") == RangeMethod()
    assert RangeMethod.parse("minmax").percentile == 100.0
    assert RangeMethod.parse("minmax").share is None
    assert RangeMethod.parse("percentile").share == DEFAULT_PERCENTILE
    assert RangeMethod.parse("percentile:99.5").share == 99.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("median", "must be chosen by mse"), ("percentile:", "must be a number"),
        ("percentile:0", "above 0 and up to 100"), ("percentile:nan", "above 0 and up to 100"),
        ("mse:3", "only the method percentile"),
    ],
)  # fmt: skip
def test_other_names_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        RangeMethod.parse(text)


def test_input_scale_by_each_method() -> None:
    seen, rng = MatrixStatistics(), np.random.default_rng(0)
    x = rng.permutation(np.arange(-1000, 1000).astype(np.float32)).reshape(200, 10)
    seen.add(x, rng)
    assert seen.input_scale(8, RangeMethod.parse("minmax")) == 1000.0
    half = seen.input_scale(8, RangeMethod.parse("percentile:50"))
    assert half == pytest.approx(500, abs=1)
    assert half < seen.input_scale(8, RangeMethod.parse("mse")) <= 1000.0
    sparse = MatrixStatistics()
    sparse.add(np.eye(100, dtype=np.float32), rng)
    # half of the inputs are 0: a full scale of 0 would lose all others
    assert sparse.input_scale(8, RangeMethod.parse("percentile:50")) == 1.0


def test_nothing_clips_under_minmax_with_pulses(serial: MemcapTarget) -> None:
    rng = np.random.default_rng(1)
    codes = rng.integers(-127, 128, (1, 24, 6)).astype(np.int8)
    tiles, scale = tile_grid(codes.shape, 24, 6), np.ones((1, 6), np.float32)
    x = rng.integers(-127, 128, (1, 30, 24)).astype(np.float32)
    (found,) = observed_adc_range(codes, scale, tiles, serial, x, 127.0, percentile=100.0)
    levels = split_slices(codes, serial)[:, 0]
    largest = np.zeros(serial.slices)
    for bit in range(7):
        pulse = ((np.abs(x[0]).astype(int) >> bit) & 1) * np.sign(x[0])
        largest = np.maximum(largest, np.abs(pulse @ levels).max(axis=(1, 2)))
    norms = np.sqrt(np.square(levels).sum(axis=1)).max(axis=1)
    assert found == pytest.approx((largest / (norms / norms.max())).max(), rel=1e-5)


def test_pulses_fill_more_of_a_range_than_amplitudes(serial: MemcapTarget) -> None:
    """A pulse of the low bits is there half of the time, whatever the inputs' mean square."""
    demo = load_target("memcap-demo")
    assert isinstance(demo, MemcapTarget)
    rng = np.random.default_rng(2)
    codes = rng.integers(-127, 128, (1, 128, 4)).astype(np.int8)
    tiles, scale = tile_grid(codes.shape, 128, 4), np.ones((1, 4), np.float32)
    pulses = default_adc_range(codes, scale, tiles, serial)
    np.testing.assert_allclose(pulses, default_adc_range(codes, scale, tiles, demo, PULSE_RMS))
    np.testing.assert_array_equal(pulses, default_adc_range(codes, scale, tiles, serial, 0.01))
    x = np.array([[[3.0, -4.0], [0.0, 0.0]]], np.float32)
    assert normalised_rms(x, 5.0) == pytest.approx(0.5)
    assert normalised_rms(x, None) == pytest.approx(np.sqrt((9 / 16 + 1) / 4))


def test_fewer_bits_take_a_narrower_range() -> None:
    """Rounding costs more, so more is clipped: the range of least error shrinks with the bits."""
    demo = load_target("memcap-demo")
    assert isinstance(demo, MemcapTarget)
    rng = np.random.default_rng(3)
    codes = rng.integers(-127, 128, (1, 128, 16)).astype(np.int8)
    tiles, scale = tile_grid(codes.shape, 128, 16), np.ones((1, 16), np.float32)
    x = rng.standard_normal((1, 200, 128)).astype(np.float32)
    wide, narrow = (
        observed_adc_range(codes, scale, tiles, demo, x, 4.0, adc_bits=bits) for bits in (10, 3)
    )
    assert narrow < wide
