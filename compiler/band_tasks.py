"""The bands of a block as tasks to schedule: what each takes, needs, and keeps in memory."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from xdsl.dialects import func
from xdsl.ir import Block, Operation, SSAValue

from ..dialects import graph, tile
from ..dialects.place import BufferType
from .copies import Uses, choose_copies, spare_arrays
from .cost import digital_latency_s, digital_time_s, product_times, search_latency_s
from .placement.bufferize import renamed_offset
from .placement.buffers import live_peak_bytes
from .placement.stream import StreamTask
from .row_bands import Cuts, RowOp

if TYPE_CHECKING:
    from ..backends.targets import MemcapTarget

_VECTOR, _HOST = 0, 1
_FIRST_SEQUENCER = 2
_UNCUT = [(0, 1)]


@dataclass(frozen=True, slots=True)
class Band:
    """Rows ``first .. end`` of ``op``; a whole operation has one band of rows 0 .. 1."""

    op: Operation
    first: int
    end: int


class Arrays:
    """What scheduling must know of a target's arrays before anything is placed on them."""

    def __init__(self, block: Block, target: "MemcapTarget", most_copies: int = 0) -> None:
        self.target, self.most_copies = target, most_copies
        self.programs = [op for op in block.ops if isinstance(op, tile.ProgramOp)]
        self._spare = spare_arrays(self.programs, target)
        self._rest_s = digital_time_s(block.ops, target)

    @property
    def fit(self) -> bool:
        """Whether all matrices fit the arrays at once."""
        return self._spare >= 0

    def copies(self, uses: Mapping[tile.ProgramOp, Uses]) -> dict[tile.ProgramOp, int]:
        """The copies that ``replicate-matrices`` will make for such ``uses``."""
        return choose_copies(uses, self._spare, self._rest_s, self.target, most=self.most_copies)

    def seats(self, copies: Mapping[tile.ProgramOp, int]) -> dict[tile.ProgramOp, tuple[int, int]]:
        """The unit of each matrix and the arrays before it: arrays fill layer by layer, and the
        sequencers of a layer are dealt in turn."""
        plane = self.target.stack.grid_rows * self.target.stack.grid_cols
        each = self.target.controller.sequencers_per_layer
        seats: dict[tile.ProgramOp, tuple[int, int]] = {}
        dealt: dict[int, int] = {}
        arrays = 0
        for op in self.programs:
            layer = arrays // plane
            turn = dealt[layer] = dealt.get(layer, -1) + 1
            seats[op] = (_FIRST_SEQUENCER + layer * each + turn % each, arrays)
            arrays += len(op.tile_table) * copies.get(op, 1)
        return seats


class BandTasks:
    """The tasks of ``block`` with the operations ``by_rows`` in bands, as ``cuts`` says."""

    def __init__(
        self, block: Block, by_rows: Mapping[Operation, RowOp], cuts: Cuts, arrays: Arrays
    ) -> None:
        self.by_rows, self.target = by_rows, arrays.target
        self._copies = arrays.copies(_uses_of(block, by_rows, cuts))
        self._seats = arrays.seats(self._copies)
        self.bands: list[Band] = []
        self.tasks: list[StreamTask] = []
        self.tasks_of: dict[Operation, range] = {}
        for op in block.ops:
            if isinstance(op, (graph.ConstantOp, tile.ProgramOp, func.ReturnOp)):
                continue
            row_op, first = by_rows.get(op), len(self.bands)
            for begin, end in cuts.get(op, _UNCUT):
                band = Band(op, begin, end)
                self.bands.append(band)
                self.tasks.append(self._task(band, row_op))
            self.tasks_of[op] = range(first, len(self.bands))

    def _task(self, band: Band, row_op: RowOp | None) -> StreamTask:
        op, needs = band.op, self._needs(band, row_op)
        key = (1.0 if row_op is None else band.end / row_op.rows, len(self.tasks_of))
        if renamed_offset(op) is not None:
            return StreamTask(None, 0.0, needs, key)
        share = 1.0 if row_op is None else (band.end - band.first) / row_op.rows
        if not isinstance(op, tile.MvmOp):
            unit = _HOST if isinstance(op, tile.HostOp) else _VECTOR
            return StreamTask(unit, digital_latency_s(op, self.target) * share, needs, key)
        program, positions = _product(op, row_op, band.first, band.end)
        (unit, before), copies = self._seats[program], self._copies.get(program, 1)
        times = product_times(program, positions, copies, self.target, before)
        return StreamTask(
            unit,
            times.total_s,
            needs,
            key,
            search_latency_s(program, positions, self.target),
            times.drive_s + times.inputs_s,
            times.sums_s + times.accumulate_s,
        )

    def _needs(self, band: Band, row_op: RowOp | None) -> list[int]:
        """The tasks that make what a band reads."""
        needs: list[int] = []
        for number, value in enumerate(band.op.operands):
            tasks = self.tasks_of.get(value.owner)  # type: ignore[arg-type]
            if tasks is None:
                continue
            span = None if row_op is None else row_op.operand_span(number, band.first, band.end)
            needs += tasks if span is None else self._makers(value, tasks, *span)
        return needs

    def _makers(self, value: SSAValue, tasks: range, first: int, end: int) -> list[int]:
        """Those of ``tasks`` that make elements ``first .. end`` of the row axis of ``value``."""
        maker = self.by_rows.get(value.owner)  # type: ignore[arg-type]
        if maker is None:
            return list(tasks)
        spans = [maker.result_span(self.bands[t].first, self.bands[t].end) for t in tasks]
        return [t for t, (a, b) in zip(tasks, spans, strict=True) if a < end and b > first]

    def live_bytes(self, order: Iterable[int]) -> int:
        """Bytes of results alive together.

        Pieces of a value that somebody reads several of lie side by side and live as one.
        """
        at = {task: time for time, task in enumerate(order)}
        ends, together = self._readers(at)
        sizes, first, last = [], [], []
        for op, tasks in self.tasks_of.items():
            if renamed_offset(op) is not None:
                continue
            nbytes = sum(BufferType.of(value.type).nbytes for value in op.results)
            groups = [list(tasks)] if op in together else [[task] for task in tasks]
            for group in groups:
                sizes.append(nbytes * len(group) // len(tasks))
                first.append(min(at[task] for task in group))
                last.append(max(ends.get(task, at[task]) for task in group))
        return live_peak_bytes(np.array(sizes), np.array(first), np.array(last))

    def _readers(self, at: Mapping[int, int]) -> tuple[dict[int, int], set[Operation]]:
        """When each task's result is read last, and the operations whose pieces are read together.

        What renames a result reads nothing, but its readers do.
        """
        made: list[set[int]] = []
        ends: dict[int, int] = {}
        together: set[Operation] = set()
        for task, band in enumerate(self.bands):
            read = set().union(*(made[need] for need in self.tasks[task].needs))
            counts = Counter(self.bands[source].op for source in read)
            together.update(op for op, count in counts.items() if count > 1)
            renames = renamed_offset(band.op) is not None
            for source in read:
                ends[source] = max(ends.get(source, 0), at[task])
            made.append(read if renames else {task})
        return ends, together


def _uses_of(
    block: Block, by_rows: Mapping[Operation, RowOp], cuts: Cuts
) -> dict[tile.ProgramOp, dict[int, int]]:
    """How often so many positions are driven through each matrix, where products are cut."""
    uses: dict[tile.ProgramOp, dict[int, int]] = {}
    for op in block.ops:
        if isinstance(op, tile.MvmOp):
            for first, end in cuts.get(op, _UNCUT):
                program, positions = _product(op, by_rows.get(op), first, end)
                runs = uses.setdefault(program, {})
                runs[positions] = runs.get(positions, 0) + 1
    return uses


def _product(
    op: tile.MvmOp, row_op: RowOp | None, first: int, end: int
) -> tuple[tile.ProgramOp, int]:
    """The matrix of a product, and the positions of a band of it."""
    program = op.crossbar.owner
    assert isinstance(program, tile.ProgramOp)
    positions = op.positions
    if row_op is not None:
        positions = positions * (end - first) // row_op.rows
    return program, positions
