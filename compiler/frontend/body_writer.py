"""Operators of other domains as ONNX operators: what their bodies in ``bodies/`` are written with.

    com.microsoft.BiasGelu(x, b)  ->  Gelu(Add(x, b))

An operator without a function body in its schema, or without a schema at all, gets one here. Shape
inference, folding and lowering then know its parts, so that neither a shape rule nor a lowering of
its own is needed. A body raises ModelError for a configuration that it does not cover; the operator
then stays whole, for the host.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.types import onnx_type_of
from ...errors import ModelError
from ..weights import Constant, Deferred
from .model import TensorSpec

if TYPE_CHECKING:
    from onnx import NodeProto

FAMILIES = ("attention", "classical", "contrib", "quantized", "training", "trees")


class BodyWriter:
    """Writes the nodes that ``call`` stands for; values are names, None an omitted input.

    ``nodes`` and ``constants`` are what was written. Nothing written is named as in the model.
    """

    def __init__(
        self,
        call: "NodeProto",
        specs: Mapping[str, TensorSpec],
        constants: Mapping[str, Constant],
    ) -> None:
        from onnx import helper

        self.call = call
        self.attrs: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in call.attribute}
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Constant] = {}
        self._specs = specs
        self._known = constants

    # what the call says

    def input(self, index: int) -> str | None:
        """The value of input ``index``, None when omitted."""
        return (self.call.input[index] or None) if index < len(self.call.input) else None

    def required(self, index: int) -> str:
        """Input ``index``; ModelError where it is omitted."""
        name = self.input(index)
        if name is None:
            raise ModelError(f"{self.call.op_type} must have input {index}", where=self.call.name)
        return name

    def wants(self, index: int) -> bool:
        """Whether output ``index`` is asked for."""
        return index < len(self.call.output) and self.call.output[index] != ""

    def attr(self, name: str, default: Any) -> Any:
        """An attribute as a plain value, or its default."""
        value = self.attrs.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def shape(self, name: str) -> tuple[int, ...]:
        """The static shape of an input."""
        return self._specs[name].shape

    def dtype(self, name: str) -> np.dtype:
        """The element type of an input."""
        return self._specs[name].dtype

    def known(self, name: str) -> Constant | None:
        """The constant behind an input; None when it is computed."""
        return self._known.get(name)

    def value(self, name: str, what: str) -> np.ndarray:
        """The elements of an input that must be a constant."""
        constant = self.known(name)
        if not isinstance(constant, np.ndarray):
            raise ModelError(f"{what} must be a constant", where=self.call.name)
        return constant

    def refuse(self, text: str) -> ModelError:
        """The fault of a call that has no body here."""
        return ModelError(f"{self.call.op_type} has no body here: {text}", where=self.call.name)

    # what the body says

    def op(self, op_type: str, *inputs: str | None, **attrs: Any) -> str:
        """A node of one output; returns its name. Attributes that are None are left out."""
        return self.several(op_type, *inputs, outputs=1, **attrs)[0]

    def several(self, op_type: str, *inputs: str | None, outputs: int, **attrs: Any) -> list[str]:
        """A node of several outputs."""
        from onnx import helper

        name = f"{self.call.name}/{op_type}_{len(self.nodes)}"
        results = [f"{name}/{i}" for i in range(outputs)]
        given = [x or "" for x in inputs]
        while given and not given[-1]:
            given.pop()
        node = helper.make_node(op_type, given, results, name=name)
        for key, value in attrs.items():
            if value is not None:
                node.attribute.append(helper.make_attribute(key, value))
        self.nodes.append(node)
        return results

    def constant(
        self, value: Constant | np.generic | Sequence[Any] | float, dtype: Any = None
    ) -> str:
        """A constant of the body."""
        name = f"{self.call.name}/constant_{len(self.constants)}"
        self.constants[name] = value if isinstance(value, Deferred) else np.asarray(value, dtype)
        return name

    def like(self, value: float, name: str) -> str:
        """A scalar constant in the element type of an input."""
        return self.constant(np.asarray(value).astype(self.dtype(name)))

    def cast(self, name: str, dtype: Any) -> str:
        """``name`` converted to ``dtype``."""
        return self.op("Cast", name, to=onnx_type_of(np.dtype(dtype)))

    def ints(self, *values: int) -> str:
        """A vector of int64, as shapes and axes are given."""
        return self.constant(np.array(values, np.int64))


#: Writes a body and returns the values of the call's outputs, in order (None for one not computed).
WriteBody = Callable[[BodyWriter], Sequence[str | None] | str]
_BODIES: dict[tuple[str, str], WriteBody] = {}


def opens(domain: str, *ops: str) -> Callable[[WriteBody], WriteBody]:
    """Register the decorated function as the body of operators ``ops`` of ``domain``."""

    def register(function: WriteBody) -> WriteBody:
        for op in ops:
            assert (domain, op) not in _BODIES, f"{domain}.{op} has two bodies"
            _BODIES[domain, op] = function
        return function

    return register


def written_body(domain: str, op: str) -> WriteBody | None:
    """The body of an operator, None without one; loads the families on first use."""
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.bodies.{family}")
    return _BODIES.get((domain, op))


def write_body(
    write: WriteBody,
    call: "NodeProto",
    specs: Mapping[str, TensorSpec],
    constants: Mapping[str, Constant],
) -> tuple[list["NodeProto"], dict[str, Constant]]:
    """The nodes of ``call`` and the constants they read. Raises ModelError."""
    from onnx import helper

    writer = BodyWriter(call, specs, constants)
    try:
        found = write(writer)
    except (LookupError, ValueError, TypeError) as error:
        # of attributes and operands that do not fit each other: no schema has checked them
        raise writer.refuse(f"{type(error).__name__}: {error}") from error
    results = [found] if isinstance(found, str) else list(found)
    for index, output in enumerate(call.output):
        value = results[index] if index < len(results) else None
        if not output:
            continue
        if value is None:
            raise writer.refuse(f"output {index} is asked for")
        writer.nodes.append(helper.make_node("Identity", [value], [output]))
    return writer.nodes, writer.constants
