"""Operands that are computed while running, where the static shapes leave a choice.

A start, a pad or a scale becomes a scalar tensor from which maps compute positions for ``gather``;
an axis chooses among results, one for each axis (or set of axes) that the shapes allow.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from xdsl.ir import SSAValue

from ...dialects.types import shape_of
from .graph_builder import GraphBuilder
from .lowering import NotLowered

I64 = np.dtype(np.int64)
#: More results than this are not computed to keep one of them.
MAX_CANDIDATES = 16


def element(b: GraphBuilder, values: SSAValue, index: int) -> SSAValue:
    """One element of a vector (or of a scalar), as a constant where that is one."""
    array = b.const_of(values) if b.has_bytes(values) else None
    if array is None:
        return b.view(values, (), (), index)
    return b.constant(array.reshape(-1)[index])


def by_axis(
    b: GraphBuilder, values: SSAValue, axes: SSAValue | None, rank: int, default: int
) -> list[SSAValue | None]:
    """The int64 element of ``values`` [k] for each axis; None for an axis that surely has none.

    ``axes`` [k] may count from the end; without it they are the first k. Where they are computed,
    an axis that they do not name gets ``default``.
    """
    values = b.cast(values, I64)
    (count,) = shape_of(values)
    if axes is None:
        named: Sequence[int] = range(count)
    elif b.has_bytes(axes):
        named = [int(axis) % rank for axis in np.asarray(b.const_of(axes))]
    else:
        default_row = b.constant(np.full(rank, default))
        values = b.scatter(default_row, b.cast(axes, I64), values, mode="elements")
        named = range(rank)
    place = {axis: index for index, axis in enumerate(named)}
    return [element(b, values, place[a]) if a in place else None for a in range(rank)]


def axis_key(b: GraphBuilder, axis: SSAValue, rank: int) -> SSAValue:
    """A computed axis (one element, may count from the end) as an int64 scalar of 0..rank-1."""
    axis = b.reshape(b.cast(axis, I64), ())
    body = b.body(axis)
    below = body.cmp("slt", 0, body.const(0, "i64"))
    return b.map([axis], body.finish(body.select(below, body.add(0, body.const(rank, "i64")), 0)))


def axes_key(b: GraphBuilder, axes: SSAValue, weights: Sequence[int]) -> SSAValue:
    """The sum of ``weights``, one an axis, over the axes in ``axes`` [k], as an int64 scalar.

    An axis that is named twice counts once.
    """
    ones = b.constant(np.ones(shape_of(axes), np.int64))
    nowhere = b.constant(np.zeros(len(weights), np.int64))
    named = b.scatter(nowhere, b.cast(axes, I64), ones, mode="elements")
    weighted = b.binary("mul", named, b.constant(np.array(weights, np.int64)))
    return b.reduce(weighted, "sum", [0])


def need_few(count: int, what: str) -> None:
    """Raises NotLowered where more than MAX_CANDIDATES results would be computed to keep one."""
    if count > MAX_CANDIDATES:
        raise NotLowered(f"{count} {what} fit the shapes, and which is meant is computed")


def choose(b: GraphBuilder, key: SSAValue, candidates: Mapping[int, SSAValue]) -> SSAValue:
    """The candidate of ``key``, an int64 scalar that must be one of theirs; all have one type."""
    (first, *others), (_, *keys) = candidates.values(), candidates
    ins = [key, first, *others]
    body = b.body(*ins)
    chosen = body.signless(1)
    for register, number in enumerate(keys, start=2):
        is_meant = body.cmp("eq", 0, body.const(number, "i64"))
        chosen = body.select(is_meant, body.signless(register), chosen)
    return b.map(ins, body.finish(body.unsigned(chosen, body.types[1])))
