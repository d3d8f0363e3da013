"""Time and energy of a mesh program: its tasks and transfers played on devices and links.

Durations are those of the target's rooflines; the order on each device and link is the schedule's,
starts follow from what each slot waits for. Energy above idle by part, and idle of all devices.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...backends.pal.tasks import Flow, MeshProgram, Transfer
from ...backends.pal.tasks import Task as MeshTask
from ...backends.targets.mesh_cost import (
    idle_j,
    task_energy_j,
    task_latency_s,
    transfer_energy_j,
    transfer_latency_s,
)
from ...dialects.work import Work
from ..energy import add_parts
from ..events import Task, run
from .timed_program import TimedProgram, run_inside


def time_program(
    decoded: MeshProgram, block_runs: Mapping[int, float] | None = None
) -> TimedProgram:
    """Time one inference of a mesh program.

    ``block_runs`` is how often a block ran each time its control operation did, if measured.
    """
    timed: dict[int, TimedProgram] = {}
    blocks = decoded.blocks
    for block in reversed(range(len(blocks))):  # those inside come after
        timed[block] = _time_block(decoded, blocks[block], timed, block_runs or {})
    whole = timed[0]
    idle = {"idle": idle_j(decoded.target, whole.timeline.makespan_s)}
    return replace(whole, parts_j=add_parts(whole.parts_j, idle))


def _time_block(
    decoded: MeshProgram,
    slots: Sequence[MeshTask | Transfer | Flow],
    timed: Mapping[int, TimedProgram],
    block_runs: Mapping[int, float],
) -> TimedProgram:
    """One run of a block, without idle energy; ``timed`` has the blocks that it runs."""
    order = sorted(range(len(slots)), key=lambda i: (slots[i].start_ps, slots[i].slot))
    number = {slots[i].slot: n for n, i in enumerate(order)}
    tasks: list[Task] = []
    parts: dict[str, float] = {}
    macs, simple, special, moved = 0.0, 0.0, 0.0, 0.0
    nodes: dict[str, float] = {}
    inside = Work()
    for i in order:
        slot = slots[i]
        waits = tuple(number[s] for s in slot.after)
        if isinstance(slot, Flow):
            inner = run_inside(decoded.controls[slot.control], timed, block_runs)
            tasks.append(Task("control", inner.duration_s, waits, inside_s=inner.busy_s))
            parts = add_parts(parts, inner.parts_j)
            nodes = add_parts(nodes, inner.node_s)
            inside += inner.work
            continue
        stream, duration_s, energy = _cost(slot, decoded)
        tasks.append(Task(stream, duration_s, waits))
        parts = add_parts(parts, energy)
        name = "(transfer)" if isinstance(slot, Transfer) or not slot.node else slot.node
        nodes[name] = nodes.get(name, 0.0) + duration_s
        if isinstance(slot, MeshTask):
            macs += slot.work.matmul_flops / 2
            simple += slot.work.elementwise
            special += slot.work.special
            moved += slot.work.memory_bytes + slot.work.moved_bytes
        else:
            moved += slot.nbytes
    work = Work(int(macs), int(simple), 0, int(special), int(moved)) + inside
    return TimedProgram(run(tasks), parts, work, 0, nodes)


def _cost(slot: MeshTask | Transfer, program: MeshProgram) -> tuple[str, float, dict[str, float]]:
    """Stream, duration in seconds and energy by part of one slot."""
    if isinstance(slot, MeshTask):
        device = program.target.device(slot.device)
        return slot.device, task_latency_s(device, slot.work), task_energy_j(device, slot.work)
    a, b = program.buffers[slot.source].memory, program.buffers[slot.target].memory
    route = program.target.link_between(a, b)
    duration_s = transfer_latency_s(route, slot.nbytes)
    return f"{a}-{b}", duration_s, {"links": transfer_energy_j(route, slot.nbytes)}
