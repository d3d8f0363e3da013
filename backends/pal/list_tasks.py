"""A mesh program as readable text: one line a slot, in order of start."""

from collections.abc import Iterator, Sequence

from ...dialects.elements import OF_DTYPE
from ..program import Program
from .decode import decode_program
from .tasks import Flow, MeshProgram, Step, Task, Tensor, Transfer


def list_tasks(program: Program) -> str:
    """The listing of ``semc inspect --asm``: stationary operands, then tasks and transfers.

    Times are microseconds; raises ProgramError when the program is malformed.
    """
    return "\n".join(_lines(decode_program(program))) + "\n"


def _lines(program: MeshProgram) -> Iterator[str]:
    devices = ", ".join(f"{d.name} ({d.format})" for d in program.target.devices)
    yield f"; mesh {program.target.name}: {devices}"
    counts = f"{len(program.tasks)} tasks, {len(program.transfers)} transfers"
    yield f"; {counts}, {_us(program.makespan_ps)} us"
    for number, w in enumerate(program.weights):
        yield f"w{number:<5} {w.memory}[{w.offset}..] {w.format} {_type(w.tensor)}  {w.name}"
    for number, slots in enumerate(program.blocks):
        if number:
            yield f"; block {number}"
        yield from _slots(program, slots)


def _slots(program: MeshProgram, slots: Sequence[Task | Transfer | Flow]) -> Iterator[str]:
    for slot in sorted(slots, key=lambda s: (s.start_ps, s.slot)):
        match slot:
            case Task():
                what = _task(slot)
            case Transfer():
                what = _transfer(program, slot)
            case Flow():
                what = str(program.controls[slot.control])
        waits = f" after {','.join(map(str, slot.after))}" if slot.after else ""
        node = f"  ; {slot.node}" if slot.node else ""
        when = f"{_us(slot.start_ps):>12} {_us(slot.finish_ps):>12}"
        yield f"{slot.slot:>5}  {when}  {what}{waits}{node}"


def _task(task: Task) -> str:
    registers = [_name(ref) for ref in task.ins]
    steps = []
    for step in task.steps:
        operands = ", ".join(registers[r] for r in step.operands)
        first = len(registers)
        registers += [f"t{first + i}" for i in range(len(step.results))]
        steps.append(f"{_step(step)}({operands})")
    outs = ", ".join(map(_name, task.outs))
    body = " ".join(steps) or f"copy({', '.join(registers)})"
    return f"{task.device:<8} {task.format:<6} {outs} = {body}"


def _step(step: Step) -> str:
    if step.kernel is not None:
        kind = step.kernel.attrs.get("kind")
        return f"{step.kernel.kind}.{kind}" if kind else step.kernel.kind
    return f"{step.name}.{step.format}" if step.format else step.name


def _transfer(program: MeshProgram, t: Transfer) -> str:
    a, b = program.buffers[t.source].memory, program.buffers[t.target].memory
    return f"{a}->{b} {_name(t.target)} = {_name(t.source)} {t.nbytes} bytes"


def _name(ref: int) -> str:
    return f"b{ref}" if ref >= 0 else f"w{-1 - ref}"


def _type(tensor: Tensor) -> str:
    return "x".join(map(str, (*tensor.shape, OF_DTYPE[tensor.dtype].name)))


def _us(ps: int) -> str:
    return f"{ps * 1e-6:.3f}"
