"""LSTM, GRU and RNN against ONNX Runtime (batch first, which it lacks, against time first)."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import (
    NEWEST,
    Lowered,
    check_op,
    interpret_function,
    lower_node,
    single_node,
)

TIME, BATCH, FEATURES, HIDDEN = 2, 3, 4, 5
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
CELLS = list(GATES)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def inputs_of(op: str, directions: int, full: bool = True, time: int = TIME) -> dict[str, Any]:
    gates = GATES[op] * HIDDEN
    state = floats(directions, BATCH, HIDDEN)
    inputs = {
        "X": floats(time, BATCH, FEATURES),
        "W": floats(directions, gates, FEATURES),
        "R": floats(directions, gates, HIDDEN),
        "B": floats(directions, 2 * gates) if full else None,
        "lengths": None,
        "h": state if full else None,
    }
    if op == "LSTM":
        inputs["c"] = state[::-1] * 2 if full else None
    return inputs


def check(op: str, inputs: dict[str, Any], **attrs: Any) -> Lowered:
    constants = ["W", "R", "B", "P", "lengths"]
    known = [name for name in constants if name in inputs]
    full = {"hidden_size": HIDDEN, **attrs}
    outputs = 3 if op == "LSTM" else 2
    return check_op(op, inputs, full, outputs, known, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("full", [True, False])
def test_directions(op: str, direction: str, full: bool) -> None:
    inputs = inputs_of(op, DIRECTIONS[direction], full)
    check(op, inputs, direction=direction, **({"clip": 0.3} if direction == "reverse" else {}))
    if op == "GRU":
        check(op, inputs, direction=direction, linear_before_reset=1)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("coupled", [0, 1])
def test_peepholes(direction: str, coupled: int) -> None:
    count = DIRECTIONS[direction]
    inputs = {**inputs_of("LSTM", count), "P": floats(count, 3 * HIDDEN)}
    check("LSTM", inputs, direction=direction, input_forget=coupled)


ACTIVATIONS = [
    ("Affine", 0.5, 0.1),
    ("Elu", 0.7, None),
    ("HardSigmoid", 0.3, 0.4),
    ("LeakyRelu", 0.1, None),
    ("Relu", None, None),
    ("ScaledTanh", 0.8, 1.2),
    ("Sigmoid", None, None),
    ("Softplus", None, None),
    ("Softsign", None, None),
    ("ThresholdedRelu", 0.6, None),
]


@pytest.mark.parametrize(("name", "alpha", "beta"), ACTIVATIONS, ids=lambda v: str(v))
def test_activations(name: str, alpha: float | None, beta: float | None) -> None:
    attrs: dict[str, Any] = {"activations": [name]}
    if alpha is not None:
        attrs["activation_alpha"] = [alpha]
    if beta is not None:
        attrs["activation_beta"] = [beta]
    check("RNN", inputs_of("RNN", 1), **attrs)


@pytest.mark.parametrize("name", ["HardSigmoid", "LeakyRelu", "Elu", "ThresholdedRelu", "Affine"])
def test_default_parameters(name: str) -> None:
    check("RNN", inputs_of("RNN", 1), activations=[name])


def test_parameters_are_taken_in_order() -> None:
    names = ["HardSigmoid", "Tanh", "LeakyRelu", "Sigmoid", "ScaledTanh", "Tanh"]
    check(
        "LSTM",
        inputs_of("LSTM", 2),
        direction="bidirectional",
        activations=names,
        activation_alpha=[0.3, 0.1, 0.8],
        activation_beta=[0.4, 1.2],
    )


@pytest.mark.parametrize("op", CELLS)
def test_batch_first_is_time_first_with_its_dims_exchanged(op: str) -> None:
    moved = inputs_of(op, 1)
    attrs = {"linear_before_reset": 1} if op == "GRU" else {}
    orders = [(2, 0, 1, 3), (1, 0, 2), (1, 0, 2)]
    outputs = check(op, moved, **attrs).outputs
    expected = [y.transpose(order) for y, order in zip(outputs, orders, strict=False)]
    inputs = {
        name: x.transpose(1, 0, 2).copy() if name in ("X", "h", "c") else x
        for name, x in moved.items()
    }
    full = {"hidden_size": HIDDEN, "layout": 1, **attrs}
    model = single_node(op, inputs, full, len(expected), NEWEST)
    module, weights, free = lower_node(model, inputs, expected, ["W", "R", "B"])
    (function,) = module.body.block.ops
    came = interpret_function(function, free, weights)  # type: ignore[arg-type]
    for ours, reference in zip(came, expected, strict=True):
        np.testing.assert_array_equal(ours, reference)


@pytest.mark.parametrize(("op", "linears"), [("RNN", 1), ("GRU", 2), ("LSTM", 1)])
def test_steps_share_the_recurrent_weights(op: str, linears: int) -> None:
    module = check(op, inputs_of(op, 1)).module
    found = [o for o in module.walk() if o.name == "graph.linear"]
    assert len(found) == 1 + linears * TIME
    assert len({o.operands[1] for o in found}) == 1 + linears


def test_full_lengths_are_like_none() -> None:
    inputs = {**inputs_of("GRU", 1), "lengths": np.full(BATCH, TIME, np.int32)}
    check("GRU", inputs)


@pytest.mark.parametrize("op", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("time", [TIME, 7])
@pytest.mark.parametrize("known", [True, False])
def test_sequences_of_different_lengths(op: str, direction: str, time: int, known: bool) -> None:
    """A sequence that is over keeps its state; backwards it begins at its own end."""
    inputs = inputs_of(op, DIRECTIONS[direction], time=time)
    inputs["lengths"] = np.array([time, 1, time - 1], np.int32)
    attrs = {"hidden_size": HIDDEN, "direction": direction}
    constants = ["W", "R", "B", *(["lengths"] if known else [])]
    outputs = 3 if op == "LSTM" else 2
    check_op(op, inputs, attrs, outputs, constants, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("op", CELLS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_many_steps_are_a_loop(op: str, direction: str) -> None:
    lowered = check(op, inputs_of(op, DIRECTIONS[direction], time=9), direction=direction)
    assert lowered.ops.count("loop") == 1
    if op == "GRU":
        attrs = {"direction": direction, "linear_before_reset": 1}
        assert check(op, inputs_of(op, DIRECTIONS[direction], time=9), **attrs).ops.count("loop")


@pytest.mark.parametrize("op", CELLS)
@pytest.mark.parametrize("time", [TIME, 6])
def test_weights_may_be_computed(op: str, time: int) -> None:
    inputs = inputs_of(op, 2, time=time)
    if op == "LSTM":
        inputs["P"] = floats(2, 3 * HIDDEN)
    for constants in ([], ["W"], ["R", "B"]):
        for attrs in ({}, {"linear_before_reset": 1}) if op == "GRU" else ({},):
            full = {"hidden_size": HIDDEN, "direction": "bidirectional", **attrs}
            outputs = 3 if op == "LSTM" else 2
            lowered = check_op(op, inputs, full, outputs, constants, rtol=1e-4, atol=1e-5)
            assert "contract" in {o.name.split(".")[1] for o in lowered.module.walk()}


def test_activations_of_unequal_number_stay_on_the_host() -> None:
    with pytest.raises(NotLowered, match="1 activations for 2 directions"):
        check("RNN", inputs_of("RNN", 2), direction="bidirectional", activations=["Tanh"])
