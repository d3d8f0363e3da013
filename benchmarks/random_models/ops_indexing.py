"""Draws of operators that read, write or order by position."""

from math import prod

import numpy as np

from .arrays import BOOL, MOVED, dtypes_of
from .model_draw import ModelDraw, draws
from .ops_movement import movable
from .oracle import Refused, Value


def positions(g: ModelDraw, shape: list[int], bounds: list[int] | int, dtype: object) -> Value:
    """Indices of ``shape`` within ``bounds`` (of each entry of the last axis, or of all)."""
    rng = np.random.default_rng(g.number(0, 999))
    low = -np.asarray(bounds) if g.opset >= 11 and g.chance(2) else 0
    if prod(shape) and np.min(bounds) == 0:
        raise Refused("nothing to index")
    high = np.maximum(bounds, np.asarray(low) + 1)
    array = np.asarray(rng.integers(low, high, shape), dtype)
    return g.given(array, constant=g.chance(2))


def index_dtype(g: ModelDraw) -> type:
    return g.choose([np.int64, np.int32])


@draws("Gather")
def gather(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axis = g.axis(x.rank)
    shape = [g.number(0 if g.empty else 1, 3) for _ in range(g.number(0, 2))]
    g.node(op_type, [x, positions(g, shape, x.shape[axis], index_dtype(g))], axis=axis)


@draws("GatherElements")
def gather_elements(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axis = g.axis(x.rank)
    shape = [g.number(min(n, 1), n) for n in x.shape]
    shape[axis] = g.number(1, 4)
    g.node(op_type, [x, positions(g, shape, x.shape[axis], index_dtype(g))], axis=axis)


@draws("GatherND")
def gather_nd(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    batch = g.number(0, min(1, x.rank - 1)) if g.opset >= 12 else 0
    depth = g.number(1, x.rank - batch)
    shape = [*x.shape[:batch], *(g.number(1, 3) for _ in range(g.number(0, 2))), depth]
    indices = positions(g, shape, list(x.shape[batch : batch + depth]), np.int64)
    g.node(op_type, [x, indices], **({"batch_dims": batch} if g.opset >= 12 else {}))


def _reduction(g: ModelDraw, op_type: str, x: Value) -> dict[str, str]:
    first = 18 if x.dtype != BOOL else 99
    if g.opset < 16:
        return {}
    extra = ["max", "min"] if g.opset >= first else []
    return (
        {"reduction": g.choose(["none", "none", "add", "mul", *extra])} if x.dtype != BOOL else {}
    )


def distinct(g: ModelDraw, count: int, size: int) -> np.ndarray:
    """``count`` different numbers below ``size``."""
    return np.random.default_rng(g.number(0, 999)).permutation(size)[:count]


@draws("ScatterElements", "Scatter")
def scatter_elements(g: ModelDraw, op_type: str) -> None:
    """Indices along the axis differ in each row, as overlapping writes have no defined order."""
    if op_type == "Scatter" and g.opset >= 11:
        raise Refused("removed")
    x = movable(g, op_type, 1)
    axis = g.axis(x.rank)
    shape = [g.number(min(n, 1), n) for n in x.shape]
    reduction = {} if op_type == "Scatter" else _reduction(g, op_type, x)
    rows = prod(shape) // shape[axis] if shape[axis] else 0
    drawn = [distinct(g, shape[axis], x.shape[axis]) for _ in range(min(rows, 6))]
    moved = [shape[i] for i in range(x.rank) if i != axis % x.rank] + [shape[axis]]
    table = (
        np.array([drawn[i % len(drawn)] for i in range(rows)]).reshape(moved)
        if rows
        else (np.zeros(moved))
    )
    indices = np.moveaxis(table, -1, axis).astype(index_dtype(g))
    g.node(
        op_type,
        [x, g.given(indices, g.chance(2)), g.like(x, shape)],
        axis=axis if g.opset >= 11 else axis % x.rank,
        **reduction,
    )


@draws("ScatterND")
def scatter_nd(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    depth = g.number(1, x.rank)
    cells = prod(x.shape[:depth])
    count = g.number(min(cells, 1), min(cells, 4))
    flat = distinct(g, count, cells)
    indices = np.stack(np.unravel_index(flat, x.shape[:depth]), -1).astype(np.int64)
    updates = g.like(x, [count, *x.shape[depth:]])
    g.node(op_type, [x, g.given(indices, g.chance(2)), updates], **_reduction(g, op_type, x))


@draws("OneHot")
def one_hot(g: ModelDraw, op_type: str) -> None:
    depth = g.number(1, 4)
    shape = [g.number(1, 3) for _ in range(g.number(1, 2))]
    indices = positions(g, shape, depth, np.int64)
    dtype = g.choose([np.float32, np.int64])
    values = g.given(np.array([0, 2], dtype), constant=g.chance(2))
    size = g.given(np.array(depth, np.int64))
    g.node(op_type, [indices, size, values], axis=g.choose([-1, 0, len(shape)]))


@draws("ArgMax", "ArgMin")
def arg_extreme(g: ModelDraw, op_type: str) -> None:
    x = g.pick(dtypes_of(op_type, g.opset), 1)
    axis = g.axis(x.rank) if g.opset >= 11 else g.number(0, x.rank - 1)
    last = {"select_last_index": g.number(0, 1)} if g.opset >= 12 else {}
    g.node(op_type, [x], axis=axis, keepdims=g.number(0, 1), **last)


@draws("TopK")
def top_k(g: ModelDraw, op_type: str) -> None:
    """Of values that all differ along the axis: the order of equal ones is not defined."""
    x = g.pick(dtypes_of(op_type, g.opset), 1)
    axis = g.axis(x.rank) if g.opset >= 11 else g.number(0, x.rank - 1)
    k = g.number(min(x.shape[axis], 1), x.shape[axis])
    ordered = np.sort(x.array.astype(np.float64), axis)
    if not (np.diff(ordered, axis=axis) > 0).all():
        raise Refused("equal values")
    if g.has(op_type, "k"):
        g.node(op_type, [x], 2, axis=axis, k=k)
        return
    order = {"largest": g.number(0, 1), "sorted": 1} if g.opset >= 11 else {}
    g.node(op_type, [x, g.ints([k])], 2, axis=axis, **order)


@draws("CumSum")
def cumulate(g: ModelDraw, op_type: str) -> None:
    x = g.pick(dtypes_of(op_type, g.opset), 1)
    flags = {name: g.number(0, 1) for name in ("exclusive", "reverse")}
    g.node(op_type, [x, g.ints(g.axis(x.rank), index_dtype(g))], **flags)


@draws("Compress")
def compress(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axis = g.axis(x.rank) if g.opset >= 11 else g.number(0, x.rank - 1)
    kept = [g.number(0, 1) == 0 for _ in range(x.shape[axis])]
    if not any(kept):
        raise Refused("nothing kept")
    g.node(op_type, [x, g.given(np.array(kept))], axis=axis)


@draws("TensorScatter")
def tensor_scatter(g: ModelDraw, op_type: str) -> None:
    batch, length = g.number(1, 2), g.number(2, 4)
    x = g.new([batch, length, 2], g.dtype([t for t in MOVED if t in dtypes_of(op_type, g.opset)]))
    count = g.number(1, length)
    update = g.new([batch, count, 2], x.dtype)
    mode = g.choose(["linear", "circular"])
    most = length - count if mode == "linear" else length - 1
    start = g.given(np.array([g.number(0, most) for _ in range(batch)]), g.chance(2))
    g.node(op_type, [x, update, start], axis=1, mode=mode)
