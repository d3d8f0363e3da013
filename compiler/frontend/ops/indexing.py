"""Reads and writes at computed positions: ``graph.gather`` and ``graph.scatter``.

Gather(x, constant run of indices)  ->  view
GatherElements, GatherND, Gather    ->  gather
ScatterElements, ScatterND          ->  scatter
"""

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.shapes import row_major
from ....dialects.types import dtype_of, element_name, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import OnnxNode, lowers
from .scalar_formulas import axis_numbers, compare, finish, normalise_axis


@lowers("Gather")
def lower_gather(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    data, indices = node.required(0), node.required(1)
    axis = normalise_axis(node.attrs["axis"], data)
    run = _constant_run(b, indices, shape_of(data)[axis])
    if run is None:
        return b.gather(data, indices, mode="axis", axis=axis)
    start, step = run
    strides = row_major(shape_of(data))
    along = (step * strides[axis],) * len(shape_of(indices))
    offset = start * strides[axis]
    return b.view(data, node.out_shape, (*strides[:axis], *along, *strides[axis + 1 :]), offset)


def _constant_run(b: GraphBuilder, indices: SSAValue, size: int) -> tuple[int, int] | None:
    """(start, step) of constant equidistant indices of rank 0 or 1."""
    shape = shape_of(indices)
    if len(shape) > 1 or 0 in shape or not b.has_bytes(indices):
        return None
    array = b.const_of(indices)
    assert array is not None
    found = array.reshape(-1).astype(np.int64)
    found = np.where(found < 0, found + size, found)
    steps = np.unique(np.diff(found))
    if len(steps) > 1 or found.min() < 0 or found.max() >= size:
        return None
    return int(found[0]), int(steps[0]) if len(steps) else 0


@lowers("GatherElements")
def lower_gather_elements(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    data, indices = node.required(0), node.required(1)
    axis = normalise_axis(node.attrs["axis"], data)
    return b.gather(data, indices, mode="elements", axis=axis)


@lowers("GatherND")
def lower_gather_nd(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    batch = node.attrs["batch_dims"]
    return b.gather(node.required(0), node.required(1), mode="nd", batch_dims=batch)


@lowers("ScatterElements", "Scatter")
def lower_scatter_elements(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    data = node.required(0)
    return b.scatter(
        data,
        node.required(1),
        node.required(2),
        mode="elements",
        axis=normalise_axis(node.attrs["axis"], data),
        reduction=node.attrs.get("reduction", "none"),
    )


@lowers("ScatterND")
def lower_scatter_nd(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    operands = [node.required(i) for i in range(3)]
    return b.scatter(*operands, mode="nd", reduction=node.attrs["reduction"])


@lowers("TensorScatter")
def lower_tensor_scatter(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """A key/value cache updated at one position a sample, around the end when ``circular``."""
    cache, update, start = node.required(0), node.required(1), node.input(2)
    shape = shape_of(update)
    axis = normalise_axis(node.attrs["axis"], cache)
    positions = axis_numbers(b, len(shape), axis, shape[axis])
    if start is not None:
        positions = _shifted(
            b, positions, b.reshape(start, (shape[0], *[1] * (len(shape) - 1))),
            shape_of(cache)[axis] if node.attrs["mode"] == "circular" else None,
        )  # fmt: skip
    return b.scatter(cache, b.expand(positions, shape), update, mode="elements", axis=axis)


def _shifted(b: GraphBuilder, positions: SSAValue, start: SSAValue, period: int | None) -> SSAValue:
    body: BodyBuilder = b.body(positions, start)
    total = body.add(0, body.cast(1, element_name(dtype_of(positions))))
    if period is not None:
        size = body.const(period, "i64")
        total = body.binary("remsi", total, size)
        below = compare(body, "lt", total, body.const(0, "i64"))
        total = body.select(below, body.add(total, size), total)
    return b.map([positions, start], finish(body, total, dtype_of(positions)))
