"""What a diagnostic says: where an operation came from, and messages as one line.

Lowering keeps locations, so the answer is the name of the ONNX node where there is one, else
``file:line:column`` of the text that was parsed.
"""

from xdsl.dialects.builtin import (
    ArrayAttr,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    NameLoc,
)
from xdsl.ir import Attribute, Operation


def where_of(op: Operation) -> str | None:
    """The location of ``op``, or of the nearest operation around it that has one."""
    scope: Operation | None = op
    while scope is not None:
        if (text := location_text(scope.location)) is not None:
            return text
        scope = scope.parent_op()
    return None


def location_text(location: Attribute) -> str | None:
    """``location`` as text: names and positions, several joined by ``+``; None when unknown."""
    match location:
        case NameLoc():
            return location.desc.data
        case FileLineColLoc():
            return f"{location.filename.data}:{location.line.data}:{location.column.data}"
        case CallSiteLoc():
            return location_text(location.callee) or location_text(location.caller)
        case FusedLoc(locations=ArrayAttr() as parts):
            texts = dict.fromkeys(text for part in parts if (text := location_text(part)))
            return " + ".join(texts) or None
    return None


def single_line(message: str) -> str:
    """A message of several lines as one."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return "; ".join(lines).replace(":; ", ": ")
