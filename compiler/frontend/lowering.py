"""Registry of ONNX operator lowerings, one function an operator, by family in ``ops/``.

A lowering takes the builder and the node and returns one value an output (None for an output that
nothing uses). It raises :class:`NotLowered` with a reason when this configuration has no lowering
yet; the node then runs on the host and every report gives the reason.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from xdsl.ir import Region, SSAValue

from ...dialects.onnx import RANDOM_OPS
from .graph_builder import GraphBuilder

FAMILIES = (
    "cast",
    "control",
    "convolution",
    "determinant",
    "elementwise",
    "indexing",
    "linear_attention",
    "matrix",
    "mel",
    "movement",
    "normalization",
    "pooling",
    "quantization",
    "recurrent",
    "reduction",
    "resize",
    "sampling",
    "sorting",
    "spectral",
)


_RANDOM = "draws random numbers, for which ONNX fixes no generator"
_OPTIONAL = "works on optionals, which are no tensors"
#: What is meant for the host processor, and why. Operators on strings and sequences never get here:
#: their values are no tensors.
HOST_OPERATORS: dict[str, str] = {
    **dict.fromkeys(RANDOM_OPS, _RANDOM),
    "ImageDecoder": "decodes a compressed image file",
    "NonMaxSuppression": "how many boxes are left depends on their scores",
    "Optional": _OPTIONAL,
    "OptionalGetElement": _OPTIONAL,
    "OptionalHasElement": _OPTIONAL,
    "TfIdfVectorizer": "looks sequences of tokens up in a dictionary",
    "Unique": "how many elements are left depends on their values",
}


class NotLowered(Exception):
    """This configuration of the operator stays on the host; the text is the reason."""


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One ONNX node as lowerings see it.

    ``inputs`` holds None for omitted optional inputs; ``outputs`` is (shape, dtype) by output,
    None for omitted or unused ones; ``attrs`` are plain Python values (ints, floats, str, lists,
    arrays) as given in the model, with the schema's defaults filled in. ``bodies`` are the regions
    of a control operator, to be cloned.
    """

    op: str
    name: str
    inputs: tuple[SSAValue | None, ...]
    outputs: tuple[tuple[tuple[int, ...], np.dtype] | None, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    bodies: tuple[Region, ...] = ()

    def input(self, index: int) -> SSAValue | None:
        """Input ``index``, None when omitted."""
        return self.inputs[index] if index < len(self.inputs) else None

    def required(self, index: int) -> SSAValue:
        """Input ``index``, which the schema says is there."""
        value = self.input(index)
        assert value is not None
        return value

    @property
    def out_shape(self) -> tuple[int, ...]:
        assert self.outputs[0] is not None
        return self.outputs[0][0]

    @property
    def out_dtype(self) -> np.dtype:
        assert self.outputs[0] is not None
        return self.outputs[0][1]


Lowering = Callable[[GraphBuilder, OnnxNode], Sequence[SSAValue | None] | SSAValue]
_LOWERINGS: dict[str, Lowering] = {}


def lowers(*ops: str) -> Callable[[Lowering], Lowering]:
    """Register the decorated function as the lowering of the ai.onnx operators ``ops``."""

    def register(function: Lowering) -> Lowering:
        for op in ops:
            assert op not in _LOWERINGS, f"{op} has two lowerings"
            _LOWERINGS[op] = function
        return function

    return register


def lowerings() -> dict[str, Lowering]:
    """All lowerings by operator name; loads the families on first use."""
    _load_families()
    return _LOWERINGS


@cache
def _load_families() -> None:
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.ops.{family}")


def constant_ints(b: GraphBuilder, value: SSAValue | None, what: str) -> list[int] | None:
    """The integers of a constant operand; None when omitted; NotLowered when computed."""
    if value is None:
        return None
    array = b.const_of(value)
    if array is None:
        raise NotLowered(f"{what} is computed while running")
    return [int(v) for v in np.asarray(array).ravel()]
