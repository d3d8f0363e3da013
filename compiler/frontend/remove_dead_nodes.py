"""Drop the nodes that no output depends on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .rename_values import used_names

if TYPE_CHECKING:
    from onnx import NodeProto


def remove_dead_nodes(
    nodes: Iterable["NodeProto"], outputs: Iterable[str]
) -> tuple[list["NodeProto"], set[str]]:
    """The nodes that ``outputs`` depend on, in order, and all values they read."""
    needed = set(outputs)
    kept = []
    for node in reversed(list(nodes)):
        if any(name in needed for name in node.output):
            needed.update(used_names(node))
            kept.append(node)
    return kept[::-1], needed
