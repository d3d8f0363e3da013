"""Resize along each axis by indices or weighted taps.

Positions are constants, or computed where a scale or a region is known only while running.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import is_float
from ....dialects.types import dtype_of, element_name, shape_of
from ....errors import ModelError
from ..computed_operands import element
from ..derive_constants import cast
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..resize_taps import (
    F32,
    F64,
    RADIUS,
    nearest_index,
    normalised,
    source_position,
    tap_index,
    tap_offsets,
    tap_weight,
    within,
    without_idle_taps,
)
from ..traced_formula import Operand, as_value, constant_or_value, evaluate
from .computed_movement import shrinking_first, where_all
from .scalar_formulas import normalise_axis


@dataclass(frozen=True, slots=True)
class AxisResize:
    """One axis: ``size`` positions become ``out``.

    ``scale`` is a float32 scalar; ``positions`` float32 [out] are those in the input. Both may be
    computed while running.
    """

    axis: int
    size: int
    out: int
    scale: Operand
    positions: Operand

    @property
    def least_scale(self) -> float:
        """What ``scale`` is, or is at least: by rounding, ``out`` is at most a half too large."""
        if isinstance(self.scale, np.ndarray):
            return float(self.scale)
        return (self.out - 0.5) / self.size


@lowers("Resize")
def lower_resize(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """One gather or resample for each axis whose positions move."""
    x, mode = node.required(0), str(node.attrs["mode"])
    crops = node.attrs["coordinate_transformation_mode"] == "tf_crop_and_resize"
    if shape_of(x) == node.out_shape and not crops:
        return x  # as ONNX Runtime, whatever the scales say
    if mode != "nearest" and mode not in RADIUS:
        raise NotLowered(f"Resize with mode {mode}")
    if mode != "nearest" and not is_float(element_name(dtype_of(x))):
        raise NotLowered(f"Resize {mode} of integers, which ONNX Runtime rounds in its own way")
    resizes = _resizes(b, node)
    # weights are float32, sums of half-precision tensors too
    y = cast(b, x, F32) if mode != "nearest" and dtype_of(x).itemsize == 2 else x
    for r in resizes:
        y = _nearest(b, node, y, r) if mode == "nearest" else _interpolated(b, node, y, r)
    y = b.expand(b.cast(y, dtype_of(x)), node.out_shape)
    return _extrapolated(b, node, y, resizes) if crops else y


def _nearest(b: GraphBuilder, node: OnnxNode, x: SSAValue, r: AxisResize) -> SSAValue:
    rounding = str(node.attrs["nearest_mode"])
    indices = evaluate(b, lambda at: nearest_index(at, r.size, rounding), r.positions)
    return (
        x if _keeps(indices, r.size) else b.gather(x, as_value(b, indices, "nearest"), axis=r.axis)
    )


def _interpolated(b: GraphBuilder, node: OnnxNode, x: SSAValue, r: AxisResize) -> SSAValue:
    """``antialias`` widens the filter by 1/scale where it shrinks. Taps outside the input repeat
    its border, or are left out with ``exclude_outside``; weights add up to 1."""
    mode, antialias = str(node.attrs["mode"]), bool(node.attrs["antialias"])
    if antialias and r.out == r.size:
        return x  # as ONNX Runtime, whatever the scale says
    clips = mode == "linear" and not antialias
    weigh = partial(
        tap_weight,
        size=r.size,
        mode=mode,
        exclude_outside=bool(node.attrs["exclude_outside"]),
        cubic_a=float(node.attrs["cubic_coeff_a"]),
    )
    shrink: Operand = np.array(1.0)
    if antialias:
        shrink = evaluate(b, lambda scale: np.minimum(scale.astype(F64), 1.0), r.scale)
    at = evaluate(b, lambda p: within(p.astype(F64), r.size if clips else None), _column(b, r))
    offsets = tap_offsets(mode, min(r.least_scale, 1.0) if antialias else 1.0)[None]
    taps = evaluate(b, lambda at, offset: tap_index(at, offset, r.size), at, offsets)
    weights = evaluate(b, weigh, at, offsets, shrink)
    if isinstance(weights, np.ndarray):
        total: Operand = weights.sum(1, keepdims=True)
    else:
        total = b.reduce(weights, "sum", [1], keepdims=True)
    weights = evaluate(b, normalised, weights, total)
    if isinstance(weights, np.ndarray) and isinstance(taps, np.ndarray):
        taps, weights = without_idle_taps(taps, weights)
        if taps.shape[1] == 1 and _keeps(taps[:, 0], r.size):
            return x
    return b.resample(x, r.axis, as_value(b, taps, "taps"), as_value(b, weights, "tap_weights"))


def _extrapolated(
    b: GraphBuilder, node: OnnxNode, y: SSAValue, resizes: list[AxisResize]
) -> SSAValue:
    """The extrapolation value where the position lies outside the input along any axis."""
    inside = []
    for r in resizes:
        within_axis = evaluate(b, lambda at, r=r: (at >= 0) & (at <= r.size - 1), r.positions)
        if not isinstance(within_axis, np.ndarray) or not within_axis.all():
            along = [r.out if i == r.axis else 1 for i in range(len(node.out_shape))]
            inside.append(b.reshape(as_value(b, within_axis), along))
    value = np.array(node.attrs["extrapolation_value"]).astype(dtype_of(y))
    return where_all(b, inside, y, b.constant(value))


def _keeps(indices: Operand, size: int) -> bool:
    """Whether ``indices`` are known to be 0 to ``size`` - 1 in order."""
    return isinstance(indices, np.ndarray) and np.array_equal(indices, np.arange(size))


def _column(b: GraphBuilder, r: AxisResize) -> Operand:
    if isinstance(r.positions, np.ndarray):
        return r.positions[:, None]
    return b.reshape(r.positions, (r.out, 1))


def _regions(b: GraphBuilder, node: OnnxNode, count: int) -> list[Operand]:
    """The starts and ends of the regions to be cropped. Raises ModelError where there are none."""
    given = node.input(1)
    if given is None or shape_of(given) != (count,):
        came = "none" if given is None else f"{list(shape_of(given))}"
        raise ModelError(
            f"tf_crop_and_resize needs a roi of {count} numbers, it has {came}", where=node.name
        )
    return _elements(b, given, count)


def _resizes(b: GraphBuilder, node: OnnxNode) -> list[AxisResize]:
    """The resized axes of more than one element (which is all that an axis of one can repeat).

    Those that shrink come first, so that the others move less.
    """
    x, out = shape_of(node.required(0)), node.out_shape
    if 0 in x or 0 in out:
        raise NotLowered("Resize of an empty tensor")
    rank = len(x)
    given = node.attrs.get("axes")
    axes = [normalise_axis(int(a), rank) for a in given] if given else list(range(rank))
    how = str(node.attrs["coordinate_transformation_mode"])
    crops = how == "tf_crop_and_resize"
    regions = _regions(b, node, 2 * len(axes)) if crops else []
    found = {}
    for place, (axis, scale) in enumerate(zip(axes, _scales(b, node, axes), strict=True)):
        if x[axis] == 1:
            continue
        sizes = x[axis], out[axis]
        # elsewhere the sizes alone tell the positions
        told = not crops and (how != "align_corners" or sizes[0] == sizes[1])
        operands = [np.arange(out[axis], dtype=F32), scale if told else np.array(F32(1))]
        operands += [regions[place], regions[place + len(axes)]] if crops else []
        positions = evaluate(b, partial(source_position, how, *sizes), *operands)
        found[axis] = AxisResize(axis, *sizes, scale, positions)
    return [found[axis] for axis in shrinking_first(x, out) if axis in found]


def _scales(b: GraphBuilder, node: OnnxNode, axes: list[int]) -> list[Operand]:
    """The scale of each resized axis, from ``scales`` or ``sizes`` and the policy."""
    x, out = shape_of(node.required(0)), node.out_shape
    scales = node.input(2)
    if scales is not None and shape_of(scales) != (0,):
        return _elements(b, scales, len(axes))
    policy = str(node.attrs["keep_aspect_ratio_policy"])
    if policy == "stretch":
        return [np.array(F32(out[a]) / F32(x[a])) for a in axes]
    known = constant_or_value(b, node.required(3))
    own = np.array([x[a] for a in axes], F32)
    ratios = evaluate(b, lambda size, own: size.astype(F32) / own, known, own)
    if isinstance(ratios, np.ndarray):
        common: Operand = np.array(ratios.min() if policy == "not_larger" else ratios.max())
    else:
        common = b.reduce(ratios, "min" if policy == "not_larger" else "max", [0])
    return [common] * len(axes)


def _elements(b: GraphBuilder, values: SSAValue, count: int) -> list[Operand]:
    """The elements of a float vector as float32 scalars."""
    array = constant_or_value(b, values)
    if isinstance(array, np.ndarray):
        return [np.array(F32(v)) for v in array]
    return [b.cast(element(b, values, i), np.dtype(F32)) for i in range(count)]
