"""Give every value a buffer and every operation a slot on a unit

Reads the choices of ``place-tiles`` (attribute ``sites``) or ``assign-devices`` (attribute
``unit``) and writes the ``place`` level.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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

from ...backends.targets import HOST_BYTES, MemcapTarget, MeshTarget, Target, load_target
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
from ...errors import IRError
from ..placement.bufferize import HOST, Buffer, Machine, Planner, Slot
from ..placement.machine import grid_of
from ..placement.route import route_sites

#: Share of the on-chip buffer that constants may take.
CONSTANT_SHARE = 0.5


@dataclass(frozen=True)
class ConvertTileToPlace(ModulePass):
    """Rewrites ``func.func @main`` from SSA tensors to slots on buffers."""

    name = "convert-tile-to-place"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = load_target(self.target)
        for function in defined_functions(op):
            _convert(function, target)
        op.body.block.insert_ops_before([machine_op(target)], op.body.block.first_op)  # type: ignore[arg-type]


def machine_op(target: Target) -> place.MachineOp:
    """The machine of a target as the verifier sees it."""
    if isinstance(target, MemcapTarget):
        grid = grid_of(target)
        return _machine_op(
            target.name,
            "memcap",
            [grid.layers, grid.rows, grid.cols],
            [grid.array_rows, grid.array_cols],
            {"sram": target.sram.bytes, HOST: HOST_BYTES},
            {"crossbar": "sram", "vector": "sram", "control": "sram", "host": HOST},
            grid.active,
            target.controller.sequencers_per_layer,
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
            **({"sequencers": IntegerAttr(sequencers, 64)} if sequencers > 1 else {}),
        }
    )


def _planner(target: Target) -> Planner:
    if isinstance(target, MemcapTarget):
        sram = target.sram.bytes
        reach = frozenset({HOST})
        machine = Machine(
            unit_memory={"crossbar": "sram", "vector": "sram", "control": "sram", "host": HOST},
            memory_bytes={"sram": sram, HOST: HOST_BYTES},
            port_memory=HOST,
            reach={"crossbar": reach, "vector": reach, "control": reach},
            constant_bytes={"sram": int(sram * CONSTANT_SHARE)},
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
        case tile.MvmOp():
            return "crossbar"
        case tile.HostOp():
            return "host"
        case ControlOp():
            return "control"
        case _:
            return "vector"


def _mesh_unit(op: Operation, target: MeshTarget) -> str:
    unit = op.attributes.get("unit")
    return unit.data if isinstance(unit, StringAttr) else target.host.name


def port_names(function: func.FuncOp, attribute: str, count: int) -> list[str]:
    """Names of the model's inputs or outputs, or ``arg0``... when the IR has none."""
    names = function.attributes.get(attribute)
    if isinstance(names, ArrayAttr) and len(names) == count:
        return [n.data for n in names if isinstance(n, StringAttr)]
    return [f"{attribute.split('_')[0]}{i}" for i in range(count)]


def _convert(function: func.FuncOp, target: Target) -> None:
    block = function.body.block
    last = block.last_op
    if not isinstance(last, func.ReturnOp):
        raise IRError("a function must end with func.return")
    programs = [op for op in block.ops if isinstance(op, tile.ProgramOp)]
    work = [op for op in block.ops if not isinstance(op, (tile.ProgramOp, func.ReturnOp))]
    args = list(block.args)
    planner = _planner(target)
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
    writer = _Writer(new)
    for program in programs:
        writer.program(program, target)
    for buffer in planner.buffers:
        writer.buffer(buffer)
    for slot in planner.slots:
        writer.slot(slot)
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

    def __init__(self, block: Block) -> None:
        self.block = block
        self.values: dict[Buffer, SSAValue] = {}
        self.handles: dict[SSAValue, SSAValue] = {}
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
        else:
            unit = program.attributes.get("unit", StringAttr(target.host.name))
            properties["device"] = unit
        new = self.add(
            place.ProgramOp.create(properties=properties, result_types=[program.result.type])
        )
        new.location = program.location
        self.handles[program.result] = new.results[0]
        if isinstance(target, MemcapTarget):
            routes = route_sites(table_of(properties["sites"])[:, :3], grid_of(target))  # type: ignore[arg-type]
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
                handle = self.handles[slot.op.crossbar]
                op = place.MvmOp.create(
                    operands=[handle, *reads, *writes],
                    properties=properties
                    | ({"window": slot.op.window} if slot.op.window is not None else {})
                    | ({"unit": text_attr(slot.unit)} if slot.unit != "crossbar" else {}),
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
            attributes={k: v for k, v in slot.op.attributes.items() if k not in ("unit", "value")},
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
