"""Runs a mesh program in the order of its start times: exact or quantized.

Every device's memory is a byte array of its own, so a missing transfer or a wrong address shows as
a wrong result. Slots run by start, earlier number first; decoding has checked that all a slot
waits for has then finished.
"""

import numpy as np

from ...backends.pal.array import PalArray
from ...backends.pal.decode import decode_program
from ...backends.pal.float_formats import round_to
from ...backends.pal.tasks import Flow, MeshProgram, Step, Task, Transfer, Weight
from ...backends.pal.work import bits_of, is_float, is_pal, value_format
from ...backends.program import Program
from ...errors import InputError, ProgramError, SemcError
from .executor import Executor
from .host import run_host
from .loop import ControlFlow
from .memory import Completed, ProgramMemory, collector, without_weights
from .pal import Register, Stationary, encode_values, multiply, round_values, values_of
from .vector import run_kernel

MODES = ("exact", "quantized")


class MeshExecutor(Executor):
    """Executes ``program`` (a file's or one decoded already) on samples, one ``run`` each.

    ``seed`` is taken for symmetry with the chip's executor: nothing on a mesh is random. Raises
    InputError for the mode "noisy", ProgramError when the program is malformed or was compiled
    without weights.
    """

    def __init__(self, program: Program | MeshProgram, mode: str = "exact", seed: int = 0) -> None:
        if mode == "noisy":
            raise InputError("a mesh has no analog noise: use exact or quantized")
        if mode not in MODES:
            raise InputError(f"the mode must be one of {', '.join(MODES)}, not {mode!r}")
        self.program = decode_program(program) if isinstance(program, Program) else program
        self.mode, self.seed = mode, seed
        self.exact = mode == "exact"
        self._orders = [
            sorted(slots, key=lambda s: (s.start_ps, s.slot)) for slots in self.program.blocks
        ]
        self._memory = ProgramMemory(self.program)
        self._views = self._memory.views
        self._control = ControlFlow(self.program.controls, self._views)
        self._weights = [self._load_weight(weight) for weight in self.program.weights]
        self._formats = {d.name: value_format(d) for d in self.program.target.devices}

    @property
    def block_runs(self) -> dict[int, float]:
        """How often each block ran for each time its control operation did."""
        return self._control.mean_runs

    def _execute(self, completed: Completed | None) -> None:
        self._run_block(0, completed)

    def _run_block(self, block: int, completed: Completed | None) -> None:
        for slot in self._orders[block]:
            if isinstance(slot, Flow):
                inside: set[int] = set()
                for inner in self._control.blocks(slot.control):
                    self._run_block(inner, collector(inside))
                if completed is not None:
                    completed(inside, again=True)
                continue
            try:
                self._run_slot(slot)
            except SemcError as error:
                raise ProgramError(error.message, where=error.where or slot.node) from error
            if completed is not None:
                completed(slot.outs if isinstance(slot, Task) else (slot.target,))

    def _run_slot(self, slot: Task | Transfer) -> None:
        if isinstance(slot, Transfer):
            values = self._views[slot.source]
            self._views[slot.target][...] = values if self.exact else self._on_link(slot, values)
            return
        format = "fp32" if self.exact else slot.format
        registers: list[Register] = [
            self._views[ref] if ref >= 0 else self._weights[-1 - ref] for ref in slot.ins
        ]
        read: dict[int, np.ndarray] = {}
        for step in slot.steps:
            registers += self._step(step, registers, read, len(slot.ins), format)
        # Everything is computed before anything is written: a task may write where it reads.
        results = [values_of(registers[r]) for r in slot.yields]
        for buffer, result in zip(slot.outs, results, strict=True):
            view = self._views[buffer]
            if result.shape != view.shape:
                raise ProgramError(
                    f"a task's result {list(result.shape)} must fit {list(view.shape)}"
                )
            view[...] = result

    def _on_link(self, slot: Transfer, values: np.ndarray) -> np.ndarray:
        """Values as they arrive: in the narrower of both devices' formats."""
        ends = [self._formats[self.program.buffers[b].memory] for b in (slot.source, slot.target)]
        return round_values(values, min(ends, key=bits_of))

    def _step(
        self,
        step: Step,
        registers: list[Register],
        read: dict[int, np.ndarray],
        inputs: int,
        format: str,
    ) -> list[Register]:
        operands = [registers[r] for r in step.operands]
        result = step.results[0] if step.results else None
        match step.name:
            case "kernel":
                for r in step.operands:
                    if r not in read:
                        read[r] = _read(registers[r], r < inputs, format)
                return self._kernel(step, [read[r] for r in step.operands], format)
            case "encode":
                assert step.format is not None
                found = encode_values(operands[0], step.format, step.axis, step.search, self.exact)
                return [found]
            case "decode":
                assert result is not None
                return [values_of(operands[0]).astype(result.dtype, copy=False)]
            case _:
                a, b = operands
                return [multiply(a, b, step.name == "matmul_exact", self.exact)]

    def _kernel(self, step: Step, arrays: list[np.ndarray], format: str) -> list[Register]:
        """A tile operation, its results in the device's format."""
        kernel = step.kernel
        assert kernel is not None
        if kernel.kind == "host":
            results = run_host(kernel.attrs["model"], arrays)
            wanted = [(t.shape, t.dtype) for t in step.results]
            if [(r.shape, r.dtype) for r in results] != wanted:
                raise ProgramError(f"a host node must give {wanted}")
        else:
            out = step.results[0]
            results = [run_kernel(kernel, arrays, out.shape, out.dtype)]
        return [round_values(r, format) for r in results]

    def _load_weight(self, weight: Weight) -> Stationary:
        tensors = self.program.program.tensors
        if weight.weights is None:
            raise without_weights()
        shape = weight.tensor.shape
        if not self.exact and is_pal(weight.format):
            if weight.codes is None:
                raise without_weights()
            codes = PalArray.from_arrays(
                {
                    "codes": tensors[f"codes.{weight.codes}"],
                    "exponents": tensors[f"exponents.{weight.codes}"],
                },
                {
                    "format": weight.format,
                    "shape": shape,
                    "axis": len(shape) - 2,
                    "tensor_exponent": weight.tensor_exponent,
                },
            )
            return Stationary(codes.decode(), codes)
        values = tensors[f"weights.{weight.weights}"].reshape(shape)
        if self.exact:
            return Stationary(values)  # as they were, where a device would hold codes
        if is_float(values.dtype):
            values = round_to(values, weight.format)
        return Stationary(values.astype(weight.tensor.dtype, copy=False))


def _read(x: Register, from_memory: bool, format: str) -> np.ndarray:
    """An operand in the device's format; weights and what the task computed are in it already."""
    if from_memory and isinstance(x, np.ndarray):
        return round_values(x, format)
    return values_of(x)
