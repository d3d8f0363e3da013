"""OpenPAL against an oracle in decimal and rational arithmetic, on arbitrary tensors.

The oracle is written from the definition (docs/pal.md) and shares no code with the package: the
levels are 40-digit decimals, the datapath's sums are Python integers.
"""

from decimal import Context, Decimal
from fractions import Fraction
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import semc.pal as pal

CONTEXT = Context(prec=40)
formats = st.sampled_from(sorted(pal.FORMATS))
narrow_grids = st.sampled_from(sorted(set(pal.FORMATS) - {"pal16"}))


@cache
def power(numerator: int, grid_bits: int) -> Decimal:
    """2^(numerator / 2^grid_bits) to 40 digits."""
    return CONTEXT.power(Decimal(2), CONTEXT.divide(Decimal(numerator), Decimal(1 << grid_bits)))


@st.composite
def tensors(draw: st.DrawFn, rows: int = 2, longest: int = 70) -> np.ndarray:
    """A float32 matrix: hand-picked numbers, or noise over a chosen range of magnitudes."""
    length = draw(st.integers(1, longest))
    if draw(st.booleans()):
        # Beyond 2^100 float32 itself overflows, under 2^-100 it has fewer bits: not PAL's matter.
        number = st.floats(-(2.0**100), 2.0**100, width=32).map(
            lambda v: v if v == 0 or abs(v) > 2.0**-100 else 0.0
        )
        values = draw(st.lists(number, min_size=length * rows, max_size=length * rows))
        return np.array(values, np.float32).reshape(rows, length)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0.0, 1.0, 4.0, 20.0]))
    noise = rng.standard_normal((rows, length))
    return (noise * np.exp2(rng.standard_normal((rows, length)) * spread)).astype(np.float32)


def block_of(a: pal.PalArray, row: int, column: int) -> int:
    return int(a.exponents[row, column // a.spec.block])


def value_of(a: pal.PalArray, row: int, column: int) -> Decimal:
    """The value of one element by the definition."""
    code = int(a.unpacked()[row].reshape(-1)[column])
    spec = a.spec
    negative, magnitude = divmod(code, 1 << (spec.bits - 1))
    if magnitude == 0:
        return Decimal(0)
    scale = (a.tensor_exponent - block_of(a, row, column)) << (spec.grid_bits - 4)
    level = power(scale - spec.depths[len(spec.depths) - magnitude], spec.grid_bits)
    return -level if negative else level


@settings(max_examples=40, deadline=None)
@given(tensors(), formats)
def test_decoding_rounds_the_defined_value_once(x: np.ndarray, name: str) -> None:
    a = pal.encode(x, name, search=1)
    exact = [[value_of(a, r, c) for c in range(x.shape[1])] for r in range(x.shape[0])]
    np.testing.assert_array_equal(a.decode(np.float64), np.array(exact, dtype=np.float64))
    np.testing.assert_array_equal(a.decode(), np.array(exact, dtype=np.float64).astype(np.float32))


@settings(max_examples=40, deadline=None)
@given(tensors(), formats)
def test_ceiling_scale_is_the_smallest_that_holds_the_block(x: np.ndarray, name: str) -> None:
    a = pal.encode(x, name, search=0)
    scales = []
    for row in range(x.shape[0]):
        for n in range(a.exponents.shape[1]):
            part = np.abs(x[row, n * a.spec.block : (n + 1) * a.spec.block])
            top = Decimal(float(part.max()))
            scale = a.tensor_exponent - int(a.exponents[row, n])
            if top == 0:
                assert a.exponents[row, n] == 254
            else:
                # float64 holds 2^(scale/16) to 17 digits only
                assert top <= power(scale, 4) * (1 + Decimal("1e-15"))
                if a.exponents[row, n] < 254:
                    assert top > power(scale - 1, 4) * (1 - Decimal("1e-15"))
                scales.append(scale)
    assert not scales or max(scales) == a.tensor_exponent


@settings(max_examples=40, deadline=None)
@given(tensors(longest=40), narrow_grids)
def test_codes_are_the_nearest_levels(x: np.ndarray, name: str) -> None:
    a = pal.encode(x, name, search=0)
    spec = a.spec
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            scale = (a.tensor_exponent - block_of(a, row, column)) << (spec.grid_bits - 4)
            levels = [Decimal(0)] + [power(scale - d, spec.grid_bits) for d in spec.depths]
            magnitude = abs(Decimal(float(x[row, column])))
            least = min(abs(level - magnitude) for level in levels)
            got = value_of(a, row, column)
            assert abs(abs(got) - magnitude) <= least + magnitude * Decimal("1e-15")
            assert got == 0 or (got < 0) == (x[row, column] < 0)


@settings(max_examples=25, deadline=None)
@given(tensors(rows=1, longest=32), narrow_grids, st.integers(1, 3))
def test_the_search_finds_the_best_of_its_scales(x: np.ndarray, name: str, search: int) -> None:
    block = pal.FORMATS[name].block
    x = x[:, :block]
    if not x.any():
        return
    exact = x.astype(np.float64)
    got = ((pal.encode(x, name, search=search).decode(np.float64) - exact) ** 2).sum()
    # Every scale in reach, by encoding under a maximum that is exactly that scale.
    nearest = round(float(np.log2(np.abs(exact).max())) * 16)
    levels = np.array([float(power(-d, pal.FORMATS[name].grid_bits)) for d in
                       (*pal.FORMATS[name].depths,)] + [0.0])  # fmt: skip
    for scale in range(nearest - search + 1, nearest + search):
        grid = levels * float(power(scale, 4))
        error = (np.abs(grid[:, None] - np.abs(exact)).min(axis=0) ** 2).sum()
        assert got <= error * (1 + 1e-9)


def exact_dot(a: pal.PalArray, b: pal.PalArray) -> Fraction:
    """The dot product of row 0 of two tensors by the definition, in Python integers."""
    grid = max(a.spec.grid_bits, b.spec.grid_bits)
    block = min(a.spec.block, b.spec.block)
    table_bits = max(a.spec.table_bits, b.spec.table_bits)
    guard_bits = max(a.spec.guard_bits, b.spec.guard_bits)
    codes = [t.unpacked()[0].reshape(-1).tolist() for t in (a, b)]
    total = Fraction(0)
    for start in range(0, a.shape[1], block):
        scale = sum((t.tensor_exponent - block_of(t, 0, start)) << (grid - 4) for t in (a, b))
        exponent, fraction = divmod(scale, 1 << grid)
        block_sum = 0
        for i in range(start, min(start + block, a.shape[1])):
            sign, depth = 1, 0
            for t, code in zip((a, b), (codes[0][i], codes[1][i]), strict=True):
                negative, magnitude = divmod(code, 1 << (t.spec.bits - 1))
                sign = 0 if magnitude == 0 else -sign if negative else sign
                depth += t.spec.depths[len(t.spec.depths) - magnitude] << (
                    grid - t.spec.grid_bits
                ) if magnitude else 0  # fmt: skip
            whole, part = divmod(fraction - depth, 1 << grid)
            antilog = int((power(part, grid) * (1 << table_bits)).to_integral_value())
            block_sum += sign * ((antilog << guard_bits) >> -whole)
        total += block_sum * Fraction(2) ** (exponent - table_bits - guard_bits)
    return total


@settings(max_examples=60, deadline=None)
@given(tensors(), formats, formats)
def test_dots_are_the_integer_datapath(x: np.ndarray, first: str, second: str) -> None:
    a, b = pal.encode(x[:1], first, search=0), pal.encode(x[1:], second, search=0)
    assert pal.dot_exact(a, b)[0] == float(exact_dot(a, b))
    assert pal.dot_exact(b, a)[0] == pal.dot_exact(a, b)[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), formats, formats, st.integers(1, 40))
def test_no_order_of_the_sum_changes_a_bit(seed: int, first: str, second: str, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(blocks)
    x = rng.standard_normal((2, blocks, 32)) * np.exp2(rng.uniform(-15, 0, (2, blocks, 1)))
    sums = []
    for blocked in (x, x[:, order], x[:, :, ::-1]):
        flat = blocked.reshape(2, -1)
        # Blocks of 16 are shuffled inside; the scale is then the same if it is a block's ceiling.
        a = pal.encode(flat[0], first, search=0)
        b = pal.encode(flat[1], second, search=0)
        sums.append(float(pal.dot_exact(a, b)))
    assert sums[0] == sums[1] == sums[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), formats, formats, st.integers(1, 200))
def test_the_fast_product_is_within_its_bound(
    seed: int, first: str, second: str, inner: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_t(2, (5, inner)) * np.exp2(rng.uniform(-9, 9, (5, 1)))
    a = pal.encode(x, first, search=0)
    b = pal.encode(rng.standard_normal((inner, 4)), second, axis=0, search=0)
    difference = np.abs(pal.matmul(a, b) - pal.matmul_exact(a, b))
    assert (difference <= pal.matmul_bound(a, b)).all()


@settings(max_examples=60, deadline=None)
@given(tensors(), formats, st.integers(-20, 20), st.sampled_from([0, None]))
def test_signs_and_powers_of_two_pass_through(
    x: np.ndarray, name: str, octaves: int, search: int | None
) -> None:
    a = pal.encode(x, name, search=search)
    np.testing.assert_array_equal(pal.encode(-x, name, search=search).decode(), -a.decode() + 0.0)
    scaled = pal.encode(np.ldexp(x.astype(np.float64), octaves), name, search=search)
    assert np.array_equal(scaled.codes, a.codes)
    assert np.array_equal(scaled.exponents, a.exponents)
    assert scaled.tensor_exponent == a.tensor_exponent + (16 * octaves if x.any() else 0)


@settings(max_examples=60, deadline=None)
@given(tensors(rows=3), formats, st.data())
def test_a_part_is_the_part_of_the_whole(x: np.ndarray, name: str, data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, 1))
    a = pal.encode(x, name, axis=axis)
    length, block = x.shape[axis], a.spec.block
    first = data.draw(st.integers(0, (length - 1) // block))
    last = data.draw(st.integers(first, -(-length // block)))
    index = [slice(None), slice(None)]
    index[axis] = slice(first * block, min(last * block, length))
    other = data.draw(st.integers(-x.shape[1 - axis], x.shape[1 - axis] - 1) | st.just(slice(None)))
    index[1 - axis] = other
    part = a[tuple(index)]
    np.testing.assert_array_equal(part.decode(), a.decode()[tuple(index)])
    back = pal.PalArray.from_arrays(*part.to_arrays())
    np.testing.assert_array_equal(back.decode(), part.decode())
