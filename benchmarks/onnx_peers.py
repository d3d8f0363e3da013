"""ONNX Runtime and onnx's reference evaluator in the place of the compiler, for the same cases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx_cases import Prepare, Run


def runtime(model: onnx.ModelProto) -> Run:
    """ONNX Runtime's session, with nothing around it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    known = {value.name for value in session.get_inputs()}

    def run(inputs: Sequence[Any]) -> Sequence[Any]:
        feeds = _feeds(model, inputs)
        found: Sequence[Any] = session.run(None, {k: v for k, v in feeds.items() if k in known})
        return found

    return run


def reference(model: onnx.ModelProto) -> Run:
    """onnx's reference evaluator."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)

    def run(inputs: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = evaluator.run(None, _feeds(model, inputs))
        return found

    return run


PEERS: dict[str, Prepare] = {"ONNX Runtime": runtime, "reference evaluator": reference}


def _feeds(model: onnx.ModelProto, inputs: Sequence[Any]) -> dict[str, Any]:
    initialised = {tensor.name for tensor in model.graph.initializer}
    every = [value.name for value in model.graph.input]
    free = [name for name in every if name not in initialised]
    names = every if len(inputs) == len(every) else free
    # Some cases come with numpy's scalars, which neither takes.
    values = [np.asarray(x) if isinstance(x, np.generic) else x for x in inputs]
    return dict(zip(names, values, strict=True))
