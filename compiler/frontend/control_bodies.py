"""The bodies of If, Loop and Scan: normalised like the model itself, where their types are static.

A carried value must keep its type from one iteration to the next, the branches of an If must yield
the same types, and a stacked output needs a number of iterations that is known or declared. What
breaks a rule stays whole and runs on the host.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import ModelError
from ..weights import Constant
from .model import Body, TensorSpec
from .rename_values import free_names

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

CONTROL_OPERATORS = ("If", "Loop", "Scan")
_COUNTER = TensorSpec((), np.dtype(np.int64))
_CONDITION = TensorSpec((), np.dtype(np.bool_))

#: Normalises a graph whose inputs have the given types; None where a value has no static type.
Normalize = Callable[["GraphProto", Mapping[str, TensorSpec]], Body | None]


@dataclass(frozen=True, slots=True)
class ControlBodies:
    """The normalised bodies of a node, and the type of each of its outputs."""

    bodies: tuple[Body, ...]
    outputs: tuple[TensorSpec, ...]


def control_bodies(
    node: "NodeProto",
    specs: Mapping[str, TensorSpec],
    constants: Mapping[str, Constant],
    declared: Mapping[str, TensorSpec],
    normalize: Normalize,
) -> ControlBodies | None:
    """The bodies of ``node``, an If, Loop or Scan; None where it must run on the host as it is."""
    graphs = {a.name: a.g for a in node.attribute if a.HasField("g")}
    match node.op_type:
        case "If":
            return _if_bodies(graphs, normalize)
        case "Loop":
            return _loop_body(node, graphs["body"], specs, constants, declared, normalize)
        case _:
            return _scan_body(node, graphs["body"], specs, normalize)


def captured_specs(graph: "GraphProto", specs: Mapping[str, TensorSpec]) -> dict[str, TensorSpec]:
    """The types of what ``graph`` takes from around it. Raises ModelError for an unknown name."""
    names = free_names(graph)
    missing = [name for name in names if name not in specs]
    if missing:
        raise ModelError(f"every value must be defined, {missing[0]!r} is not")
    return {name: specs[name] for name in names}


def _if_bodies(graphs: Mapping[str, "GraphProto"], normalize: Normalize) -> ControlBodies | None:
    then, otherwise = (normalize(graphs[name], {}) for name in ("then_branch", "else_branch"))
    if then is None or otherwise is None or _types(then) != _types(otherwise):
        return None
    return ControlBodies((then, otherwise), _types(then))


def _loop_body(
    node: "NodeProto",
    graph: "GraphProto",
    specs: Mapping[str, TensorSpec],
    constants: Mapping[str, Constant],
    declared: Mapping[str, TensorSpec],
    normalize: Normalize,
) -> ControlBodies | None:
    carried = [specs[name] for name in node.input[2:]]
    if len(graph.input) != 2 + len(carried) or not _are_scalars(specs, node.input[:2]):
        return None
    names = [value.name for value in graph.input]
    body = normalize(graph, dict(zip(names, [_COUNTER, _CONDITION, *carried], strict=True)))
    if body is None:
        return None
    condition, *rest = _types(body)
    if condition.dtype != _CONDITION.dtype or np.prod(condition.shape) != 1:
        return None
    if rest[: len(carried)] != carried:
        return None
    stacked = rest[len(carried) :]
    trips = static_trips(
        _value_of(node.input[0], constants),
        _value_of(node.input[1], constants) if len(node.input) > 1 else True,
        keeps_condition(body),
    )
    outputs = list(carried)
    for name, spec in zip(node.output[len(carried) :], stacked, strict=False):
        if trips is not None:
            outputs.append(TensorSpec((trips, *spec.shape), spec.dtype))
            continue
        wanted = declared.get(name)
        if wanted is None or wanted.shape[1:] != spec.shape:
            return None
        outputs.append(TensorSpec(wanted.shape, spec.dtype))
    return ControlBodies((body,), tuple(outputs))


def static_trips(trip: Any, condition: Any, keeps: bool) -> int | None:
    """How many iterations a Loop makes, where that is known.

    ``trip`` and ``condition`` are its first operands: None where they are computed, True for one
    that is omitted. ``keeps``: the body never ends the loop.
    """
    if condition is not None and not bool(np.reshape(condition, ())):
        return 0
    if condition is None or not keeps or trip is None or trip is True:
        return None
    return max(int(np.reshape(trip, ())), 0)


def keeps_condition(body: Body) -> bool:
    """Whether a Loop's body hands its condition on, or yields true."""
    name = body.outputs[0]
    if name == body.inputs[1]:
        return True
    constant = body.constants.get(name)
    return isinstance(constant, np.ndarray) and constant.size == 1 and bool(constant.reshape(()))


def check_scan(node: "NodeProto", specs: Mapping[str, TensorSpec]) -> None:
    """Raise ModelError unless the axes and directions of a Scan fit its operands and results."""
    attributes = _plain_attributes(node)
    scanned = attributes["num_scan_inputs"]
    states = len(node.input) - scanned
    if scanned < 1 or states < 0:
        raise ModelError(
            f"a Scan must scan 1 to {len(node.input)} inputs, not {scanned}", where=node.name
        )
    stacked = len(node.output) - states
    for name, count in (("scan_input", scanned), ("scan_output", stacked)):
        for what in ("axes", "directions"):
            given = attributes.get(f"{name}_{what}")
            if given is not None and len(given) != count:
                raise ModelError(
                    f"{name}_{what} must have {count} values, not {len(given)}", where=node.name
                )
        ways = attributes.get(f"{name}_directions") or []
        if not set(ways) <= {0, 1}:
            raise ModelError(f"{name}_directions must be 0 or 1, not {list(ways)}", where=node.name)
    axes = attributes.get("scan_input_axes") or [0] * scanned
    for x, axis in zip(node.input[states:], axes, strict=True):
        rank = len(specs[x].shape)
        if not -rank <= axis < rank:
            raise ModelError(f"a scanned axis must be one of {rank}, not {axis}", where=node.name)


def _plain_attributes(node: "NodeProto") -> dict[str, Any]:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute if not a.HasField("g")}


def _scan_body(
    node: "NodeProto",
    graph: "GraphProto",
    specs: Mapping[str, TensorSpec],
    normalize: Normalize,
) -> ControlBodies | None:
    attributes = _plain_attributes(node)
    scanned = attributes["num_scan_inputs"]
    states = [specs[name] for name in node.input[: len(node.input) - scanned]]
    sequences = [specs[name] for name in node.input[len(states) :]]
    axes = attributes.get("scan_input_axes") or [0] * scanned
    slices, lengths = [], set()
    for spec, axis in zip(sequences, axes, strict=True):
        at = axis % len(spec.shape)
        lengths.add(spec.shape[at])
        slices.append(TensorSpec(spec.shape[:at] + spec.shape[at + 1 :], spec.dtype))
    if len(graph.input) != len(node.input) or len(lengths) != 1:
        return None
    names = [value.name for value in graph.input]
    body = normalize(graph, dict(zip(names, [*states, *slices], strict=True)))
    if body is None or list(_types(body)[: len(states)]) != states:
        return None
    (length,) = lengths
    stacked = _types(body)[len(states) :]
    out_axes = attributes.get("scan_output_axes") or [0] * len(stacked)
    outputs = list(states)
    if len(out_axes) != len(stacked):
        return None
    for spec, axis in zip(stacked, out_axes, strict=True):
        if not -len(spec.shape) - 1 <= axis <= len(spec.shape):
            raise ModelError(f"a stacked axis must be one of {len(spec.shape) + 1}, not {axis}")
        at = axis % (len(spec.shape) + 1)
        outputs.append(TensorSpec((*spec.shape[:at], length, *spec.shape[at:]), spec.dtype))
    return ControlBodies((body,), tuple(outputs))


def _types(body: Body) -> tuple[TensorSpec, ...]:
    return tuple(body.specs[name] for name in body.outputs)


def _value_of(name: str, constants: Mapping[str, Constant]) -> Any:
    """The constant ``name``, True where it is omitted, None where it is computed."""
    if not name:
        return True
    constant = constants.get(name)
    return constant if isinstance(constant, np.ndarray) else None


def _are_scalars(specs: Mapping[str, TensorSpec], names: Iterable[str]) -> bool:
    return all(not name or np.prod(specs[name].shape) == 1 for name in names)
