"""The rules of instruction streams, so that executing one cannot reach outside its tables.

Operands lie in their tables and have the shapes that the operation needs; tile ranges lie in the
layer of their controller; DRIVE, INTEGRATE, CONVERT and ACCUMULATE of a product follow each other;
arrays hold what is driven (residency.py);
events are numbered from 0 in each block and raised once; a stream ends with its one HALT; blocks
nest.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...dialects.units import place_of_unit
from ...errors import ProgramError
from ..control import block_count, check_nesting
from ..targets import HOST_BYTES
from ..targets.chips import on_chip
from .isa import ARRAY_OPS, KERNEL_OPS, Instruction, Opcode, Stream
from .residency import check_residency

if TYPE_CHECKING:
    from .decode import Matrix, MemcapProgram


def check_streams(decoded: "MemcapProgram") -> None:
    """Raise ProgramError at the first instruction that breaks a rule."""
    _check_memories(decoded)
    if len(decoded.blocks) != block_count(decoded.controls):
        raise ProgramError("isa.streams must number the blocks that control.table has")
    used = [
        (i.index, block)
        for block, streams in enumerate(decoded.blocks)
        for stream in streams
        for i in stream.instructions
        if i.opcode is Opcode.CONTROL
    ]
    check_nesting(decoded.controls, used)
    for streams in decoded.blocks:
        _check_block(decoded, streams)
    check_residency(decoded)


def _check_block(decoded: "MemcapProgram", streams: Sequence[Stream]) -> None:
    raised: list[int] = []
    units = [stream.unit for stream in streams]
    _check_sequencers(decoded, units)
    if len(set(units)) < len(units):
        raise ProgramError(f"a controller must have one stream, came {units}")
    for stream in streams:
        last = stream.instructions[-1:]
        halts = [i for i in stream.instructions if i.opcode is Opcode.HALT]
        if len(halts) != 1 or last[0].opcode is not Opcode.HALT:
            raise ProgramError(f"the stream of {stream.unit} must end with its one HALT")
        _check_products(stream)
        for i in stream.instructions:
            try:
                _check_instruction(decoded, stream.unit, i)
            except ProgramError as error:
                raise ProgramError(f"{stream.unit}: {i.opcode.name} {error.message}") from None
            if i.opcode not in (Opcode.SYNC, Opcode.HALT):
                raised.append(i.event)
    if sorted(raised) != list(range(len(raised))):
        raise ProgramError("instructions must raise the events 0, 1, 2 ... once each")
    for stream in streams:
        for i in stream.instructions:
            if any(not 0 <= event < len(raised) for event in i.events):
                raise ProgramError(f"{stream.unit}: SYNC waits for {i.events}, nobody raises that")


def _check_sequencers(decoded: "MemcapProgram", units: Sequence[str]) -> None:
    count = decoded.target.controller.sequencers_per_layer
    for unit in units:
        place = place_of_unit(unit)
        if place is not None and place[1] >= count:
            raise ProgramError(f"{unit} is not there: a layer has {count} sequencers")


def _check_memories(decoded: "MemcapProgram") -> None:
    sram = decoded.target.sram.bytes
    capacity = {on_chip(chip, "sram"): sram for chip in range(decoded.chips)} | {"host": HOST_BYTES}
    for number, b in enumerate(decoded.buffers):
        if b.end > capacity.get(b.memory, 0):
            raise ProgramError(
                f"buffer {number} ({b}) must lie in host or in a chip's sram of {sram}"
            )


def _check_products(stream: Stream) -> None:
    """The four instructions of a product must follow each other on the same tiles."""
    parts = [i for i in stream.instructions if i.opcode in ARRAY_OPS]
    if parts and (parts[0].opcode is not Opcode.DRIVE or parts[-1].opcode is not Opcode.ACCUMULATE):
        raise ProgramError(f"{stream.unit}: a product must begin with DRIVE and end in ACCUMULATE")
    for a, b in pairwise(parts):
        follows = b.opcode == (Opcode.DRIVE if a.opcode is Opcode.ACCUMULATE else a.opcode + 1)
        same = b.opcode is Opcode.DRIVE or (a.index, a.tiles) == (b.index, b.tiles)
        if not (follows and same):
            raise ProgramError(
                f"{stream.unit}: {b.opcode.name} cannot follow {a.opcode.name} of other tiles"
                if follows
                else f"{stream.unit}: {b.opcode.name} cannot follow {a.opcode.name}"
            )


def _check_instruction(decoded: "MemcapProgram", unit: str, i: Instruction) -> None:
    if not -1 <= i.node < len(decoded.names):
        raise ProgramError(f"names node {i.node} of {len(decoded.names)}")
    for number in (*i.ins, *i.outs):
        if not 0 <= number < len(decoded.buffers):
            raise ProgramError(f"names buffer {number} of {len(decoded.buffers)}")
    if i.opcode in ARRAY_OPS or i.opcode is Opcode.RELOAD:
        if not 0 <= i.index < len(decoded.matrices):
            raise ProgramError(f"names matrix {i.index} of {len(decoded.matrices)}")
        _check_product(decoded.matrices[i.index], decoded, unit, i)
    elif i.opcode in KERNEL_OPS:
        if not 0 <= i.index < len(decoded.kernels):
            raise ProgramError(f"names kernel {i.index} of {len(decoded.kernels)}")
        kind = decoded.kernels[i.index].kind
        if (kind == "host") != (i.opcode is Opcode.HOST) or not i.outs:
            raise ProgramError(f"cannot run a {kind} kernel with {len(i.outs)} results")
    elif i.opcode is Opcode.MOVE:
        source, target = decoded.buffers[i.ins[0]], decoded.buffers[i.outs[0]]
        if (source.shape, source.dtype) != (target.shape, target.dtype):
            raise ProgramError(f"copies {source} to {target}")


def _check_product(matrix: "Matrix", decoded: "MemcapProgram", unit: str, i: Instruction) -> None:
    first, end = i.tiles
    if not 0 <= first < end <= len(matrix.tiles):
        raise ProgramError(f"uses tiles {first}..{end} of {len(matrix.tiles)}")
    layers = np.unique(matrix.layers[first:end])
    place = place_of_unit(unit)
    if place is None or any(place[0] != layer for layer in layers):
        raise ProgramError(f"uses tiles of layers {layers.tolist()}")
    for number, size in [(n, matrix.shape[1]) for n in i.ins] + [
        (n, matrix.shape[2]) for n in i.outs
    ]:
        shape = decoded.buffers[number].shape
        if number in i.ins and i.window >= 0:
            shape = decoded.driven_shape(i)
        groups = matrix.shape[0]
        rank = 2 if groups == 1 else 3
        if len(shape) != rank or shape[-1] != size or (groups > 1 and shape[0] != groups):
            raise ProgramError(f"gives a matrix of {list(matrix.shape)} a buffer {list(shape)}")
