"""Sampling at computed positions: gathers of the pixels around them, weighted by maps.

    linear   2 taps a dim   nearest   1   cubic   4, with the coefficients of a = -0.75

Positions are pixel coordinates, one tensor [N, P] for each spatial dim, outermost first; or a grid
in [-1, 1], which becomes such. Pixels are rows ``[batch * space, channels]`` of the input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Literal

import numpy as np
from xdsl.ir import SSAValue

from ...dialects.body import BodyBuilder
from ...dialects.shapes import row_major
from ...dialects.types import dtype_of, element_name, shape_of
from .graph_builder import GraphBuilder

#: Offsets of the taps from the pixel below the position, by mode.
TAPS = {"nearest": (0,), "linear": (0, 1), "cubic": (-1, 0, 1, 2)}
CUBIC_A = -0.75  # as PyTorch and ONNX Runtime, after Keys 1981


@dataclass(frozen=True, slots=True)
class Sampling:
    """How positions become pixels: ``padding`` is zeros, border or reflection."""

    mode: Literal["nearest", "linear", "cubic"]
    padding: Literal["zeros", "border", "reflection"]
    align_corners: bool = True


def sample_grid(b: GraphBuilder, x: SSAValue, grid: SSAValue, how: Sampling) -> SSAValue:
    """x [N, C, space..] (float) at grid [N, out.., dims] (innermost dim first): [N, C, out..]."""
    batch, channels, *space = shape_of(x)
    out, dims = shape_of(grid)[1:-1], len(space)
    count = prod(out)
    columns = [b.view(grid, (batch, count), (count * dims, dims), d) for d in range(dims)][::-1]
    places = [_pixel(b, c, size, how) for c, size in zip(columns, space, strict=True)]
    return b.reshape(sample_pixels(b, x, places, how), (batch, channels, *out))


def sample_pixels(
    b: GraphBuilder, x: SSAValue, places: Sequence[SSAValue], how: Sampling
) -> SSAValue:
    """x [N, C, space..] (float) at pixel coordinates ``places`` [N, P] by dim: [N, C, P]."""
    batch, _, *space = shape_of(x)
    first = b.constant((np.arange(batch) * prod(space)).reshape(batch, 1), "first_pixel")
    total: SSAValue | None = None
    for pixels, weight in weighted_taps(b, x, places, first, how):
        ins = [pixels, weight] if total is None else [pixels, weight, total]
        body = b.body(*ins)
        term = body.mul(0, body.cast(1, body.types[0]))
        total = b.map(ins, body.finish(term if total is None else body.add(2, term)))
    assert total is not None
    return b.transpose(total, [0, 2, 1])


def weighted_taps(
    b: GraphBuilder,
    x: SSAValue,
    places: Sequence[SSAValue],
    first: SSAValue,
    how: Sampling,
) -> list[tuple[SSAValue, SSAValue]]:
    """Pixels [N, P, C] and weights [N, P, 1] of every tap around ``places`` [N, P].

    ``first`` [N, 1] (int64) is the row of x seen as [batch * space, C] where the sample begins.
    """
    batch, channels, *space = shape_of(x)
    rows = b.reshape(
        b.transpose(b.reshape(x, (batch, channels, prod(space))), [0, 2, 1]),
        (batch * prod(space), channels),
    )
    found = []
    for tap in product(TAPS[how.mode], repeat=len(space)):
        pixels = b.gather(rows, _index(b, places, first, space, tap, how))
        weight = _weight(b, places, space, tap, how)
        found.append((pixels, b.reshape(weight, (*shape_of(places[0]), 1))))
    return found


def _index(
    b: GraphBuilder,
    places: Sequence[SSAValue],
    first: SSAValue,
    space: Sequence[int],
    tap: tuple[int, ...],
    how: Sampling,
) -> SSAValue:
    """Row numbers [N, P] of a tap's pixels, int64; outside ones are moved to the border."""
    body = b.body(*places, first)
    total = len(places)
    for d, (size, step) in enumerate(zip(space, row_major(tuple(space)), strict=True)):
        place, _ = _place(body, d, size, tap[d], how)
        number = body.op("fptosi", "i64", _bounded(body, place, 0, size - 1))
        total = body.add(total, body.mul(number, body.const(step, "i64")))
    return b.map([*places, first], body.finish(total))


def _weight(
    b: GraphBuilder,
    places: Sequence[SSAValue],
    space: Sequence[int],
    tap: tuple[int, ...],
    how: Sampling,
) -> SSAValue:
    """Weights [N, P] of a tap; 0 outside with zero padding."""
    body = b.body(*places)
    name = element_name(dtype_of(places[0]))
    zero = body.const(0.0, name)
    weight = body.const(1.0, name)
    for d, size in enumerate(space):
        place, beyond = _place(body, d, size, tap[d], how)
        if how.mode != "nearest":
            weight = body.mul(weight, _share(body, beyond, tap[d], how.mode))
        if how.padding == "zeros":
            low = body.cmp("oge", place, zero)
            high = body.cmp("ole", place, body.const(size - 1, name))
            weight = body.select(body.binary("andi", low, high), weight, zero)
    return b.map(list(places), body.finish(weight))


def _share(body: BodyBuilder, beyond: int, tap: int, mode: str) -> int:
    """The weight of the tap at offset ``tap`` for a position ``beyond`` the pixel at offset 0."""
    name = body.types[beyond]
    if mode == "linear":
        return beyond if tap else body.sub(body.const(1.0, name), beyond)
    distance = body.sub(beyond, body.const(float(tap), name))
    distance = body.unary("absf", distance)
    inner = (CUBIC_A + 2, -(CUBIC_A + 3), 0.0, 1.0)
    outer = (CUBIC_A, -5 * CUBIC_A, 8 * CUBIC_A, -4 * CUBIC_A)
    result = body.const(0.0, name)
    for coefficient in inner if tap in (0, 1) else outer:
        result = body.add(body.mul(result, distance), body.const(coefficient, name))
    return result


def _place(body: BodyBuilder, x: int, size: int, tap: int, how: Sampling) -> tuple[int, int]:
    """A tap's coordinate, a whole number, and the fraction behind the pixel at offset 0."""
    if how.mode == "nearest":
        return _padded(body, body.unary("roundeven", x), size, how), x
    if how.mode == "linear":
        x = _padded(body, x, size, how)
    lower = body.unary("floor", x)
    place = body.add(lower, body.const(float(tap), body.types[x])) if tap else lower
    beyond = body.sub(x, lower)
    # the taps of a cubic lie farther out than its position, so each is padded by itself
    return (_padded(body, place, size, how) if how.mode == "cubic" else place), beyond


def _pixel(b: GraphBuilder, column: SSAValue, size: int, how: Sampling) -> SSAValue:
    """The pixel coordinates of positions in [-1, 1]."""
    body = b.body(column)
    name = body.types[0]
    risen, half = body.add(0, body.const(1.0, name)), body.const(0.5, name)
    if how.align_corners:
        result = body.mul(body.mul(risen, half), body.const(size - 1, name))
    else:
        scaled = body.mul(risen, body.const(size, name))
        result = body.mul(body.sub(scaled, body.const(1.0, name)), half)
    return b.map([column], body.finish(result))


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
