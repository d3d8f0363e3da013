"""The ``place`` dialect: the work of the ``tile`` level on sites, in memory, in order.

    type ::= `!place.buffer` `<` tensor-type `>`
    op   ::= `place.machine` name fields                     what the rest is placed on
           | `place.buffer` memory `at` offset (`init` weight | `port` name)? `:` buffer
           | `place.alias` buffer `at` offset `:` types      a range of another buffer
           | `place.program` weight fields `sites` table (`rounds` table)? `:` crossbar
           | `place.route` crossbar table                    port to each array and back, as trees
           | `place.reload` crossbar `slot` n               write its streamed tiles anew
           | `place.mvm` crossbar `,` buffer `->` buffer (`window` fields)? `slot` n
           | `place.stage` unit `slot` n `(` buffers `)` `->` `(` buffers `)` region
           | `place.move` buffer `->` buffer `slot` n        copy between memories
           | `place.if` buffer `slot` n region region        slots of one of two regions
           | `place.loop` `index` buffer (`trip` buffer)? (`while` buffer)? `max` n `slot` n region

Results live in buffers, not in SSA values: a slot reads and writes memory, and slots run in their
order unless nothing ties them. Site tables have one row a tile, ``(layer, row, col, array_row,
array_col)``; route tables are said in route_table.py. A tile of round 0 is written before
the program starts; the *streamed* ones share sites with others, and ``place.reload`` writes those
of round 1. Where there are more rounds, the product writes each when it is done with the one
before, and a further product needs another reload. The slots in a region are part of the
slot of their ``if`` or ``loop``. A loop writes its counter before each iteration, and reads its
trip count once, its condition before each iteration.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import ClassVar

import numpy as np
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import (
    Attribute,
    Dialect,
    Operation,
    ParametrizedAttribute,
    Region,
    SSAValue,
    TypeAttribute,
)
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    param_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.parser import AttrParser, Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, IsTerminator, NoTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from .attributes import WeightAttr, segment_sizes, table_of
from .control import CONDITION, COUNTER, BlockOp
from .machine_facts import defect_tables, heat_numbers, verify_defects, verify_heat
from .route_table import PORT, ROUTE_COLUMNS
from .tile import (
    MATRIX_FORMAT,
    CrossbarType,
    StoredMatrixOp,
    driven_shape,
    verify_mvm,
    verify_tiles,
)
from .types import dtype_of, shape_of
from .verify_once import SelfContained, sign_and_type, type_alone

SITE_COLUMNS = ("layer", "row", "col", "array_row", "array_col")
#: Heat of a tile an inference, J: in its layer, and on the base die below its stack.
ENERGY_COLUMNS = ("layer", "die")


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """A range of a memory that holds one row-major tensor."""

    name = "place.buffer"
    tensor: TensorType = param_def()

    @staticmethod
    def of(tensor: Attribute) -> "BufferType":
        assert isinstance(tensor, TensorType)
        return _buffer_type(tensor)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor (i1 takes a byte)."""
        return prod(shape_of(self.tensor)) * dtype_of(self.tensor).itemsize

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return [parser.parse_type()]

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(self.tensor)


@lru_cache(1 << 16)
def _buffer_type(tensor: TensorType) -> BufferType:
    return BufferType(tensor)


@irdl_op_definition
class MachineOp(IRDLOperation):
    """The machine that the module is placed on; first in the module.

    ``grid`` is (layers, rows, cols) of array sites (empty for a mesh), ``array`` the rows and
    weight columns of one array, ``active`` how many layers of one stack may work at a time,
    ``sequencers`` how many products a layer may run side by side (absent: one), ``memories`` their
    bytes by name, ``units`` who can run stages. ``chips`` is over how many chips
    in a chain the layers are spread, as many on each, where there is more than one. ``defects`` are
    tables of what is broken on each, by the names of ``DEFECT_COLUMNS``; ``heat`` the numbers of
    ``HEAT_KEYS``.
    """

    name = "place.machine"
    target = prop_def(StringAttr)
    machine = prop_def(StringAttr)
    grid = prop_def(DenseArrayBase.constr(i64))
    active = opt_prop_def(IntegerAttr.constr(i64))
    sequencers = opt_prop_def(IntegerAttr.constr(i64))
    array = prop_def(DenseArrayBase.constr(i64))
    chips = opt_prop_def(IntegerAttr.constr(i64))
    memories = prop_def(DictionaryAttr)
    units = prop_def(DictionaryAttr)
    defects = opt_prop_def(DictionaryAttr)
    heat = opt_prop_def(DictionaryAttr)
    assembly_format = (
        "$target `machine` $machine `grid` $grid (`active` $active^)? "
        "(`sequencers` $sequencers^)? `array` $array "
        "(`chips` $chips^)? `memories` $memories `units` $units (`defects` $defects^)? "
        "(`heat` $heat^)? attr-dict"
    )

    def verify_(self) -> None:
        if self.machine.data not in ("memcap", "mesh"):
            raise VerifyException(
                f"place.machine: machine must be memcap or mesh, got {self.machine.data}"
            )
        if self.machine.data == "memcap" and (
            len(self.grid) != 3 or len(self.array) != 2 or min(self.grid.get_values()) < 1
        ):
            raise VerifyException("place.machine: memcap needs grid [layers, rows, cols] and array")
        if self.chip_count < 1 or (len(self.grid) and self.grid.get_values()[0] % self.chip_count):
            raise VerifyException("place.machine: the layers must be as many on each chip")
        if self.defects is not None:
            verify_defects(self.defects, self.grid.get_values(), self.array.get_values())
        if self.heat is not None:
            verify_heat(self.heat)

    @property
    def chip_count(self) -> int:
        """Chips in the chain."""
        return 1 if self.chips is None else self.chips.value.data

    @property
    def defect_tables(self) -> dict[str, np.ndarray]:
        """int32 [n, columns] by the names of ``DEFECT_COLUMNS``, empty where nothing is broken."""
        return defect_tables(self.defects)

    @property
    def heat_numbers(self) -> dict[str, float] | None:
        """The numbers of ``heat`` by name; None where nothing says how warm the machine may be."""
        return None if self.heat is None else heat_numbers(self.heat)

    @property
    def memory_bytes(self) -> dict[str, int]:
        """Capacity by memory."""
        out = {}
        for name, value in self.memories.data.items():
            assert isinstance(value, IntegerAttr)
            out[name] = value.value.data
        return out

    @property
    def unit_memory(self) -> dict[str, str]:
        """The memory that each unit's stages read and write."""
        return {k: v.data for k, v in self.units.data.items() if isinstance(v, StringAttr)}


@irdl_op_definition
class BufferOp(SelfContained):
    """Bytes ``offset .. offset + size`` of ``memory``; ``init`` fills them when loading.

    ``port`` marks the program's inputs and outputs: ``input:NAME`` or ``output:NAME``. ``value`` is
    the ONNX value that the buffer holds, for comparing levels.
    """

    name = "place.buffer"
    memory = prop_def(StringAttr)
    offset = prop_def(IntegerAttr.constr(i64))
    init = opt_prop_def(WeightAttr)
    literal = opt_prop_def(DenseIntOrFPElementsAttr)
    port = opt_prop_def(StringAttr)
    result = result_def(BufferType)
    READ_FACTS: ClassVar = {"offset": sign_and_type}
    assembly_format = (
        "$memory `at` $offset (`init` $init^)? (`literal` $literal^)? (`port` $port^)? attr-dict "
        "`:` type($result)"
    )

    def verify_(self) -> None:
        if self.offset.value.data < 0:
            raise VerifyException(
                f"place.buffer: offset must be >= 0, got {self.offset.value.data}"
            )
        if self.port is not None and self.port.data.split(":")[0] not in ("input", "output"):
            raise VerifyException("place.buffer: port must be input:NAME or output:NAME")


@irdl_op_definition
class AliasOp(SelfContained):
    """A range of another buffer, seen as a tensor of its own: no bytes move."""

    name = "place.alias"
    source = operand_def(BufferType)
    offset = prop_def(IntegerAttr.constr(i64))
    result = result_def(BufferType)
    traits = traits_def(Pure())
    assembly_format = "$source `at` $offset attr-dict `:` type($source) `->` type($result)"

    def verify_(self) -> None:
        assert isinstance(self.source.type, BufferType)
        assert isinstance(self.result.type, BufferType)
        end = self.offset.value.data + self.result.type.nbytes
        if self.offset.value.data < 0 or end > self.source.type.nbytes:
            raise VerifyException(
                f"place.alias: bytes {self.offset.value.data}..{end} leave the buffer of "
                f"{self.source.type.nbytes} bytes"
            )


@irdl_op_definition
class ProgramOp(StoredMatrixOp):
    """A matrix in arrays (``sites``, one row a tile) or in a device's memory (``device``).

    ``fixed`` are sites that were asked for (layer -1 where none was), ``energy`` what reading the
    tiles takes in one inference (``ENERGY_COLUMNS``).
    """

    name = "place.program"
    tiles = prop_def(DenseIntOrFPElementsAttr)
    sites = opt_prop_def(DenseIntOrFPElementsAttr)
    fixed = opt_prop_def(DenseIntOrFPElementsAttr)
    energy = opt_prop_def(DenseIntOrFPElementsAttr)
    rounds = opt_prop_def(DenseIntOrFPElementsAttr)
    device = opt_prop_def(StringAttr)
    assembly_format = MATRIX_FORMAT + (
        "`tiles` $tiles (`sites` $sites^)? (`fixed` $fixed^)? (`energy` $energy^)? "
        "(`rounds` $rounds^)? (`device` $device^)? attr-dict `:` type($result)"
    )

    @property
    def round_table(self) -> np.ndarray:
        """The round in which each tile is written, int32 [tiles]; 0: before the program starts."""
        if self.rounds is None:
            return np.zeros(len(table_of(self.tiles)), np.int32)
        return table_of(self.rounds)

    def verify_(self) -> None:
        assert isinstance(self.result.type, CrossbarType)
        verify_tiles(table_of(self.tiles), self.result.type.shape, self.copy_of_tile)
        if (self.sites is None) == (self.device is None):
            raise VerifyException("place.program needs either sites or a device")
        tiles = table_of(self.tiles)
        for sites in (self.sites, self.fixed):
            if sites is not None:
                verify_sites(self, table_of(sites), tiles)
        if self.energy is not None:
            energy = table_of(self.energy)
            if energy.shape != (len(tiles), len(ENERGY_COLUMNS)) or not (energy >= 0).all():
                raise VerifyException(
                    f"place.program: energy needs columns {ENERGY_COLUMNS}, a tile each, not "
                    "below 0"
                )
        if self.rounds is not None:
            verify_rounds(self, table_of(self.rounds), tiles)


def verify_sites(op: Operation, sites: np.ndarray, tiles: np.ndarray) -> None:
    """A matrix in arrays has one site a tile."""
    if sites.shape != (len(tiles), len(SITE_COLUMNS)):
        raise VerifyException(f"{op.name}: sites need columns {SITE_COLUMNS}, a tile each")


def verify_rounds(op: Operation, rounds: np.ndarray, tiles: np.ndarray) -> None:
    """A matrix has one round a tile, numbered from 1 where they are streamed."""
    if rounds.shape != (len(tiles),):
        raise VerifyException(f"{op.name}: rounds need one number a tile")
    found = np.unique(rounds[rounds != 0])
    if (found != np.arange(1, len(found) + 1)).any():
        raise VerifyException(f"{op.name}: rounds must be numbered from 1, or 0 for what stays")


@irdl_op_definition
class RouteOp(IRDLOperation):
    """The legs of each tile in the trees from the base die's port to the arrays and back."""

    name = "place.route"
    crossbar = operand_def(CrossbarType)
    table = prop_def(DenseIntOrFPElementsAttr)
    assembly_format = "$crossbar $table attr-dict `:` type($crossbar)"

    def verify_(self) -> None:
        routes = table_of(self.table)
        if routes.ndim != 2 or routes.shape[1] != len(ROUTE_COLUMNS):
            raise VerifyException(f"place.route needs columns {ROUTE_COLUMNS}")
        if (routes < PORT).any():
            raise VerifyException("place.route: tiles are numbers from 0, or -1 for the port")


def root_of(value: SSAValue) -> tuple[BufferOp, int]:
    """The ``place.buffer`` that a buffer is a range of, and the byte where the range starts."""
    offset = 0
    while isinstance(value.owner, AliasOp):
        offset += value.owner.offset.value.data
        value = value.owner.source
    if not isinstance(value.owner, BufferOp):
        raise VerifyException("a buffer must come from place.buffer or place.alias")
    return value.owner, offset


def _tensor_of(value: SSAValue) -> TensorType:
    assert isinstance(value.type, BufferType)
    return value.type.tensor


@irdl_op_definition
class MvmOp(IRDLOperation):
    """A matrix-vector product from buffer to buffer, in the arrays or (mesh) on device ``unit``.

    ``window`` as for ``tile.mvm``.
    """

    name = "place.mvm"
    crossbar = operand_def(CrossbarType)
    x = operand_def(BufferType)
    y = operand_def(BufferType)
    window = opt_prop_def(DictionaryAttr)
    unit = opt_prop_def(StringAttr)
    slot = prop_def(IntegerAttr.constr(i64))
    node = opt_prop_def(StringAttr)
    assembly_format = (
        "$crossbar `,` $x `->` $y (`window` $window^)? (`unit` $unit^)? `slot` $slot "
        "(`node` $node^)? attr-dict `:` type($crossbar) `,` type($x) `->` type($y)"
    )

    def verify_(self) -> None:
        assert isinstance(self.crossbar.type, CrossbarType)
        x, y = shape_of(_tensor_of(self.x)), shape_of(_tensor_of(self.y))
        x = driven_shape(self.name, x, self.window)
        verify_mvm(self.name, self.crossbar.type, x, y)


@irdl_op_definition
class ReloadOp(IRDLOperation):
    """Writes the streamed tiles of a matrix into their arrays, round 1 at once (see above)."""

    name = "place.reload"
    crossbar = operand_def(CrossbarType)
    slot = prop_def(IntegerAttr.constr(i64))
    node = opt_prop_def(StringAttr)
    assembly_format = "$crossbar `slot` $slot (`node` $node^)? attr-dict `:` type($crossbar)"

    def verify_(self) -> None:
        owner = self.crossbar.owner
        if isinstance(owner, ProgramOp) and not owner.round_table.any():
            raise VerifyException(f"place.reload: matrix {owner.weight.data} has no streamed tiles")


class BufferCopy(SelfContained):
    """A copy of a tensor from one buffer into another."""

    source = operand_def(BufferType)
    target = operand_def(BufferType)
    node = opt_prop_def(StringAttr)
    READ_FACTS: ClassVar = dict.fromkeys(("slot", "event", "node"), type_alone)

    def verify_(self) -> None:
        if self.source.type != self.target.type:
            raise VerifyException(
                f"{self.name} copies {self.source.type} into {self.target.type}: types must agree"
            )


@irdl_op_definition
class MoveOp(BufferCopy):
    """Copies a tensor from one memory to another."""

    name = "place.move"
    slot = prop_def(IntegerAttr.constr(i64))
    assembly_format = (
        "$source `->` $target `slot` $slot (`node` $node^)? attr-dict `:` "
        "type($source) `->` type($target)"
    )


@irdl_op_definition
class YieldOp(IRDLOperation):
    """Ends the region of a stage with the tensors it writes."""

    name = "place.yield"
    values = var_operand_def(TensorType)
    traits = traits_def(IsTerminator(), Pure())
    assembly_format = "$values attr-dict `:` type($values)"


class RegionSlot(SelfContained):
    """A slot whose region computes tensors: it reads all inputs, then writes all outputs."""

    ins = var_operand_def(BufferType)
    outs = var_operand_def(BufferType)
    body = region_def("single_block")
    traits = traits_def(IsolatedFromAbove())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    READ_FACTS: ClassVar = dict.fromkeys(("slot", "event", "node"), type_alone)

    def verify_(self) -> None:
        block = self.body.block
        takes = [arg.type for arg in block.args]
        reads = [_tensor_of(value) for value in self.ins]
        if takes != reads:
            raise VerifyException(f"{self.name}: region takes {_show(takes)}, reads {_show(reads)}")
        last = block.last_op
        yields = [v.type for v in last.operands] if isinstance(last, YieldOp) else None
        writes = [_tensor_of(value) for value in self.outs]
        if yields != writes:
            shown = _show(yields) if yields is not None else "nothing"
            raise VerifyException(f"{self.name}: region yields {shown}, writes {_show(writes)}")

    def print_slot(self, printer: Printer, known: Sequence[str]) -> None:
        printer.print_string(" (")
        printer.print_list(self.ins, printer.print_operand)
        printer.print_string(") -> (")
        printer.print_list(self.outs, printer.print_operand)
        printer.print_string(")")
        shown = {
            k: v for k, v in self.properties.items() if k not in (*known, "operandSegmentSizes")
        }
        if shown:
            printer.print_string(" ")
            printer.print_attr_dict(shown)
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" : (")
        printer.print_list([*self.ins], lambda v: printer.print_attribute(v.type))
        printer.print_string(") -> (")
        printer.print_list([*self.outs], lambda v: printer.print_attribute(v.type))
        printer.print_string(") ")
        printer.print_region(self.body)

    @staticmethod
    def parse_slot(
        parser: Parser,
    ) -> tuple[list[SSAValue], dict[str, Attribute], dict[str, Attribute], Region]:
        """Operands, properties, attributes and region of the shared part of the syntax."""
        pos = parser.pos
        parens = parser.Delimiter.PAREN
        ins = parser.parse_comma_separated_list(parens, parser.parse_unresolved_operand)
        parser.parse_punctuation("->")
        outs = parser.parse_comma_separated_list(parens, parser.parse_unresolved_operand)
        properties = parser.parse_optional_attr_dict()
        attributes = parser.parse_optional_attr_dict_with_keyword()
        parser.parse_punctuation(":")
        in_types = parser.parse_comma_separated_list(parens, parser.parse_type)
        parser.parse_punctuation("->")
        out_types = parser.parse_comma_separated_list(parens, parser.parse_type)
        operands = parser.resolve_operands([*ins, *outs], [*in_types, *out_types], pos)
        region = parser.parse_region()
        sizes = segment_sizes(len(ins), len(outs))
        plain = dict(attributes.data) if attributes is not None else {}
        return list(operands), {**properties, **sizes}, plain, region


def _show(types: Sequence[Attribute]) -> str:
    return "(" + ", ".join(map(str, types)) + ")"


@irdl_op_definition
class StageOp(RegionSlot):
    """Digital work of one slot on one unit.

    The region holds ``tile`` ops on the buffers' tensors; ``node`` names their ONNX nodes.
    """

    name = "place.stage"
    unit = prop_def(StringAttr)
    slot = prop_def(IntegerAttr.constr(i64))
    node = opt_prop_def(StringAttr)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_attribute(self.unit)
        printer.print_string(f" slot {self.slot.value.data}")
        self.print_slot(printer, ("unit", "slot"))

    @classmethod
    def parse(cls, parser: Parser) -> "StageOp":
        unit = StringAttr(parser.parse_str_literal())
        parser.parse_keyword("slot")
        slot = IntegerAttr(parser.parse_integer(), 64)
        operands, properties, attributes, region = cls.parse_slot(parser)
        return cls.create(
            operands=operands,
            properties={"unit": unit, "slot": slot, **properties},
            attributes=attributes,
            regions=[region],
        )


class ControlSlot(BlockOp):
    """Control flow: its regions hold slots, which work on buffers from outside."""

    node = opt_prop_def(StringAttr)

    @property
    def ins(self) -> list[SSAValue]:
        """The buffers that decide what runs."""
        raise NotImplementedError

    @property
    def outs(self) -> list[SSAValue]:
        """The buffers that the operation itself writes."""
        return []

    def verify_(self) -> None:
        if any(len(region.blocks) > 1 for region in self.regions):
            raise VerifyException(f"{self.name}: a region must be one block")


class IfSlot(ControlSlot):
    """Runs the slots of its first region where the condition holds, else those of the second."""

    condition = operand_def(BufferType)
    then_body = region_def()
    else_body = region_def()

    @property
    def ins(self) -> list[SSAValue]:
        return [self.condition]

    def verify_(self) -> None:
        super().verify_()
        _verify_scalar(self, self.condition, CONDITION)


class LoopSlot(ControlSlot):
    """Runs the slots of its region again and again; see ``control.LoopOp``."""

    index = operand_def(BufferType)
    trip = opt_operand_def(BufferType)
    condition = opt_operand_def(BufferType)
    max_trips = prop_def(IntegerAttr.constr(i64))
    body = region_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    @property
    def ins(self) -> list[SSAValue]:
        return [value for value in (self.trip, self.condition) if value is not None]

    @property
    def outs(self) -> list[SSAValue]:
        return [self.index]

    def verify_(self) -> None:
        super().verify_()
        for value, kind in (
            (self.index, COUNTER),
            (self.trip, COUNTER),
            (self.condition, CONDITION),
        ):
            if value is not None:
                _verify_scalar(self, value, kind)


def _verify_scalar(op: Operation, buffer: SSAValue, kind: Attribute) -> None:
    if _tensor_of(buffer) != kind:
        raise VerifyException(f"{op.name} needs a buffer of {kind}, not {_tensor_of(buffer)}")


#: How control flow begins and ends in the text of every level.
IF_FORMAT = "$condition "
LOOP_FORMAT = (
    "`index` $index `:` type($index) (`trip` $trip^ `:` type($trip))? "
    "(`while` $condition^ `:` type($condition))? `max` $max_trips "
)


@irdl_op_definition
class IfOp(IfSlot):
    """A conditional on placed slots."""

    name = "place.if"
    slot = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(NoTerminator())
    assembly_format = (
        IF_FORMAT + "`slot` $slot (`node` $node^)? `:` type($condition) $then_body $else_body "
        "attr-dict"
    )


@irdl_op_definition
class LoopOp(LoopSlot):
    """A loop over placed slots."""

    name = "place.loop"
    slot = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(NoTerminator())
    assembly_format = LOOP_FORMAT + "`slot` $slot (`node` $node^)? $body attr-dict"


Place = Dialect(
    "place",
    [
        MachineOp,
        BufferOp,
        AliasOp,
        ProgramOp,
        RouteOp,
        ReloadOp,
        MvmOp,
        MoveOp,
        StageOp,
        IfOp,
        LoopOp,
        YieldOp,
    ],
    [BufferType],
)
