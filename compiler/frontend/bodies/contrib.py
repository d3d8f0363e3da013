"""Operators that ONNX Runtime's optimiser fuses: activations, norms and products in one node."""

from collections.abc import Sequence

import numpy as np

from ...weights import Deferred, constant_values
from ..body_writer import BodyWriter, opens
from ..check_model import MICROSOFT


@opens(MICROSOFT, "Gelu")
def gelu(w: BodyWriter) -> str:
    return w.op("Gelu", w.required(0))


@opens(MICROSOFT, "BiasGelu")
def bias_gelu(w: BodyWriter) -> str:
    return w.op("Gelu", w.op("Add", w.required(0), w.required(1)))


@opens(MICROSOFT, "FastGelu")
def fast_gelu(w: BodyWriter) -> str:
    """Gelu by tanh, of x plus a bias."""
    x, bias = w.required(0), w.input(1)
    return w.op("Gelu", w.op("Add", x, bias) if bias else x, approximate="tanh")


@opens(MICROSOFT, "QuickGelu")
def quick_gelu(w: BodyWriter) -> str:
    """``x * sigmoid(alpha * x)``."""
    return w.op("Swish", w.required(0), alpha=float(w.attr("alpha", 1.702)))


@opens(MICROSOFT, "SimplifiedLayerNormalization")
def rms_norm(w: BodyWriter) -> Sequence[str | None]:
    """RMSNormalization under the name it had in ONNX Runtime first."""
    if w.wants(1):
        raise w.refuse("its second output is asked for")
    axis, epsilon = int(w.attr("axis", -1)), float(w.attr("epsilon", 1e-5))
    return [w.op("RMSNormalization", w.required(0), w.required(1), axis=axis, epsilon=epsilon)]


@opens(MICROSOFT, "SkipLayerNormalization")
def skip_layer_norm(w: BodyWriter) -> Sequence[str | None]:
    """LayerNormalization of ``input + skip + bias``, and that sum."""
    total = _skip_sum(w, w.input(4))
    attrs = {"axis": -1, "epsilon": float(w.attr("epsilon", 1e-12))}
    outputs = 3 if w.wants(1) or w.wants(2) else 1
    norm = w.several(
        "LayerNormalization", total, w.required(2), w.input(3), outputs=outputs, **attrs
    )
    return [*norm, *[None] * (3 - outputs), total]


@opens(MICROSOFT, "SkipSimplifiedLayerNormalization")
def skip_rms_norm(w: BodyWriter) -> Sequence[str | None]:
    """RMSNormalization of ``input + skip + bias``, and that sum."""
    total = _skip_sum(w, w.input(3))
    epsilon = float(w.attr("epsilon", 1e-12))
    y = w.op("RMSNormalization", total, w.required(2), axis=-1, epsilon=epsilon)
    return [y, None, None, total]


def _skip_sum(w: BodyWriter, bias: str | None) -> str:
    total = w.op("Add", w.required(0), w.required(1))
    return w.op("Add", total, bias) if bias else total


@opens(MICROSOFT, "FusedMatMul")
def fused_matmul(w: BodyWriter) -> str:
    """``alpha * A' B'``; ``transBatch`` moves the first dim of an operand behind its batch."""
    x, y = (_turned(w, i, name) for i, name in enumerate("AB"))
    product = w.op("MatMul", x, y)
    alpha = float(w.attr("alpha", 1.0))
    return product if alpha == 1 else w.op("Mul", product, w.like(alpha, w.required(0)))


def _turned(w: BodyWriter, index: int, letter: str) -> str:
    x = w.required(index)
    order = list(range(len(w.shape(x))))
    if w.attr(f"transBatch{letter}", 0):
        order = [*order[1:-1], 0, order[-1]]
    if w.attr(f"trans{letter}", 0) and len(order) > 1:
        order[-1], order[-2] = order[-2], order[-1]
    return x if order == sorted(order) else w.op("Transpose", x, perm=order)


@opens(MICROSOFT, "FusedGemm")
def fused_gemm(w: BodyWriter) -> str:
    attrs = {name: w.attrs.get(name) for name in ("alpha", "beta", "transA", "transB")}
    y = w.op("Gemm", w.required(0), w.required(1), w.input(2), **attrs)
    names = ("activation_alpha", "activation_beta")
    return _activated(w, y, [w.attrs[name] for name in names if name in w.attrs])


@opens(MICROSOFT, "FusedConv")
def fused_conv(w: BodyWriter) -> str:
    """A convolution, plus Z, through an activation."""
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    attrs = {name: w.attrs.get(name) for name in names}
    y = w.op("Conv", w.required(0), w.required(1), w.input(2), **attrs)
    if w.input(3):
        y = w.op("Add", y, w.input(3))
    return _activated(w, y, list(w.attr("activation_params", [])))


def _activated(w: BodyWriter, x: str, parameters: list[float]) -> str:
    kind = w.attr("activation", "")
    match kind:
        case "":
            return x
        case "Relu" | "Tanh" | "Sigmoid":
            return w.op(kind, x)
        case "LeakyRelu":
            return w.op(kind, x, alpha=float(parameters[0]) if parameters else None)
        case "HardSigmoid" if len(parameters) == 2:
            alpha, beta = map(float, parameters)
            return w.op(kind, x, alpha=alpha, beta=beta)
        case "Clip" if len(parameters) == 2:
            low, high = (w.like(value, w.required(0)) for value in parameters)
            return w.op(kind, x, low, high)
    raise w.refuse(f"the activation {kind}")


@opens(MICROSOFT, "MatMulNBits")
def matmul_nbits(w: BodyWriter) -> str:
    """A product with a constant matrix [N, K] of 4- or 8-bit codes with a scale a block of K.

    The matrix becomes a stationary weight [K, N] of the type of A, made when it is needed.
    """
    x, names = w.required(0), [w.required(1), w.required(2)]
    if w.input(4):
        raise w.refuse("columns in another order (g_idx)")
    zero = w.input(3)
    parts = [w.known(name) for name in (*names, *([zero] if zero else []))]
    if any(part is None for part in parts):
        raise w.refuse("its codes, scales or zero points are computed")
    n, k, bits, block = (int(w.attr(name, 4)) for name in ("N", "K", "bits", "block_size"))
    if bits not in (4, 8):
        raise w.refuse(f"codes of {bits} bits")
    dtype = w.dtype(x)

    def make() -> np.ndarray:
        arrays = [constant_values(part) for part in parts if part is not None]
        return dequantized_blocks(arrays, n, k, bits, block).T.astype(dtype)

    absent = any(isinstance(part, Deferred) and part.make is None for part in parts)
    weight = w.constant(Deferred((k, n), dtype, None if absent else make))
    y = w.op("MatMul", x, weight)
    bias = w.input(5)
    return w.op("Add", y, bias) if bias else y


def dequantized_blocks(
    arrays: Sequence[np.ndarray], n: int, k: int, bits: int, block: int
) -> np.ndarray:
    """The matrix [n, k] of codes [n, blocks, bytes], scales and perhaps zero points, in float32.

    Codes fill bytes from the low bits up. Zero points are packed likewise by row, or are floats
    already; without them they are half the range.
    """
    codes, scales, *zeros = arrays
    blocks = -(-k // block)
    values = _unpacked(codes.reshape(n, -1), bits).reshape(n, blocks, block).astype(np.float32)
    offset: np.ndarray = np.full((1, 1), 1 << (bits - 1), np.float32)
    if zeros and zeros[0].dtype == np.uint8:
        offset = _unpacked(zeros[0].reshape(n, -1), bits)[:, :blocks].astype(np.float32)
    elif zeros:
        offset = zeros[0].reshape(n, blocks).astype(np.float32)
    scale = scales.reshape(n, blocks).astype(np.float32)
    return ((values - offset[..., None]) * scale[..., None]).reshape(n, -1)[:, :k]


def _unpacked(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes of 4 or 8 bits from bytes [n, bytes], the low bits first."""
    if bits == 8:
        return codes
    return np.stack([codes & 15, codes >> 4], axis=-1).reshape(codes.shape[0], -1)
