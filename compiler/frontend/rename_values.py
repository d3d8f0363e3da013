"""Value names of ONNX nodes and of the subgraphs within them."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

GRAPH = 5  # AttributeProto.AttributeType
GRAPHS = 10


def subgraphs_of(node: "NodeProto") -> Iterator["GraphProto"]:
    """The graphs that are attributes of ``node`` (If, Loop, Scan, SequenceMap)."""
    for attribute in node.attribute:
        if attribute.type == GRAPH:
            yield attribute.g
        elif attribute.type == GRAPHS:
            yield from attribute.graphs


def captured_names(node: "NodeProto") -> list[str]:
    """Outer values that the subgraphs of ``node`` read, each once, in order of first use."""
    if not node.attribute:  # most nodes, and this is asked of all of them more than once
        return []
    captured: dict[str, None] = {}
    for graph in subgraphs_of(node):
        captured.update(dict.fromkeys(free_names(graph)))
    return list(captured)


def free_names(graph: "GraphProto") -> list[str]:
    """Names that ``graph`` uses without defining them, each once, in order of first use."""
    defined = {value.name for value in graph.input}
    defined.update(tensor.name for tensor in graph.initializer)
    defined.update(tensor.values.name for tensor in graph.sparse_initializer)
    free: dict[str, None] = {}
    for node in graph.node:
        for name in (*node.input, *captured_names(node)):
            if name and name not in defined:
                free[name] = None
        defined.update(node.output)
    for value in graph.output:
        if value.name and value.name not in defined:
            free[value.name] = None
    return list(free)


def used_names(node: "NodeProto") -> list[str]:
    """Every value that ``node`` reads, directly or through a subgraph."""
    return [name for name in node.input if name] + captured_names(node)


def rename_uses(node: "NodeProto", names: Mapping[str, str]) -> None:
    """Replace the names that ``node`` reads, in its subgraphs too (in place)."""
    for index, name in enumerate(node.input):
        if name in names:
            node.input[index] = names[name]
    for graph in subgraphs_of(node):
        rename_free(graph, names)


def rename_free(graph: "GraphProto", names: Mapping[str, str]) -> None:
    """Replace names that ``graph`` takes from outside; what it defines itself stays."""
    own = {value.name for value in graph.input}
    own.update(tensor.name for tensor in graph.initializer)
    own.update(tensor.values.name for tensor in graph.sparse_initializer)
    own.update(name for node in graph.node for name in node.output)
    outer = {old: new for old, new in names.items() if old not in own}
    if not outer:
        return
    for node in graph.node:
        rename_uses(node, outer)
    for value in graph.output:
        if value.name in outer:
            value.name = outer[value.name]
