"""The OpenPAL format: tables, special values, storage, indexing, errors, and the old reference."""

import doctest
import importlib.util
import os
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import ml_dtypes
import numpy as np
import pytest

import semc.pal as pal
from semc.backends.pal.encode import block_scales
from semc.backends.pal.formats import antilog_table, power_of_grid
from semc.backends.pal.packing import pack_codes, unpack_codes
from semc.dialects.pal import PAL_BLOCKS, TASK_FORMATS
from semc.errors import InputError, ProgramError

ALL = list(pal.FORMATS)


def samples(shape: tuple[int, ...], seed: int = 0, tails: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_t(2, shape) if tails else rng.standard_normal(shape)


def sqnr_db(x: np.ndarray, y: np.ndarray) -> float:
    return float(10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()))


@pytest.mark.parametrize(
    ("name", "bits_per_value", "octaves", "digest"),
    [
        ("pal4", 4.5, 63 / 16, 0x5D77F918),
        ("pal4k32", 4.25, 63 / 16, 0x5D77F918),
        ("pal6", 6.25, 7, 0x3E5AF3F8),
        ("pal8", 8.25, 11, 0x691027EC),
        ("pal8lite", 8.25, 10, 0xFD4D994D),
        ("pal8k16", 8.5, 11, 0x691027EC),
        ("pal16", 16.25, 32766 / 1024, 0xB76758C5),
    ],
)
def test_the_tables_of_v0_never_change(
    name: str, bits_per_value: float, octaves: float, digest: int
) -> None:
    spec = pal.FORMATS[name]
    assert spec.bits_per_value == bits_per_value
    assert spec.octaves == octaves
    assert spec.top == spec.sign_bit - 1
    assert zlib.crc32(np.array(spec.depths, "<i4").tobytes()) == digest
    assert all(a < b for a, b in pairwise(spec.depths))


def test_the_antilog_table_is_the_rounded_power() -> None:
    table = antilog_table(6, 9)
    assert table[0] == 512
    assert table[32] == round(512 * 2**0.5)
    assert len(table) == 64


def test_the_dialect_knows_the_same_formats() -> None:
    assert {n: f.block for n, f in pal.FORMATS.items()} == PAL_BLOCKS
    assert set(TASK_FORMATS) == set(pal.FORMATS) | set(pal.FLOAT_FORMATS)


@pytest.mark.parametrize(
    ("name", "expected_db"),
    [
        ("pal4", 22.4),
        ("pal4k32", 21.3),
        ("pal6", 33.4),
        ("pal8", 45.1),
        ("pal8lite", 43.8),
        ("pal8k16", 46.0),
        ("pal16", 74.2),
        ("bf16", 55.6),
        ("fp16", 73.6),
    ],
)
def test_noise_on_gaussian_values_is_the_documented_one(name: str, expected_db: float) -> None:
    x = samples((32, 2048))
    assert sqnr_db(x, pal.quantize(x, name)) == pytest.approx(expected_db, abs=0.25)


@pytest.mark.parametrize("name", ALL)
def test_the_scale_search_never_loses(name: str) -> None:
    x = samples((16, 256), tails=True)
    searched, ceiling = pal.quantize(x, name, search=4), pal.quantize(x, name, search=0)
    assert ((x - searched) ** 2).sum() <= ((x - ceiling) ** 2).sum()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("search", [0, None])
def test_powers_of_two_are_exact(name: str, search: int | None) -> None:
    x = np.ldexp(np.ones((4, 32)), np.arange(4)[:, None])
    assert np.array_equal(pal.quantize(x, name, search=search), x)


def test_scales_round_to_nearest_or_up() -> None:
    steps = np.array([-0.6, -0.4, 0.4, 0.6, 15.6, 160.1])
    powers = np.exp2(steps / 16)
    assert block_scales(powers, nearest=True).tolist() == [-1, 0, 0, 1, 16, 160]
    assert block_scales(powers, nearest=False).tolist() == [0, 0, 1, 1, 16, 161]
    on_grid = power_of_grid(np.arange(-500, 500), 4)
    for nearest in (True, False):
        assert np.array_equal(block_scales(on_grid, nearest), np.arange(-500, 500))


def test_of_equally_good_scales_the_smaller_is_taken() -> None:
    # 1 is exact at scale 0 and, as the level of depth 8/64, at scale 2/16 too.
    a = pal.encode([1.0], "pal8")
    assert (a.tensor_exponent, a.exponents.tolist()) == (2, [2])


def test_midway_takes_the_larger_level() -> None:
    middle = (1 + float(power_of_grid(np.array([-6]), 4)[0])) / 2
    x = np.array([1.0, middle, np.nextafter(middle, 0)])
    assert pal.encode(x, "pal4", search=0).unpacked()[0, :3].tolist() == [7, 7, 6]


def test_one_nan_stays_one_nan_in_wide_formats() -> None:
    x = np.ones(64)
    x[3] = np.nan
    y = pal.quantize(x, "pal8")
    assert np.isnan(y[3])
    assert np.array_equal(np.delete(y, 3), np.ones(63))


@pytest.mark.parametrize("name", ["pal4", "pal6"])
def test_a_nan_takes_its_block_in_narrow_formats(name: str) -> None:
    block = pal.FORMATS[name].block
    x = np.ones(3 * block)
    x[block] = np.nan
    y = pal.quantize(x, name)
    assert np.isnan(y[block : 2 * block]).all()
    assert np.array_equal(y[:block], np.ones(block))
    assert np.array_equal(y[2 * block :], np.ones(block))


@pytest.mark.parametrize("name", ALL)
def test_infinity_saturates_in_its_block(name: str) -> None:
    x = np.ones(32)
    x[:2] = np.inf, -np.inf
    assert np.array_equal(pal.quantize(x, name, search=0), np.r_[1, -1, np.ones(30)])


def test_infinities_alone_take_the_greatest_scale() -> None:
    x = np.concatenate([np.full(32, 4.0), np.full(32, -np.inf), np.zeros(32)])
    assert pal.quantize(x, "pal8", search=0).tolist() == [4.0] * 32 + [-4.0] * 32 + [0.0] * 32
    assert pal.quantize([np.inf], "pal8").tolist() == [2.0**127]


def test_minus_zero_becomes_zero() -> None:
    y = pal.quantize(np.array([-0.0, 1.0, -1e-30]), "pal8")
    assert y.tolist() == [0.0, 1.0, 0.0]
    assert not np.signbit(y).any()


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 5), (2, 0, 3)])
def test_tensors_without_elements(shape: tuple[int, ...]) -> None:
    a = pal.encode(np.zeros(shape), "pal4", axis=0)
    assert a.shape == shape
    assert a.decode().shape == shape


def test_values_at_the_ends_of_the_float_range() -> None:
    big = np.finfo(np.float32).max
    assert pal.quantize(np.array([big], np.float32), "pal8", search=0)[0] == big
    for scale in (1e308, 1e-300, 5e-324):
        x = samples((4, 64)) if scale < 1 else np.clip(samples((4, 64)), -1, 1)
        got = pal.encode(x * scale, "pal16").decode(np.float64)
        assert np.isfinite(got).all()
        if scale > 1e-310:
            assert sqnr_db(x, got / scale) > 70


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("shape", "axis"), [((5, 70), 1), ((70, 5), 0), ((2, 33, 3), -2), ((7,), 0)]
)
def test_any_axis_and_padding(name: str, shape: tuple[int, ...], axis: int) -> None:
    x = samples(shape)
    a = pal.encode(x, name, axis=axis)
    assert a.shape == shape
    along = pal.quantize(np.moveaxis(x, axis, -1).copy(), name)
    assert np.array_equal(a.decode(), np.moveaxis(along, -1, axis))
    assert a.decode().flags.c_contiguous
    blocks = -(-shape[axis] // a.spec.block) * x.size // shape[axis]
    assert a.nbytes == blocks * (a.spec.block_bytes + 1)


def test_storage_takes_the_stated_bits() -> None:
    x = samples((64, 256))
    for name, spec in pal.FORMATS.items():
        assert pal.encode(x, name).nbytes * 8 == spec.bits_per_value * x.size


@pytest.mark.parametrize("bits", [4, 6, 8, 16])
def test_packing_is_reversible(bits: int) -> None:
    codes = np.random.default_rng(1).integers(0, 1 << bits, (3, 5, 32)).astype(np.uint16)
    packed = pack_codes(codes, bits)
    assert packed.dtype == np.uint8
    assert packed.shape == (3, 5, 32 * bits // 8)
    assert np.array_equal(unpack_codes(packed, bits), codes)


def test_packed_bytes_are_the_documented_ones() -> None:
    assert pack_codes(np.array([1, 2], np.uint8), 4).tolist() == [0x21]
    assert pack_codes(np.array([1, 2, 3, 4], np.uint8), 6).tolist() == [0x81, 0x30, 0x10]
    assert pack_codes(np.array([0x1234], np.uint16), 16).tolist() == [0x34, 0x12]


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.int8, np.int64, np.bool_])
def test_other_number_types_are_encoded_by_value(dtype: type) -> None:
    x = np.array([[1, 0, 1, 1]]).astype(dtype)
    assert np.array_equal(pal.quantize(x, "pal8"), x.astype(np.float32))


def test_float32_and_float64_give_the_same_codes() -> None:
    x = samples((8, 96)).astype(np.float32)
    for name in ALL:
        a, b = pal.encode(x, name), pal.encode(x.astype(np.float64), name)
        assert np.array_equal(a.codes, b.codes)
        assert np.array_equal(a.exponents, b.exponents)


def test_threads_do_not_change_a_bit() -> None:
    x = samples((96, 4096)).astype(np.float32)  # enough for several threads
    a = pal.encode(x, "pal8")
    top = int(np.abs(x).argmax()) // 4096
    parts = [pal.encode(np.stack([x[i], x[top]]), "pal8") for i in range(0, 96, 19)]
    for i, part in zip(range(0, 96, 19), parts, strict=True):
        assert np.array_equal(a.codes[i], part.codes[0])
        assert np.array_equal(a.decode()[i], part.decode()[0])


def test_numpy_sees_the_values() -> None:
    a = pal.encode(samples((4, 32)), "pal8")
    assert np.array_equal(np.asarray(a), a.decode())
    assert np.asarray(a, dtype=np.float64).dtype == np.float64
    assert np.array_equal(np.asarray(a, np.float16), a.decode().astype(np.float16))
    with pytest.raises(ValueError, match="decoding"):
        np.asarray(a, copy=False)


def test_parts_are_views_of_the_same_bytes() -> None:
    x = samples((6, 4, 128))
    a = pal.encode(x, "pal4", axis=1 + 1)
    whole = a.decode()
    for index in (
        2,
        (slice(1, 5, 2), 3),
        (..., slice(0, 2), slice(None)),
        (-1, slice(None, None, -1)),
    ):
        part = a[index]
        assert np.array_equal(part.decode(), whole[index])
        assert np.shares_memory(part.codes, a.codes)
    assert np.array_equal(a[..., 32:96].decode(), whole[..., 32:96])
    b = pal.encode(x, "pal8", axis=0)
    assert np.array_equal(b[:, 1, ::2].decode(), b.decode()[:, 1, ::2])
    assert b[:, 1].axis == 0


def test_parts_that_would_cut_a_block_are_refused() -> None:
    a = pal.encode(samples((4, 70)), "pal8")
    assert a[:, 32:].shape == (4, 38)
    for index in ((0, 3), (slice(None), slice(1, 33)), (slice(None), slice(0, 64, 2))):
        with pytest.raises(InputError, match="whole blocks"):
            a[index]
    with pytest.raises(InputError, match="indices"):
        a[0, 0, 0]
    with pytest.raises(InputError, match="integers and slices"):
        a[np.array([0, 1])]  # type: ignore[index]
    with pytest.raises(IndexError):
        a[9]


def test_transposes_share_the_bytes() -> None:
    a = pal.encode(samples((3, 5, 64)), "pal6")
    for axes in ((), (2, 0, 1), (0, -1, 1), (1, 0, 2)):
        turned = a.transpose(*axes)
        assert np.array_equal(turned.decode(), a.decode().transpose(axes or None))
        assert np.shares_memory(turned.codes, a.codes)
    assert a.T.shape == (64, 5, 3)
    with pytest.raises(InputError, match="order"):
        a.transpose(0, 0, 1)


@pytest.mark.parametrize("name", ALL)
def test_stored_arrays_come_back(name: str) -> None:
    a = pal.encode(samples((7, 50)), name, axis=0).T[::2]
    arrays, facts = a.to_arrays()
    assert {v.dtype for v in arrays.values()} == {np.dtype(np.uint8)}
    back = pal.PalArray.from_arrays(arrays, facts)
    assert (back.shape, back.axis, back.format) == (a.shape, a.axis, name)
    assert np.array_equal(back.decode(), a.decode())


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pal9"},
        {"axis": 2},
        {"axis": -1},
        {"axis": 0.5},
        {"shape": [4, 999]},
        {"shape": [-4, 64]},
        {"shape": 4},
        {"tensor_exponent": 1 << 40},
        {"tensor_exponent": None},
    ],
)
def test_altered_storage_is_refused(change: dict[str, object]) -> None:
    arrays, facts = pal.encode(samples((4, 64)), "pal8").to_arrays()
    with pytest.raises(ProgramError):
        pal.PalArray.from_arrays(arrays, facts | change)


def test_storage_of_the_wrong_type_is_refused() -> None:
    arrays, facts = pal.encode(samples((4, 64)), "pal8").to_arrays()
    with pytest.raises(ProgramError, match="codes"):
        pal.PalArray.from_arrays(arrays | {"codes": arrays["codes"].astype(np.int32)}, facts)
    with pytest.raises(ProgramError, match="incomplete"):
        pal.PalArray.from_arrays({"codes": arrays["codes"]}, facts)


def test_products_add_logarithms() -> None:
    a, b = pal.encode(samples((4, 64)), "pal8"), pal.encode(samples((4, 64), 1), "pal4")
    x, y, product = pal.logs(a), pal.logs(b), pal.multiply(a, b)
    assert product.grid_bits == 6
    both = ~(x.zero | y.zero)
    assert np.array_equal(product.log[both], (x.log + (y.log << 2))[both])
    exact = a.decode(np.float64) * b.decode(np.float64)
    np.testing.assert_allclose(product.decode(), exact, rtol=1e-15)
    np.testing.assert_allclose(pal.multiply(product, a).decode(), exact * a.decode(), rtol=1e-6)


def test_logarithms_are_the_values() -> None:
    x = samples((3, 40), tails=True)
    x[0, 1] = np.nan
    for name in ALL:
        a = pal.encode(x, name, axis=1)
        np.testing.assert_array_equal(pal.logs(a).decode(), a.decode(np.float64))


def test_matmul_takes_mixed_formats_axes_and_arrays() -> None:
    x, w = samples((5, 70)), samples((70, 6), 1)
    a, b = pal.encode(x, "pal8"), pal.encode(w, "pal4", axis=0)
    np.testing.assert_array_equal(pal.matmul(a, b), a.decode() @ b.decode())
    assert pal.matmul(a, b).dtype == np.float32
    last = pal.encode(w, "pal8", axis=-1)
    np.testing.assert_allclose(pal.matmul(a, last), a.decode() @ last.decode(), rtol=1e-5)
    np.testing.assert_allclose(pal.matmul(a, w), a.decode() @ w, rtol=1e-4)


def test_exact_matmul_broadcasts_and_agrees_with_single_dots() -> None:
    x, w = samples((2, 1, 3, 48)), samples((4, 48, 5), 1)
    a, b = pal.encode(x, "pal8"), pal.encode(w, "pal4", axis=1)
    got = pal.matmul_exact(a, b)
    assert got.shape == (2, 4, 3, 5)
    row, column = a[1, 0, 2], b[3, :, 4]
    assert pal.dot_exact(row, column) == got[1, 3, 2, 4]
    assert (np.abs(pal.matmul(a, b) - got) <= pal.matmul_bound(a, b)).all()


def test_exact_results_are_nan_where_an_operand_is() -> None:
    x, w = samples((3, 64)), samples((64, 2))
    x[1, 5] = np.nan
    w[7, 0] = np.nan
    for first, second in (("pal8", "pal4"), ("pal6", "pal16")):
        got = pal.matmul_exact(pal.encode(x, first), pal.encode(w, second, axis=0))
        assert np.isnan(got).tolist() == [[True, False], [True, True], [True, False]]


def test_exact_dot_of_nothing_is_zero() -> None:
    empty = pal.encode(np.zeros((2, 0)), "pal8")
    assert pal.dot_exact(empty, empty).tolist() == [0.0, 0.0]
    assert pal.matmul_exact(empty, empty.T).tolist() == [[0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pal.encode([1.0], "pal7"), "pal4, pal4k32, pal6"),
        (lambda: pal.encode(1.0, "pal8"), "axis"),
        (lambda: pal.encode([1.0], axis=1), "axis"),
        (lambda: pal.encode([1.0], search=-1), "search"),
        (lambda: pal.encode([1j]), "real numbers"),
        (lambda: pal.encode(["a"]), "real numbers"),
        (lambda: pal.encode([1.0]).decode(np.float16), "float32 or float64"),
        (lambda: pal.round_to([1.0], "fp8"), "fp32, bf16, fp16"),
        (lambda: pal.quantize([1.0], "fp8"), "pal4"),
        (lambda: pal.matmul(np.ones((2, 3)), np.ones((2, 3))), "K"),
        (lambda: pal.matmul_exact(pal.encode(np.ones((2, 3))), pal.encode(np.ones((2, 3)))), "K"),
        (
            lambda: pal.matmul_exact(pal.encode(np.ones((2, 2))), pal.encode(np.ones((2, 2)))),
            "axis",
        ),
        (lambda: pal.dot_exact(pal.encode([1.0]), pal.encode([1.0, 2.0])), "one shape"),
        (
            lambda: pal.dot_exact(pal.encode([1.0]), pal.encode([1.0]), table_bits=30),
            "table bits",
        ),
    ],
)
def test_what_cannot_be_done_is_said(call: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()  # type: ignore[operator]


def test_float_formats_round_to_nearest_even() -> None:
    x = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1e39, -1e39])
    assert pal.round_to(x, "bf16").tolist() == [1.0, 1 + 2.0**-6, np.inf, -np.inf]
    assert pal.round_to([1 + 2.0**-11, 70000.0], "fp16").tolist() == [1.0, np.inf]
    assert pal.round_to([0.1], "fp32")[0] == np.float32(0.1)


# ---------------------------------------------------------------- an older, slower reference
@pytest.fixture(scope="module")
def reference() -> ModuleType:
    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("SEMC_SHARED", root.parent / "shared")) / "pal" / "pal_ref.py"
    if not path.is_file():
        pytest.skip("pal_ref.py is not here: set SEMC_SHARED to the folder that holds pal/")
    spec = importlib.util.spec_from_file_location("pal_ref", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["pal_ref"] = module  # its dataclasses look themselves up there
    write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = write
    return module


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("search", [0, None])
def test_codes_are_those_of_the_reference(
    reference: ModuleType, name: str, search: int | None
) -> None:
    spec = reference.SPECS[name]
    assert pal.FORMATS[name].depths == tuple(spec.profiles[0][: spec.n])
    for x in (samples((16, 5 * 32)), samples((4, 1000), tails=True), special_values()):
        with np.errstate(invalid="ignore"):
            theirs = reference.encode(x, spec, search=search)
        ours = pal.encode(x, name, search=search)
        assert ours.tensor_exponent == theirs.T
        # Two scales can be equally good; then the codes may differ but not the values.
        differ = ours.exponents != theirs.e
        assert differ.mean() < 0.01
        assert np.array_equal(ours.unpacked()[~differ], theirs.codes[~differ])
        np.testing.assert_array_equal(ours.decode(), reference.decode(theirs, np.float32))


def special_values() -> np.ndarray:
    x = samples((4, 96))
    x[0, :40] = 0
    x[1, 3], x[1, 40], x[1, 41], x[2, 5] = np.nan, np.inf, -np.inf, -0.0
    x[3] *= 1e-9
    return x


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("pal8", "pal8"),
        ("pal8", "pal4"),
        ("pal4", "pal4k32"),
        ("pal16", "pal6"),
        ("pal6", "pal8lite"),
    ],
)
def test_exact_dots_are_those_of_the_reference(
    reference: ModuleType, first: str, second: str
) -> None:
    x, w = samples((6, 256), tails=True), samples((5, 256), 1)
    theirs = reference.align(
        reference.encode(x, reference.SPECS[first]), reference.encode(w, reference.SPECS[second])
    )
    bits = {
        "W": max(pal.FORMATS[n].table_bits for n in (first, second)),
        "G": max(pal.FORMATS[n].guard_bits for n in (first, second)),
    }
    expected = reference.gemm_exact_numpy(*theirs, **bits)
    got = pal.matmul_exact(pal.encode(x, first), pal.encode(w, second).T)
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=0)
    assert (got == expected).mean() > 0.9  # the reference rounds between blocks, in its order


def test_the_page_about_the_format_is_true() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "pal.md"
    failures, examples = doctest.testfile(str(page), module_relative=False)
    assert examples > 0
    assert failures == 0
