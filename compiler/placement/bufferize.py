"""Plans buffers and slots for a function of ``tile`` ops: data only, no IR is changed.

Each value gets a buffer in the memory of the unit that computes it; a unit that cannot reach that
memory gets a move first. A view that only renames bytes becomes a range of its source.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.ir import Operation, SSAValue

from ...dialects import graph, tile
from ...dialects.place import BufferType
from ...dialects.shapes import row_major
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of, shape_of
from ...errors import CapacityError
from .buffers import allocate

HOST = "host"


@dataclass(slots=True, eq=False)
class Buffer:
    """A planned buffer, or the range from ``offset`` bytes of another one (``source``)."""

    value: SSAValue
    memory: str
    source: "Buffer | None" = None
    offset: int = 0
    constant: graph.ConstantOp | None = None
    port: str | None = None
    first: int = 0
    last: int = 0

    @property
    def root(self) -> "Buffer":
        buffer = self
        while buffer.source is not None:
            buffer = buffer.source
        return buffer

    @property
    def nbytes(self) -> int:
        return BufferType.of(self.value.type).nbytes


@dataclass(slots=True, eq=False)
class Slot:
    """One slot: a move (``op`` None), a product or a stage of ``op`` on ``unit``."""

    unit: str
    op: Operation | None
    reads: list[Buffer]
    writes: list[Buffer]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the planner must know: memory by unit, bytes by memory, the memory of inputs/outputs.

    ``reach`` are memories that a unit may read besides its own; ``shared_constants`` is how much of
    each memory constants may take before the largest stay in ``port_memory``.
    """

    unit_memory: Mapping[str, str]
    memory_bytes: Mapping[str, int]
    port_memory: str
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    constant_bytes: Mapping[str, int] = field(default_factory=dict)


class Planner:
    """Walks the ops of a function once; ``plan`` then allocates."""

    def __init__(self, machine: Machine, unit_of: Callable[[Operation], str]) -> None:
        self.machine = machine
        self.unit_of = unit_of
        self.slots: list[Slot] = []
        self.buffers: list[Buffer] = []
        self._homes: dict[SSAValue, dict[str, Buffer]] = {}
        self._constants: dict[SSAValue, graph.ConstantOp] = {}
        self._constant_bytes: dict[str, int] = dict.fromkeys(machine.memory_bytes, 0)

    def plan(
        self,
        ops: Sequence[Operation],
        inputs: Sequence[tuple[SSAValue, str]],
        outputs: Sequence[tuple[SSAValue, str]],
    ) -> None:
        """Plan ``ops`` in order. Raises CapacityError when a memory is too small."""
        for value, name in inputs:
            self._new(value, self.machine.port_memory, port=f"input:{name}")
        for op in ops:
            self._plan_op(op)
        for value, name in outputs:
            source = self._any_home(value)
            if self._is_computed_at_port(source):
                source.port = f"output:{name}"
                continue
            target = Buffer(value, self.machine.port_memory, port=f"output:{name}")
            self.buffers.append(target)
            self._slot("dma", None, [source], [target])
        self._allocate()

    def _is_computed_at_port(self, buffer: Buffer) -> bool:
        """Whether a buffer can be an output as it is: whole, computed, and no port already."""
        own = buffer.source is None and buffer.constant is None and buffer.port is None
        return own and buffer.memory == self.machine.port_memory

    def _plan_op(self, op: Operation) -> None:
        if isinstance(op, graph.ConstantOp):
            self._constants[op.results[0]] = op
            return
        unit = self.unit_of(op)
        memory = self.machine.unit_memory[unit]
        operands = [x for x in op.operands if not isinstance(x.type, tile.CrossbarType)]
        offset = renamed_offset(op)
        if offset is not None:
            self._plan_alias(op, operands[0], offset, unit)
            return
        reads = [self._reachable(x, unit) for x in operands]
        writes = [self._new(result, memory) for result in op.results]
        self._slot(unit, op, reads, writes)

    def _plan_alias(self, op: Operation, x: SSAValue, offset: int, unit: str) -> None:
        if x in self._constants:
            self._reachable(x, unit)
        homes = self._homes[x]
        for memory, source in list(homes.items()):
            alias = Buffer(op.results[0], memory, source=source, offset=offset)
            self.buffers.append(alias)
            self._homes.setdefault(op.results[0], {})[memory] = alias

    def _new(self, value: SSAValue, memory: str, port: str | None = None) -> Buffer:
        buffer = Buffer(value, memory, port=port)
        self.buffers.append(buffer)
        self._homes.setdefault(value, {})[memory] = buffer
        return buffer

    def _any_home(self, value: SSAValue) -> Buffer:
        if value not in self._homes:
            return self._constant_in(value, self.machine.port_memory)
        homes = self._homes[value]
        return homes.get(self.machine.port_memory) or next(iter(homes.values()))

    def _reachable(self, value: SSAValue, unit: str) -> Buffer:
        """The buffer through which ``unit`` reads ``value``, moved or loaded when needed."""
        memory = self.machine.unit_memory[unit]
        homes = self._homes.get(value, {})
        if memory in homes:
            return homes[memory]
        reach = self.machine.reach.get(unit, frozenset())
        if value in self._constants:
            for other in reach & set(homes):
                return homes[other]
            limit = self.machine.constant_bytes.get(memory)
            nbytes = BufferType.of(value.type).nbytes
            if limit is not None and reach and self._constant_bytes[memory] + nbytes > limit:
                memory = min(reach)
            return self._constant_in(value, memory)
        source = next(iter(homes.values()))
        target = self._new(value, memory)
        self._slot("dma", None, [source], [target])
        return target

    def _constant_in(self, value: SSAValue, memory: str) -> Buffer:
        self._constant_bytes[memory] += BufferType.of(value.type).nbytes
        buffer = self._new(value, memory)
        buffer.constant = self._constants[value]
        return buffer

    def _slot(
        self, unit: str, op: Operation | None, reads: list[Buffer], writes: list[Buffer]
    ) -> None:
        now = len(self.slots)
        for buffer in writes:
            buffer.root.first = buffer.root.last = now
        for buffer in reads:
            buffer.root.last = max(buffer.root.last, now)
        self.slots.append(Slot(unit, op, reads, writes))

    def _allocate(self) -> None:
        end = len(self.slots)
        roots = [b for b in self.buffers if b.source is None]
        for buffer in roots:
            if buffer.constant is not None or buffer.port is not None:
                buffer.first, buffer.last = -1, end
        by_memory: dict[str, list[Buffer]] = {}
        for buffer in roots:
            by_memory.setdefault(buffer.memory, []).append(buffer)
        spill = [m for m in by_memory if self._spills_to(m)]
        for memory in [*spill, *(m for m in by_memory if m not in spill)]:
            left = self._allocate_in(memory, by_memory.get(memory, []))
            if left:
                other = self._spills_to(memory)
                assert other is not None
                for buffer in left:
                    buffer.memory = other
                by_memory.setdefault(other, []).extend(left)
                if other not in spill and other not in by_memory:
                    self._allocate_in(other, left)

    def _spills_to(self, memory: str) -> str | None:
        """A memory that every unit working in ``memory`` can also reach, if there is one."""
        units = [u for u, m in self.machine.unit_memory.items() if m == memory]
        common = [self.machine.reach.get(u, frozenset()) for u in units]
        shared = frozenset.intersection(*common) if common else frozenset()
        return min(shared) if shared else None

    def _allocate_in(self, memory: str, buffers: list[Buffer]) -> list[Buffer]:
        """Allocate in one memory; returns what must go elsewhere."""
        if not buffers:
            return []
        sizes = np.array([b.nbytes for b in buffers], np.int64)
        first = np.array([b.first + 1 for b in buffers])
        last = np.array([b.last + 1 for b in buffers])
        capacity = self.machine.memory_bytes[memory]
        offsets = allocate(sizes, first, last, capacity)
        left = [b for b, offset in zip(buffers, offsets, strict=True) if offset < 0]
        if left and self._spills_to(memory) is None:
            largest = max(left, key=lambda b: b.nbytes)
            raise CapacityError(
                f"memory {memory} of {capacity:,} bytes cannot hold the buffers alive together: "
                f"{sum(b.nbytes for b in left):,} bytes are left over, the largest buffer is "
                f"{largest.nbytes:,}",
                demand={"bytes": int(sizes.sum())},
                available={"bytes": capacity},
                levers=("use a target with more memory", "use a smaller batch or sequence"),
            )
        for buffer, offset in zip(buffers, offsets.tolist(), strict=True):
            if offset >= 0:
                buffer.offset = offset
        return left


def renamed_offset(op: Operation) -> int | None:
    """Byte offset when ``op`` is a view of consecutive elements in order; None otherwise."""
    if not isinstance(op, TensorOp) or op.KIND != "view":
        return None
    shape, attrs = shape_of(op.results[0]), op.attrs
    own = row_major(shape)
    same = all(n <= 1 or s == o for n, s, o in zip(shape, attrs["strides"], own, strict=True))
    return attrs["offset"] * dtype_of(op.results[0]).itemsize if same and 0 not in shape else None
