"""Rules on operands that onnx's shape inference leaves to the runtime."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ModelError

if TYPE_CHECKING:
    from onnx import NodeProto

_Shape = tuple[int, ...]


def check_operands(node: "NodeProto", inputs: list[_Shape | None], output: _Shape) -> None:
    """Refuse operands whose shapes contradict each other.

    ``inputs`` has None for an omitted input, ``output`` is the inferred shape of the first output.
    """
    check = _CHECKS.get(node.op_type) if node.domain == "" else None
    if check is None:
        return
    from onnx import helper

    fault = check({a.name: helper.get_attribute_value(a) for a in node.attribute}, inputs, output)
    if fault:
        raise ModelError(
            f"the operands of {node.op_type} must fit together: {fault}", where=node.name
        )


def _reshape(_: Mapping[str, Any], inputs: list[_Shape | None], output: _Shape) -> str | None:
    x = inputs[0] or ()
    if math.prod(x) == math.prod(output):
        return None
    return f"shape {list(x)} has {math.prod(x)} elements, {list(output)} has {math.prod(output)}"


def _conv(attributes: Mapping[str, Any], inputs: list[_Shape | None], _: _Shape) -> str | None:
    x, w = inputs[0] or (), inputs[1] or ()
    groups = attributes.get("group", 1)
    fault = _channels(x, w, groups, x_channels=w[1] * groups, divided=w[0])
    spatial = len(x) - 2
    dilations = attributes.get("dilations") or [1] * spatial
    pads = attributes.get("pads") or [0] * (2 * spatial)
    if fault or attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return fault
    for axis in range(spatial):
        span = (w[axis + 2] - 1) * dilations[axis] + 1
        size = x[axis + 2] + pads[axis] + pads[axis + spatial]
        if span > size and 0 not in x:
            return f"the kernel covers {span} of axis {axis + 2}, the padded input has {size}"
    return None


def _conv_transpose(
    attributes: Mapping[str, Any], inputs: list[_Shape | None], _: _Shape
) -> str | None:
    x, w = inputs[0] or (), inputs[1] or ()
    return _channels(x, w, attributes.get("group", 1), x_channels=w[0], divided=w[0])


def _channels(x: _Shape, w: _Shape, groups: int, *, x_channels: int, divided: int) -> str | None:
    if len(x) != len(w) or len(x) < 3:
        return f"input {list(x)} and weight {list(w)} must have the same number of dims, 3 or more"
    if groups < 1 or divided % groups:
        return f"{divided} channels do not divide into {groups} groups"
    if x[1] != x_channels:
        return (
            f"the input has {x[1]} channels, weight {list(w)} in {groups} groups needs {x_channels}"
        )
    return None


def _recurrent(gates: int) -> Callable[..., str | None]:
    def check(attributes: Mapping[str, Any], inputs: list[_Shape | None], _: _Shape) -> str | None:
        x, w, r = inputs[0] or (), inputs[1] or (), inputs[2] or ()
        hidden = attributes.get("hidden_size", r[-1] if r else 0)
        directions = 2 if attributes.get("direction") == b"bidirectional" else 1
        if w != (directions, gates * hidden, x[-1]) or r != (directions, gates * hidden, hidden):
            return (
                f"input size {x[-1]} and hidden size {hidden} need W "
                f"{[directions, gates * hidden, x[-1]]} and R "
                f"{[directions, gates * hidden, hidden]}, not {list(w)} and {list(r)}"
            )
        return None

    return check


_CHECKS: dict[str, Callable[..., str | None]] = {
    "Reshape": _reshape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "RNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
}
