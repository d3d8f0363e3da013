"""The noise budget of every matrix: what each source of error adds to its products.

The inputs that a matrix met in a run go through it again, with one source of error at a time:

    exact(x)                    the signal: float64 weights and inputs
    - input_clipping            inputs cut to the largest code
    - input_rounding            inputs rounded to codes
    - weight_rounding           codes in place of the weights
    - adc_clipping              column sums cut to the converters' range
    - adc_rounding              codes of the converters: now it is quantized mode
    - each effect of the target, alone

Errors down to the converters' rounding are differences between neighbours of this list, so they
add up to the error of quantized mode exactly. Effects are measured before converters round: the
difference of two roundings is not small for a small effect, and so says nothing of it. For that
the converters get 2^8 steps for each step, with the same errors in volts.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...backends.memcap.decode import Matrix, MemcapProgram, decode_program
from ...backends.memcap.isa import Opcode
from ...backends.program import load_program
from ..execute.products import Products
from ..physics.converters import input_limit
from .ablation import all_but, effects_on
from .trials import program_file, with_effects_off
from .worker_pool import map_blocks

#: Rows of inputs that are looked at for one matrix.
MOST_ROWS = 256
#: Bits that converters get beyond their own where their rounding is to be out of the picture.
FINE_BITS = 8
#: And with which one over the worst case of the weights neither clips nor rounds.
IDEAL_BITS = 16

ROUNDINGS = ("input_clipping", "input_rounding", "weight_rounding", "adc_clipping", "adc_rounding")

Array = np.ndarray


class InputSamples:
    """Rows of the inputs that matrices meet while ``samples`` runs are made.

    As many from each run, evenly spaced over the positions of a product, up to ``MOST_ROWS`` a
    matrix.
    """

    def __init__(self, samples: int) -> None:
        self._a_call = math.ceil(MOST_ROWS / max(samples, 1))
        self._parts: dict[int, list[Array]] = {}
        self._room: dict[int, int] = {}

    def __call__(self, number: int, x: Array) -> None:
        """Look at ``x [..., positions, rows]``, an input of matrix ``number``."""
        room = self._room.get(number, MOST_ROWS)
        count = min(self._a_call, room, x.shape[-2])
        if not count:
            return
        chosen = np.linspace(0, x.shape[-2] - 1, count).astype(np.intp)
        self._parts.setdefault(number, []).append(x[..., chosen, :].astype(np.float32))
        self._room[number] = room - count

    @property
    def inputs(self) -> dict[int, Array]:
        """By matrix, ``[..., positions, rows]``."""
        return {
            number: np.concatenate(parts, axis=-2) for number, parts in sorted(self._parts.items())
        }


@dataclass(frozen=True, slots=True)
class MatrixBudget:
    """The errors of one matrix, RMS over all results looked at, in units of the results.

    ``sources`` has the roundings and effects by name; ``sum_rms`` is the root of the sum of their
    squares, which equals ``error_rms``, measured with all of them on, if they are independent.
    """

    matrix: str
    nodes: tuple[str, ...]
    """The ONNX nodes that drive it."""
    rows: int
    signal_rms: float
    error_rms: float
    sources: Mapping[str, float]
    inputs_clipped: float
    """Share of the inputs that exceed the largest code."""
    results_clipped: float
    """Share of the results that a converter's range has changed."""

    @property
    def sum_rms(self) -> float:
        return math.sqrt(math.fsum(rms * rms for rms in self.sources.values()))

    @property
    def snr_db(self) -> float:
        """Signal over measured error; infinite where there is no error."""
        if not self.error_rms:
            return math.inf
        return 20 * math.log10(self.signal_rms / self.error_rms) if self.signal_rms else -math.inf

    @property
    def enob(self) -> float:
        """Effective number of bits, (SNR - 1.76 dB) / 6.02 dB (IEEE Std 1241-2010)."""
        return (self.snr_db - 1.76) / 6.02

    def as_dict(self) -> dict[str, Any]:
        """One entry of what ``--json`` has under ``noise_budget``; largest source first."""
        largest_first = sorted(self.sources.items(), key=lambda item: (-item[1], item[0]))
        return {
            "nodes": list(self.nodes),
            "matrix": self.matrix,
            "rows": self.rows,
            "signal_rms": self.signal_rms,
            "error_rms": self.error_rms,
            "sum_rms": self.sum_rms,
            "snr_db": self.snr_db,
            "enob": self.enob,
            "inputs_clipped": self.inputs_clipped,
            "results_clipped": self.results_clipped,
            "sources_rms": dict(largest_first),
        }


def noise_budget(
    program: MemcapProgram,
    inputs: Mapping[int, Array],
    *,
    seed: int,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[MatrixBudget]:
    """The budget of each matrix that has ``inputs``, the worst SNR first, on the chip of ``seed``.

    Matrices are dealt out to ``jobs`` processes; ``progress`` is told how many are done, of how
    many. Raises ProgramError when the program holds no weights.
    """
    ready = 0

    def done(_number: int) -> None:
        nonlocal ready
        ready += 1
        progress(ready, len(inputs))

    progress(0, len(inputs))
    blocks = list(inputs.items())
    if min(jobs, len(blocks)) <= 1:
        budgets = map_blocks(_Measurement(seed, program=program), blocks, 1, done)
    else:
        with program_file(program.program) as path:
            budgets = map_blocks(_Measurement(seed, path=path), blocks, jobs, done)
    return sorted(budgets, key=lambda budget: (budget.snr_db, budget.matrix))


@dataclass(slots=True, eq=False)
class _Measurement:
    """Measures the budget of one matrix after the other, of a program or that of a file."""

    seed: int
    path: str | None = None
    program: MemcapProgram | None = None
    nodes: Mapping[int, tuple[str, ...]] | None = None

    def __call__(self, block: tuple[int, Array]) -> MatrixBudget:
        if self.program is None:
            assert self.path is not None
            self.program = decode_program(load_program(self.path))
        if self.nodes is None:
            self.nodes = _nodes(self.program)
        number, x = block
        with np.errstate(all="ignore"):  # as in a run: infinite inputs are the model's
            return self._budget(self.program, number, x, self.nodes[number])

    def _budget(
        self, program: MemcapProgram, number: int, x: Array, nodes: tuple[str, ...]
    ) -> MatrixBudget:
        def product(variant: MemcapProgram, mode: str, of: Array = x) -> Array:
            tiles = (0, len(variant.matrices[number].tiles))
            y = Products(variant, mode, self.seed).run(number, tiles, of, stream=0)
            return y.astype(np.float64)

        plain = _without_bias(program)
        fine = _with_converters(plain, FINE_BITS)
        ideal = product(_unclipped(_with_converters(plain, IDEAL_BITS)), "quantized")
        clipped, quantized = product(fine, "quantized"), product(plain, "quantized")
        matrix = program.matrices[number]
        cut, rounded = _input_codes(matrix, x, program.target.numerics.input_bits)
        exact = product(program, "exact")
        chain = (exact, product(program, "exact", cut), product(program, "exact", rounded))
        steps = pairwise((*chain, ideal, clipped, quantized))
        sources = {name: _rms(b - a) for name, (a, b) in zip(ROUNDINGS, steps, strict=True)}
        for effect in effects_on(program.target):
            alone = product(with_effects_off(fine, all_but(effect)), "noisy")
            sources[effect] = _rms(alone - clipped)
        return MatrixBudget(
            matrix.name,
            nodes,
            x.shape[-2],
            _rms(exact),
            _rms(product(program, "noisy") - exact),
            sources,
            float((cut != x).mean()),
            _share_changed(ideal, clipped),
        )


def _nodes(program: MemcapProgram) -> dict[int, tuple[str, ...]]:
    """By matrix, the ONNX nodes whose instructions drive it."""
    nodes: dict[int, dict[str, None]] = {number: {} for number in range(len(program.matrices))}
    for stream in (stream for block in program.blocks for stream in block):
        for i in stream.instructions:
            if i.opcode is Opcode.DRIVE and (node := program.node(i)) is not None:
                nodes[i.index][node] = None
    return {number: tuple(names) for number, names in nodes.items()}


def _input_codes(matrix: Matrix, x: Array, bits: int) -> tuple[Array, Array]:
    """The inputs cut to the largest code, and rounded to codes, both in units of ``x``."""
    if matrix.input_scale is not None:
        scale = np.full((1,) * x.ndim, matrix.input_scale, np.float32)
    else:
        scale = np.abs(x).max(axis=-1, keepdims=True)
    cut = np.clip(x, -scale, scale)
    step = scale / np.float32(input_limit(bits))
    codes = np.divide(cut, step, out=np.zeros_like(cut), where=step > 0)
    return cut, np.rint(codes) * step


def _without_bias(program: MemcapProgram) -> MemcapProgram:
    """``program`` without the digital bias, which makes up for the mean of several sources."""
    matrices = [replace(matrix, bias=None) for matrix in program.matrices]
    return replace(program, matrices=matrices)


def _with_converters(program: MemcapProgram, more: int) -> MemcapProgram:
    """``program`` with converters of ``more`` bits whose errors are the same in volts."""
    target, finer = program.target, 2.0**more
    errors = {k: v * finer for k, v in target.adc.model_dump().items() if k.endswith("_lsb")}
    adc = target.adc.model_copy(update={**errors, "bits": target.adc.bits + more})
    matrices = [
        replace(matrix, adc_bits=None if matrix.adc_bits is None else matrix.adc_bits + more)
        for matrix in program.matrices
    ]
    return replace(program, target=target.model_copy(update={"adc": adc}), matrices=matrices)


def _unclipped(program: MemcapProgram) -> MemcapProgram:
    """``program`` with the range of each converter at the worst case of the weights."""
    matrices = [
        replace(matrix, adc_range=np.full_like(matrix.adc_range, np.inf))
        for matrix in program.matrices
    ]
    return replace(program, matrices=matrices)


def _share_changed(ideal: Array, clipped: Array) -> float:
    """Share of the results that clipping has moved by more than fine converters round."""
    size = float(np.abs(ideal).max(initial=0.0))
    return float((np.abs(clipped - ideal) > 2.0**-FINE_BITS * size).mean()) if size else 0.0


def _rms(x: Array) -> float:
    return float(np.sqrt(np.square(x).mean())) if x.size else 0.0
