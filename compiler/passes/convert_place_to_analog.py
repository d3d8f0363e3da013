"""Turn placed slots into the instruction streams of the chip's controllers

    place.program, place.route -> analog.program              tiles sorted by layer
    place.reload -> in each layer with streamed tiles: analog.reload
    place.mvm    -> in each layer: drive, integrate, convert, accumulate
    place.stage  -> analog.vector or analog.host              place.move -> analog.move
    place.if, place.loop -> analog.if, analog.loop            with streams of their own inside

Streams (``layerN.M``, ``vector``, ``dma``, ``host``, ``control``, and ``chip1.vector`` ... of
further chips) keep the order of the slots;
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

from ...backends.targets.chips import on_chip, split_name
from ...dialects import analog, place
from ...dialects.attributes import segment_sizes, table_attr, table_of
from ...dialects.functions import defined_functions
from ...dialects.interned import int_attr, ints_attr
from ...dialects.route_table import reordered
from ...dialects.tile_table import tile_order
from ...dialects.units import CONTROL_UNIT, HOST_UNIT, UNITS_OF_A_CHIP, layer_unit, place_of_unit
from ...errors import IRError
from ..placement.hazards import HazardTracker, Range
from ..placement.issue import EventOrder, StackGuard
from .check_placement import is_slot

#: Properties of a placed matrix that no instruction needs.
_ONLY_PLACED = ("device", "fixed", "energy")


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
    """A programmed matrix: its handle, and the ranges of its tiles that are driven together."""

    handle: SSAValue
    parts: tuple["_Part", ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """Tiles ``first .. end`` of a matrix in one layer: who drives them, and their stacks; all stay,
    or all are streamed."""

    unit: str
    layer: int
    first: int
    end: int
    stacks: np.ndarray
    streamed: bool


def _convert(block: Block, machine: place.MachineOp) -> None:
    routes = {op.crossbar: op.table for op in block.ops if isinstance(op, place.RouteOp)}
    programs = [op for op in block.ops if isinstance(op, place.ProgramOp)]
    deal = _Dealer(_sequencers(machine))
    matrices: dict[SSAValue, _Matrix] = {
        op.result: _program(op, number, routes.get(op.result), machine, deal)
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
    machine: place.MachineOp,
    deal: "_Dealer",
) -> _Matrix:
    """Insert the analog program before ``op``; its tables are permuted together."""
    if op.sites is None or route is None:
        raise IRError(
            f"matrix {op.weight.data} needs sites and a place.route",
            help="run place-tiles and convert-tile-to-place first",
        )
    sites, rounds = table_of(op.sites), op.round_table
    order = tile_order(sites, rounds)
    properties = {k: v for k, v in op.properties.items() if k not in _ONLY_PLACED}
    properties["matrix"] = int_attr(number)
    tables = {"tiles": op.tiles, "sites": op.sites}
    optional = {
        "adc_range": op.adc_range,
        "lossless": op.lossless,
        "rounds": op.rounds,
        "copy": op.copy,
    }
    tables |= {name: table for name, table in optional.items() if table is not None}
    properties |= {name: table_attr(table_of(table)[order]) for name, table in tables.items()}
    properties["routes"] = table_attr(reordered(table_of(route), order))
    new = analog.ProgramOp.create(properties=properties, result_types=[op.result.type])
    new.location = op.location
    Rewriter.insert_op(new, InsertPoint.before(op))
    return _Matrix(new.result, _parts(sites[order], rounds[order] > 0, machine, deal))


def _sequencers(machine: place.MachineOp) -> int:
    return 1 if machine.sequencers is None else machine.sequencers.value.data


class _Dealer:
    """Deals the matrices of each layer to its sequencers in turn."""

    def __init__(self, sequencers: int) -> None:
        self._sequencers = sequencers
        self._next: dict[int, int] = {}

    def __call__(self, layer: int, streamed: bool) -> str:
        """The unit of the next matrix of ``layer``; the first one has all that are streamed."""
        if streamed:
            return layer_unit(layer)
        number = self._next.get(layer, 0)
        self._next[layer] = (number + 1) % self._sequencers
        return layer_unit(layer, number)


def _parts(
    sites: np.ndarray, streamed: np.ndarray, machine: place.MachineOp, deal: _Dealer
) -> tuple[_Part, ...]:
    """Runs of tiles in one layer, those that stay apart from those that are streamed."""
    change = (np.diff(sites[:, 0]) != 0) | (streamed[1:] != streamed[:-1])
    cuts = [0, *(np.flatnonzero(change) + 1).tolist(), len(sites)]
    layers, rows, columns = machine.grid.get_values()
    chip = sites[:, 0].astype(np.int64) // (layers // machine.chip_count)
    stack = (chip * rows + sites[:, 1]) * columns + sites[:, 2]
    parts = []
    for first, end in pairwise(cuts):
        layer, moves = int(sites[first, 0]), bool(streamed[first])
        stacks = np.unique(stack[first:end])
        parts.append(_Part(deal(layer, moves), layer, first, end, stacks, moves))
    return tuple(parts)


class _Issuer:
    """Writes the instructions of slots in program order into their streams."""

    def __init__(self, machine: place.MachineOp, matrices: Mapping[SSAValue, _Matrix]) -> None:
        layers, rows, columns = machine.grid.get_values()
        chips = machine.chip_count
        chip_layers = layers // chips
        active = machine.active.value.data if machine.active is not None else chip_layers
        shared = [on_chip(chip, unit) for chip in range(chips) for unit in UNITS_OF_A_CHIP]
        used = {part.unit for matrix in matrices.values() for part in matrix.parts}
        self.machine = machine
        self.digital = [*shared, HOST_UNIT]
        self.units = [*sorted(used, key=place_of_unit), *self.digital, CONTROL_UNIT]  # type: ignore[arg-type]
        self.stream_of = {unit: stream for stream, unit in enumerate(self.units)}
        self.streams: list[list[Operation]] = [[] for _ in self.units]
        self.order = EventOrder(len(self.units))
        several = _sequencers(machine) > 1
        self.guard = StackGuard(chips * rows * columns, chip_layers, active, several)
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
            case place.ReloadOp():
                self._reload(op)
            case place.MvmOp():
                self._product(op)
            case place.MoveOp():
                self._digital(op, _mover(op), [op.source], [op.target])
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

    def _reload(self, op: place.ReloadOp) -> None:
        """A stream keeps order, and a layer has one for all that is streamed: so its arrays are
        written when their products are over."""
        matrix = self.matrices[op.crossbar]
        for part in matrix.parts:
            if part.streamed:
                stream = self.stream_of[part.unit]
                waits = self.guard.enter(part.stacks, part.layer)
                properties = {"tiles": ints_attr((part.first, part.end)), **_node(op)}
                event = self.order.events
                self._issue(stream, waits, analog.ReloadOp, [matrix.handle], properties, op)
                self.guard.leave(part.layer, event)

    def _product(self, op: place.MvmOp) -> None:
        matrix = self.matrices[op.crossbar]
        first: int | None = None
        for part in matrix.parts:
            layer, stacks, handle = part.layer, part.stacks, matrix.handle
            stream = self.stream_of[part.unit]
            tiles: dict[str, Attribute] = {"tiles": ints_attr((part.first, part.end))}
            drive = tiles | ({"window": op.window} if op.window is not None else {})
            driven = self.order.events
            waits = self.hazards.read([_range(op.x)], driven) | self.guard.enter(stacks, layer)
            self._issue(stream, waits, analog.DriveOp, [handle, op.x], drive, op)
            self._issue(stream, set(), analog.IntegrateOp, [handle], tiles, op)
            self.guard.leave(layer, self.order.events)
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
        if unit not in self.digital:
            known = (*UNITS_OF_A_CHIP, HOST_UNIT)
            raise IRError(f"a stage must run on one of {known} of a chip, not {unit}")
        event = self.order.events
        waits = self.hazards.read([_range(v) for v in reads], event)
        waits |= self.hazards.write([_range(v) for v in writes], event)
        kinds = {"dma": analog.MoveOp, "vector": analog.VectorOp, "host": analog.HostOp}
        cls = kinds[split_name(unit)[1]]
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


def _mover(op: place.MoveOp) -> str:
    """The ``dma`` that makes a move: that of the chip that gets it, or hands it to the host."""
    source, target = (place.root_of(v)[0].memory.data for v in (op.source, op.target))
    return on_chip(split_name(source if target == HOST_UNIT else target)[0], "dma")


def _node(op: place.ReloadOp | place.MvmOp | place.StageOp | place.MoveOp) -> dict[str, Attribute]:
    return {"node": op.node} if op.node is not None else {}
