"""Rewrites a block into the bands of its operations, in a given order."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xdsl.dialects import func
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ..dialects import graph, tile
from ..dialects.shapes import row_major
from ..dialects.tensor_ops import TensorOp, encode_field, window_dictionary
from ..dialects.types import dtype_of, shape_of, tensor_type
from .row_bands import RowOp, Span, row_axis

if TYPE_CHECKING:
    from .band_tasks import BandTasks


def write_bands(block: Block, cut: "BandTasks", order: Sequence[int]) -> None:
    """Let ``block`` compute its bands in ``order``; constants and matrices come first."""
    writer = _Writer(block, cut)
    for task in order:
        writer.band(task)
    writer.finish()


class _Writer:
    def __init__(self, block: Block, cut: "BandTasks") -> None:
        self.block, self.cut = block, cut
        self.terminator = block.last_op
        assert isinstance(self.terminator, func.ReturnOp)
        self.old = [op for op in block.ops if op is not self.terminator]
        #: By cut value, the pieces made so far: their span of the row axis, and their value.
        self.pieces: dict[SSAValue, dict[Span, SSAValue]] = {}
        self.parts: dict[tuple[SSAValue, Span], SSAValue] = {}
        self.left = {op: len(tasks) for op, tasks in cut.tasks_of.items()}
        for op in self.old:
            op.detach()
        for op in self.old:
            if isinstance(op, (graph.ConstantOp, tile.ProgramOp)):
                self._append(op)

    def _append(self, op: Operation) -> None:
        self.block.insert_op_before(op, self.terminator)  # type: ignore[arg-type]

    def _new(self, op: Operation, like: Operation) -> SSAValue:
        op.location = like.location
        self._append(op)
        return op.results[0]

    def band(self, task: int) -> None:
        """Write one band, or an operation that is not cut."""
        band = self.cut.bands[task]
        row_op = self.cut.by_rows.get(band.op)
        if row_op is None:
            band.op.operands = [self._whole(x) for x in band.op.operands]
            self._append(band.op)
            return
        ins = []
        for number, x in enumerate(band.op.operands):
            span = row_op.operand_span(number, band.first, band.end)
            ins.append(self._whole(x) if span is None else self._part(x, span))
        result = band.op.results[0]
        span = row_op.result_span(band.first, band.end)
        piece = self._new(self._piece(row_op, ins, span, band.first, band.end), band.op)
        self.pieces.setdefault(result, {})[span] = piece
        self.left[band.op] -= 1
        if not self.left[band.op] and "value" in band.op.attributes:
            self._whole(result)

    def _piece(
        self, row_op: RowOp, ins: list[SSAValue], span: Span, first: int, end: int
    ) -> Operation:
        op = row_op.op
        shape = _resized(op.results[0], span)
        type_ = tensor_type(shape, dtype_of(op.results[0]))
        properties: dict[str, Attribute] = dict(op.properties)
        if row_op.window is not None:
            window = window_dictionary(row_op.band_window(first, end))
            properties |= {"window": window} if isinstance(op, tile.MvmOp) else window.data
        if isinstance(op, tile.ViewOp):
            properties["strides"] = encode_field(row_major(shape), "ints")
        return type(op).create(
            operands=ins,
            result_types=[type_],
            properties=properties,
            regions=[region.clone() for region in op.regions],
        )

    def _whole(self, value: SSAValue) -> SSAValue:
        """``value``, put together where it was cut."""
        if value not in self.pieces:
            return value
        whole = self._part(value, (0, shape_of(value)[row_axis(value)]))
        assert isinstance(value.owner, Operation)
        if isinstance(whole.owner, TensorOp) and "value" in value.owner.attributes:
            whole.owner.attributes["value"] = value.owner.attributes["value"]
        return whole

    def _part(self, value: SSAValue, span: Span) -> SSAValue:
        """Elements ``span`` of the row axis of ``value``."""
        if value not in self.pieces:
            return self._slice(value, value, span)
        known = self.pieces[value].get(span)
        if known is not None:
            return known
        over = [s for s in sorted(self.pieces[value]) if s[0] < span[1] and s[1] > span[0]]
        joined = (over[0][0], over[-1][1])
        if len(over) == 1:
            whole = self.pieces[value][over[0]]
        elif (value, joined) in self.parts:
            whole = self.parts[value, joined]
        else:
            ins = [self.pieces[value][s] for s in over]
            new = tile.OPS["concat"].make(ins, axis=row_axis(value))
            whole = self.parts[value, joined] = self._new(new, value.owner)  # type: ignore[arg-type]
        return self._slice(value, whole, (span[0] - joined[0], span[1] - joined[0]))

    def _slice(self, value: SSAValue, whole: SSAValue, span: Span) -> SSAValue:
        axis, shape = row_axis(value), shape_of(whole)
        if span == (0, shape[axis]):
            return whole
        if (whole, span) not in self.parts:
            strides = row_major(shape)
            sized = (*shape[:axis], span[1] - span[0], *shape[axis + 1 :])
            new = tile.ViewOp.make([whole], sized, offset=span[0] * strides[axis], strides=strides)
            like = value.owner if isinstance(value.owner, Operation) else self.terminator
            self.parts[whole, span] = self._new(new, like)  # type: ignore[arg-type]
        return self.parts[whole, span]

    def finish(self) -> None:
        """Let the terminator return what was put together, and drop what was cut."""
        assert self.terminator is not None
        self.terminator.operands = [self._whole(x) for x in self.terminator.operands]
        for op in reversed(self.old):
            if op.parent is None:
                op.erase()


def _resized(value: SSAValue, span: Span) -> tuple[int, ...]:
    axis, shape = row_axis(value), shape_of(value)
    return (*shape[:axis], span[1] - span[0], *shape[axis + 1 :])
