"""Instructions, listings and kernels survive their encodings; waits order every stream."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semc.backends.kernel_codec import OPCODES, PREDICATES, decode_kernels, encode_kernels
from semc.backends.memcap.disassemble import assemble, format_streams
from semc.backends.memcap.isa import Instruction, Opcode, Stream, decode_streams, encode_streams
from semc.backends.tables import Names, decode_names
from semc.compiler.placement.issue import EventOrder
from semc.dialects.elements import ELEMENTS
from semc.dialects.kernel import CHOICES, FIELDS, Body, Kernel, MicroOp
from semc.errors import ProgramError

numbers = st.integers(0, 2**31 - 1)
buffers = st.lists(numbers, max_size=5).map(tuple)
ranges = st.tuples(numbers, numbers)


def instructions(nodes: int) -> st.SearchStrategy[Instruction]:
    node = st.integers(-1, nodes - 1)
    one = numbers.map(lambda n: (n,))
    array = {"event": numbers, "node": node, "index": numbers, "tiles": ranges}
    kernel = {"event": numbers, "node": node, "index": numbers, "ins": buffers, "outs": buffers}

    def build(opcode: Opcode, **fields: st.SearchStrategy) -> st.SearchStrategy[Instruction]:
        return st.builds(Instruction, st.just(opcode), **fields)

    return st.one_of(
        build(Opcode.SYNC, node=node, events=buffers),
        build(Opcode.DRIVE, **array, ins=one),
        build(Opcode.INTEGRATE, **array),
        build(Opcode.CONVERT, **array),
        build(Opcode.ACCUMULATE, **array, init=st.booleans(), outs=one),
        build(Opcode.MOVE, event=numbers, node=node, ins=one, outs=one),
        build(Opcode.VECTOR, **kernel),
        build(Opcode.HOST, **kernel),
        build(Opcode.CONTROL, event=numbers, node=node, index=numbers),
        build(Opcode.HALT, node=node),
    )


texts = st.lists(st.text(max_size=12), min_size=3, max_size=3, unique=True)
bodies = st.lists(instructions(3), max_size=12).map(tuple)
streams = st.lists(st.builds(Stream, st.text(max_size=8), bodies), max_size=4)
#: The last block has a stream: the table of streams tells of no block behind it.
programs = st.lists(streams, min_size=1, max_size=3).filter(lambda b: len(b) == 1 or bool(b[-1]))


@given(programs, texts)
def test_streams_survive_bytes_and_text(blocks: list[list[Stream]], nodes: list[str]) -> None:
    names = Names()
    for node in nodes:
        names.index(node)
    sections = encode_streams(blocks, names)
    found = decode_names(names.encode())
    assert found[:3] == nodes
    decoded = decode_streams(sections, found)
    assert decoded == blocks
    text = format_streams(decoded, found)
    again, renamed = assemble(text)
    coded = decode_streams(encode_streams(again, renamed), renamed.in_order())
    assert format_streams(coded, renamed.in_order()) == text


@given(st.binary(min_size=32, max_size=96))
def test_random_records_are_refused_or_instructions(data: bytes) -> None:
    raw = np.frombuffer(data[: len(data) // 32 * 32], np.uint8).reshape(-1, 32)
    sections = {
        "isa.instructions": raw,
        "isa.operands": np.arange(4, dtype=np.int32),
        "isa.streams": np.array([[0, 0, 0, len(raw)]], np.int64),
    }
    try:
        ((stream,),) = decode_streams(sections, ["dma"])
    except ProgramError:
        return
    assert len(stream.instructions) == len(raw)


int64 = st.integers(-(2**63), 2**63 - 1)
ints = st.lists(int64, max_size=6).map(tuple)
immediates = st.one_of(
    st.none(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.sampled_from(PREDICATES)
)
types = st.sampled_from([element.name for element in ELEMENTS])


@st.composite
def map_bodies(draw: st.DrawFn) -> Body:
    inputs = draw(st.lists(types, min_size=1, max_size=3).map(tuple))
    ops: list[MicroOp] = []
    for _ in range(draw(st.integers(0, 6))):
        registers = st.integers(0, len(inputs) + len(ops) - 1)
        operands = draw(st.lists(registers, max_size=3).map(tuple))
        op = MicroOp(draw(st.sampled_from(OPCODES)), draw(types), operands, draw(immediates))
        ops.append(op)
    return Body(inputs, tuple(ops), draw(st.integers(0, len(inputs) + len(ops) - 1)))


@st.composite
def kernels(draw: st.DrawFn) -> Kernel:
    kind = draw(st.sampled_from(sorted(FIELDS)))
    strategies = {
        "int": int64, "ints": ints, "bool": st.booleans(), "float": st.floats(),
        "bytes": st.binary(max_size=20), "body": map_bodies(),
    }  # fmt: skip
    attrs = {}
    for name, type_ in FIELDS[kind]:
        word = st.sampled_from(CHOICES[kind, name]) if type_ == "str" else strategies[type_]
        attrs[name] = draw(word)
    return Kernel(kind, attrs)


def spelled(kernel: Kernel) -> str:
    """Text in which NaN equals NaN and -0.0 is not 0.0."""
    return repr(kernel)


@given(st.lists(kernels(), max_size=5))
def test_kernels_survive(given_kernels: list[Kernel]) -> None:
    decoded = decode_kernels(encode_kernels(given_kernels))
    assert list(map(spelled, decoded)) == list(map(spelled, given_kernels))


@given(st.lists(kernels(), min_size=1, max_size=3), st.integers(0), int64)
def test_one_changed_word_is_refused_or_a_kernel(
    given_kernels: list[Kernel], position: int, value: int
) -> None:
    sections = encode_kernels(given_kernels)
    words = sections["kernels.words"].copy()
    words[position % len(words)] = value
    try:
        decoded = decode_kernels({**sections, "kernels.words": words})
    except ProgramError:
        return
    assert len(decoded) == len(given_kernels)


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 30), max_size=4)), max_size=30))
def test_spared_waits_are_implied_and_written_ones_are_not(
    work: list[tuple[int, set[int]]],
) -> None:
    order = EventOrder(4)
    reached: list[set[int]] = []
    last: dict[int, int] = {}
    for stream, wanted in work:
        events = {e for e in wanted if e < order.events}
        waits = order.waits(stream, events)
        own = {last[stream]} if stream in last else set()
        known = own.union(*(reached[e] for e in own))
        done = known.union(waits, *(reached[e] for e in waits))
        assert events <= done
        for event in waits:
            others = known.union(*({e} | reached[e] for e in waits if e != event))
            assert event not in others
        last[stream] = order.issue(stream)
        reached.append(done)
