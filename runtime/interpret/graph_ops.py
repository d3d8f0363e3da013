"""What the operations of the ``graph`` level compute, as plain array functions.

``linear``, ``conv``, ``softmax`` and ``norm`` are written out here; every other operation is a
kernel and runs as the vector engine runs it. The 16-bit floats are computed in float32.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import DictionaryAttr
from xdsl.ir import Operation, SSAValue

from ...dialects import graph
from ...dialects.kernel import Kernel
from ...dialects.shapes import im2col_shape
from ...dialects.tensor_ops import TensorOp, window_attrs
from ...dialects.types import dtype_of, shape_of
from ...errors import IRError
from ..execute.host import run_host
from ..execute.kernels.dtypes import accumulator
from ..execute.vector import run_kernel


def run_graph_op(op: Operation, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of one ``graph`` operation (or digital ``tile`` operation) but ``constant``.

    Raises IRError for an operation that has no meaning here, ProgramError where a kernel refuses
    its operands.
    """
    match op:
        case TensorOp():
            return run_tensor_op(op, inputs)
        case graph.LinearOp():
            return [linear(*inputs)]
        case graph.ConvOp():
            return [_run_conv(op, inputs)]
        case graph.SoftmaxOp():
            return [softmax(inputs[0], op.axis.value.data, log=op.log is not None)]
        case graph.NormOp():
            return [_run_norm(op, inputs)]
    raise IRError(f"'{op.name}' cannot be interpreted", where=op.name)


def run_tensor_op(op: TensorOp, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The results of a digital operation of any level."""
    kernel = op.kernel
    if kernel.kind == "host":
        return run_host(kernel.attrs["model"], inputs)
    (result,) = op.results
    return [run_kernel(kernel, inputs, shape_of(result), dtype_of(result))]


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """``x [.., K] @ weight [K, N] + bias [N]``."""
    wide = accumulator(x.dtype)
    y = np.matmul(x.astype(wide, copy=False), weight.astype(wide, copy=False))
    if bias is not None:
        y += bias
    return y.astype(x.dtype, copy=False)


def product(x: np.ndarray, matrices: np.ndarray, window: DictionaryAttr | None) -> np.ndarray:
    """``x`` times stored ``matrices [G, K, N]``; the rows that ``window`` makes of x, if there is
    one."""
    if window is not None:
        attrs = window_attrs(window)
        x = run_kernel(Kernel("window", attrs), [x], im2col_shape(attrs, x.shape), x.dtype)
    return linear(x, matrices[0] if x.ndim == 2 else matrices)


def conv(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    out_shape: Sequence[int],
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Convolution of ``x [N, C, spatial]`` with ``weight [O, C/groups, kernel]`` as one product."""
    batch, channels, *spatial = out_shape
    kernel = weight.shape[2:]
    depth = prod(weight.shape[1:])
    positions = batch * prod(spatial)
    fields: dict[str, Any] = {
        "kind": "im2col",
        "kernel": kernel,
        "strides": tuple(strides),
        "dilations": tuple(dilations),
        "low": tuple(low),
        "high": tuple(high),
        "groups": groups,
        "count_include_pad": False,
        "channels_last": False,
    }
    cols_shape = (positions, depth) if groups == 1 else (groups, positions, depth)
    cols = run_kernel(Kernel("window", fields), [x], cols_shape, x.dtype)
    wide = accumulator(x.dtype)
    matrices = weight.reshape(groups, -1, depth).swapaxes(1, 2).astype(wide, copy=False)
    y = np.matmul(cols.reshape(groups, positions, depth).astype(wide, copy=False), matrices)
    y = np.moveaxis(y.reshape(groups, batch, *spatial, -1), (0, -1), (1, 2))
    y = y.reshape(batch, channels, *spatial)
    if bias is not None:
        y = y + bias.reshape(-1, *[1] * len(spatial))
    return np.ascontiguousarray(y, x.dtype)


def conv_transposed(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    out_shape: Sequence[int],
    *,
    strides: Sequence[int],
    dilations: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    groups: int,
) -> np.ndarray:
    """ONNX ConvTranspose: a convolution of the spread-out input with the mirrored kernel."""
    rank = len(strides)
    spans = [d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True)]
    before = (0, 0, *[s - p for s, p in zip(spans, low, strict=True)])
    after = (0, 0, *[s - p for s, p in zip(spans, high, strict=True)])
    interior = (0, 0, *[s - 1 for s in strides])
    sizes = zip(x.shape, before, after, interior, strict=True)
    spread = tuple(n + lo + hi + max(n - 1, 0) * gap for n, lo, hi, gap in sizes)
    fields = {"low": before, "high": after, "interior": interior, "mode": "constant", "value": 0.0}
    x = run_kernel(Kernel("pad", fields), [x], spread, x.dtype)
    grouped = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    mirrored = np.flip(grouped, tuple(range(3, 3 + rank)))
    forward = mirrored.reshape(-1, *mirrored.shape[2:])
    ones, zeros = (1,) * rank, (0,) * rank
    return conv(
        x, forward, bias, out_shape,
        strides=ones, dilations=dilations, low=zeros, high=zeros, groups=groups,
    )  # fmt: skip


def softmax(x: np.ndarray, axis: int, *, log: bool = False) -> np.ndarray:
    """Softmax along ``axis``, or its logarithm; shifted by the maximum, so that it stays finite.

    Every step is rounded to the type of ``x``; 16-bit floats are summed in float32.
    """
    if x.size == 0:
        return x.copy()
    with np.errstate(all="ignore"):
        shifted = x - x.max(axis=axis, keepdims=True)
        exponential = np.exp(shifted)
        wide = exponential.sum(axis=axis, keepdims=True, dtype=accumulator(x.dtype))
        total = wide.astype(x.dtype, copy=False)
        y = shifted - np.log(total) if log else exponential / total
    return cast(np.ndarray, y)


def norm(
    x: np.ndarray,
    axes: Sequence[int],
    epsilon: float,
    *,
    center: bool = True,
    scale: np.ndarray | None = None,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """Layer (``center``) or RMS normalisation over ``axes``."""
    wide = x.astype(accumulator(x.dtype), copy=False)
    over = tuple(axes)
    with np.errstate(all="ignore"):
        if center:
            wide = wide - wide.mean(axis=over, keepdims=True)
        variance = np.mean(np.square(wide), axis=over, keepdims=True)
        y = wide / np.sqrt(variance + wide.dtype.type(epsilon))
        if scale is not None:
            y = y * scale
        if bias is not None:
            y = y + bias
    return cast(np.ndarray, y.astype(x.dtype, copy=False))


def _run_conv(op: graph.ConvOp, inputs: Sequence[np.ndarray]) -> np.ndarray:
    x, weight, *bias = inputs
    run = conv_transposed if op.transposed is not None else conv
    return run(
        x,
        weight,
        bias[0] if bias else None,
        shape_of(op.result),
        strides=cast(Sequence[int], op.strides.get_values()),
        dilations=cast(Sequence[int], op.dilations.get_values()),
        low=cast(Sequence[int], op.low.get_values()),
        high=cast(Sequence[int], op.high.get_values()),
        groups=op.groups.value.data,
    )


def _run_norm(op: graph.NormOp, inputs: Sequence[np.ndarray]) -> np.ndarray:
    given: dict[SSAValue, np.ndarray] = dict(zip(op.operands, inputs, strict=True))
    return norm(
        inputs[0],
        cast(Sequence[int], op.axes.get_values()),
        op.epsilon.value.data,
        center=bool(op.center.value.data),
        scale=None if op.scale is None else given[op.scale],
        bias=None if op.bias is None else given[op.bias],
    )
