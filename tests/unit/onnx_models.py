"""Small ONNX models for tests, each a few lines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper


def info(name: str, shape: Sequence[int | str] | None, kind: int = TensorProto.FLOAT) -> Any:
    """A typed graph input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    weights: dict[str, np.ndarray] | None = None,
    opset: int = 21,
    **more: Any,
) -> ModelProto:
    """A model of one graph; ``weights`` become initialisers."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), tensors)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, **more
    )


def perceptron(hidden: int = 3, opset: int = 21) -> ModelProto:
    """MatMul and Relu: x [2, 4] -> z [2, hidden]."""
    weight = np.arange(4 * hidden, dtype=np.float32).reshape(4, hidden)
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["y"], name="fc"),
            helper.make_node("Relu", ["y"], ["z"], name="act"),
        ],
        [info("x", [2, 4])],
        [info("z", [2, hidden])],
        {"w": weight},
        opset,
    )


def external(
    entries: Sequence[tuple[str, str]], dims: Sequence[int] = (4, 3), name: str = "w"
) -> ModelProto:
    """The perceptron with its weight outside the file, described by ``entries``."""
    made = perceptron()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.ClearField("dims")
    tensor.dims.extend(dims)
    tensor.name = name
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries:
        tensor.external_data.add(key=key, value=value)
    return made
