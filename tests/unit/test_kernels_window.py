"""Windows and contractions against ONNX Runtime's convolutions and pools."""

import numpy as np
import pytest

from semc.errors import ProgramError

# name: spatial, kernel, strides, dilations, low, high, groups, in channels, out channels
CONVOLUTIONS = {
    "1d": ((17,), (3,), (2,), (1,), (1,), (1,), 1, 4, 5),
    "1d-long": ((90,), (31,), (2,), (2,), (4,), (0,), 1, 2, 3),
    "2d": ((9, 8), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1, 3, 4),
    "2d-odd": ((10, 13), (3, 2), (2, 3), (2, 1), (0, 1), (2, 0), 1, 3, 4),
    "2d-point": ((5, 6), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0), 1, 8, 4),
    "2d-point-stride": ((5, 6), (1, 1), (2, 2), (1, 1), (0, 0), (0, 0), 1, 8, 4),
    "2d-grouped": ((7, 7), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 2, 6, 4),
    "2d-grouped-long": ((9, 12), (3, 6), (1, 2), (1, 1), (1, 1), (1, 1), 2, 6, 4),
    "depthwise": ((8, 8), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 6, 6, 6),
    "depthwise-double": ((8, 9), (5, 3), (2, 1), (1, 2), (2, 2), (2, 2), 4, 4, 8),
    "3d": ((5, 6, 7), (2, 3, 3), (1, 2, 1), (1, 1, 2), (0, 1, 1), (1, 1, 2), 1, 2, 3),
}


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution_by_columns_and_directly(kernel, ort, rng, case):
    spatial, k, strides, dilations, low, high, groups, channels, filters = case
    x = rng.normal(size=(2, channels, *spatial)).astype(np.float32)
    w = rng.normal(size=(filters, channels // groups, *k)).astype(np.float32)
    expected = ort(
        "Conv", x, w, strides=strides, dilations=dilations, pads=low + high, group=groups
    )
    geometry = {
        "kernel": k, "strides": strides, "dilations": dilations, "low": low, "high": high,
        "groups": groups,
    }  # fmt: skip
    rows = 2 * int(np.prod(expected.shape[2:]))
    columns = channels // groups * int(np.prod(k))
    shape = (rows, columns) if groups == 1 else (groups, rows, columns)
    col = kernel("window", [x], shape, x.dtype, kind="im2col", **geometry)
    flat = w.reshape(groups, filters // groups, columns).transpose(0, 2, 1)
    right = flat[0] if groups == 1 else flat
    product = kernel("contract", [col, right], (*shape[:-1], filters // groups), x.dtype)
    by_columns = product.reshape(groups, 2, -1, filters // groups).transpose(1, 0, 3, 2)
    np.testing.assert_allclose(by_columns.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    direct = kernel("window", [x, w], expected.shape, x.dtype, kind="dot", **geometry)
    np.testing.assert_allclose(direct, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize(
    ("spatial", "k", "strides", "dilations", "low", "high"),
    [
        ((11,), (3,), (2,), (1,), (1,), (0,)),
        ((9, 10), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
        ((9, 10), (2, 3), (2, 3), (2, 1), (0, 1), (1, 0)),
        ((7, 7), (7, 7), (1, 1), (1, 1), (0, 0), (0, 0)),
        ((6, 7, 8), (3, 2, 3), (2, 2, 3), (1, 1, 1), (1, 0, 1), (1, 1, 0)),
    ],
)
def test_pools(kernel, ort, rng, spatial, k, strides, dilations, low, high, ceil_mode):
    x = rng.normal(size=(2, 3, *spatial)).astype(np.float32)
    geometry = {"kernel": k, "strides": strides, "dilations": dilations, "low": low, "high": high}
    common = {
        "kernel_shape": k, "strides": strides, "dilations": dilations, "pads": low + high,
        "ceil_mode": ceil_mode,
    }  # fmt: skip
    expected = ort("MaxPool", x, **common)
    out = kernel("window", [x], expected.shape, x.dtype, kind="max", **geometry)
    np.testing.assert_array_equal(out, expected)
    for include in (0, 1):
        expected = ort("AveragePool", x, count_include_pad=include, **common)
        out = kernel(
            "window", [x], expected.shape, x.dtype, kind="mean", count_include_pad=bool(include),
            **geometry,
        )  # fmt: skip
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float64])
def test_max_pool_of_other_types(kernel, ort, rng, dtype):
    x = rng.integers(0, 120, (1, 2, 6, 6)).astype(dtype)
    expected = ort("MaxPool", x, kernel_shape=(3, 3), pads=(1, 1, 1, 1))
    geometry = {"kernel": (3, 3), "strides": (1, 1), "dilations": (1, 1), "low": (1, 1)}
    out = kernel("window", [x], (1, 2, 6, 6), dtype, kind="max", high=(1, 1), **geometry)
    np.testing.assert_array_equal(out, expected)


def test_windows_in_padding_only(kernel):
    x = np.ones((1, 1, 2), np.float32)
    geometry = {"kernel": (1,), "strides": (1,), "dilations": (1,), "low": (2,), "high": (1,)}
    highest = kernel("window", [x], (1, 1, 5), x.dtype, kind="max", **geometry)
    np.testing.assert_array_equal(highest[0, 0], [-np.inf, -np.inf, 1, 1, -np.inf])
    average = kernel("window", [x], (1, 1, 5), x.dtype, kind="mean", **geometry)
    np.testing.assert_array_equal(average[0, 0], [0, 0, 1, 1, 0])


def test_negative_padding_crops(kernel, rng):
    x = rng.normal(size=(1, 2, 8)).astype(np.float32)
    inner = np.ascontiguousarray(x[..., 2:7])
    for kind in ("max", "mean"):
        geometry = {"kernel": (3,), "strides": (2,), "dilations": (1,), "kind": kind}
        cropped = kernel("window", [x], (1, 2, 2), x.dtype, low=(-2,), high=(-1,), **geometry)
        plain = kernel("window", [inner], (1, 2, 2), x.dtype, low=(0,), high=(0,), **geometry)
        np.testing.assert_array_equal(cropped, plain)
    geometry = {"kernel": (3,), "strides": (2,), "dilations": (1,), "kind": "im2col"}
    cropped = kernel("window", [x], (2, 6), x.dtype, low=(-2,), high=(-1,), **geometry)
    plain = kernel("window", [inner], (2, 6), x.dtype, low=(0,), high=(0,), **geometry)
    np.testing.assert_array_equal(cropped, plain)


def test_integer_direct_convolution(kernel, ort, rng):
    x = rng.integers(-128, 128, (1, 4, 6, 6)).astype(np.int8)
    w = rng.integers(-128, 128, (4, 1, 3, 3)).astype(np.int8)
    geometry = {"kernel": (3, 3), "strides": (1, 1), "dilations": (1, 1), "low": (1, 1)}
    out = kernel(
        "window", [x, w], (1, 4, 6, 6), np.int32, kind="dot", groups=4, high=(1, 1), **geometry
    )
    zeros = np.int8(0)
    expected = ort(
        "ConvInteger", x.view(np.uint8) ^ np.uint8(128), w, np.uint8(128), zeros, group=4,
        pads=(1, 1, 1, 1), out_dtypes=(np.int32,),
    )  # fmt: skip
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"strides": (0, 1)}, {"kernel": (0, 3)}, {"dilations": (1, -1)}, {"low": (1,)},
        {"groups": 0}, {"groups": 2}, {"kernel": (3,)}, {"kind": "sum"},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_windows_are_refused(kernel, change):
    x = np.zeros((1, 3, 5, 5), np.float32)
    attrs = {
        "kind": "max", "kernel": (3, 3), "strides": (1, 1), "dilations": (1, 1), "low": (0, 0),
        "high": (0, 0),
    }  # fmt: skip
    with pytest.raises(ProgramError):
        kernel("window", [x], (1, 3, 3, 3), x.dtype, **(attrs | change))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((4, 5), (5, 6)), ((2, 3, 4, 5), (5, 6)), ((2, 1, 4, 5), (3, 5, 6)), ((4, 0), (0, 3)),
        ((3, 4, 5), (1, 5, 6)), ((0, 4, 5), (5, 6)), ((2, 4, 5), (5, 0)), ((4, 5), (2, 5, 6)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_contract(kernel, rng, a, b, dtype):
    x, y = (rng.integers(-9, 9, s).astype(dtype) for s in (a, b))
    expected = np.matmul(x, y)
    np.testing.assert_array_equal(kernel("contract", [x, y], expected.shape, dtype), expected)


def test_integer_contract_is_exact_and_wraps(kernel, rng):
    for high in (2**6, 2**20, 2**30):
        x, y = rng.integers(-high, high, (2, 30, 30))
        exact = np.matmul(x.astype(object), y.astype(object))
        wrapped = (exact % 2**32).astype(np.uint32).view(np.int32)
        narrow = kernel("contract", [x.astype(np.int32), y.astype(np.int32)], (30, 30), np.int32)
        np.testing.assert_array_equal(narrow, wrapped)
        out = kernel("contract", [x, y], (30, 30), np.int64)
        np.testing.assert_array_equal(out, np.matmul(x, y))


def test_half_precision_contract_accumulates_in_float32(kernel):
    x = np.full((1, 5000), 1.0, np.float16)
    out = kernel("contract", [x, x.T.copy()], (1, 1), np.float16)
    assert out[0, 0] == np.float16(5000)


def test_contract_refuses_vectors_and_mismatch(kernel):
    x = np.zeros((3, 4), np.float32)
    for a, b, shape in ((x[0], x.T, (3,)), (x, x, (3, 4)), (x, x.T, (3, 4))):
        with pytest.raises(ProgramError):
            kernel("contract", [a, b], shape, np.float32)


@pytest.mark.parametrize("name", ["1d", "2d-odd", "2d-grouped", "3d"])
def test_channels_last_is_the_same_in_another_order(kernel, rng, name):
    spatial, k, strides, dilations, low, high, groups, channels, filters = CONVOLUTIONS[name]
    x = rng.normal(size=(2, channels, *spatial)).astype(np.float32)
    w = rng.normal(size=(filters, channels // groups, *k)).astype(np.float32)
    geometry = {
        "kernel": k, "strides": strides, "dilations": dilations, "low": low, "high": high,
        "groups": groups,
    }  # fmt: skip
    moved = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    sizes = [
        (n + lo + hi - d * (m - 1) - 1) // s + 1
        for n, m, s, d, lo, hi in zip(spatial, k, strides, dilations, low, high, strict=True)
    ]
    rows, columns = 2 * int(np.prod(sizes)), channels // groups * int(np.prod(k))
    shape = (rows, columns) if groups == 1 else (groups, rows, columns)
    for kind, ins, first, last in (
        ("im2col", [], shape, shape),
        ("max", [], (2, channels, *sizes), (2, *sizes, channels)),
        ("dot", [w], (2, filters, *sizes), (2, *sizes, filters)),
    ):
        want = kernel("window", [x, *ins], first, x.dtype, kind=kind, **geometry)
        more = {"kind": kind, "channels_last": True, **geometry}
        found = kernel("window", [moved, *ins], last, x.dtype, **more)
        if kind != "im2col":
            want = np.moveaxis(want, 1, -1)
        np.testing.assert_array_equal(found, want)
