"""Scalar formulas that several operators share, written into a map body.

Every formula takes the builder and registers and returns the register of its value. Floating-point
formulas expect float32 or float64 (see :func:`widened`) and stay finite wherever their value is.
"""

from collections.abc import Callable
from math import pi, prod, sqrt

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder, is_float, is_unsigned
from ....dialects.kernel import Body
from ....dialects.types import dtype_of, element_name, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import OnnxNode

Formula = Callable[..., int]


def literal(b: GraphBuilder, value: SSAValue) -> np.ndarray | None:
    """The element of a single-element constant, as a 0-d array; None for any other value."""
    if prod(shape_of(value)) != 1 or not b.has_bytes(value):
        return None
    array = b.const_of(value)
    assert array is not None
    return array.reshape(())


def map_scalars(
    b: GraphBuilder, node: OnnxNode, operands: tuple[SSAValue, ...], formula: Formula
) -> SSAValue:
    """``formula`` over the broadcast operands as one map of the node's first output.

    Single-element literals become constants of the body. Unsigned registers come as signless ones;
    the result is turned back into the declared type, which must have the same bits.
    """
    fixed = [literal(b, x) for x in operands]
    if operands and all(value is not None for value in fixed):
        fixed[0] = None  # a map of no operand would be a constant in disguise
    ins = [x for x, value in zip(operands, fixed, strict=True) if value is None]
    body = b.body(*ins)
    free = iter(range(len(ins)))
    registers = [
        body.signless(next(free)) if value is None else constant(body, value, dtype_of(x))
        for x, value in zip(operands, fixed, strict=True)
    ]
    result = formula(body, *registers)
    return b.map(ins, finish(body, result, node.out_dtype), node.out_shape)


def constant(b: BodyBuilder, value: np.ndarray, dtype: np.dtype) -> int:
    """A literal as a register of the (signless) type of ``dtype``."""
    name = element_name(dtype).removeprefix("u")
    return b.const(float(value) if is_float(name) else int(value), name)


def finish(b: BodyBuilder, result: int, dtype: np.dtype) -> Body:
    """The body that yields ``result`` as ``dtype``, of the same bits."""
    return b.finish(b.unsigned(result, element_name(dtype)))


def unsigned_operand(value: SSAValue) -> bool:
    """Whether a tensor's elements are unsigned integers."""
    return is_unsigned(element_name(dtype_of(value)))


def widened(formula: Formula) -> Formula:
    """``formula`` of floats, in float32 where its operands are 16-bit floats."""

    def run(b: BodyBuilder, *registers: int) -> int:
        own = b.types[registers[0]]
        if own not in ("f16", "bf16"):
            return formula(b, *registers)
        result = formula(b, *(b.cast(r, "f32") for r in registers))
        return b.cast(result, own) if is_float(b.types[result]) else result

    return run


def number(b: BodyBuilder, value: float, like: int) -> int:
    """A constant of the type of register ``like``."""
    return b.const(value, b.types[like])


def compare(b: BodyBuilder, how: str, x: int, y: int, *, unsigned: bool = False) -> int:
    """``eq ne lt le gt ge``; a float comparison with NaN is false, but for ``ne``."""
    if is_float(b.types[x]):
        return b.cmp("une" if how == "ne" else f"o{how}", x, y)
    if how in ("eq", "ne"):
        return b.cmp(how, x, y)
    return b.cmp(("u" if unsigned else "s") + how, x, y)


def extreme(b: BodyBuilder, how: str, x: int, y: int, *, unsigned: bool = False) -> int:
    """``max`` or ``min``; NaN if either float is NaN."""
    if is_float(b.types[x]):
        return b.binary(f"{how}imumf", x, y)
    return b.binary(f"{how}{'ui' if unsigned else 'si'}", x, y)


def clamp(b: BodyBuilder, x: int, low: float, high: float) -> int:
    """``x`` within ``low`` to ``high`` (float constants)."""
    return extreme(b, "min", extreme(b, "max", x, number(b, low, x)), number(b, high, x))


def divide(b: BodyBuilder, x: int, y: int, *, unsigned: bool = False) -> int:
    """Quotient; integers truncate toward zero."""
    if is_float(b.types[x]):
        return b.binary("divf", x, y)
    return b.binary("divui" if unsigned else "divsi", x, y)


def magnitude(b: BodyBuilder, x: int) -> int:
    """``|x|`` of a float or signed integer."""
    return b.unary("absf" if is_float(b.types[x]) else "absi", x)


def sigmoid(b: BodyBuilder, x: int) -> int:
    """``1 / (1 + exp(-x))``: exp may overflow to infinity, the quotient is then exactly 0."""
    one = number(b, 1, x)
    return divide(b, one, b.add(one, b.unary("exp", b.unary("negf", x))))


def softplus(b: BodyBuilder, x: int) -> int:
    """``log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))``."""
    tail = b.unary("log1p", b.unary("exp", b.unary("negf", magnitude(b, x))))
    return b.add(extreme(b, "max", x, number(b, 0, x)), tail)


def swish(b: BodyBuilder, x: int, alpha: float = 1.0) -> int:
    """``x * sigmoid(alpha * x)``."""
    scaled = x if alpha == 1.0 else b.mul(x, number(b, alpha, x))
    return b.mul(x, sigmoid(b, scaled))


def gelu(b: BodyBuilder, x: int) -> int:
    """``x * (1 + erf(x / sqrt 2)) / 2``."""
    error = b.unary("erf", b.mul(x, number(b, sqrt(0.5), x)))
    return b.mul(b.mul(x, number(b, 0.5, x)), b.add(error, number(b, 1, x)))


def gelu_tanh(b: BodyBuilder, x: int) -> int:
    """``x (1 + tanh u) / 2 = x sigmoid(2 u)`` with ``u = sqrt(2/pi) (x + 0.044715 x^3)``."""
    cubic = b.add(b.mul(b.mul(x, x), number(b, 0.044715, x)), number(b, 1, x))
    twice = b.mul(b.mul(x, cubic), number(b, 2 * sqrt(2 / pi), x))
    return b.mul(x, sigmoid(b, twice))


def axis_numbers(b: GraphBuilder, rank: int, axis: int, size: int) -> SSAValue:
    """The constant 0, 1, ... ``size - 1`` along ``axis`` of a tensor of ``rank``, int64."""
    shape = [1] * rank
    shape[axis] = size
    return b.constant(np.arange(size, dtype=np.int64).reshape(shape), f"iota{size}")


def normalise_axis(axis: int, value: SSAValue | int) -> int:
    """``axis`` counted from the front, for a tensor value or a rank."""
    rank = value if isinstance(value, int) else len(shape_of(value))
    return axis + rank if axis < 0 else axis
