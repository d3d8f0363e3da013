"""The host processor: operators without a lowering, run by ONNX Runtime.

A host kernel is a serialized model of one node, or of the nodes around values that only the host
has. Sessions are kept by the digest of these bytes. Where ONNX Runtime has no kernel (an operator,
or a type such as bfloat16), where its kernel fails, or where it is known to differ from ONNX, the
reference evaluator of the onnx package runs the nodes instead. An input or output whose
``doc_string`` says so comes or goes as a record (dialects.records).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import Any

import numpy as np

from ...dialects.records import RECORD, from_record, to_record
from ...errors import InputError, ProgramError, one_line
from .narrow_ports import on_narrow_values, widen_ports
from .older_opset import older_models

#: Sessions kept; a program rarely has more distinct host nodes.
SESSIONS = 128

#: Operators that the reference evaluator runs although ONNX Runtime has a kernel, and why.
REFERENCE_FIRST = {
    "DFT": "what cancels to zero in a fast Fourier transform does not in ONNX Runtime",
    "Dropout": "ONNX Runtime draws training masks from another generator than ONNX",
    "MaxUnpool": "ONNX Runtime reads indices as those of the larger output_shape",
    "STFT": "as DFT",
}

# TensorProto.DataType of numpy's own types (and of strings): what ONNX Runtime takes from Python.
_NUMPY_ELEMENTS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13))

Run = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Node:
    """A host kernel's model, compared by digest."""

    digest: bytes
    model: bytes = field(compare=False, repr=False)


class _NoKernel(Exception):
    """ONNX Runtime's kernel does not do this; ``error`` is what it raised."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def run_host(model: bytes, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of the ONNX ``model``, for ``inputs`` in the order of its graph.

    Raises ProgramError, naming the node, when the bytes are no such model or a node fails.
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
    """How to run the model, and its name for messages."""
    model, name = _parse(node.model)
    sources, results = list(model.graph.input), list(model.graph.output)
    compute = _with_fallback(model, node.model, name)

    def run(inputs: Sequence[np.ndarray]) -> Sequence[Any]:
        if len(inputs) != len(sources):
            raise ProgramError(
                f"a host node needs {len(sources)} inputs, not {len(inputs)}", where=name
            )
        try:
            given = [_unpacked(x, v) for x, v in zip(inputs, sources, strict=True)]
            outputs = compute(given)
            return [_packed(y, v) for y, v in zip(outputs, results, strict=True)]
        except InputError as error:
            raise ProgramError(error.message, where=name) from error

    return run, name


def _unpacked(x: np.ndarray, value: Any) -> Any:
    return from_record(x, value.type) if value.doc_string == RECORD else x


def _packed(y: Any, value: Any) -> Any:
    return to_record(y, value.type) if value.doc_string == RECORD else y


def _with_fallback(model: Any, data: bytes, name: str) -> Run:
    """ONNX Runtime, or the reference evaluator where the former cannot run the model."""
    reference = _reference(model)
    if _operators(model.graph) & set(REFERENCE_FIRST):
        return reference
    why = "it cannot exchange tensors of these types"
    fast = None
    wide = widen_ports(model)
    if _exchangeable(wide.graph):
        try:
            fast = _session(data if wide is model else wide.SerializeToString())
        except Exception as error:  # ONNX Runtime's exception classes share no documented base
            why = _reason(error)
            fast = _older_session(wide)
    if fast is not None and wide is not model:
        fast = on_narrow_values(model, fast)

    def run(inputs: Sequence[Any]) -> Sequence[Any]:
        if fast is not None:
            try:
                return fast(inputs)
            except _NoKernel as refusal:
                try:
                    return reference(inputs)
                except Exception:  # whatever the operator raises: the first error says more
                    raise refusal.error from None
        try:
            return reference(inputs)
        except Exception as error:
            raise ProgramError(
                f"neither runtime can run this node: ONNX Runtime: {why}; "
                f"reference evaluator: {_reason(error)}",
                where=name,
            ) from error

    return run


def _operators(graph: Any) -> set[str]:
    """Names of all operators in a graph and in the graphs of its nodes."""
    found = set()
    for node in graph.node:
        found.add(node.op_type)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _operators(inner)
    return found


def _exchangeable(graph: Any) -> bool:
    """Whether ONNX Runtime's Python side knows the types of all inputs and outputs."""
    return all(_element(v.type) in _NUMPY_ELEMENTS for v in (*graph.input, *graph.output))


def _element(kind: Any) -> int:
    """The element type in a tensor, sequence or optional type."""
    while not kind.HasField("tensor_type"):
        field = kind.WhichOneof("value")
        if field not in ("sequence_type", "optional_type"):
            return 0
        kind = getattr(kind, field).elem_type
    return int(kind.tensor_type.elem_type)


def _parse(data: bytes) -> tuple[Any, str]:
    import onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError, from a package without types
        raise ProgramError("a host kernel must hold an ONNX model") from error
    nodes = model.graph.node
    if not nodes:
        raise ProgramError("a host kernel must hold a node", where=model.graph.name or None)
    kinds = ", ".join(dict.fromkeys(node.op_type for node in nodes))
    name = f"{nodes[0].name or '/'.join(nodes[0].output)} ({one_line(kinds, 200)})"
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
    state = onnxruntime.capi.onnxruntime_pybind11_state
    # a kernel without some case (an empty set of bool to reduce) raises the second
    unavailable = (state.NotImplemented, state.RuntimeException)

    def run(inputs: Sequence[Any]) -> Sequence[Any]:
        try:
            return session.run(None, dict(zip(names, inputs, strict=True)))
        except unavailable as error:
            raise _NoKernel(error) from error

    return run


def _older_session(model: Any) -> Run | None:
    for older in older_models(model):
        try:
            return _session(older.SerializeToString())
        except Exception:  # as above; the first refusal is the one to report
            continue
    return None


def _reference(model: Any) -> Run:
    """The onnx package's evaluator, built when it is first needed."""
    names = [i.name for i in model.graph.input]

    @lru_cache(maxsize=1)
    def evaluator() -> Any:
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model)

    def run(inputs: Sequence[Any]) -> Sequence[Any]:
        outputs = evaluator().run(None, dict(zip(names, inputs, strict=True)))
        return [np.asarray(y) if isinstance(y, np.generic) else y for y in outputs]

    return run


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 400)
