"""Draws of If, Loop and Scan with small bodies."""

import numpy as np
import onnx
from onnx import helper

from .arrays import FLOAT32
from .model_draw import ModelDraw, draws
from .oracle import Refused

#: Operators of one float operand that a body may hold.
BODY = ("Neg", "Abs", "Relu", "Identity", "Tanh")


def _declared(name: str, dtype: int, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


@draws("If")
def if_(g: ModelDraw, op_type: str) -> None:
    """Both branches compute on values of the graph around them."""
    x = g.pick([FLOAT32], 0, 3)
    other = g.like(x, x.shape)
    condition = g.given(np.array(g.chance(2)), constant=g.chance(4))
    branches = {}
    for name, operand in (("then_branch", x), ("else_branch", other)):
        inner = f"{name}_{len(g.values)}"
        nodes = [helper.make_node(g.choose(BODY), [operand.name], [f"{inner}_0"])]
        nodes.append(helper.make_node("Add", [f"{inner}_0", x.name], [f"{inner}_1"]))
        result = _declared(f"{inner}_1", 1, x.shape)
        branches[name] = helper.make_graph(nodes, name, [], [result])
    g.node(op_type, [condition], **branches)


@draws("Loop")
def loop(g: ModelDraw, op_type: str) -> None:
    """A fixed number of rounds over one carried value, each of which is also collected."""
    x = g.pick([FLOAT32], 0, 2)
    step = g.like(x, x.shape)
    p = f"loop_{len(g.values)}"
    nodes = [
        helper.make_node(g.choose(BODY), [f"{p}_in"], [f"{p}_0"]),
        helper.make_node("Add", [f"{p}_0", step.name], [f"{p}_out"]),
        helper.make_node("Identity", [f"{p}_cond"], [f"{p}_cond_out"]),
        helper.make_node("Identity", [f"{p}_out"], [f"{p}_scan"]),
    ]
    inputs = [
        _declared(f"{p}_i", 7, ()),
        _declared(f"{p}_cond", 9, ()),
        _declared(f"{p}_in", 1, x.shape),
    ]
    outputs = [
        _declared(f"{p}_cond_out", 9, ()),
        _declared(f"{p}_out", 1, x.shape),
        _declared(f"{p}_scan", 1, x.shape),
    ]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    rounds = g.given(np.array(g.number(1, 3), np.int64))
    g.node(op_type, [rounds, g.given(np.array(True)), x], 2, body=body)


@draws("Scan")
def scan(g: ModelDraw, op_type: str) -> None:
    """A running sum over the first axis."""
    if g.opset < 9:
        raise Refused("another operator at this opset")
    x = g.pick([FLOAT32], 1, 3, fits=lambda v: v.rank > 0 and v.shape[0] > 0)
    row = x.shape[1:]
    start = g.new(row)
    p = f"scan_{len(g.values)}"
    nodes = [
        helper.make_node("Add", [f"{p}_state", f"{p}_x"], [f"{p}_next"]),
        helper.make_node(g.choose(BODY), [f"{p}_next"], [f"{p}_y"]),
    ]
    inputs = [_declared(f"{p}_state", 1, row), _declared(f"{p}_x", 1, row)]
    outputs = [_declared(f"{p}_next", 1, row), _declared(f"{p}_y", 1, row)]
    body = helper.make_graph(nodes, "body", inputs, outputs)
    g.node(op_type, [start, x], 2, body=body, num_scan_inputs=1)
