"""Symbolic dimensions: give each one of the graph's inputs a number.

A dimension is bound by its name, ``batch=1``, or by its place, ``INPUT.AXIS=1``. A name like
``past + 1`` (exporters write such) follows from the names in it. Where nothing but the batch is
left open, the leading dimension of inputs, it is taken as 1.
"""

import ast
import operator
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from ...errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, TypeProto, ValueInfoProto

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Div: operator.floordiv,
}


def bind_shapes(proto: "ModelProto", dims: Mapping[str, int]) -> dict[str, int]:
    """Replace the symbolic dims of inputs, outputs and inner values by numbers (in place).

    Returns the batch dimensions that were taken as 1, by name or place. Raises one ModelError that
    lists every other input dimension without a number, and one for a name in ``dims`` that no input
    has.
    """
    initialised = {tensor.name for tensor in proto.graph.initializer}
    names = _dim_names(proto)
    used: set[str] = set()
    missing: list[ModelError] = []
    batch = _open_batch(proto, dims, initialised)
    for name, size in dims.items():
        if not isinstance(size, int) or size < 0:
            raise ModelError(f"dimension {name!r} must be a number of at least 0, not {size!r}")
    for value in proto.graph.input:
        if value.name not in initialised:
            missing += _bind_input(value, {**batch, **dims}, used)
    if missing:
        raise ModelError(
            "every dimension of an input must have a number; without one: "
            + ", ".join(fault.message for fault in missing),
            help=" ".join(dict.fromkeys(fault.help for fault in missing if fault.help)) or None,
            faults=missing,
        )
    unknown = sorted(set(dims) - used)
    if unknown:
        raise ModelError(
            f"a dimension must be one that an input has, not {', '.join(map(repr, unknown))}",
            help="the inputs have " + (", ".join(names) or "no symbolic dimension"),
        )
    for value in (*proto.graph.output, *proto.graph.value_info):
        substitute_dims(value.type, {**batch, **dims})
    return batch


def _open_batch(
    proto: "ModelProto", dims: Mapping[str, int], initialised: Collection[str]
) -> dict[str, int]:
    """The leading dimensions that ``dims`` leaves open, each 1; none where another one is open."""
    leading: dict[str, int] = {}
    others: set[str] = set()
    for value in proto.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            place = f"{value.name}.{axis}"
            given = dim.HasField("dim_value") or value.name in initialised or place in dims
            if given or (dim.dim_param and evaluate_dim(dim.dim_param, dims) is not None):
                continue
            name = dim.dim_param or place
            if axis == 0:
                leading[name] = 1
            else:
                others.add(name)
    plain = {name: size for name, size in leading.items() if name.isidentifier()}
    known = {**plain, **dims}
    if any(evaluate_dim(name, known) is None for name in others):
        return {}
    # An expression of other names follows from them.
    return {n: s for n, s in leading.items() if n in plain or evaluate_dim(n, known) is None}


def _bind_input(
    value: "ValueInfoProto", dims: Mapping[str, int], used: set[str]
) -> list[ModelError]:
    if not value.type.HasField("tensor_type"):
        kind = value.type.WhichOneof("value")
        raise ModelError(
            f"an input must be a tensor, not {kind.removesuffix('_type') if kind else 'untyped'}",
            where=value.name,
        )
    tensor = value.type.tensor_type
    missing = []
    for axis, dim in enumerate(tensor.shape.dim):
        place = f"{value.name}.{axis}"
        if dim.HasField("dim_value"):
            if dim.dim_value < 0:
                raise ModelError(
                    f"a dimension must not be negative, dimension {axis} is {dim.dim_value}",
                    where=value.name,
                )
            used.update({place} & set(dims))
            continue
        size = dims.get(place)
        if size is not None:
            used.add(place)
        elif dim.dim_param:
            size = evaluate_dim(dim.dim_param, dims, used)
        if size is None:
            name = dim.dim_param or place
            missing.append(
                ModelError(
                    f"{name!r} (input {value.name!r}, axis {axis})",
                    where=value.name,
                    help=f"--dim {name}=N",
                )
            )
        else:
            dim.dim_value = size
    return missing


def evaluate_dim(text: str, dims: Mapping[str, int], used: set[str] | None = None) -> int | None:
    """The number of a dimension's name or arithmetic expression, None where a name is unbound."""
    if text in dims:
        if used is not None:
            used.add(text)
        return dims[text]
    if len(text) > 200:
        return None
    try:
        size = _evaluate(ast.parse(text, mode="eval").body, dims, used)
    except (SyntaxError, ValueError, KeyError, ZeroDivisionError, RecursionError, MemoryError):
        return None
    return size if size >= 0 else None


def _evaluate(node: ast.expr, dims: Mapping[str, int], used: set[str] | None) -> int:
    match node:
        case ast.Constant(value=int() as number):
            return number
        case ast.Name(id=name):
            size = dims[name]
            if used is not None:
                used.add(name)
            return size
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left, dims, used), _evaluate(right, dims, used))
    raise ValueError("not arithmetic")


def substitute_dims(kind: "TypeProto", dims: Mapping[str, int]) -> None:
    """Replace the symbolic dims of a tensor type that ``dims`` gives a number (in place)."""
    if kind.HasField("tensor_type") and kind.tensor_type.HasField("shape"):
        for dim in kind.tensor_type.shape.dim:
            size = evaluate_dim(dim.dim_param, dims) if dim.dim_param else None
            if size is not None:
                dim.dim_value = size


def _dim_names(proto: "ModelProto") -> list[str]:
    names: dict[str, None] = {}
    for value in proto.graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                names[dim.dim_param] = None
    return list(names)
