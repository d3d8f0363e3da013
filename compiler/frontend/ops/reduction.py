"""Reductions: ``graph.reduce`` with a map before and after it, argmax, running sums.

ReduceL2(x)  ->  map { sqrt }(reduce sum(map { x * x }(x)))
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder, is_float
from ....dialects.types import dtype_of, element_name, shape_of
from ..computed_operands import axes_key, axis_key, choose, need_few
from ..graph_builder import GraphBuilder
from ..lowering import OnnxNode, constant_ints, lowers
from .scalar_formulas import (
    Formula,
    axis_numbers,
    compare,
    finish,
    literal,
    magnitude,
    map_scalars,
    normalise_axis,
    number,
    unsigned_operand,
)

PLAIN = {
    "ReduceSum": "sum", "ReduceMean": "mean", "ReduceMax": "max", "ReduceMin": "min",
    "ReduceProd": "prod",
}  # fmt: skip


def _square(b: BodyBuilder, x: int) -> int:
    return b.mul(x, x)


def _root(b: BodyBuilder, x: int) -> int:
    return b.unary("sqrt", x)


def _log(b: BodyBuilder, x: int) -> int:
    return b.unary("log", x)


#: Sums with a formula before and after; None leaves the value as it is.
SUMS: dict[str, tuple[Formula | None, Formula | None]] = {
    "ReduceL1": (magnitude, None),
    "ReduceL2": (_square, _root),
    "ReduceSumSquare": (_square, None),
    "ReduceLogSum": (None, _log),
}


@lowers(*PLAIN)
def lower_plain_reduction(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    return _over_axes(b, node, lambda axes: _reduced(b, node, x, PLAIN[node.op], axes))


@lowers(*SUMS)
def lower_sum_of(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Sums of a function; 16-bit floats in float32, integers under a root or log in float64."""
    before, after = SUMS[node.op]
    x = _working(b, node.required(0), real=after is not None)
    if before is not None and not (before is magnitude and unsigned_operand(x)):
        x = _apply(b, x, before)
    x = _over_axes(b, node, lambda axes: _reduced(b, node, x, "sum", axes))
    if after is not None:
        x = _apply(b, x, after)
    return b.cast(x, node.out_dtype)


@lowers("ReduceLogSumExp")
def lower_log_sum_exp(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = _working(b, node.required(0), real=True)
    return b.cast(_over_axes(b, node, lambda axes: _log_sum_exp(b, node, x, axes)), node.out_dtype)


def _log_sum_exp(b: GraphBuilder, node: OnnxNode, x: SSAValue, axes: Sequence[int]) -> SSAValue:
    """``log sum exp(x - m) + m`` with the maximum m, or 0 where that is not finite."""
    if not axes:
        return x
    body = b.body(x)
    size = magnitude(body, 0)
    finite = compare(body, "lt", size, number(body, float("inf"), 0))
    kept = body.finish(body.select(finite, 0, number(body, 0, 0)))
    shift = b.map([b.reduce(x, "max", axes, keepdims=True)], kept)
    body = b.body(x, shift)
    exponentials = b.map([x, shift], body.finish(body.unary("exp", body.sub(0, 1))))
    total = _reduced(b, node, exponentials, "sum", axes)
    shift = b.reshape(shift, shape_of(total))
    body = b.body(total, shift)
    return b.map([total, shift], body.finish(body.add(body.unary("log", 0), 1)))


@lowers("ArgMax", "ArgMin")
def lower_arg_extreme(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    return b.reduce(
        x,
        node.op.lower(),
        [normalise_axis(node.attrs["axis"], x)],
        keepdims=bool(node.attrs["keepdims"]),
        select_last=bool(node.attrs["select_last_index"]),
    )


@lowers("Hardmax")
def lower_hardmax(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """1 at the first maximum along the axis, 0 elsewhere."""
    x = node.required(0)
    shape = shape_of(x)
    if 0 in shape:
        return x
    axis = normalise_axis(node.attrs["axis"], x)
    best = b.reduce(x, "argmax", [axis], keepdims=True)
    places = axis_numbers(b, len(shape), axis, shape[axis])
    name = element_name(node.out_dtype)

    def is_best(body: BodyBuilder, best: int, place: int) -> int:
        same = compare(body, "eq", best, place)
        return body.select(same, body.const(1, name), body.const(0, name))

    return map_scalars(b, node, (best, places), is_best)


@lowers("GlobalAveragePool", "GlobalMaxPool")
def lower_global_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    kind = "max" if node.op == "GlobalMaxPool" else "mean"
    return b.reduce(x, kind, range(2, len(shape_of(x))), keepdims=True)


@lowers("GlobalLpPool")
def lower_global_lp_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """``(sum |x| ** p) ** (1 / p)`` over the spatial axes."""
    p = node.attrs["p"]

    def powers(body: BodyBuilder, x: int) -> int:
        if p <= 2:
            return magnitude(body, x) if p == 1 else body.mul(x, x)
        return body.binary("powf", magnitude(body, x), number(body, p, x))

    def root(body: BodyBuilder, x: int) -> int:
        if p <= 2:
            return x if p == 1 else body.unary("sqrt", x)
        return body.binary("powf", x, number(body, 1 / p, x))

    x = _working(b, node.required(0), real=True)
    total = b.reduce(_apply(b, x, powers), "sum", range(2, len(shape_of(x))), keepdims=True)
    return b.cast(_apply(b, total, root), node.out_dtype)


@lowers("CumSum", "CumProd")
def lower_cumulation(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Along an axis that is computed while running: one of the results along every axis."""
    x, axis = node.required(0), node.required(1)
    rank = len(shape_of(x))

    def along(axis: int) -> SSAValue:
        return b.cumulate(
            x,
            "sum" if node.op == "CumSum" else "prod",
            axis,
            exclusive=bool(node.attrs["exclusive"]),
            reverse=bool(node.attrs["reverse"]),
        )

    if rank == 1:
        return along(0)
    known = literal(b, axis)
    if known is not None:
        return along(normalise_axis(int(known), rank))
    return choose(b, axis_key(b, axis, rank), {a: along(a) for a in range(rank)})


def _over_axes(
    b: GraphBuilder, node: OnnxNode, reduce: Callable[[Sequence[int]], SSAValue]
) -> SSAValue:
    """``reduce`` over the node's axes, without any that is empty: then it is the identity.

    Axes that are computed while running choose among the results that the shapes allow.
    """
    x, given = shape_of(node.required(0)), node.input(1)
    if given is None or b.has_bytes(given) or shape_of(given) == (0,):
        return reduce(_known_axes(b, node))
    sets = reducible_axes(x, node.out_shape, keepdims=bool(node.attrs["keepdims"]))
    need_few(len(sets), "sets of axes")
    weights = [0 if size == 1 else 1 << axis for axis, size in enumerate(x)]
    results = {
        sum(weights[a] for a in axes): b.reshape(reduce(axes), node.out_shape) for axes in sets
    }
    if len(results) == 1:
        return next(iter(results.values()))
    return choose(b, axes_key(b, given, weights), results)


def _known_axes(b: GraphBuilder, node: OnnxNode) -> Sequence[int]:
    """The axes to reduce, from a constant or empty input or the attribute."""
    given, rank = node.input(1), len(shape_of(node.required(0)))
    if given is not None and shape_of(given) == (0,):
        axes: list[int] | None = []
    else:
        axes = constant_ints(b, given, "the list of axes") or node.attrs.get("axes")
    if axes:
        return sorted({normalise_axis(a, rank) for a in axes})
    return () if node.attrs.get("noop_with_empty_axes") else range(rank)


def reducible_axes(
    shape: Sequence[int], out: Sequence[int], *, keepdims: bool
) -> list[tuple[int, ...]]:
    """The sets of axes whose reduction makes ``out`` of ``shape``, axes of size 1 left aside.

    Whether those are reduced changes no value: the result is only to be reshaped.
    """
    wide = [axis for axis, size in enumerate(shape) if size != 1]
    if keepdims:
        return [tuple(axis for axis in wide if out[axis] == 1)]
    kept = [size for size in out if size != 1]
    return [
        tuple(axis for axis in wide if axis not in stay)
        for stay in combinations(wide, len(kept))
        if [shape[axis] for axis in stay] == kept
    ]


def _reduced(
    b: GraphBuilder, node: OnnxNode, x: SSAValue, kind: str, axes: Sequence[int]
) -> SSAValue:
    """``x`` itself over no axis."""
    return b.reduce(x, kind, axes, keepdims=bool(node.attrs["keepdims"])) if axes else x


def _working(b: GraphBuilder, x: SSAValue, *, real: bool) -> SSAValue:
    """``x`` in the type it is computed in."""
    name = element_name(dtype_of(x))
    if name in ("f16", "bf16"):
        return b.cast(x, np.dtype(np.float32))
    return b.cast(x, np.dtype(np.float64)) if real and not is_float(name) else x


def _apply(b: GraphBuilder, x: SSAValue, formula: Callable[[BodyBuilder, int], int]) -> SSAValue:
    body = b.body(x)
    return b.map([x], finish(body, formula(body, body.signless(0)), dtype_of(x)))
