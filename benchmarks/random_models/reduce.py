"""A failing model with fewer nodes, by cutting: a removed node's results become graph inputs.

The value of every tensor is known, so that any part of a model is a test of its own.
"""

from collections.abc import Callable
from dataclasses import replace

import onnx

from .compare import Mismatch, check
from .model_draw import RandomModel, captured_names, value_info

Fails = Callable[[RandomModel], bool]
Check = Callable[[RandomModel, str], str]


def smallest(model: RandomModel, target: str, error: Mismatch, how: Check = check) -> RandomModel:
    """The part of ``model`` that fails on ``target`` in the way of ``error``."""

    def fails(candidate: RandomModel) -> bool:
        try:
            how(candidate, target)
        except Mismatch as other:
            return other.signature == error.signature
        return False

    return reduced(model, fails)


def reduced(model: RandomModel, fails: Fails) -> RandomModel:
    """A part of ``model`` for which ``fails`` still holds, with no node that could go."""
    names = [output.name for output in model.proto.graph.output]
    for name in names if len(names) > 1 else ():
        one = part(model, model.proto.graph.node, [name])
        if one.proto.graph.node and fails(one):
            model = one
            break
    size = len(model.proto.graph.node)
    while size:
        start = 0
        while start < len(model.proto.graph.node):
            nodes = list(model.proto.graph.node)
            kept = nodes[:start] + nodes[start + size :]
            smaller = part(model, kept, [o.name for o in model.proto.graph.output])
            if kept and fails(smaller):
                model = smaller
            else:
                start += size
        size //= 2
    return model


def part(model: RandomModel, nodes: list[onnx.NodeProto], outputs: list[str]) -> RandomModel:
    """The model of those of ``nodes`` that the ``outputs`` they make need."""
    made = {name for node in nodes for name in node.output}
    kept_outputs = [name for name in outputs if name in made]
    wanted, kept = set(kept_outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.insert(0, node)
            wanted |= {name for name in node.input if name} | captured_names(node)
    made = {name for node in kept for name in node.output}
    constants = {tensor.name: tensor for tensor in model.proto.graph.initializer}
    read = [name for name in model.values if name in wanted and name not in made]
    graph = onnx.helper.make_graph(
        kept,
        "reduced",
        [value_info(model.values[name]) for name in read if name not in constants],
        [value_info(model.values[name]) for name in kept_outputs],
        [constants[name] for name in read if name in constants],
        value_info=[v for v in model.proto.graph.value_info if v.name in made - set(kept_outputs)],
    )
    proto = onnx.helper.make_model(
        graph, opset_imports=model.proto.opset_import, ir_version=model.proto.ir_version
    )
    inputs = {name: model.values[name].array for name in read if name not in constants}
    return replace(model, proto=proto, inputs=inputs)
