"""Laws of the data movement: views compose as numpy's do, padding and scattering as their loops."""

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.dialects.kernel import Body, Kernel, MicroOp
from semc.dialects.work import selection_exchanges
from semc.errors import ProgramError
from semc.runtime.execute.vector import run_kernel

MANY = settings(max_examples=150)


@st.composite
def chains(draw):
    """An array and a numpy view of it made by slicing, transposing, broadcasting, reshaping."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    x = np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
    v = x
    for kind in draw(st.lists(st.sampled_from("stbn"), max_size=4)):
        if kind == "s" and v.ndim:
            v = v[tuple(draw(st.slices(n)) for n in v.shape)]
        elif kind == "t":
            v = v.transpose(draw(st.permutations(range(v.ndim))))
        elif kind == "b" and v.ndim < 6:
            v = np.broadcast_to(v, (draw(st.integers(1, 3)), *v.shape))
        elif kind == "n" and v.ndim < 6:
            v = np.expand_dims(v, draw(st.integers(0, v.ndim)))
    return x, v


@MANY
@given(chains())
def test_a_view_is_what_numpy_makes(pair):
    x, v = pair
    start = v.__array_interface__["data"][0] - x.__array_interface__["data"][0]
    attrs = {"offset": start // x.itemsize, "strides": tuple(s // x.itemsize for s in v.strides)}
    out = run_kernel(Kernel("view", attrs), [x], v.shape, x.dtype)
    np.testing.assert_array_equal(out, v)


@MANY
@given(
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9)), max_size=3),
    st.integers(-3, 14),
)
def test_a_view_reads_its_input_or_is_refused(size, axes, offset):
    x = np.arange(size)
    shape, strides = tuple(n for n, _ in axes), tuple(s for _, s in axes)
    at = {
        i: offset + sum(a * b for a, b in zip(i, strides, strict=True))
        for i in product(*map(range, shape))
    }
    kernel = Kernel("view", {"offset": offset, "strides": strides})
    if all(0 <= position < size for position in at.values()):
        out = run_kernel(kernel, [x], shape, x.dtype)
        assert {i: out[i] for i in at} == at
    else:
        try:
            run_kernel(kernel, [x], shape, x.dtype)
        except ProgramError:
            return
        raise AssertionError("a view outside its input was read")


@MANY
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(-4, 4), st.integers(-4, 4), st.integers(0, 3)),
        min_size=1,
        max_size=3,
    )
)
def test_padding_places_every_element(axes):
    sizes, low, high, interior = (tuple(c) for c in zip(*axes, strict=True))
    shape = tuple(
        lo + hi + (n + (n - 1) * gap if n else 0)
        for n, lo, hi, gap in zip(sizes, low, high, interior, strict=True)
    )
    x = np.arange(1, 1 + int(np.prod(sizes)), dtype=np.int16).reshape(sizes)
    attrs = {"low": low, "high": high, "interior": interior, "mode": "constant", "value": -1.0}
    if min(shape) < 0:
        try:
            run_kernel(Kernel("pad", attrs), [x], shape, x.dtype)
        except ProgramError:
            return
        raise AssertionError("a negative size was accepted")
    expected = np.full(shape, -1, x.dtype)
    for i in product(*map(range, sizes)):
        at = tuple(lo + k * (gap + 1) for k, lo, gap in zip(i, low, interior, strict=True))
        if all(0 <= p < n for p, n in zip(at, shape, strict=True)):
            expected[at] = x[i]
    out = run_kernel(Kernel("pad", attrs), [x], shape, x.dtype)
    np.testing.assert_array_equal(out, expected)


@MANY
@given(
    st.integers(1, 6), st.integers(0, 9), st.integers(0, 9),
    st.sampled_from(["reflect", "edge", "wrap"]),
)  # fmt: skip
def test_repeating_pads_as_numpy(n, low, high, mode):
    x = np.arange(2 * n).reshape(2, n)
    attrs = {"low": (0, low), "high": (0, high), "interior": (0, 0), "mode": mode, "value": 0.0}
    out = run_kernel(Kernel("pad", attrs), [x], (2, low + n + high), x.dtype)
    np.testing.assert_array_equal(out, np.pad(x, ((0, 0), (low, high)), mode=mode))


REDUCE = {
    "none": lambda a, b: b, "add": lambda a, b: a + b, "mul": lambda a, b: a * b,
    "max": max, "min": min,
}  # fmt: skip


@MANY
@given(st.data())
def test_scatter_writes_in_order(data):
    shape = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    axis = data.draw(st.integers(-2, 1))
    small = tuple(data.draw(st.integers(0, 5 if i == axis % 2 else shape[i])) for i in range(2))
    count = small[0] * small[1]
    n = shape[axis]
    picks = data.draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count))
    values = data.draw(st.lists(st.integers(-5, 5), min_size=count, max_size=count))
    reduction = data.draw(st.sampled_from(sorted(REDUCE)))
    indices = np.array(picks, np.int64).reshape(small)
    updates = np.array(values, np.int64).reshape(small)
    x = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(shape)
    expected = x.copy()
    for i in product(*map(range, small)):
        at = list(i)
        at[axis] = indices[i]
        expected[tuple(at)] = REDUCE[reduction](expected[tuple(at)], updates[i])
    attrs = {"mode": "elements", "axis": axis, "reduction": reduction}
    out = run_kernel(Kernel("scatter", attrs), [x, indices, updates], shape, x.dtype)
    np.testing.assert_array_equal(out, expected)


@MANY
@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3),
    st.integers(-2, 4), st.integers(-2, 4), st.integers(0, 6),
    st.sampled_from(["max", "mean"]), st.booleans(),
)  # fmt: skip
def test_pools_count_only_existing_positions(n, k, s, d, low, high, out_n, kind, include):
    x = np.random.default_rng(n).normal(size=(1, 1, n))
    attrs = {
        "kind": kind, "kernel": (k,), "strides": (s,), "dilations": (d,), "low": (low,),
        "high": (high,), "groups": 1, "count_include_pad": include,
        "channels_last": False,
    }  # fmt: skip
    out = run_kernel(Kernel("window", attrs), [x], (1, 1, out_n), x.dtype)[0, 0]
    for o in range(out_n):
        padded = [o * s + j * d for j in range(k) if 0 <= o * s + j * d < low + n + high]
        values = [x[0, 0, p - low] for p in padded if 0 <= p - low < n]
        if kind == "max":
            expected = max(values, default=-np.inf)
        else:
            expected = sum(values) / max(1, len(padded) if include else len(values))
        np.testing.assert_allclose(out[o], expected, rtol=1e-12, atol=1e-12)


@MANY
@given(st.data())
def test_map_broadcasts_as_numpy(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=4)))
    arrays = []
    for seed in range(3):
        kept = shape[data.draw(st.integers(0, len(shape))) :]
        dims = tuple(n if data.draw(st.booleans()) else 1 for n in kept)
        arrays.append(np.random.default_rng(seed).normal(size=dims))
    ops = (
        MicroOp("addf", "f64", (0, 1)), MicroOp("mulf", "f64", (3, 2)),
        MicroOp("subf", "f64", (4, 3)), MicroOp("maximumf", "f64", (5, 1)),
    )  # fmt: skip
    body = Body(("f64",) * 3, ops, 6)
    out = run_kernel(Kernel("map", {"body": body}), arrays, shape, np.float64)
    a, b, c = arrays
    expected = np.maximum((a + b) * c - (a + b), b)
    np.testing.assert_array_equal(out, np.broadcast_to(expected, shape))


@MANY
@given(
    st.lists(st.sampled_from([-1.5, 0.0, -0.0, 2.0, np.inf, np.nan]), max_size=9),
    st.data(), st.booleans(),
)  # fmt: skip
def test_sorting_keeps_the_order_of_equals(values, data, descending):
    x = np.array([values], np.float32)
    count = data.draw(st.integers(0, len(values)))
    ranks = [np.nextafter(np.inf, 0) if v == np.inf else v for v in values]
    ranks = [np.inf if np.isnan(v) else v for v in ranks]
    expected = sorted(range(len(values)), key=lambda i: -ranks[i] if descending else ranks[i])
    kernel = Kernel("argsort", {"axis": 1, "count": count, "descending": descending})
    out = run_kernel(kernel, [x], (1, count), np.int64)
    np.testing.assert_array_equal(out, [expected[:count]])


@MANY
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=33), st.data())
def test_a_selection_network_takes_the_exchanges_counted(values, data):
    """Built by hand: bitonic runs, then pairs of runs halved until one is left."""
    count = data.draw(st.integers(1, len(values)))
    run, whole = (1 << (n - 1).bit_length() for n in (count, len(values)))
    lane = [*values, *[99] * (whole - len(values))]
    exchanges = 0

    def exchange(i, j, up):
        nonlocal exchanges
        exchanges += 1
        if (lane[i] > lane[j]) == up:
            lane[i], lane[j] = lane[j], lane[i]

    def merge(first, size, up):
        step = size // 2
        while step:
            for i in range(first, first + size):
                if not (i - first) & step:
                    exchange(i, i + step, up)
            step //= 2

    size = 2
    while size <= run:
        for first in range(0, whole, size):
            merge(first, size, up=not first & size)
        size *= 2
    while len(lane) > run:
        for first in range(0, len(lane), 2 * run):
            for i in range(first, first + run):
                exchange(i, i + run, up=True)
        lane = [v for i, v in enumerate(lane) if not i & run]
        for first in range(0, len(lane), run):
            merge(first, run, up=not first & run)
    assert lane[:count] == sorted(values)[:count]
    assert exchanges == selection_exchanges(len(values), count)
