"""Evaluate a node whose inputs are all constants.

Operators that only move or convert elements give views of the stored bytes, so that a transposed
or reshaped weight stays mapped; large conversions are deferred until somebody needs the values.
Everything else goes to onnx.reference while it is small. Weights that DequantizeLinear makes of
constants are deferred whatever their size, for only a constant becomes a matrix in arrays. Never
folded: random operators and those with subgraphs.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.elements import OF_DTYPE, is_float, is_narrow
from ...dialects.onnx import RANDOM_OPS
from ...errors import ModelError
from ..weights import Constant, Deferred, constant_values
from .model import TensorSpec

if TYPE_CHECKING:
    from onnx import NodeProto

FOLD_BYTES = 1 << 26  # the most that one evaluation reads or writes
_EAGER_BYTES = 1 << 20  # a cast of more is deferred
_NEVER = RANDOM_OPS | {"If", "Loop", "Scan", "SequenceMap", "Dropout"}
# Here onnx.reference differs from ONNX Runtime, whose results are ours: such nodes stay nodes.
_OTHERWISE = {
    "AveragePool": "it takes NaN for padding",
    "Erf": "it computes doubles in float32",
    "LRN": "it takes the number of samples for that of channels",
    "LpNormalization": "it adds the numbers themselves for p = 1, not their magnitudes",
    "LpPool": "windows that end in the padding have other values under ceil_mode",
    "MaxPool": "it takes NaN for padding",
    "PRelu": "it multiplies positive numbers too: zero by an infinite slope is NaN",
    "QLinearConv": "it rounds after adding the zero point",
    "QLinearMatMul": "it rounds after adding the zero point",
    "ReduceMean": "the mean of no integers is the lowest one, not 0",
    "Resize": "neighbours that are not finite reach a sample by a weight of zero",
}
# Output shapes depend on the data but never exceed rank x the input.
_SHRINKING = frozenset(("NonZero", "Unique", "Compress", "NonMaxSuppression"))

_View = Callable[[np.ndarray], np.ndarray]


def fold_node(
    node: "NodeProto",
    inputs: Sequence[Constant | None],
    outputs: Sequence[TensorSpec | None],
    opset: int,
) -> list[Constant] | None:
    """The node's outputs, or None where it must stay a node.

    ``inputs`` has None for an omitted input, ``outputs`` None for an output without static shape.
    """
    if node.domain != "" or node.op_type in _NEVER | _OTHERWISE.keys():
        return None
    known = [spec for spec in outputs if spec is not None]
    if len(known) < len(outputs) and node.op_type not in _SHRINKING:
        return None
    if _is_view(node, outputs) and inputs[0] is not None:
        return _fold_view(node, inputs, known)
    if _rounds_otherwise(node, inputs, known):
        return None
    present = [constant for constant in inputs if constant is not None]
    size = sum(c.nbytes for c in present) + sum(_nbytes(spec) for spec in known)
    deferrable = node.op_type == "DequantizeLinear"
    if size > FOLD_BYTES and not deferrable:
        return None
    if any(isinstance(c, Deferred) and c.make is None for c in present):
        return [Deferred(spec.shape, spec.dtype) for spec in known]
    if deferrable and size > _EAGER_BYTES:
        (spec,) = known
        return [Deferred(spec.shape, spec.dtype, partial(_dequantised, node, inputs, spec, opset))]
    return _evaluate(node, inputs, outputs, opset)


def _is_view(node: "NodeProto", outputs: Sequence[TensorSpec | None]) -> bool:
    """Whether the node moves or converts elements as numpy does; ONNX has rules for float8."""
    if node.op_type not in _VIEWS or None in outputs:
        return False
    converts = node.op_type in ("Cast", "CastLike")
    return not (converts and outputs[0] is not None and is_narrow(outputs[0].dtype))


def _fold_view(
    node: "NodeProto", inputs: Sequence[Constant | None], outputs: Sequence[TensorSpec]
) -> list[Constant] | None:
    data = inputs[0]
    extra = [None if c is None else constant_values(c) for c in inputs[1:]]
    attributes = _attributes(node)
    results: list[Constant] = []
    for index, spec in enumerate(outputs):
        view = _VIEWS[node.op_type](spec, index, attributes, extra, outputs)
        if view is None or data is None:
            return None
        converts = spec.dtype != data.dtype and node.op_type in ("Cast", "CastLike")
        if isinstance(data, Deferred):
            make = None if data.make is None else partial(_apply, view, data.make)
            results.append(Deferred(spec.shape, spec.dtype, make))
        elif converts and _nbytes(spec) > _EAGER_BYTES:
            results.append(Deferred(spec.shape, spec.dtype, partial(view, data)))
        else:
            results.append(view(data))
    return results


def _apply(view: _View, make: Callable[[], np.ndarray]) -> np.ndarray:
    return view(make())


def _identity(spec: TensorSpec, *_: Any) -> _View:
    return lambda array: array


def _reshape(spec: TensorSpec, *_: Any) -> _View:
    return lambda array: array.reshape(spec.shape)


def _transpose(spec: TensorSpec, _index: int, attributes: dict[str, Any], *_: Any) -> _View:
    perm = attributes.get("perm")
    return lambda array: array.transpose(perm)


def _expand(spec: TensorSpec, *_: Any) -> _View:
    return lambda array: np.broadcast_to(array, spec.shape)


def _cast(spec: TensorSpec, *_: Any) -> _View:
    def convert(array: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return array.astype(spec.dtype)

    return convert


def _slice(
    spec: TensorSpec, _index: int, _attributes: dict[str, Any], extra: list, *_: Any
) -> _View | None:
    starts, ends = extra[0].tolist(), extra[1].tolist()
    axes = extra[2].tolist() if len(extra) > 2 and extra[2] is not None else range(len(starts))
    steps = extra[3].tolist() if len(extra) > 3 and extra[3] is not None else [1] * len(starts)
    if 0 in steps:
        return None

    def cut(array: np.ndarray) -> np.ndarray:
        index = [slice(None)] * array.ndim
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            size = array.shape[axis]
            # ONNX clamps; Python would read a negative end again as counted from the back.
            low, high = (0, size) if step > 0 else (-1, size - 1)
            first = min(max(start + size if start < 0 else start, max(low, 0)), high)
            last = min(max(end + size if end < 0 else end, low), size)
            index[axis] = slice(first, None if last < 0 else last, step)
        return array[tuple(index)]

    return cut


def _split(
    spec: TensorSpec,
    index: int,
    attributes: dict[str, Any],
    _extra: list,
    outputs: Sequence[TensorSpec],
) -> _View:
    axis = attributes.get("axis", 0)
    start = sum(out.shape[axis] for out in outputs[:index])
    selected = slice(start, start + spec.shape[axis])
    return lambda array: np.moveaxis(np.moveaxis(array, axis, 0)[selected], 0, axis)


def _fill(spec: TensorSpec, _index: int, attributes: dict[str, Any], *_: Any) -> _View:
    from onnx import numpy_helper

    value = attributes.get("value")
    element = np.zeros(1, spec.dtype) if value is None else numpy_helper.to_array(value)
    scalar = np.asarray(element, spec.dtype).reshape(())
    return lambda _array: np.broadcast_to(scalar, spec.shape)


_VIEWS: dict[str, Callable[..., _View | None]] = {
    "Identity": _identity,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Transpose": _transpose,
    "Expand": _expand,
    "Cast": _cast,
    "CastLike": _cast,
    "Slice": _slice,
    "Split": _split,
    "ConstantOfShape": _fill,
}


def _attributes(node: "NodeProto") -> dict[str, Any]:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _evaluate(
    node: "NodeProto",
    inputs: Sequence[Constant | None],
    outputs: Sequence[TensorSpec | None],
    opset: int,
) -> list[Constant] | None:
    """The node's outputs by onnx.reference; None where that fails or disagrees with inference."""
    from onnx.reference import ReferenceEvaluator

    feeds = {
        name: constant_values(constant)
        for name, constant in zip(node.input, inputs, strict=True)
        if constant is not None
    }
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            model = _single_node_model(node, feeds, opset)
            found = ReferenceEvaluator(model).run(None, feeds)
    except Exception:  # whatever the reference cannot do stays a node, and fails there if it must
        return None
    results: list[Constant] = []
    for array, spec in zip(found, outputs, strict=True):
        array = np.asarray(array)
        if spec is not None and (array.shape != spec.shape or array.dtype != spec.dtype):
            return None
        results.append(array)
    return results


def _rounds_otherwise(
    node: "NodeProto", inputs: Sequence[Constant | None], outputs: Sequence[TensorSpec]
) -> bool:
    """Whether onnx.reference rounds otherwise than ONNX Runtime, which the lowering follows."""
    if node.op_type not in ("Cast", "CastLike") or inputs[0] is None or not outputs:
        return False
    to = OF_DTYPE[outputs[0].dtype]
    few_bits = to.is_narrow and not to.is_float
    return is_float(inputs[0].dtype) and (few_bits or to.name == "f8E8M0FNU")


def _dequantised(
    node: "NodeProto", inputs: Sequence[Constant | None], spec: TensorSpec, opset: int
) -> np.ndarray:
    found = _evaluate(node, inputs, [spec], opset)
    if found is None:
        raise ModelError(
            f"scale and zero point must fit the codes to give {spec.dtype}{list(spec.shape)}",
            where=node.name,
        )
    return constant_values(found[0])


def _single_node_model(node: "NodeProto", feeds: dict[str, np.ndarray], opset: int) -> Any:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [node],
        "fold",
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in feeds],
        [
            helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
            for name in node.output
            if name
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def _nbytes(spec: TensorSpec) -> int:
    return math.prod(spec.shape) * spec.dtype.itemsize
