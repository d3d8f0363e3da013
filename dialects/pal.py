"""The ``pal`` level: tensors in the OpenPAL number format, and the schedule of a mesh.

    num      = !pal.num<"pal8">                    element type: codes of one OpenPAL format
    blocks   = #pal.blocks<axis>                   tensor encoding: the axis cut into blocks
    packed   = tensor<DIMS x num, blocks>

    encode   = pal.encode %x (search N)? : tensor -> packed         search 0: ceiling scale
    decode   = pal.decode %x : packed -> tensor
    matmul   = pal.matmul (exact)? %a, %b : packed, packed -> tensor of f32

    machine  = pal.machine "TARGET" devices ["NAME", ...]
    task     = pal.task "NODE" on "DEVICE" in "FORMAT" from T to T (%arg = %x : type, ...)
               -> (type, ...) { ops; pal.yield %y, ... : type, ... }
    transfer = pal.transfer %x from "DEVICE" to "DEVICE" bytes N start T finish T : type

Times T are integers of picoseconds since the start of the inference. A task sees only its block
arguments. A value lives where it was made: on the device of its task, or where a transfer took
it; values of no task (inputs, constants) are everywhere. A sample:

    pal.machine "mesh-small" devices ["cpu0", "spu0"]
    %y = pal.task "fc" on "spu0" in "pal8" from 0 to 900 (%a = %x : tensor<4x8xf32>)
        -> (tensor<4x8xf32>) {
      %r = arith.addf %a, %a : tensor<4x8xf32>
      pal.yield %r : tensor<4x8xf32>
    }
    %z = pal.transfer %y from "spu0" to "cpu0" bytes 128 start 900 finish 1000 : tensor<4x8xf32>
"""

from collections.abc import Iterable, Sequence
from typing import ClassVar

from xdsl.dialects.builtin import (
    I64,
    ArrayAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.dialects.utils import AbstractYieldOperation
from xdsl.ir import (
    Attribute,
    Dialect,
    Operation,
    Region,
    SSAValue,
)
from xdsl.irdl import (
    IRDLOperation,
    VarConstraint,
    base,
    irdl_op_definition,
    lazy_traits_def,
    operand_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, IsolatedFromAbove, IsTerminator, Pure, RecursiveMemoryEffect
from xdsl.utils.exceptions import VerifyException

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

__all__ = [
    "PAL_BLOCKS",
    "TASK_FORMATS",
    "BlocksAttr",
    "DecodeOp",
    "EncodeOp",
    "MachineOp",
    "MatmulOp",
    "NumType",
    "Pal",
    "TaskOp",
    "TransferOp",
    "YieldOp",
    "block_axis",
    "is_packed",
    "packed_type",
    "product_shape",
]

#: The formats a task can compute in.
TASK_FORMATS = (*PAL_BLOCKS, "fp32", "bf16", "fp16")

_TENSOR = base(TensorType[Attribute])


@irdl_op_definition
class MachineOp(IRDLOperation):
    """The mesh that the schedule is for: its target's name and its devices, in target order."""

    name = "pal.machine"

    target = prop_def(StringAttr)
    devices = prop_def(ArrayAttr[StringAttr])

    assembly_format = "$target `devices` $devices attr-dict"

    def __init__(self, target: str, devices: Iterable[str]) -> None:
        super().__init__(
            properties={
                "target": StringAttr(target),
                "devices": ArrayAttr(StringAttr(d) for d in devices),
            }
        )

    def verify_(self) -> None:
        names = [d.data for d in self.devices]
        if not names or len(set(names)) < len(names):
            raise VerifyException(f"a machine needs devices of different names, not {names}")
        parent = self.parent_op()
        for op in parent.walk() if parent is not None else ():
            if isinstance(op, TaskOp):
                used = [op.device.data]
            elif isinstance(op, TransferOp):
                used = [op.source.data, op.destination.data]
            else:
                continue
            if unknown := sorted(set(used) - set(names)):
                raise VerifyException(
                    f"{op.name} uses device {unknown[0]!r}, which is none of {', '.join(names)}"
                )


@irdl_op_definition
class YieldOp(AbstractYieldOperation[Attribute]):
    """Ends a task: what it hands out."""

    name = "pal.yield"

    traits = lazy_traits_def(lambda: (IsTerminator(), Pure(), HasParent(TaskOp)))


@irdl_op_definition
class TaskOp(IRDLOperation):
    """Work of one ONNX node on one device, in one number format, at a time (picoseconds)."""

    name = "pal.task"

    node = prop_def(StringAttr)
    device = prop_def(StringAttr)
    format = prop_def(StringAttr)
    start_ps = prop_def(IntegerAttr[I64])
    finish_ps = prop_def(IntegerAttr[I64])
    inputs = var_operand_def(_TENSOR)
    outputs = var_result_def(_TENSOR)
    body = region_def("single_block")

    traits = traits_def(IsolatedFromAbove(), RecursiveMemoryEffect())

    def __init__(
        self,
        node: str,
        device: str,
        format: str,
        start_ps: int,
        finish_ps: int,
        inputs: Sequence[SSAValue | Operation],
        result_types: Sequence[Attribute],
        body: Region,
    ) -> None:
        super().__init__(
            operands=[inputs],
            result_types=[result_types],
            properties={
                "node": StringAttr(node),
                "device": StringAttr(device),
                "format": StringAttr(format),
                "start_ps": IntegerAttr(start_ps, i64),
                "finish_ps": IntegerAttr(finish_ps, i64),
            },
            regions=[body],
        )

    def verify_(self) -> None:
        if self.format.data not in TASK_FORMATS:
            raise VerifyException(
                f"a task's format must be one of {', '.join(TASK_FORMATS)}, "
                f"not {self.format.data!r}"
            )
        _verify_times(self)
        for value in self.inputs:
            _verify_arrival(self, value, self.device.data)
        block = self.body.block
        _verify_types("block arguments", block.arg_types, "operands", self.inputs.types)
        last = block.last_op
        if not isinstance(last, YieldOp):
            raise VerifyException("a task must end with pal.yield")
        if last is block.first_op:
            raise VerifyException("a task must hold an operation besides pal.yield")
        _verify_types("yielded values", last.arguments.types, "results", self.outputs.types)

    def print(self, printer: Printer) -> None:
        printer.print_string(" ")
        printer.print_string_literal(self.node.data)
        printer.print_string(" on ")
        printer.print_string_literal(self.device.data)
        printer.print_string(" in ")
        printer.print_string_literal(self.format.data)
        printer.print_string(f" from {self.start_ps.value.data} to {self.finish_ps.value.data} (")
        printer.print_list(
            zip(self.body.block.args, self.inputs, strict=True),
            lambda pair: _print_argument(printer, *pair),
        )
        printer.print_string(") -> (")
        printer.print_list(self.outputs.types, printer.print_attribute)
        printer.print_string(")")
        printer.print_op_attributes(self.attributes, print_keyword=True)
        printer.print_string(" ")
        printer.print_region(self.body, print_entry_block_args=False)

    @classmethod
    def parse(cls, parser: Parser) -> "TaskOp":
        node = parser.parse_str_literal()
        parser.parse_keyword("on")
        device = parser.parse_str_literal()
        parser.parse_keyword("in")
        format = parser.parse_str_literal()
        parser.parse_keyword("from")
        start_ps = parser.parse_integer(allow_boolean=False)
        parser.parse_keyword("to")
        finish_ps = parser.parse_integer(allow_boolean=False)
        pairs = parser.parse_comma_separated_list(
            Parser.Delimiter.PAREN, lambda: _parse_argument(parser)
        )
        parser.parse_punctuation("->")
        results = parser.parse_comma_separated_list(Parser.Delimiter.PAREN, parser.parse_type)
        attributes = parser.parse_optional_attr_dict_with_keyword()
        body = parser.parse_region([argument for argument, _ in pairs])
        inputs = [value for _, value in pairs]
        op = cls(node, device, format, start_ps, finish_ps, inputs, results, body)
        if attributes is not None:
            op.attributes |= attributes.data
        return op


def _print_argument(printer: Printer, argument: SSAValue, value: SSAValue) -> None:
    printer.print_ssa_value(argument)
    printer.print_string(" = ")
    printer.print_ssa_value(value)
    printer.print_string(" : ")
    printer.print_attribute(value.type)


def _parse_argument(parser: Parser) -> tuple[Parser.Argument, SSAValue]:
    argument = parser.parse_argument(expect_type=False)
    parser.parse_punctuation("=")
    value = parser.parse_unresolved_operand()
    parser.parse_punctuation(":")
    type = parser.parse_type()
    return argument.resolve(type), parser.resolve_operand(value, type)


@irdl_op_definition
class TransferOp(IRDLOperation):
    """A copy of a tensor on another device: ``bytes`` over the links, from start to finish."""

    name = "pal.transfer"

    _TYPE: ClassVar = VarConstraint("T", _TENSOR)

    value = operand_def(_TYPE)
    source = prop_def(StringAttr)
    destination = prop_def(StringAttr)
    bytes = prop_def(IntegerAttr[I64])
    start_ps = prop_def(IntegerAttr[I64])
    finish_ps = prop_def(IntegerAttr[I64])
    result = result_def(_TYPE)

    traits = traits_def(Pure())
    assembly_format = (
        "$value `from` $source `to` $destination `bytes` $bytes "
        "`start` $start_ps `finish` $finish_ps attr-dict `:` type($value)"
    )

    def __init__(
        self,
        value: SSAValue | Operation,
        source: str,
        destination: str,
        bytes: int,
        start_ps: int,
        finish_ps: int,
    ) -> None:
        operand = SSAValue.get(value)
        super().__init__(
            operands=[operand],
            result_types=[operand.type],
            properties={
                "source": StringAttr(source),
                "destination": StringAttr(destination),
                "bytes": IntegerAttr(bytes, i64),
                "start_ps": IntegerAttr(start_ps, i64),
                "finish_ps": IntegerAttr(finish_ps, i64),
            },
        )

    def verify_(self) -> None:
        if self.source == self.destination:
            raise VerifyException(
                f"a transfer must go to another device, not from {self.source.data!r} to itself"
            )
        if self.bytes.value.data < 0:
            raise VerifyException(f"bytes must not be negative, not {self.bytes.value.data}")
        _verify_times(self)
        _verify_arrival(self, self.value, self.source.data)


def _verify_types(
    what: str, types: Sequence[Attribute], of: str, wanted: Sequence[Attribute]
) -> None:
    if tuple(types) != tuple(wanted):
        raise VerifyException(
            f"the {what} must have the types of the {of} ({', '.join(map(str, wanted))}), "
            f"not ({', '.join(map(str, types))})"
        )


def _verify_times(op: "TaskOp | TransferOp") -> None:
    start, finish = op.start_ps.value.data, op.finish_ps.value.data
    if not 0 <= start <= finish:
        raise VerifyException(
            f"times must satisfy 0 <= start <= finish, not start {start} ps, finish {finish} ps"
        )


def _verify_arrival(op: "TaskOp | TransferOp", value: SSAValue, device: str) -> None:
    """An operand that the schedule makes is on the device that reads it, and in time."""
    owner = value.owner
    if not isinstance(owner, TaskOp | TransferOp):
        return
    home = (owner.device if isinstance(owner, TaskOp) else owner.destination).data
    if home != device:
        raise VerifyException(
            f"an operand read on device {device!r} is on {home!r}: a pal.transfer is needed"
        )
    if owner.finish_ps.value.data > op.start_ps.value.data:
        raise VerifyException(
            f"an operand is ready at {owner.finish_ps.value.data} ps, after the start "
            f"at {op.start_ps.value.data} ps"
        )


Pal = Dialect(
    "pal",
    [EncodeOp, DecodeOp, MatmulOp, MachineOp, TaskOp, TransferOp, YieldOp],
    [NumType, BlocksAttr],
)
