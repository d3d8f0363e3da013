"""Data movement: views, pads and concatenations; constants that depend on shapes alone.

    Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Slice, Expand, Split  ->  one view a result
    Tile, DepthToSpace, SpaceToDepth                                       ->  two views

Shapes are static here, so operands that only tell the result's shape are not looked at.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.shapes import row_major
from ....dialects.types import LITERAL_ELEMENTS, dtype_of, element_name, shape_of
from ..computed_operands import element
from ..derive_constants import reshaped, transposed
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from ..traced_formula import map_formula
from .computed_movement import pad_computed, slice_computed, where_all
from .scalar_formulas import axis_numbers, compare, literal, map_scalars, normalise_axis


@lowers("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
def lower_reshape(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return reshaped(b, node.required(0), node.out_shape)


@lowers("Dropout")
def lower_dropout(b: GraphBuilder, node: OnnxNode) -> Sequence[SSAValue | None]:
    """Inference: the input itself, and a mask that is true everywhere."""
    x, ratio, training = node.required(0), node.input(1), node.input(2)
    if training is not None and not (_is_zero(b, training) or _is_zero(b, ratio)):
        return _dropped(b, node, x, ratio, training)
    mask = None
    if len(node.outputs) > 1 and node.outputs[1] is not None:
        mask = _filled(b, np.array(True), node.outputs[1][0])
    return [x, mask][: len(node.outputs)]


def _is_zero(b: GraphBuilder, value: SSAValue | None) -> bool:
    array = None if value is None else literal(b, value)
    return array is not None and not array


def _dropped(
    b: GraphBuilder, node: OnnxNode, x: SSAValue, ratio: SSAValue | None, training: SSAValue
) -> list[SSAValue]:
    """Where ``training`` holds: ``x`` without the elements for which less than ``ratio`` is drawn.

    Seed and shape tell what ONNX's reference evaluator draws, so that it is a constant.
    """
    if "seed" not in node.attrs:
        raise NotLowered("dropout while training draws random numbers without a seed")
    random = np.random.RandomState(node.attrs["seed"]).uniform(0, 1, shape_of(x))
    drawn = b.constant(random, "drawn")
    ratio = b.constant(np.array(0.5, np.float32)) if ratio is None else b.reshape(ratio, ())
    training = b.reshape(training, ())

    def scaled(x: Any, drawn: Any, ratio: Any, training: Any) -> Any:
        kept = np.where(drawn >= ratio.astype(np.float64), x, x * 0)
        return np.where(training, (kept * (1 / (1 - ratio))).astype(x.dtype), x)

    def mask(drawn: Any, ratio: Any, training: Any) -> Any:
        return np.where(training, drawn >= ratio.astype(np.float64), True)

    values = [map_formula(b, scaled, x, drawn, ratio, training)]
    if len(node.outputs) > 1:
        values.append(map_formula(b, mask, drawn, ratio, training))
    return values


@lowers("Transpose")
def lower_transpose(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    rank = len(shape_of(x))
    perm = node.attrs.get("perm") or range(rank)[::-1]
    return transposed(b, x, [normalise_axis(p, rank) for p in perm])


@lowers("Expand")
def lower_expand(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return b.expand(node.required(0), node.out_shape)


@lowers("Slice")
def lower_slice(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """The result's shape tells where each slice ends, so ``ends`` is not looked at."""
    x, operands = node.required(0), (node.required(1), node.input(3), node.input(4))
    if not all(v is None or b.has_bytes(v) for v in operands):
        return slice_computed(b, x, *operands, out=node.out_shape)
    shape = shape_of(x)
    words = ("starts", "axes", "steps")
    starts, axes, steps = map(partial(constant_ints, b), operands, words)
    assert starts is not None
    first, step = [0] * len(shape), [1] * len(shape)
    steps = steps if steps is not None else [1] * len(starts)
    axes = axes if axes is not None else list(range(len(starts)))
    for axis, lo, by in zip(axes, starts, steps, strict=True):
        axis = normalise_axis(axis, x)
        start, _, step[axis] = slice(lo, None, by).indices(shape[axis])
        first[axis] = max(start, 0)  # backwards from before the start, ONNX takes the first element
    if _is_whole(shape, node.out_shape, step):
        return x
    return b.slice(x, first, node.out_shape, step)


def _is_whole(shape: Sequence[int], out: Sequence[int], step: Sequence[int]) -> bool:
    """Whether a slice takes everything in order."""
    return tuple(shape) == tuple(out) and all(s > 0 for s in step)


@lowers("Split")
def lower_split(b: GraphBuilder, node: OnnxNode) -> Sequence[SSAValue | None]:
    x, split = node.required(0), node.input(1)
    axis = normalise_axis(node.attrs["axis"], x)
    size, parts = shape_of(x)[axis], len(node.outputs)
    if all(out is not None for out in node.outputs):
        sizes = [out[0][axis] for out in node.outputs if out is not None]
    elif split is None:
        each = -(-size // parts)
        sizes = [min(each, max(0, size - i * each)) for i in range(parts)]
    elif b.has_bytes(split):
        sizes = constant_ints(b, split, "the list of sizes") or []
    else:
        return _split_by_computed(b, node, x, axis, split)
    starts = np.cumsum([0, *sizes]).tolist()
    return [
        None if out is None else b.slice_axis(x, axis, start, n)
        for out, start, n in zip(node.outputs, starts, sizes, strict=False)
    ]


def _split_by_computed(
    b: GraphBuilder, node: OnnxNode, x: SSAValue, axis: int, split: SSAValue
) -> Sequence[SSAValue | None]:
    """Where the sizes of outputs that nothing uses are computed while running."""
    starts = b.cumulate(split, "sum", 0, exclusive=True)
    axes = b.constant(np.array([axis]))
    return [
        None
        if out is None
        else slice_computed(b, x, b.slice_axis(starts, 0, i, 1), axes, None, out=out[0])
        for i, out in enumerate(node.outputs)
    ]


@lowers("Concat")
def lower_concat(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    ins = [x for x in node.inputs if x is not None]
    return b.concat(ins, normalise_axis(node.attrs["axis"], ins[0]))


@lowers("Pad")
def lower_pad(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x, pads, axes = node.required(0), node.required(1), node.input(3)
    mode = str(node.attrs["mode"])
    value = node.input(2) if mode == "constant" else None
    if not b.has_bytes(pads) or not (axes is None or b.has_bytes(axes)):
        return pad_computed(b, x, pads, axes, value, node.out_shape, mode)
    rank = len(shape_of(x))
    amounts = constant_ints(b, pads, "the list of pads")
    assert amounts is not None
    named = constant_ints(b, axes, "the list of axes")
    named = [normalise_axis(a, rank) for a in named] if named is not None else list(range(rank))
    low, high = [0] * rank, [0] * rank
    for i, axis in enumerate(named):
        low[axis], high[axis] = amounts[i], amounts[i + len(named)]
    number = _double(b, value)
    if value is None or number is not None:
        return b.pad(x, low, high, mode=mode, value=0.0 if number is None else number)
    kept = [
        b.constant(inside.reshape([-1 if i == axis else 1 for i in range(rank)]))
        for axis, (n, lo, out) in enumerate(zip(shape_of(x), low, node.out_shape, strict=True))
        if not (inside := (np.arange(out) >= lo) & (np.arange(out) < lo + n)).all()
    ]
    return where_all(b, kept, b.pad(x, low, high), value)


def _double(b: GraphBuilder, value: SSAValue | None) -> float | None:
    """The constant ``value`` as a double; None where it is computed or no double."""
    array = literal(b, value) if value is not None else None
    if array is None or (array.dtype.kind in "iu" and int(float(array)) != int(array)):
        return None
    return float(array)


@lowers("CenterCropPad")
def lower_center_crop_pad(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    more = [n - old for n, old in zip(node.out_shape, shape_of(x), strict=True)]
    low = [m // 2 if m > 0 else -(-m // 2) for m in more]
    return b.pad(x, low, [m - lo for m, lo in zip(more, low, strict=True)])


@lowers("Tile")
def lower_tile(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    if 0 in node.out_shape:
        return _filled(b, np.zeros((), dtype_of(x)), node.out_shape)
    shape: list[int] = []
    strides: list[int] = []
    for n, out, stride in zip(shape_of(x), node.out_shape, row_major(shape_of(x)), strict=True):
        if out != n and n != 1:
            shape += [out // n, n]
            strides += [0, stride]
        else:
            shape.append(out)
            strides.append(0 if n == 1 else stride)
    if shape_of(x) == node.out_shape:
        return x
    return b.reshape(b.view(x, shape, strides), node.out_shape)


@lowers("DepthToSpace")
def lower_depth_to_space(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    n, c, h, w = shape_of(x)
    s = node.attrs["blocksize"]
    if node.attrs["mode"] == "DCR":
        split, perm = (n, s, s, c // (s * s), h, w), (0, 3, 4, 1, 5, 2)
    else:
        split, perm = (n, c // (s * s), s, s, h, w), (0, 1, 4, 2, 5, 3)
    return _rearranged(b, x, split, perm, node.out_shape)


@lowers("SpaceToDepth")
def lower_space_to_depth(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    n, c, h, w = shape_of(x)
    s = node.attrs["blocksize"]
    split = (n, c, h // s, s, w // s, s)
    if node.attrs.get("mode", "DCR") == "CRD":
        return _rearranged(b, x, split, (0, 1, 3, 5, 2, 4), node.out_shape)
    return _rearranged(b, x, split, (0, 3, 5, 1, 2, 4), node.out_shape)


def _rearranged(
    b: GraphBuilder,
    x: SSAValue,
    split: tuple[int, ...],
    perm: Sequence[int],
    out_shape: tuple[int, ...],
) -> SSAValue:
    """x seen as ``split``, its dims in the order ``perm``, then merged to ``out_shape``."""
    strides = row_major(split)
    moved = b.view(x, [split[p] for p in perm], [strides[p] for p in perm])
    return b.reshape(moved, out_shape)


@lowers("Shape")
def lower_shape(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    shape = shape_of(node.required(0))
    start, end = node.attrs.get("start", 0), node.attrs.get("end")
    return b.constant(np.array(shape[start:end], np.int64), "shape")


@lowers("Size")
def lower_size(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return b.constant(np.array(np.prod(shape_of(node.required(0)), dtype=np.int64)), "size")


@lowers("ConstantOfShape")
def lower_constant_of_shape(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    value = np.asarray(node.attrs.get("value", np.zeros(1, np.float32)))
    return _filled(b, value.reshape(()), node.out_shape)


def _filled(b: GraphBuilder, value: np.ndarray, shape: Sequence[int]) -> SSAValue:
    """A tensor of one value: a literal while it is small, else one element seen many times."""
    if np.prod(shape) <= LITERAL_ELEMENTS:
        return b.constant(np.full(shape, value), "filled")
    return b.view(b.constant(value), shape, [0] * len(shape))


@lowers("Range")
def lower_range(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """``start + i * delta``; the number of steps is static."""
    (count,) = node.out_shape
    name = element_name(node.out_dtype)
    steps = axis_numbers(b, 1, 0, count)
    start, delta = node.required(0), node.required(2)
    working = "f32" if name in ("f16", "bf16") else name

    def place(body: BodyBuilder, step: int, start: int, delta: int) -> int:
        offset = body.mul(body.cast(step, working), body.cast(delta, working))
        return body.cast(body.add(body.cast(start, working), offset), name)

    return map_scalars(b, node, (steps, start, delta), place)


@lowers("EyeLike")
def lower_eye_like(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    rows, cols = node.out_shape
    return b.constant(np.eye(rows, cols, node.attrs["k"]).astype(node.out_dtype), "eye")


@lowers("Trilu")
def lower_trilu(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Keep where ``column - row`` is at least (upper) or at most (lower) the diagonal ``k``."""
    x, k = node.required(0), node.input(1)
    rank = len(node.out_shape)
    row, column = (axis_numbers(b, rank, a, node.out_shape[a]) for a in (rank - 2, rank - 1))
    if k is None:
        k = b.constant(np.array(0, np.int64))
    how = "ge" if node.attrs["upper"] else "le"

    def keep(body: BodyBuilder, x: int, row: int, column: int, k: int) -> int:
        kept = compare(body, how, body.sub(column, row), k)
        return body.select(kept, x, body.const(0, body.types[x]))

    return map_scalars(b, node, (x, row, column, k), keep)


@lowers("ReverseSequence")
def lower_reverse_sequence(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Along time, position t of a sequence of n reads n - 1 - t while t < n."""
    x, lengths = node.required(0), node.required(1)
    shape, rank = node.out_shape, len(node.out_shape)
    time, batch = (normalise_axis(node.attrs[f"{a}_axis"], rank) for a in ("time", "batch"))
    steps = axis_numbers(b, rank, time, shape[time])
    lengths = b.reshape(lengths, [n if i == batch else 1 for i, n in enumerate(shape)])
    body = b.body(steps, lengths)
    mirrored = body.sub(body.sub(1, body.const(1, "i64")), 0)
    source = body.select(body.cmp("slt", 0, 1), mirrored, 0)
    positions = b.map([steps, lengths], body.finish(source))
    return b.gather(x, b.expand(positions, shape), mode="elements", axis=time)


@lowers("OneHot")
def lower_one_hot(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Negative indices count from the end; those out of range give no hot value."""
    indices, values = node.required(0), node.required(2)
    rank = len(node.out_shape)
    axis = normalise_axis(node.attrs["axis"], rank)
    depth = node.out_shape[axis]
    shape = list(shape_of(indices))
    spread = b.reshape(indices, [*shape[:axis], 1, *shape[axis:]])
    name = element_name(dtype_of(indices))
    off, on = (element(b, values, i) for i in (0, 1))

    def hot(body: BodyBuilder, index: int, place: int, off: int, on: int) -> int:
        index = body.cast(body.unsigned(index, name), "i64")
        below = compare(body, "lt", index, body.const(0, "i64"))
        index = body.select(below, body.add(index, body.const(depth, "i64")), index)
        return body.select(compare(body, "eq", index, place), on, off)

    places = axis_numbers(b, rank, axis, depth)
    return map_scalars(b, node, (spread, places, off, on), hot)
