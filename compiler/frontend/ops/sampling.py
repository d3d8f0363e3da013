"""Operators that read pixels at computed positions.

GridSample, RoiAlign, DeformConv  ->  gathers of the pixels around them, weighted by maps
AffineGrid                        ->  a product of a constant grid with the affine matrices
"""

from functools import reduce
from math import prod
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..derive_constants import cast, reshaped
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..matrix_product import is_float, multiply
from ..sample_pixels import Sampling, sample_grid, sample_pixels, weighted_taps
from ..window_geometry import tap_coordinates, window_of
from .scalar_formulas import extreme

_LINEAR = Sampling("linear", "zeros")


@lowers("GridSample")
def lower_grid_sample(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Nearest, linear or cubic sampling of any number of spatial dims."""
    x, grid = node.required(0), node.required(1)
    if 0 in shape_of(x) or 0 in node.out_shape or not (is_float(x) and is_float(grid)):
        raise NotLowered("GridSample of integers or of an empty tensor")
    attrs: dict[str, Any] = node.attrs
    how = Sampling(attrs["mode"], attrs["padding_mode"], bool(attrs["align_corners"]))
    return b.cast(sample_grid(b, _wide(b, x), _wide(b, grid), how), dtype_of(x))


def _wide(b: GraphBuilder, x: SSAValue) -> SSAValue:
    return cast(b, x, np.float32) if dtype_of(x).itemsize == 2 else x


@lowers("AffineGrid")
def lower_affine_grid(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Positions [N, space.., dims] in [-1, 1], innermost dim first, each moved by a matrix."""
    theta, space = node.required(0), node.out_shape[1:-1]
    axes = [_centres(n, bool(node.attrs["align_corners"])) for n in space]
    grids = np.meshgrid(*axes, indexing="ij")[::-1]
    points = np.stack([*grids, np.ones(space)]).reshape(len(space) + 1, -1)
    moved = multiply(b, theta, b.constant(points.astype(dtype_of(theta)), "grid"))
    return b.reshape(b.transpose(moved, [0, 2, 1]), node.out_shape)


def _centres(n: int, align_corners: bool) -> np.ndarray:
    """``n`` positions in [-1, 1]: those of pixel centres, or from corner to corner.

    A single corner is the upper one, as in ONNX Runtime.
    """
    return np.linspace(1, -1, n)[::-1] if align_corners else (2 * np.arange(n) + 1) / n - 1


@lowers("RoiAlign")
def lower_roi_align(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Each bin of a region: the mean (or the largest weighted pixel) of its sampling points."""
    x, regions, batch = (node.required(i) for i in range(3))
    points = int(node.attrs["sampling_ratio"])
    if points <= 0:
        raise NotLowered("RoiAlign with as many sampling points as a region is large")
    if not is_float(x) or dtype_of(x) != dtype_of(regions):
        raise NotLowered("RoiAlign of regions in another type than the image")
    count, channels, *bins = node.out_shape
    x, regions = _wide(b, x), _wide(b, regions)
    space = shape_of(x)[2:]
    places = _region_points(b, regions, bins, points, node.attrs)
    pixels = b.constant(np.array(prod(space)), "pixels")
    first = b.reshape(b.binary("mul", b.cast(batch, np.dtype(np.int64)), pixels), (count, 1))
    inside = _near_image(b, places, space)
    taps = [
        b.binary("mul", pixel, b.binary("mul", weight, inside))
        for pixel, weight in weighted_taps(b, x, places, first, Sampling("linear", "border"))
    ]
    largest = node.attrs["mode"] == "max"
    joined = reduce(lambda a, c: _larger(b, a, c) if largest else b.binary("add", a, c), taps)
    grid = b.reshape(joined, (count, bins[0], points, bins[1], points, channels))
    y = b.transpose(b.reduce(grid, "max" if largest else "mean", [2, 4]), [0, 3, 1, 2])
    return b.cast(y, node.out_dtype)


def _larger(b: GraphBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    body = b.body(x, y)
    return b.map([x, y], body.finish(extreme(body, "max", 0, 1)))


def _region_points(
    b: GraphBuilder, regions: SSAValue, bins: list[int], points: int, attrs: dict[str, Any]
) -> list[SSAValue]:
    """Pixel coordinates [R, P] by dim (y, x) of the sampling points of regions [R, 4] (x, y twice).

    P runs over bins and points in the order [bin y, point y, bin x, point x].
    """
    half_pixel = attrs["coordinate_transformation_mode"] == "half_pixel"
    count = shape_of(regions)[0]
    in_bins = np.meshgrid(*[(np.arange(n * points) + 0.5) / points for n in bins], indexing="ij")
    places = []
    for axis, n in enumerate(bins):
        at = b.constant(in_bins[axis].reshape(1, -1).astype(dtype_of(regions)), "points")
        start, end = (b.view(regions, (count, 1), (4, 0), 1 - axis + i) for i in (0, 2))
        body = b.body(start, end, at)
        name = body.types[0]
        scale = body.const(float(attrs["spatial_scale"]), name)
        shift = body.const(0.5 if half_pixel else 0.0, name)
        low, high = (body.sub(body.mul(i, scale), shift) for i in (0, 1))
        length = body.sub(high, low)
        if not half_pixel:
            length = extreme(body, "max", length, body.const(1.0, name))
        size = body.binary("divf", length, body.const(float(n), name))
        result = body.add(low, body.mul(2, size))
        places.append(b.map([start, end, at], body.finish(result)))
    return places


def _near_image(b: GraphBuilder, places: list[SSAValue], space: tuple[int, ...]) -> SSAValue:
    """1 where a point [N, P] is at most one pixel outside the image, else 0: [N, P, 1]."""
    body = b.body(*places)
    name = body.types[0]
    one, zero = body.const(1.0, name), body.const(0.0, name)
    near = one
    for d, size in enumerate(space):
        low = body.cmp("oge", d, body.const(-1.0, name))
        high = body.cmp("ole", d, body.const(float(size), name))
        near = body.select(body.binary("andi", low, high), near, zero)
    return b.reshape(b.map(places, body.finish(near)), (*shape_of(places[0]), 1))


@lowers("DeformConv")
def lower_deform_conv(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """A convolution whose taps are moved by computed offsets, and weighted by a computed mask."""
    x, weight, offset = (node.required(i) for i in range(3))
    bias, mask = node.input(3), node.input(4)
    if not is_float(x) or dtype_of(x).itemsize == 2:
        raise NotLowered(f"DeformConv of {dtype_of(x)}")
    batch, channels, *space = shape_of(x)
    out_channels, own_channels, *kernel = shape_of(weight)
    out, taps = node.out_shape[2:], prod(kernel)
    parts, groups = int(node.attrs["offset_group"]), int(node.attrs["group"])
    window = window_of(node, space, kernel, out)
    regular = tap_coordinates(window, out).transpose(0, 2, 1)  # [dims, taps, positions]
    lead, positions = batch * parts, prod(out)
    moves = b.reshape(offset, (lead, taps, len(kernel), positions))
    places = []
    for axis in range(len(kernel)):
        own = b.reshape(b.slice_axis(moves, 2, axis, 1), (lead, taps, positions))
        start = b.constant(regular[axis].astype(dtype_of(x)), "taps")
        places.append(b.reshape(b.binary("add", own, start), (lead, taps * positions)))
    planes = b.reshape(x, (lead, channels // parts, *space))
    pixels = sample_pixels(b, planes, places, _LINEAR)
    columns = b.reshape(pixels, (batch, parts, channels // parts, taps, positions))
    if mask is not None:
        factors = b.reshape(mask, (batch, parts, 1, taps, positions))
        columns = b.binary("mul", columns, factors)
    columns = b.reshape(columns, (batch, groups, own_channels * taps, positions))
    matrix = reshaped(b, weight, (groups, out_channels // groups, own_channels * taps))
    y = b.reshape(multiply(b, matrix, columns), (batch, out_channels, positions))
    if bias is not None:
        y = b.binary("add", y, reshaped(b, bias, (out_channels, 1)))
    return b.reshape(y, node.out_shape)
