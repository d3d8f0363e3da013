"""Control flow on tensors, defined once and offered by the ``graph`` and ``tile`` dialects.

    if   ::= results `=` dialect `.if` condition `:` `->` `(` types `)` region region
    loop ::= results `=` dialect `.loop` `(` initial `)` `max` n (`trip` count)? `while`? `:`
             `(` types `)` `->` `(` types `)` region

The condition is a tensor<i1>. ``if`` runs its first region where it holds, else the second; both
end with ``dialect.yield`` of the results. ``loop`` carries values from one iteration to the next:
its region takes the iteration's number, tensor<i64>, and the carried values, and yields their next
ones; the results are the last. It makes ``trip`` (tensor<i64>) iterations, which may be no more
than ``max``, or ``max`` without it; with ``while`` it ends earlier when its first carried value,
tensor<i1>, does not hold before an iteration. Regions may use values from around them.

    %r = graph.loop (%x) max 3 : (tensor<4xf32>) -> (tensor<4xf32>) {
    ^bb0(%i : tensor<i64>, %s : tensor<4xf32>):
      ...
      graph.yield %next : tensor<4xf32>
    }
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
from xdsl.dialects.builtin import IntegerAttr, TensorType, UnitAttr, i64
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import RecursiveMemoryEffect
from xdsl.utils.exceptions import VerifyException

from .attributes import segment_sizes
from .kernel import UNBOUNDED
from .types import tensor_type

#: An iteration's number and a trip count.
COUNTER = tensor_type((), np.dtype(np.int64))
CONDITION = tensor_type((), np.dtype(np.bool_))


class BlockOp(IRDLOperation):
    """Control flow of any level: an operation whose regions run or do not."""

    @property
    def blocks(self) -> list[Block]:
        """The blocks that may run, one a region; an empty one where a region holds nothing."""
        return [region.block if region.blocks else Block() for region in self.regions]


class ControlOp(BlockOp):
    """What the control operations of a dialect share; ``TERMINATOR`` ends their regions."""

    TERMINATOR: ClassVar[type[Operation]]
    outs = var_result_def(TensorType)

    def _verify_yield(self, block: Block, wanted: Sequence[Attribute]) -> None:
        last = block.last_op
        found = [v.type for v in last.operands] if isinstance(last, self.TERMINATOR) else None
        if found != list(wanted):
            came = "nothing" if found is None else _show(found)
            raise VerifyException(f"{self.name}: a region must yield {_show(wanted)}, not {came}")


class IfOp(ControlOp):
    """Runs one of two regions. Concrete classes come from :func:`control_ops`."""

    condition = operand_def(TensorType)
    then_body = region_def("single_block")
    else_body = region_def("single_block")

    @classmethod
    def make(
        cls, condition: SSAValue, types: Sequence[Attribute], then: Region, otherwise: Region
    ) -> Operation:
        """The op of the given result types; regions end with the dialect's yield."""
        return cls.create(operands=[condition], result_types=list(types), regions=[then, otherwise])

    def verify_(self) -> None:
        if self.condition.type != CONDITION:
            raise VerifyException(f"{self.name}: the condition must be a {CONDITION}")
        for block in self.blocks:
            if block.args:
                raise VerifyException(f"{self.name}: its regions take no arguments")
            self._verify_yield(block, self.result_types)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_operand(self.condition)
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : -> ")
        _print_types(printer, self.result_types)
        for region in self.regions:
            printer.print_string(" ")
            printer.print_region(region)

    @classmethod
    def parse(cls, parser: Parser) -> "IfOp":
        pos = parser.pos
        condition = parser.parse_unresolved_operand()
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        parser.parse_punctuation("->")
        types = _parse_types(parser)
        operands = parser.resolve_operands([condition], [CONDITION], pos)
        regions = [parser.parse_region(), parser.parse_region()]
        return cls.create(
            operands=operands, result_types=types, attributes=attributes, regions=regions
        )


class LoopOp(ControlOp):
    """Runs its region again and again. Concrete classes come from :func:`control_ops`."""

    initial = var_operand_def(TensorType)
    trip = opt_operand_def(TensorType)
    max_trips = prop_def(IntegerAttr.constr(i64))
    conditional = opt_prop_def(UnitAttr)
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    @classmethod
    def make(
        cls,
        initial: Sequence[SSAValue],
        body: Region,
        max_trips: int,
        *,
        trip: SSAValue | None = None,
        conditional: bool = False,
    ) -> "LoopOp":
        """The op whose ``body`` takes the counter and the carried values and yields the next."""
        return cls.create(
            operands=[*initial, *([trip] if trip is not None else [])],
            result_types=[value.type for value in initial],
            properties={
                "max_trips": IntegerAttr(min(max_trips, UNBOUNDED), 64),
                **({"conditional": UnitAttr()} if conditional else {}),
                **segment_sizes(len(initial), int(trip is not None)),
            },
            regions=[body],
        )

    def verify_(self) -> None:
        carried = [value.type for value in self.initial]
        if self.max_trips.value.data < 0:
            raise VerifyException(f"{self.name}: max must not be negative")
        if self.trip is not None and self.trip.type != COUNTER:
            raise VerifyException(f"{self.name}: trip must be a {COUNTER}")
        if self.conditional is not None and carried[:1] != [CONDITION]:
            raise VerifyException(f"{self.name}: while needs a first carried value {CONDITION}")
        if list(self.result_types) != carried:
            raise VerifyException(
                f"{self.name} carries {_show(carried)}, its results are {_show(self.result_types)}"
            )
        block = self.body.block
        takes = [arg.type for arg in block.args]
        if takes != [COUNTER, *carried]:
            raise VerifyException(
                f"{self.name}: its region must take {_show([COUNTER, *carried])}, not "
                f"{_show(takes)}"
            )
        self._verify_yield(block, carried)

    def print(self, printer: Printer) -> None:
        printer.print_string(" (")
        printer.print_list(self.initial, printer.print_operand)
        printer.print_string(f") max {self.max_trips.value.data}")
        if self.trip is not None:
            printer.print_string(" trip ")
            printer.print_operand(self.trip)
        if self.conditional is not None:
            printer.print_string(" while")
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        _print_types(printer, [value.type for value in self.initial])
        printer.print_string(" -> ")
        _print_types(printer, self.result_types)
        printer.print_string(" ")
        printer.print_region(self.body)

    @classmethod
    def parse(cls, parser: Parser) -> "LoopOp":
        pos = parser.pos
        unresolved = parser.parse_comma_separated_list(
            parser.Delimiter.PAREN, parser.parse_unresolved_operand
        )
        parser.parse_keyword("max")
        most = parser.parse_integer()
        trip: SSAValue | None = None
        if parser.parse_optional_keyword("trip") is not None:
            trip = parser.resolve_operand(parser.parse_unresolved_operand(), COUNTER)
        conditional = parser.parse_optional_keyword("while") is not None
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        types = _parse_types(parser)
        parser.parse_punctuation("->")
        _parse_types(parser)
        initial = parser.resolve_operands(unresolved, types, pos)
        op = cls.make(
            initial,
            parser.parse_region(),
            most,
            trip=trip,
            conditional=conditional,
        )
        op.attributes.update(attributes)
        return op


def control_ops(dialect: str, terminator: type[Operation]) -> tuple[type[IfOp], type[LoopOp]]:
    """The op classes ``dialect.if`` and ``dialect.loop``."""

    def define(base: type[ControlOp], name: str) -> type[ControlOp]:
        namespace: dict[str, Any] = {
            "name": f"{dialect}.{name}",
            "TERMINATOR": terminator,
            "traits": traits_def(RecursiveMemoryEffect()),
            "__annotations__": {"TERMINATOR": ClassVar[type[Operation]]},
            "__module__": f"{__package__}.{dialect}",
            "__doc__": base.__doc__,
        }
        return irdl_op_definition(type(base.__name__, (base,), namespace))

    return cast(type[IfOp], define(IfOp, "if")), cast(type[LoopOp], define(LoopOp, "loop"))


def control_blocks(op: Operation) -> list[Block]:
    """The blocks of a control operation of any level; none of any other."""
    return op.blocks if isinstance(op, BlockOp) else []


def nested_blocks(block: Block) -> Iterator[Block]:
    """``block`` and the blocks of the control operations in it, outer ones first.

    Operations that were replaced while an outer block was looked at are seen as they are then.
    """
    yield block
    for op in block.ops:
        for inner in control_blocks(op):
            yield from nested_blocks(inner)


def repetitions(op: Operation) -> int:
    """How often an operation runs at most each time its function does.

    A loop that nothing bounds counts once, and so does each region of an ``if``.
    """
    times = 1
    parent = op.parent_op()
    while parent is not None:
        trips = getattr(parent, "max_trips", None)  # of a loop, at any level
        if isinstance(parent, BlockOp) and trips is not None and trips.value.data < UNBOUNDED:
            times *= trips.value.data
        parent = parent.parent_op()
    return times


def captured_values(op: Operation) -> list[SSAValue]:
    """What the regions of a control operation use from around them, each once, in order."""
    return list(dict.fromkeys(v for block in control_blocks(op) for v in taken_from_outside(block)))


def taken_from_outside(block: Block) -> list[SSAValue]:
    """The values that ``block``, or a block within it, uses and does not define."""
    inside: set[SSAValue] = set(block.args)
    found: dict[SSAValue, None] = {}
    for op in block.walk():  # definitions come before their uses
        for value in op.operands:
            if value not in inside:
                found[value] = None
        inside.update(op.results)
        for region in op.regions:
            for inner in region.blocks:
                inside.update(inner.args)
    return list(found)


def _show(types: Sequence[Attribute]) -> str:
    return "(" + ", ".join(map(str, types)) + ")"


def _print_types(printer: Printer, types: Sequence[Attribute]) -> None:
    printer.print_string("(")
    printer.print_list(types, printer.print_attribute)
    printer.print_string(")")


def _parse_types(parser: Parser) -> list[Attribute]:
    return parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type)


__all__ = [
    "CONDITION",
    "COUNTER",
    "UNBOUNDED",
    "BlockOp",
    "ControlOp",
    "IfOp",
    "LoopOp",
    "captured_values",
    "control_blocks",
    "control_ops",
    "nested_blocks",
    "repetitions",
]
