"""The same model for an older operator set, for a runtime that is behind the newest.

Most versions of an operator only add element types. Where two versions of an operator are
documented by the same words and have the same inputs, outputs and attributes, they mean the same
for the types that both take; a runtime refuses others when it builds its session.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def older_models(model: "ModelProto") -> Iterator["ModelProto"]:
    """``model`` for each older operator set in which it means the same, the newest first."""
    import onnx

    entry = next((e for e in model.opset_import if e.domain in ("", "ai.onnx")), None)
    if entry is None:
        return
    oldest = max((_oldest(n.op_type, entry.version) for n in _nodes(model.graph)), default=1)
    for version in range(entry.version - 1, oldest - 1, -1):
        older = onnx.ModelProto()
        older.CopyFrom(model)
        for other in older.opset_import:
            if other.domain == entry.domain:
                other.version = version
        yield older


def _nodes(graph: Any) -> Iterable["NodeProto"]:
    for node in graph.node:
        if node.domain in ("", "ai.onnx"):
            yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


@lru_cache(maxsize=1024)
def _oldest(op_type: str, version: int) -> int:
    """The first operator set in which ``op_type`` meant what it means in ``version``."""
    from onnx import defs

    if not defs.has(op_type, version):
        return version
    schema = defs.get_schema(op_type, version)
    while schema.since_version > 1 and defs.has(op_type, schema.since_version - 1):
        before = defs.get_schema(op_type, schema.since_version - 1)
        if before.deprecated or _meaning(before) != _meaning(schema):
            break
        schema = before
    return int(schema.since_version)


def _meaning(schema: Any) -> tuple[Any, ...]:
    formal = [
        [(p.name, p.type_str, p.option, p.description) for p in side]
        for side in (schema.inputs, schema.outputs)
    ]
    attributes = {
        name: (a.type, a.required, a.description, a.default_value.SerializeToString())
        for name, a in schema.attributes.items()
    }
    return schema.doc, formal, attributes
