"""Builds ``graph`` ops for one ONNX node at a time: what the op lowerings write with.

Every op gets the node's location. Constants are cached, so that the same scalar appears once.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    UnitAttr,
    f64,
    i1,
    i32,
    i64,
)
from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from ...dialects import graph
from ...dialects.attributes import WeightAttr, table_attr, table_of
from ...dialects.body import BodyBuilder
from ...dialects.kernel import Body
from ...dialects.shapes import broadcast, row_major
from ...dialects.types import dtype_of, element_name, is_literal, shape_of, tensor_type
from ..weights import Constant, WeightStore


class GraphBuilder:
    """Inserts graph ops before ``point`` with ``location``; stored arrays go to ``weights``."""

    def __init__(self, weights: WeightStore, point: InsertPoint, location: LocationAttr) -> None:
        self.weights = weights
        self.point = point
        self.location = location
        self.created: list[Operation] = []

    def at(self, point: InsertPoint) -> "GraphBuilder":
        """A builder for another point, whose ops count as this one's."""
        other = GraphBuilder(self.weights, point, self.location)
        other.created = self.created
        return other

    def insert(self, op: Operation) -> SSAValue:
        """Insert ``op`` here and return its first result."""
        op.location = self.location
        Rewriter.insert_op(op, self.point)
        self.created.append(op)
        return op.results[0]

    # constants

    def constant(self, array: np.ndarray, hint: str = "constant") -> SSAValue:
        """``array`` as a constant: a literal while it is small, else a name in the store."""
        array = np.asarray(array)
        type_ = tensor_type(array.shape, array.dtype)
        if is_literal(array):
            return self.insert(graph.ConstantOp(table_attr(array), type_))
        return self.stored(self.weights.add(hint, array))

    def stored(self, key: str) -> SSAValue:
        """The array stored under ``key``."""
        type_ = tensor_type(self.weights.shape(key), self.weights.dtype(key))
        return self.insert(graph.ConstantOp(WeightAttr.of(key), type_))

    def const_of(self, value: SSAValue | None) -> np.ndarray | None:
        """The array behind a constant value; None when it is computed (or absent)."""
        if value is None or not isinstance(value.owner, graph.ConstantOp):
            return None
        attr = value.owner.value
        if isinstance(attr, WeightAttr):
            return self.weights[attr.data]
        assert isinstance(attr, DenseIntOrFPElementsAttr)
        return table_of(attr)

    def is_constant(self, value: SSAValue | None) -> bool:
        """Whether ``value`` is a stored array (its bytes may be absent)."""
        return value is not None and isinstance(value.owner, graph.ConstantOp)

    def has_bytes(self, value: SSAValue | None) -> bool:
        """Whether ``value`` is a constant whose elements can be read."""
        if value is None or not isinstance(value.owner, graph.ConstantOp):
            return False
        attr = value.owner.value
        return not (isinstance(attr, WeightAttr) and self.weights.is_absent(attr.data))

    def derived(self, value: SSAValue, array: Constant, suffix: str) -> SSAValue:
        """A constant derived from constant ``value``, stored under its name plus ``suffix``."""
        assert isinstance(value.owner, graph.ConstantOp)
        attr = value.owner.value
        base = attr.data if isinstance(attr, WeightAttr) else "constant"
        return self.stored(self.weights.add(f"{base}.{suffix}", array))

    def fill(self, value: float | int, shape: Sequence[int], dtype: np.dtype) -> SSAValue:
        """A tensor of equal elements, made while running."""
        name = element_name(dtype)
        b = BodyBuilder()
        return self.map(
            [], b.finish(b.unsigned(b.const(value, name.removeprefix("u")), name)), shape
        )

    # element-wise

    def map(
        self, ins: Sequence[SSAValue], body: Body, shape: Sequence[int] | None = None
    ) -> SSAValue:
        """An element-wise op; ``shape`` only when it is wider than the operands' broadcast."""
        return self.insert(graph.MapOp.make(ins, shape, body=body))

    def body(self, *ins: SSAValue) -> BodyBuilder:
        """A body builder whose inputs have the element types of ``ins``."""
        return BodyBuilder(*[element_name(dtype_of(x)) for x in ins])

    def unary(self, name: str, x: SSAValue) -> SSAValue:
        """A math or arith op of one operand that keeps the type."""
        b = self.body(x)
        return self.map([x], b.finish(b.unary(name, 0)))

    def binary(self, name: str, x: SSAValue, y: SSAValue) -> SSAValue:
        """``add``, ``sub``, ``mul`` or a type-keeping op name, broadcasting."""
        b = self.body(x, y)
        method = {"add": b.add, "sub": b.sub, "mul": b.mul}.get(name)
        return self.map([x, y], b.finish(method(0, 1) if method else b.binary(name, 0, 1)))

    def cast(self, x: SSAValue, dtype: np.dtype) -> SSAValue:
        """Conversion to ``dtype``; ``x`` itself when it has that type."""
        if dtype_of(x) == dtype:
            return x
        b = self.body(x)
        return self.map([x], b.finish(b.cast(0, element_name(dtype))))

    # movement

    def view(
        self, x: SSAValue, shape: Sequence[int], strides: Sequence[int], offset: int = 0
    ) -> SSAValue:
        """Strided view of row-major ``x``, in elements."""
        return self.insert(graph.ViewOp.make([x], tuple(shape), offset=offset, strides=strides))

    def reshape(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        """The same elements in another shape; ``x`` itself when the shape is its own."""
        if shape_of(x) == tuple(shape):
            return x
        assert prod(shape_of(x)) == prod(shape), f"{shape_of(x)} -> {shape}"
        return self.view(x, shape, row_major(tuple(shape)))

    def transpose(self, x: SSAValue, perm: Sequence[int]) -> SSAValue:
        """Dims of the result in the order ``perm`` of the operand's."""
        if list(perm) == list(range(len(perm))):
            return x
        shape = shape_of(x)
        strides = row_major(shape)
        return self.view(x, [shape[p] for p in perm], [strides[p] for p in perm])

    def expand(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        """Broadcast to ``shape`` (numpy rules; dims of 1 in ``shape`` keep the operand's)."""
        old = shape_of(x)
        full = broadcast([old, tuple(shape)])
        if full == old:
            return x
        padded = (1,) * (len(full) - len(old)) + old
        own = (0,) * (len(full) - len(old)) + row_major(old)
        strides = [0 if n == 1 else s for n, s in zip(padded, own, strict=True)]
        return self.view(x, full, strides)

    def slice(
        self, x: SSAValue, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]
    ) -> SSAValue:
        """``sizes`` elements from ``starts`` by ``steps``, one entry a dim (steps may be < 0)."""
        own = row_major(shape_of(x))
        offset = sum(s * o for s, o in zip(starts, own, strict=True))
        if prod(sizes) == 0:
            offset = 0
        return self.view(x, sizes, [s * o for s, o in zip(steps, own, strict=True)], offset)

    def slice_axis(self, x: SSAValue, axis: int, start: int, size: int) -> SSAValue:
        """``size`` elements along one axis."""
        shape = list(shape_of(x))
        starts = [0] * len(shape)
        starts[axis], shape[axis] = start, size
        return self.slice(x, starts, shape, [1] * len(shape))

    def pad(
        self,
        x: SSAValue,
        low: Sequence[int],
        high: Sequence[int],
        *,
        interior: Sequence[int] | None = None,
        mode: str = "constant",
        value: float = 0.0,
    ) -> SSAValue:
        """See the kernel table; negative amounts crop."""
        between = tuple(interior) if interior is not None else (0,) * len(low)
        if not (any(low) or any(high) or any(between)):
            return x
        op = graph.PadOp.make([x], low=low, high=high, interior=between, mode=mode, value=value)
        return self.insert(op)

    def concat(self, ins: Sequence[SSAValue], axis: int) -> SSAValue:
        return ins[0] if len(ins) == 1 else self.insert(graph.ConcatOp.make(ins, axis=axis))

    # whole-tensor

    def reduce(
        self,
        x: SSAValue,
        kind: str,
        axes: Sequence[int],
        *,
        keepdims: bool = False,
        select_last: bool = False,
    ) -> SSAValue:
        return self.insert(
            graph.ReduceOp.make(
                [x], kind=kind, axes=tuple(axes), keepdims=keepdims, select_last=select_last
            )
        )

    def contract(self, a: SSAValue, b: SSAValue) -> SSAValue:
        """``numpy.matmul`` of two computed tensors of rank 2 or more."""
        return self.insert(graph.ContractOp.make([a, b]))

    def linear(self, x: SSAValue, weight: SSAValue, bias: SSAValue | None = None) -> SSAValue:
        """x [.., K] times a constant [K, N], plus a bias [N]."""
        shape = (*shape_of(x)[:-1], shape_of(weight)[1])
        operands = [x, weight] if bias is None else [x, weight, bias]
        type_ = tensor_type(shape, dtype_of(x))
        return self.insert(graph.LinearOp.create(operands=operands, result_types=[type_]))

    def conv(
        self,
        x: SSAValue,
        weight: SSAValue,
        bias: SSAValue | None,
        out_shape: Sequence[int],
        *,
        strides: Sequence[int],
        dilations: Sequence[int],
        low: Sequence[int],
        high: Sequence[int],
        groups: int,
        transposed: bool = False,
    ) -> SSAValue:
        """Convolution with constant weights; ``out_shape`` by the ONNX rule."""
        fields = {"strides": strides, "dilations": dilations, "low": low, "high": high}
        op = graph.ConvOp.create(
            operands=[x, weight] if bias is None else [x, weight, bias],
            result_types=[tensor_type(out_shape, dtype_of(x))],
            properties={
                **{k: DenseArrayBase.from_list(i64, list(v)) for k, v in fields.items()},
                "groups": IntegerAttr(groups, 64),
                **({"transposed": UnitAttr()} if transposed else {}),
            },
        )
        return self.insert(op)

    def softmax(self, x: SSAValue, axis: int, *, log: bool = False) -> SSAValue:
        properties = {"axis": IntegerAttr(axis, 64), **({"log": UnitAttr()} if log else {})}
        op = graph.SoftmaxOp.create(operands=[x], result_types=[x.type], properties=properties)
        return self.insert(op)

    def norm(
        self,
        x: SSAValue,
        axes: Sequence[int],
        epsilon: float,
        *,
        center: bool = True,
        scale: SSAValue | None = None,
        bias: SSAValue | None = None,
    ) -> SSAValue:
        """Layer (``center``) or RMS normalisation over ``axes``; scale and bias broadcast to x."""
        sizes = DenseArrayBase.from_list(i32, [1, int(scale is not None), int(bias is not None)])
        op = graph.NormOp.create(
            operands=[v for v in (x, scale, bias) if v is not None],
            result_types=[x.type],
            properties={
                "axes": DenseArrayBase.from_list(i64, list(axes)),
                "epsilon": FloatAttr(epsilon, f64),
                "center": IntegerAttr(int(center), i1),
                "operandSegmentSizes": sizes,
            },
        )
        return self.insert(op)

    def gather(
        self,
        data: SSAValue,
        indices: SSAValue,
        *,
        mode: str = "axis",
        axis: int = 0,
        batch_dims: int = 0,
    ) -> SSAValue:
        return self.insert(
            graph.GatherOp.make([data, indices], mode=mode, axis=axis, batch_dims=batch_dims)
        )

    def scatter(
        self,
        data: SSAValue,
        indices: SSAValue,
        updates: SSAValue,
        *,
        mode: str,
        axis: int = 0,
        reduction: str = "none",
    ) -> SSAValue:
        ins = [data, indices, updates]
        return self.insert(graph.ScatterOp.make(ins, mode=mode, axis=axis, reduction=reduction))

    def update(self, data: SSAValue, index: SSAValue, part: SSAValue) -> SSAValue:
        """``data`` [N, ..] with row ``index`` replaced by ``part``."""
        return self.insert(graph.UpdateOp.make([data, index, part]))

    def resample(self, x: SSAValue, axis: int, indices: SSAValue, weights: SSAValue) -> SSAValue:
        """Weighted taps along ``axis``: indices int64 and weights float32, [out, taps]."""
        return self.insert(graph.ResampleOp.make([x, indices, weights], axis=axis))

    def window(
        self,
        ins: Sequence[SSAValue],
        out_shape: Sequence[int],
        *,
        kind: str,
        kernel: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
        low: Sequence[int],
        high: Sequence[int],
        groups: int = 1,
        count_include_pad: bool = False,
    ) -> SSAValue:
        """Pooling (``max``, ``mean``) or a direct convolution with computed weights (``dot``)."""
        op = graph.WindowOp.make(
            ins,
            tuple(out_shape),
            kind=kind,
            kernel=kernel,
            strides=strides,
            dilations=dilations,
            low=low,
            high=high,
            groups=groups,
            count_include_pad=count_include_pad,
        )
        return self.insert(op)

    def cumulate(
        self, x: SSAValue, kind: str, axis: int, *, exclusive: bool = False, reverse: bool = False
    ) -> SSAValue:
        return self.insert(
            graph.CumulateOp.make([x], kind=kind, axis=axis, exclusive=exclusive, reverse=reverse)
        )

    def argsort(self, x: SSAValue, axis: int, count: int, *, descending: bool = False) -> SSAValue:
        """int64 positions of the first ``count`` elements in order along ``axis``."""
        op = graph.ArgsortOp.make([x], axis=axis, count=count, descending=descending)
        return self.insert(op)
