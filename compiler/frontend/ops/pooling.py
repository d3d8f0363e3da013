"""Pooling windows: maximum, mean and p-norm."""

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.types import dtype_of, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..window_geometry import Window, window_of


def _pool(
    b: GraphBuilder, x: SSAValue, node: OnnxNode, kind: str, *, include_pad: bool = False
) -> tuple[SSAValue, Window]:
    window = window_of(node, shape_of(x)[2:], node.attrs["kernel_shape"], node.out_shape[2:])
    y = b.window(
        [x],
        node.out_shape,
        kind=kind,
        kernel=window.kernel,
        count_include_pad=include_pad,
        strides=window.strides,
        dilations=window.dilations,
        low=window.low,
        high=window.high,
    )
    return y, window


@lowers("MaxPool")
def lower_max_pool(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Window maximum; padding never wins."""
    if len(node.outputs) > 1 and node.outputs[1] is not None:
        raise NotLowered("MaxPool with the output Indices")
    y, _ = _pool(b, node.required(0), node, "max")
    return [y, None][: len(node.outputs)]


@lowers("AveragePool")
def lower_average_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Window mean over the positions that exist, with or without the padding."""
    include = bool(node.attrs["count_include_pad"])
    return _pool(b, node.required(0), node, "mean", include_pad=include)[0]


@lowers("LpPool")
def lower_lp_pool(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Window p-norm: the mean of the powers, times the positions that it was divided by."""
    x, p = node.required(0), int(node.attrs["p"])
    mean, window = _pool(b, _power(b, x, p), node, "mean", include_pad=True)
    return _root(b, mean, p, _positions(window, shape_of(x)[2:], node.out_shape[2:]))


def _positions(window: Window, size: tuple[int, ...], out: tuple[int, ...]) -> np.ndarray:
    """Positions of each window inside the padded input, [out spatial...] or [1...]."""
    counts: np.ndarray = np.ones(())
    for i, n in enumerate(out):
        starts = np.arange(n) * window.strides[i]
        taps = starts[:, None] + np.arange(window.kernel[i]) * window.dilations[i]
        inside = (taps < window.low[i] + size[i] + window.high[i]).sum(1)
        counts = np.multiply.outer(counts, inside)
    return counts.reshape(-1)[:1].reshape((1,) * len(out)) if np.ptp(counts) == 0 else counts


def _power(b: GraphBuilder, x: SSAValue, p: int) -> SSAValue:
    """``|x| ** p``."""
    body = b.body(x)
    if p == 2:
        return b.map([x], body.finish(body.mul(0, 0)))
    size = body.unary("absf", 0)
    return b.map([x], body.finish(size if p == 1 else _pow(body, size, float(p))))


def _root(b: GraphBuilder, x: SSAValue, p: int, factor: np.ndarray | None = None) -> SSAValue:
    """``(x * factor) ** (1/p)``."""
    ins = [x]
    if factor is not None:
        ins.append(b.constant(factor.astype(dtype_of(x)), "positions"))
    body = b.body(*ins)
    total = 0 if factor is None else body.mul(0, 1)
    if p == 1:
        result = total
    elif p == 2:
        result = body.unary("sqrt", total)
    else:
        result = _pow(body, total, 1 / p)
    return b.map(ins, body.finish(result))


def _pow(body: BodyBuilder, x: int, exponent: float) -> int:
    return body.binary("powf", x, body.const(exponent, body.types[x]))
