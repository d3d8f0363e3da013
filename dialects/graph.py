"""The ``graph`` dialect: a closed set of operations on whole static tensors.

    op ::= `graph.constant` (weight | dense) `:` type
         | `graph.linear` x `,` weight (`,` bias)? `:` types
         | `graph.conv` x `,` weight (`,` bias)? fields `:` types
         | `graph.softmax` x `axis` int (`log`)? `:` type
         | `graph.norm` x (`scale` v)? (`bias` v)? fields `:` types
         | tensor-op            map reduce view pad concat gather scatter update resample
                                window contract cumulate argsort host: see tensor_ops.py
         | control-op           if loop: see control.py

A map body may use ``graph.remf`` beside arith and math (scalar.py).

``linear`` and ``conv`` take stationary weights: their weight operand must come from
``graph.constant``. A product of two computed tensors is ``graph.contract``.

    %w = graph.constant #graph.weight<"fc.weight"> : tensor<64x10xf32>
    %y = graph.linear(%x, %w) : (tensor<1x64xf32>, tensor<64x10xf32>) -> tensor<1x10xf32>
"""

from math import prod
from typing import ClassVar

from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    TensorType,
    UnitAttr,
    i1,
    i64,
)
from xdsl.ir import Attribute, Dialect, SSAValue
from xdsl.irdl import (
    AnyAttr,
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import ConstantLike, Pure
from xdsl.utils.exceptions import VerifyException

from .attributes import WeightAttr
from .control import control_ops
from .scalar import RemfOp
from .shapes import broadcast
from .tensor_ops import tensor_op, yield_op
from .types import dtype_of, shape_of

YieldOp = yield_op("graph")
MapOp = tensor_op("graph", "map", YieldOp)
ReduceOp = tensor_op("graph", "reduce", YieldOp)
ViewOp = tensor_op("graph", "view", YieldOp)
PadOp = tensor_op("graph", "pad", YieldOp)
ConcatOp = tensor_op("graph", "concat", YieldOp)
GatherOp = tensor_op("graph", "gather", YieldOp)
ScatterOp = tensor_op("graph", "scatter", YieldOp)
ResampleOp = tensor_op("graph", "resample", YieldOp)
WindowOp = tensor_op("graph", "window", YieldOp)
ContractOp = tensor_op("graph", "contract", YieldOp)
UpdateOp = tensor_op("graph", "update", YieldOp)
CumulateOp = tensor_op("graph", "cumulate", YieldOp)
ArgsortOp = tensor_op("graph", "argsort", YieldOp)
HostOp = tensor_op("graph", "host", YieldOp)
IfOp, LoopOp = control_ops("graph", YieldOp)


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A stored array: a name in the weight store, or the literal for at most 16 elements."""

    name = "graph.constant"
    value = prop_def(AnyAttr())
    result = result_def(TensorType)
    traits = traits_def(Pure(), ConstantLike())

    def __init__(self, value: WeightAttr | DenseIntOrFPElementsAttr, type_: Attribute) -> None:
        super().__init__(properties={"value": value}, result_types=[type_])

    def print(self, printer: Printer) -> None:
        printer.print_op_attributes(self.attributes)
        printer.print_string(" ")
        printer.print_attribute(self.value)
        if not isinstance(self.value, DenseIntOrFPElementsAttr):
            printer.print_string(" : ")
            printer.print_attribute(self.result.type)

    @classmethod
    def parse(cls, parser: Parser) -> "ConstantOp":
        attributes = parser.parse_optional_attr_dict()
        value = parser.parse_attribute()
        if isinstance(value, DenseIntOrFPElementsAttr):
            type_: Attribute = value.type
        else:
            parser.parse_punctuation(":")
            type_ = parser.parse_type()
        return cls.create(properties={"value": value}, result_types=[type_], attributes=attributes)

    def verify_(self) -> None:
        if isinstance(self.value, DenseIntOrFPElementsAttr):
            if self.value.type != self.result.type:
                raise VerifyException(
                    f"graph.constant holds {self.value.type}, declared {self.result.type}"
                )
        elif not isinstance(self.value, WeightAttr):
            raise VerifyException("graph.constant needs #graph.weight<...> or dense<...>")


def stationary(op: IRDLOperation, weight: SSAValue) -> ConstantOp:
    """The constant that ``weight`` comes from; VerifyException when it is computed."""
    owner = weight.owner
    if not isinstance(owner, ConstantOp):
        raise VerifyException(f"{op.name}: the weight must come from graph.constant")
    return owner


@irdl_op_definition
class LinearOp(IRDLOperation):
    """``y[..., n] = sum_k x[..., k] * weight[k, n] + bias[n]`` with stationary weights."""

    name = "graph.linear"
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "`(` $x `,` $weight (`,` $bias^)? `)` attr-dict `:` "
        "`(` type($x) `,` type($weight) (`,` type($bias)^)? `)` `->` type($result)"
    )

    def verify_(self) -> None:
        stationary(self, self.weight)
        x, w, y = shape_of(self.x), shape_of(self.weight), shape_of(self.result)
        if len(w) != 2 or not x or x[-1] != w[0]:
            raise VerifyException(f"graph.linear needs x [.., K] and weight [K, N], got {x}, {w}")
        if y != (*x[:-1], w[1]):
            raise VerifyException(f"graph.linear yields {(*x[:-1], w[1])}, declared {y}")
        _verify_bias(self, self.bias, w[1])


def _verify_bias(op: IRDLOperation, bias: SSAValue | None, channels: int) -> None:
    if bias is not None and shape_of(bias) != (channels,):
        raise VerifyException(f"{op.name}: bias must be [{channels}], got {list(shape_of(bias))}")


@irdl_op_definition
class ConvOp(IRDLOperation):
    """N-dimensional convolution with stationary weights, ONNX layout ``[N, C, spatial...]``.

    Weight is ``[O, C/groups, kernel...]``; transposed: ``[C, O/groups, kernel...]`` as in
    ONNX ConvTranspose, where ``low``/``high`` crop the full output (negative: extend it).
    """

    name = "graph.conv"
    x = operand_def(TensorType)
    weight = operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    strides = prop_def(DenseArrayBase.constr(i64))
    dilations = prop_def(DenseArrayBase.constr(i64))
    low = prop_def(DenseArrayBase.constr(i64))
    high = prop_def(DenseArrayBase.constr(i64))
    groups = prop_def(IntegerAttr.constr(i64))
    transposed = opt_prop_def(UnitAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = (
        "`(` $x `,` $weight (`,` $bias^)? `)` `strides` $strides `dilations` $dilations "
        "`low` $low `high` $high `groups` $groups (`transposed` $transposed^)? attr-dict `:` "
        "`(` type($x) `,` type($weight) (`,` type($bias)^)? `)` `->` type($result)"
    )

    _FIELDS: ClassVar = ("strides", "dilations", "low", "high")

    def expected_shape(self) -> tuple[int, ...]:
        """Result shape by the ONNX rule. Raises VerifyException when operands do not fit."""
        x, w = shape_of(self.x), shape_of(self.weight)
        rank = len(x) - 2
        fields = [tuple(getattr(self, name).get_values()) for name in self._FIELDS]
        groups = self.groups.value.data
        if rank < 1 or len(w) != rank + 2 or any(len(f) != rank for f in fields):
            raise VerifyException(f"graph.conv: x {x}, weight {w} and fields differ in rank")
        strides, dilations, low, high = fields
        channels = w[0] if self.transposed else w[1] * groups
        if x[1] != channels or w[0] % groups:
            raise VerifyException(
                f"graph.conv: {x[1]} channels do not fit weight {w} in {groups} groups"
            )
        spans = [d * (k - 1) + 1 for d, k in zip(dilations, w[2:], strict=True)]
        per_dim = zip(x[2:], spans, strides, low, high, strict=True)
        if self.transposed:
            out = [(n - 1) * s + span - lo - hi for n, span, s, lo, hi in per_dim]
            return (x[0], w[1] * groups, *out)
        return (x[0], w[0], *[(n + lo + hi - span) // s + 1 for n, span, s, lo, hi in per_dim])

    def verify_(self) -> None:
        stationary(self, self.weight)
        expected, declared = self.expected_shape(), shape_of(self.result)
        if expected != declared:
            raise VerifyException(f"graph.conv yields {expected}, declared {declared}")
        _verify_bias(self, self.bias, expected[1])


@irdl_op_definition
class SoftmaxOp(IRDLOperation):
    """Softmax along ``axis``, or its logarithm."""

    name = "graph.softmax"
    x = operand_def(TensorType)
    axis = prop_def(IntegerAttr.constr(i64))
    log = opt_prop_def(UnitAttr)
    result = result_def(TensorType)
    traits = traits_def(Pure())
    assembly_format = "$x `axis` $axis (`log` $log^)? attr-dict `:` type($x) `->` type($result)"

    def verify_(self) -> None:
        if self.x.type != self.result.type:
            raise VerifyException("graph.softmax keeps the type of its operand")
        if not 0 <= self.axis.value.data < len(shape_of(self.x)):
            raise VerifyException(f"graph.softmax: axis {self.axis.value.data} is out of range")


@irdl_op_definition
class NormOp(IRDLOperation):
    """Normalisation over ``axes``: ``(x - mean) / sqrt(var + eps) * scale + bias``.

    Without ``center`` the mean is not subtracted and the mean square stands for the variance
    (RMS normalisation). Scale and bias broadcast to x.
    """

    name = "graph.norm"
    x = operand_def(TensorType)
    scale = opt_operand_def(TensorType)
    bias = opt_operand_def(TensorType)
    axes = prop_def(DenseArrayBase.constr(i64))
    epsilon = prop_def(FloatAttr)
    center = prop_def(IntegerAttr.constr(i1))
    result = result_def(TensorType)
    traits = traits_def(Pure())
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    assembly_format = (
        "`(` $x `)` (`scale` $scale^ `:` type($scale))? (`bias` $bias^ `:` type($bias))? "
        "`axes` $axes `epsilon` $epsilon `center` $center attr-dict "
        "`:` type($x) `->` type($result)"
    )

    def verify_(self) -> None:
        if self.x.type != self.result.type:
            raise VerifyException("graph.norm keeps the type of its operand")
        shape = shape_of(self.x)
        axes = self.axes.get_values()
        if not axes or any(not 0 <= a < len(shape) for a in axes):
            raise VerifyException(f"graph.norm: axes {list(axes)} are not dims of {shape}")
        for extra in (self.scale, self.bias):
            if extra is not None:
                try:
                    same = broadcast([shape, shape_of(extra)]) == shape
                except ValueError:
                    same = False
                if not same or dtype_of(extra) != dtype_of(self.x):
                    raise VerifyException("graph.norm: scale and bias must broadcast to x")


def elements(value: SSAValue) -> int:
    """Number of elements of a tensor value."""
    return prod(shape_of(value))


TENSOR_OPS = (
    MapOp,
    ReduceOp,
    ViewOp,
    PadOp,
    ConcatOp,
    GatherOp,
    ScatterOp,
    UpdateOp,
    ResampleOp,
    WindowOp,
    ContractOp,
    CumulateOp,
    ArgsortOp,
    HostOp,
)

Graph = Dialect(
    "graph",
    [
        ConstantOp,
        LinearOp,
        ConvOp,
        SoftmaxOp,
        NormOp,
        IfOp,
        LoopOp,
        RemfOp,
        YieldOp,
        *TENSOR_OPS,
    ],
    [WeightAttr],
)
