"""One order in which a single processor can run instruction streams that run side by side.

A stream goes on until it must wait for an event that has not happened; streams take turns. Which
order comes out does not matter to a correct program: its SYNCs order all that must be ordered.
"""

from collections.abc import Callable, Sequence

from ...backends.memcap.isa import Instruction, Opcode, Stream
from ...errors import ProgramError

#: Chooses the next of the streams (by index) that can go on.
Chooser = Callable[[Sequence[int]], int]


def interleave(
    streams: Sequence[Stream], choose: Chooser | None = None
) -> list[tuple[str, Instruction]]:
    """All instructions but SYNC and HALT with their controllers, in an order that SYNCs allow.

    By default a stream runs as far as it can; with ``choose`` one instruction of the chosen stream
    runs at a time. Raises ProgramError when all streams that are left wait for each other.
    """
    at = [0] * len(streams)
    raised: set[int] = set()
    order: list[tuple[str, Instruction]] = []
    while True:
        ready = [s for s in range(len(streams)) if _skip_waits(streams[s], at, s, raised)]
        if not ready:
            break
        for number in ready if choose is None else [choose(ready)]:
            while _skip_waits(streams[number], at, number, raised):
                instruction = streams[number].instructions[at[number]]
                order.append((streams[number].unit, instruction))
                raised.add(instruction.event)
                at[number] += 1
                if choose is not None:
                    break
    _check_ended(streams, at, raised)
    return order


def _skip_waits(stream: Stream, at: list[int], number: int, raised: set[int]) -> bool:
    """Pass the SYNCs whose events have happened; whether there is an instruction to run now."""
    while at[number] < len(stream.instructions):
        instruction = stream.instructions[at[number]]
        if instruction.opcode is Opcode.HALT:
            return False
        if instruction.opcode is not Opcode.SYNC:
            return True
        if not raised.issuperset(instruction.events):
            return False
        at[number] += 1
    return False


def _check_ended(streams: Sequence[Stream], at: Sequence[int], raised: set[int]) -> None:
    stuck = []
    for stream, position in zip(streams, at, strict=True):
        if position < len(stream.instructions):
            instruction = stream.instructions[position]
            if instruction.opcode is Opcode.SYNC:
                missing = sorted(set(instruction.events) - raised)
                stuck.append(f"{stream.unit} for events {missing[:5]}")
    if stuck:
        raise ProgramError(f"the streams must not wait for each other: {', '.join(stuck)}")
