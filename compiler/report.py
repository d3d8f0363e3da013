"""What a compilation tells about itself: sizes by level, arrays, what left the chip and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation

from ..backends.targets import MemcapTarget, Target
from ..dialects import place, tile
from ..dialects.attributes import node_names, table_of
from ..dialects.control import repetitions
from ..dialects.tensor_ops import TensorOp
from ..dialects.types import shape_of
from ..dialects.work import Work, host_key, host_macs, kernel_work, mvm_work
from .context import CompilerContext
from .passes.check_placement import is_slot
from .quantize.calibration_risk import estimate_risk
from .rewriting import whole_ops
from .stored_matrices import stored_codes, stored_matrices


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


def repeated_work(op: Operation) -> Work:
    """Work of a ``tile`` op in one inference: a loop's as often as it may run."""
    return op_work(op).times(repetitions(op))


def op_work(op: Operation) -> Work:
    """Work of a ``tile`` op, each time it runs."""
    ins = [shape_of(x) for x in op.operands if not isinstance(x.type, tile.CrossbarType)]
    outs = [shape_of(x) for x in op.results]
    if isinstance(op, tile.MvmOp):
        assert isinstance(op.crossbar.type, tile.CrossbarType)
        return mvm_work(*op.crossbar.type.shape, positions=ins[0][-2])
    assert isinstance(op, TensorOp)
    work = kernel_work(op.kernel, ins, outs)
    if op.KIND == "host":
        work += Work(macs=host_macs(op.attrs["model"]))
    return work


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
    memory: dict[str, int] = {}
    for op in whole:
        if isinstance(op, place.BufferOp):
            assert isinstance(op.result.type, place.BufferType)
            end = op.offset.value.data + op.result.type.nbytes
            memory[op.memory.data] = max(memory.get(op.memory.data, 0), end)
    return {
        "arrays": {
            "needed": _arrays_needed(programs),
            "used": len(used),
            "available": _chips(module) * target.arrays,
        },
        "layers_used": len(np.unique(used[:, 0])),
        "memory_bytes": memory,
        "slots": sum(is_slot(op) for op in whole),
    }
