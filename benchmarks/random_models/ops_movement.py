"""Draws of operators that move elements, and of chains that compute shapes."""

from math import prod

import numpy as np
from hypothesis import strategies as st

from .arrays import FLOAT32, MOVED, dtypes_of
from .model_draw import ModelDraw, draws
from .oracle import Refused, Value


def movable(g: ModelDraw, op_type: str, min_rank: int = 0, max_rank: int = 4) -> Value:
    known = dtypes_of(op_type, g.opset)
    return g.pick([t for t in MOVED if t in known] or known, min_rank, max_rank)


def late(
    g: ModelDraw, op_type: str, name: str, numbers: list[int]
) -> tuple[dict[str, list[int]], list[Value]]:
    """Integers that were an attribute of old operator sets and are an operand of newer ones."""
    if g.has(op_type, name):
        return {name: numbers}, []
    return {}, [g.ints(numbers)]


def factored(g: ModelDraw, size: int) -> list[int]:
    """A shape of ``size`` elements."""
    if size == 0:
        return [0, *([2] * g.number(0, 2))]
    shape = []
    for p in (2, 2, 2, 3, 3, 5, 7):
        if size % p == 0 and g.chance(2):
            shape.append(p)
            size //= p
    shape.insert(g.number(0, len(shape)), size)
    if g.chance(4):
        shape.insert(g.number(0, len(shape)), 1)
    return shape[:5] if prod(shape[5:]) == 1 else [prod(shape)]


@draws("Reshape")
def reshape(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type)
    shape = factored(g, x.array.size)
    if 0 not in shape:
        spot = g.number(0, len(shape) - 1)
        if g.chance(3):
            shape[spot] = -1
        elif spot < x.rank and x.shape[spot] == shape[spot] and g.chance(2):
            shape[spot] = 0
        g.node(op_type, [x, g.ints(shape)])
    elif g.opset >= 14:
        g.node(op_type, [x, g.ints(shape)], allowzero=1)


@draws("Flatten")
def flatten(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type)
    g.node(op_type, [x], axis=g.number(0 if g.opset < 11 else -x.rank, x.rank))


@draws("Squeeze")
def squeeze(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type)
    ones = [i for i, n in enumerate(x.shape) if n == 1]
    if g.chance(3):
        g.node(op_type, [x])
        return
    kept = [a for a in ones if not g.chance(3)]
    if not kept:
        raise Refused("nothing to squeeze")
    if g.opset >= 11:
        kept = [a - x.rank if g.chance(3) else a for a in kept]
    attrs, operands = late(g, op_type, "axes", kept)
    g.node(op_type, [x, *operands], **attrs)


@draws("Unsqueeze")
def unsqueeze(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 0, 3)
    rank = x.rank + g.number(1, 2)
    axes = g.draw(
        st.lists(
            st.integers(0, rank - 1), min_size=rank - x.rank, max_size=rank - x.rank, unique=True
        )
    )
    if g.opset >= 11:
        axes = [a - rank if g.chance(3) else a for a in axes]
    attrs, operands = late(g, op_type, "axes", axes)
    g.node(op_type, [x, *operands], **attrs)


@draws("Transpose")
def transpose(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 0, 5)
    perm = g.draw(st.permutations(range(x.rank)))
    g.node(op_type, [x], **({"perm": perm} if perm and not g.chance(4) else {}))


@draws("Slice")
def slice_(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axes = g.axes(x.rank, 1) if g.opset >= 10 else sorted({a % x.rank for a in g.axes(x.rank, 1)})
    far = g.choose([2**31 - 1, 2**62, 1000])
    starts, ends, steps = [], [], []
    for axis in axes:
        size = x.shape[axis]
        start, end = g.number(-size - 1, size), g.choose([size, far, g.number(-size - 1, size + 1)])
        step = g.choose([1, 2, 3, -1, -2]) if g.opset >= 10 else 1
        if step < 0:
            start, end = end, g.choose([start, -far])
        starts.append(start)
        ends.append(end)
        steps.append(step)
    if g.has(op_type, "starts"):
        g.node(op_type, [x], starts=starts, ends=ends, axes=axes)
        return
    dtype = g.choose([np.int64, np.int32])
    if dtype == np.int32:
        info = np.iinfo(np.int32)
        starts, ends = np.clip(starts, info.min, info.max), np.clip(ends, info.min, info.max)
    lists = [starts, ends, axes, steps]
    if set(steps) == {1} and g.chance(2):
        lists.pop()
    g.node(op_type, [x, *(g.ints(numbers, dtype) for numbers in lists)])


@draws("Concat")
def concat(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axis = g.number(-x.rank if g.opset >= 11 else 0, x.rank - 1)
    rest = []
    for _ in range(g.number(0, 3)):
        shape = list(x.shape)
        shape[axis] = g.number(0 if g.empty else 1, 4)
        rest.append(g.like(x, shape))
    parts = [x, *rest]
    g.node(op_type, parts if not g.chance(2) else parts[::-1], axis=axis)


@draws("Split")
def split(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axis = g.number(-x.rank if g.opset >= 11 else 0, x.rank - 1)
    size = x.shape[axis]
    if g.chance(2):
        cuts = sorted(g.number(0 if g.empty else 1, size) for _ in range(g.number(0, 2)))
        sizes = [int(n) for n in np.diff([0, *cuts, size])]
        if not g.empty and 0 in sizes:
            raise Refused("an empty part")
        attrs, operands = late(g, op_type, "split", sizes)
        g.node(op_type, [x, *operands], len(sizes), axis=axis, **attrs)
        return
    count = g.choose([n for n in (1, 2, 3) if size % n == 0 or (g.opset >= 18 and size > n)])
    even = {"num_outputs": count} if g.opset >= 18 else {}
    g.node(op_type, [x], count, axis=axis, **even)


@draws("Pad")
def pad(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    modes = ["constant", "edge", "reflect"] + (["wrap"] if g.opset >= 19 else [])
    mode = g.choose(modes)
    low_bound = -1 if mode == "constant" else 0
    axes = list(range(x.rank))
    if g.opset >= 18 and g.chance(3):
        axes = g.axes(x.rank, 1)
    amounts = []
    for _ in (0, 1):
        for axis in axes:
            size = x.shape[axis]
            most = {"constant": 3, "edge": 3 if size else 0}.get(mode, size - 1)
            amounts.append(g.number(low_bound, max(min(most, 3), 0)))
    if any(x.shape[a] + amounts[i] + amounts[i + len(axes)] < 0 for i, a in enumerate(axes)):
        raise Refused("negative size")
    if g.has(op_type, "pads"):
        g.node(op_type, [x], mode=mode, pads=amounts, value=g.choose([0.0, 1.5]))
        return
    operands: list[Value | None] = [x, g.ints(amounts)]
    short = len(axes) != x.rank or axes != list(range(x.rank))
    if mode == "constant" and g.chance(2):
        operands.append(g.given(np.array(1).astype(x.dtype)))
    if short:
        operands += [None] * (3 - len(operands))
        operands.append(g.ints(axes))
    g.node(op_type, operands, mode=mode)


@draws("Expand")
def expand(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type)
    shape = [g.choose([1, 2, 3]) if n == 1 else g.choose([n, 1]) for n in x.shape]
    shape = [g.choose([2, 1]) for _ in range(g.number(0, 4 - x.rank))] + shape
    if g.chance(4) and shape and shape[0] == 1 and len(shape) <= x.rank:
        shape = shape[1:]
    g.node(op_type, [x, g.ints(shape)])


@draws("Tile")
def tile(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    g.node(op_type, [x, g.ints([g.number(0 if g.empty else 1, 3) for _ in x.shape])])


@draws("DepthToSpace", "SpaceToDepth")
def blocks(g: ModelDraw, op_type: str) -> None:
    n = g.choose([2, 3])
    batch, channels, height, width = (g.number(1, 2) for _ in range(4))
    deep = op_type == "DepthToSpace"
    dtypes = [t for t in MOVED if t in dtypes_of(op_type, g.opset)]
    shape = (
        (batch, channels * n * n, height, width)
        if deep
        else (batch, channels, height * n, width * n)
    )
    x = g.new(shape, g.dtype(dtypes))
    modes = {"mode": g.choose(["DCR", "CRD"])} if deep and g.opset >= 11 else {}
    g.node(op_type, [x], blocksize=n, **modes)


@draws("ReverseSequence")
def reverse_sequence(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 2)
    time = g.number(0, 1)
    lengths = [g.number(1 if x.shape[time] else 0, x.shape[time]) for _ in range(x.shape[1 - time])]
    g.node(op_type, [x, g.ints(lengths)], time_axis=time, batch_axis=1 - time)


@draws("Trilu")
def trilu(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 2)
    k = [g.ints(g.number(-3, 3))] if g.chance(2) else []
    g.node(op_type, [x, *k], upper=g.number(0, 1))


@draws("ConstantOfShape")
def constant_of_shape(g: ModelDraw, op_type: str) -> None:
    shape = [g.number(0 if g.empty else 1, 4) for _ in range(g.number(0, 3))]
    attrs = {}
    if g.chance(2):
        from onnx import numpy_helper

        attrs["value"] = numpy_helper.from_array(np.array([2], g.choose(MOVED)))
    g.node(op_type, [g.ints(shape)], **attrs)


@draws("EyeLike")
def eye_like(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 2, 2)
    g.node(op_type, [x], k=g.number(-2, 2))


@draws("Range")
def range_(g: ModelDraw, op_type: str) -> None:
    start, step, count = g.number(-3, 3), g.choose([1, 2, -1]), g.number(0 if g.empty else 1, 5)
    dtype = g.choose([np.int64, np.float32, np.int32])
    bounds = (start, start + step * count, step)
    g.node(op_type, [g.given(np.array(n, dtype)) for n in bounds])


@draws("Shape")
def shape_chain(g: ModelDraw, op_type: str) -> None:
    """Shape -> Slice or Gather -> Concat with a number -> Reshape, as exporters write it."""
    x = movable(g, op_type, 1)
    (shape,) = g.node(op_type, [x])
    if g.chance(3):
        return
    if 0 in x.shape:
        raise Refused("no -1 in an empty tensor")
    axis = g.number(0, x.rank - 1)
    (size,) = g.node("Gather", [shape, g.given(np.array([axis]))])
    if g.chance(2):
        (size,) = g.node("Mul", [size, g.given(np.array([1]))])
    order = [size, g.given(np.array([-1]))]
    (target,) = g.node("Concat", order if g.chance(2) else order[::-1], axis=0)
    g.node("Reshape", [x, target])


@draws("Size")
def size(g: ModelDraw, op_type: str) -> None:
    g.node(op_type, [movable(g, op_type)])


@draws("CenterCropPad")
def center_crop_pad(g: ModelDraw, op_type: str) -> None:
    x = movable(g, op_type, 1)
    axes = g.axes(x.rank, 1)
    target = g.ints([g.number(1, 6) for _ in axes])
    g.node(op_type, [x, target], axes=axes)


@draws("Constant")
def constant(g: ModelDraw, op_type: str) -> None:
    from onnx import numpy_helper

    array = g.new(g.draw(st.lists(st.integers(1, 3), max_size=2)), FLOAT32, constant=True).array
    g.node(op_type, [], value=numpy_helper.from_array(array))
