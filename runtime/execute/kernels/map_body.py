"""``map``: a scalar body applied to every element, block by block.

A body is compiled once into a list of array functions with a buffer for each register that is
alive. The output is cut into blocks small enough for a core's own cache, and the whole body runs on
one block before the next: intermediate values never travel to memory (1.8 times faster than whole
arrays for GELU and for a chain of 16 operations over 4 M elements).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ....dialects.elements import OF_DTYPE, is_float
from ....dialects.kernel import Body, MicroOp
from ....errors import ProgramError
from .dtypes import dtype_named
from .scalar_ops import ALIASING, NOT_IN_PLACE, Function, function_of

# Elements of a block: with float32 and a handful of live registers it fits a second-level cache.
BLOCK = 1 << 16

Index = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a compiled body; ``buffer`` numbers the scratch array of its result."""

    function: Function
    operands: tuple[int, ...]
    register: int
    buffer: int | None


@dataclass(frozen=True, slots=True)
class Compiled:
    """A body ready to run; ``constants`` are registers that never change."""

    inputs: tuple[np.dtype, ...]
    constants: dict[int, np.ndarray]
    steps: tuple[Step, ...]
    buffers: tuple[np.dtype, ...]
    registers: int
    result: int


def map_body(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """Apply ``body`` to the inputs, broadcast to ``shape``.

    Raises ProgramError when the body is malformed or the inputs are not of its types or shape.
    """
    compiled = compile_body(attrs["body"])
    came = tuple(x.dtype for x in inputs)
    if came != compiled.inputs:
        raise ProgramError(f"a map body over {_names(compiled.inputs)} was given {_names(came)}")
    out = np.empty(shape, dtype)
    if out.size == 0:
        return out
    dims, views = _merge_axes(inputs, shape)
    full = _full_registers(compiled, views, dims)
    target = out.reshape(dims)
    scratch: dict[int, np.ndarray] = {}
    for index in _blocks(dims):
        pieces = [v[_cut(v, index)] for v in views]
        _run_block(compiled, pieces, target[index], full, scratch)
    return out


def _names(dtypes: Sequence[np.dtype]) -> str:
    return "(" + ", ".join(str(t) for t in dtypes) + ")"


@lru_cache(maxsize=1024)
def compile_body(body: Body) -> Compiled:
    """The live operations of ``body`` as array functions, with buffers shared once values die.

    Raises ProgramError for an unknown operation or type, or an operand not yet computed.
    """
    types = [dtype_named(name) for name in body.inputs]
    n = len(types)
    for i, op in enumerate(body.ops):
        if any(not 0 <= r < n + i for r in op.operands):
            raise ProgramError(f"operation {i} ({op.name}) must use registers 0 to {n + i - 1}")
        types.append(dtype_named(op.type))
    if not 0 <= body.result < len(types):
        raise ProgramError(f"a map body must yield one of its {len(types)} registers")
    live, last_use = _liveness(body)
    constants = {
        n + i: _constant(op, types[n + i])
        for i, op in enumerate(body.ops)
        if op.name == "constant" and n + i in live
    }
    plan = _BufferPlan(types, last_use)
    steps = []
    for i, op in enumerate(body.ops):
        register = n + i
        if register not in live or register in constants:
            continue
        buffer = plan.place(op, register) if register != body.result else None
        steps.append(Step(_function(op, types, constants), op.operands, register, buffer))
    return Compiled(
        tuple(types[:n]), constants, tuple(steps), tuple(plan.dtypes), len(types), body.result
    )


class _BufferPlan:
    """Assigns scratch arrays to registers in order, reusing those of dead registers."""

    def __init__(self, types: Sequence[np.dtype], last_use: Mapping[int, int]) -> None:
        self.dtypes: list[np.dtype] = []
        self._types = types
        self._last_use = last_use
        self._free: dict[np.dtype, list[int]] = {}
        self._held: dict[int, int] = {}

    def place(self, op: MicroOp, register: int) -> int | None:
        """The buffer of the result, or None where it is the operand's own memory."""
        if op.name in ALIASING:
            return None
        if op.name in NOT_IN_PLACE:
            buffer = self._take(register)
            self._release(register)
            return buffer
        self._release(register)
        return self._take(register)

    def _release(self, now: int) -> None:
        for held in [r for r in self._held if self._last_use[r] <= now and r != now]:
            buffer = self._held.pop(held)
            self._free.setdefault(self.dtypes[buffer], []).append(buffer)

    def _take(self, register: int) -> int:
        dtype = self._types[register]
        free = self._free.get(dtype)
        if free:
            buffer = free.pop()
        else:
            buffer = len(self.dtypes)
            self.dtypes.append(dtype)
        self._held[register] = buffer
        return buffer


def _liveness(body: Body) -> tuple[set[int], dict[int, int]]:
    """Registers the result needs, and the last register computed from each (through aliases)."""
    n = len(body.inputs)
    live = {body.result}
    last_use = {body.result: n + len(body.ops)}
    for i in reversed(range(len(body.ops))):
        register = n + i
        if register not in live:
            continue
        op = body.ops[i]
        until = last_use[register] if op.name in ALIASING else register
        for operand in op.operands:
            live.add(operand)
            last_use[operand] = max(last_use.get(operand, 0), until)
    return live, last_use


def _constant(op: MicroOp, dtype: np.dtype) -> np.ndarray:
    if not isinstance(op.imm, (int, float)):
        raise ProgramError(f"a constant of a map body must be a number, not {op.imm!r}")
    if is_float(dtype):
        with np.errstate(all="ignore"):
            return np.array(float(op.imm)).astype(dtype)
    if dtype.kind == "b":
        return np.array(bool(int(op.imm) & 1))
    code = int(op.imm) & (2 ** OF_DTYPE[dtype].bits - 1)
    return np.array(code, f"u{dtype.itemsize}").view(dtype)


def _function(
    op: MicroOp, types: Sequence[np.dtype], constants: Mapping[int, np.ndarray]
) -> Function:
    if op.name == "powf" and op.operands[1] in constants:
        exponent = float(constants[op.operands[1]])
        if exponent == 2:  # by far the most frequent power, and a tenth of the time
            return _square
        if exponent == 3:
            return _cube
    sources = tuple(types[r] for r in op.operands)
    return function_of(op.name, op.imm, sources, dtype_named(op.type))


def _square(x: np.ndarray, _: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    return np.multiply(x, x, out=out)


def _cube(x: np.ndarray, _: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    return np.multiply(np.multiply(x, x), x, out=out)


def _merge_axes(
    inputs: Sequence[np.ndarray], shape: tuple[int, ...]
) -> tuple[tuple[int, ...], list[np.ndarray]]:
    """The fewest axes that tell the inputs' broadcasting apart, and the inputs over these axes."""
    rank = len(shape)
    padded = [(1,) * (rank - x.ndim) + x.shape for x in inputs]
    for x, dims in zip(inputs, padded, strict=True):
        if len(dims) != rank or any(d not in (1, n) for d, n in zip(dims, shape, strict=True)):
            raise ProgramError(f"an input of shape {x.shape} does not broadcast to {shape}")
    merged: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        pattern = tuple(dims[axis] != 1 for dims in padded)
        if patterns and patterns[-1] == pattern:
            merged[-1] *= n
        else:
            merged.append(n)
            patterns.append(pattern)
    if not merged:
        return (1,), [x.reshape(1) for x in inputs]
    views = [
        x.reshape([n if pattern[i] else 1 for n, pattern in zip(merged, patterns, strict=True)])
        for i, x in enumerate(inputs)
    ]
    return tuple(merged), views


def _blocks(dims: tuple[int, ...]) -> Iterator[Index]:
    """Indices that cut ``dims`` into blocks of about BLOCK elements along its leading axes."""
    axis, inner = len(dims) - 1, 1
    while axis > 0 and inner * dims[axis] <= BLOCK:
        inner *= dims[axis]
        axis -= 1
    rows = max(1, BLOCK // inner)
    for lead in product(*(range(n) for n in dims[:axis])):
        for start in range(0, dims[axis], rows):
            yield (*(slice(i, i + 1) for i in lead), slice(start, start + rows))


def _cut(x: np.ndarray, index: Index) -> Index:
    return tuple(slice(None) if n == 1 else part for n, part in zip(x.shape, index, strict=False))


def _full_registers(
    compiled: Compiled, views: Sequence[np.ndarray], dims: tuple[int, ...]
) -> list[bool]:
    """Which registers vary along every axis and so have the shape of a whole block."""
    varies: list[frozenset[int]] = [frozenset()] * compiled.registers
    for i, v in enumerate(views):
        varies[i] = frozenset(axis for axis, n in enumerate(v.shape) if n == dims[axis])
    for step in compiled.steps:
        varies[step.register] = frozenset().union(*(varies[r] for r in step.operands))
    return [len(v) == len(dims) for v in varies]


def _run_block(
    compiled: Compiled,
    pieces: Sequence[np.ndarray],
    target: np.ndarray,
    full: Sequence[bool],
    scratch: dict[int, np.ndarray],
) -> None:
    """Run the body on one block; scratch arrays are kept for the next one."""
    values: dict[int, np.ndarray] = {**compiled.constants, **dict(enumerate(pieces))}
    for step in compiled.steps:
        out = None
        if full[step.register]:
            if step.register == compiled.result:
                out = target
            elif step.buffer is not None:
                out = _buffer(scratch, step.buffer, compiled, target.shape)
        operands = [values[r] for r in step.operands]
        values[step.register] = step.function(*operands, out=out)
    result = values[compiled.result]
    if result is not target:
        np.copyto(target, result, casting="equiv")


def _buffer(
    scratch: dict[int, np.ndarray], number: int, compiled: Compiled, shape: tuple[int, ...]
) -> np.ndarray:
    """Scratch array ``number`` in the shape of the block (the last block may be smaller)."""
    found = scratch.get(number)
    if found is None or found.shape != shape:
        if found is None or found.size < prod(shape):
            found = np.empty(shape, compiled.buffers[number])
        else:
            found = found.reshape(-1)[: prod(shape)].reshape(shape)
        scratch[number] = found
    return found
