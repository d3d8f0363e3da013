"""Shape and Slice of a tensor that was padded by computed amounts, without that tensor.

    Shape(Pad(x, pads))               ->  shape of x + low + high
    Slice(Pad(x, pads), start, end)   ->  Pad(x, low - start, ...), for a crop is a negative pad

The size of the padded tensor depends on data; that of a slice may be declared. Holds for padding
with a constant and slices of step 1.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import NodeProto

_ALL = np.iinfo(np.int64).max


def is_plain_pad(node: "NodeProto") -> bool:
    """Whether ``node`` pads with a constant."""
    modes = [a.s for a in node.attribute if a.name == "mode"]
    return (node.domain, node.op_type) == ("", "Pad") and modes in ([], [b"constant"])


def is_readable(node: "NodeProto") -> bool:
    """Whether ``node`` reads of its first operand only the whole shape, or a slice of step 1."""
    if node.domain != "":
        return False
    if node.op_type == "Shape":
        return not node.attribute
    return node.op_type == "Slice" and not any(node.input[4:])


def read_through_pad(
    node: "NodeProto", pad: "NodeProto", shape: Sequence[int], starts: int
) -> list["NodeProto"]:
    """Nodes in the place of ``node``, which reads what ``pad`` makes of an operand of ``shape``.

    ``starts`` is the number of starts of a Slice.
    """
    from onnx import TensorProto

    write = _Writer(node.name)
    rank = len(shape)
    own = write.constant(shape)
    low, high = write.node("Split", pad.input[1], outputs=2, num_outputs=2)
    if len(pad.input) > 3 and pad.input[3]:
        low, high = (write.spread(part, pad.input[3], [0] * rank) for part in (low, high))
    total = write.node("Add", write.node("Add", own, low), high)
    if node.op_type == "Shape":
        write.node("Identity", total, result=node.output[0])
        return write.nodes
    axes = node.input[3] if len(node.input) > 3 else ""
    if not axes and starts < rank:
        axes = write.constant(range(starts))
    bounds = [write.node("Cast", bound, to=TensorProto.INT64) for bound in node.input[1:3]]
    if axes:
        bounds = [
            write.spread(v, axes, [rest] * rank) for v, rest in zip(bounds, (0, _ALL), strict=True)
        ]
    first, last = (write.clamped(bound, total) for bound in bounds)
    size = write.node("Max", write.node("Sub", last, first), write.constant([0]))
    low = write.node("Sub", low, first)
    high = write.node("Sub", write.node("Sub", size, own), low)
    pads = write.node("Concat", low, high, axis=0)
    write.node("Pad", pad.input[0], pads, *pad.input[2:3], result=node.output[0])
    return write.nodes


class _Writer:
    """Collects nodes whose values are named after the node they stand for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[NodeProto] = []

    def node(
        self, op: str, *inputs: str, outputs: int = 1, result: str | None = None, **attributes: Any
    ) -> Any:
        """Append a node; the name of its value, or their names where there are several."""
        from onnx import helper

        number = len(self.nodes)
        names = [result or f"{self.name}/{op}_{number}_{i}" for i in range(outputs)]
        name = f"{self.name}/{op}_{number}"
        self.nodes.append(helper.make_node(op, inputs, names, name, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values: Sequence[int]) -> str:
        from onnx import numpy_helper

        return self.node("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def spread(self, values: str, axes: str, default: Sequence[int]) -> str:
        """``values`` at ``axes``, ``default`` at the others."""
        return self.node("ScatterElements", self.constant(default), axes, values)

    def clamped(self, bound: str, total: str) -> str:
        """A bound of a slice as a position in 0 to ``total``."""
        zero = self.constant([0])
        from_end = self.node("Where", self.node("Less", bound, zero), total, zero)
        position = self.node("Add", bound, from_end)
        return self.node("Min", self.node("Max", position, zero), total)
