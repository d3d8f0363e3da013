"""Instruction records and listings."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semc.backends.memcap.decode import decode_program
from semc.backends.memcap.disassemble import assemble, disassemble, format_streams
from semc.backends.memcap.isa import (
    RECORD,
    Instruction,
    Opcode,
    Stream,
    decode_streams,
    encode_streams,
)
from semc.backends.program import Program
from semc.backends.tables import Names, decode_names
from semc.dialects.units import layer_unit, place_of_unit
from semc.errors import ProgramError

from .memcap_programs import CHAIN, TO_ANALOG, chain_weights, compiled

STREAMS = [
    Stream(
        "layer0",
        (
            Instruction(Opcode.SYNC, events=(3, 4)),
            Instruction(Opcode.DRIVE, 0, 0, index=2, tiles=(1, 5), ins=(7,), window=3),
            Instruction(Opcode.INTEGRATE, 1, 0, index=2, tiles=(1, 5)),
            Instruction(Opcode.CONVERT, 2, 0, index=2, tiles=(1, 5)),
            Instruction(Opcode.ACCUMULATE, 5, 0, True, 2, (1, 5), outs=(8,)),
            Instruction(Opcode.HALT),
        ),
    ),
    Stream(
        "vector",
        (
            Instruction(Opcode.MOVE, 3, ins=(1,), outs=(2,)),
            Instruction(Opcode.VECTOR, 4, 1, index=9, ins=(1, 2, 2), outs=(3,)),
            Instruction(Opcode.HOST, 6, 1, index=10, ins=(), outs=(4, 5)),
            Instruction(Opcode.HALT),
        ),
    ),
    Stream("dma", ()),
]
BLOCKS = [
    STREAMS,
    [],
    [Stream("control", (Instruction(Opcode.CONTROL, 0, 1, index=3), Instruction(Opcode.HALT)))],
]
NODES = ['conv/"quoted" ; 1', "soft\nmax é"]


def packed() -> tuple[dict[str, np.ndarray], list[str]]:
    names = Names()
    for node in NODES:
        names.index(node)
    sections = encode_streams(BLOCKS, names)
    return sections, decode_names(names.encode())


def test_records_are_32_bytes() -> None:
    assert RECORD.itemsize == 32
    sections, _ = packed()
    assert sections["isa.instructions"].shape == (12, 32)


def test_streams_round_trip() -> None:
    sections, names = packed()
    assert decode_streams(sections, names) == BLOCKS
    assert names[:2] == NODES


def test_streams_come_back_from_text() -> None:
    _, names = packed()
    text = format_streams(BLOCKS, names)
    blocks, found = assemble(text)
    assert format_streams(blocks, found.in_order()) == text
    again = decode_streams(encode_streams(blocks, found), found.in_order())
    assert format_streams(again, found.in_order()) == text
    assert _without_nodes(blocks) == _without_nodes(BLOCKS)


def _without_nodes(blocks: list[list[Stream]]) -> list[list[list[Instruction]]]:
    return [[[replace(i, node=-1) for i in s.instructions] for s in block] for block in blocks]


def test_the_text_is_what_the_manual_says() -> None:
    _, names = packed()
    lines = [line.strip() for line in format_streams(BLOCKS, names).splitlines()]
    assert lines[1] == '.controller "layer0"'
    assert lines[2] == "sync e3, e4"
    assert lines[3].startswith("drive m2[1:5], b7 by k3 raises e0")
    assert lines[3].endswith(r'; "conv/\"quoted\" ; 1"')
    assert lines[6].startswith("accumulate m2[1:5], b8 init raises e5")
    assert lines[11].startswith("vector k9 (b1, b2, b2) -> (b3) raises e4")
    assert lines[12].startswith("host k10 () -> (b4, b5) raises e6")
    assert ".block 2" in lines
    assert any(line.startswith("control c3 raises e0") for line in lines)


def test_a_program_lists_its_tables_and_nodes() -> None:
    program = compiled(CHAIN, chain_weights())
    text = disassemble(program)
    assert '; m0 2x8x8, 2 tiles, layers 0..1, "a"' in text
    assert 'output "output0"' in text
    assert "part of b" in text
    assert 'value "four"' in text
    streams, names = assemble(text)
    assert text.endswith(format_streams(streams, names.in_order()))


@pytest.mark.parametrize(
    "line",
    [
        "jump e3", "sync 3", "sync e3,", "drive m0[0:1] raises e0", "convert m0[0:1], b3 raises e0",
        "drive m0[0:1], b2 init raises e0", "move b0 -> b1", "vector k0 (b0 b1) -> (b2) raises e1",
        "drive m0[0:99999999999], b0 raises e0", "halt ; unquoted",
        "vector k0 (e0) -> (b2) raises e1",
    ],
)  # fmt: skip
def test_other_text_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ProgramError) as caught:
        assemble(f'.controller "dma"\n    {line}\n')
    assert caught.value.where == "line 2"


def test_instructions_need_a_controller() -> None:
    with pytest.raises(ProgramError, match=r"must follow a \.controller"):
        assemble("halt\n")
    with pytest.raises(ProgramError, match="JSON string"):
        assemble(".controller dma\n")
    with pytest.raises(ProgramError, match="numbered in order"):
        assemble(".block 2\n")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("opcode", 0, "no operation"),
        ("opcode", 77, "no operation"),
        ("flags", 1, "unused fields"),
        ("flags", 2, "unused fields"),
        ("reserved", 1, "unused fields"),
        ("e", 1, "unused fields"),
        ("event", -1, "cannot raise event -1"),
    ],
)
def test_malformed_records_are_refused(field: str, value: int, reason: str) -> None:
    sections, names = packed()
    raw = sections["isa.instructions"].copy()
    raw.view(RECORD).reshape(-1)[2][field] = value  # an INTEGRATE
    with pytest.raises(ProgramError, match=reason):
        decode_streams({**sections, "isa.instructions": raw}, names)


def test_operands_must_lie_in_their_pool() -> None:
    sections, names = packed()
    short = {**sections, "isa.operands": sections["isa.operands"][:1]}
    with pytest.raises(ProgramError, match=r"isa\.operands"):
        decode_streams(short, names)


@pytest.mark.parametrize(
    "table",
    [
        [[0, 2, 0, 5]], [[0, 2, 1, 12]], [[0, 9, 0, 12]], [[0, -1, 0, 12]], [], [[-1, 2, 0, 12]],
        [[1 << 40, 2, 0, 12]], [[2, 2, 0, 5], [1, 2, 5, 12]],
    ],
)  # fmt: skip
def test_streams_must_cut_the_instructions(table: list[list[int]]) -> None:
    sections, names = packed()
    changed = np.array(table, np.int64).reshape(-1, 4)
    with pytest.raises(ProgramError):
        decode_streams({**sections, "isa.streams": changed}, names)


def test_a_field_must_fit() -> None:
    wide = Stream("dma", (Instruction(Opcode.MOVE, 2**40, ins=(0,), outs=(1,)),))
    with pytest.raises(ProgramError, match="must fit its width"):
        encode_streams([[wide]], Names())


def test_the_manual_lists_the_operations_and_sections(repository: Path) -> None:
    manual = (repository / "docs" / "isa.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d+) \| ([A-Z]+) \|", manual, re.MULTILINE) == [
        (str(int(op)), op.name) for op in Opcode
    ]
    page = (repository / "docs" / "program-file.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE))
    program = compiled(CHAIN, chain_weights())
    assert {re.sub(r"\.\d+$", ".n", name) for name in program.tensors} <= listed


def test_the_manual_shows_a_listing_that_assembles(repository: Path) -> None:
    manual = (repository / "docs" / "isa.md").read_text(encoding="utf-8")
    (listing,) = re.findall(r"```\n(.*?)```", manual, re.DOTALL)
    blocks, names = assemble(listing)
    units = [[stream.unit for stream in streams] for streams in blocks]
    assert units == [["layer1", "vector", "dma", "control"], ["vector"]]
    printed = format_streams(blocks, names.in_order())
    assert [x.split() for x in printed.splitlines() if x] == [
        x.split() for x in listing.splitlines() if x
    ]


def test_names_of_controllers() -> None:
    assert [layer_unit(3), layer_unit(3, 1)] == ["layer3", "layer3.1"]
    assert [place_of_unit(u) for u in ("layer3", "layer0.12")] == [(3, 0), (0, 12)]
    for other in ("layer", "layer1.0", "layer01", "layer1.", "vector", "chip1.layer0", "layer-1"):
        assert place_of_unit(other) is None


def test_a_layer_has_no_more_controllers_than_its_target() -> None:
    program = compiled(CHAIN, chain_weights())
    names = decode_names(program.tensors)
    blocks = decode_streams(program.tensors, names)
    moved = [
        [replace(s, unit="layer0.1") if s.unit == "layer0" else s for s in streams]
        for streams in blocks
    ]
    known = Names()
    for name in names:
        known.index(name)
    sections = {**program.tensors, **encode_streams(moved, known), **known.encode()}
    with pytest.raises(ProgramError, match=r"layer0.1 is not there: a layer has 1 sequencers"):
        decode_program(Program(program.manifest, sections))


FUSED = """
func.func @main(%x: tensor<1x4x4x2xf32>) -> tensor<16x4xf32> {
  %m = tile.program <"m"> tiles dense<[[0, 0, 18, 0, 4]]> : tensor<1x5xi32>
    {sites = dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x18x4>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1],
    low = [1, 1], high = [1, 1], channels_last = true : (tensor<1x4x4x2xf32>) -> tensor<16x18xf32>
  %2 = tile.mvm %m, %1 : (!tile.crossbar<1x18x4>, tensor<16x18xf32>) -> tensor<16x4xf32>
  func.return %2 : tensor<16x4xf32>
}
"""


def test_a_drive_gathers_rows_by_a_window_only() -> None:
    weights = {"m": np.ones((1, 18, 4), np.float32)}
    program = compiled(FUSED, weights, f"fuse-windows,{TO_ANALOG}")
    text = disassemble(program)
    assert "drive m0[0:1], b1 by k0 raises e1" in text
    decoded = decode_program(program)
    (drive,) = [i for s in decoded.blocks[0] for i in s.instructions if i.opcode is Opcode.DRIVE]
    assert decoded.driven_shape(drive) == (16, 18)
    blocks = decode_streams(program.tensors, decoded.names)
    for window, message in ((5, "names kernel 5 of 1"), (-1, r"gives a matrix of \[1, 18, 4\]")):
        names = Names()
        for name in decoded.names:
            names.index(name)
        changed = [
            [
                replace(
                    s,
                    instructions=tuple(
                        replace(i, window=window) if i.opcode is Opcode.DRIVE else i
                        for i in s.instructions
                    ),
                )
                for s in streams
            ]
            for streams in blocks
        ]
        sections = {**program.tensors, **encode_streams(changed, names), **names.encode()}
        with pytest.raises(ProgramError, match=message):
            decode_program(Program(program.manifest, sections))
