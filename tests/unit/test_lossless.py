"""Proofs that converters lose nothing, and what follows from them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.backends.targets import MemcapTarget, load_target, target_from_dict, target_to_dict
from semc.backends.targets.lossless import units_per_step
from semc.backends.targets.slicing import (
    covering_range,
    full_scale,
    lossless_tiles,
    split_slices,
    tile_levels,
)
from semc.compiler.passes.cut_tiles import tile_grid
from semc.runtime.execute.crossbar import prepare_matrix, run_matrix


def machine(coding: str, adc_bits: int = 8, input_bits: int = 8) -> MemcapTarget:
    """The demo chip with another way of driving rows and other resolutions."""
    data = target_to_dict(load_target("memcap-demo"))
    data["numerics"] |= {"input_coding": coding, "input_bits": input_bits}
    data["adc"]["bits"] = adc_bits
    target = target_from_dict(data, "changed")
    assert isinstance(target, MemcapTarget)
    return target


def cover(codes: np.ndarray, tiles: np.ndarray, target: MemcapTarget) -> np.ndarray:
    """Ranges that take in every tile's worst case."""
    ranges = np.ones(len(tiles), np.float32)
    for index, levels in tile_levels(codes, tiles, target):
        ranges[index] = covering_range(levels)
    return ranges


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["amplitude", "bit-serial"]),
    st.integers(4, 12),
    st.integers(2, 8),
    st.integers(1, 40),
    st.integers(0, 127),
    st.integers(0, 2**32 - 1),
)
def test_proven_tiles_compute_the_integer_product(
    coding: str, adc_bits: int, input_bits: int, rows: int, top: int, seed: int
) -> None:
    target = machine(coding, adc_bits, input_bits)
    rng = np.random.default_rng(seed)
    codes = rng.integers(-top, top + 1, (1, rows, 5)).astype(np.int8)
    tiles = tile_grid(codes.shape, 16, 2)
    ranges = cover(codes, tiles, target)
    proven = lossless_tiles(codes, tiles, ranges, target)
    limit = 2 ** (input_bits - 1) - 1
    # the extremes among others: all rows at full code with the signs of a column
    x = rng.integers(-limit, limit + 1, (1, 20, rows)).astype(np.float32)
    x[0, :5] = limit * np.where(codes[0].T < 0, -1, 1)
    sites, scale = np.zeros((1, 3), np.int32), np.ones((1, 5), np.float32)
    for number in np.flatnonzero(proven):
        part = tiles[number : number + 1]
        prepared = prepare_matrix(
            codes, scale, part, sites, target, "quantized", 0, ranges[number : number + 1],
            partial=True,
        )  # fmt: skip
        found = run_matrix(prepared, x, np.float32(limit))
        _, row0, count, col0, cols = part[0]
        wide = codes[0, row0 : row0 + count, col0 : col0 + cols].astype(np.int64)
        exact = x[0, :, row0 : row0 + count].astype(np.int64) @ wide
        part_of = found[0, :, col0 : col0 + cols]
        np.testing.assert_array_equal(np.rint(part_of), exact)
        np.testing.assert_allclose(part_of, exact, rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("coding", ["amplitude", "bit-serial"])
def test_a_tile_just_over_the_limit_is_not_proven(coding: str) -> None:
    # one bit of input: a row's code is -1, 0 or 1 in both codings
    target = machine(coding, adc_bits=6, input_bits=2)
    tiles = np.array([[0, 0, 32, 0, 1]], np.int32)
    codes = np.zeros((1, 32, 1), np.int8)
    codes[0, :31] = 8  # one unit of the low slice: sums of up to 31 units, and 31 = 2^5 - 1 codes
    assert lossless_tiles(codes, tiles, cover(codes, tiles, target), target).all()
    codes[0, 31] = 8
    assert not lossless_tiles(codes, tiles, cover(codes, tiles, target), target).any()
    assert lossless_tiles(codes, tiles, cover(codes, tiles, target), target, adc_bits=7).all()


def test_a_narrow_range_is_not_proven() -> None:
    target = machine("amplitude", adc_bits=8, input_bits=4)
    codes = np.full((1, 4, 2), 8, np.int8)
    tiles = tile_grid(codes.shape, 4, 2)
    wide = cover(codes, tiles, target)
    assert lossless_tiles(codes, tiles, wide, target).all()
    assert lossless_tiles(codes, tiles, np.full(1, np.inf, np.float32), target).all()
    assert not lossless_tiles(codes, tiles, wide * np.float32(0.9), target).any()


def test_the_step_divides_the_unit_of_all_sums() -> None:
    target = machine("bit-serial", adc_bits=8)
    codes = np.array([[[16], [-32], [48]]], np.int8)
    levels = split_slices(codes, target)
    # high slice: levels 2, -4, 6 of unit 2, worst sum 12 = 6 units, 127 // 6 steps a unit
    np.testing.assert_array_equal(units_per_step(levels, target), [[1], [21]])
    scale = full_scale(np.full(1, 1e30, np.float32), levels, target)
    assert scale[1, 0] * 2.0**-7 == pytest.approx(2 / 21)


def test_one_integer_product_replaces_slices_and_pulses() -> None:
    """Proven tiles run as whole codes and agree with the loop over slices and pulses, which wider
    converters that nobody proved still run; the others stay as they are."""
    target = machine("bit-serial", adc_bits=12)
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (1, 200, 40)).astype(np.int8)
    tiles = tile_grid(codes.shape, 128, 32)
    ranges = cover(codes, tiles, target)
    sites, scale = np.zeros((len(tiles), 3), np.int32), np.full((1, 40), 0.01, np.float32)
    x = rng.standard_normal((1, 9, 200)).astype(np.float32)
    proven = prepare_matrix(codes, scale, tiles, sites, target, "quantized", 0, ranges)
    assert all(band.integer for band in proven.bands)
    narrow = ranges.copy()
    narrow[0] *= np.float32(0.99)
    mixed = prepare_matrix(codes, scale, tiles, sites, target, "quantized", 0, narrow)
    assert [band.integer for band in mixed.bands].count(False) == 1
    whole, part = run_matrix(proven, x), run_matrix(mixed, x)
    step = 2 * ranges[0] / 2**12
    assert np.abs(whole - part).max() < 10 * step
    limit = 127
    top = np.abs(x).max(axis=2, keepdims=True)
    exact = np.rint(x / top * limit) @ codes.astype(np.float64) * 0.01 * top / limit
    np.testing.assert_allclose(whole, exact, rtol=1e-5, atol=1e-4)
