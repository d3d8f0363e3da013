"""Slices and pads whose amounts are computed while running: gathers at computed positions.

One gather for each axis, the shrinking ones first. The result's shape is static, so that the end of
a slice and the high side of a pad follow from it.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..computed_operands import by_axis
from ..graph_builder import GraphBuilder
from ..traced_formula import map_formula
from .scalar_formulas import axis_numbers, literal


def slice_computed(
    b: GraphBuilder,
    x: SSAValue,
    starts: SSAValue,
    axes: SSAValue | None,
    steps: SSAValue | None,
    *,
    out: Sequence[int],
) -> SSAValue:
    """ONNX Slice of ``x`` to shape ``out`` from computed ``starts`` by ``steps``."""
    shape, rank = shape_of(x), len(shape_of(x))
    if 0 in out:
        return _everywhere(b, x, None, out)
    starting = by_axis(b, starts, axes, rank, default=0)
    stepping = [None] * rank if steps is None else by_axis(b, steps, axes, rank, default=1)
    for axis in shrinking_first(shape, out):
        start, step = starting[axis], stepping[axis] if out[axis] > 1 else None
        known = np.array(1) if step is None else literal(b, step)
        turned = known is None or known < 0
        if start is None or (shape[axis] == out[axis] and not turned):
            continue
        places = axis_numbers(b, 1, 0, out[axis])
        operands = (places, start) if step is None else (places, start, step)
        x = b.gather(x, map_formula(b, _slice_position(shape[axis]), *operands), axis=axis)
    return x


def _everywhere(
    b: GraphBuilder, x: SSAValue, value: SSAValue | None, out: Sequence[int]
) -> SSAValue:
    """Shape ``out`` full of the scalar ``value``, or of zeros of the type of ``x``."""
    fill = b.constant(np.zeros((), dtype_of(x))) if value is None else b.reshape(value, ())
    return b.expand(fill, out)


def _slice_position(size: int) -> Callable[..., Any]:
    """Where element ``place`` of a slice lies in an axis of ``size``; slices are never empty here,
    so that a start beyond either end is that end."""

    def position(place: Any, start: Any, step: Any = None) -> Any:
        first = np.where(start < 0, start + size, start)
        offset = place if step is None else place * step
        return np.minimum(np.maximum(first, 0), size - 1) + offset

    return position


def pad_computed(
    b: GraphBuilder,
    x: SSAValue,
    pads: SSAValue,
    axes: SSAValue | None,
    value: SSAValue | None,
    out: Sequence[int],
    mode: str,
) -> SSAValue:
    """ONNX Pad of ``x`` to shape ``out`` by computed ``pads``; ``value`` (zero if None) fills."""
    shape, rank = shape_of(x), len(shape_of(x))
    if 0 in out or (0 in shape and mode == "constant"):
        return _everywhere(b, x, value, out)
    half = shape_of(pads)[0] // 2
    lows = by_axis(b, b.slice_axis(pads, 0, 0, half), axes, rank, default=0)
    inside = []
    for axis in shrinking_first(shape, out):
        low = lows[axis]
        if low is None:
            continue
        sizes = shape[axis], out[axis]
        position = map_formula(
            b, _pad_position(*sizes, mode), axis_numbers(b, 1, 0, out[axis]), low
        )
        x = b.gather(x, position, axis=axis)
        if mode == "constant":
            places = axis_numbers(b, rank, axis, out[axis])
            inside.append(map_formula(b, _is_inside(shape[axis]), places, low))
    return where_all(b, inside, x, value)


def _pad_position(size: int, out: int, mode: str) -> Callable[[Any, Any], Any]:
    """The element of an axis of ``size`` that ``place`` of ``out`` repeats: what negative pads
    leave of the axis, begun again (wrap), run to and fro (reflect) or held at its ends."""

    def position(place: Any, low: Any) -> Any:
        first = np.maximum(0 - low, 0)
        count = size + np.minimum(out - size - low, 0) - first
        there = place - low - first
        if mode == "wrap":
            return first + _modulo(there, count)
        if mode == "reflect":
            period = np.maximum(2 * (count - 1), 1)
            there = _modulo(there, period)
            return first + np.minimum(there, period - there)
        return first + np.minimum(np.maximum(there, 0), count - 1)

    return position


def _modulo(x: Any, n: Any) -> Any:
    rest = np.fmod(x, n)
    return np.where(rest < 0, rest + n, rest)


def _is_inside(size: int) -> Callable[[Any, Any], Any]:
    return lambda place, low: (place >= low) & (place < low + size)


def shrinking_first(shape: Sequence[int], out: Sequence[int]) -> list[int]:
    """The axes in the order in which the least is moved."""
    return sorted(range(len(out)), key=lambda axis: out[axis] / max(shape[axis], 1))


def where_all(
    b: GraphBuilder, conditions: Sequence[SSAValue], x: SSAValue, other: SSAValue | None
) -> SSAValue:
    """``x`` where all the broadcast ``conditions`` hold, elsewhere the scalar ``other`` (or zero).

    ``other`` has the element type of ``x``.
    """
    if not conditions:
        return x
    ins = [x, *conditions] if other is None else [x, *conditions, b.reshape(other, ())]
    body = b.body(*ins)
    kept = 1
    for condition in range(2, len(conditions) + 1):
        kept = body.binary("andi", kept, condition)
    own = body.signless(0)
    outside = body.const(0, body.types[own]) if other is None else body.signless(len(ins) - 1)
    chosen = body.select(kept, own, outside)
    return b.map(ins, body.finish(body.unsigned(chosen, body.types[0])))
