"""The number half of the ``pal`` level: tensor types, encode, decode, matmul. Grammar: pal.py."""

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    I64,
    AnyFloat,
    AnyTensorType,
    Float32Type,
    IntAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    UnitAttr,
    i64,
)
from xdsl.ir import (
    Attribute,
    Operation,
    ParametrizedAttribute,
    SSAValue,
    TypeAttribute,
)
from xdsl.irdl import (
    IRDLOperation,
    base,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

#: The OpenPAL formats and the length of their blocks.
PAL_BLOCKS = {
    "pal4": 16,
    "pal4k32": 32,
    "pal6": 32,
    "pal8": 32,
    "pal8lite": 32,
    "pal8k16": 16,
    "pal16": 32,
}
_TENSOR = base(TensorType[Attribute])


@irdl_attr_definition
class NumType(ParametrizedAttribute, TypeAttribute):
    """``!pal.num<"pal8">``: the element type of a tensor in an OpenPAL format."""

    name = "pal.num"

    format: StringAttr

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return (StringAttr(parser.parse_str_literal()),)

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string_literal(self.format.data)

    def verify(self) -> None:
        if self.format.data not in PAL_BLOCKS:
            raise VerifyException(
                f"a PAL format must be one of {', '.join(PAL_BLOCKS)}, not {self.format.data!r}"
            )


@irdl_attr_definition
class BlocksAttr(ParametrizedAttribute):
    """``#pal.blocks<1>``: the encoding of a PAL tensor that names the axis cut into blocks."""

    name = "pal.blocks"

    axis: IntAttr

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            return (IntAttr(parser.parse_integer(allow_boolean=False)),)

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(str(self.axis.data))

    def verify(self) -> None:
        if self.axis.data < 0:
            raise VerifyException(f"the block axis must not be negative, not {self.axis.data}")


def packed_type(shape: Sequence[int], format: str, axis: int) -> TensorType[NumType]:
    """The type of a tensor of ``shape`` in a PAL format with blocks along ``axis`` (>= 0)."""
    return TensorType(NumType(StringAttr(format)), shape, BlocksAttr(IntAttr(axis)))


def is_packed(type: Attribute) -> bool:
    """Whether ``type`` is a tensor of PAL codes."""
    return isinstance(type, TensorType) and isinstance(type.element_type, NumType)


def block_axis(type: AnyTensorType) -> int:
    """The axis along which a packed tensor is cut into blocks. Raises VerifyException."""
    if not isinstance(type.element_type, NumType):
        raise VerifyException(f"a tensor of !pal.num is needed, not {type}")
    if not isinstance(type.encoding, BlocksAttr):
        raise VerifyException(f"a PAL tensor must name its block axis by #pal.blocks, not {type}")
    axis = type.encoding.axis.data
    if axis >= type.get_num_dims():
        raise VerifyException(f"block axis {axis} must be one of the axes of {type}")
    return axis


@irdl_op_definition
class EncodeOp(IRDLOperation):
    """A tensor in a PAL format; ``search`` scale steps are tried (default: the format's own)."""

    name = "pal.encode"

    input = operand_def(_TENSOR)
    search = opt_prop_def(IntegerAttr[I64])
    output = result_def(_TENSOR)

    traits = traits_def(Pure())
    assembly_format = "$input (`search` $search^)? attr-dict `:` type($input) `->` type($output)"

    def __init__(
        self, input: SSAValue | Operation, format: str, axis: int, search: int | None = None
    ) -> None:
        value = SSAValue.get(input, type=TensorType)
        super().__init__(
            operands=[value],
            properties={"search": None if search is None else IntegerAttr(search, i64)},
            result_types=[packed_type(value.type.get_shape(), format, axis)],
        )

    def verify_(self) -> None:
        _verify_recoded(unpacked=self.input.type, packed=self.output.type)
        if self.search is not None and self.search.value.data < 0:
            raise VerifyException(f"search must not be negative, not {self.search.value.data}")


@irdl_op_definition
class DecodeOp(IRDLOperation):
    """The values of a PAL tensor."""

    name = "pal.decode"

    input = operand_def(_TENSOR)
    output = result_def(_TENSOR)

    traits = traits_def(Pure())
    assembly_format = "$input attr-dict `:` type($input) `->` type($output)"

    def __init__(self, input: SSAValue | Operation, element: Attribute | None = None) -> None:
        value = SSAValue.get(input, type=TensorType)
        result = TensorType(element or Float32Type(), value.type.get_shape())
        super().__init__(operands=[value], result_types=[result])

    def verify_(self) -> None:
        _verify_recoded(unpacked=self.output.type, packed=self.input.type)


@irdl_op_definition
class MatmulOp(IRDLOperation):
    """a [.., M, K] times b [.., K, N] in PAL, blocks of both along K; the result is float32.

    ``exact`` asks for the integer datapath bit by bit, else decode and multiply in float32.
    """

    name = "pal.matmul"

    a = operand_def(_TENSOR)
    b = operand_def(_TENSOR)
    exact = opt_prop_def(UnitAttr)
    result = result_def(_TENSOR)

    traits = traits_def(Pure())
    assembly_format = (
        "(`exact` $exact^)? $a `,` $b attr-dict `:` type($a) `,` type($b) `->` type($result)"
    )

    def __init__(
        self, a: SSAValue | Operation, b: SSAValue | Operation, exact: bool = False
    ) -> None:
        left, right = SSAValue.get(a, type=TensorType), SSAValue.get(b, type=TensorType)
        shape = product_shape(left.type.get_shape(), right.type.get_shape())
        super().__init__(
            operands=[left, right],
            properties={"exact": UnitAttr() if exact else None},
            result_types=[TensorType(Float32Type(), shape)],
        )

    def verify_(self) -> None:
        a, b, result = (_tensor(v.type) for v in (self.a, self.b, self.result))
        shape = product_shape(a.get_shape(), b.get_shape())
        for name, type, contracted in (("a", a, -1), ("b", b, -2)):
            wanted = type.get_num_dims() + contracted
            if block_axis(type) != wanted:
                raise VerifyException(
                    f"{name} must be cut into blocks along its contracted axis {wanted}, "
                    f"not {block_axis(type)}"
                )
        if result.get_shape() != shape or not isinstance(result.element_type, Float32Type):
            raise VerifyException(
                f"the product is {TensorType(Float32Type(), shape)}, not {result}"
            )


def product_shape(a: Sequence[int], b: Sequence[int]) -> tuple[int, ...]:
    """The shape of a matrix product with broadcast batch axes. Raises VerifyException."""
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise VerifyException(
            f"matmul needs [.., M, K] x [.., K, N] with one K, not {list(a)} x {list(b)}"
        )
    batch: list[int] = []
    longest = max(len(a), len(b)) - 2
    for left, right in zip(
        (*[1] * (longest - len(a) + 2), *a[:-2]),
        (*[1] * (longest - len(b) + 2), *b[:-2]),
        strict=True,
    ):
        if left != right and 1 not in (left, right):
            raise VerifyException(f"batch axes of {list(a)} and {list(b)} do not broadcast")
        batch.append(right if left == 1 else left)
    return (*batch, a[-2], b[-1])


def _tensor(type: Attribute) -> AnyTensorType:
    if not isinstance(type, TensorType):
        raise VerifyException(f"a tensor is needed, not {type}")
    return type


def _verify_recoded(unpacked: Attribute, packed: Attribute) -> None:
    """The two sides of an encoding have one shape, and only one of them is in PAL."""
    plain, coded = _tensor(unpacked), _tensor(packed)
    block_axis(coded)
    if not isinstance(plain.element_type, AnyFloat):
        raise VerifyException(f"PAL codes stand for floating-point numbers, not {plain}")
    if plain.get_shape() != coded.get_shape():
        raise VerifyException(f"the two shapes must be equal, not those of {plain} and {coded}")
