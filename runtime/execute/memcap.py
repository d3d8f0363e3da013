"""Runs a memcap program from its instruction streams: exact, quantized or noisy.

The chip's memories are byte arrays, so a wrong address or a missing wait shows as a wrong result.
DRIVE takes its input, CONVERT computes the partial sums of its tiles, ACCUMULATE adds them to the
result. Arrays and memories are prepared once and serve any number of runs.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...backends.memcap.decode import MemcapProgram, decode_program
from ...backends.memcap.isa import Instruction, Opcode
from ...backends.program import Program
from ...errors import InputError, ProgramError
from .executor import Executor
from .host import run_host
from .interleave import Chooser, interleave
from .loop import ControlFlow
from .memory import Completed, ProgramMemory, collector
from .products import InputObserver, Products
from .vector import run_kernel, run_kernel_into

Mode = Literal["exact", "quantized", "noisy"]

#: Read seeds are this far apart in the numbers of reads: no simulation makes as many.
_READS = 1 << 40
#: The largest read seed: numbers of reads stay below 2^63.
MOST_READ_SEED = (1 << 23) - 1


@dataclass(slots=True)
class _Product:
    """A product on its way through the arrays of one controller."""

    x: np.ndarray
    stream: int
    sums: np.ndarray | None = None


class MemcapExecutor(Executor):
    """Executes ``program`` (a file's or one decoded already) on samples, one ``run`` each.

    ``seed`` draws the chip of noisy mode and ``read_seed`` what differs from read to read of that
    chip; every run draws fresh read noise. ``observe_inputs`` sees the inputs of its matrices.
    ``choose`` picks among the controllers that can go on (any choice gives the same results).

    Raises ProgramError when the program is malformed, deadlocks, or was compiled without the
    weights that ``mode`` needs, InputError as ``restart`` does.
    """

    def __init__(
        self,
        program: Program | MemcapProgram,
        mode: Mode = "exact",
        seed: int = 0,
        choose: Chooser | None = None,
        *,
        read_seed: int = 0,
        observe_inputs: InputObserver | None = None,
    ) -> None:
        self.program = decode_program(program) if isinstance(program, Program) else program
        self.mode, self.seed = mode, seed
        self.runs = 0
        self._orders = [interleave(streams, choose) for streams in self.program.blocks]
        self._products = Products(self.program, mode, seed, observe_inputs)
        self._memory = ProgramMemory(self.program)
        self._views = self._memory.views
        self._parts = [_accumulations(order) for order in self._orders]
        events = self.program.events
        self._first_event = np.cumsum([0, *events[:-1]]).tolist()
        self._events = sum(events)
        self.restart(read_seed)
        #: What the parts of each product have added up to, by the buffer of its result.
        self._sums: dict[int, np.ndarray] = {}
        self._control = ControlFlow(self.program.controls, self._views)

    @property
    def mean_squares(self) -> dict[int, float]:
        """By matrix, the mean square of the inputs over their full scale, of all runs so far."""
        return self._products.mean_squares

    @property
    def mean_levels(self) -> dict[int, float]:
        """By matrix that was read, the mean level of what its cells store."""
        return self._products.mean_levels

    @property
    def block_runs(self) -> dict[int, float]:
        """How often each block ran for each time its control operation did."""
        return self._control.mean_runs

    def restart(self, read_seed: int) -> None:
        """Go on as a new executor of the same chip with ``read_seed`` would; arrays are kept.

        Raises InputError when the seed is not 0 to ``MOST_READ_SEED``.
        """
        if not 0 <= read_seed <= MOST_READ_SEED:
            raise InputError(f"a read seed must be 0 to {MOST_READ_SEED:,}, got {read_seed:,}")
        self.read_seed = read_seed
        self._run = 0  # of all blocks together

    def _execute(self, completed: Completed | None) -> None:
        self._run_block(0, completed)
        self.runs += 1

    def _run_block(self, block: int, completed: Completed | None) -> None:
        parts = self._parts[block]
        pending = dict(parts.counts)
        products: dict[str, _Product] = {}
        # Read noise is drawn by what drives: each run of a block has numbers of its own.
        first = self.read_seed * _READS + self._run * self._events + self._first_event[block]
        self._run += 1
        for unit, i in self._orders[block]:
            if i.opcode is Opcode.CONTROL:
                inside: set[int] = set()
                for inner in self._control.blocks(i.index):
                    self._run_block(inner, collector(inside))
                if completed is not None:
                    completed(inside, again=True)
                continue
            self._step(unit, i, products, first)
            if completed is None:
                continue
            if i.opcode is Opcode.ACCUMULATE:
                whole = parts.product[i.event]
                pending[whole] -= 1
                if pending[whole]:
                    continue
            completed(i.outs)

    def _step(self, unit: str, i: Instruction, products: dict[str, _Product], first: int) -> None:
        match i.opcode:
            case Opcode.DRIVE:
                x = self._driven(i)
                products[unit] = _Product(x, first + i.event)
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

    def _driven(self, drive: Instruction) -> np.ndarray:
        """The rows that are put on the row lines: those of a buffer, or gathered from it."""
        view = self._views[drive.ins[0]]
        if drive.window < 0:
            return view.copy()
        kernel, shape = self.program.kernels[drive.window], self.program.driven_shape(drive)
        return run_kernel(kernel, [view], shape, view.dtype)

    def _accumulate(self, i: Instruction, sums: np.ndarray | None) -> None:
        y = self._views[i.outs[0]]
        assert sums is not None  # the order of a product's instructions was checked
        if sums.shape != y.shape:
            raise ProgramError(
                f"a product of shape {list(sums.shape)} cannot go to {list(y.shape)}",
                where=self.program.node(i),
            )
        if not i.init:
            # The accumulator is wider than the buffer, as long as nobody else wrote there.
            before = self._sums.get(i.outs[0])
            if before is None or not np.array_equal(
                before.astype(y.dtype), y, equal_nan=y.dtype.kind == "f"
            ):
                before = y
            sums = before + sums
        self._sums[i.outs[0]] = sums
        y[...] = sums

    def _vector(self, i: Instruction) -> None:
        kernel = self.program.kernels[i.index]
        if len(i.outs) != 1:
            raise ProgramError(f"a {kernel.kind} kernel has one result", where=self.program.node(i))
        out = self._views[i.outs[0]]
        try:
            run_kernel_into(kernel, [self._views[b] for b in i.ins], out)
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
