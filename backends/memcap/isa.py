"""The instruction set of a memcap chip: records of 32 bytes, one stream per controller.

    code  operation   a         b         c             d            e      does
    1     SYNC        -         -         first wait    waits        -      waits for events
    2     DRIVE       matrix    x buffer  first tile    end tile     -      input onto the rows
    3     INTEGRATE   matrix    -         first tile    end tile     -      charge onto the columns
    4     CONVERT     matrix    -         first tile    end tile     -      columns into codes
    5     ACCUMULATE  matrix    y buffer  first tile    end tile     -      partial sums into y
    6     MOVE        -         source    target        -            -      copies a buffer
    7     VECTOR      kernel    -         first buffer  inputs       outputs
    8     HOST        kernel    -         first buffer  inputs       outputs
    9     HALT        -         -         -             -            -      ends the stream
    10    CONTROL     control   -         -             -            -      runs blocks (control.py)
    11    RELOAD      matrix    -         first tile    end tile     -      tiles into their arrays

Fields that an operation does not use are 0. ``event`` is what the instruction raises when it is
done (-1 for SYNC and HALT), ``node`` the name of the ONNX node it came from (-1 for none), flag
bit 0 of ACCUMULATE is ``init``: overwrite y. Waits and buffers of SYNC, VECTOR and HOST lie in
``isa.operands``. Tiles are counted within the matrix, which the base registers of a controller
turn into rows of the tile tables.

    isa.instructions ui8 [n, 32]   isa.operands i32 [m]
    isa.streams      i64 [s, 4]    block, controller name, first instruction, end

A program is cut into blocks, each with streams and events of its own, numbered from 0. Block 0 runs
once; the others are run by CONTROL, whose event is raised when they are over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from ...errors import ProgramError
from ..tables import Names, name_at, section

RECORD = np.dtype(
    [
        ("opcode", "u1"),
        ("flags", "u1"),
        ("reserved", "<u2"),
        ("event", "<i4"),
        ("node", "<i4"),
        ("a", "<i4"),
        ("b", "<i4"),
        ("c", "<i4"),
        ("d", "<i4"),
        ("e", "<i4"),
    ]
)
INIT = 1


class Opcode(IntEnum):
    """Operations by code; 0 is none, so that erased memory never runs."""

    SYNC = 1
    DRIVE = 2
    INTEGRATE = 3
    CONVERT = 4
    ACCUMULATE = 5
    MOVE = 6
    VECTOR = 7
    HOST = 8
    HALT = 9
    CONTROL = 10
    RELOAD = 11


ARRAY_OPS = frozenset({Opcode.DRIVE, Opcode.INTEGRATE, Opcode.CONVERT, Opcode.ACCUMULATE})
KERNEL_OPS = frozenset({Opcode.VECTOR, Opcode.HOST})


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction. ``index`` is a matrix, a kernel or a control, ``ins`` and ``outs`` buffers.

    DRIVE reads ``ins[0]``, ACCUMULATE writes ``outs[0]``, MOVE copies ``ins[0]`` to ``outs[0]``;
    ``events`` are those that SYNC waits for, ``window`` the kernel by which DRIVE gathers rows (-1:
    they lie in its buffer).
    """

    opcode: Opcode
    event: int = -1
    node: int = -1
    init: bool = False
    index: int = 0
    tiles: tuple[int, int] = (0, 0)
    ins: tuple[int, ...] = ()
    outs: tuple[int, ...] = ()
    events: tuple[int, ...] = ()
    window: int = -1


@dataclass(frozen=True, slots=True)
class Stream:
    """What one controller issues: ``layerN``, ``vector``, ``dma``, ``host``, ``control``."""

    unit: str
    instructions: tuple[Instruction, ...]


def encode_streams(blocks: Sequence[Sequence[Stream]], names: Names) -> dict[str, np.ndarray]:
    """The sections ``isa.*``. Raises ProgramError for a number that does not fit its field."""
    records: list[tuple[int, ...]] = []
    pool: list[int] = []
    table = []
    for number, streams in enumerate(blocks):
        for stream in streams:
            first = len(records)
            records += [_record(instruction, pool) for instruction in stream.instructions]
            table.append((number, names.index(stream.unit), first, len(records)))
    try:
        packed = np.array(records, RECORD)
        operands = np.array(pool, np.int32)
    except OverflowError as error:
        raise ProgramError(f"an instruction field must fit its width: {error}") from error
    return {
        "isa.instructions": packed.view(np.uint8).reshape(-1, RECORD.itemsize),
        "isa.operands": operands,
        "isa.streams": np.array(table, np.int64).reshape(-1, 4),
    }


def _record(i: Instruction, pool: list[int]) -> tuple[int, ...]:
    a = b = c = d = e = 0
    match i.opcode:
        case Opcode.SYNC:
            c, d = len(pool), len(i.events)
            pool += i.events
        case Opcode.MOVE:
            b, c = i.ins[0], i.outs[0]
        case Opcode.VECTOR | Opcode.HOST:
            a, c, d, e = i.index, len(pool), len(i.ins), len(i.outs)
            pool += (*i.ins, *i.outs)
        case Opcode.CONTROL:
            a = i.index
        case Opcode.HALT:
            pass
        case _:
            a, (c, d) = i.index, i.tiles
            b = (*i.ins, *i.outs, 0)[0]
            e = i.window + 1
    return int(i.opcode), INIT if i.init else 0, 0, i.event, i.node, a, b, c, d, e


def decode_streams(tensors: Mapping[str, np.ndarray], names: Sequence[str]) -> list[list[Stream]]:
    """The inverse of :func:`encode_streams`. Raises ProgramError for what is no instruction.

    Operands are checked against the program's tables by ``decode.decode_program``.
    """
    raw = section(tensors, "isa.instructions", np.uint8, (None, RECORD.itemsize))
    pool = section(tensors, "isa.operands", np.int32, (None,)).tolist()
    table = section(tensors, "isa.streams", np.int64, (None, 4)).tolist()
    records: list[Any] = np.ascontiguousarray(raw).view(RECORD).reshape(-1).tolist()
    blocks: list[list[Stream]] = [[]]
    at = 0
    for block, name, first, end in table:
        if first != at or not first <= end <= len(records):
            raise ProgramError("isa.streams must cut isa.instructions from end to end")
        if not len(blocks) - 1 <= block <= len(blocks) + len(table):
            raise ProgramError("isa.streams must number its blocks in order")
        blocks += [[] for _ in range(len(blocks), block + 1)]
        unit = name_at(names, name)
        if unit is None:
            raise ProgramError("a stream must name its controller")
        decoded = [_instruction(r, at + k, pool) for k, r in enumerate(records[at:end])]
        at = end
        blocks[block].append(Stream(unit, tuple(decoded)))
    if at != len(records):
        raise ProgramError("isa.streams must cut isa.instructions from end to end")
    return blocks


_OPCODES = {int(op): op for op in Opcode}
_USED = {
    Opcode.SYNC: "cd",
    Opcode.DRIVE: "abcde",
    Opcode.INTEGRATE: "acd",
    Opcode.CONVERT: "acd",
    Opcode.ACCUMULATE: "abcd",
    Opcode.MOVE: "bc",
    Opcode.VECTOR: "acde",
    Opcode.HOST: "acde",
    Opcode.HALT: "",
    Opcode.CONTROL: "a",
    Opcode.RELOAD: "acd",
}


def _instruction(record: tuple[int, ...], number: int, pool: Sequence[int]) -> Instruction:
    code, flags, reserved, event, node, a, b, c, d, e = record
    opcode = _OPCODES.get(code)
    if opcode is None:
        raise ProgramError(f"instruction {number} has code {code}, which is no operation")
    init = flags == INIT and opcode is Opcode.ACCUMULATE
    unused = [v for f, v in zip("abcde", (a, b, c, d, e), strict=True) if f not in _USED[opcode]]
    if any(unused) or reserved or (flags and not init):
        raise ProgramError(f"instruction {number} ({opcode.name}) must leave unused fields 0")
    if (event == -1) != (opcode in (Opcode.SYNC, Opcode.HALT)):
        raise ProgramError(f"instruction {number} ({opcode.name}) cannot raise event {event}")
    found = Instruction(opcode, event, node)
    match opcode:
        case Opcode.SYNC:
            events = _slice(pool, c, d, number)
            found = Instruction(opcode, event, node, events=events)
        case Opcode.MOVE:
            found = Instruction(opcode, event, node, ins=(b,), outs=(c,))
        case Opcode.VECTOR | Opcode.HOST:
            ins, outs = _slice(pool, c, d, number), _slice(pool, c + d, e, number)
            found = Instruction(opcode, event, node, index=a, ins=ins, outs=outs)
        case Opcode.CONTROL:
            found = Instruction(opcode, event, node, index=a)
        case Opcode.DRIVE:
            found = Instruction(opcode, event, node, False, a, (c, d), (b,), window=e - 1)
        case Opcode.ACCUMULATE:
            found = Instruction(opcode, event, node, init, a, (c, d), outs=(b,))
        case Opcode.INTEGRATE | Opcode.CONVERT | Opcode.RELOAD:
            found = Instruction(opcode, event, node, index=a, tiles=(c, d))
    return found


def _slice(pool: Sequence[int], first: int, count: int, number: int) -> tuple[int, ...]:
    if not (0 <= first <= len(pool) and 0 <= count <= len(pool) - first):
        raise ProgramError(f"instruction {number}: operands must lie in isa.operands")
    return tuple(pool[first : first + count])
