"""Hand narrow elements to ONNX Runtime, whose Python side has no numpy type for them.

    f(x: float8) -> y: int4   ==>   f'(x: float32) -> y: float32 { Cast -> f's nodes -> Cast }

Every value of a narrow type is a float32, so that nothing is lost on the way.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.elements import OF_NUMBER

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, ValueInfoProto

_FLOAT = 1  # TensorProto.DataType
Run = Callable[[Sequence[Any]], Sequence[Any]]


def widen_ports(model: "ModelProto") -> "ModelProto":
    """``model`` with float32 where its inputs and outputs are narrow; itself where none is."""
    if not any(map(_is_narrow, (*model.graph.input, *model.graph.output))):
        return model
    wide = type(model)()
    wide.CopyFrom(model)
    graph = wide.graph
    nodes = [type(node).FromString(node.SerializeToString()) for node in graph.node]
    for value in filter(_is_narrow, graph.input):
        name, number = _widen(value)
        nodes.insert(0, _cast(value.name, name, number))
    for value in filter(_is_narrow, graph.output):
        name, _ = _widen(value)
        nodes.append(_cast(name, value.name, _FLOAT))
    del graph.node[:]
    graph.node.extend(nodes)
    return wide


def on_narrow_values(model: "ModelProto", run: Run) -> Run:
    """``run`` of ``widen_ports(model)`` as a function of the values that ``model`` itself takes."""
    inputs = [_is_narrow(value) for value in model.graph.input]
    outputs = [
        OF_NUMBER[value.type.tensor_type.elem_type].dtype if _is_narrow(value) else None
        for value in model.graph.output
    ]

    def converted(values: Sequence[Any]) -> Sequence[Any]:
        given = [
            x.astype(np.float32) if narrow else x for x, narrow in zip(values, inputs, strict=True)
        ]
        found = zip(run(given), outputs, strict=True)
        return [y if dtype is None else y.astype(dtype) for y, dtype in found]

    return converted


def _is_narrow(value: "ValueInfoProto") -> bool:
    element = OF_NUMBER.get(value.type.tensor_type.elem_type)
    return element is not None and element.is_narrow


def _widen(value: "ValueInfoProto") -> tuple[str, int]:
    """Make ``value`` a float32 under another name; returns its old name and element type."""
    kind = value.type.tensor_type
    old = value.name, kind.elem_type
    value.name, kind.elem_type = f"{value.name}/wide", _FLOAT
    return old


def _cast(source: str, result: str, to: int) -> "NodeProto":
    from onnx import helper

    node = helper.make_node("Cast", [source], [result], to=to)
    if to != _FLOAT and OF_NUMBER[to].bits == 8:
        node.attribute.append(helper.make_attribute("saturate", 0))  # infinities stay infinite
    return node
