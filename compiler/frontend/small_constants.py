"""Small constants that are still in the protobuf: initialisers and Constant nodes."""

from typing import TYPE_CHECKING

import numpy as np

from ...dialects.types import is_supported
from ..weights import Constant
from .external_data import ExternalFiles
from .read_tensor import read_tensor

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto


def small_constants(graph: "GraphProto") -> tuple[dict[str, Constant], list["NodeProto"]]:
    """The initialisers that are still in ``graph``.

    Those of types that the IR does not have become Constant nodes, for use on the host.
    """
    from onnx import helper

    constants: dict[str, Constant] = {}
    nodes = []
    for tensor in graph.initializer:
        if is_supported(tensor.data_type):
            constants[tensor.name] = small_constant(tensor)
        else:
            nodes.append(helper.make_node("Constant", [], [tensor.name], value=tensor))
    return constants, nodes


def small_constant(tensor: "TensorProto") -> Constant:
    """The constant of an inline tensor."""
    return read_tensor(tensor, ExternalFiles(None))


def constant_value(node: "NodeProto") -> Constant | None:
    """The value of a small Constant node, whichever attribute holds it; None for foreign types."""
    for attribute in node.attribute:
        match attribute.name:
            case "value" if is_supported(attribute.t.data_type):
                return small_constant(attribute.t)
            case "value_int":
                return np.array(attribute.i, np.int64)
            case "value_ints":
                return np.array(attribute.ints, np.int64)
            case "value_float":
                return np.array(attribute.f, np.float32)
            case "value_floats":
                return np.array(attribute.floats, np.float32)
    return None
