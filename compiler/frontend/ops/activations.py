"""Activation functions of the ONNX recurrent operators as scalar bodies."""

from collections.abc import Callable, Sequence

from ....dialects.body import BodyBuilder
from ..lowering import NotLowered
from .scalar_formulas import clamp, divide, extreme, magnitude, number, sigmoid, softplus, widened

#: Appends the function of a register to a body and returns the result's register.
Activation = Callable[[BodyBuilder, int], int]
_Formula = Callable[[BodyBuilder, int, float, float], int]


def _sigmoid(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return sigmoid(b, x)


def _tanh(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return b.unary("tanh", x)


def _relu(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return extreme(b, "max", x, number(b, 0, x))


def _affine(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return b.add(b.mul(number(b, alpha, x), x), number(b, beta, x))


def _leaky_relu(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    below = b.cmp("olt", x, number(b, 0, x))
    return b.select(below, b.mul(number(b, alpha, x), x), x)


def _thresholded_relu(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return b.select(b.cmp("ogt", x, number(b, alpha, x)), x, number(b, 0, x))


def _scaled_tanh(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return b.mul(number(b, alpha, x), b.unary("tanh", b.mul(number(b, beta, x), x)))


def _hard_sigmoid(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return clamp(b, _affine(b, x, alpha, beta), 0, 1)


def _elu(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    curve = b.mul(number(b, alpha, x), b.unary("expm1", x))
    return b.select(b.cmp("oge", x, number(b, 0, x)), x, curve)


def _softsign(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return divide(b, x, b.add(number(b, 1, x), magnitude(b, x)))


def _softplus(b: BodyBuilder, x: int, alpha: float, beta: float) -> int:
    return softplus(b, x)


#: Formula, default alpha, default beta (None: the function takes no such parameter). The defaults
#: are ONNX Runtime's: those of the operators of the same name, else 0.
_FORMULAS: dict[str, tuple[_Formula, float | None, float | None]] = {
    "affine": (_affine, 0.0, 0.0),
    "elu": (_elu, 1.0, None),
    "hardsigmoid": (_hard_sigmoid, 0.2, 0.5),
    "leakyrelu": (_leaky_relu, 0.01, None),
    "relu": (_relu, None, None),
    "scaledtanh": (_scaled_tanh, 0.0, 0.0),
    "sigmoid": (_sigmoid, None, None),
    "softplus": (_softplus, None, None),
    "softsign": (_softsign, None, None),
    "tanh": (_tanh, None, None),
    "thresholdedrelu": (_thresholded_relu, 0.0, None),
}


def activations(
    names: Sequence[str],
    alphas: Sequence[float],
    betas: Sequence[float],
    clips: Sequence[float | None],
) -> list[Activation]:
    """The functions ``names``, taking parameters from ``alphas`` and ``betas`` in order.

    An entry of ``clips`` bounds the function's argument to [-clip, clip]. Raises NotLowered for
    another name.
    """
    left_alphas, left_betas = list(alphas), list(betas)
    found = []
    for name, clip in zip(names, clips, strict=True):
        formula = _FORMULAS.get(name.lower())
        if formula is None:
            raise NotLowered(f"the activation {name}")
        function, alpha, beta = formula
        if alpha is not None and left_alphas:
            alpha = left_alphas.pop(0)
        if beta is not None and left_betas:
            beta = left_betas.pop(0)
        found.append(_bind(function, alpha or 0.0, beta or 0.0, clip))
    return found


def _bind(function: _Formula, alpha: float, beta: float, clip: float | None) -> Activation:
    def formula(b: BodyBuilder, x: int) -> int:
        return function(b, x if clip is None else clamp(b, x, -clip, clip), alpha, beta)

    return widened(formula)
