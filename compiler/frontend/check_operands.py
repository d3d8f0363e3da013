"""Rules on operands that onnx's shape inference leaves to the runtime."""

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ModelError
from .read_tensor import MAX_TENSOR_BYTES

if TYPE_CHECKING:
    from onnx import NodeProto

_Shape = tuple[int, ...]


def check_operands(node: "NodeProto", inputs: list[_Shape | None], output: _Shape) -> None:
    """Refuse operands whose shapes contradict each other.

    ``inputs`` has None for an omitted input, ``output`` is the inferred shape of the first output.
    """
    check = _CHECKS.get(node.op_type) if node.domain == "" else None
    words = _WORDS.get(node.op_type, {}) if node.domain == "" else {}
    if check is None and not words:
        return
    from onnx import helper

    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    for name, allowed in words.items():
        word = attributes.get(name, b"").decode("utf-8", "replace")
        if name in attributes and word not in allowed:
            raise ModelError(
                f"{name} of {node.op_type} must be one of {', '.join(allowed)}, not {word!r}",
                where=node.name,
            )
    fault = check(attributes, inputs, output) if check is not None else None
    if fault:
        raise ModelError(
            f"the operands of {node.op_type} must fit together: {fault}", where=node.name
        )


def check_range(node: "NodeProto", start: float, limit: float, delta: float) -> None:
    """Refuse a Range that never ends or is too long; inference lets its length overflow."""
    if delta == 0 or not all(map(math.isfinite, (start, limit, delta))):
        fault = "start, limit and delta must be finite, and delta not 0"
    elif (limit - start) / delta > MAX_TENSOR_BYTES:
        fault = f"a range must have at most {MAX_TENSOR_BYTES} elements"
    else:
        return
    raise ModelError(f"{fault}, not {start}, {limit} and {delta}", where=node.name)


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


def _lp_pool(attributes: Mapping[str, Any], _: list[_Shape | None], __: _Shape) -> str | None:
    p = attributes.get("p", 2)
    return None if p >= 1 else f"p must be at least 1, not {p}"


def _pad(_: Mapping[str, Any], inputs: list[_Shape | None], __: _Shape) -> str | None:
    value = inputs[2] if len(inputs) > 2 else None
    if value is None or math.prod(value) == 1:
        return None
    return f"the padding value must be one element, not {list(value)}"


def _instance_norm(_: Mapping[str, Any], inputs: list[_Shape | None], __: _Shape) -> str | None:
    x, scale, bias = inputs[0] or (), inputs[1] or (), inputs[2] or ()
    if len(x) < 2 or scale != x[1:2] or bias != x[1:2]:
        return f"scale {list(scale)} and bias {list(bias)} need one element a channel of {list(x)}"
    return None


def _quantize(attributes: Mapping[str, Any], inputs: list[_Shape | None], _: _Shape) -> str | None:
    """Scales along an axis or in blocks of one; a single one needs no axis."""
    x, scale = inputs[0] or (), inputs[1] or ()
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if scale in ((), (1,)) and not block:
        return None
    if not -len(x) <= axis < len(x):
        return f"axis {axis} is not one of {len(x)} dims"
    size = x[axis]
    if not block:
        return None if scale == (size,) else f"scale {list(scale)} must have {size} elements"
    blocks = len(scale) == len(x) and scale[axis]
    if block < 0 or not blocks or not (blocks - 1) * block < size <= blocks * block:
        return f"scale {list(scale)} does not cut {list(x)} into blocks of {block}"
    return None


def _blocks(divides: Callable[[_Shape, int], bool]) -> Callable[..., str | None]:
    def check(attributes: Mapping[str, Any], inputs: list[_Shape | None], _: _Shape) -> str | None:
        x, size = inputs[0] or (), attributes["blocksize"]
        if len(x) == 4 and size >= 1 and divides(x, size):
            return None
        return f"{list(x)} does not divide into blocks of {size}"

    return check


_CHECKS: dict[str, Callable[..., str | None]] = {
    "Reshape": _reshape,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "RNN": _recurrent(1),
    "GRU": _recurrent(3),
    "LSTM": _recurrent(4),
    "LpPool": _lp_pool,
    "Pad": _pad,
    "InstanceNormalization": _instance_norm,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _quantize,
    "DepthToSpace": _blocks(lambda x, size: x[1] % (size * size) == 0),
    "SpaceToDepth": _blocks(lambda x, size: x[2] % size == 0 and x[3] % size == 0),
}

_Words = Mapping[str, tuple[str, ...]]
_AUTO_PAD: _Words = {"auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")}
_REDUCTION: _Words = {"reduction": ("none", "add", "mul", "max", "min")}
_DIRECTION: _Words = {"direction": ("forward", "reverse", "bidirectional")}
#: The words that a text attribute may be, by operator; shape inference lets any pass.
_WORDS: dict[str, _Words] = {
    **dict.fromkeys(("Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool"), _AUTO_PAD),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _REDUCTION),
    **dict.fromkeys(("RNN", "GRU", "LSTM"), _DIRECTION),
    "BitShift": {"direction": ("LEFT", "RIGHT")},
    "DepthToSpace": {"mode": ("DCR", "CRD")},
    "Gelu": {"approximate": ("none", "tanh")},
    "GridSample": {
        "mode": ("linear", "cubic", "nearest", "bilinear", "bicubic"),
        "padding_mode": ("zeros", "border", "reflection"),
    },
    "Pad": {"mode": ("constant", "reflect", "edge", "wrap")},
    "Resize": {
        "mode": ("nearest", "linear", "cubic"),
        "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
        "coordinate_transformation_mode": (
            "half_pixel",
            "half_pixel_symmetric",
            "pytorch_half_pixel",
            "align_corners",
            "asymmetric",
            "tf_crop_and_resize",
            "tf_half_pixel_for_nn",
        ),
        "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    },
}
