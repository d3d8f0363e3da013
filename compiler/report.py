"""What a compilation tells about itself: sizes by level, arrays, what left the chip and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue

from ..backends.targets import SUM_BYTES, MemcapTarget, Target
from ..backends.targets.heat import temperature_facts
from ..dialects import place, tile
from ..dialects.attributes import node_names, table_of
from ..dialects.control import repetitions
from ..dialects.tensor_ops import TensorOp
from ..dialects.types import shape_of
from ..dialects.work import Work, host_key
from .buffer_report import buffer_report
from .context import CompilerContext
from .passes.check_placement import is_slot, placement_heat
from .placement.machine import grid_of
from .placement.score import RoutedMatrix, score_traffic
from .quantize.calibration_risk import estimate_risk
from .rewriting import whole_ops
from .stored_matrices import stored_codes, stored_matrices
from .tile_work import op_work, repeated_work


def level_report(
    level: str, module: ModuleOp, target: Target, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Facts that can be read at ``level``, to be merged into the compilation's report."""
    facts: dict[str, Any] = {"ir_ops": {**known.get("ir_ops", {}), level: count_ops(module)}}
    if level == "tile":
        facts |= _tile_report(module, target)
        facts |= {"arrays": {"needed": 0, "used": 0, "available": 0}, "layers_used": 0}
    if level == "place" and isinstance(target, MemcapTarget):
        facts |= _place_report(module, target)
    if level == "place":
        facts |= {"fits": True, "area_mm2": _chips(module) * float(target.area_mm2)}
        facts |= {"buffers": buffer_report(module)}
    return facts


def quantization_report(
    module: ModuleOp, target: Target, ctx: CompilerContext, samples: int
) -> dict[str, Any]:
    """What the passes chose for each matrix, and what is at risk where no sample said it.

    ``samples`` is the number of calibration samples that were run. Read at the ``tile`` level.
    """
    at_risk = []
    if isinstance(target, MemcapTarget):
        at_risk = [
            _risk_entry(program, target, ctx)
            for program in stored_matrices(ctx, module)
            if program.codes is not None and program.weight.data not in ctx.calibration
        ]
    matrices = [{"matrix": name, **note} for name, note in ctx.notes.items()]
    return {
        "calibration": {"samples": samples, "at_risk": at_risk},
        "matrices": matrices,
    }


def _risk_entry(op: tile.ProgramOp, target: MemcapTarget, ctx: CompilerContext) -> dict[str, Any]:
    entry: dict[str, Any] = {"matrix": op.weight.data, "node": " + ".join(node_names(op))}
    if ctx.product is not None and op.adc_range is not None:
        codes, scale = stored_codes(op, ctx.weights)
        ranges = table_of(op.adc_range)
        entry |= asdict(estimate_risk(codes, scale, op.tile_table, ranges, target, ctx.product))
    return entry


def heat_report(module: ModuleOp) -> dict[str, Any]:
    """How warm the arrays make the stack at most; read at the ``place`` level.

    The figures are no part of a program: transforms may differ in their last bits between machines.
    """
    known = placement_heat(module)
    if known is None:
        return {}
    heat, chips = known
    found = max(chips, key=lambda chip: float(chip.temperature_c.max()))
    facts = temperature_facts(found.temperature_c, found.layer_w, heat.max_temperature_c)
    return {"temperature_c": {**facts, "period_s": heat.period_s}}


def count_ops(module: ModuleOp) -> int:
    """The number of operations in ``module``, itself and those of scalar bodies included."""
    count, blocks = 1, list(module.body.blocks)
    while blocks:
        for op in blocks.pop().ops:
            count += 1
            for region in op.regions:
                blocks += region.blocks
    return count


def _tile_report(module: ModuleOp, target: Target) -> dict[str, Any]:
    whole = list(whole_ops(module))
    tiles = sum(len(op.tile_table) for op in whole if isinstance(op, tile.ProgramOp))
    chip, host = Work(), Work()
    ops: Counter[str] = Counter()
    host_ops = []
    for op in whole:
        if isinstance(op, tile.HostOp):
            host += repeated_work(op)
            host_ops.append(_host_entry(op))
        elif isinstance(op, (TensorOp, tile.MvmOp)):
            chip += repeated_work(op)
            ops["chip"] += 1
    total = chip.operations + host.operations
    products = [op for op in whole if isinstance(op, tile.MvmOp)]
    in_arrays = products if isinstance(target, MemcapTarget) else []
    count = ops["chip"] + len(host_ops)
    return {
        "tiles": tiles,
        "work": {
            "macs": chip.macs + host.macs,
            "elementwise": chip.elementwise + host.elementwise,
            "array_macs": sum(repeated_work(op).macs for op in in_arrays),
        },
        "host_macs": _host_macs(whole),
        "on_chip_ops_share": ops["chip"] / count if count else 1.0,
        "on_chip_work_share": chip.operations / total if total else 1.0,
        "host_ops": host_ops,
    }


def _host_macs(whole: Sequence[Operation]) -> dict[str, int]:
    """Multiply-accumulates of host kernels, by their key; those without any are left out."""
    found = {
        host_key(op.attrs["model"]): op_work(op).macs for op in whole if isinstance(op, tile.HostOp)
    }
    return {key: macs for key, macs in found.items() if macs}


def _host_entry(op: Operation) -> dict[str, Any]:
    texts = {k: v.data for k, v in op.attributes.items() if isinstance(v, StringAttr)}
    return {
        "node": " + ".join(node_names(op)),
        "op": texts.get("op", ""),
        "reason": texts.get("reason", ""),
    }


def _spent_on_copies(programs: Sequence[place.ProgramOp]) -> int:
    """Arrays that hold a matrix another time; copies share them with nothing else."""
    return sum(len(table_of(op.tiles)) * (op.copies - 1) // op.copies for op in programs)


def _arrays_needed(programs: Sequence[place.ProgramOp]) -> int:
    """Arrays that would hold all tiles at once: those of each round of streamed ones apart."""
    kept, streamed = [np.empty(0, np.int64)], 0
    for op in programs:
        if op.sites is not None:
            layer, row, col = table_of(op.sites)[:, :3].T.astype(np.int64)
            site, rounds = (layer << 34) + (row << 17) + col, op.round_table  # rows, cols < 2^17
            kept.append(site[rounds == 0])
            sites, number = np.unique(site, return_inverse=True)
            each = rounds.astype(np.int64) * len(sites) + number
            streamed += len(np.unique(each[rounds > 0]))
    return len(np.unique(np.concatenate(kept))) + streamed


def _chips(module: ModuleOp) -> int:
    """Chips that a placed module spans."""
    return max((op.chip_count for op in module.ops if isinstance(op, place.MachineOp)), default=1)


def _place_report(module: ModuleOp, target: MemcapTarget) -> dict[str, Any]:
    whole = list(whole_ops(module))
    programs = [op for op in whole if isinstance(op, place.ProgramOp)]
    sites = [table_of(op.sites)[:, :3] for op in programs if op.sites is not None]
    used = np.unique(np.concatenate(sites), axis=0) if sites else np.empty((0, 3), np.int32)
    traffic = score_traffic(
        _routed(whole),
        grid_of(target),
        target.code_bytes,
        SUM_BYTES,
        (target.site_um[1] * 1e-3, target.site_um[0] * 1e-3),
    )
    copies = {op.weight.data: op.copies for op in programs if op.copies > 1}
    memory: dict[str, int] = {}
    for op in whole:
        if isinstance(op, place.BufferOp):
            assert isinstance(op.result.type, place.BufferType)
            end = op.offset.value.data + op.result.type.nbytes
            memory[op.memory.data] = max(memory.get(op.memory.data, 0), end)
    return {
        "arrays": {
            "needed": _arrays_needed(programs) - _spent_on_copies(programs),
            "used": len(used),
            "available": _chips(module) * target.arrays,
        },
        "copies": copies,
        "layers_used": len(np.unique(used[:, 0])),
        "traffic": asdict(traffic),
        "memory_bytes": memory,
        "slots": sum(is_slot(op) for op in whole),
    }


def _routed(whole: Sequence[Operation]) -> list[RoutedMatrix]:
    """Matrices with sites and routes, and the positions of all products that read them."""
    positions: dict[SSAValue, float] = {}
    for op in whole:
        if isinstance(op, place.MvmOp):
            reads = shape_of(_tensor(op.y))[-2] * repetitions(op)
            positions[op.crossbar] = positions.get(op.crossbar, 0) + reads
    tables = {op.crossbar: table_of(op.table) for op in whole if isinstance(op, place.RouteOp)}
    return [
        RoutedMatrix(
            table_of(op.tiles),
            table_of(op.sites),
            tables[op.result],
            positions.get(op.result, 0) / op.copies,
        )
        for op in whole
        if isinstance(op, place.ProgramOp) and op.sites is not None and op.result in tables
    ]


def _tensor(buffer: SSAValue) -> Attribute:
    assert isinstance(buffer.type, place.BufferType)
    return buffer.type.tensor
