"""Optimisers of ai.onnx.preview.training as element-wise updates.

Inputs are rate, step, then each tensor's value, gradient and states, kind by kind; outputs the new
values and states in the same order.
"""

from collections.abc import Callable, Sequence
from itertools import chain

from ..body_writer import BodyWriter, opens

TRAINING = "ai.onnx.preview.training"

Update = Callable[[BodyWriter, str, list[str]], list[str]]


def _each(w: BodyWriter, kinds: int, rate: str, update: Update) -> Sequence[str]:
    """``update`` (values of one tensor -> its new value and states) for every tensor."""
    operands = list(w.call.input[2:])
    count = len(operands) // kinds
    done = [update(w, rate, operands[i::count]) for i in range(count)]
    return list(chain.from_iterable(zip(*done, strict=True)))


def _number(w: BodyWriter, name: str, default: float, like: str) -> str:
    return w.like(float(w.attr(name, default)), like)


def _regularized(w: BodyWriter, x: str, gradient: str) -> str:
    """The gradient with that of the 2-norm of x."""
    return w.op("Add", w.op("Mul", _number(w, "norm_coefficient", 0.0, x), x), gradient)


def _is_later(w: BodyWriter) -> str:
    """Whether this is not the first step."""
    step = w.required(1)
    return w.op("Greater", step, w.like(0, step))


@opens(TRAINING, "Adagrad")
def adagrad(w: BodyWriter) -> Sequence[str]:
    rate, step = w.required(0), w.required(1)
    slowed = w.op("Mul", w.op("CastLike", step, rate), _number(w, "decay_factor", 0.0, rate))
    return _each(w, 3, w.op("Div", rate, w.op("Add", slowed, w.like(1, rate))), _adagrad)


def _adagrad(w: BodyWriter, rate: str, tensors: list[str]) -> list[str]:
    x, gradient, squares = tensors
    g = _regularized(w, x, gradient)
    total = w.op("Add", squares, w.op("Mul", g, g))
    size = w.op("Add", w.op("Sqrt", total), _number(w, "epsilon", 0.0, x))
    return [w.op("Sub", x, w.op("Div", w.op("Mul", rate, g), size)), total]


@opens(TRAINING, "Adam")
def adam(w: BodyWriter) -> Sequence[str]:
    """The rate grows by the bias correction of both momentums, from the second step on."""
    rate, step = w.required(0), w.op("CastLike", w.required(1), w.required(0))
    one = w.like(1, rate)
    # of step 0 the correction is 0/0; it is not selected, but must not be computed as such either
    counted = w.op("Max", step, one)
    alpha, beta = (_number(w, name, value, rate) for name, value in _MOMENTS)
    left, right = (w.op("Sub", one, w.op("Pow", base, counted)) for base in (alpha, beta))
    corrected = w.op("Div", w.op("Mul", rate, w.op("Sqrt", right)), left)
    return _each(w, 4, w.op("Where", _is_later(w), corrected, rate), _adam)


_MOMENTS = (("alpha", 0.9), ("beta", 0.999))


def _adam(w: BodyWriter, rate: str, tensors: list[str]) -> list[str]:
    x, gradient, first, second = tensors
    g = _regularized(w, x, gradient)
    moved = []
    for (name, default), state, fresh in zip(
        _MOMENTS, (first, second), (g, w.op("Mul", g, g)), strict=True
    ):
        kept = float(w.attr(name, default))
        old = w.op("Mul", w.like(kept, x), state)
        moved.append(w.op("Add", old, w.op("Mul", w.like(1 - kept, x), fresh)))
    size = w.op("Add", w.op("Sqrt", moved[1]), _number(w, "epsilon", 0.0, x))
    stepped = w.op("Sub", x, w.op("Mul", rate, w.op("Div", moved[0], size)))
    post = float(w.attr("norm_coefficient_post", 0.0))
    return [w.op("Mul", w.like(1 - post, x), stepped) if post else stepped, *moved]


@opens(TRAINING, "Momentum")
def momentum(w: BodyWriter) -> Sequence[str]:
    return _each(w, 3, w.required(0), _momentum)


def _momentum(w: BodyWriter, rate: str, tensors: list[str]) -> list[str]:
    x, gradient, velocity = tensors
    g = _regularized(w, x, gradient)
    alpha = _number(w, "alpha", 0.0, x)
    # the first gradient counts whole
    share = w.op("Where", _is_later(w), _number(w, "beta", 0.0, x), w.like(1, x))
    moved = w.op("Add", w.op("Mul", alpha, velocity), w.op("Mul", share, g))
    step = moved
    if w.attr("mode", "standard") == "nesterov":
        step = w.op("Add", g, w.op("Mul", alpha, moved))
    return [w.op("Sub", x, w.op("Mul", rate, step)), moved]
