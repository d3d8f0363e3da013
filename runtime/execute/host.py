"""The host processor: operators without a lowering, run one node at a time by ONNX Runtime.

A host kernel is a serialized single-node model. Sessions are kept by the digest of these bytes.
Where ONNX Runtime has no kernel (an operator, or a type such as bfloat16) the reference evaluator
of the onnx package runs the node instead.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from ...errors import ProgramError, one_line

#: Sessions kept; a program rarely has more distinct host nodes.
SESSIONS = 128

Run = Callable[[Sequence[np.ndarray]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Node:
    """A single-node model, compared by digest."""

    digest: bytes
    model: bytes = field(compare=False, repr=False)


def run_host(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the single-node ONNX ``model``, for ``inputs`` in the order of its graph.

    Raises ProgramError, naming the node, when the bytes are no such model or the node fails.
    """
    run, name = _prepare(Node(sha256(model).digest(), model))
    try:
        outputs = run([np.asarray(x, order="C") for x in inputs])
    except ProgramError:
        raise
    except Exception as error:  # both runtimes raise whatever the operator raises
        raise ProgramError(
            f"the host must be able to run this node: {_reason(error)}", where=name
        ) from error
    for output in outputs:
        if not isinstance(output, np.ndarray):
            raise ProgramError(
                f"a host node must give tensors, not {type(output).__name__}", where=name
            )
    return list(outputs)


@lru_cache(maxsize=SESSIONS)
def _prepare(node: Node) -> tuple[Run, str]:
    """How to run the node, and its name for messages."""
    model, name = _parse(node.model)
    expected = len(model.graph.input)
    reference = _reference(model)
    try:
        fast = _session(node.model)
    except Exception as error:  # ONNX Runtime's exception classes share no documented base
        fast, why = None, _reason(error)

    def run(inputs: Sequence[np.ndarray]) -> Sequence[Any]:
        if len(inputs) != expected:
            raise ProgramError(
                f"a host node needs {expected} inputs, not {len(inputs)}", where=name
            )
        if fast is not None and all(x.dtype.isbuiltin == 1 for x in inputs):
            try:
                return fast(inputs)
            except NotImplementedError:
                return reference(inputs)
        try:
            return reference(inputs)
        except Exception as error:
            if fast is not None:
                raise
            raise ProgramError(
                f"neither runtime can run this node: ONNX Runtime: {why}; "
                f"reference evaluator: {_reason(error)}",
                where=name,
            ) from error

    return run, name


def _parse(data: bytes) -> tuple[Any, str]:
    import onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, from a package without types
        raise ProgramError("a host kernel must hold an ONNX model") from error
    if len(model.graph.node) != 1:
        raise ProgramError(
            f"a host kernel must hold one node, not {len(model.graph.node)}",
            where=model.graph.name or None,
        )
    node = model.graph.node[0]
    name = f"{node.name or '/'.join(node.output)} ({node.op_type})"
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model.graph)):
        # a program file must not make its reader open other files
        raise ProgramError("a host kernel must hold its data, not name a file", where=name)
    return model, name


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor in a graph and in the graphs of its attributes."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner) if inner.node or inner.initializer else ()


def _session(model: bytes) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    unavailable = onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented

    def run(inputs: Sequence[np.ndarray]) -> Sequence[Any]:
        try:
            return session.run(None, dict(zip(names, inputs, strict=True)))
        except unavailable as error:
            raise NotImplementedError(str(error)) from error

    return run


def _reference(model: Any) -> Run:
    """The onnx package's evaluator, built when it is first needed."""
    names = [i.name for i in model.graph.input]

    @lru_cache(maxsize=1)
    def evaluator() -> Any:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model)

    def run(inputs: Sequence[np.ndarray]) -> Sequence[Any]:
        outputs = evaluator().run(None, dict(zip(names, inputs, strict=True)))
        return [np.asarray(y) if isinstance(y, np.generic) else y for y in outputs]

    return run


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 400)
