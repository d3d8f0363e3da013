"""Sampling at computed positions: gathers of the corner pixels, weighted by one map.

A position in [-1, 1] by spatial dim becomes a pixel coordinate; linear sampling takes the corners
around it, nearest sampling one. Pixels are rows ``[batch*space, channels]`` of the input.
"""

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ...dialects.body import BodyBuilder
from ...dialects.shapes import row_major
from ...dialects.types import dtype_of, element_name, shape_of
from .graph_builder import GraphBuilder


@dataclass(frozen=True, slots=True)
class Sampling:
    """How coordinates become pixels: ``padding`` is zeros, border or reflection."""

    nearest: bool
    padding: str
    align_corners: bool


def sample_grid(b: GraphBuilder, x: SSAValue, grid: SSAValue, how: Sampling) -> SSAValue:
    """x [N, C, space..] (float) at grid [N, out.., dims] (innermost dim first): [N, C, out..]."""
    batch, channels, *space = shape_of(x)
    out, dims = shape_of(grid)[1:-1], len(space)
    count = prod(out)
    rows = b.reshape(
        b.transpose(b.reshape(x, (batch, channels, prod(space))), [0, 2, 1]),
        (batch * prod(space), channels),
    )
    # one [N, P] column of the grid for each dim, outermost dim first
    columns = [b.view(grid, (batch, count), (count * dims, dims), d) for d in range(dims)][::-1]
    first = b.constant((np.arange(batch) * prod(space)).reshape(batch, 1), "first_pixel")
    corners = [(0,) * dims] if how.nearest else list(product((0, 1), repeat=dims))
    pixels, weights = [], []
    for corner in corners:
        index = _index(b, columns, first, space, corner, how)
        pixels.append(b.gather(rows, index))
        weights.append(b.reshape(_weight(b, columns, space, corner, how), (batch, count, 1)))
    mixed = _mix(b, pixels, weights)
    return b.reshape(b.transpose(mixed, [0, 2, 1]), (batch, channels, *out))


def _mix(b: GraphBuilder, pixels: list[SSAValue], weights: list[SSAValue]) -> SSAValue:
    """Sum of pixels [N, P, C] times weights [N, P, 1]."""
    body = b.body(*pixels, *weights)
    n = len(pixels)
    terms = [body.mul(i, body.cast(n + i, body.types[i])) for i in range(n)]
    total = terms[0]
    for term in terms[1:]:
        total = body.add(total, term)
    return b.map([*pixels, *weights], body.finish(total))


def _index(
    b: GraphBuilder,
    columns: list[SSAValue],
    first: SSAValue,
    space: list[int],
    corner: tuple[int, ...],
    how: Sampling,
) -> SSAValue:
    """Row numbers [N, P] of a corner's pixels, int64; outside ones are moved to the border."""
    body = b.body(*columns, first)
    total = len(columns)
    for d, (size, step) in enumerate(zip(space, row_major(tuple(space)), strict=True)):
        place, _ = _place(body, d, size, corner[d], how)
        inside = _bounded(body, place, 0, size - 1)
        number = body.op("fptosi", "i64", inside)
        total = body.add(total, body.mul(number, body.const(step, "i64")))
    return b.map([*columns, first], body.finish(total))


def _weight(
    b: GraphBuilder,
    columns: list[SSAValue],
    space: list[int],
    corner: tuple[int, ...],
    how: Sampling,
) -> SSAValue:
    """Weights [N, P] of a corner; 0 outside with zero padding."""
    body = b.body(*columns)
    name = element_name(dtype_of(columns[0]))
    one, zero = body.const(1.0, name), body.const(0.0, name)
    weight = one
    for d, size in enumerate(space):
        place, share = _place(body, d, size, corner[d], how)
        if not how.nearest:
            weight = body.mul(weight, share if corner[d] else body.sub(one, share))
        if how.padding == "zeros":
            low = body.cmp("oge", place, zero)
            high = body.cmp("ole", place, body.const(size - 1, name))
            weight = body.select(body.binary("andi", low, high), weight, zero)
    return b.map(columns, body.finish(weight))


def _place(
    body: BodyBuilder, column: int, size: int, corner: int, how: Sampling
) -> tuple[int, int]:
    """A corner's coordinate, a whole number, and the fraction behind the lower corner."""
    x = _pixel(body, column, size, how)
    if how.nearest:
        return _padded(body, body.unary("roundeven", x), size, how), x
    x = _padded(body, x, size, how)
    lower = body.unary("floor", x)
    name = body.types[x]
    place = body.add(lower, body.const(1.0, name)) if corner else lower
    return place, body.sub(x, lower)


def _pixel(body: BodyBuilder, x: int, size: int, how: Sampling) -> int:
    """The pixel coordinate of a position in [-1, 1]."""
    name = body.types[x]
    risen, half = body.add(x, body.const(1.0, name)), body.const(0.5, name)
    if how.align_corners:
        return body.mul(body.mul(risen, half), body.const(size - 1, name))
    scaled = body.mul(risen, body.const(size, name))
    return body.mul(body.sub(scaled, body.const(1.0, name)), half)


def _padded(body: BodyBuilder, x: int, size: int, how: Sampling) -> int:
    if how.padding == "border":
        return _bounded(body, x, 0, size - 1)
    if how.padding == "reflection":
        low, high = (0.0, size - 1.0) if how.align_corners else (-0.5, size - 0.5)
        return _reflected(body, x, low, high)
    return x


def _bounded(body: BodyBuilder, x: int, low: float, high: float) -> int:
    name = body.types[x]
    raised = body.binary("maximumf", x, body.const(low, name))
    return body.binary("minimumf", raised, body.const(high, name))


def _reflected(body: BodyBuilder, x: int, low: float, high: float) -> int:
    """``x`` mirrored at both bounds until it lies between them."""
    name = body.types[x]
    if high <= low:
        return body.const(low, name)
    length = body.const(high - low, name)
    period = body.const(2 * (high - low), name)
    start = body.const(low, name)
    offset = body.binary("remf", body.unary("absf", body.sub(x, start)), period)
    folded = body.select(body.cmp("ogt", offset, length), body.sub(period, offset), offset)
    return body.add(start, folded)
