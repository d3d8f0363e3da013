"""Builds ``tile`` ops for one ``graph`` op at a time: what the conversion to tile writes with.

Every op gets the location of the op it stands for. A stored matrix is programmed once per function
and shared; flattened operands and constants are shared alike.
"""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, LocationAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from ..dialects import graph, tile
from ..dialects.attributes import WeightAttr, node_names
from ..dialects.body import BodyBuilder
from ..dialects.kernel import Body
from ..dialects.shapes import row_major
from ..dialects.types import (
    LITERAL_ELEMENTS,
    dense_array,
    dense_attr,
    dtype_of,
    element_name,
    is_literal,
    shape_of,
    tensor_type,
)
from .strided import Strided
from .weights import Constant, Deferred, WeightStore

Rearrange = Callable[[np.ndarray], np.ndarray]


class ProgrammedMatrices:
    """The matrices of a function by array and layout, programmed in its ``main`` block."""

    def __init__(self, main: Block) -> None:
        self.main = main
        self._found: dict[tuple[object, str], SSAValue] = {}

    def get(
        self, key: tuple[object, str], point: InsertPoint, make: Callable[[], tile.ProgramOp]
    ) -> SSAValue:
        """The crossbar of ``key``, made now where there is none, and ready to use at ``point``."""
        found = self._found.get(key)
        if found is None:
            op: Operation = make()
            Rewriter.insert_op(op, self._before(point))
            found = self._found[key] = op.results[0]
        elif point.block is not self.main:  # which is walked in order
            self._bring_before(found, self._before(point))
        return found

    @staticmethod
    def _bring_before(crossbar: SSAValue, point: InsertPoint) -> None:
        op, user = crossbar.owner, point.insert_before
        assert isinstance(op, Operation)
        assert user is not None
        if not op.is_before_in_block(user):
            op.detach()
            Rewriter.insert_op(op, point)

    def _before(self, point: InsertPoint) -> InsertPoint:
        """``point``, or where control flow begins in the main block that it lies in."""
        if point.block is self.main:
            return point
        owner = point.block.parent_op()
        while owner is not None and owner.parent is not self.main:
            owner = owner.parent_op()
        assert owner is not None
        return InsertPoint.before(owner)


class TileBuilder:
    """Inserts tile ops before ``point`` with ``location``; stored arrays go to ``weights``."""

    def __init__(
        self,
        weights: WeightStore,
        point: InsertPoint,
        location: LocationAttr,
        programs: ProgrammedMatrices,
    ) -> None:
        self.weights = weights
        self.point = point
        self.location = location
        self._programs = programs
        self._arrays: dict[tuple[object, str], SSAValue] = {}
        self._flat: dict[tuple[SSAValue, tuple[int, ...]], SSAValue] = {}

    def start(self, op: Operation) -> None:
        """Insert before ``op`` from now on, with its location."""
        self.point = InsertPoint.before(op)
        self.location = op.location

    def place(self, op: Operation) -> None:
        """Insert ``op`` here."""
        op.location = self.location
        Rewriter.insert_op(op, self.point)

    def insert(self, op: Operation) -> SSAValue:
        """Insert ``op`` here and return its first result."""
        self.place(op)
        return op.results[0]

    # stored arrays

    def stored(self, constant: graph.ConstantOp) -> Constant:
        """The array behind a constant; an absent one when the store does not know its name."""
        attr = constant.value
        if isinstance(attr, DenseIntOrFPElementsAttr):
            return dense_array(attr)
        assert isinstance(attr, WeightAttr)
        if attr.data in self.weights:
            return self.weights.entry(attr.data)
        return Deferred(shape_of(constant.result), dtype_of(constant.result))

    def matrix(
        self,
        constant: graph.ConstantOp,
        shape: tuple[int, int, int],
        rearrange: Rearrange,
        layout: str,
    ) -> SSAValue:
        """The crossbar that holds ``rearrange(constant)`` of ``shape`` [groups, rows, cols].

        ``layout`` names the rearrangement, so that equal ones share a crossbar.
        """

        def make() -> tile.ProgramOp:
            array = _rearranged(self.stored(constant), shape, rearrange)
            name = self.weights.add(f"{self._name(constant)}.{layout}", array)
            op = tile.ProgramOp(WeightAttr.of(name), tile.CrossbarType.of(*shape))
            op.location = self.location
            return op

        return self._programs.get((constant.value, layout), self.point, make)

    def rearranged(
        self,
        constant: graph.ConstantOp,
        shape: Sequence[int],
        rearrange: Rearrange,
        layout: str,
    ) -> SSAValue:
        """``rearrange(constant)`` of ``shape`` as a constant of its own."""
        key = (constant.value, layout)
        if key not in self._arrays:
            source = self.stored(constant)
            array = _rearranged(source, tuple(shape), rearrange)
            type_ = tensor_type(shape, array.dtype)
            value: WeightAttr | DenseIntOrFPElementsAttr
            if isinstance(array, np.ndarray) and is_literal(array):
                value = dense_attr(array)
            else:
                value = WeightAttr.of(self.weights.add(f"{self._name(constant)}.{layout}", array))
            self._arrays[key] = self.insert(graph.ConstantOp(value, type_))
        return self._arrays[key]

    def _name(self, constant: graph.ConstantOp) -> str:
        if isinstance(constant.value, WeightAttr):
            return constant.value.data
        return next(iter(node_names(constant)), "constant")

    # element-wise

    def body(self, *ins: SSAValue) -> BodyBuilder:
        """A body builder whose inputs have the element types of ``ins``."""
        return BodyBuilder(*[element_name(dtype_of(x)) for x in ins])

    def map(self, ins: Sequence[SSAValue], body: Body) -> SSAValue:
        return self.insert(tile.MapOp.make(ins, body=body))

    def add(self, x: SSAValue, y: SSAValue) -> SSAValue:
        """``x + y``, broadcasting."""
        b = self.body(x, y)
        return self.map([x, y], b.finish(b.add(0, 1)))

    # movement

    def view(self, x: SSAValue, view: Strided) -> SSAValue:
        """``view`` of ``x``; ``x`` itself when it is the whole of it."""
        if view.is_whole(shape_of(x)):
            return x
        op = tile.ViewOp.make([x], view.shape, offset=view.offset, strides=view.strides)
        return self.insert(op)

    def reshape(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        """The same elements in another shape; made once for each value and shape."""
        assert prod(shape_of(x)) == prod(shape), f"{shape_of(x)} -> {shape}"
        key = (x, tuple(shape))
        if key not in self._flat:
            self._flat[key] = self.view(x, Strided(tuple(shape), row_major(tuple(shape))))
        return self._flat[key]

    def pad(
        self, x: SSAValue, low: Sequence[int], high: Sequence[int], interior: Sequence[int]
    ) -> SSAValue:
        """Zeros before, after and between elements; negative amounts crop."""
        if not (any(low) or any(high) or any(interior)):
            return x
        return self.insert(tile.OPS["pad"].make([x], low=low, high=high, interior=interior))

    # whole-tensor

    def reduce(self, x: SSAValue, kind: str, axes: Sequence[int]) -> SSAValue:
        """A reduction that keeps its axes with size 1."""
        return self.insert(tile.ReduceOp.make([x], kind=kind, axes=tuple(axes), keepdims=True))

    def contract(self, a: SSAValue, b: SSAValue) -> SSAValue:
        return self.insert(tile.ContractOp.make([a, b]))

    def mvm(self, crossbar: SSAValue, x: SSAValue) -> SSAValue:
        """Rows of ``x`` times the matrix in ``crossbar``; elements keep the type of ``x``."""
        assert isinstance(crossbar.type, tile.CrossbarType)
        type_ = tensor_type((*shape_of(x)[:-1], crossbar.type.shape[2]), dtype_of(x))
        return self.insert(tile.MvmOp.create(operands=[crossbar, x], result_types=[type_]))


def _rearranged(source: Constant, shape: tuple[int, ...], rearrange: Rearrange) -> Constant:
    """A view where ``rearrange`` makes one, else a computation that runs when it is needed."""
    if isinstance(source, np.ndarray):
        array = rearrange(source)
        if np.may_share_memory(array, source) or array.size <= LITERAL_ELEMENTS:
            return array
        return Deferred(shape, source.dtype, lambda: rearrange(source))
    if source.make is None:
        return Deferred(shape, source.dtype)
    make = source.make
    return Deferred(shape, source.dtype, lambda: rearrange(make()))
