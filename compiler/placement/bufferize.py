"""Plans buffers and slots for a function of ``tile`` ops: data only, no IR is changed.

Each value gets a buffer in the memory of the unit that computes it; a unit that cannot reach that
memory gets a move first. A view that only renames bytes becomes a range of its source.

The slots of control flow hold the slots of their blocks. What a loop carries has one buffer for all
iterations: it is filled before the loop and again at the end of each iteration. What a loop takes
from around it lives until the loop ends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from ...dialects import graph, tile
from ...dialects.control import ControlOp, IfOp, LoopOp, captured_values
from ...dialects.place import BufferType
from ...dialects.shapes import row_major
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of, shape_of, tensor_type
from ...errors import CapacityError
from .buffers import allocate
from .joined import Run, find_runs

HOST = "host"


@dataclass(slots=True, eq=False)
class Buffer:
    """A planned buffer, or the range from ``offset`` bytes of another one (``source``)."""

    value: SSAValue
    memory: str
    source: "Buffer | None" = None
    run: Run | None = None
    """The values side by side that the buffer is for; ``value`` is one of them."""
    offset: int = 0
    constant: graph.ConstantOp | None = None
    port: str | None = None
    first: int = -1
    last: int = -1

    @property
    def root(self) -> "Buffer":
        buffer = self
        while buffer.source is not None:
            buffer = buffer.source
        return buffer

    @property
    def type(self) -> BufferType:
        if self.run is None:
            return BufferType.of(self.value.type)
        return BufferType.of(tensor_type((self.run.nbytes,), np.dtype(np.uint8)))

    @property
    def nbytes(self) -> int:
        return self.type.nbytes


@dataclass(slots=True, eq=False)
class Slot:
    """One slot: a move (``op`` None), a product or a stage of ``op`` on ``unit``.

    Control flow has the slots of each of its ``blocks``; a loop reads its trip count and condition,
    where it has them, and writes its counter.
    """

    unit: str
    op: Operation | None
    reads: list[Buffer]
    writes: list[Buffer]
    blocks: list[list["Slot"]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the planner must know: memory by unit, bytes by memory, the memory of inputs/outputs.

    ``distance`` between memories decides from which of several copies a value is moved.
    ``reach`` are memories that a unit may read besides its own; ``shared_constants`` is how much of
    each memory constants may take before the largest stay in ``port_memory``.
    """

    unit_memory: Mapping[str, str]
    memory_bytes: Mapping[str, int]
    port_memory: str
    reach: Mapping[str, frozenset[str]] = field(default_factory=dict)
    constant_bytes: Mapping[str, int] = field(default_factory=dict)
    distance: Callable[[str, str], int] = lambda _from, _to: 0


class Planner:
    """Walks the ops of a function once; ``plan`` then allocates."""

    def __init__(self, machine: Machine, unit_of: Callable[[Operation], str]) -> None:
        self.machine = machine
        self.unit_of = unit_of
        self.slots: list[Slot] = []
        self.buffers: list[Buffer] = []
        #: Slots so far, and the ends of loops: the time in which buffers live.
        self._clock = 0
        self._block = self.slots
        #: Results that are written where control flow wants them.
        self._wanted_in: dict[SSAValue, Buffer] = {}
        #: For each block of control flow around, the homes that are only filled inside it.
        self._scopes: list[list[tuple[SSAValue, str]]] = []
        self._homes: dict[SSAValue, dict[str, Buffer]] = {}
        self._runs: dict[SSAValue, Run] = {}
        self._joined: dict[SSAValue, tuple[SSAValue, Run]] = {}
        self._run_buffers: dict[Run, Buffer] = {}
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
        wanted: dict[SSAValue, list[str]] = {}
        for value, name in outputs:
            wanted.setdefault(value, []).append(name)
        self._runs, self._joined = find_runs(ops, self._free_values(ops))
        for op in ops:
            self._plan_op(op)
            for result in op.results:
                self._hand_over(result, wanted.pop(result, []))
        for value, names in wanted.items():
            self._hand_over(value, names)
        self._allocate()

    def _hand_over(self, value: SSAValue, names: Sequence[str]) -> None:
        """Bring an output to its port as soon as it is there, so that its buffer is free again."""
        for name in names:
            source = self._any_home(value)
            if self._is_computed_at_port(source):
                source.port = f"output:{name}"
                continue
            target = Buffer(value, self.machine.port_memory, port=f"output:{name}")
            self.buffers.append(target)
            self._slot("dma", None, [source], [target])

    def _free_values(self, ops: Sequence[Operation]) -> dict[SSAValue, SSAValue]:
        """What may be computed anywhere in the vector engine's memory, by itself and its views."""
        free: dict[SSAValue, SSAValue] = {}
        for op in ops:
            if isinstance(op, ControlOp) or not op.results:
                continue
            if renamed_offset(op) is not None:
                source = free.get(op.operands[0])
                if source is not None and prod(shape_of(source)) == prod(shape_of(op.results[0])):
                    free[op.results[0]] = source
            elif _takes_a_slot(op) and self._joins(op):
                free |= {result: result for result in op.results}
        return free

    def _joins(self, op: Operation) -> bool:
        """Whether results of ``op`` are computed where concatenations are."""
        return self.machine.unit_memory[self.unit_of(op)] == self.machine.unit_memory.get("vector")

    def _is_computed_at_port(self, buffer: Buffer) -> bool:
        """Whether a buffer can be an output as it is."""
        return _is_plain(buffer) and buffer.memory == self.machine.port_memory

    def _plan_op(self, op: Operation) -> None:
        if isinstance(op, graph.ConstantOp):
            self._constants[op.results[0]] = op
            return
        if isinstance(op, IfOp):
            self._plan_if(op)
            return
        if isinstance(op, LoopOp):
            self._plan_loop(op)
            return
        unit = self.unit_of(op)
        memory = self.machine.unit_memory[unit]
        operands = [x for x in op.operands if not isinstance(x.type, tile.CrossbarType)]
        if op.results and op.results[0] in self._joined:
            first, run = self._joined[op.results[0]]
            self._alias(op.results[0], self._run_buffers[run], run.start[first])
            return
        offset = renamed_offset(op)
        if offset is not None:
            self._plan_alias(op, operands[0], offset, unit)
            return
        reads = [self._reachable(x, unit) for x in operands]
        whole = self._updated_in_place(op, reads[0]) if reads else None
        if whole is not None:
            writes = [self._alias(op.results[0], whole)]
        else:
            writes = [self._result(result, memory) for result in op.results]
        self._slot(unit, op, reads, writes)

    def _result(self, value: SSAValue, memory: str) -> Buffer:
        if (run := self._runs.get(value)) is not None:
            if run not in self._run_buffers:
                self._run_buffers[run] = Buffer(value, memory, run=run)
                self.buffers.append(self._run_buffers[run])
            return self._alias(value, self._run_buffers[run], run.start[value])
        target = self._wanted_in.get(value)
        if target is None or target.memory != memory:
            return self._new(value, memory)
        return self._alias(value, target)

    @staticmethod
    def _updated_in_place(op: Operation, data: Buffer) -> Buffer | None:
        """The buffer of a carried tensor that ``op`` may update where it is."""
        if not isinstance(op, TensorOp) or op.KIND != "update":
            return None
        value, block = op.operands[0], op.parent
        carried = value.owner is block and isinstance(op.parent_op(), LoopOp)
        return data if carried and value.has_one_use() and data.value is value else None

    def _plan_if(self, op: IfOp) -> None:
        unit = self.unit_of(op)
        self._bring_in(op)
        condition = self._reachable(op.condition, unit)
        yields = [list(block.last_op.operands) for block in op.blocks]  # type: ignore[union-attr]
        results = [
            self._new(result, self._memory_of(y, unit))
            for result, y in zip(op.results, yields[0], strict=True)
        ]
        slot = self._slot(unit, op, [condition], [])
        for block, values in zip(op.blocks, yields, strict=True):
            for value, result in zip(values, results, strict=True):
                if value not in self._wanted_in and _maker_in(value, block) is not None:
                    self._wanted_in[value] = result
            with self._inside(slot):
                self._plan_ops(block)
                for value, result in zip(values, results, strict=True):
                    source = self._home_near(value, result.memory)
                    if source.root is not result:
                        self._slot("dma", None, [source], [result])

    def _plan_loop(self, op: LoopOp) -> None:
        unit = self.unit_of(op)
        self._bring_in(op)
        block = op.body.block
        yields = list(block.last_op.operands)  # type: ignore[union-attr]
        reads = [] if op.trip is None else [self._reachable(op.trip, unit)]
        carried = []
        for k, (value, argument) in enumerate(zip(op.initial, block.args[1:], strict=True)):
            decides = op.conditional is not None and k == 0
            memory = self.machine.unit_memory[unit] if decides else self._memory_of(yields[k], unit)
            carried.append(self._carry(value, argument, memory, op.parent))
        if op.conditional is not None:
            reads.append(carried[0])
        counter = self._new(block.args[0], self.machine.unit_memory[unit])
        for value, argument, buffer in zip(yields, block.args[1:], carried, strict=True):
            if value not in self._wanted_in and may_overwrite(value, argument, block):
                self._wanted_in[value] = buffer
        start = self._clock
        slot = self._slot(unit, op, reads, [counter])
        with self._inside(slot):
            self._plan_ops(block)
            self._carry_on(yields, carried)
        end = self._clock
        self._clock += 1
        for buffer in self.buffers:
            if buffer.source is None and buffer.first < start <= buffer.last:
                buffer.last = end  # read again by the next iteration
        for buffer in (*carried, counter):
            buffer.root.last = end
        for result, buffer in zip(op.results, carried, strict=True):
            self._homes[result] = {buffer.memory: buffer}
            self._note(result, buffer.memory)

    def _carry(
        self, value: SSAValue, argument: SSAValue, memory: str, block: Block | None
    ) -> Buffer:
        """The buffer of a carried value, holding ``value``: its own where nobody else needs it.

        That is where it is computed in the ``block`` of the loop, for the loop alone.
        """
        buffer = self._homes.get(value, {}).get(memory)
        own = isinstance(value.owner, Operation) and value.owner.parent is block
        if buffer is not None and own and value.has_one_use() and _is_plain(buffer):
            buffer.value = argument
            self._homes[argument] = {memory: buffer}
            self._note(argument, memory)
            return buffer
        source = self._home_near(value, memory)
        buffer = self._new(argument, memory)
        self._slot("dma", None, [source], [buffer])
        return buffer

    def _carry_on(self, yields: Sequence[SSAValue], carried: Sequence[Buffer]) -> None:
        """Move what an iteration yields to where the next one finds it."""
        moves = []
        for value, target in zip(yields, carried, strict=True):
            source = self._home_near(value, target.memory)
            if source.root is target.root and source.nbytes == target.nbytes:
                continue  # handed on, or updated in place
            if any(source.root is buffer.root for buffer in carried):
                # Another carried value, which may be overwritten before it is read.
                copy = self._new(value, source.memory)
                self._slot("dma", None, [source], [copy])
                source = copy
            moves.append((source, target))
        for source, target in moves:
            self._slot("dma", None, [source], [target])

    def _bring_in(self, op: Operation) -> None:
        """Bring what control flow takes from around it to the units that use it, once."""
        taken = [v for v in captured_values(op) if v in self._homes and v not in self._constants]
        for value in taken:
            users = [use.operation for use in value.uses]
            for user in users:
                if op.is_ancestor(user) and user is not op and _takes_a_slot(user):
                    self._reachable(value, self.unit_of(user))

    @contextmanager
    def _inside(self, slot: Slot) -> Iterator[None]:
        """Plan into a new block of ``slot``."""
        before, self._block = self._block, []
        slot.blocks.append(self._block)
        self._scopes.append([])
        yield
        self._block = before
        for value, memory in self._scopes.pop():
            self._homes.get(value, {}).pop(memory, None)

    def _plan_ops(self, block: Block) -> None:
        for op in block.ops:
            if op is not block.last_op:
                self._plan_op(op)

    def _memory_of(self, value: SSAValue, unit: str) -> str:
        """The memory in which ``value`` will be made; that of ``unit`` where it is not computed."""
        owner = value.owner
        while isinstance(owner, Operation) and renamed_offset(owner) is not None:
            owner = owner.operands[0].owner
        if isinstance(owner, (IfOp, LoopOp, graph.ConstantOp)) or not isinstance(owner, Operation):
            return self.machine.unit_memory[unit]
        return self.machine.unit_memory[self.unit_of(owner)]

    def _plan_alias(self, op: Operation, x: SSAValue, offset: int, unit: str) -> None:
        if x in self._constants:
            self._reachable(x, unit)
        for source in list(self._homes[x].values()):
            self._alias(op.results[0], source, offset)

    def _alias(self, value: SSAValue, source: Buffer, offset: int = 0) -> Buffer:
        alias = Buffer(value, source.memory, source=source, offset=offset)
        self.buffers.append(alias)
        self._homes.setdefault(value, {})[source.memory] = alias
        self._note(value, source.memory)
        return alias

    def _new(self, value: SSAValue, memory: str, port: str | None = None) -> Buffer:
        buffer = Buffer(value, memory, port=port)
        self.buffers.append(buffer)
        self._homes.setdefault(value, {})[memory] = buffer
        self._note(value, memory)
        return buffer

    def _note(self, value: SSAValue, memory: str) -> None:
        """Remember that the home is filled where we are; constants are filled from the start."""
        if self._scopes and value not in self._constants:
            self._scopes[-1].append((value, memory))

    def _home_near(self, value: SSAValue, memory: str) -> Buffer:
        """A buffer that holds ``value``, in ``memory`` if there is one."""
        homes = self._homes.get(value, {})
        if not homes:
            return self._constant_in(value, memory)
        return homes.get(memory) or next(iter(homes.values()))

    def _any_home(self, value: SSAValue) -> Buffer:
        return self._home_near(value, self.machine.port_memory)

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
        distance = self.machine.distance
        source = min(homes.values(), key=lambda home: distance(home.memory, memory))
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
    ) -> Slot:
        now = self._clock
        self._clock += 1
        for buffer in writes:
            if buffer.root.first < 0:
                buffer.root.first = now
        for buffer in (*reads, *writes):
            buffer.root.last = max(buffer.root.last, now)
        slot = Slot(unit, op, reads, writes)
        self._block.append(slot)
        return slot

    def _allocate(self) -> None:
        end = self._clock
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


def may_overwrite(value: SSAValue, argument: SSAValue, block: Block) -> bool:
    """Whether what makes ``value`` in ``block`` may write it over ``argument``, a block argument.

    Nothing may read the argument later, and what makes the value only element by element.
    """
    maker = _maker_in(value, block)
    if maker is None or (isinstance(maker, TensorOp) and maker.KIND == "update"):
        return False
    order = {op: i for i, op in enumerate(block.ops)}
    for user, is_direct in _readers(argument):
        at = block.find_ancestor_op_in_block(user)
        assert at is not None
        own = at is maker and is_direct and isinstance(maker, TensorOp) and maker.KIND == "map"
        if not own and order[at] >= order[maker]:
            return False
    return True


def _maker_in(value: SSAValue, block: Block) -> Operation | None:
    """The operation of ``block`` that computes ``value`` into a buffer, if there is one."""
    owner = value.owner
    if not isinstance(owner, Operation) or owner.parent is not block or not _takes_a_slot(owner):
        return None
    return owner


def _readers(value: SSAValue) -> Iterator[tuple[Operation, bool]]:
    """The operations that read ``value``, and whether they do so directly or through a view."""
    for use in value.uses:
        yield use.operation, True
        if renamed_offset(use.operation) is not None:
            for reader, _ in _readers(use.operation.results[0]):
                yield reader, False


def _is_plain(buffer: Buffer) -> bool:
    """Whether a buffer is whole, computed, and no port."""
    return buffer.source is None and buffer.constant is None and buffer.port is None


def _takes_a_slot(op: Operation) -> bool:
    return isinstance(op, (TensorOp, tile.MvmOp)) and renamed_offset(op) is None


def renamed_offset(op: Operation) -> int | None:
    """Byte offset when ``op`` is a view of consecutive elements in order; None otherwise."""
    if not isinstance(op, TensorOp) or op.KIND != "view":
        return None
    shape, attrs = shape_of(op.results[0]), op.attrs
    own = row_major(shape)
    same = all(n <= 1 or s == o for n, s, o in zip(shape, attrs["strides"], own, strict=True))
    return attrs["offset"] * dtype_of(op.results[0]).itemsize if same and 0 not in shape else None
