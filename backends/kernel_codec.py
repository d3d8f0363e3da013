"""Kernels in a program file: 64-bit words in one pool, read back without trust.

    kernels.words  i64 [n]      version, then the words of each distinct kernel
    kernels.ranges i64 [K, 2]   first and end word of each kernel; equal kernels share a range
    kernels.bytes  ui8 [n]      byte strings (host models)

    kernel = kind field*        fields as dialects.kernel.FIELDS orders them
    field  = int | bool         one word
           | float              the bits of a float64
           | str                index into dialects.kernel.CHOICES
           | ints               count, values
           | bytes              first byte and size in kernels.bytes
           | body               inputs, type*, ops, op*, result register
    op     = opcode type operands register* imm
    imm    = 0 | 1 int64 | 2 float64 bits | 3 predicate | 4 uint64 bits

Numbers in KINDS, OPCODES and PREDICATES are part of the file format: new names go to the end.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..dialects.elements import CODE_OF_NAME, ELEMENTS
from ..dialects.kernel import CHOICES, FIELDS, Body, Kernel, MicroOp
from ..errors import ProgramError
from .tables import section

CODEC_VERSION = 1

KINDS = (
    "map", "reduce", "view", "pad", "concat", "gather", "scatter", "resample", "window",
    "contract", "cumulate", "host", "update", "argsort",
)  # fmt: skip

OPCODES = (
    "constant", "addf", "subf", "mulf", "divf", "negf", "remf", "maximumf", "minimumf", "maxnumf",
    "minnumf", "addi", "subi", "muli", "divsi", "divui", "floordivsi", "ceildivsi", "ceildivui",
    "remsi", "remui", "maxsi", "maxui", "minsi", "minui", "andi", "ori", "xori", "shli", "shrsi",
    "shrui", "cmpf", "cmpi", "select", "extf", "truncf", "extsi", "extui", "trunci", "fptosi",
    "fptoui", "sitofp", "uitofp", "bitcast", "index_cast", "absf", "absi", "exp", "exp2", "expm1",
    "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "cbrt", "powf", "erf", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan2", "ceil",
    "floor", "trunc", "round", "roundeven", "copysign", "fpowi", "ipowi", "fma", "ctlz", "cttz",
    "ctpop", "unrealized_conversion_cast",
)  # fmt: skip

PREDICATES = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord", "ueq", "ugt", "uge", "ult", "ule",
    "une", "uno", "true", "eq", "ne", "slt", "sle", "sgt", "sge",
)  # fmt: skip

_NO_IMM, _INT, _FLOAT, _PREDICATE, _UNSIGNED = range(5)


def encode_kernels(kernels: Sequence[Kernel]) -> dict[str, np.ndarray]:
    """The sections ``kernels.*``; kernel ``i`` of the list is kernel ``i`` of the program.

    Raises ProgramError for a name that the file format has no number for.
    """
    writer = _Writer()
    ranges = [writer.kernel(kernel) for kernel in kernels]
    return {
        "kernels.words": np.array(writer.pool, np.int64),
        "kernels.ranges": np.array(ranges, np.int64).reshape(-1, 2),
        "kernels.bytes": np.frombuffer(bytes(writer.blobs), np.uint8),
    }


def decode_kernels(tensors: Mapping[str, np.ndarray]) -> list[Kernel]:
    """The inverse of :func:`encode_kernels`; equal kernels are one object. Raises ProgramError."""
    words = section(tensors, "kernels.words", np.int64, (None,)).tolist()
    blobs = section(tensors, "kernels.bytes", np.uint8, (None,))
    ranges = section(tensors, "kernels.ranges", np.int64, (None, 2)).tolist()
    if words[:1] != [CODEC_VERSION]:
        raise ProgramError(f"kernels must be of version {CODEC_VERSION}, not {words[:1]}")
    found: dict[tuple[int, int], Kernel] = {}
    kernels = []
    for number, (first, end) in enumerate(ranges):
        if not 1 <= first <= end <= len(words):
            raise ProgramError(f"kernel {number}: words {first}..{end} leave 1..{len(words)}")
        if (first, end) not in found:
            reader = _Reader(words, first, end, blobs, number)
            found[first, end] = reader.kernel()
        kernels.append(found[first, end])
    return kernels


@cache
def _number(table: tuple[str, ...], word: str) -> int:
    if word not in table:
        raise ProgramError(f"a program file has no number for {word!r}, it knows {table}")
    return table.index(word)


def _bits(value: float) -> int:
    return int(struct.unpack("<q", struct.pack("<d", value))[0])


class _Writer:
    """Appends kernels to a pool, each distinct one once."""

    def __init__(self) -> None:
        self.pool: list[int] = [CODEC_VERSION]
        self.blobs = bytearray()
        self._ranges: dict[tuple[int, ...], tuple[int, int]] = {}
        self._blob_starts: dict[bytes, int] = {}

    def kernel(self, kernel: Kernel) -> tuple[int, int]:
        words = [_number(KINDS, kernel.kind)]
        for name, type_ in FIELDS[kernel.kind]:
            words += self._field(kernel.kind, name, type_, kernel.attrs[name])
        key = tuple(words)
        if key not in self._ranges:
            first = len(self.pool)
            self.pool += words
            self._ranges[key] = (first, len(self.pool))
        return self._ranges[key]

    def _field(self, kind: str, name: str, type_: str, value: Any) -> list[int]:
        match type_:
            case "int" | "bool":
                return [int(value)]
            case "ints":
                return [len(value), *map(int, value)]
            case "float":
                return [_bits(float(value))]
            case "str":
                return [_number(CHOICES[kind, name], value)]
            case "bytes":
                return self._bytes(bytes(value))
            case _:
                return _body_words(value)

    def _bytes(self, value: bytes) -> list[int]:
        if value not in self._blob_starts:
            self._blob_starts[value] = len(self.blobs)
            self.blobs += value
        return [self._blob_starts[value], len(value)]


def _body_words(body: Body) -> list[int]:
    words = [len(body.inputs), *(CODE_OF_NAME[name] for name in body.inputs), len(body.ops)]
    for op in body.ops:
        words += [_number(OPCODES, op.name), CODE_OF_NAME[op.type], len(op.operands), *op.operands]
        words += _imm_words(op.imm)
    return [*words, body.result]


def _imm_words(imm: float | int | str | None) -> list[int]:
    match imm:
        case None:
            return [_NO_IMM]
        case str():
            return [_PREDICATE, _number(PREDICATES, imm)]
        case float():
            return [_FLOAT, _bits(imm)]
    value = int(imm)
    if -(2**63) <= value < 2**63:
        return [_INT, value]
    if value < 2**64:
        return [_UNSIGNED, value - 2**64]
    raise ProgramError(f"a constant of a map body must fit 64 bits, not {value}")


class _Reader:
    """Reads the words of one kernel; everything it finds is checked."""

    def __init__(
        self, words: Sequence[int], first: int, end: int, blobs: np.ndarray, number: int
    ) -> None:
        self.words, self.at, self.end = words, first, end
        self.blobs, self.number = blobs, number

    def fail(self, reason: str) -> ProgramError:
        return ProgramError(f"kernel {self.number} of the program {reason}")

    def kernel(self) -> Kernel:
        kind = self.choice(KINDS, "kind")
        attrs = {name: self.field(kind, name, type_) for name, type_ in FIELDS[kind]}
        if self.at != self.end:
            raise self.fail(f"must end after {kind}, {self.end - self.at} words are left")
        return Kernel(kind, attrs)

    def word(self) -> int:
        if self.at >= self.end:
            raise self.fail("ends before its last field")
        self.at += 1
        return self.words[self.at - 1]

    def count(self) -> int:
        count = self.word()
        if not 0 <= count <= self.end - self.at:
            raise self.fail(f"counts {count} items in {self.end - self.at} words")
        return count

    def ints(self) -> tuple[int, ...]:
        return tuple(self.word() for _ in range(self.count()))

    def choice(self, table: Sequence[str], what: str) -> str:
        index = self.word()
        if not 0 <= index < len(table):
            raise self.fail(f"has {what} {index}, of which there are {len(table)}")
        return table[index]

    def element(self) -> str:
        code = self.word()
        if not 0 <= code < len(ELEMENTS):
            raise self.fail(f"has element type {code}, of which there are {len(ELEMENTS)}")
        return ELEMENTS[code].name

    def float64(self) -> float:
        return float(struct.unpack("<d", struct.pack("<q", self.word()))[0])

    def field(self, kind: str, name: str, type_: str) -> Any:
        match type_:
            case "int":
                return self.word()
            case "bool":
                return self.choice(("false", "true"), name) == "true"
            case "ints":
                return self.ints()
            case "float":
                return self.float64()
            case "str":
                return self.choice(CHOICES[kind, name], name)
            case "bytes":
                return self.blob()
            case _:
                return self.body()

    def blob(self) -> bytes:
        first, size = self.word(), self.word()
        if not (0 <= first <= len(self.blobs) and 0 <= size <= len(self.blobs) - first):
            raise self.fail(f"has bytes {first}..{first + size} of {len(self.blobs)}")
        return self.blobs[first : first + size].tobytes()

    def body(self) -> Body:
        inputs = tuple(self.element() for _ in range(self.count()))
        ops = tuple(self.micro_op(len(inputs) + i) for i in range(self.count()))
        result = self.word()
        if not 0 <= result < len(inputs) + len(ops):
            raise self.fail(f"yields register {result} of {len(inputs) + len(ops)}")
        return Body(inputs, ops, result)

    def micro_op(self, register: int) -> MicroOp:
        name, type_ = self.choice(OPCODES, "opcode"), self.element()
        operands = self.ints()
        if any(not 0 <= r < register for r in operands):
            raise self.fail(f"uses {operands} before register {register}")
        return MicroOp(name, type_, operands, self.imm())

    def imm(self) -> float | int | str | None:
        match self.word():
            case 0:
                return None
            case 1:
                return self.word()
            case 2:
                return self.float64()
            case 3:
                return self.choice(PREDICATES, "predicate")
            case 4:
                return self.word() % 2**64
            case kind:
                raise self.fail(f"has an immediate of kind {kind}")
