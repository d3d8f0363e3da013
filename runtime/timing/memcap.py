"""Time and energy of a memcap program: one task an instruction, energies by part.

Timing never looks at values. A product streams: the first position pays the way to the furthest
array and back, then the arrays read position after position, or the links carry them if slower.
Tiles that share an array are read one after another. Streamed tiles are written round by round: the
first by RELOAD, each other one before its part of the product, which CONVERT counts. RELOADs that
follow each other in a stream write side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...backends.memcap.crossing import SUM_BYTES, Crossing, crossing_of
from ...backends.memcap.decode import Matrix, MemcapProgram
from ...backends.memcap.isa import Instruction, Opcode, Stream
from ...backends.tables import BufferEntry
from ...backends.targets import MemcapTarget
from ...backends.targets.memcap_cost import (
    chip_link_energy_j,
    chip_link_latency_s,
    code_bytes,
    controller_energy_j,
    host_energy_j,
    host_latency_s,
    leakage_j,
    move_energy_j,
    move_latency_s,
    mvm_energy_j,
    mvm_latency_s,
    reload_latency_s,
    settle_latency_s,
    site_distance_mm,
    sram_energy_j,
    sram_latency_s,
    vector_energy_j,
    vector_latency_s,
    write_energy_j,
    write_latency_s,
)
from ...dialects.kernel import Kernel
from ...dialects.work import Work, host_key, kernel_work
from ..energy import add_parts
from ..events import Task, run
from .timed_program import TimedProgram, run_inside

#: Mean square of the normalised input where no run has measured it (uniform values: 1/3).
ASSUMED_MEAN_SQUARE = 1.0 / 3.0
HOST_LINK = "host_link"


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
    tasks: list[Task] = []
    of_event: dict[int, int] = {}
    waiting: list[tuple[int, tuple[int, ...]]] = []
    parts: dict[str, float] = {}
    work, array_macs = Work(), 0
    seconds: dict[str, float] = {}
    program = costs.program
    for stream in streams:
        costs.begin_stream()
        pending: list[int] = []
        for instruction in stream.instructions:
            if instruction.opcode is Opcode.SYNC:
                pending += instruction.events
            elif instruction.opcode is not Opcode.HALT:
                of_event[instruction.event] = len(tasks)
                waiting.append((len(tasks), tuple(pending)))
                pending = []
                if instruction.opcode is Opcode.CONTROL:
                    control = program.controls[instruction.index]
                    inner = run_inside(control, timed, block_runs)
                    tasks.append(Task(stream.unit, inner.duration_s, inside_s=inner.busy_s))
                    parts = add_parts(parts, inner.parts_j)
                    seconds = add_parts(seconds, inner.node_s)
                    work += inner.work
                    array_macs += inner.array_macs
                    continue
                cost = costs.of(instruction)
                tasks.append(Task(stream.unit, cost.duration_s, (), cost.resources))
                node = program.node(instruction) or "(transfer)"
                seconds[node] = seconds.get(node, 0.0) + cost.duration_s
                parts = add_parts(parts, cost.parts_j)
                done = costs.work_of(instruction)
                work += done
                array_macs += done.macs if instruction.opcode is Opcode.CONVERT else 0
    for task, events in waiting:
        if events:
            tasks[task] = replace(tasks[task], waits=tuple(of_event[e] for e in events))
    issued = sum(len(stream.instructions) for stream in streams)
    parts = add_parts(parts, {"controller": controller_energy_j(program.target, issued)})
    return TimedProgram(run(tasks), parts, work, array_macs, seconds)


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
        self._ranges: dict[tuple[int, int, int], _TileRange] = {}
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
        self._writing = _NOTHING

    def begin_stream(self) -> None:
        self._writing = _NOTHING

    def of(self, instruction: Instruction) -> Cost:
        """The cost of an instruction behind the one asked for before in its stream."""
        if instruction.opcode is not Opcode.RELOAD:
            self._writing = _NOTHING
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

    def work_of(self, instruction: Instruction) -> Work:
        """Arithmetic of an instruction; a product counts at CONVERT."""
        if instruction.opcode is Opcode.CONVERT:
            tiles = self._range(instruction)
            return Work(macs=tiles.weights * self._positions[instruction.index])
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

    def _range(self, i: Instruction) -> "_TileRange":
        key = (i.index, *i.tiles)
        if key not in self._ranges:
            self._ranges[key] = _TileRange.of(self.program.matrices[i.index], i.tiles, self.target)
        return self._ranges[key]

    def _drive(self, i: Instruction) -> Cost:
        """The first position reaches the furthest array; all positions' codes are carried.

        Where the range of each vector is found while running, the vector engine looks for the
        largest magnitudes before.
        """
        tiles, x = self._range(i), self._buffer(i.ins[0])
        self._positions[i.index] = positions = x.shape[-2]
        code_bytes = self.target.numerics.input_bits / 8
        first_s = move_latency_s(self.target, tiles.rows_total * code_bytes, tiles.max_hops)
        sent = tiles.rows_total * positions * code_bytes
        energy = {
            "links": move_energy_j(self.target, sent, tiles.mean_mm, tiles.mean_vias),
            "sram": sram_energy_j(self.target, x.nbytes),
        }
        if self.program.matrices[i.index].input_scale is None and not i.tiles[0]:
            compared = {"add": float(prod(x.shape))}
            energy["sram"] *= 2
            energy["vector"] = vector_energy_j(self.target, compared)
            first_s += max(
                vector_latency_s(self.target, compared), sram_latency_s(self.target, x.nbytes)
            )
        return Cost(first_s, energy, self._links_of(x))

    def _integrate(self, i: Instruction) -> Cost:
        settle_s = settle_latency_s(self.target, self._positions[i.index])
        return Cost(settle_s * self._range(i).rounds, {})

    def _convert(self, i: Instruction) -> Cost:
        tiles, positions = self._range(i), self._positions[i.index]
        settle_s = settle_latency_s(self.target, positions)
        bits = self.program.matrices[i.index].adc_bits
        read_s = mvm_latency_s(self.target, positions, tiles.widest, bits)
        carried = tiles.rows_total * positions * self.target.numerics.input_bits / 8
        link_s = carried / (self.target.links.bandwidth_gb_s * 1e9)
        duration_s = max((read_s - settle_s) * tiles.rounds, link_s - settle_s * tiles.rounds)
        link: tuple[str, ...] = ()
        for written in tiles.written[1:]:
            write_s = self._write_s(written)
            duration_s += write_s
            link = link or self._link_for(write_s, written.rows)
        square = self.mean_square.get(i.index, ASSUMED_MEAN_SQUARE)
        level = self.mean_level.get(i.index)
        parts: dict[str, float] = {}
        for (rows, cols), count in tiles.sizes.items():
            one = mvm_energy_j(self.target, rows, cols, positions, square, level, adc_bits=bits)
            parts = add_parts(parts, {name: joules * count for name, joules in one.items()})
        return Cost(duration_s, parts, link)

    def _accumulate(self, i: Instruction) -> Cost:
        """The last position's sums come back and are added; earlier ones came while reading."""
        tiles, y = self._range(i), self._buffer(i.outs[0])
        last_s = move_latency_s(self.target, tiles.cols_total * SUM_BYTES, tiles.max_hops)
        sent = tiles.cols_total * self._positions[i.index] * SUM_BYTES
        energy = {
            "links": move_energy_j(self.target, sent, tiles.mean_mm, tiles.mean_vias),
            "sram": sram_energy_j(self.target, y.nbytes),
        }
        return Cost(last_s, energy, self._links_of(y))

    def _reload(self, i: Instruction) -> Cost:
        """Codes come from the host's memory over its link and those of the chip to the arrays."""
        tiles = self._range(i)
        weights = sum(round_.weights for round_ in tiles.written)
        sent = code_bytes(self.target, weights)
        parts = {
            "program": write_energy_j(self.target, weights),
            "host_link": host_energy_j(self.target, 0.0, sent),
            "links": move_energy_j(self.target, sent, tiles.mean_mm, tiles.mean_vias),
        }
        # What a run of reloads takes together, less what those before have taken.
        before, both = self._writing, self._writing.beside(tiles.written[0])
        self._writing = both
        seconds = self._write_s(both) - self._write_s(before)
        return Cost(seconds, parts, self._link_for(self._write_s(both), both.rows))

    def _link_for(self, slowest_s: float, rows: int) -> tuple[str, ...]:
        """The host's link, where bringing the codes takes longer than writing them."""
        return (HOST_LINK,) if slowest_s > write_latency_s(self.target, rows) else ()

    def _write_s(self, written: "_Round") -> float:
        return reload_latency_s(self.target, written.rows, written.weights)

    def _move(self, i: Instruction) -> Cost:
        source, target = self._buffer(i.ins[0]), self._buffer(i.outs[0])
        return self._traffic([source], [target], 0.0, {})

    def _vector(self, i: Instruction) -> Cost:
        work = self._kernel_work(i)
        ins = [self._buffer(n) for n in i.ins]
        outs = [self._buffer(n) for n in i.outs]
        moved = prod(outs[0].shape) if not work.operations else 0
        counts = {
            "add": work.adds + work.macs,
            "mul": work.muls + work.macs,
            "special": work.specials,
            "move": moved,
        }
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
    def _links_of(buffer: BufferEntry) -> tuple[str, ...]:
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


@dataclass(frozen=True, slots=True)
class _Round:
    """What is written side by side: rows of the fullest array, and weights in all."""

    rows: int
    weights: int

    def beside(self, other: "_Round") -> "_Round":
        """Both at once, in different arrays."""
        return _Round(max(self.rows, other.rows), self.weights + other.weights)


_NOTHING = _Round(0, 0)


@dataclass(frozen=True, slots=True)
class _TileRange:
    """Sums over the tiles of one instruction."""

    weights: int
    rows_total: int
    cols_total: int
    widest: int
    rounds: int
    max_hops: int
    mean_mm: float
    mean_vias: float
    sizes: dict[tuple[int, int], int]
    written: list[_Round]

    @staticmethod
    def of(matrix: Matrix, tiles: tuple[int, int], target: MemcapTarget) -> "_TileRange":
        part = slice(*tiles)
        rows, cols = matrix.tiles[part, 2].astype(np.int64), matrix.tiles[part, 4].astype(np.int64)
        hops, vias = matrix.routes[part, 3], matrix.routes[part, 4]
        _, shared = np.unique(matrix.sites[part, :3], axis=0, return_counts=True)
        sizes, counts = np.unique(matrix.tiles[part][:, [2, 4]], axis=0, return_counts=True)
        return _TileRange(
            weights=int((rows * cols).sum()),
            rows_total=int(rows.sum()),
            cols_total=int(cols.sum()),
            widest=int(cols.max()),
            rounds=int(shared.max()),
            max_hops=int(hops.max() + vias.max()),
            mean_mm=site_distance_mm(target, float(hops.mean()) / 2, float(hops.mean()) / 2),
            mean_vias=float(vias.mean()),
            sizes={(int(r), int(c)): int(n) for (r, c), n in zip(sizes, counts, strict=True)},
            written=_rounds(matrix, part),
        )


def _rounds(matrix: Matrix, part: slice) -> list[_Round]:
    """The rounds in which streamed tiles are written, which come in order; none where they stay."""
    rounds = matrix.rounds[part]
    if not rounds.any():
        return []
    starts = np.flatnonzero(np.diff(rounds, prepend=0))
    rows, cols = matrix.tiles[part, 2].astype(np.int64), matrix.tiles[part, 4].astype(np.int64)
    highest = np.maximum.reduceat(matrix.sites[part, 3] + rows, starts)
    weights = np.add.reduceat(rows * cols, starts)
    return [_Round(int(r), int(w)) for r, w in zip(highest, weights, strict=True)]
