"""Runs a memcap program from its instruction streams: exact, quantized or noisy.

The chip's memories are byte arrays, so a wrong address or a missing wait shows as a wrong result.
DRIVE takes its input, CONVERT computes the partial sums of its tiles, ACCUMULATE adds them to the
result. Arrays and memories are prepared once and serve any number of runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...backends.memcap.decode import MemcapProgram, decode_program
from ...backends.memcap.isa import Instruction, Opcode
from ...backends.program import Program
from ...errors import InputError, ProgramError
from .arena import Arena, used_bytes
from .host import run_host
from .interleave import Chooser, interleave
from .products import Products
from .vector import run_kernel

Mode = Literal["exact", "quantized", "noisy"]
#: Called with the name of an ONNX value and its array, which is only valid during the call.
Observer = Callable[[str, np.ndarray], None]


@dataclass(slots=True)
class _Product:
    """A product on its way through the arrays of one controller."""

    x: np.ndarray
    stream: int
    sums: np.ndarray | None = None


class MemcapExecutor:
    """Executes ``program`` (a file's or one decoded already) on samples, one ``run`` each.

    ``seed`` draws the chip of noisy mode and its read noise; every run draws fresh read noise.
    ``choose`` picks among the controllers that can go on (any choice gives the same results).

    Raises ProgramError when the program is malformed, deadlocks, or was compiled without the
    weights that ``mode`` needs.
    """

    def __init__(
        self,
        program: Program | MemcapProgram,
        mode: Mode = "exact",
        seed: int = 0,
        choose: Chooser | None = None,
    ) -> None:
        self.program = decode_program(program) if isinstance(program, Program) else program
        self.mode, self.seed = mode, seed
        self.runs = 0
        self._order = interleave(self.program.streams, choose)
        self._products = Products(self.program, mode, seed)
        buffers = self.program.buffers
        self._arena = Arena(used_bytes(buffers))
        self._views = [self._arena.view(buffer) for buffer in buffers]
        self._named = _named_ranges(self.program)
        self._parts = _accumulations(self._order)
        self._events = self.program.events
        self._fill_constants()

    @property
    def mean_squares(self) -> dict[int, float]:
        """By matrix, the mean square of the inputs over their full scale, of all runs so far."""
        return self._products.mean_squares

    def run(
        self, inputs: Mapping[str, np.ndarray], observe: Observer | None = None
    ) -> dict[str, np.ndarray]:
        """The model's outputs for one set of inputs, by name.

        ``observe`` sees every ONNX value that a buffer holds, once, when it is complete. Raises
        InputError when an input is missing, unknown or of another shape or type.
        """
        self._load(inputs)
        pending = dict(self._parts.counts)
        seen: set[str] = set()
        products: dict[str, _Product] = {}
        if observe is not None:
            for port in self.program.inputs:
                self._observe(port.buffer, observe, seen)
        for unit, i in self._order:
            self._step(unit, i, products)
            if observe is None:
                continue
            if i.opcode is Opcode.ACCUMULATE:
                whole = self._parts.product[i.event]
                pending[whole] -= 1
                if pending[whole]:
                    continue
            for buffer in i.outs:
                self._observe(buffer, observe, seen)
        self.runs += 1
        return {port.name: self._views[port.buffer].copy() for port in self.program.outputs}

    def _step(self, unit: str, i: Instruction, products: dict[str, _Product]) -> None:
        match i.opcode:
            case Opcode.DRIVE:
                x = self._views[i.ins[0]].copy()
                products[unit] = _Product(x, self.runs * self._events + i.event)
                self._products.count(i.index, i.tiles, x)
            case Opcode.CONVERT:
                product = products[unit]
                product.sums = self._products.run(i.index, i.tiles, product.x, product.stream)
            case Opcode.ACCUMULATE:
                self._accumulate(i, products.pop(unit).sums)
            case Opcode.MOVE:
                np.copyto(self._views[i.outs[0]], self._views[i.ins[0]])
            case Opcode.VECTOR:
                self._vector(i)
            case Opcode.HOST:
                self._host(i)

    def _accumulate(self, i: Instruction, sums: np.ndarray | None) -> None:
        y = self._views[i.outs[0]]
        assert sums is not None  # the order of a product's instructions was checked
        if sums.shape != y.shape:
            raise ProgramError(
                f"a product of shape {list(sums.shape)} cannot go to {list(y.shape)}",
                where=self.program.node(i),
            )
        if i.init:
            y[...] = sums
        else:
            np.add(y, sums, out=y, casting="unsafe")

    def _vector(self, i: Instruction) -> None:
        kernel = self.program.kernels[i.index]
        if len(i.outs) != 1:
            raise ProgramError(f"a {kernel.kind} kernel has one result", where=self.program.node(i))
        out = self._views[i.outs[0]]
        try:
            out[...] = run_kernel(kernel, [self._views[b] for b in i.ins], out.shape, out.dtype)
        except ProgramError as error:
            raise ProgramError(error.message, where=self.program.node(i)) from error

    def _host(self, i: Instruction) -> None:
        model = self.program.kernels[i.index].attrs["model"]
        results = run_host(model, [self._views[b] for b in i.ins])
        outs = [self._views[b] for b in i.outs]
        given = [(r.shape, r.dtype) for r in results]
        if given != [(out.shape, out.dtype) for out in outs]:
            wants = ", ".join(f"{out.dtype}{list(out.shape)}" for out in outs)
            came = ", ".join(f"{r.dtype}{list(r.shape)}" for r in results)
            raise ProgramError(
                f"a host node must give {wants}, gave {came}", where=self.program.node(i)
            )
        for out, result in zip(outs, results, strict=True):
            out[...] = result

    def _observe(self, buffer: int, observe: Observer, seen: set[str]) -> None:
        for number, value in self._named.get(buffer, ()):
            if value not in seen:
                seen.add(value)
                observe(value, self._views[number])

    def _load(self, inputs: Mapping[str, np.ndarray]) -> None:
        ports = {port.name: port for port in self.program.inputs}
        wrong = sorted(set(ports) ^ set(inputs))
        if wrong:
            raise InputError(f"inputs must be {sorted(ports)}, came {sorted(inputs)}")
        for name, port in ports.items():
            x = np.asarray(inputs[name])
            if (x.shape, x.dtype) != (port.shape, port.dtype):
                raise InputError(
                    f"input must be {port.dtype}{list(port.shape)}, came {x.dtype}{list(x.shape)}",
                    where=name,
                )
            self._views[port.buffer][...] = x

    def _fill_constants(self) -> None:
        tensors = self.program.program.tensors
        for buffer, name in self.program.constants:
            if not name:
                raise ProgramError(
                    "a program compiled without weights can be timed, not executed",
                    help="compile without --no-weights",
                )
            view = self._views[buffer]
            view[...] = tensors[name].reshape(view.shape)


@dataclass(frozen=True, slots=True)
class _Accumulations:
    """The accumulations that make up one product: product of each event, and their number."""

    product: dict[int, int]
    counts: dict[int, int]


def _accumulations(order: list[tuple[str, Instruction]]) -> _Accumulations:
    """Products are known by the event of the accumulation that begins them."""
    product: dict[int, int] = {}
    counts: dict[int, int] = {}
    current: dict[int, int] = {}
    parts = [i for _, i in order if i.opcode is Opcode.ACCUMULATE]
    for i in sorted(parts, key=lambda i: i.event):
        if i.init:
            current[i.outs[0]] = i.event
        first = product[i.event] = current.get(i.outs[0], i.event)
        counts[first] = counts.get(first, 0) + 1
    return _Accumulations(product, counts)


def _named_ranges(program: MemcapProgram) -> dict[int, list[tuple[int, str]]]:
    """By buffer, the buffers with an ONNX value that are complete once it is: itself, its parts."""
    found: dict[int, list[tuple[int, str]]] = {}
    for number, entry in enumerate(program.buffers):
        if entry.value is None:
            continue
        owner: int | None = number
        while owner is not None:
            found.setdefault(owner, []).append((number, entry.value))
            owner = program.buffers[owner].source
    return found
