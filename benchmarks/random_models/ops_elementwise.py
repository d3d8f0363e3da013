"""Draws of operators that work element by element."""

import numpy as np

from .arrays import BOOL, dtypes_of
from .model_draw import ModelDraw, draws
from .oracle import Refused, Value, is_real


def operand(g: ModelDraw, op_type: str, position: int = 0, **limits: int) -> Value:
    """An operand of a type that the operator takes there."""
    return g.pick(dtypes_of(op_type, g.opset, position), **limits)


#: Where a function is real and finite.
DOMAINS = {
    "Sqrt": (0.0, np.inf), "Log": (1e-3, np.inf), "Asin": (-1.0, 1.0), "Acos": (-1.0, 1.0),
    "Acosh": (1.0, np.inf), "Atanh": (-0.9, 0.9),
}  # fmt: skip


@draws(*DOMAINS)
def partial(g: ModelDraw, op_type: str) -> None:
    """Operands that lie in the domain, or are brought there by Clip; others where all may come."""
    low, high = DOMAINS[op_type]
    x = operand(g, op_type)
    wide = x.array.astype(np.float64)
    if not g.special and g.opset >= 11 and not ((wide >= low) & (wide <= high)).all():
        (x,) = g.node("Clip", [x, *(g.given(np.array(b, x.dtype)) for b in (low, high))])
    g.node(op_type, [x])


@draws(
    "Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Exp", "Erf", "Sin", "Cos", "Tan", "Atan",
    "Sinh", "Cosh", "Tanh", "Asinh", "Reciprocal", "Relu", "Sigmoid", "HardSwish", "Mish",
    "Softplus", "Softsign", "IsNaN", "Not", "BitwiseNot", "Identity",
)  # fmt: skip
def unary(g: ModelDraw, op_type: str) -> None:
    g.node(op_type, [operand(g, op_type)])


#: Float attributes, with what they may be.
ATTRIBUTES = {
    "LeakyRelu": {"alpha": (0.25, 0.01, -0.5)},
    "Elu": {"alpha": (1.0, 0.5, 2.0)},
    "Celu": {"alpha": (1.0, 0.5, 2.0)},
    "Selu": {"alpha": (1.5, 1.67), "gamma": (1.0, 1.05)},
    "HardSigmoid": {"alpha": (0.25, 0.2), "beta": (0.5, 0.0)},
    "Swish": {"alpha": (1.0, 0.5)},
    "ThresholdedRelu": {"alpha": (1.0, 0.0, -1.0)},
    "Shrink": {"lambd": (0.5, 1.0), "bias": (0.0, 0.5)},
}


@draws(*ATTRIBUTES)
def with_attributes(g: ModelDraw, op_type: str) -> None:
    attrs = {name: g.choose(options) for name, options in ATTRIBUTES[op_type].items()}
    g.node(op_type, [operand(g, op_type)], **(attrs if g.chance(2) else {}))


@draws("Gelu")
def gelu(g: ModelDraw, op_type: str) -> None:
    g.node(op_type, [operand(g, op_type)], approximate=g.choose(["none", "tanh"]))


@draws("IsInf")
def is_inf(g: ModelDraw, op_type: str) -> None:
    signs = {name: g.number(0, 1) for name in ("detect_negative", "detect_positive")}
    g.node(op_type, [operand(g, op_type)], **signs)


@draws(
    "Add", "Sub", "Mul", "And", "Or", "Xor", "Equal", "Less", "LessOrEqual", "Greater",
    "GreaterOrEqual", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip
def binary(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    y = g.broadcast_with(x)
    g.node(op_type, [x, y] if not g.chance(3) else [y, x])


@draws("Div", "Mod")
def division(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    y = g.broadcast_with(x)
    if not is_real(x.dtype):
        if not (y.array != 0).all():
            y = g.new(y.shape, x.dtype, "positive")
            y = g.node("Max", [y, g.given(np.ones((), x.dtype))])[0] if g.opset >= 12 else y
        lowest = x.dtype.kind == "i" and (x.array == np.iinfo(x.dtype).min).any()
        if not (y.array != 0).all() or (lowest and (y.array == -1).any()):
            raise Refused("undefined quotient")
    if op_type == "Mod":
        if is_real(x.dtype) and (x.shadows or y.shadows):
            raise Refused("chaotic")
        g.node(op_type, [x, y], fmod=1 if is_real(x.dtype) else g.number(0, 1))
    else:
        g.node(op_type, [x, y])


@draws("Pow")
def power(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    same = g.opset < 12 or g.chance(2)
    dtype = x.dtype if same else g.dtype(dtypes_of(op_type, g.opset, 1))
    whole = g.choose([2, 1, 3, 0])
    if g.chance(2):
        y = g.given(np.array(whole if not is_real(dtype) else g.choose([whole, 0.5, -1]), dtype))
    else:
        y = g.new(g.broadcast_with(x).shape, dtype, "positive")
    if not is_real(x.dtype) and (np.abs(x.array.astype(float)) > 8).any():
        raise Refused("large numbers")
    if not is_real(dtype) and ((y.array.astype(float) < 0) | (y.array.astype(float) > 8)).any():
        raise Refused("large numbers")
    g.node(op_type, [x, y])


@draws("PRelu")
def prelu(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type, min_rank=1)
    shape = [n if not g.chance(2) else 1 for n in x.shape[g.number(0, x.rank - 1) :]]
    g.node(op_type, [x, g.new(shape, x.dtype)])


@draws("Max", "Min", "Sum", "Mean")
def variadic(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    rest = [g.broadcast_with(x) for _ in range(g.number(0, 3))]
    g.node(op_type, [x, *rest])


@draws("BitShift")
def bit_shift(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    y = g.broadcast_with(x)
    if ((y.array < 0) | (y.array >= 8 * x.dtype.itemsize)).any():
        raise Refused("undefined shift")
    g.node(op_type, [x, y], direction=g.choose(["LEFT", "RIGHT"]))


@draws("Where")
def where(g: ModelDraw, op_type: str) -> None:
    condition = g.pick([BOOL])
    x = g.broadcast_with(condition, g.dtype(dtypes_of(op_type, g.opset, 1)))
    y = g.broadcast_with(x)
    g.node(op_type, [condition, x, y] if not g.chance(3) else [condition, y, x])


@draws("Clip")
def clip(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    low, high = g.choose([(-1, 2), (0, 3), (1, 1), (2, -1)])
    if x.dtype.kind == "u":
        low = max(low, 0)
        high = max(high, 0)
    if g.has(op_type, "min"):
        g.node(op_type, [x], min=float(low), max=float(high))
        return
    bounds = [g.given(np.array(b, x.dtype)) if not g.chance(4) else None for b in (low, high)]
    while bounds and bounds[-1] is None:
        bounds.pop()
    g.node(op_type, [x, *bounds])


def cast_is_defined(x: Value, dtype: np.dtype) -> bool:
    """Whether each float has a value in ``dtype``: other casts have no defined result."""
    if not is_real(x.dtype) or is_real(dtype):
        return True
    wide = x.array.astype(np.float64)
    if dtype == BOOL:
        return bool(np.isfinite(wide).all())
    info = np.iinfo(dtype)
    kept = np.isfinite(wide).all() and (np.trunc(wide) >= info.min).all()
    return bool(kept and (np.trunc(wide) < float(info.max)).all())


@draws("Cast")
def cast(g: ModelDraw, op_type: str) -> None:
    from onnx import helper

    x = operand(g, op_type)
    dtype = g.dtype(dtypes_of(op_type, g.opset))
    if not cast_is_defined(x, dtype):
        raise Refused("undefined cast")
    g.node(op_type, [x], to=helper.np_dtype_to_tensor_dtype(dtype))


@draws("CastLike")
def cast_like(g: ModelDraw, op_type: str) -> None:
    x, y = operand(g, op_type), operand(g, op_type, 1)
    if not cast_is_defined(x, y.dtype):
        raise Refused("undefined cast")
    g.node(op_type, [x, y])


@draws("BitCast")
def bit_cast(g: ModelDraw, op_type: str) -> None:
    from onnx import helper

    x = operand(g, op_type)
    if x.shadows:
        raise Refused("chaotic")
    same = [t for t in dtypes_of(op_type, g.opset) if t.itemsize == x.dtype.itemsize and t != BOOL]
    if x.dtype == BOOL:
        raise Refused("no bool")
    g.node(op_type, [x], to=helper.np_dtype_to_tensor_dtype(g.choose(same)))


@draws("Dropout")
def dropout(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    n_outputs = g.number(1, 2)
    if g.has(op_type, "ratio"):
        g.node(op_type, [x], 1, ratio=0.25)
    else:
        ratio = [g.given(np.array(0.25, np.float32))] if g.chance(2) else []
        g.node(op_type, [x, *ratio], n_outputs)


@draws("SwiGLU")
def swiglu(g: ModelDraw, op_type: str) -> None:
    x = operand(g, op_type)
    g.node(op_type, [x, g.like(x, x.shape)], alpha=g.choose([1.0, 0.5]))
