"""Gather nodes around values without a static type into subgraphs for the host.

    NonZero -> Transpose -> GatherND   ->   Subgraph { NonZero -> Transpose -> GatherND }

Nodes are in one subgraph where such a value leads from one to the other. What goes in and what
comes out of it are tensors of static type.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from ...errors import ModelError
from .rename_values import used_names

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

HOST_DOMAIN = "semc.host"
HOST_GRAPH = "Subgraph"


def gather_host_nodes(
    nodes: Sequence["NodeProto"],
    loose: Sequence["NodeProto"],
    unknown: Collection[str],
    outputs: Iterable[str],
) -> list["NodeProto"]:
    """All nodes in topological order, with ``loose`` gathered by the ``unknown`` values between.

    A node of static type on the way from a subgraph back to it is taken in as well.
    """
    every = _sorted([*nodes, *loose])
    groups = _closed(_groups(loose, unknown), every)
    inside = {id(node) for group in groups for node in group}
    outside = [node for node in every if id(node) not in inside]
    needed = set(outputs)
    for node in outside:
        needed.update(used_names(node))
    gathered = [_subgraph(group, needed | _read_by_others(group, groups)) for group in groups]
    return _sorted([*outside, *gathered])


def _closed(
    groups: list[list["NodeProto"]], every: Sequence["NodeProto"]
) -> list[list["NodeProto"]]:
    """``groups`` with whatever lies between their own nodes, merged where they then meet."""
    closed: list[list[NodeProto]] = []
    pending = list(groups)
    while pending:
        group = pending.pop(0)
        members = {id(node) for node in group} | _between(group, every)
        met = [g for g in (*closed, *pending) if any(id(node) in members for node in g)]
        for other in met:
            members.update(id(node) for node in other)
            (closed if other in closed else pending).remove(other)
        merged = [node for node in every if id(node) in members]
        # A group that met another one may now lie around further nodes.
        (pending if met else closed).append(merged)
    return closed


def _between(group: list["NodeProto"], every: Sequence["NodeProto"]) -> set[int]:
    """Nodes that depend on the group and on which the group depends."""
    members = {id(node) for node in group}
    after: set[str] = set()
    later: set[int] = set()
    for node in every:
        if id(node) in members or any(name in after for name in used_names(node)):
            after.update(name for name in node.output if name)
            later.add(id(node))
    before: set[str] = set()
    between: set[int] = set()
    for node in reversed(every):
        if id(node) in members or any(name in before for name in node.output):
            before.update(used_names(node))
            if id(node) in later:
                between.add(id(node))
    return between


def host_graph(node: "NodeProto") -> "GraphProto":
    """The graph that a node of a foreign domain stands for: its own body, or just itself."""
    if (node.domain, node.op_type) == (HOST_DOMAIN, HOST_GRAPH):
        return node.attribute[0].g
    return _subgraph([node], set(node.output)).attribute[0].g


def _groups(loose: Sequence["NodeProto"], unknown: Collection[str]) -> list[list["NodeProto"]]:
    """``loose`` in components connected by unknown values, each in order."""
    parent = list(range(len(loose)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    producer: dict[str, int] = {}
    for index, node in enumerate(loose):
        for name in used_names(node):
            if name in unknown:
                parent[root(index)] = root(producer[name])
        producer.update((name, index) for name in node.output if name)
    groups: dict[int, list[NodeProto]] = {}
    for index, node in enumerate(loose):
        groups.setdefault(root(index), []).append(node)
    return list(groups.values())


def _read_by_others(group: list["NodeProto"], groups: list[list["NodeProto"]]) -> set[str]:
    names: set[str] = set()
    for other in groups:
        if other is not group:
            for node in other:
                names.update(used_names(node))
    return names


def _subgraph(group: list["NodeProto"], needed: set[str]) -> "NodeProto":
    from onnx import helper

    made = {name for node in group for name in node.output if name}
    reads = dict.fromkeys(n for node in group for n in used_names(node) if n not in made)
    inputs = list(reads)
    results = [name for node in group for name in node.output if name in needed and name]
    graph = helper.make_graph(
        group,
        "host",
        [helper.make_empty_tensor_value_info(name) for name in inputs],
        [helper.make_empty_tensor_value_info(name) for name in results],
    )
    return helper.make_node(
        HOST_GRAPH, inputs, results, name=group[0].name, domain=HOST_DOMAIN, body=graph
    )


def _sorted(nodes: Sequence["NodeProto"]) -> list["NodeProto"]:
    """Kahn's algorithm, in the given order where the edges leave a choice."""
    producer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    reads = [{producer[name] for name in used_names(node) if name in producer} for node in nodes]
    readers: list[list[int]] = [[] for _ in nodes]
    for index, sources in enumerate(reads):
        for source in sources:
            readers[source].append(index)
    waiting = [len(sources) for sources in reads]
    ready = [index for index, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    for index in ready:
        order.append(index)
        for reader in readers[index]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(order) < len(nodes):
        stuck = next(node for node, count in zip(nodes, waiting, strict=True) if count)
        raise ModelError(
            "nodes whose shapes depend on data must form a subgraph that waits for nothing it "
            "computes itself",
            where=stuck.name,
        )
    return [nodes[index] for index in order]
