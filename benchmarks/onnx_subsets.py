"""Which of ONNX's backend tests are inference on tensors of numbers, and which of those in float32.

Not inference: training, classical machine learning, preview operators, strings, sequences,
optionals, random numbers, compressed images. Not float32: whatever has an element type of 64-bit,
16-bit or narrower floats, or of integers under eight bits.
"""

from collections.abc import Iterator
from typing import Any

import onnx
from onnx import AttributeProto, TensorProto

SUBSETS = ("all", "inference", "inference in float32")

_NO_NUMBERS = (
    "Sequence", "Optional", "String", "RegexFullMatch", "TfIdfVectorizer", "Bernoulli", "Random",
    "Multinomial", "ImageDecoder", "ConcatFromSequence", "SplitToSequence",
)  # fmt: skip
_TRAINING = ("Gradient", "Adagrad", "Adam", "Momentum")
_DOMAINS = ("ai.onnx.ml", "ai.onnx.preview")


def subsets_of(name: str, operator: str, model: onnx.ModelProto) -> tuple[str, ...]:
    """The subsets that a case belongs to; ``operator`` is the one under test."""
    nodes = list(_nodes(model.graph))
    operators = {operator, *(node.op_type for node in nodes)}
    elements = set(_elements(model, nodes))
    other = (
        any(op.startswith(_NO_NUMBERS) or op in _TRAINING for op in operators)
        or any(node.domain.startswith(_DOMAINS) for node in nodes)
        or any(entry.domain.startswith("ai.onnx.preview") for entry in model.opset_import)
        or ("training" in name and operator in ("BatchNormalization", "Dropout"))
        or any(_trains(node) for node in nodes)
        or elements & {"none", "STRING", "COMPLEX64", "COMPLEX128"}
    )
    if other:
        return SUBSETS[:1]
    narrow = elements & {"DOUBLE", "FLOAT16", "BFLOAT16", "INT4", "UINT4", "INT2", "UINT2"}
    low = any(name.startswith(("FLOAT4", "FLOAT6", "FLOAT8")) for name in elements)
    return SUBSETS[:2] if narrow or low else SUBSETS


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _trains(node: onnx.NodeProto) -> bool:
    if node.op_type == "BatchNormalization":
        return any(a.name == "training_mode" and a.i for a in node.attribute)
    return node.op_type == "Dropout" and len(node.input) > 2 and bool(node.input[2])


def _elements(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> Iterator[str]:
    """Names of the element types in a model; "none" for what is no tensor."""
    for value in (*model.graph.input, *model.graph.output):
        kind: Any = value.type
        yield _name(kind.tensor_type.elem_type) if kind.HasField("tensor_type") else "none"
    for tensor in model.graph.initializer:
        yield _name(tensor.data_type)
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield _name(attribute.t.data_type)
            elif node.op_type == "Cast" and attribute.name == "to":
                yield _name(attribute.i)


def _name(number: int) -> str:
    return TensorProto.DataType.Name(number)
