"""Attributes shared by the levels: names of stored arrays, packed tables, locations.

    weight ::= `#graph.weight` `<` string-literal `>`

A weight is a name in the weight store that travels beside the IR; no level holds the bytes.
Tables are ``dense`` attributes over packed int32 or float32 bytes, one row a tile.
"""

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    ArrayAttr,
    FusedLoc,
    LocationAttr,
    NameLoc,
    NoneAttr,
    StringAttr,
    UnknownLoc,
    i32,
)
from xdsl.ir import Attribute, Operation, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer

from .interned import ints_attr
from .types import dense_array as table_of
from .types import dense_attr as table_attr

__all__ = [
    "WeightAttr",
    "name_location",
    "node_names",
    "segment_sizes",
    "table_attr",
    "table_of",
]


@irdl_attr_definition
class WeightAttr(ParametrizedAttribute):
    """The name of an array in the weight store."""

    name = "graph.weight"
    key: StringAttr

    @staticmethod
    def of(key: str) -> "WeightAttr":
        return WeightAttr(StringAttr(key))

    @property
    def data(self) -> str:
        return self.key.data

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[StringAttr]:
        with parser.in_angle_brackets():
            return [StringAttr(parser.parse_str_literal())]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.key.data)


#: Behind the name of an ONNX value [N, C, ...] that is kept as [N, ..., C].
CHANNELS_LAST = " (channels last)"


def segment_sizes(*sizes: int) -> dict[str, Attribute]:
    """The property that splits an op's operands into groups of ``sizes``."""
    return {"operandSegmentSizes": ints_attr(sizes, i32)}


def name_location(names: Sequence[str]) -> LocationAttr:
    """The location of what came from the ONNX nodes ``names``."""
    unique = list(dict.fromkeys(names))
    if not unique:
        return UnknownLoc()
    locations = [NameLoc(StringAttr(name), NoneAttr()) for name in unique]
    return locations[0] if len(locations) == 1 else FusedLoc(ArrayAttr(locations), NoneAttr())


def node_names(op: Operation) -> list[str]:
    """Names of the ONNX nodes that ``op`` came from, by its location."""
    return _names(op.location)


def _names(location: LocationAttr) -> list[str]:
    if isinstance(location, NameLoc):
        return [location.desc.data]
    if isinstance(location, FusedLoc):
        parts = location.locations
        assert isinstance(parts, ArrayAttr)
        return [name for part in parts for name in _names(part)]
    return []
