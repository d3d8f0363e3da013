"""Resize along each axis by constant indices or weighted taps."""

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, element_name, shape_of
from ..derive_constants import cast
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from ..resize_taps import AxisResize, nearest_indices, source_positions, weighted_taps
from .scalar_formulas import normalise_axis


@lowers("Resize")
def lower_resize(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """One gather or resample for each axis whose positions move."""
    x, mode = node.required(0), str(node.attrs["mode"])
    crops = node.attrs["coordinate_transformation_mode"] == "tf_crop_and_resize"
    if shape_of(x) == node.out_shape and not crops:
        return x  # as ONNX Runtime, whatever the scales say
    resizes = _resizes(b, node)
    if mode == "nearest":
        for r in resizes:
            indices = nearest_indices(r, str(node.attrs["nearest_mode"]))
            if not _keeps(indices, r.size):
                x = b.gather(x, b.constant(indices, "nearest"), axis=r.axis)
        return x
    if element_name(dtype_of(x)) not in ("f16", "bf16", "f32", "f64"):
        raise NotLowered(f"Resize {mode} of integers, which ONNX Runtime rounds in its own way")
    # weights are float32, sums of half-precision tensors too
    y = cast(b, x, np.float32) if element_name(dtype_of(x)) in ("f16", "bf16") else x
    for r in _smallest_first(resizes):
        indices, weights = weighted_taps(
            r,
            mode,
            antialias=bool(node.attrs["antialias"]),
            exclude_outside=bool(node.attrs["exclude_outside"]),
            cubic_a=float(node.attrs["cubic_coeff_a"]),
        )
        if indices.shape[1] == 1 and _keeps(indices[:, 0], r.size):
            continue
        y = b.resample(y, r.axis, indices, weights)
    return b.cast(y, dtype_of(x))


def _keeps(indices: np.ndarray, size: int) -> bool:
    return len(indices) == size and bool((indices == np.arange(size)).all())


def _smallest_first(resizes: list[AxisResize]) -> list[AxisResize]:
    """Axes that shrink come first, so that the others move less."""
    return sorted(resizes, key=lambda r: r.out / max(r.size, 1))


def _resizes(b: GraphBuilder, node: OnnxNode) -> list[AxisResize]:
    x, out = shape_of(node.required(0)), node.out_shape
    if 0 in x or 0 in out:
        raise NotLowered("Resize of an empty tensor")
    rank = len(x)
    given = node.attrs.get("axes")
    axes = [normalise_axis(int(a), rank) for a in given] if given else list(range(rank))
    scales = _scales(b, node, axes)
    how = str(node.attrs["coordinate_transformation_mode"])
    crops = _crops(b, node, len(axes)) if how == "tf_crop_and_resize" else [(0.0, 1.0)] * len(axes)
    found = []
    for axis, scale, crop in zip(axes, scales, crops, strict=True):
        positions = source_positions(how, x[axis], out[axis], scale, crop)
        outside = (positions < 0) | (positions > x[axis] - 1)
        if how == "tf_crop_and_resize" and outside.any():
            raise NotLowered("Resize that extrapolates outside its crop")
        found.append(AxisResize(axis, x[axis], out[axis], scale, positions))
    return found


def _scales(b: GraphBuilder, node: OnnxNode, axes: list[int]) -> list[float]:
    """The scale of each resized axis, from ``scales`` or ``sizes`` and the policy."""
    x, out = shape_of(node.required(0)), node.out_shape
    scales = node.input(2)
    if scales is not None and shape_of(scales) != (0,):
        array = b.const_of(scales)
        if array is None:
            raise NotLowered("scales are computed while running")
        return [float(s) for s in array]
    policy = str(node.attrs["keep_aspect_ratio_policy"])
    if policy == "stretch":
        return [float(np.float32(out[a]) / np.float32(x[a])) for a in axes]
    sizes = constant_ints(b, node.input(3), "sizes")
    assert sizes is not None
    ratios = [float(np.float32(s) / np.float32(x[a])) for s, a in zip(sizes, axes, strict=True)]
    common = min(ratios) if policy == "not_larger" else max(ratios)
    return [common] * len(axes)


def _crops(b: GraphBuilder, node: OnnxNode, count: int) -> list[tuple[float, float]]:
    roi = b.const_of(node.input(1))
    if roi is None or roi.size != 2 * count:
        raise NotLowered("Resize whose roi is computed while running")
    flat = [float(v) for v in roi]
    return list(zip(flat[:count], flat[count:], strict=True))
