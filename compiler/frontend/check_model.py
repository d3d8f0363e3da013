"""Check that a model is well formed before anything works on it, and open its own functions."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...errors import ModelError
from .pack_ports import is_port_node
from .read_model import canonical_domain, newest_opset
from .rename_values import subgraphs_of

if TYPE_CHECKING:
    from onnx import FunctionProto, ModelProto, NodeProto

MAX_NODES = 200_000  # after opening functions; the largest model known to us has 12,000
MICROSOFT = "com.microsoft"
HOST_DOMAINS = (MICROSOFT, "com.microsoft.nchwc")  # ONNX Runtime's own operators
#: Operators that ONNX Runtime has in ONNX's domain, though ONNX does not define them.
_STRAYS = ("SimplifiedLayerNormalization",)

_FunctionId = tuple[str, str, str]


def check_model(proto: "ModelProto") -> "ModelProto":
    """The model with its local functions opened, checked by onnx.checker.

    The weights must have been taken out. Raises ModelError for whatever is malformed, recursive or
    of an unknown operator.
    """
    import onnx
    from onnx import checker, inliner

    _default_domain(proto)
    functions = {_id_of(f.domain, f.name, f.overload): f for f in proto.functions}
    total = _count_opened(proto, functions)
    if total > MAX_NODES:
        raise ModelError(f"a model must have at most {MAX_NODES} nodes, this one has {total}")
    for value in proto.graph.input:
        tensor = value.type.tensor_type
        if value.type.HasField("tensor_type") and not tensor.HasField("shape"):
            raise ModelError(
                "an input must have a shape",
                where=value.name,
                help="export the model with input shapes, symbolic ones will do",
            )
    # The checker wants a shape on outputs too, but one without is common and does no harm.
    open_outputs = [
        value.type.tensor_type
        for value in proto.graph.output
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape")
    ]
    try:
        for tensor in open_outputs:
            tensor.shape.SetInParent()
        checker.check_model(proto)
    except (checker.ValidationError, ValueError, RuntimeError, TypeError) as error:
        raise ModelError(f"the model must pass onnx.checker: {first_line(error)}") from None
    for tensor in open_outputs:
        tensor.ClearField("shape")
    if functions:
        try:
            proto = inliner.inline_local_functions(proto, True)
        except (RuntimeError, ValueError, onnx.version_converter.ConvertError) as error:
            raise ModelError(f"local functions must open: {first_line(error)}") from None
        _default_domain(proto)
    _check_single_assignment(proto)
    _check_domains(proto)
    _check_equations(proto)
    return proto


def first_line(error: Exception) -> str:
    """The part of a C++ library's message that a user needs."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    for prefix in ("[ShapeInferenceError] ", "[TypeInferenceError] "):
        text = text.replace(prefix, "")
    return text if len(text) <= 400 else text[:397] + "..."


def _default_domain(proto: "ModelProto") -> None:
    for entry in proto.opset_import:
        entry.domain = canonical_domain(entry.domain)
    nodes = list(_walk(proto.graph.node))
    for node in nodes:
        if node.domain == "ai.onnx":
            node.domain = ""
        if node.domain == "" and node.op_type in _STRAYS:
            node.domain = MICROSOFT
    domains = {entry.domain for entry in proto.opset_import}
    if MICROSOFT not in domains and any(node.domain == MICROSOFT for node in nodes):
        proto.opset_import.add(domain=MICROSOFT, version=1)


def _walk(nodes: Iterable["NodeProto"]) -> Iterable["NodeProto"]:
    for node in nodes:
        yield node
        for graph in subgraphs_of(node):
            yield from _walk(graph.node)


def _id_of(domain: str, name: str, overload: str) -> _FunctionId:
    return canonical_domain(domain), name, overload


def _count_opened(proto: "ModelProto", functions: dict[_FunctionId, "FunctionProto"]) -> int:
    """Nodes after every call of a local function is opened; refuses recursion."""
    counts: dict[_FunctionId, int] = {}
    open_calls: set[_FunctionId] = set()

    def count(nodes: Iterable["NodeProto"]) -> int:
        total = 0
        for node in _walk(nodes):
            call = _id_of(node.domain, node.op_type, node.overload)
            total += count_call(call) if call in functions else 1
        return total

    def count_call(call: _FunctionId) -> int:
        if call not in counts:
            if call in open_calls or len(open_calls) > 200:
                raise ModelError(
                    f"a local function must not call itself, {call[1]!r} does",
                    where=f"{call[0]}.{call[1]}",
                )
            open_calls.add(call)
            counts[call] = count(functions[call].node)
            open_calls.discard(call)
        return counts[call]

    return count(proto.graph.node)


def _check_single_assignment(proto: "ModelProto") -> None:
    """Every value of the main graph is defined once, and every output is defined."""
    defined = {value.name for value in proto.graph.input}
    defined.update(tensor.name for tensor in proto.graph.initializer)
    for node in proto.graph.node:
        for name in node.output:
            if name and name in defined:
                raise ModelError(
                    f"a value must be defined once, {name!r} is defined again",
                    where=node.name or node.op_type,
                )
            defined.add(name)
    for value in proto.graph.output:
        if value.name not in defined:
            raise ModelError("an output must be computed by a node", where=value.name)
    if not proto.graph.output:
        raise ModelError("a model must have an output")


def _check_domains(proto: "ModelProto") -> None:
    unknown = {
        f"{node.domain}.{node.op_type}": node.name
        for node in _walk(proto.graph.node)
        if newest_opset(node.domain) is None
        and node.domain not in HOST_DOMAINS
        and not is_port_node(node)
    }
    if unknown:
        raise ModelError(
            "an operator must be defined by ONNX or by ONNX Runtime, not "
            + ", ".join(sorted(unknown)),
            where=next(iter(unknown.values())) or None,
            help="include the operator as a local function of the model",
        )


# Terms of letters with at most one ellipsis each.
_EQUATION = re.compile(
    r"{term}(,{term})*(->{term})?".format(term=r"[A-Za-z]*(\.\.\.)?[A-Za-z]*"), re.ASCII
)


def _check_equations(proto: "ModelProto") -> None:
    """Refuse an equation of Einsum that is none: onnx's shape inference would never end."""
    for node in _walk(proto.graph.node):
        if node.op_type == "Einsum" and node.domain == "":
            for attribute in node.attribute:
                equation = attribute.s.decode("utf-8", "replace")
                if not _EQUATION.fullmatch(equation.replace(" ", "")):
                    raise ModelError(
                        "an equation must read TERM,TERM->TERM with terms of letters and at most "
                        f"one ... each, not {equation[:100]!r}",
                        where=node.name or node.op_type,
                    )
