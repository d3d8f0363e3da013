"""Draws of operators on integer codes, and chains that quantise and come back."""

import numpy as np

from .arrays import dtypes_of
from .model_draw import ModelDraw, draws
from .oracle import Refused, Value

CODES = (np.dtype(np.uint8), np.dtype(np.int8))
WIDE_CODES = (*CODES, np.dtype(np.uint16), np.dtype(np.int16))


def scale(g: ModelDraw, shape: list[int] | tuple[int, ...] = ()) -> Value:
    """Powers of two: quotients are exact, and halves occur on purpose."""
    rng = np.random.default_rng(g.number(0, 999))
    return g.given(np.asarray(2.0 ** rng.integers(-4, 1, tuple(shape)), np.float32))


def zero(g: ModelDraw, dtype: np.dtype, shape: tuple[int, ...] = ()) -> Value:
    rng = np.random.default_rng(g.number(0, 999))
    low = 0 if dtype.kind == "u" else -8
    return g.given(np.asarray(rng.integers(low, 9, shape), dtype))


def codes(g: ModelDraw, shape: list[int], dtype: np.dtype, constant: bool | None = None) -> Value:
    return (
        g.like(Value("", np.zeros((), dtype)), shape)
        if constant is None
        else g.new(shape, dtype, constant=constant)
    )


def _code_types(g: ModelDraw) -> tuple[np.dtype, ...]:
    return WIDE_CODES if g.opset >= 21 else CODES


@draws("QuantizeLinear")
def quantize(g: ModelDraw, op_type: str) -> None:
    if g.opset < 10:
        raise Refused("no quantisation yet")
    x = g.pick([np.dtype(np.float32)], 0, 4)
    dtype = g.choose(_code_types(g))
    axis = g.axis(x.rank) if x.rank and g.opset >= 13 and g.chance(2) else None
    shape = () if axis is None else (x.shape[axis],)
    attrs = {} if axis is None else {"axis": axis}
    steps, origin = scale(g, shape), zero(g, dtype, shape)
    (q,) = g.node(op_type, [x, steps, origin], **attrs)
    if g.chance(2):
        g.node("DequantizeLinear", [q, steps, origin], **attrs)


@draws("DequantizeLinear")
def dequantize(g: ModelDraw, op_type: str) -> None:
    if g.opset < 10:
        raise Refused("no quantisation yet")
    x = g.pick(_code_types(g), 0, 4)
    origin = [zero(g, x.dtype)] if g.chance(2) else []
    g.node(op_type, [x, scale(g), *origin])


@draws("DynamicQuantizeLinear")
def dynamic_quantize(g: ModelDraw, op_type: str) -> None:
    """The scale is a quotient by 255, so that inputs near a half would be chaotic."""
    x = g.new([g.number(1, 3), g.number(1, 5)], np.dtype(np.float32), "normal", constant=False)
    g.node(op_type, [x], 3)


@draws("MatMulInteger")
def matmul_integer(g: ModelDraw, op_type: str) -> None:
    m, k, n = (g.number(1, 5) for _ in range(3))
    types = [g.choose(CODES) for _ in range(2)]
    a, b = codes(g, [m, k], types[0]), codes(g, [k, n], types[1], constant=not g.chance(3))
    zeros = [zero(g, t) for t in types] if g.chance(2) else []
    g.node(op_type, [a, b, *zeros])


@draws("ConvInteger")
def conv_integer(g: ModelDraw, op_type: str) -> None:
    channels, out, size = g.number(1, 2), g.number(1, 3), g.number(2, 5)
    x = codes(g, [1, channels, size, size], CODES[0])
    w = codes(g, [out, channels, 2, 2], g.choose(CODES), constant=True)
    zeros = [zero(g, x.dtype)] if g.chance(2) else []
    g.node(op_type, [x, w, *zeros], pads=[g.number(0, 1) for _ in range(4)])


@draws("QLinearMatMul")
def qlinear_matmul(g: ModelDraw, op_type: str) -> None:
    m, k, n = (g.number(1, 5) for _ in range(3))
    dtype = g.choose(CODES)
    if dtype not in dtypes_of(op_type, g.opset):
        raise Refused("no element type")
    operands: list[Value] = []
    for shape in ([m, k], [k, n]):
        operands += [codes(g, shape, dtype), scale(g), zero(g, dtype)]
    g.node(op_type, [*operands, scale(g), zero(g, dtype)])


@draws("QLinearConv")
def qlinear_conv(g: ModelDraw, op_type: str) -> None:
    channels, out, size = g.number(1, 2), g.number(1, 3), g.number(2, 5)
    dtype = np.dtype(np.uint8)
    x = codes(g, [1, channels, size, size], dtype)
    w = codes(g, [out, channels, 2, 2], dtype, constant=True)
    operands = [x, scale(g), zero(g, dtype), w, scale(g), zero(g, dtype), scale(g), zero(g, dtype)]
    if g.chance(2):
        operands.append(g.given(np.arange(out, dtype=np.int32)))
    g.node(op_type, operands, pads=[g.number(0, 1) for _ in range(4)])
