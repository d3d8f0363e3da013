"""Operators on 8-bit codes that ONNX Runtime's quantizer writes (QOperator format).

Element-wise ones compute on the numbers between DequantizeLinear and QuantizeLinear; products stay
integer products, scaled once, so that they run on the arrays.
"""

import numpy as np

from ..body_writer import BodyWriter, WriteBody, opens
from ..check_model import MICROSOFT


@opens(MICROSOFT, "QuantizeLinear", "DequantizeLinear")
def recode(w: BodyWriter) -> str:
    """As ONNX's own of today, but for the default axis."""
    attrs = {"axis": int(w.attr("axis", 1))}
    return w.op(w.call.op_type, w.required(0), w.required(1), w.input(2), **attrs)


def _numbers(w: BodyWriter, first: int) -> str:
    """What the codes of input ``first`` mean, with scale and zero point in the next two inputs."""
    return w.op("DequantizeLinear", w.required(first), w.required(first + 1), w.input(first + 2))


def _codes(w: BodyWriter, x: str, first: int) -> str:
    """x as codes by scale and zero point in input ``first`` and the next."""
    zero = w.input(first + 1) or w.constant(np.zeros((), w.dtype(w.required(0))))
    return w.op("QuantizeLinear", x, w.required(first), zero)


def _between(op_type: str, operands: int) -> WriteBody:
    """The body of an operator on numbers between codes; scale and zero of the result come last."""

    def write(w: BodyWriter) -> str:
        y = w.op(op_type, *[_numbers(w, 3 * i) for i in range(operands)])
        return _codes(w, y, 3 * operands)

    return write


for _name, _op, _operands in (
    ("QLinearAdd", "Add", 2),
    ("QLinearMul", "Mul", 2),
    ("QLinearSigmoid", "Sigmoid", 1),
):
    opens(MICROSOFT, _name)(_between(_op, _operands))


@opens(MICROSOFT, "QLinearLeakyRelu")
def leaky_relu(w: BodyWriter) -> str:
    return _codes(w, w.op("LeakyRelu", _numbers(w, 0), alpha=float(w.attr("alpha", 0.01))), 3)


@opens(MICROSOFT, "QLinearSoftmax")
def softmax(w: BodyWriter) -> str:
    """Before operator set 13 a softmax ran over all dims from ``axis`` on."""
    x, axis = _numbers(w, 0), int(w.attr("axis", -1))
    shape = w.shape(w.required(0))
    if int(w.attr("opset", 13)) >= 13:
        return _codes(w, w.op("Softmax", x, axis=axis), 3)
    flat = w.op("Flatten", x, axis=axis % len(shape))
    return _codes(w, w.op("Reshape", w.op("Softmax", flat, axis=-1), w.ints(*shape)), 3)


@opens(MICROSOFT, "QLinearConcat")
def concat(w: BodyWriter) -> str:
    """Inputs come as (codes, scale, zero point) after scale and zero point of the result."""
    parts = [_numbers(w, i) for i in range(2, len(w.call.input), 3)]
    y = w.op("Concat", *parts, axis=int(w.attr("axis", 0)))
    return w.op("QuantizeLinear", y, w.required(0), w.required(1))


@opens(MICROSOFT, "QLinearAveragePool", "QLinearGlobalAveragePool")
def average_pool(w: BodyWriter) -> str:
    names = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")
    attrs = {name: w.attrs.get(name) for name in names}
    op_type = w.call.op_type.removeprefix("QLinear")
    rank = len(w.shape(w.required(0)))
    x = _numbers(w, 0)
    if not w.attr("channels_last", 0):
        return _codes(w, w.op(op_type, x, **attrs), 3)
    x = w.op("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)])
    y = w.op(op_type, x, **attrs)
    return _codes(w, w.op("Transpose", y, perm=[0, *range(2, rank), 1]), 3)


@opens(MICROSOFT, "QGemm")
def gemm(w: BodyWriter) -> str:
    """``alpha * A' B' + C``; C has the scale of the product. Without a result scale it is float."""
    x, y = (_turned(w, 3 * i, f"trans{name}") for i, name in enumerate("AB"))
    total = w.op("MatMulInteger", x, y, w.input(2), w.input(5))
    if w.input(6):
        total = w.op("Add", total, w.input(6))
    scale = w.op("Mul", w.required(1), w.required(4))
    if (alpha := float(w.attr("alpha", 1.0))) != 1:
        scale = w.op("Mul", scale, w.constant(np.float32(alpha)))
    if not w.input(7):
        return w.op("Mul", w.cast(total, np.float32), scale)
    ratio = w.op("Div", scale, w.required(7))
    scaled = w.op("Mul", w.cast(total, np.float32), ratio)
    return w.op("QuantizeLinear", scaled, w.constant(np.float32(1)), w.input(8))


def _turned(w: BodyWriter, index: int, attribute: str) -> str:
    x = w.required(index)
    return w.op("Transpose", x, perm=[1, 0]) if w.attr(attribute, 0) else x


@opens(MICROSOFT, "MatMulIntegerToFloat")
def matmul_to_float(w: BodyWriter) -> str:
    total = w.op("MatMulInteger", w.required(0), w.required(1), w.input(4), w.input(5))
    return _scaled(w, total, w.required(2), w.required(3), w.input(6))


@opens(MICROSOFT, "DynamicQuantizeMatMul")
def dynamic_matmul(w: BodyWriter) -> str:
    """A is quantised by its own range, then as MatMulIntegerToFloat."""
    codes, scale, zero = w.several("DynamicQuantizeLinear", w.required(0), outputs=3)
    total = w.op("MatMulInteger", codes, w.required(1), zero, w.input(3))
    return _scaled(w, total, scale, w.required(2), w.input(4))


def _scaled(w: BodyWriter, total: str, a: str, b: str, bias: str | None) -> str:
    y = w.op("Mul", w.cast(total, np.float32), w.op("Mul", a, b))
    return w.op("Add", y, bias) if bias else y
