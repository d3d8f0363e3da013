"""Element-wise operators: one ``graph.map`` each, more only for very many operands.

    Name(x, y, ..)  ->  map(x, y, ..) { formula }

The tables give the formula of each operator; operands broadcast as in numpy.
"""

from functools import reduce

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder, is_float, scalar_ops
from ....dialects.types import dtype_of, element_name
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .scalar_formulas import (
    Formula,
    clamp,
    compare,
    divide,
    extreme,
    finish,
    gelu,
    gelu_tanh,
    literal,
    magnitude,
    map_scalars,
    number,
    sigmoid,
    softplus,
    swish,
    unsigned_operand,
    widened,
)

#: More operands than these are taken in one map after another.
MOST_OPERANDS = 64
#: Operators that are one operation on floats.
MATH = {
    "Floor": "floor", "Ceil": "ceil", "Round": "roundeven", "Sqrt": "sqrt", "Exp": "exp",
    "Log": "log", "Erf": "erf", "Sin": "sin", "Cos": "cos", "Tan": "tan", "Asin": "asin",
    "Acos": "acos", "Atan": "atan", "Sinh": "sinh", "Cosh": "cosh", "Tanh": "tanh",
    "Asinh": "asinh", "Acosh": "acosh", "Atanh": "atanh",
}  # fmt: skip


@lowers(*MATH)
def lower_math(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return b.unary(MATH[node.op], node.required(0))


def _leaky(b: BodyBuilder, x: int, alpha: float) -> int:
    below = b.mul(x, number(b, alpha, x))
    return b.select(compare(b, "lt", x, number(b, 0, x)), below, x)


def _elu(b: BodyBuilder, x: int, alpha: float) -> int:
    below = b.mul(b.unary("expm1", x), number(b, alpha, x))
    return b.select(compare(b, "lt", x, number(b, 0, x)), below, x)


def _celu(b: BodyBuilder, x: int, alpha: float) -> int:
    scaled = divide(b, x, number(b, alpha, x))
    below = b.mul(b.unary("expm1", scaled), number(b, alpha, x))
    return b.select(compare(b, "lt", x, number(b, 0, x)), below, x)


def _selu(b: BodyBuilder, x: int, alpha: float, gamma: float) -> int:
    return b.mul(_elu(b, x, alpha), number(b, gamma, x))


def _thresholded(b: BodyBuilder, x: int, alpha: float) -> int:
    return b.select(compare(b, "gt", x, number(b, alpha, x)), x, number(b, 0, x))


def _hard_sigmoid(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return clamp(b, b.add(b.mul(x, number(b, alpha, x)), number(b, beta, x)), 0.0, 1.0)


def _hard_swish(b: BodyBuilder, x: int) -> int:
    return b.mul(x, _hard_sigmoid(b, x, 1 / 6, 0.5))


def _mish(b: BodyBuilder, x: int) -> int:
    return b.mul(x, b.unary("tanh", softplus(b, x)))


def _softsign(b: BodyBuilder, x: int) -> int:
    return divide(b, x, b.add(magnitude(b, x), number(b, 1, x)))


def _gelu(b: BodyBuilder, x: int, approximate: str) -> int:
    return gelu_tanh(b, x) if approximate == "tanh" else gelu(b, x)


def _swiglu(b: BodyBuilder, x: int, y: int, alpha: float) -> int:
    return b.mul(swish(b, x, alpha), y)


#: Operators on floats with a formula of their own: the formula and the attributes it takes.
FLOAT_FORMULAS: dict[str, tuple[Formula, tuple[str, ...]]] = {
    "LeakyRelu": (_leaky, ("alpha",)),
    "ThresholdedRelu": (_thresholded, ("alpha",)),
    "Elu": (_elu, ("alpha",)),
    "Celu": (_celu, ("alpha",)),
    "Selu": (_selu, ("alpha", "gamma")),
    "Sigmoid": (sigmoid, ()),
    "HardSigmoid": (_hard_sigmoid, ("alpha", "beta")),
    "HardSwish": (_hard_swish, ()),
    "Swish": (swish, ("alpha",)),
    "SwiGLU": (_swiglu, ("alpha",)),
    "Mish": (_mish, ()),
    "Softplus": (softplus, ()),
    "Softsign": (_softsign, ()),
    "Gelu": (_gelu, ("approximate",)),
}


@lowers(*FLOAT_FORMULAS)
def lower_float_formula(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    formula, names = FLOAT_FORMULAS[node.op]
    values = [node.attrs[name] for name in names]

    def with_attributes(body: BodyBuilder, *registers: int) -> int:
        return formula(body, *registers, *values)

    return map_scalars(b, node, _operands(node), widened(with_attributes))


def _abs(b: BodyBuilder, x: int, unsigned: bool) -> int:
    return x if unsigned else magnitude(b, x)


def _neg(b: BodyBuilder, x: int, unsigned: bool) -> int:
    return b.unary("negf", x) if is_float(b.types[x]) else b.sub(number(b, 0, x), x)


def _sign(b: BodyBuilder, x: int, unsigned: bool) -> int:
    zero, one = number(b, 0, x), number(b, 1, x)
    rest = x  # zero, or NaN
    if not unsigned:
        rest = b.select(compare(b, "lt", x, zero), number(b, -1, x), x)
    return b.select(compare(b, "gt", x, zero, unsigned=unsigned), one, rest)


def _relu(b: BodyBuilder, x: int, unsigned: bool) -> int:
    return x if unsigned else extreme(b, "max", x, number(b, 0, x))


def _reciprocal(b: BodyBuilder, x: int, unsigned: bool) -> int:
    return divide(b, number(b, 1, x), x, unsigned=unsigned)


def _bitwise_not(b: BodyBuilder, x: int, unsigned: bool) -> int:
    return b.binary("xori", x, number(b, 1 if b.types[x] == "i1" else -1, x))


def _prelu(b: BodyBuilder, x: int, slope: int, unsigned: bool) -> int:
    if unsigned:
        return x
    return b.select(compare(b, "lt", x, number(b, 0, x)), b.mul(x, slope), x)


def _subtract(b: BodyBuilder, x: int, y: int, unsigned: bool) -> int:
    return b.sub(x, y)


#: Operators of fixed arity on any type: ``formula(builder, *registers, unsigned)``.
FORMULAS: dict[str, Formula] = {
    "Abs": _abs,
    "Neg": _neg,
    "Sign": _sign,
    "Relu": _relu,
    "Reciprocal": _reciprocal,
    "Not": _bitwise_not,
    "BitwiseNot": _bitwise_not,
    "PRelu": _prelu,
    "Sub": _subtract,
    "Div": lambda b, x, y, unsigned: divide(b, x, y, unsigned=unsigned),
}
COMPARISONS = {
    "Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt", "GreaterOrEqual": "ge",
}  # fmt: skip
BITWISE = {
    "And": "andi", "Or": "ori", "Xor": "xori",
    "BitwiseAnd": "andi", "BitwiseOr": "ori", "BitwiseXor": "xori",
}  # fmt: skip


@lowers(*FORMULAS)
def lower_formula(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    formula, unsigned = FORMULAS[node.op], unsigned_operand(node.required(0))
    return map_scalars(
        b, node, _operands(node), lambda body, *registers: formula(body, *registers, unsigned)
    )


@lowers(*COMPARISONS)
def lower_comparison(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    how, unsigned = COMPARISONS[node.op], unsigned_operand(node.required(0))
    return map_scalars(
        b, node, _operands(node), lambda body, x, y: compare(body, how, x, y, unsigned=unsigned)
    )


@lowers(*BITWISE)
def lower_bitwise(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    name = BITWISE[node.op]
    return map_scalars(b, node, _operands(node), lambda body, x, y: body.binary(name, x, y))


@lowers("BitShift")
def lower_bit_shift(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    right = "shrui" if unsigned_operand(node.required(0)) else "shrsi"
    name = "shli" if node.attrs["direction"] == "LEFT" else right
    return map_scalars(b, node, _operands(node), lambda body, x, y: body.binary(name, x, y))


@lowers("Add", "Mul", "Sum", "Mean", "Max", "Min")
def lower_variadic(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Any number of operands, in order; 16-bit floats of a sum or mean add up in float32."""
    operands = _operands(node)
    unsigned = unsigned_operand(operands[0])
    count = len(operands)
    if count == 1:
        return operands[0]

    def fold(body: BodyBuilder, *registers: int) -> int:
        if node.op in ("Max", "Min"):
            how = node.op.lower()
            return reduce(lambda x, y: extreme(body, how, x, y, unsigned=unsigned), registers)
        return reduce(body.mul if node.op == "Mul" else body.add, registers)

    def finished(body: BodyBuilder, *registers: int) -> int:
        total = fold(body, *registers)
        if node.op == "Mean":
            total = divide(body, total, number(body, count, total))
        return total

    if count <= MOST_OPERANDS:
        return map_scalars(b, node, operands, widened(finished) if count > 2 else finished)
    narrow = element_name(dtype_of(operands[0])) in ("f16", "bf16")
    wide = np.dtype(np.float32) if narrow else dtype_of(operands[0])
    total = b.cast(operands[0], wide)
    for start in range(1, count, MOST_OPERANDS - 1):
        rest = [b.cast(x, wide) for x in operands[start : start + MOST_OPERANDS - 1]]
        last = start + len(rest) == count
        total = _map_all(b, [total, *rest], finished if last else fold)
    return b.cast(total, node.out_dtype)


def _map_all(b: GraphBuilder, operands: list[SSAValue], formula: Formula) -> SSAValue:
    """One map of ``formula``, whose value has the one type of all operands."""
    body = b.body(*operands)
    result = formula(body, *map(body.signless, range(len(operands))))
    return b.map(operands, finish(body, result, dtype_of(operands[0])))


@lowers("Mod")
def lower_mod(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """With ``fmod`` the sign of the dividend, without it the sign of the divisor."""
    unsigned = unsigned_operand(node.required(0))
    if is_float(element_name(dtype_of(node.required(0)))) and "remf" not in scalar_ops():
        # x - y trunc(x / y) is wrong for large quotients
        raise NotLowered("the scalar operations have no floating-point remainder")

    def remainder(body: BodyBuilder, x: int, y: int) -> int:
        real = is_float(body.types[x])
        rest = body.binary("remf" if real else "remui" if unsigned else "remsi", x, y)
        if node.attrs["fmod"] or unsigned:
            return rest
        zero = number(body, 0, x)
        differs = body.binary("xori", compare(body, "lt", rest, zero), compare(body, "lt", y, zero))
        wrong = body.binary("andi", compare(body, "ne", rest, zero), differs)
        return body.select(wrong, body.add(rest, y), rest)

    return map_scalars(b, node, _operands(node), remainder)


@lowers("Pow")
def lower_pow(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """``x ** y`` in the type of x; small whole powers become products."""
    x, y = _operands(node)
    exponent, base, power = literal(b, y), element_name(dtype_of(x)), element_name(dtype_of(y))

    def raise_to(body: BodyBuilder, x: int, y: int) -> int:
        if exponent is not None and float(exponent) in (1.0, 2.0, 3.0):
            return reduce(body.mul, [x] * int(exponent))
        y = body.unsigned(y, power)
        if is_float(base):
            return body.binary("powf", x, body.cast(y, base))
        if is_float(power):
            real = body.binary(
                "powf", body.cast(body.unsigned(x, base), "f64"), body.cast(y, "f64")
            )
            return body.signless(body.cast(real, base))
        return body.binary("ipowi", x, body.signless(body.cast(y, base)))

    return map_scalars(b, node, (x, y), raise_to)


@lowers("Clip")
def lower_clip(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """``min(max(x, low), high)``; either bound may be absent."""
    x, low, high = node.required(0), node.input(1), node.input(2)
    unsigned = unsigned_operand(x)
    bounds = tuple(v for v in (low, high) if v is not None)
    names = [name for name, v in (("max", low), ("min", high)) if v is not None]
    if not bounds:
        return x

    def clip(body: BodyBuilder, x: int, *limits: int) -> int:
        for how, limit in zip(names, limits, strict=True):
            x = extreme(body, how, x, limit, unsigned=unsigned)
        return x

    return map_scalars(b, node, (x, *bounds), clip)


@lowers("Shrink")
def lower_shrink(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Soft threshold; integers are computed in float32 and truncated, as ONNX Runtime does."""
    name = element_name(dtype_of(node.required(0)))
    lambd, bias = node.attrs["lambd"], node.attrs["bias"]

    def shrink(body: BodyBuilder, own: int) -> int:
        x = own if name == "f64" else body.cast(body.unsigned(own, name), "f32")
        up, down = body.add(x, number(body, bias, x)), body.sub(x, number(body, bias, x))
        above = compare(body, "gt", x, number(body, lambd, x))
        inner = body.select(above, down, number(body, 0, x))
        result = body.select(compare(body, "lt", x, number(body, -lambd, x)), up, inner)
        return body.signless(body.cast(result, name))

    return map_scalars(b, node, _operands(node), shrink)


@lowers("IsNaN")
def lower_is_nan(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return map_scalars(b, node, _operands(node), lambda body, x: body.cmp("uno", x, x))


@lowers("IsInf")
def lower_is_inf(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    signs = [
        sign
        for sign, name in ((1.0, "detect_positive"), (-1.0, "detect_negative"))
        if node.attrs[name]
    ]

    def is_inf(body: BodyBuilder, x: int) -> int:
        found = [body.cmp("oeq", x, number(body, sign * float("inf"), x)) for sign in signs]
        return reduce(lambda p, q: body.binary("ori", p, q), found, body.const(0, "i1"))

    return map_scalars(b, node, _operands(node), is_inf)


@lowers("Where")
def lower_where(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    return map_scalars(b, node, _operands(node), lambda body, c, x, y: body.select(c, x, y))


def _operands(node: OnnxNode) -> tuple[SSAValue, ...]:
    operands = tuple(x for x in node.inputs if x is not None)
    if not operands:
        raise NotLowered(f"{node.op} has no operand")
    return operands
