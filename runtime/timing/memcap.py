"""Time and energy of a memcap program: one task an instruction, energies by part.

Timing never looks at values. A product streams: the first position pays the way to the furthest
array and back; in between the arrays read position after position while the links carry inputs
there and sums back, as quickly as the fullest of them can. The links of the port serve one product
after another, one each way. The copies of a matrix read shares of the positions at the same time.
Tiles that share an array are read in as many rounds as ``read_rounds`` says. Streamed tiles are
written round by round: the first by RELOAD, each other one before its part of the product, which
CONVERT counts. RELOADs that follow each other in a stream write side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...backends.memcap.crossing import Crossing, crossing_of
from ...backends.memcap.decode import MemcapProgram
from ...backends.memcap.isa import Instruction, Opcode, Stream
from ...backends.tables import BufferEntry
from ...backends.targets import MemcapTarget
from ...backends.targets.chips import on_chip
from ...backends.targets.memcap_cost import (
    ASSUMED_MEAN_SQUARE,
    ProductTimes,
    carry_energy_j,
    chip_link_energy_j,
    chip_link_latency_s,
    controller_energy_j,
    host_energy_j,
    host_latency_s,
    leakage_j,
    mvm_energy_j,
    product_latency_s,
    range_search,
    range_search_latency_s,
    reload_latency_s,
    sram_energy_j,
    sram_latency_s,
    stored_bytes,
    traffic_energy_j,
    vector_energy_j,
    vector_latency_s,
    write_energy_j,
    write_latency_s,
)
from ...dialects.kernel import Kernel
from ...dialects.tile_table import ArrayCells
from ...dialects.work import Work, host_key, kernel_work
from ..energy import add_parts
from ..events import Task, run
from .tile_sums import TileSums, WrittenRound
from .timed_program import TileSpan, TimedProgram, run_inside

HOST_LINK = "host_link"
#: The links between the port of a chip and its arrays: inputs go out, sums come back.
LINK_OUT, LINK_BACK = "link_out", "link_back"
_NO_ROUND = WrittenRound(0, 0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one instruction takes: its time, its energy by part, and what it holds meanwhile."""

    duration_s: float
    parts_j: Mapping[str, float]
    resources: tuple[str, ...] = ()


def time_program(
    program: MemcapProgram,
    mean_square: Mapping[int, float] | None = None,
    host_macs: Mapping[str, int] | None = None,
    block_runs: Mapping[int, float] | None = None,
    mean_level: Mapping[int, float] | None = None,
) -> TimedProgram:
    """Time one inference of ``program``.

    ``mean_square`` holds the measured mean square of the normalised inputs by matrix number,
    ``mean_level`` the mean level of what is stored (uniform values where it is not known);
    ``host_macs`` the multiply-accumulates of kernels that run on the host, by ``host_key``;
    ``block_runs`` how often a block ran each time its control operation did, where it was measured.
    """
    costs = _Costs(program, mean_square or {}, mean_level or {}, host_macs or {})
    timed: dict[int, TimedProgram] = {}
    for block in reversed(range(len(program.blocks))):  # those inside come after
        timed[block] = _time_block(costs, program.blocks[block], timed, block_runs or {})
    whole = timed[0]
    leaked_j = leakage_j(program.target, whole.timeline.makespan_s)
    whole.parts_j["leakage"] = program.chips * leaked_j
    return whole


def _time_block(
    costs: "_Costs",
    streams: Sequence[Stream],
    timed: Mapping[int, TimedProgram],
    block_runs: Mapping[int, float],
) -> TimedProgram:
    """One run of a block, without leakage; ``timed`` has the blocks that it runs."""
    block = _Block(costs, timed, block_runs)
    for stream in streams:
        block.add_stream(stream)
    issued = sum(len(stream.instructions) for stream in streams)
    energy = {"controller": controller_energy_j(costs.target, issued)}
    parts = add_parts(block.parts_j, energy)
    timeline = run(block.tied_tasks())
    return TimedProgram(timeline, parts, block.work, block.array_macs, block.seconds, block.reads)


class _Block:
    """Takes the streams of a block and makes tasks of their instructions."""

    def __init__(
        self,
        costs: "_Costs",
        timed: Mapping[int, TimedProgram],
        block_runs: Mapping[int, float],
    ) -> None:
        self.costs, self.timed, self.block_runs = costs, timed, block_runs
        self.parts_j: dict[str, float] = {}
        self.work, self.array_macs = Work(), 0
        self.seconds: dict[str, float] = {}
        self.reads: dict[TileSpan, float] = {}
        self._tasks: list[Task] = []
        self._of_event: dict[int, int] = {}
        #: By task, the events and the tasks that it waits for.
        self._waits: list[tuple[tuple[int, ...], tuple[int, ...]]] = []

    def add_stream(self, stream: Stream) -> None:
        self.costs.begin_stream()
        pending: list[int] = []
        carried: tuple[int, ...] = ()  # the link tasks of the product under way
        for i in stream.instructions:
            if i.opcode is Opcode.SYNC:
                pending += i.events
            elif i.opcode is not Opcode.HALT:
                after = carried if i.opcode is Opcode.ACCUMULATE else ()
                add = self._add_control if i.opcode is Opcode.CONTROL else self._add
                add(stream.unit, i, tuple(pending), after)
                pending = []
                if i.opcode is Opcode.DRIVE:
                    carried = self._carry(i)

    def tied_tasks(self) -> list[Task]:
        """The tasks with what they wait for, once all streams are there."""
        return [
            replace(task, waits=(*(self._of_event[e] for e in events), *after))
            for task, (events, after) in zip(self._tasks, self._waits, strict=True)
        ]

    def _append(self, task: Task, events: tuple[int, ...], after: tuple[int, ...]) -> None:
        self._tasks.append(task)
        self._waits.append((events, after))

    def _add(
        self, unit: str, i: Instruction, events: tuple[int, ...], after: tuple[int, ...]
    ) -> None:
        cost, search_s = self.costs.of(i), self.costs.search_s(i)
        if search_s:
            self._append(Task(unit, search_s), events, ())
            events = ()
        self._of_event[i.event] = len(self._tasks)
        self._append(Task(unit, cost.duration_s, (), cost.resources), events, after)
        node = self.costs.program.node(i) or "(transfer)"
        self.seconds[node] = self.seconds.get(node, 0.0) + search_s + cost.duration_s
        self.parts_j = add_parts(self.parts_j, cost.parts_j)
        done = self.costs.work_of(i)
        self.work += done
        if i.opcode is Opcode.CONVERT:
            self.array_macs += done.macs
            self.reads = add_parts(self.reads, {(i.index, *i.tiles): self.costs.tile_reads(i)})

    def _add_control(
        self, unit: str, i: Instruction, events: tuple[int, ...], after: tuple[int, ...]
    ) -> None:
        control = self.costs.program.controls[i.index]
        inner = run_inside(control, self.timed, self.block_runs)
        self._of_event[i.event] = len(self._tasks)
        self._append(Task(unit, inner.duration_s, inside_s=inner.busy_s), events, after)
        self.parts_j = add_parts(self.parts_j, inner.parts_j)
        self.seconds = add_parts(self.seconds, inner.node_s)
        self.work += inner.work
        self.array_macs += inner.array_macs
        self.reads = add_parts(self.reads, inner.reads)

    def _carry(self, drive: Instruction) -> tuple[int, ...]:
        """The tasks of the links while the arrays of a product read, after its DRIVE."""
        times, first = self.costs.product_times(drive), len(self._tasks)
        driven = (first - 1,)
        links = self.costs.links_of(drive)
        for link, duration_s in zip(links, (times.inputs_s, times.sums_s), strict=True):
            if duration_s:
                self._append(Task(link, duration_s, (), (link,), in_order=False), (), driven)
        return tuple(range(first, len(self._tasks)))


class _Costs:
    """Costs of instructions; equal tile ranges are looked at once."""

    def __init__(
        self,
        program: MemcapProgram,
        mean_square: Mapping[int, float],
        mean_level: Mapping[int, float],
        host_macs: Mapping[str, int],
    ) -> None:
        self.program = program
        self.target: MemcapTarget = program.target
        self.mean_square = mean_square
        self.mean_level = mean_level
        self.host_macs = host_macs
        self._ranges: dict[tuple[int, int, int, int], TileSums] = {}
        self._cells = ArrayCells.of(
            np.concatenate([np.empty((0, 5), np.int32), *(m.tiles for m in program.matrices)]),
            np.concatenate([np.empty((0, 5), np.int32), *(m.sites for m in program.matrices)]),
        )
        self._costs: dict[Opcode, Callable[[Instruction], Cost]] = {
            Opcode.DRIVE: self._drive,
            Opcode.INTEGRATE: self._integrate,
            Opcode.CONVERT: self._convert,
            Opcode.ACCUMULATE: self._accumulate,
            Opcode.MOVE: self._move,
            Opcode.VECTOR: self._vector,
            Opcode.HOST: self._host,
            Opcode.RELOAD: self._reload,
        }
        self._positions: dict[int, int] = {}
        #: What the reloads just before in the stream write side by side.
        self._writing = _NO_ROUND

    def begin_stream(self) -> None:
        self._writing = _NO_ROUND

    def of(self, instruction: Instruction) -> Cost:
        """The cost of an instruction behind the one asked for before in its stream."""
        if instruction.opcode is not Opcode.RELOAD:
            self._writing = _NO_ROUND
        cost = self._costs[instruction.opcode](instruction)
        crossing = crossing_of(self.program, instruction)
        if not crossing.links:
            return cost
        return self._crossed(cost, crossing)

    def _crossed(self, cost: Cost, crossing: Crossing) -> Cost:
        """``cost`` with the links between chips, which pass on what comes."""
        links = len(crossing.links)
        parts = {"chip_link": chip_link_energy_j(self.target, crossing.nbytes, links)}
        seconds = chip_link_latency_s(self.target, crossing.nbytes, links)
        held = tuple(f"chip_link{link}" for link in crossing.links)
        return Cost(
            max(cost.duration_s, seconds),
            add_parts(cost.parts_j, parts),
            (*cost.resources, *held),
        )

    def tile_reads(self, i: Instruction) -> float:
        """For how many positions a CONVERT reads each of its tiles, on average over copies."""
        return self._positions[i.index] / self.program.matrices[i.index].copies

    def links_of(self, i: Instruction) -> tuple[str, str]:
        """The links of the chip that has the tiles of ``i``: out of its port, and back."""
        layer = int(self.program.matrices[i.index].layers[i.tiles[0]])
        chip = layer // self.target.stack.layers
        return on_chip(chip, LINK_OUT), on_chip(chip, LINK_BACK)

    def work_of(self, instruction: Instruction) -> Work:
        """Arithmetic of an instruction; a product counts at CONVERT."""
        if instruction.opcode is Opcode.CONVERT:
            return Work(macs=self._range(instruction).macs)
        if instruction.opcode is Opcode.VECTOR:
            return self._kernel_work(instruction)
        if instruction.opcode is Opcode.HOST:
            macs = self.host_macs.get(host_key(self._kernel(instruction).attrs["model"]), 0)
            return self._kernel_work(instruction) + Work(macs=macs)
        return Work()

    def _buffer(self, number: int) -> BufferEntry:
        return self.program.buffers[number]

    def _kernel(self, instruction: Instruction) -> Kernel:
        return self.program.kernels[instruction.index]

    def _kernel_work(self, i: Instruction) -> Work:
        ins = [self._buffer(n).shape for n in i.ins]
        outs = [self._buffer(n).shape for n in i.outs]
        return kernel_work(self._kernel(i), ins, outs)

    def _range(self, i: Instruction) -> TileSums:
        # A reload carries no position: what it writes does not depend on them.
        key = (i.index, *i.tiles, self._positions.get(i.index, 1))
        if key not in self._ranges:
            matrix = self.program.matrices[i.index]
            self._ranges[key] = TileSums.of(matrix, i.tiles, key[-1], self.target, self._cells)
        return self._ranges[key]

    def product_times(self, i: Instruction) -> ProductTimes:
        """Times of the product that ``i`` belongs to."""
        bits = self.program.matrices[i.index].adc_bits
        return product_latency_s(self.target, self._range(i).load, bits)

    def _searches(self, drive: Instruction) -> bool:
        """Whether the range of each input vector is found while running: once for a product."""
        return self.program.matrices[drive.index].input_scale is None and not drive.tiles[0]

    def search_s(self, i: Instruction) -> float:
        """Time before ``i`` in which the ranges of its inputs are found."""
        if i.opcode is not Opcode.DRIVE or not self._searches(i):
            return 0.0
        elements = prod(self.program.driven_shape(i))
        itemsize = self._buffer(i.ins[0]).dtype.itemsize
        return range_search_latency_s(self.target, elements, elements * itemsize)

    def _drive(self, i: Instruction) -> Cost:
        """The first position reaches the furthest array; all positions' codes are carried.

        Where the range of each vector is found while running, the vector engine looks for the
        largest magnitudes before (``search_s``).
        """
        shape = self.program.driven_shape(i)
        self._positions[i.index] = shape[-2]
        tiles, x = self._range(i), self._buffer(i.ins[0])
        nbytes = prod(shape) * x.dtype.itemsize
        first_s = self.product_times(i).drive_s
        energy = {
            "links": traffic_energy_j(self.target, tiles.inputs),
            "sram": sram_energy_j(self.target, nbytes * tiles.share),
        }
        if self._searches(i):
            energy["sram"] += sram_energy_j(self.target, nbytes)
            energy["vector"] = vector_energy_j(self.target, range_search(prod(shape)))
        return Cost(first_s, energy, (self.links_of(i)[0], *self._host_link(x)))

    def _integrate(self, i: Instruction) -> Cost:
        return Cost(self.product_times(i).settle_s, {})

    def _convert(self, i: Instruction) -> Cost:
        tiles = self._range(i)
        bits = self.program.matrices[i.index].adc_bits
        square = self.mean_square.get(i.index, ASSUMED_MEAN_SQUARE)
        level = self.mean_level.get(i.index)
        parts: dict[str, float] = {}
        for (rows, cols), positions in tiles.sizes.items():
            one = mvm_energy_j(self.target, rows, cols, positions, square, level, adc_bits=bits)
            parts = add_parts(parts, one)
        duration_s = self.product_times(i).convert_s
        link: tuple[str, ...] = ()
        for written in tiles.written[1:]:
            write_s = self._write_s(written)
            duration_s += write_s
            link = link or self._link_for(write_s, written.rows)
        return Cost(duration_s, parts, link)

    def _accumulate(self, i: Instruction) -> Cost:
        """The last position's sums come back and are added; earlier ones came while reading."""
        tiles, y = self._range(i), self._buffer(i.outs[0])
        energy = {
            "links": traffic_energy_j(self.target, tiles.sums),
            "sram": sram_energy_j(self.target, y.nbytes * tiles.share),
        }
        held = (self.links_of(i)[1], *self._host_link(y))
        return Cost(self.product_times(i).accumulate_s, energy, held)

    def _reload(self, i: Instruction) -> Cost:
        """Codes come from the host's memory over its link and those of the chip to the arrays."""
        tiles = self._range(i)
        weights = sum(round_.weights for round_ in tiles.written)
        sent = stored_bytes(self.target, weights)
        parts = {
            "program": write_energy_j(self.target, weights),
            "host_link": host_energy_j(self.target, 0.0, sent),
            "links": carry_energy_j(self.target, sent * tiles.mean_mm, sent * tiles.mean_vias),
        }
        # What a run of reloads takes together, less what those before have taken.
        before, both = self._writing, self._writing.beside(tiles.written[0])
        self._writing = both
        seconds = self._write_s(both) - self._write_s(before)
        return Cost(seconds, parts, self._link_for(self._write_s(both), both.rows))

    def _link_for(self, slowest_s: float, rows: int) -> tuple[str, ...]:
        """The host's link, where bringing the codes takes longer than writing them."""
        return (HOST_LINK,) if slowest_s > write_latency_s(self.target, rows) else ()

    def _write_s(self, written: WrittenRound) -> float:
        return reload_latency_s(self.target, written.rows, written.weights)

    def _move(self, i: Instruction) -> Cost:
        source, target = self._buffer(i.ins[0]), self._buffer(i.outs[0])
        return self._traffic([source], [target], 0.0, {})

    def _vector(self, i: Instruction) -> Cost:
        work = self._kernel_work(i)
        ins = [self._buffer(n) for n in i.ins]
        outs = [self._buffer(n) for n in i.outs]
        counts = work.by_class(prod(outs[0].shape))
        busy_s = vector_latency_s(self.target, counts)
        energy = {"vector": vector_energy_j(self.target, counts)}
        return self._traffic(ins, outs, busy_s, energy, _touched(self._kernel(i), ins, outs))

    def _host(self, i: Instruction) -> Cost:
        work = self.work_of(i)
        busy_s = host_latency_s(self.target, 2 * work.macs + work.elementwise, 0)
        return Cost(busy_s, {"host": host_energy_j(self.target, busy_s, 0)})

    def _traffic(
        self,
        ins: Sequence[BufferEntry],
        outs: Sequence[BufferEntry],
        busy_s: float,
        energy: Mapping[str, float],
        touched: Sequence[int] | None = None,
    ) -> Cost:
        """``busy_s`` of work overlapped with reading ``ins`` and writing ``outs``.

        ``touched`` are the bytes of each, where they are not all of them.
        """
        buffers = [*ins, *outs]
        sizes = list(zip(buffers, touched or [b.nbytes for b in buffers], strict=True))
        near = sum(n for b, n in sizes if b.memory != "host")
        far = sum(n for b, n in sizes if b.memory == "host")
        far_s = far / (self.target.host.link_gb_s * 1e9)
        parts = {
            **energy,
            "sram": sram_energy_j(self.target, near),
            "host_link": host_energy_j(self.target, 0.0, far),
        }
        duration_s = max(busy_s, sram_latency_s(self.target, near), far_s)
        return Cost(duration_s, parts, (HOST_LINK,) if far else ())

    @staticmethod
    def _host_link(buffer: BufferEntry) -> tuple[str, ...]:
        return (HOST_LINK,) if buffer.memory == "host" else ()


def _touched(kernel: Kernel, ins: Sequence[BufferEntry], outs: Sequence[BufferEntry]) -> list[int]:
    """Bytes of each operand and result that a kernel reads or writes.

    A gather or a view reads only what it takes, an update in place writes only the row.
    """
    sizes = [b.nbytes for b in (*ins, *outs)]
    if kernel.kind in ("gather", "view"):
        sizes[0] = min(sizes[0], outs[0].nbytes)
    in_place = (ins[0].memory, ins[0].offset) == (outs[0].memory, outs[0].offset) if ins else False
    if kernel.kind == "update" and in_place:
        sizes[0], sizes[-1] = 0, ins[2].nbytes
    return sizes
