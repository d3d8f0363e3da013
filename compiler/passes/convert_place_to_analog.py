"""Turn placed slots into the instruction streams of the chip's controllers

    place.program, place.route -> analog.program              tiles sorted by layer
    place.mvm    -> in each layer: drive, integrate, convert, accumulate
    place.stage  -> analog.vector or analog.host              place.move -> analog.move
    place.if, place.loop -> analog.if, analog.loop            with streams of their own inside

Streams (``layerN.M``, ``vector``, ``dma``, ``host``, ``control``) keep the order of the slots;
``analog.sync`` is written only where another stream must have finished first: bytes read after they
were written, bytes written after others are done with them, stacks with too many layers at work.
Control flow waits for everything before it, and everything behind waits for it. The matrices of a
layer are dealt to its sequencers in turn, so that stages that follow each other can overlap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    ModuleOp,
    StringAttr,
    UnitAttr,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ...dialects import analog, place
from ...dialects.attributes import segment_sizes, table_attr, table_of
from ...dialects.functions import defined_functions
from ...dialects.interned import int_attr, ints_attr
from ...dialects.units import CONTROL_UNIT, DIGITAL_UNITS, layer_unit, place_of_unit
from ...errors import IRError
from ..placement.hazards import HazardTracker, Range
from ..placement.issue import EventOrder, StackGuard
from .check_placement import is_slot


@dataclass(frozen=True)
class ConvertPlaceToAnalog(ModulePass):
    """Rewrites every function of a module placed on a memcap machine."""

    name = "convert-place-to-analog"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        machines = [m for m in op.ops if isinstance(m, place.MachineOp)]
        if len(machines) != 1 or machines[0].machine.data != "memcap":
            raise IRError(
                "convert-place-to-analog needs one place.machine of kind memcap",
                help="run place-tiles and convert-tile-to-place for a memcap target first",
            )
        for function in defined_functions(op):
            _convert(function.body.block, machines[0])


@dataclass(frozen=True, slots=True)
class _Matrix:
    """A programmed matrix: its handle, and what each of its layers drives."""

    handle: SSAValue
    parts: tuple["_Part", ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """Tiles ``first .. end`` of a matrix, in one layer: who drives them, and their stacks."""

    unit: str
    layer: int
    first: int
    end: int
    stacks: np.ndarray


def _convert(block: Block, machine: place.MachineOp) -> None:
    routes = {op.crossbar: op.table for op in block.ops if isinstance(op, place.RouteOp)}
    programs = [op for op in block.ops if isinstance(op, place.ProgramOp)]
    columns = machine.grid.get_values()[2]
    deal = _Dealer(1 if machine.sequencers is None else machine.sequencers.value.data)
    matrices: dict[SSAValue, _Matrix] = {
        op.result: _program(op, number, routes.get(op.result), columns, deal)
        for number, op in enumerate(programs)
    }
    slots = _slots_of(block)
    controllers = _issue(slots, machine, matrices)
    end = InsertPoint.before(block.last_op)  # type: ignore[arg-type]
    Rewriter.insert_op(controllers, end)
    dead: list[Operation] = [op for op in block.ops if isinstance(op, place.RouteOp)]
    for op in [*slots, *dead, *programs]:
        op.detach()
        op.erase()


def _slots_of(block: Block) -> list[Operation]:
    """The slots of a block in their order."""
    slots = [op for op in block.ops if is_slot(op)]
    return sorted(slots, key=lambda op: op.slot.value.data)


def _issue(
    slots: Sequence[Operation],
    machine: place.MachineOp,
    matrices: Mapping[SSAValue, _Matrix],
) -> list[Operation]:
    """The controllers that issue ``slots``; events count from 0."""
    issuer = _Issuer(machine, matrices)
    for slot in slots:
        issuer.slot(slot)
    return issuer.controllers()


def _program(
    op: place.ProgramOp,
    number: int,
    route: DenseIntOrFPElementsAttr | None,
    columns: int,
    deal: "_Dealer",
) -> _Matrix:
    """Insert the analog program before ``op``; its tables are permuted together."""
    if op.sites is None or route is None:
        raise IRError(
            f"matrix {op.weight.data} needs sites and a place.route",
            help="run place-tiles and convert-tile-to-place first",
        )
    sites = table_of(op.sites)
    order = np.argsort(sites[:, 0], kind="stable")
    properties = {k: v for k, v in op.properties.items() if k != "device"}
    properties["matrix"] = int_attr(number)
    tables = {"tiles": op.tiles, "sites": op.sites, "routes": route}
    tables |= {
        name: table
        for name, table in (
            ("adc_range", op.adc_range),
            ("lossless", op.lossless),
            ("copy", op.copy),
        )
        if table is not None
    }
    properties |= {name: table_attr(table_of(table)[order]) for name, table in tables.items()}
    new = analog.ProgramOp.create(properties=properties, result_types=[op.result.type])
    new.location = op.location
    Rewriter.insert_op(new, InsertPoint.before(op))
    sites = sites[order]
    cuts = [0, *(np.flatnonzero(np.diff(sites[:, 0])) + 1).tolist(), len(sites)]
    parts = []
    for first, end in pairwise(cuts):
        stacks = np.unique(sites[first:end, 1].astype(np.int64) * columns + sites[first:end, 2])
        layer = int(sites[first, 0])
        parts.append(_Part(deal(layer), layer, first, end, stacks))
    return _Matrix(new.result, tuple(parts))


class _Dealer:
    """Deals the matrices of each layer to its sequencers in turn."""

    def __init__(self, sequencers: int) -> None:
        self._sequencers = sequencers
        self._next: dict[int, int] = {}

    def __call__(self, layer: int) -> str:
        """The unit of the next matrix of ``layer``."""
        number = self._next.get(layer, 0)
        self._next[layer] = (number + 1) % self._sequencers
        return layer_unit(layer, number)


class _Issuer:
    """Writes the instructions of slots in program order into their streams."""

    def __init__(self, machine: place.MachineOp, matrices: Mapping[SSAValue, _Matrix]) -> None:
        layers, rows, columns = machine.grid.get_values()
        active = machine.active.value.data if machine.active is not None else layers
        self.machine = machine
        used = {part.unit for matrix in matrices.values() for part in matrix.parts}
        self.units = [*sorted(used, key=place_of_unit), *DIGITAL_UNITS, CONTROL_UNIT]  # type: ignore[arg-type]
        self.stream_of = {unit: stream for stream, unit in enumerate(self.units)}
        self.streams: list[list[Operation]] = [[] for _ in self.units]
        self.order = EventOrder(len(self.units))
        sequencers = 1 if machine.sequencers is None else machine.sequencers.value.data
        self.guard = StackGuard(rows * columns, layers, active, sequencers > 1)
        self.hazards = HazardTracker()
        self.matrices = matrices
        #: The event of the last control flow, which all that comes later waits for.
        self._barrier: set[int] = set()

    def controllers(self) -> list[Operation]:
        """A controller for every stream that has instructions."""
        return [
            analog.ControllerOp.create(
                properties={"unit": StringAttr(unit)}, regions=[Region(Block(ops))]
            )
            for unit, ops in zip(self.units, self.streams, strict=True)
            if ops
        ]

    def slot(self, op: Operation) -> None:
        match op:
            case place.MvmOp():
                self._product(op)
            case place.MoveOp():
                self._digital(op, "dma", [op.source], [op.target])
            case place.StageOp():
                self._digital(op, op.unit.data, op.ins, op.outs)
            case place.IfOp() | place.LoopOp():
                self._control(op)

    def _control(self, op: place.IfOp | place.LoopOp) -> None:
        """Control flow with the controllers of its blocks; nothing runs beside it."""
        everything = {self.order.last(stream) for stream in range(len(self.units))} - {-1}
        cls = analog.IfOp if isinstance(op, place.IfOp) else analog.LoopOp
        regions = [
            Region(Block(_issue(_slots_of(block), self.machine, self.matrices)))
            for block in op.blocks
        ]
        properties = {name: attr for name, attr in op.properties.items() if name != "slot"}
        self._barrier = {self.order.events}
        stream = self.stream_of[CONTROL_UNIT]
        self._issue(stream, everything, cls, list(op.operands), properties, op, regions)

    def _issue(
        self,
        stream: int,
        waits: set[int],
        cls: type[Operation],
        operands: Sequence[SSAValue],
        properties: Mapping[str, Attribute],
        origin: Operation,
        regions: Sequence[Region] = (),
    ) -> None:
        """Append an instruction, after a sync where it must wait for other streams."""
        barrier = {event for event in self._barrier if event < self.order.events}
        needed = self.order.waits(stream, waits | barrier)
        if needed:
            events = ints_attr(needed)
            self._append(stream, analog.SyncOp.create(properties={"events": events}), origin)
        event = {"event": int_attr(self.order.issue(stream))}
        new = cls.create(operands=operands, properties={**properties, **event}, regions=regions)
        self._append(stream, new, origin)

    def _append(self, stream: int, op: Operation, origin: Operation) -> None:
        op.location = origin.location
        self.streams[stream].append(op)

    def _product(self, op: place.MvmOp) -> None:
        matrix = self.matrices[op.crossbar]
        first: int | None = None
        for part in matrix.parts:
            tiles: dict[str, Attribute] = {"tiles": ints_attr((part.first, part.end))}
            handle, stream = matrix.handle, self.stream_of[part.unit]
            driven = self.order.events
            waits = self.hazards.read([_range(op.x)], driven) | self.guard.enter(
                part.stacks, part.layer
            )
            drive = tiles | ({"window": op.window} if op.window is not None else {})
            self._issue(stream, waits, analog.DriveOp, [handle, op.x], drive, op)
            self._issue(stream, set(), analog.IntegrateOp, [handle], tiles, op)
            self.guard.leave(part.layer, self.order.events)
            self._issue(stream, set(), analog.ConvertOp, [handle], tiles, op)
            properties: dict[str, Attribute] = {**tiles, **_node(op)}
            done = self.order.events
            if first is None:
                first = done
                waits = self.hazards.write([_range(op.y)], done)
                properties["init"] = UnitAttr()
            else:
                waits = {first}
                self.hazards.also_wrote([_range(op.y)], done)
            self._issue(stream, waits, analog.AccumulateOp, [handle, op.y], properties, op)

    def _digital(
        self,
        op: place.StageOp | place.MoveOp,
        unit: str,
        reads: Sequence[SSAValue],
        writes: Sequence[SSAValue],
    ) -> None:
        if unit not in DIGITAL_UNITS:
            raise IRError(f"a stage must run on one of {DIGITAL_UNITS}, not {unit}")
        event = self.order.events
        waits = self.hazards.read([_range(v) for v in reads], event)
        waits |= self.hazards.write([_range(v) for v in writes], event)
        cls = {"dma": analog.MoveOp, "vector": analog.VectorOp, "host": analog.HostOp}[unit]
        properties, regions = _node(op), []
        if isinstance(op, place.StageOp):
            properties |= segment_sizes(len(reads), len(writes))
            regions = [op.detach_region(op.body)]
        stream = self.stream_of[unit]
        self._issue(stream, waits, cls, [*reads, *writes], properties, op, regions)


def _range(value: SSAValue) -> Range:
    """The bytes of a buffer."""
    root, offset = place.root_of(value)
    assert isinstance(value.type, place.BufferType)
    start = root.offset.value.data + offset
    return root.memory.data, start, start + value.type.nbytes


def _node(op: place.MvmOp | place.StageOp | place.MoveOp) -> dict[str, Attribute]:
    return {"node": op.node} if op.node is not None else {}
