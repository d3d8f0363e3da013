"""Fourier transforms as products with constant matrices of sines and cosines; signal windows.

    DFT(x [.., length, parts, ..])  ->  x [.., length * parts] times [length * parts, bins * parts]

The matrix is stationary, so a transform runs in the arrays like any other linear layer. Complex
numbers are pairs (real, imaginary) in the last dim.
"""

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from ..matrix_product import is_float
from .scalar_formulas import normalise_axis


@lowers("DFT")
def lower_dft(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """A transform along one axis; input beyond its length is cut off, missing input is zero."""
    x, inverse, onesided = node.required(0), node.attrs["inverse"], node.attrs["onesided"]
    shape, out = shape_of(x), node.out_shape
    given = constant_ints(b, node.input(2), "the axis")
    axis = normalise_axis(-2 if given is None else given[0], x)
    if not is_float(x) or axis == len(shape) - 1:
        raise NotLowered("DFT of integers or along the dim of real and imaginary parts")
    if onesided and not inverse:
        length = constant_ints(b, node.input(1), "the transform's length")
        points = shape[axis] if length is None else length[0]
    else:
        points = out[axis]
    if inverse and onesided and shape[axis] != points // 2 + 1:
        # numpy, ONNX Runtime and the operator's text have each their own extension
        raise NotLowered(f"{points} points from {shape[axis]} bins of half a spectrum")
    used = min(shape[axis], points)
    matrix = dft_matrix(used, points, out[axis], inverse=bool(inverse), onesided=bool(onesided))
    matrix = matrix[:, : shape[-1], :, : out[-1]]
    before, after = shape[:axis], shape[axis + 1 : -1]
    split = (prod(before), shape[axis], prod(after), shape[-1])
    rows = b.transpose(b.slice_axis(b.reshape(x, split), 1, 0, used), [0, 2, 1, 3])
    bins = _transform(b, rows, matrix)
    return b.reshape(b.transpose(bins, [0, 2, 1, 3]), out)


def _transform(b: GraphBuilder, x: SSAValue, matrix: np.ndarray) -> SSAValue:
    """x [.., length, parts] by ``matrix`` [length, parts, bins, parts]: [.., bins, parts]."""
    lead, rows = shape_of(x)[:-2], prod(matrix.shape[:2])
    table = matrix.reshape(rows, -1).astype(dtype_of(x))
    y = b.linear(b.reshape(x, (*lead, rows)), b.constant(table, "dft"))
    return b.reshape(y, (*lead, *matrix.shape[2:]))


def dft_matrix(
    length: int, points: int, bins: int, *, inverse: bool = False, onesided: bool = False
) -> np.ndarray:
    """The matrix [length, 2, bins, 2] of a discrete Fourier transform over ``points``, in float64.

    ``exp(-2 pi i n k / points)``, for the inverse with + and divided by ``points``. The inverse of
    a ``onesided`` spectrum counts each bin but the first (and the middle one of an even number)
    twice, for its conjugate; its imaginary output is then meaningless and left out by the caller.
    """
    cycles = np.outer(np.arange(length), np.arange(bins)) % points
    angle = (2 if inverse else -2) * np.pi * cycles / points
    real, imaginary = np.cos(angle), np.sin(angle)
    matrix = np.stack([np.stack([real, imaginary], -1), np.stack([-imaginary, real], -1)], axis=1)
    if not inverse:
        return matrix
    weight = np.ones(length)
    if onesided:
        own_conjugate = (2 * np.arange(length)) % points == 0
        weight = np.where(own_conjugate, 1.0, 2.0)
    return matrix * (weight / points)[:, None, None, None]


@lowers("STFT")
def lower_stft(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Overlapping frames of the signal, each weighted by the window and transformed."""
    signal, window = node.required(0), node.input(2)
    batch, size, *parts = shape_of(signal)
    _, frames, bins, _ = node.out_shape
    length = constant_ints(b, node.input(3), "the length of a frame")
    points = length[0] if length else shape_of(window)[0] if window is not None else size
    width = prod(parts)
    rows = _frames(b, node, b.reshape(signal, (batch, size, width)), frames, points)
    matrix = dft_matrix(points, points, bins)[:, :width]
    if window is not None and b.has_bytes(window):
        weights = b.const_of(window)
        assert weights is not None
        matrix = matrix * weights.astype(np.float64).reshape(-1, 1, 1, 1)
    elif window is not None:
        rows = b.binary("mul", rows, b.reshape(window, (points, 1)))
    return _transform(b, rows, matrix)


def _frames(
    b: GraphBuilder, node: OnnxNode, signal: SSAValue, frames: int, points: int
) -> SSAValue:
    """signal [B, size, parts] as frames [B, frames, points, parts]: a view of a constant step."""
    batch, size, width = shape_of(signal)
    step = node.required(1)
    known = b.const_of(step) if b.has_bytes(step) else None
    if known is not None or frames == 1:
        hop = 0 if known is None else int(known.reshape(()))
        shape = (batch, frames, points, width)
        return b.view(signal, shape, (size * width, hop * width, width, 1))
    numbers = b.constant(np.arange(frames).reshape(frames, 1), f"iota{frames}")
    within = b.constant(np.arange(points).reshape(1, points), f"iota{points}")
    start = b.cast(b.reshape(step, ()), np.dtype(np.int64))
    body = b.body(numbers, start, within)
    positions = b.map([numbers, start, within], body.finish(body.add(body.mul(0, 1), 2)))
    return b.gather(signal, positions, axis=1)


@lowers("HannWindow", "HammingWindow", "BlackmanWindow")
def lower_window(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """A constant: the size, even when computed, is the result's static one."""
    (size,) = node.out_shape
    period = size if node.attrs["periodic"] else size - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        turn = 2 * np.pi * np.arange(size) / np.float64(period)
    amplitudes = _COSINES[node.op]
    values = sum(a * np.cos(k * turn) for k, a in enumerate(amplitudes))
    return b.constant(np.asarray(values).astype(node.out_dtype), "window")


#: Amplitudes of cos(0), cos(t), cos(2 t) by operator, as ONNX defines them.
_COSINES = {
    "HannWindow": (0.5, -0.5),
    "HammingWindow": (25 / 46, -21 / 46),
    "BlackmanWindow": (0.42, -0.5, 0.08),
}
