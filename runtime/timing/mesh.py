"""Time and energy of a mesh program: its tasks and transfers played on devices and links.

Durations are those of the target's rooflines; the order on each device and link is the schedule's,
starts follow from what each slot waits for. Energy above idle by part, and idle of all devices.
"""

from ...backends.pal.tasks import MeshProgram, Transfer
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
from .timed_program import TimedProgram


def time_program(decoded: MeshProgram) -> TimedProgram:
    """Time one inference of a mesh program."""
    slots = decoded.slots
    order = sorted(range(len(slots)), key=lambda i: (slots[i].start_ps, slots[i].slot))
    number = {slots[i].slot: n for n, i in enumerate(order)}
    tasks: list[Task] = []
    parts: dict[str, float] = {}
    macs, simple, special, moved = 0.0, 0.0, 0.0, 0.0
    nodes: dict[str, float] = {}
    for i in order:
        slot = slots[i]
        stream, duration_s, energy = _cost(slot, decoded)
        waits = tuple(number[s] for s in slot.after)
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
    timeline = run(tasks)
    parts = add_parts(parts, {"idle": idle_j(decoded.target, timeline.makespan_s)})
    work = Work(int(macs), int(simple), 0, int(special), int(moved))
    return TimedProgram(timeline, parts, work, 0, nodes)


def _cost(slot: MeshTask | Transfer, program: MeshProgram) -> tuple[str, float, dict[str, float]]:
    """Stream, duration in seconds and energy by part of one slot."""
    if isinstance(slot, MeshTask):
        device = program.target.device(slot.device)
        return slot.device, task_latency_s(device, slot.work), task_energy_j(device, slot.work)
    a, b = program.buffers[slot.source].memory, program.buffers[slot.target].memory
    route = program.target.link_between(a, b)
    duration_s = transfer_latency_s(route, slot.nbytes)
    return f"{a}-{b}", duration_s, {"links": transfer_energy_j(route, slot.nbytes)}
