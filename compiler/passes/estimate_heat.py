"""Say how much heat each tile makes, and what the machine is held to

Writes ``energy`` on each ``place.program`` and ``heat`` on ``place.machine``, which
``check-placement`` reads: the heat of the arrays and the leakage, for uniform inputs. What the
digital units add is known once a program is timed, and is no matter of placement.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, FloatAttr, ModuleOp, f64
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...backends.targets.heat import tile_heat_j
from ...backends.targets.memcap_cost import host_latency_s, mvm_latency_s, vector_latency_s
from ...backends.targets.thermal import thermal_network
from ...dialects import place
from ...dialects.attributes import table_attr, table_of
from ...dialects.control import repetitions
from ...dialects.types import shape_of
from ...errors import IRError
from ..placement.heat import Heat, period_s, read_seconds
from ..report import repeated_work
from ..rewriting import whole_ops
from ..stored_matrices import machine_with_arrays


@dataclass(frozen=True)
class EstimateHeat(ModulePass):
    """Adds up the reads of an inference; the period is that of the busiest unit."""

    name = "estimate-heat"
    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machine_with_arrays(self.target, self.name)
        machines = [m for m in op.ops if isinstance(m, place.MachineOp)]
        if len(machines) != 1:
            raise IRError(
                f"estimate-heat needs one place.machine, got {len(machines)}",
                help="run convert-tile-to-place first",
            )
        whole = list(whole_ops(op))
        reads = _reads(whole)
        chips = machines[0].chip_count
        layer_s, total_j = np.zeros(chips * target.stack.layers), 0.0
        for program in whole:
            if isinstance(program, place.ProgramOp) and program.sites is not None:
                count = reads.get(program.result, 0) / program.copies
                seconds, joules = _estimate(program, target, count, len(layer_s))
                layer_s, total_j = layer_s + seconds, total_j + joules
        layer_s /= target.controller.sequencers_per_layer
        busy_s = max(_digital_s(whole, target).values())
        heat = Heat(
            thermal_network(target),
            target.thermal.max_temperature_c,
            target.thermal.max_layer_power_w,
            period_s(target, layer_s, busy_s, total_j / chips),
            target.leakage_w,
        )
        if total_j:
            numbers = {name: FloatAttr(number, f64) for name, number in heat.numbers().items()}
            machines[0].heat = DictionaryAttr(numbers)


def _reads(whole: list[Operation]) -> dict[SSAValue, int]:
    """How often each matrix is read in one inference."""
    reads: dict[SSAValue, int] = {}
    for op in whole:
        if isinstance(op, place.MvmOp):
            assert isinstance(op.y.type, place.BufferType)
            count = shape_of(op.y.type.tensor)[-2] * repetitions(op)
            reads[op.crossbar] = reads.get(op.crossbar, 0) + count
    return reads


def _estimate(
    program: place.ProgramOp, target: MemcapTarget, reads: float, layers: int
) -> tuple[np.ndarray, float]:
    """Write the energy of a matrix's tiles; seconds of each layer's controller, and joules."""
    assert program.sites is not None
    sites, sizes = table_of(program.sites), table_of(program.tiles)[:, [2, 4]]
    bits = None if program.adc_bits is None else program.adc_bits.value.data
    heat_j = tile_heat_j(target, sizes, reads, adc_bits=bits)
    program.energy = table_attr(heat_j.astype(np.float32))
    widths, width = np.unique(sizes[:, 1], return_inverse=True)
    one_s = np.array([mvm_latency_s(target, 1, cols, bits) for cols in widths.tolist()])[width]
    seconds = read_seconds(sites[:, :3], one_s, reads, layers)
    return seconds, float(heat_j.sum())


def _digital_s(whole: list[Operation], target: MemcapTarget) -> dict[str, float]:
    """How long the vector engine and the host compute in one inference."""
    busy_s = {"vector": 0.0, "host": 0.0}
    for op in whole:
        if not isinstance(op, place.StageOp):
            continue
        for inner in list(op.body.block.ops)[:-1]:
            work = repeated_work(inner)
            if op.unit.data == "host":
                flops = 2 * work.macs + work.elementwise
                busy_s["host"] += host_latency_s(target, flops, 0)
            else:
                busy_s["vector"] += vector_latency_s(target, work.by_class(0))
    return busy_s
