"""Constants made from constants while lowering: transposed, scaled or folded weights.

Small arrays and plain views are made at once. Larger results stay deferred, so that lowering a
model never holds a second copy of its weights, and absent weights stay absent.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr
from xdsl.ir import SSAValue

from ...dialects import graph
from ...dialects.attributes import WeightAttr
from ...dialects.types import dense_array, dtype_of, is_literal, shape_of
from ..weights import Constant, Deferred, constant_values
from .graph_builder import GraphBuilder

EAGER_ELEMENTS = 1 << 16


def entry_of(b: GraphBuilder, value: SSAValue) -> Constant:
    """The stored form of constant ``value``: an array or a deferred one."""
    assert isinstance(value.owner, graph.ConstantOp)
    attr = value.owner.value
    if isinstance(attr, WeightAttr):
        return b.weights.entry(attr.data)
    assert isinstance(attr, DenseIntOrFPElementsAttr)
    return dense_array(attr)


def has_values(b: GraphBuilder, value: SSAValue | None) -> bool:
    """Whether ``value`` is a constant whose bytes are there."""
    if value is None or not b.is_constant(value):
        return False
    entry = entry_of(b, value)
    return isinstance(entry, np.ndarray) or entry.make is not None


def derive(
    b: GraphBuilder,
    values: Sequence[SSAValue],
    shape: Sequence[int],
    make: Callable[..., np.ndarray],
    suffix: str,
    dtype: np.dtype | type | None = None,
    *,
    is_view: bool = False,
) -> SSAValue:
    """The constant ``make(*arrays of values)`` of ``shape``, named after the first of ``values``.

    ``dtype`` is the first value's unless said. ``is_view`` promises that ``make`` copies nothing.
    """
    entries = [entry_of(b, value) for value in values]
    out_shape = tuple(int(n) for n in shape)
    out_dtype = np.dtype(dtype) if dtype is not None else dtype_of(values[0])

    def compute() -> np.ndarray:
        with np.errstate(all="ignore"):  # what divides by 0 or has no root is so at run time too
            made = np.asarray(make(*[constant_values(entry) for entry in entries]))
        assert made.shape == out_shape, f"{suffix}: {made.shape} is not {out_shape}"
        return made.astype(out_dtype, copy=False)

    absent = any(isinstance(e, Deferred) and e.make is None for e in entries)
    present = all(isinstance(e, np.ndarray) for e in entries)
    if absent:
        return b.derived(values[0], Deferred(out_shape, out_dtype), suffix)
    if present and (is_view or prod(out_shape) <= EAGER_ELEMENTS):
        array = compute()
        if is_literal(array):
            return b.constant(array, suffix)
        return b.derived(values[0], array, suffix)
    return b.derived(values[0], Deferred(out_shape, out_dtype, compute), suffix)


def transposed(b: GraphBuilder, value: SSAValue, perm: Sequence[int]) -> SSAValue:
    """Dims of ``value`` in the order ``perm``; a constant stays a constant."""
    if list(perm) == list(range(len(perm))):
        return value
    if not b.is_constant(value):
        return b.transpose(value, perm)
    shape = shape_of(value)
    out = [shape[p] for p in perm]
    return derive(b, [value], out, lambda a: a.transpose(perm), "T", is_view=True)


def swapped(b: GraphBuilder, value: SSAValue) -> SSAValue:
    """``value`` with its last two dims exchanged; a constant stays a constant."""
    rank = len(shape_of(value))
    return transposed(b, value, [*range(rank - 2), rank - 1, rank - 2])


def reshaped(b: GraphBuilder, value: SSAValue, shape: Sequence[int]) -> SSAValue:
    """``value`` in another shape; a constant stays a constant."""
    if shape_of(value) == tuple(shape):
        return value
    if not b.is_constant(value):
        return b.reshape(value, shape)
    entry = entry_of(b, value)
    contiguous = isinstance(entry, np.ndarray) and entry.flags.c_contiguous
    return derive(
        b, [value], shape, lambda a: a.reshape(tuple(shape)), "reshaped", is_view=contiguous
    )


def cast(b: GraphBuilder, value: SSAValue, dtype: np.dtype | type) -> SSAValue:
    """``value`` converted to ``dtype``; a constant stays a constant."""
    dtype = np.dtype(dtype)
    if dtype_of(value) == dtype:
        return value
    if not b.is_constant(value):
        return b.cast(value, dtype)
    return derive(b, [value], shape_of(value), lambda a: a.astype(dtype), dtype.name, dtype)
