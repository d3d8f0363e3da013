"""Give every value a buffer and every operation a slot on a unit

Reads the choices of ``place-tiles`` (attributes ``sites`` and ``rounds``) or ``assign-devices``
(attribute ``unit``) and writes the ``place`` level.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass

from ...backends.targets import HOST_BYTES, SUM_BYTES, MemcapTarget, MeshTarget, Target, load_target
from ...backends.targets.chips import on_chip, split_name
from ...backends.targets.defects import DefectTables
from ...dialects import graph, place, tile
from ...dialects.attributes import (
    WeightAttr,
    node_names,
    segment_sizes,
    table_attr,
    table_of,
)
from ...dialects.control import ControlOp
from ...dialects.functions import defined_functions
from ...dialects.interned import int_attr, text_attr
from ...dialects.tile_table import lots
from ...errors import IRError
from ..placement.bufferize import HOST, Buffer, Machine, Planner, Slot
from ..placement.machine import grid_of
from ..placement.route import route_tiles
from ..reload_groups import StreamedMatrix, written_together
from ..split_over_chips import CHIP, CHIPS

#: Share of the on-chip buffer that constants may take.
CONSTANT_SHARE = 0.5


@dataclass(frozen=True)
class ConvertTileToPlace(ModulePass):
    """Rewrites ``func.func @main`` from SSA tensors to slots on buffers."""

    name = "convert-tile-to-place"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target, chips = load_target(self.target), 1
        if isinstance(count := op.attributes.pop(CHIPS, None), IntegerAttr):
            chips = count.value.data
        for function in defined_functions(op):
            _convert(function, target, chips)
        op.body.block.insert_ops_before([machine_op(target, chips)], op.body.block.first_op)  # type: ignore[arg-type]


def machine_op(target: Target, chips: int = 1) -> place.MachineOp:
    """The machine of a target, or of several chips of it, as the verifier sees it."""
    if isinstance(target, MemcapTarget):
        grid = grid_of(target, chips)
        return _machine_op(
            target.name,
            "memcap",
            [grid.layers, grid.rows, grid.cols],
            [grid.array_rows, grid.array_cols],
            {on_chip(chip, "sram"): target.sram.bytes for chip in range(chips)}
            | {HOST: HOST_BYTES},
            _unit_memory(chips),
            grid.active,
            defects_attr(target),
            chips,
            sequencers=target.controller.sequencers_per_layer,
        )
    devices = target.devices
    return _machine_op(
        target.name,
        "mesh",
        [],
        [],
        {d.name: d.memory_bytes for d in devices},
        {d.name: d.name for d in devices},
        None,
    )


def _machine_op(
    name: str,
    machine: str,
    grid: Sequence[int],
    array: Sequence[int],
    memories: dict[str, int],
    units: dict[str, str],
    active: int | None,
    defects: DictionaryAttr | None = None,
    chips: int = 1,
    sequencers: int = 1,
) -> place.MachineOp:
    return place.MachineOp.create(
        properties={
            "target": StringAttr(name),
            "machine": StringAttr(machine),
            "grid": DenseArrayBase.from_list(i64, list(grid)),
            "array": DenseArrayBase.from_list(i64, list(array)),
            "memories": DictionaryAttr({k: IntegerAttr(v, 64) for k, v in memories.items()}),
            "units": DictionaryAttr({k: StringAttr(v) for k, v in units.items()}),
            **({"active": IntegerAttr(active, 64)} if active is not None else {}),
            **({"defects": defects} if defects is not None else {}),
            **({"chips": IntegerAttr(chips, 64)} if chips > 1 else {}),
            **({"sequencers": IntegerAttr(sequencers, 64)} if sequencers > 1 else {}),
        }
    )


def defects_attr(target: MemcapTarget) -> DictionaryAttr | None:
    """What is broken on the chip, as tables; None where nothing is."""
    tables = asdict(DefectTables.of(target))
    found = {name: table_attr(table) for name, table in tables.items() if len(table)}
    return DictionaryAttr(found) if found else None


def _unit_memory(chips: int) -> dict[str, str]:
    """The memory of each unit; all of a chip's work in its buffer."""
    near = {
        on_chip(chip, unit): on_chip(chip, "sram")
        for chip in range(chips)
        for unit in ("crossbar", "vector", "control")
    }
    return near | {"host": HOST}


def _links_between(source: str, target: str) -> int:
    """Links between the chips of two memories; the host is beside all of them."""
    if HOST in (source, target):
        return 0
    return abs(split_name(source)[0] - split_name(target)[0])


def _planner(target: Target, chips: int) -> Planner:
    if isinstance(target, MemcapTarget):
        units = _unit_memory(chips)
        memories = {name: target.sram.bytes for name in units.values() if name != HOST}
        machine = Machine(
            unit_memory=units,
            memory_bytes=memories | {HOST: HOST_BYTES},
            port_memory=HOST,
            reach={unit: frozenset({HOST}) for unit in units if unit != "host"},
            constant_bytes={name: int(size * CONSTANT_SHARE) for name, size in memories.items()},
            distance=_links_between,
        )
        return Planner(machine, _memcap_unit)
    machine = Machine(
        unit_memory={d.name: d.name for d in target.devices},
        memory_bytes={d.name: d.memory_bytes for d in target.devices},
        port_memory=target.host.name,
    )
    return Planner(machine, lambda op: _mesh_unit(op, target))


def _memcap_unit(op: Operation) -> str:
    match op:
        case tile.HostOp():
            return "host"
        case tile.MvmOp():
            unit = "crossbar"
        case ControlOp():
            unit = "control"
        case _:
            unit = "vector"
    return on_chip(_chip_of(op), unit)


def _chip_of(op: Operation | None) -> int:
    """The chip of an operation, or of the control flow that it is in."""
    while op is not None:
        if isinstance(chip := op.attributes.get(CHIP), IntegerAttr):
            return chip.value.data
        op = op.parent_op()
    return 0


def _mesh_unit(op: Operation, target: MeshTarget) -> str:
    unit = op.attributes.get("unit")
    return unit.data if isinstance(unit, StringAttr) else target.host.name


def port_names(function: func.FuncOp, attribute: str, count: int) -> list[str]:
    """Names of the model's inputs or outputs, or ``arg0``... when the IR has none."""
    names = function.attributes.get(attribute)
    if isinstance(names, ArrayAttr) and len(names) == count:
        return [n.data for n in names if isinstance(n, StringAttr)]
    return [f"{attribute.split('_')[0]}{i}" for i in range(count)]


def _convert(function: func.FuncOp, target: Target, chips: int) -> None:
    block = function.body.block
    last = block.last_op
    if not isinstance(last, func.ReturnOp):
        raise IRError("a function must end with func.return")
    programs = [op for op in block.ops if isinstance(op, tile.ProgramOp)]
    work = [op for op in block.ops if not isinstance(op, (tile.ProgramOp, func.ReturnOp))]
    args = list(block.args)
    planner = _planner(target, chips)
    planner.plan(
        work,
        list(zip(args, port_names(function, "input_names", len(args)), strict=True)),
        list(
            zip(
                last.operands,
                port_names(function, "output_names", len(last.operands)),
                strict=True,
            )
        ),
    )
    new = Block()
    writer = _Writer(new, chips)
    for program in programs:
        writer.program(program, target)
    for buffer in planner.buffers:
        writer.buffer(buffer)
    writer.slots_of(planner.slots)
    new.add_op(func.ReturnOp())
    _replace_body(function, new)


def _replace_body(function: func.FuncOp, new: Block) -> None:
    for op in reversed(list(function.body.block.ops)):
        op.detach()
        op.drop_all_references()
    function.body.detach_block(function.body.block)
    function.body.add_block(new)
    function.properties["function_type"] = FunctionType.from_lists([], [])


class _Writer:
    """Writes planned buffers and slots as ops."""

    def __init__(self, block: Block, chips: int) -> None:
        self.block, self.chips = block, chips
        self.values: dict[Buffer, SSAValue] = {}
        self.handles: dict[SSAValue, SSAValue] = {}
        self.streamed: dict[SSAValue, StreamedMatrix] = {}
        self.slots = 0

    def add(self, op: Operation) -> Operation:
        self.block.add_op(op)
        return op

    def program(self, program: tile.ProgramOp, target: Target) -> None:
        properties = dict(program.properties)
        if "tiles" not in properties:
            raise IRError("tile.program is not cut into tiles", help="run cut-tiles first")
        if isinstance(target, MemcapTarget):
            sites = program.attributes.get("sites")
            if not isinstance(sites, DenseIntOrFPElementsAttr):
                raise IRError("tile.program has no sites", help="run place-tiles first")
            properties["sites"] = sites
            if (fixed := program.attributes.get("fixed")) is not None:
                properties["fixed"] = fixed
            if (rounds := program.attributes.get("rounds")) is not None:
                properties["rounds"] = rounds
                self.streamed[program.result] = StreamedMatrix.of(table_of(sites), table_of(rounds))  # type: ignore[arg-type]
        else:
            unit = program.attributes.get("unit", StringAttr(target.host.name))
            properties["device"] = unit
        new = place.ProgramOp.create(properties=properties, result_types=[program.result.type])
        self.add(new)
        new.location = program.location
        self.handles[program.result] = new.results[0]
        if isinstance(target, MemcapTarget):
            table, copy = table_of(properties["sites"]), new.copy_of_tile  # type: ignore[arg-type]
            one = np.zeros(len(table), np.int64)
            lot = lots(table, new.round_table, one if copy is None else copy)
            grid, sizes = grid_of(target), (target.code_bytes, SUM_BYTES)
            routes = route_tiles(program.tile_table, table, lot, grid, *sizes)
            self.add(
                place.RouteOp.create(
                    operands=[new.results[0]], properties={"table": table_attr(routes)}
                )
            )

    def buffer(self, buffer: Buffer) -> None:
        type_ = buffer.type
        if buffer.source is not None:
            op: Operation = place.AliasOp.create(
                operands=[self.values[buffer.source]],
                properties={"offset": int_attr(buffer.offset)},
                result_types=[type_],
            )
        else:
            op = place.BufferOp.create(properties=_buffer_properties(buffer), result_types=[type_])
        name = _value_name(buffer.value) if buffer.run is None else None
        if name is not None:
            op.attributes["value"] = name
        self.values[buffer] = self.add(op).results[0]

    def slots_of(self, slots: Sequence[Slot]) -> None:
        """Write the slots of the function, and the reloads of streamed matrices.

        Matrices whose arrays are apart are written together, as soon as the product of the last
        one before them has left the arrays, so that digital work goes on meanwhile.
        """
        groups = written_together(slots, self.streamed)
        ends = {before[-1]: after for before, after in pairwise(groups)}
        self._reload(groups[0] if groups else ())
        for slot in slots:
            self.slot(slot)
            self._reload(ends.get(slot, ()))

    def _reload(self, uses: Sequence[Slot]) -> None:
        """Write the matrices of ``uses``, each once."""
        first: dict[SSAValue, Operation] = {}
        for use in uses:
            assert isinstance(use.op, tile.MvmOp)
            first.setdefault(use.op.crossbar, use.op)
        for matrix, product in first.items():
            properties: dict[str, Attribute] = {"slot": int_attr(self.slots)}
            self.slots += 1
            if names := node_names(product):
                properties["node"] = StringAttr(" + ".join(names))
            operands = [self.handles[matrix]]
            op = self.add(place.ReloadOp.create(operands=operands, properties=properties))
            op.location = product.location

    def slot(self, slot: Slot) -> None:
        reads = [self.values[b] for b in slot.reads]
        writes = [self.values[b] for b in slot.writes]
        properties: dict[str, Attribute] = {"slot": int_attr(self.slots)}
        self.slots += 1
        origin = slot.op if slot.op is not None else _producer(slot.reads[0].value)
        if origin is not None and (names := node_names(origin)):
            properties["node"] = StringAttr(" + ".join(names))
        match slot.op:
            case None:
                op: Operation = place.MoveOp.create(
                    operands=[*reads, *writes], properties=properties
                )
            case tile.MvmOp():
                handle, (_, local) = self.handles[slot.op.crossbar], split_name(slot.unit)
                op = place.MvmOp.create(
                    operands=[handle, *reads, *writes],
                    properties=properties
                    | ({"window": slot.op.window} if slot.op.window is not None else {})
                    | ({} if local == "crossbar" else {"unit": text_attr(slot.unit)}),
                )
            case tile.IfOp() | tile.LoopOp():
                op = self._control(slot, reads, writes, properties)
            case _:
                op = self._stage(slot, reads, writes, properties)
        if origin is not None:
            op.location = origin.location
        self.add(op)

    def _control(
        self,
        slot: Slot,
        reads: list[SSAValue],
        writes: list[SSAValue],
        properties: dict[str, Attribute],
    ) -> Operation:
        around, regions = self.block, []
        for slots in slot.blocks:
            self.block = Block()
            for inner in slots:
                self.slot(inner)
            regions.append(Region(self.block))
        self.block = around
        if isinstance(slot.op, tile.IfOp):
            return place.IfOp.create(operands=reads, properties=properties, regions=regions)
        assert isinstance(slot.op, tile.LoopOp)
        given = (slot.op.trip is not None, slot.op.conditional is not None)
        properties |= {"max_trips": slot.op.max_trips, **segment_sizes(1, *map(int, given))}
        return place.LoopOp.create(
            operands=[*writes, *reads], properties=properties, regions=regions
        )

    @staticmethod
    def _stage(
        slot: Slot, reads: list[SSAValue], writes: list[SSAValue], properties: dict[str, Attribute]
    ) -> Operation:
        assert slot.op is not None
        block = Block(arg_types=[b.value.type for b in slot.reads])
        work = type(slot.op).create(
            operands=block.args,
            result_types=slot.op.result_types,
            properties=slot.op.properties,
            attributes={
                k: v for k, v in slot.op.attributes.items() if k not in ("unit", "value", CHIP)
            },
            regions=[slot.op.detach_region(region) for region in list(slot.op.regions)],
        )
        block.add_op(work)
        block.add_op(place.YieldOp.create(operands=list(work.results)))
        return place.StageOp.create(
            operands=[*reads, *writes],
            properties={
                "unit": text_attr(slot.unit),
                **properties,
                **segment_sizes(len(reads), len(writes)),
            },
            regions=[Region(block)],
        )


def _buffer_properties(buffer: Buffer) -> dict[str, Attribute]:
    properties: dict[str, Attribute] = {
        "memory": text_attr(buffer.memory),
        "offset": int_attr(buffer.offset),
    }
    if buffer.constant is not None:
        value = buffer.constant.value
        properties["init" if isinstance(value, WeightAttr) else "literal"] = value
    if buffer.port is not None:
        properties["port"] = StringAttr(buffer.port)
    return properties


def _producer(value: SSAValue) -> Operation | None:
    return value.owner if isinstance(value.owner, Operation) else None


def _value_name(value: SSAValue) -> StringAttr | None:
    owner = _producer(value)
    if owner is None or isinstance(owner, graph.ConstantOp):
        return None
    name = owner.attributes.get("value")
    if isinstance(name, StringAttr):
        return name
    names = owner.attributes.get("values")
    if isinstance(names, ArrayAttr):
        item = names.data[owner.results.index(value)]
        return item if isinstance(item, StringAttr) else None
    return None
