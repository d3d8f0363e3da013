"""Composed views read what the two views read, one after the other."""

from math import prod

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semc.compiler.strided import Strided, compose, merge_dims, reshape
from semc.dialects.shapes import view_bounds


def read(flat: np.ndarray, view: Strided) -> np.ndarray:
    """The elements under ``view``, by the definition."""
    index = np.full(view.shape, view.offset)
    for axis, (size, stride) in enumerate(zip(view.shape, view.strides, strict=True)):
        steps = np.arange(size) * stride
        index = index + steps.reshape(-1, *[1] * (len(view.shape) - axis - 1))
    return flat[index]


@st.composite
def views(draw: st.DrawFn, size: int) -> Strided:
    """A view whose elements lie in ``0..size-1``: strides of any sign, moved to fit."""
    shape = tuple(draw(st.lists(st.integers(1, 4), max_size=4)))
    strides = [draw(st.integers(-6, 6)) for _ in shape]
    while True:
        low, high = view_bounds(0, tuple(strides), shape)
        if high - low < size:
            break
        strides[int(np.argmax(np.abs(strides)))] = 0
    offset = draw(st.integers(-low, size - 1 - high))
    return Strided(shape, tuple(strides), offset)


@st.composite
def row_major_views(draw: st.DrawFn, size: int) -> Strided:
    """Slices, flips and transposes of a reshaped whole: what models are made of."""
    factors = [n for n in (2, 3, 4, 5, 6) if size % n == 0]
    rows = draw(st.sampled_from(factors or [1]))
    whole = Strided.whole((rows, size // rows))
    starts = [draw(st.integers(0, n - 1)) for n in whole.shape]
    sizes = [draw(st.integers(1, n - s)) for n, s in zip(whole.shape, starts, strict=True)]
    flip = draw(st.booleans())
    offset = sum(a * b for a, b in zip(starts, whole.strides, strict=True))
    strides = list(whole.strides)
    if flip:
        offset += (sizes[1] - 1) * strides[1]
        strides[1] = -strides[1]
    order = draw(st.permutations((0, 1)))
    return Strided(tuple(sizes[i] for i in order), tuple(strides[i] for i in order), offset)


@given(st.data())
def test_composed_views_agree(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    flat = np.arange(size)
    kinds = st.one_of(views(size), row_major_views(size))
    inner = data.draw(kinds)
    middle = prod(inner.shape)
    outer = data.draw(st.one_of(views(middle), row_major_views(middle)))
    folded = compose(inner, outer)
    if folded is not None:
        assert folded.shape == outer.shape
        low, high = view_bounds(folded.offset, folded.strides, folded.shape)
        assert 0 <= low <= high < size
        expected = read(read(flat, inner).reshape(-1), outer)
        np.testing.assert_array_equal(read(flat, folded), expected)


@given(st.data())
def test_merging_dims_keeps_the_order(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 60))
    view = data.draw(views(size))
    merged = merge_dims(view)
    assert len(merged.shape) <= len(view.shape)
    np.testing.assert_array_equal(
        read(np.arange(size), merged).reshape(-1), read(np.arange(size), view).reshape(-1)
    )


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_whole_views_reshape_and_compose_to_whole_views(a: int, b: int, c: int) -> None:
    view = reshape(Strided.whole((a * b, c)), (a, b, c))
    assert view == Strided.whole((a, b, c))
    assert view.is_whole((a, b, c))
    assert not view.is_whole((a * b * c,))
    assert compose(view, Strided.whole((a, b * c))) == Strided.whole((a, b * c))


def test_a_flattened_transpose_has_no_one_view() -> None:
    turned = Strided((6, 4), (1, 6))
    assert reshape(turned, (24,)) is None
    assert reshape(turned, (2, 3, 4)) == Strided((2, 3, 4), (3, 1, 6))
    assert compose(turned, Strided((0, 5), (1, 1))) == Strided((0, 5), (0, 0))
