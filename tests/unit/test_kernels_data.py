"""Movement, indexing, resampling, reductions and running sums against ONNX Runtime and numpy."""

import ml_dtypes
import numpy as np
import pytest

from semc.errors import ProgramError
from semc.runtime.execute.vector import RUNNERS, run_kernel


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_every_kernel_kind_but_host_runs_here():
    from semc.dialects.kernel import FIELDS, Kernel

    assert set(RUNNERS) == set(FIELDS) - {"host"}
    with pytest.raises(ProgramError, match="not 'host'"):
        run_kernel(Kernel("host", {"model": b""}), [], (), np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.bool_, np.int64, ml_dtypes.bfloat16])
def test_views(kernel, dtype):
    x = (np.arange(24) % 7).reshape(2, 3, 4).astype(dtype)

    def view(shape, offset, strides):
        return kernel("view", [x], shape, dtype, offset=offset, strides=strides)

    np.testing.assert_array_equal(view((4, 6), 0, (6, 1)), x.reshape(4, 6))
    np.testing.assert_array_equal(view((4, 2, 3), 0, (1, 12, 4)), x.transpose(2, 0, 1))
    np.testing.assert_array_equal(view((2, 3, 4), 23, (-12, -4, -1)), x[::-1, ::-1, ::-1])
    np.testing.assert_array_equal(view((2, 2), 23, (-12, -2)), x[::-1, 2, ::-2])
    np.testing.assert_array_equal(view((5, 4), 4, (0, 1)), np.broadcast_to(x[0, 1], (5, 4)))
    assert view((), 5, ()) == x[0, 1, 1]
    assert view((0, 4), 99, (10**30, 1)).size == 0
    np.testing.assert_array_equal(view((1, 2), 3, (10**30, 4)), x[0, :2, 3][None])


@pytest.mark.parametrize(
    ("shape", "offset", "strides"),
    [
        ((25,), 0, (1,)), ((2,), 23, (1,)), ((2,), 0, (-1,)), ((1,), 24, (0,)), ((1,), -1, (0,)),
        ((3, 3), 0, (12, 1)), ((2,), 0, (2**62,)), ((2, 2), 0, (2**64, -(2**64))),
        ((2,), 0, (1, 1)),
    ],
)  # fmt: skip
def test_views_outside_their_input_are_refused(kernel, shape, offset, strides):
    with pytest.raises(ProgramError, match="view"):
        kernel("view", [np.zeros((4, 6))], shape, np.float64, offset=offset, strides=strides)


def test_large_transposes_go_in_squares(kernel, rng):
    x = rng.normal(size=(2, 300, 270)).astype(np.float32)
    out = kernel("view", [x], (2, 270, 300), x.dtype, strides=(81000, 1, 270))
    np.testing.assert_array_equal(out, x.transpose(0, 2, 1))
    out = kernel("view", [x], (270, 2, 300), x.dtype, strides=(1, 81000, 270))
    np.testing.assert_array_equal(out, x.transpose(2, 0, 1))


def test_an_output_beyond_memory_is_an_error_of_the_program(kernel):
    with pytest.raises(ProgramError):
        kernel("view", [np.zeros(1)], (2**40, 2**20), np.float64, strides=(0, 0))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_pad_modes(kernel, ort, rng, mode):
    x = rng.normal(size=(3, 4, 5)).astype(np.float32)
    low, high = (1, 2, 0), (2, -1, 3)
    pads = np.array(low + high, np.int64)
    expected = ort("Pad", x, pads, *([np.float32(2.5)] if mode == "constant" else []), mode=mode)
    attrs = {"low": low, "high": high, "interior": (0, 0, 0), "value": 2.5}
    out = kernel("pad", [x], expected.shape, x.dtype, mode=mode, **attrs)
    np.testing.assert_array_equal(out, expected)


def test_pad_values_saturate(kernel):
    for dtype, lowest in ((np.int8, -128), (np.uint8, 0), (np.bool_, True), (np.float16, -np.inf)):
        x = np.zeros((1,), dtype)
        out = kernel(
            "pad", [x], (2,), dtype, low=(1,), high=(0,), interior=(0,), value=float("-inf")
        )
        assert out[0] == lowest
    x = np.zeros(1, np.int64)
    attrs = {"low": (1,), "high": (0,), "interior": (0,)}
    assert kernel("pad", [x], (2,), x.dtype, value=2**62 + 1, **attrs)[0] == 2**62 + 1


def test_pad_refuses_what_it_cannot_mean(kernel):
    x = np.zeros((2,), np.float32)
    plain = {"low": (1,), "high": (1,), "interior": (0,), "mode": "constant"}
    for change in (
        {"interior": (1,), "mode": "edge"}, {"interior": (-1,)}, {"low": (9,)}, {"low": (1, 1)},
        {"mode": "mirror"},
    ):  # fmt: skip
        with pytest.raises(ProgramError):
            kernel("pad", [x], (4,), x.dtype, **(plain | change))
    with pytest.raises(ProgramError, match="empty axis"):
        kernel("pad", [x[:0]], (2,), x.dtype, **(plain | {"mode": "wrap"}))


def test_concat(kernel, rng):
    a, b, c = (rng.normal(size=(2, n, 3)).astype(np.float32) for n in (1, 0, 4))
    out = kernel("concat", [a, b, c], (2, 5, 3), a.dtype, axis=1)
    np.testing.assert_array_equal(out, np.concatenate([a, b, c], 1))
    with pytest.raises(ProgramError):
        kernel("concat", [a, c], (2, 6, 3), a.dtype, axis=1)
    with pytest.raises(ProgramError):
        kernel("concat", [a, c], (2, 5, 3), a.dtype, axis=3)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_gather_along_an_axis(kernel, ort, rng, axis, dtype):
    x = rng.normal(size=(4, 5, 6)).astype(np.float32)
    indices = rng.integers(-4, 4, (2, 3)).astype(dtype)
    expected = ort("Gather", x, indices, axis=axis)
    out = kernel("gather", [x, indices], expected.shape, x.dtype, mode="axis", axis=axis)
    np.testing.assert_array_equal(out, expected)
    scalar = kernel("gather", [x, dtype(-1)], x[-1].shape, x.dtype, mode="axis")
    np.testing.assert_array_equal(scalar, x[-1])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gather_and_scatter_elements(kernel, ort, rng, axis):
    x = rng.normal(size=(4, 5, 6)).astype(np.float32)
    shape = [3, 4, 5]
    shape[axis] = 7 if axis != 1 else 3
    indices = rng.integers(-4, 4, shape)
    expected = ort("GatherElements", x, indices, axis=axis)
    out = kernel("gather", [x, indices], shape, x.dtype, mode="elements", axis=axis)
    np.testing.assert_array_equal(out, expected)
    unique = np.argsort(rng.random(x.shape), axis)
    updates = rng.normal(size=x.shape).astype(np.float32)
    for reduction in ("none", "add", "mul", "max", "min"):
        places = unique if reduction == "none" else rng.integers(-4, 4, x.shape)
        expected = ort("ScatterElements", x, places, updates, axis=axis, reduction=reduction)
        out = kernel(
            "scatter", [x, places, updates], x.shape, x.dtype, mode="elements", axis=axis,
            reduction=reduction,
        )  # fmt: skip
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("batch_dims", "depth"), [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1)])
def test_gather_nd(kernel, ort, rng, batch_dims, depth):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    indices = rng.integers(-2, 2, (*x.shape[:batch_dims], 5, depth))
    expected = ort("GatherND", x, indices, batch_dims=batch_dims)
    attrs = {"mode": "nd", "batch_dims": batch_dims}
    out = kernel("gather", [x, indices], expected.shape, x.dtype, **attrs)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter_nd(kernel, ort, rng, reduction):
    x = rng.normal(size=(4, 3, 5)).astype(np.float32)
    indices = np.array([[[0, 1]], [[-1, 2]], [[2, 0]]])
    if reduction != "none":
        indices[2] = indices[0]
    updates = rng.normal(size=(3, 1, 5)).astype(np.float32)
    expected = ort("ScatterND", x, indices, updates, reduction=reduction)
    attrs = {"mode": "nd", "reduction": reduction}
    out = kernel("scatter", [x, indices, updates], x.shape, x.dtype, **attrs)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


def test_half_precision_scatter_accumulates_in_float32(kernel):
    x, ones = np.zeros(1, np.float16), np.ones(4096, np.float16)
    attrs = {"mode": "elements", "reduction": "add"}
    out = kernel("scatter", [x, np.zeros(4096, np.int64), ones], (1,), x.dtype, **attrs)
    assert out[0] == 4096


def test_indices_outside_the_data_are_refused(kernel):
    x = np.zeros((3, 4), np.float32)
    for bad in (3, -4):
        index = np.array([[bad]])
        for mode, shape in (("axis", (1, 1, 4)), ("elements", (1, 1)), ("nd", (1, 4))):
            with pytest.raises(ProgramError, match=r"must be in -3\.\.2"):
                kernel("gather", [x, index], shape, x.dtype, mode=mode)
        for mode, updates in (("elements", x[:1, :1]), ("nd", x[:1])):
            with pytest.raises(ProgramError, match=r"must be in -3\.\.2"):
                kernel("scatter", [x, index, updates], x.shape, x.dtype, mode=mode)
    huge = np.array([2**64 - 5], np.uint64)
    with pytest.raises(ProgramError):
        kernel("gather", [x, huge], (1, 4), x.dtype, mode="axis")
    with pytest.raises(ProgramError, match="lie within data"):
        kernel("gather", [x, np.zeros((1, 5), int)], (1, 5), x.dtype, mode="elements")
    with pytest.raises(ProgramError, match="lie within data"):
        kernel("gather", [x, np.zeros((1, 3), int)], (1,), x.dtype, mode="nd")
    with pytest.raises(ProgramError, match="updates"):
        kernel("scatter", [x, np.zeros((1, 1), int), x], x.shape, x.dtype, mode="elements")
    with pytest.raises(ProgramError):
        kernel("gather", [x[:0], np.zeros(1, int)], (1, 4), x.dtype, mode="axis")


def taps(n, out, mode, a=-0.75):
    """Resize tables (half-pixel) as a front end would make them: indices and weights [out,taps]."""
    x = (np.arange(out) + 0.5) * n / out - 0.5
    base = np.floor(x).astype(int)
    t = (x - base)[:, None]
    if mode == "linear":
        offsets, weights = np.array([0, 1]), np.concatenate([1 - t, t], 1)
    else:
        offsets = np.array([-1, 0, 1, 2])
        d = np.abs(t - offsets)
        near = (a + 2) * d**3 - (a + 3) * d**2 + 1
        far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
        weights = np.where(d <= 1, near, far)
    return np.clip(base[:, None] + offsets, 0, n - 1), weights.astype(np.float32)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("sizes", [(10, 14), (3, 9), (5, 7)])
def test_resize_by_taps(kernel, ort, rng, mode, sizes):
    x = rng.normal(size=(1, 2, 5, 7)).astype(np.float32)
    target = np.array([1, 2, *sizes], np.int64)
    expected = ort("Resize", x, None, None, target, mode=mode)
    rows = kernel("resample", [x, *taps(5, sizes[0], mode)], (1, 2, sizes[0], 7), x.dtype, axis=2)
    out = kernel("resample", [rows, *taps(7, sizes[1], mode)], expected.shape, x.dtype, axis=-1)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=2e-6)


def test_resample_of_one_tap_copies_any_type(kernel):
    x = np.array([[2**62 + 1, 7, -3]])
    indices, ones = np.array([[2], [0], [0]]), np.ones((3, 1), np.float32)
    out = kernel("resample", [x, indices, ones], (1, 3), x.dtype, axis=1)
    np.testing.assert_array_equal(out, x[:, [2, 0, 0]])


def test_resample_saturates_integers_and_ignores_empty_taps(kernel):
    x = np.array([250, 10, 4], np.uint8)
    indices = np.array([[0, 1], [2, 1], [0, 2]])
    weights = np.array([[1.5, -0.5], [1.0, -0.5], [0.5, 0.5]], np.float32)
    out = kernel("resample", [x, indices, weights], (3,), x.dtype, axis=0)
    np.testing.assert_array_equal(out, [255, 0, 127])
    y = np.array([1, np.inf], np.float32)
    weights = np.array([[1, 0]], np.float32)
    out = kernel("resample", [y, np.array([[0, 1]]), weights], (1,), y.dtype, axis=0)
    assert out[0] == 1
    with pytest.raises(ProgramError, match=r"taps must read 0\.\.1"):
        kernel("resample", [y, np.array([[0, 2]]), weights], (1,), y.dtype, axis=0)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
@pytest.mark.parametrize("axes", [(0,), (1, 2), (0, 2), (0, 1, 2), (-1,)])
@pytest.mark.parametrize("kind", ["sum", "mean", "max", "min", "prod"])
def test_reductions(kernel, ort, rng, kind, axes, dtype):
    x = rng.normal(size=(3, 4, 5)) if dtype == np.float32 else rng.integers(-3, 4, (3, 4, 5))
    x = x.astype(dtype)
    for keepdims in (True, False):
        name = f"Reduce{kind.capitalize()}"
        expected = ort(name, x, np.array(axes, np.int64), keepdims=int(keepdims))
        attrs = {"kind": kind, "axes": axes, "keepdims": keepdims}
        out = kernel("reduce", [x], expected.shape, dtype, **attrs)
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("select_last", [False, True])
@pytest.mark.parametrize("kind", ["argmax", "argmin"])
def test_arg_extremes(kernel, ort, rng, kind, select_last):
    x = rng.integers(0, 3, (4, 9)).astype(np.float32)
    for axis in (0, 1):
        onnx_name = {"argmax": "ArgMax", "argmin": "ArgMin"}[kind]
        last = int(select_last)
        options = {"axis": axis, "select_last_index": last, "out_dtypes": (np.int64,)}
        expected = ort(onnx_name, x, keepdims=0, **options)
        attrs = {"kind": kind, "axes": (axis,), "select_last": select_last}
        for typed in (x, x.astype(ml_dtypes.bfloat16), x.astype(np.int8)):
            out = kernel("reduce", [typed], expected.shape, np.int64, **attrs)
            np.testing.assert_array_equal(out, expected)


def test_reductions_of_nothing(kernel):
    x = np.zeros((2, 0), np.float32)
    for kind, value in (("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf)):
        out = kernel("reduce", [x], (2,), x.dtype, kind=kind, axes=(1,))
        np.testing.assert_array_equal(out, [value, value])
    assert np.isnan(kernel("reduce", [x], (2,), x.dtype, kind="mean", axes=(1,))).all()
    lowest = kernel("reduce", [x.astype(np.int8)], (2,), np.int8, kind="max", axes=(1,))
    np.testing.assert_array_equal(lowest, [-128, -128])
    for kind in ("argmax", "argmin"):
        with pytest.raises(ProgramError):
            kernel("reduce", [x], (2,), np.int64, kind=kind, axes=(1,))
    same = kernel("reduce", [x + 1], (2, 0), x.dtype, kind="sum", axes=())
    assert same.size == 0


def test_integers_wrap_and_means_truncate(kernel):
    x = np.array([[100, 100], [-3, 0]], np.int8)
    total = kernel("reduce", [x], (2,), x.dtype, kind="sum", axes=(1,))
    np.testing.assert_array_equal(total, [-56, -3])
    mean = kernel("reduce", [x], (2,), x.dtype, kind="mean", axes=(1,))
    np.testing.assert_array_equal(mean, [100, -1])


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_long_sums_lose_no_digits(kernel, rng, axes):
    x = rng.random((100_000, 3)).astype(np.float32)
    exact = x.astype(np.float64).sum(axis=axes)
    for kind, value in (("sum", exact), ("mean", x.astype(np.float64).mean(axis=axes))):
        out = kernel("reduce", [x], value.shape, x.dtype, kind=kind, axes=axes)
        np.testing.assert_allclose(out, value, rtol=1e-6)
    half = np.ones(5000, np.float16)
    assert kernel("reduce", [half], (), half.dtype, kind="sum", axes=(0,)) == np.float16(5000)


def test_axes_must_be_axes(kernel):
    x = np.zeros((2, 3), np.float32)
    for axes in ((2,), (-3,), (0, 0), (1, -1)):
        with pytest.raises(ProgramError, match="axes must be distinct"):
            kernel("reduce", [x], (2,), x.dtype, kind="sum", axes=axes)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_running_sums(kernel, ort, rng, axis, exclusive, reverse):
    x = rng.normal(size=(4, 5, 3)).astype(np.float32)
    flags = {"exclusive": int(exclusive), "reverse": int(reverse)}
    expected = ort("CumSum", x, np.array(axis, np.int64), **flags)
    attrs = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
    out = kernel("cumulate", [x], x.shape, x.dtype, kind="sum", **attrs)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    if not exclusive and not reverse:
        out = kernel("cumulate", [x], x.shape, x.dtype, kind="prod", **attrs)
        np.testing.assert_allclose(out, np.cumprod(x, axis), rtol=1e-6)


def test_running_sums_of_integers_wrap_and_of_nothing_are_empty(kernel):
    x = np.array([100, 100, 1], np.int8)
    out = kernel("cumulate", [x], (3,), x.dtype, kind="sum", axis=0)
    np.testing.assert_array_equal(out, [100, -56, -55])
    empty = kernel("cumulate", [x[:0]], (0,), x.dtype, kind="sum", axis=0, exclusive=True)
    assert empty.size == 0
