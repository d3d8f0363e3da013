"""Programs as text for eyes, and instruction streams back from text.

    listing     = "; about" ... stream* block*
    block       = ".block" N  stream*                  run by a control instruction
    stream      = ".controller" string  line*
    line        = sync | product | move | kernel | control | "halt"
    sync        = "sync" event ("," event)*
    product     = ("reload" | "drive" | "integrate" | "convert" | "accumulate") tiles
                  ("," "b"N)? "init"? raises
    tiles       = "m"N "[" first ":" end "]"
    move        = "move" "b"N "->" "b"N raises
    kernel      = ("vector" | "host") "k"N "(" buffers ")" "->" "(" buffers ")" raises
    control     = "control" "c"N raises
    raises      = "raises" event                       event = "e"N

A line may end with ``; "node"``: the ONNX node it came from, as a JSON string. Lines that begin
with ``;`` are for eyes only.
"""

import json
import re
from collections.abc import Iterator, Sequence

from ...errors import ProgramError
from ..program import Program
from ..tables import Names
from .decode import MemcapProgram, decode_program
from .isa import Instruction, Opcode, Stream

_NODE_COLUMN = 56


def disassemble(program: Program | MemcapProgram) -> str:
    """The listing of a program: what its buffers, matrices and kernels are, then its streams.

    Raises ProgramError when the program is malformed.
    """
    decoded = decode_program(program) if isinstance(program, Program) else program
    return "\n".join(_about(decoded)) + "\n" + format_streams(decoded.blocks, decoded.names)


def format_streams(blocks: Sequence[Sequence[Stream]], names: Sequence[str]) -> str:
    """The streams of all blocks as text; ``assemble`` reads it back."""
    lines: list[str] = []
    for number, streams in enumerate(blocks):
        if number:
            lines += ["", f".block {number}"]
        lines += _format_block(streams, names)
    return "\n".join(lines) + "\n"


def _format_block(streams: Sequence[Stream], names: Sequence[str]) -> list[str]:
    lines: list[str] = []
    for stream in streams:
        lines += ["", f".controller {_quote(stream.unit)}"]
        for i in stream.instructions:
            text = f"    {_format(i)}"
            if i.node >= 0:
                text = f"{text:<{_NODE_COLUMN}} ; {_quote(names[i.node])}"
            lines.append(text)
    return lines


def assemble(text: str) -> tuple[list[list[Stream]], Names]:
    """The streams of a listing by block, and the names of nodes and controllers in them.

    Raises ProgramError, with the number of the line, for text that is no listing.
    """
    names = Names()
    blocks: list[list[tuple[str, list[Instruction]]]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.startswith(";") or not line.strip():
                continue
            if line.startswith(".block "):
                if line.removeprefix(".block ").strip() != str(len(blocks)):
                    raise ProgramError(f"blocks must be numbered in order, this is {len(blocks)}")
                blocks.append([])
            elif line.startswith(".controller "):
                blocks[-1].append((_unquote(line.removeprefix(".controller ")), []))
            elif not blocks[-1]:
                raise ProgramError("an instruction must follow a .controller line")
            else:
                blocks[-1][-1][1].append(_parse(line, names))
        except ProgramError as error:
            raise ProgramError(error.message, where=f"line {number}") from error
    return [
        [Stream(unit, tuple(instructions)) for unit, instructions in streams] for streams in blocks
    ], names


def _about(decoded: MemcapProgram) -> Iterator[str]:
    manifest = decoded.program.manifest
    yield f"; {decoded.target.name}: {_quote(str(manifest.get('model', {}).get('name', '')))}"
    ports = {p.buffer: f"input {_quote(p.name)}" for p in decoded.inputs}
    ports |= {p.buffer: f"output {_quote(p.name)}" for p in decoded.outputs}
    fills = dict(decoded.constants)
    for number, m in enumerate(decoded.matrices):
        size = "x".join(map(str, m.shape))
        layers = f"layers {m.layers.min()}..{m.layers.max()}"
        streamed = int((m.rounds > 0).sum())
        layers += f", {streamed} written anew in {m.rounds.max()} rounds" if streamed else ""
        bits = "" if m.adc_bits is None else f", {m.adc_bits}-bit conversions"
        yield f"; m{number} {size}, {len(m.tiles)} tiles, {layers}{bits}, {_quote(m.name)}"
    for number, b in enumerate(decoded.buffers):
        notes = [f"; b{number} {b}"]
        notes += [f"part of b{b.source}"] if b.source is not None else []
        notes += [ports[number]] if number in ports else []
        notes += [fills[number] or "constant"] if number in fills else []
        notes += [f"value {_quote(b.value)}"] if b.value is not None else []
        yield ", ".join(notes)
    for number, control in enumerate(decoded.controls):
        yield f"; c{number} {control}"
    for number, kernel in enumerate(decoded.kernels):
        yield f"; k{number} {kernel.kind} {_attributes(kernel.attrs)}".rstrip()


def _attributes(attrs: dict[str, object]) -> str:
    shown = []
    for name, value in attrs.items():
        if isinstance(value, bytes):
            value = f"{len(value)} bytes"
        elif hasattr(value, "ops"):
            value = " ".join(op.name for op in value.ops)
        elif isinstance(value, tuple):
            value = list(value)
        shown.append(f"{name} = {value}")
    return ", ".join(shown)


def _format(i: Instruction) -> str:
    raises = f"raises e{i.event}"
    name = i.opcode.name.lower()
    match i.opcode:
        case Opcode.SYNC:
            return f"sync {', '.join(f'e{event}' for event in i.events)}".rstrip()
        case Opcode.HALT:
            return "halt"
        case Opcode.CONTROL:
            return f"control c{i.index} {raises}"
        case Opcode.MOVE:
            return f"move b{i.ins[0]} -> b{i.outs[0]} {raises}"
        case Opcode.VECTOR | Opcode.HOST:
            return f"{name} k{i.index} ({_buffers(i.ins)}) -> ({_buffers(i.outs)}) {raises}"
    buffers = "".join(f", b{b}" for b in (*i.ins, *i.outs))
    init = " init" if i.init else ""
    window = f" by k{i.window}" if i.window >= 0 else ""
    return f"{name} m{i.index}[{i.tiles[0]}:{i.tiles[1]}]{buffers}{window}{init} {raises}"


def _buffers(numbers: Sequence[int]) -> str:
    return ", ".join(f"b{number}" for number in numbers)


_N = "([0-9]{1,10})"
_TILES = rf"m{_N}\[{_N}:{_N}\]"
_PRODUCT = re.compile(
    rf"(reload|drive|integrate|convert|accumulate) {_TILES}(?:, b{_N})?(?: by k{_N})?( init)? "
    rf"raises e{_N}"
)
_MOVE = re.compile(rf"move b{_N} -> b{_N} raises e{_N}")
_KERNEL = re.compile(rf"(vector|host) k{_N} \(([^()]*)\) -> \(([^()]*)\) raises e{_N}")
_CONTROL = re.compile(rf"control c{_N} raises e{_N}")
_SYNC = re.compile(r"sync((?: e[0-9]+,)* e[0-9]+)?")


def _parse(line: str, names: Names) -> Instruction:
    text, comment, quoted = line.strip().partition(" ; ")
    node = names.index(_unquote(quoted)) if comment else -1
    text = text.rstrip()
    if text == "halt":
        return Instruction(Opcode.HALT, node=node)
    if found := _SYNC.fullmatch(text):
        return Instruction(Opcode.SYNC, node=node, events=_numbers(found[1] or "", "e"))
    if found := _MOVE.fullmatch(text):
        source, target, event = map(int, found.groups())
        return Instruction(Opcode.MOVE, event, node, ins=(source,), outs=(target,))
    if found := _CONTROL.fullmatch(text):
        return Instruction(Opcode.CONTROL, int(found[2]), node, index=int(found[1]))
    if found := _KERNEL.fullmatch(text):
        ins, outs = _numbers(found[3], "b"), _numbers(found[4], "b")
        opcode = Opcode[found[1].upper()]
        return Instruction(opcode, int(found[5]), node, index=int(found[2]), ins=ins, outs=outs)
    if found := _PRODUCT.fullmatch(text):
        return _parse_product(found, node)
    raise ProgramError(f"an instruction must follow the grammar of listings, not {text!r}")


def _parse_product(found: re.Match[str], node: int) -> Instruction:
    opcode, buffer = Opcode[found[1].upper()], found[5]
    if (buffer is not None) != (opcode in (Opcode.DRIVE, Opcode.ACCUMULATE)):
        raise ProgramError(f"{found[1]} must {'name no' if buffer else 'name a'} buffer")
    if found[7] and opcode is not Opcode.ACCUMULATE:
        raise ProgramError(f"{found[1]} cannot have init")
    if found[6] is not None and opcode is not Opcode.DRIVE:
        raise ProgramError(f"{found[1]} cannot gather rows")
    buffers = (int(buffer),) if buffer is not None else ()
    return Instruction(
        opcode,
        int(found[8]),
        node,
        found[7] is not None,
        index=int(found[2]),
        tiles=(int(found[3]), int(found[4])),
        ins=buffers if opcode is Opcode.DRIVE else (),
        outs=buffers if opcode is Opcode.ACCUMULATE else (),
        window=-1 if found[6] is None else int(found[6]),
    )


def _numbers(text: str, letter: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")] if text.strip() else []
    if not all(re.fullmatch(letter + _N, word) for word in words):
        raise ProgramError(f"operands must read {letter}0, {letter}1 ..., not {text.strip()!r}")
    return tuple(int(word[1:]) for word in words)


def _quote(text: str) -> str:
    return json.dumps(text)


def _unquote(text: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, str):
        raise ProgramError(f"a name must be a JSON string, not {text.strip()!r}")
    return value
