"""The ``pal`` level: tensors in the OpenPAL number format, and the schedule of a mesh.

    num      ::= `!pal.num` `<` format `>`             element type: codes of one OpenPAL format
    blocks   ::= `#pal.blocks` `<` axis `>`            tensor encoding: the axis cut into blocks
    packed   ::= `tensor` `<` dims `x` num `,` blocks `>`

    op ::= `pal.encode` x (`search` n)? `:` tensor `->` packed       search 0: ceiling scale
         | `pal.decode` x `:` packed `->` tensor
         | `pal.matmul` `exact`? a `,` b `:` packed `,` packed `->` tensor of f32
         | `pal.weight` weight `in` memory `at` offset `format` format `:` buffer
         | `pal.task` device `format` format when `(` buffers `)` `->` `(` buffers `)` region
         | `pal.transfer` buffer `->` buffer `bytes` n when
       | `pal.if` buffer when region region                slots of one of two regions
       | `pal.loop` `index` buffer ... when region
    when ::= `slot` n (`after` `[` slots `]`)? `start` ps `finish` ps

Machine and buffers are those of ``place``; each memory belongs to one device. Slots are numbered
in program order; ``after`` names those that must have finished first, because bytes are shared, and
times are integers of picoseconds since the start of the inference. Control flow is a slot for which
all earlier ones have finished and which all later ones wait for; the slots in its regions are
numbered and timed anew, from the start of the region. A task's region sees only the buffers it
reads. In ``quantized`` execution ``pal`` ops say themselves what is rounded; a ``tile``
op's floating-point operands and results are rounded to the task's format, or to pal16, the wide
companion, where that is a PAL format. A sample:

    %w = pal.weight <"fc"> in "spu0" at 64 format "pal4"
        : !place.buffer<tensor<8x2x!pal.num<"pal4">, #pal.blocks<0>>>
    %x = place.buffer "spu0" at 128 : !place.buffer<tensor<4x8xf32>>
    %y = place.buffer "spu0" at 0 : !place.buffer<tensor<4x2xf32>>
    pal.task "spu0" format "pal8" slot 0 start 0 finish 900 (%x, %w) -> (%y)
        : (!place.buffer<tensor<4x8xf32>>,
           !place.buffer<tensor<8x2x!pal.num<"pal4">, #pal.blocks<0>>>)
        -> (!place.buffer<tensor<4x2xf32>>) {
    ^bb0(%a : tensor<4x8xf32>, %b : tensor<8x2x!pal.num<"pal4">, #pal.blocks<0>>):
      %c = pal.encode %a search 0 : tensor<4x8xf32> -> tensor<4x8x!pal.num<"pal8">, #pal.blocks<1>>
      %d = pal.matmul %c, %b : tensor<4x8x!pal.num<"pal8">, #pal.blocks<1>>,
          tensor<8x2x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x2xf32>
      place.yield %d : tensor<4x2xf32>
    }
    %z = place.buffer "cpu0" at 0 : !place.buffer<tensor<4x2xf32>>
    pal.transfer %y -> %z bytes 32 slot 1 after [0] start 900 finish 1000
        : !place.buffer<tensor<4x2xf32>> -> !place.buffer<tensor<4x2xf32>>
"""

from xdsl.dialects.builtin import (
    DenseArrayBase,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute, Dialect, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, NoTerminator
from xdsl.utils.exceptions import VerifyException

from .attributes import WeightAttr
from .pal_numbers import (
    PAL_BLOCKS,
    BlocksAttr,
    DecodeOp,
    EncodeOp,
    MatmulOp,
    NumType,
    block_axis,
    is_packed,
    packed_type,
    product_shape,
)
from .place import (
    IF_FORMAT,
    LOOP_FORMAT,
    BufferCopy,
    BufferType,
    ControlSlot,
    IfSlot,
    LoopSlot,
    MachineOp,
    RegionSlot,
    YieldOp,
    root_of,
)
from .tile import OPS as TILE_OPS

__all__ = [
    "PAL_BLOCKS",
    "TASK_FORMATS",
    "BlocksAttr",
    "DecodeOp",
    "EncodeOp",
    "IfOp",
    "LoopOp",
    "MatmulOp",
    "NumType",
    "Pal",
    "TaskOp",
    "TimedSlot",
    "TransferOp",
    "WeightOp",
    "block_axis",
    "is_packed",
    "memory_of",
    "packed_type",
    "product_shape",
]

#: The formats a device can compute in.
TASK_FORMATS = (*PAL_BLOCKS, "fp32", "bf16", "fp16")

_REGION_OPS: tuple[type[Operation], ...] = (
    *TILE_OPS.values(),
    EncodeOp,
    DecodeOp,
    MatmulOp,
    YieldOp,
)


@irdl_op_definition
class WeightOp(IRDLOperation):
    """A stationary operand [.., K, N] in a device's memory, in its weight format.

    A PAL format is a packed tensor with blocks along K; a float format keeps the element type of
    the tensor, whose values are rounded to it.
    """

    name = "pal.weight"
    weight = prop_def(WeightAttr)
    memory = prop_def(StringAttr)
    offset = prop_def(IntegerAttr.constr(i64))
    format = prop_def(StringAttr)
    result = result_def(BufferType)
    assembly_format = (
        "$weight `in` $memory `at` $offset `format` $format attr-dict `:` type($result)"
    )

    def verify_(self) -> None:
        _verify_format(self, self.format.data)
        if self.offset.value.data < 0:
            raise VerifyException(f"pal.weight: offset must be >= 0, got {self.offset.value.data}")
        assert isinstance(self.result.type, BufferType)
        tensor = self.result.type.tensor
        if len(tensor.get_shape()) < 2:
            raise VerifyException(f"pal.weight holds a matrix [.., K, N], not {tensor}")
        held = tensor.element_type.format.data if isinstance(tensor.element_type, NumType) else None
        wanted = self.format.data if self.format.data in PAL_BLOCKS else None
        if held != wanted:
            raise VerifyException(
                f"pal.weight: format {self.format.data} cannot be held as {tensor}"
            )
        if held is not None and block_axis(tensor) != len(tensor.get_shape()) - 2:
            raise VerifyException(f"pal.weight: blocks must run along K, not as in {tensor}")


def memory_of(buffer: SSAValue) -> str:
    """The memory that holds a buffer or a stationary operand."""
    if isinstance(buffer.owner, WeightOp):
        return buffer.owner.memory.data
    return root_of(buffer)[0].memory.data


class TimedSlot(IRDLOperation):
    """A slot with the time that the schedule gives it and the slots it waits for."""

    slot = prop_def(IntegerAttr.constr(i64))
    after = opt_prop_def(DenseArrayBase.constr(i64))
    start_ps = prop_def(IntegerAttr.constr(i64))
    finish_ps = prop_def(IntegerAttr.constr(i64))
    node = opt_prop_def(StringAttr)

    @property
    def waits(self) -> tuple[int, ...]:
        """The slots that must have finished before this one starts."""
        return () if self.after is None else tuple(self.after.get_values())

    def verify_when(self) -> None:
        start, finish, slot = (x.value.data for x in (self.start_ps, self.finish_ps, self.slot))
        if not 0 <= start <= finish:
            raise VerifyException(
                f"times must satisfy 0 <= start <= finish, not start {start} ps, finish {finish} ps"
            )
        waits = list(self.waits)
        if waits != sorted({s for s in waits if 0 <= s < slot}):
            raise VerifyException(f"slot {slot} waits for increasing, earlier slots, not {waits}")


@irdl_op_definition
class TaskOp(RegionSlot, TimedSlot):
    """Work of one slot on one device, in one number format, at a time."""

    name = "pal.task"
    device = prop_def(StringAttr)
    format = prop_def(StringAttr)
    traits = traits_def(IsolatedFromAbove())

    def verify_(self) -> None:
        super().verify_()
        _verify_format(self, self.format.data)
        self.verify_when()
        device = self.device.data
        memory = _unit_memory(self, device)
        for buffer in (*self.ins, *self.outs):
            found = memory_of(buffer)
            if found != memory:
                raise VerifyException(
                    f"pal.task on {device} works in memory {memory}, a buffer is in {found}: "
                    "a pal.transfer is needed"
                )
        if any(isinstance(buffer.owner, WeightOp) for buffer in self.outs):
            raise VerifyException("pal.task: a stationary operand cannot be written")
        for op in self.body.block.ops:
            if not isinstance(op, _REGION_OPS):
                raise VerifyException(f"pal.task holds tile and pal operations, not {op.name}")

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_attribute(self.device)
        printer.print_string(" format ")
        printer.print_attribute(self.format)
        printer.print_string(f" slot {self.slot.value.data}")
        if self.after is not None:
            printer.print_string(f" after [{', '.join(map(str, self.waits))}]")
        printer.print_string(
            f" start {self.start_ps.value.data} finish {self.finish_ps.value.data}"
        )
        self.print_slot(printer, ("device", "format", "slot", "after", "start_ps", "finish_ps"))

    @classmethod
    def parse(cls, parser: Parser) -> "TaskOp":
        properties: dict[str, Attribute] = {"device": StringAttr(parser.parse_str_literal())}
        parser.parse_keyword("format")
        properties["format"] = StringAttr(parser.parse_str_literal())
        parser.parse_keyword("slot")
        properties["slot"] = IntegerAttr(parser.parse_integer(), 64)
        if parser.parse_optional_keyword("after") is not None:
            slots = parser.parse_comma_separated_list(parser.Delimiter.SQUARE, parser.parse_integer)
            properties["after"] = DenseArrayBase.from_list(i64, slots)
        for word in ("start", "finish"):
            parser.parse_keyword(word)
            properties[f"{word}_ps"] = IntegerAttr(parser.parse_integer(), 64)
        operands, more, attributes, region = cls.parse_slot(parser)
        return cls.create(
            operands=operands,
            properties={**properties, **more},
            attributes=attributes,
            regions=[region],
        )


@irdl_op_definition
class TransferOp(BufferCopy, TimedSlot):
    """A copy of a tensor into the memory of another device: ``bytes`` over the links between."""

    name = "pal.transfer"
    bytes = prop_def(IntegerAttr.constr(i64))
    assembly_format = (
        "$source `->` $target `bytes` $bytes `slot` $slot (`after` $after^)? `start` $start_ps "
        "`finish` $finish_ps (`node` $node^)? attr-dict `:` type($source) `->` type($target)"
    )

    def verify_(self) -> None:
        self.verify_when()
        super().verify_()
        memory = memory_of(self.source)
        if memory == memory_of(self.target):
            raise VerifyException(
                f"pal.transfer must go to another memory, both buffers are in {memory}"
            )
        if self.bytes.value.data < 0:
            raise VerifyException(
                f"pal.transfer: bytes must not be negative, not {self.bytes.value.data}"
            )


class _HoldsSlots(TimedSlot, ControlSlot):
    def verify_(self) -> None:
        self.verify_when()
        super().verify_()
        for block in self.blocks:
            for op in block.ops:
                if not isinstance(op, TimedSlot):
                    raise VerifyException(f"{self.name} holds slots only, not {op.name}")


_WHEN_FORMAT = (
    "`slot` $slot (`after` $after^)? `start` $start_ps `finish` $finish_ps (`node` $node^)? "
)


@irdl_op_definition
class IfOp(_HoldsSlots, IfSlot):
    """Runs the slots of one of two regions."""

    name = "pal.if"
    traits = traits_def(NoTerminator())
    assembly_format = (
        IF_FORMAT + _WHEN_FORMAT + "`:` type($condition) $then_body $else_body attr-dict"
    )


@irdl_op_definition
class LoopOp(_HoldsSlots, LoopSlot):
    """Runs the slots of its region again and again."""

    name = "pal.loop"
    traits = traits_def(NoTerminator())
    assembly_format = LOOP_FORMAT + _WHEN_FORMAT + "$body attr-dict"


def _verify_format(op: Operation, format: str) -> None:
    if format not in TASK_FORMATS:
        raise VerifyException(
            f"{op.name}: a format must be one of {', '.join(TASK_FORMATS)}, not {format!r}"
        )


def _unit_memory(op: Operation, device: str) -> str:
    """The memory of a device by the module's machine; the device's own name without one."""
    module = op.parent_op()
    while module is not None and not isinstance(module, ModuleOp):
        module = module.parent_op()
    first = module.body.block.first_op if module is not None else None
    if not isinstance(first, MachineOp):
        return device
    units = first.unit_memory
    if device not in units:
        raise VerifyException(
            f"{op.name} uses device {device!r}, which is none of {', '.join(units)}"
        )
    return units[device]


Pal = Dialect(
    "pal",
    [EncodeOp, DecodeOp, MatmulOp, WeightOp, TaskOp, TransferOp, IfOp, LoopOp],
    [NumType, BlocksAttr],
)
