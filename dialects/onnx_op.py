"""The base of all ``onnx`` op classes: their syntax, and operands by position.

ONNX operators omit optional operands anywhere but at the end of a list; here an omitted one is
None in Python and ``_`` in text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xdsl.dialects.builtin import (
    ArrayAttr,
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    i32,
)
from xdsl.ir import Attribute, OpResult, Region, SSAValue
from xdsl.parser import Parser, UnresolvedOperand
from xdsl.printer import Printer

from ..errors import IRError
from .interned import ints_attr
from .types import dense_array
from .verify_once import SelfContained

CAPTURES = "captures"
CAPTURE_NAMES = "capture_names"
BODIES = "bodies"
_SEGMENTS = ("operandSegmentSizes", "resultSegmentSizes")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a schema says of its operator; parameters are (field, kind), captures come last.

    A kind is "single", "optional" or "variadic".
    """

    op_type: str
    domain: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]
    defaults: Mapping[str, Any]


class OnnxOp(SelfContained):
    """Base of all generated operator classes.

    ``inputs`` and ``outputs`` follow the schema's order with None for what is omitted, without
    trailing Nones; ``attribute`` gives plain Python values with the schema's defaults.
    """

    SIGNATURE: ClassVar[Signature]

    @property
    def op_type(self) -> str:
        """The operator's ONNX name, "Conv"."""
        return self.SIGNATURE.op_type

    @property
    def domain(self) -> str:
        """The operator's domain, "" for ai.onnx."""
        return self.SIGNATURE.domain

    @property
    def inputs(self) -> list[SSAValue | None]:
        """Operands by position, captures apart."""
        formal = [f for f in self.SIGNATURE.inputs if f[0] != CAPTURES]
        return _positional([getattr(self, name) for name, _ in formal], formal)

    @property
    def outputs(self) -> list[OpResult | None]:
        """Results by position."""
        found = [getattr(self, name) for name, _ in self.SIGNATURE.outputs]
        return _positional(found, self.SIGNATURE.outputs)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An ONNX attribute as int, float, str, list or array; its default where it is not set."""
        value = self.properties.get(name)
        if value is None:
            return self.SIGNATURE.defaults.get(name, default)
        return python_value(value)

    @property
    def captured(self) -> list[tuple[str, SSAValue]]:
        """Name within the subgraphs and value of everything they take from outside."""
        names = self.properties.get(CAPTURE_NAMES)
        if not isinstance(names, ArrayAttr):
            return []
        return list(zip((n.data for n in names), getattr(self, CAPTURES), strict=True))

    def print(self, printer: Printer) -> None:
        printer.print_string("(")
        printer.print_list(self.inputs, lambda value: _print_or_blank(printer, value))
        printer.print_string(")")
        captured = [value for _, value in self.captured]
        if captured:
            printer.print_string(" captures(")
            printer.print_list(captured, printer.print_ssa_value)
            printer.print_string(")")
        shown = {k: v for k, v in self.properties.items() if k not in _SEGMENTS}
        if shown:
            printer.print_string(" <")
            printer.print_attr_dict(shown)
            printer.print_string(">")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : (")
        printer.print_list(self.operand_types, printer.print_attribute)
        printer.print_string(") -> (")
        types = [None if result is None else result.type for result in self.outputs]
        printer.print_list(types, lambda type_: _print_or_blank(printer, type_))
        printer.print_string(")")
        for region in self.regions:
            printer.print_string(" ")
            printer.print_region(region)

    @classmethod
    def parse(cls, parser: Parser) -> "OnnxOp":
        at = parser.pos
        delimiter = parser.Delimiter.PAREN
        inputs = parser.parse_comma_separated_list(delimiter, lambda: _operand_or_blank(parser))
        captured: list[UnresolvedOperand] = []
        if parser.parse_optional_keyword(CAPTURES):
            captured = parser.parse_comma_separated_list(delimiter, parser.parse_unresolved_operand)
        properties: dict[str, Attribute] = {}
        if parser.parse_optional_punctuation("<"):
            parsed = parser.parse_optional_attr_dict()
            properties = _with_strings(parsed)
            parser.parse_punctuation(">")
        attributes = _with_strings(parser.parse_optional_attr_dict())
        parser.parse_punctuation(":")
        types = parser.parse_comma_separated_list(delimiter, parser.parse_type)
        parser.parse_punctuation("->")
        results = parser.parse_comma_separated_list(delimiter, lambda: _type_or_blank(parser))
        present = [operand for operand in inputs if operand is not None]
        values = iter(parser.resolve_operands([*present, *captured], types, at))
        regions = []
        while (region := parser.parse_optional_region()) is not None:
            regions.append(region)
        operands = [None if operand is None else next(values) for operand in inputs]
        try:
            return create_op(
                cls,
                operands,
                results,
                properties,
                list(values),
                regions,
                attributes=attributes,
            )
        except IRError as error:
            parser.raise_error(error.message, at)


def create_op(
    cls: type[OnnxOp],
    inputs: Sequence[SSAValue | None],
    result_types: Sequence[Attribute | None],
    properties: Mapping[str, Attribute],
    captured: Sequence[SSAValue] = (),
    bodies: Sequence[Region] = (),
    *,
    attributes: Mapping[str, Attribute] | None = None,
    location: LocationAttr | None = None,
) -> OnnxOp:
    """An op from positional inputs and results with None for what is omitted.

    ``bodies`` are the normalised subgraphs. Raises IRError where there are more operands or results
    than the schema has.
    """
    formal = [f for f in cls.SIGNATURE.inputs if f[0] != CAPTURES]
    operand_sizes = _segments(inputs, formal, cls.name, "inputs")
    if len(formal) < len(cls.SIGNATURE.inputs):
        operand_sizes.append(len(captured))
    elif captured:
        raise IRError(f"{cls.name} has no subgraph and must have no captures")
    result_sizes = _segments(result_types, cls.SIGNATURE.outputs, cls.name, "outputs")
    properties = dict(properties)
    if needs_segments(cls.SIGNATURE.inputs):
        properties["operandSegmentSizes"] = ints_attr(operand_sizes, i32)
    if needs_segments(cls.SIGNATURE.outputs):
        properties["resultSegmentSizes"] = ints_attr(result_sizes, i32)
    return cls.create(
        operands=[*(v for v in inputs if v is not None), *captured],
        result_types=[t for t in result_types if t is not None],
        properties=properties,
        attributes=dict(attributes or {}),
        regions=list(bodies),
        location=location,
    )


def capture_names_attr(names: Sequence[str]) -> dict[str, Attribute]:
    """The property that names the captures, empty where there are none."""
    return {CAPTURE_NAMES: ArrayAttr([StringAttr(name) for name in names])} if names else {}


def python_value(attr: Attribute) -> Any:
    """The plain Python value of an attribute: int, float, str, list or numpy array."""
    match attr:
        case IntegerAttr() | FloatAttr():
            return attr.value.data
        case StringAttr():
            return attr.data
        case DenseArrayBase():
            return list(attr.get_values())
        case ArrayAttr():
            return [python_value(item) for item in attr]
        case DenseIntOrFPElementsAttr():
            return dense_array(attr)
    raise IRError(f"an ONNX attribute must be a number, string, list or tensor, not {attr}")


def needs_segments(formal: Sequence[tuple[str, str]]) -> bool:
    return sum(kind != "single" for _, kind in formal) > 1


def _positional(found: Sequence[Any], formal: Sequence[tuple[str, str]]) -> list[Any]:
    values: list[Any] = []
    for value, (_, kind) in zip(found, formal, strict=True):
        if kind == "variadic":
            values.extend(value)
        else:
            values.append(value)
    while values and values[-1] is None:
        values.pop()
    return values


def _segments(
    items: Sequence[object], formal: Sequence[tuple[str, str]], name: str, what: str
) -> list[int]:
    """How many items each formal parameter gets. Raises IRError for too few or too many."""
    sizes = []
    position = 0
    for _, kind in formal:
        if kind == "variadic":
            rest = items[position:]
            if any(item is None for item in rest):
                raise IRError(f"{name} must have no omitted item among its variadic {what}")
            sizes.append(len(rest))
            position = len(items)
            continue
        present = position < len(items) and items[position] is not None
        if kind == "single" and not present:
            raise IRError(f"{name} must have its required {what}, number {position} is missing")
        sizes.append(int(present))
        position += 1
    if position < len(items) and any(item is not None for item in items[position:]):
        raise IRError(f"{name} must have at most {position} {what}, not {len(items)}")
    return sizes


def _print_or_blank(printer: Printer, item: SSAValue | Attribute | None) -> None:
    if item is None:
        printer.print_string("_")
    elif isinstance(item, SSAValue):
        printer.print_ssa_value(item)
    else:
        printer.print_attribute(item)


def _operand_or_blank(parser: Parser) -> UnresolvedOperand | None:
    return None if parser.parse_optional_keyword("_") else parser.parse_unresolved_operand()


def _type_or_blank(parser: Parser) -> Attribute | None:
    return None if parser.parse_optional_keyword("_") else parser.parse_type()


def _with_strings(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """``attributes`` with strings where xDSL parsed a literal outside ASCII as bytes."""
    return {
        key: StringAttr(value.data.decode()) if isinstance(value, BytesAttr) else value
        for key, value in attributes.items()
    }
