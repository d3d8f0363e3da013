"""Refuse a placement that breaks a rule of the machine

Reads only the IR: sites, routes and buffers as they stand, whoever made them. Lists all faults.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from ...backends.targets.chips import within_chip
from ...backends.targets.defects import DefectTables
from ...dialects import place
from ...dialects.attributes import table_of
from ...dialects.control import control_blocks, nested_blocks
from ...dialects.functions import defined_functions
from ...dialects.route_table import ROUTE_COLUMNS
from ...errors import IRError
from ..context import say_unchanged
from ..placement.check import PlacedMatrix, check_matrices
from ..placement.check_buffers import Access, PlacedBuffer, SlotUse, check_buffers
from ..placement.check_heat import check_heat
from ..placement.check_residency import ArrayUse, check_residency
from ..placement.heat import Heat, StackHeat, stack_heat
from ..placement.machine import SiteGrid
from ..rewriting import whole_ops

_SLOTS = (place.ReloadOp, place.MvmOp, place.StageOp, place.MoveOp, place.IfOp, place.LoopOp)


@dataclass(frozen=True)
class CheckPlacement(ModulePass):
    """Raises IRError with every fault; leaves the IR as it is."""

    name = "check-placement"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        faults = placement_faults(op)
        if faults:
            raise IRError(
                f"the placement breaks {len(faults)} rule(s): {faults[0]}",
                faults=[IRError(fault) for fault in faults],
            )
        say_unchanged(ctx)


def placement_faults(module: ModuleOp) -> list[str]:
    """Every broken rule of a module at the ``place`` level, in words."""
    machines = [op for op in module.ops if isinstance(op, place.MachineOp)]
    if len(machines) != 1:
        return [f"a placed module needs one place.machine, got {len(machines)}"]
    machine = machines[0]
    faults = []
    if machine.machine.data == "memcap":
        defects = DefectTables(**machine.defect_tables)
        matrices = _matrices(module)
        placed, grid = list(matrices.values()), _grid(machine)
        faults += check_matrices(placed, grid, defects)
        faults += check_residency(placed, _array_uses(module, list(matrices)), grid)
        if not faults:
            faults += _heat_faults(module, machine)
    return faults + _unit_faults(module, machine) + _buffer_faults(module, machine)


def _grid(machine: place.MachineOp) -> SiteGrid:
    layers, rows, cols = machine.grid.get_values()
    array_rows, array_cols = machine.array.get_values()
    active = machine.active.value.data if machine.active is not None else layers
    return SiteGrid(layers, rows, cols, array_rows, array_cols, active, machine.chip_count)


def _matrices(module: ModuleOp) -> dict[SSAValue, PlacedMatrix]:
    """The matrices in arrays, by their handles."""
    routes: dict[SSAValue, np.ndarray] = {
        op.crossbar: table_of(op.table) for op in whole_ops(module) if isinstance(op, place.RouteOp)
    }
    return {
        op.result: PlacedMatrix(
            op.weight.data,
            table_of(op.tiles),
            table_of(op.sites),
            routes.get(op.result, np.empty((0, len(ROUTE_COLUMNS)), np.int32)),
            None if op.rounds is None else table_of(op.rounds),
            None if op.fixed is None else table_of(op.fixed),
            op.copy_of_tile,
        )
        for op in whole_ops(module)
        if isinstance(op, place.ProgramOp) and op.sites is not None
    }


def _array_uses(module: ModuleOp, handles: Sequence[SSAValue]) -> list[ArrayUse]:
    """The slots that write or drive arrays, in the order of slots."""
    number = {handle: n for n, handle in enumerate(handles)}
    uses = []
    for function in defined_functions(module):
        body = function.body.block
        for block in nested_blocks(body):
            for op in block.ops:
                if isinstance(op, (place.ReloadOp, place.MvmOp)) and op.crossbar in number:
                    kind: Literal["reload", "product"] = "product"
                    if isinstance(op, place.ReloadOp):
                        kind = "reload"
                    matrix, slot = number[op.crossbar], op.slot.value.data
                    uses.append(ArrayUse(slot, _slot_name(op), kind, matrix, block is not body))
    return sorted(uses, key=lambda use: use.slot)


def _heat_faults(module: ModuleOp, machine: place.MachineOp) -> list[str]:
    """What is too hot; what a machine is held to must be known of all its matrices."""
    silent = [
        op.weight.data
        for op in whole_ops(module)
        if isinstance(op, place.ProgramOp) and op.sites is not None and op.energy is None
    ]
    if machine.heat is not None and silent:
        return [f"{silent[0]} must say its energy, as its machine says how it warms"]
    known = placement_heat(module)
    if known is None:
        return []
    heat, chips = known
    return [fault for found in chips for fault in check_heat(heat, found)]


def placement_heat(module: ModuleOp) -> tuple[Heat, list[StackHeat]] | None:
    """What the machine says of heat, and what the placement makes of it on each chip.

    None where the machine does not say how it warms, or no tile what it takes (``estimate-heat``).
    """
    machine = next(op for op in module.ops if isinstance(op, place.MachineOp))
    numbers = machine.heat_numbers
    tables = [
        (table_of(op.sites), table_of(op.energy))
        for op in whole_ops(module)
        if isinstance(op, place.ProgramOp) and op.sites is not None and op.energy is not None
    ]
    if numbers is None or not tables:
        return None
    sites, energy = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    heat, stack = Heat.of_numbers(numbers), _grid(machine).one_chip
    shape = (stack.layers, stack.rows, stack.cols)
    chip, own = sites[:, 0] // stack.layers, within_chip(sites, stack.layers)
    parts = [chip == number for number in np.unique(chip)]
    return heat, [stack_heat(own[part], energy[part], shape, heat) for part in parts]


def _unit_faults(module: ModuleOp, machine: place.MachineOp) -> list[str]:
    units = machine.unit_memory
    return [
        f"slot {op.slot.value.data} runs on unit {op.unit.data!r}, which the machine lacks"
        for op in whole_ops(module)
        if isinstance(op, place.StageOp) and op.unit.data not in units
    ]


def _buffer_faults(module: ModuleOp, machine: place.MachineOp) -> list[str]:
    buffers: list[PlacedBuffer] = []
    index: dict[Operation, int] = {}
    for op in whole_ops(module):
        if isinstance(op, place.BufferOp):
            assert isinstance(op.result.type, place.BufferType)
            start = op.offset.value.data
            port = op.port.data if op.port is not None else ""
            filled = op.init is not None or op.literal is not None or port.startswith("input:")
            name = port or _value_name(op) or f"at {op.memory.data}+{start}"
            index[op] = len(buffers)
            end = start + op.result.type.nbytes
            buffers.append(PlacedBuffer(name, op.memory.data, start, end, filled))
    blocks = [function.body.block for function in defined_functions(module)]
    numbers = [op.slot.value.data for b in blocks for op in _slots(b)]  # type: ignore[attr-defined]
    faults = []
    if numbers != sorted(set(numbers)):
        faults.append("slots must be in order and used once")
    slots = [_slot_use(op, index, buffers) for b in blocks for op in _slots(b, iterations=2)]
    return faults + check_buffers(buffers, slots, machine.memory_bytes)


def _slots(block: Block, iterations: int = 1) -> Iterator[Operation]:
    """Slots in an order in which they may run, loops as often as is said, and both branches.

    What a branch leaves behind must be right whichever ran, and so it is when both did.
    """
    for op in block.ops:
        if not is_slot(op):
            continue
        if isinstance(op, place.LoopOp):
            for _ in range(iterations):
                yield op  # its counter is written and its condition read each time
                yield from _slots(op.blocks[0], iterations)
            continue
        yield op
        for inner in control_blocks(op):
            yield from _slots(inner, iterations)


def _value_name(op: Operation) -> str:
    value = op.attributes.get("value")
    return getattr(value, "data", "")


def is_slot(op: Operation) -> bool:
    """Whether ``op`` takes a slot."""
    return isinstance(op, _SLOTS)


def slot_operands(op: Operation) -> tuple[Sequence[SSAValue], Sequence[SSAValue]]:
    """The buffers that a slot reads and writes."""
    match op:
        case place.ReloadOp():
            return [], []
        case place.MvmOp():
            return [op.x], [op.y]
        case place.MoveOp():
            return [op.source], [op.target]
        case place.StageOp() | place.IfOp() | place.LoopOp():
            return op.ins, op.outs
    raise IRError(f"{op.name} takes no slot")


def _slot_use(op: Operation, index: dict[Operation, int], buffers: list[PlacedBuffer]) -> SlotUse:
    reads, writes = slot_operands(op)
    return SlotUse(
        op.slot.value.data,  # type: ignore[attr-defined]
        _slot_name(op),
        [_access(v, index, buffers) for v in reads],
        [_access(v, index, buffers) for v in writes],
    )


def _slot_name(op: Operation) -> str:
    node = getattr(op, "node", None)
    return node.data if node is not None else op.name


def _access(value: SSAValue, index: dict[Operation, int], buffers: list[PlacedBuffer]) -> Access:
    root, offset = place.root_of(value)
    assert isinstance(value.type, place.BufferType)
    number = index[root]
    start = buffers[number].start + offset
    return Access(number, start, start + value.type.nbytes)
