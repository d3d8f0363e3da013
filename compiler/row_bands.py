"""Which operations of a block can be computed band of rows after band of rows, and from what.

A feature map with its channels last, [1, H, W, C], is H rows one after another in memory, and so is
every matrix [P, K] of positions made of it. A row of a result needs a range of rows of each
operand: the same rows, those under a window, or all of an operand that has none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from xdsl.ir import Block, Operation, SSAValue

from ..dialects import tile
from ..dialects.shapes import window_positions
from ..dialects.tensor_ops import TensorOp, window_attrs
from ..dialects.types import shape_of
from .placement.bufferize import renamed_offset
from .placement.stream import band_bounds

#: A range of elements along the row axis of a value.
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RowOp:
    """An operation of ``rows`` rows; its operands with ``sliced`` set are read by rows.

    ``window`` are the fields of the window through which it reads them, if it does.
    """

    op: Operation
    rows: int
    sliced: tuple[bool, ...]
    window: dict[str, Any] | None = None

    def result_span(self, first: int, end: int) -> Span:
        """Elements of the row axis of the result that rows ``first .. end`` are."""
        return _scaled(self.op.results[0], self.rows, first, end)

    def operand_span(self, operand: int, first: int, end: int) -> Span | None:
        """What rows ``first .. end`` need of an operand; None: all of it."""
        if not self.sliced[operand]:
            return None
        if self.window is None:
            return _scaled(self.op.operands[operand], self.rows, first, end)
        low, high = _window_span(self.window, first, end)
        size = shape_of(self.op.operands[operand])[1]
        return max(low, 0), min(high, size)

    def band_window(self, first: int, end: int) -> dict[str, Any]:
        """The window, padded along its rows as the one that makes rows ``first .. end`` alone."""
        assert self.window is not None
        attrs, size = self.window, shape_of(self.op.operands[self.sliced.index(True)])[1]
        low, high = _window_span(attrs, first, end)
        # A last window that hangs over the padding (ceil mode) has no more of it than it had.
        pads = max(-low, 0), max(min(high, size + attrs["high"][0]) - size, 0)
        return attrs | {
            name: (pad, *attrs[name][1:]) for name, pad in zip(("low", "high"), pads, strict=True)
        }


def row_axis(value: SSAValue) -> int:
    """The first axis that is longer than 1; 0 where there is none."""
    return next((axis for axis, n in enumerate(shape_of(value)) if n > 1), 0)


def row_ops(block: Block) -> dict[Operation, RowOp]:
    """The operations of ``block`` that windows over feature maps begin and that go on by rows."""
    found: dict[Operation, RowOp] = {}
    rows: dict[SSAValue, int] = {}
    for op in block.ops:
        row_op = _row_op(op, rows)
        if row_op is not None and row_op.rows > 1 and _divides(op.results[0], row_op.rows):
            found[op] = row_op
            rows[op.results[0]] = row_op.rows
    return found


#: By operation, the rows ``first .. end`` of each of its bands.
Cuts = dict[Operation, list[Span]]


def even_cuts(by_rows: Mapping[Operation, RowOp], bands: int) -> Cuts:
    """Each operation in bands of nearly as many rows."""
    return {op: band_bounds(row_op.rows, bands) for op, row_op in by_rows.items()}


def _row_op(op: Operation, rows: dict[SSAValue, int]) -> RowOp | None:
    if isinstance(op, tile.MvmOp):
        if op.window is not None:
            return _window_rows(op, 1, window_attrs(op.window))
        count = rows.get(op.x, 0) if len(shape_of(op.x)) == 2 else 0
        return RowOp(op, count, (False, True)) if count else None
    if not isinstance(op, TensorOp) or len(op.results) != 1:
        return None
    match op.KIND:
        case "window":
            return _window_rows(op, 0, op.attrs)
        case "view":
            count = rows.get(op.operands[0], 0)
            same = prod(shape_of(op.operands[0])) == prod(shape_of(op.results[0]))
            whole = renamed_offset(op) == 0 and same
            return RowOp(op, count, (True,)) if count and whole else None
        case "map" | "concat" | "reduce":
            return _same_rows(op, rows)
    return None


def _window_rows(op: Operation, operand: int, attrs: dict[str, Any]) -> RowOp | None:
    """A window, or a product of its rows, which moves over ``operand``."""
    x = shape_of(op.operands[operand])
    plain = attrs["channels_last"] and x[0] == 1 and attrs["low"][0] >= 0 <= attrs["high"][0]
    if not plain or (attrs["kind"] == "im2col" and attrs["groups"] > 1):
        return None
    names = ("kernel", "strides", "dilations", "low", "high")
    count = window_positions(x[1], *(attrs[name][0] for name in names))
    if attrs["kind"] != "im2col":
        count = shape_of(op.results[0])[1]
    sliced = tuple(number == operand for number in range(len(op.operands)))
    row_op = RowOp(op, count, sliced, attrs)
    # Every row must see something of the input: a window may lie in the padding alone.
    spans = [row_op.operand_span(operand, row, row + 1) for row in (0, count - 1) if count]
    return row_op if all(span is not None and span[0] < span[1] for span in spans) else None


def _same_rows(op: TensorOp, rows: dict[SSAValue, int]) -> RowOp | None:
    """Operations whose result has the rows of its operands, those that are not broadcast."""
    result = op.results[0]
    axis, shape = row_axis(result), shape_of(result)
    counts = {rows[x] for x in op.operands if x in rows and row_axis(x) == axis}
    if len(counts) != 1 or not shape:
        return None
    if op.KIND == "concat" and op.attrs["axis"] <= axis:
        return None
    if op.KIND == "reduce" and (not op.attrs["keepdims"] or min(op.attrs["axes"]) <= axis):
        return None
    sliced = []
    for x in op.operands:
        own = (1,) * (len(shape) - len(shape_of(x))) + shape_of(x)
        if own[axis] not in (1, shape[axis]) or prod(own[:axis]) > 1:
            return None
        sliced.append(own[axis] > 1)
    return RowOp(op, counts.pop(), tuple(sliced))


def _divides(value: SSAValue, rows: int) -> bool:
    shape = shape_of(value)
    return bool(shape) and shape[row_axis(value)] % rows == 0


def _scaled(value: SSAValue, rows: int, first: int, end: int) -> Span:
    each = shape_of(value)[row_axis(value)] // rows
    return first * each, end * each


def _window_span(attrs: dict[str, Sequence[int]], first: int, end: int) -> Span:
    """Rows of the input under the windows of rows ``first .. end``, padding included."""
    kernel, stride, dilation, low = (
        attrs[name][0] for name in ("kernel", "strides", "dilations", "low")
    )
    return first * stride - low, (end - 1) * stride + (kernel - 1) * dilation + 1 - low
