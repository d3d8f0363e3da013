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

from ...backends.memcap.decode import Matrix, MemcapProgram
from ...backends.memcap.isa import Opcode
from ..execute.products import Products
from ..physics.converters import input_limit
from .ablation import all_but, effects_on
from .trials import with_effects_off

#: Rows of inputs that are looked at for one matrix.
MOST_ROWS = 256
#: Bits that converters get beyond their own where their rounding is to be out of the picture.
FINE_BITS = 8
#: Bits with which a converter over the worst case of the weights neither clips nor rounds.
IDEAL_BITS = 24

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
    seed: int,
    progress: Callable[[int, int], None],
) -> list[MatrixBudget]:
    """The budget of each matrix that has ``inputs``, the worst SNR first, on the chip of ``seed``.

    Raises ProgramError when the program holds no weights.
    """
    effects = effects_on(program.target)
    total = len(effects) + 4
    steps = iter(range(1, total + 1))

    def products(variant: MemcapProgram, mode: str) -> dict[int, Array]:
        arrays = Products(variant, mode, seed)
        with np.errstate(all="ignore"):  # as in a run: infinite inputs are the model's
            found = {number: _product(arrays, number, x) for number, x in inputs.items()}
        progress(next(steps), total)
        return found

    progress(0, total)
    fine = _with_converters(program, program.target.adc.bits + FINE_BITS)
    roundings = _input_roundings(program, inputs)
    ideal = products(_unclipped(_with_converters(program, IDEAL_BITS)), "quantized")
    clipped = products(fine, "quantized")
    quantized = products(program, "quantized")
    noisy = products(program, "noisy")
    sources = {number: {} for number in inputs}  # type: dict[int, dict[str, float]]
    for effect in effects:
        alone = products(with_effects_off(fine, all_but(effect)), "noisy")
        for number, found in alone.items():
            sources[number][effect] = _rms(found - clipped[number])
    nodes = _nodes(program)
    budgets = []
    for number, (exact, cut, rounded) in roundings.items():
        chain = (exact, cut, rounded, ideal[number], clipped[number], quantized[number])
        errors = [_rms(b - a) for a, b in pairwise(chain)]
        matrix, x = program.matrices[number], inputs[number]
        budgets.append(
            MatrixBudget(
                matrix.name,
                nodes[number],
                x.shape[-2],
                _rms(exact),
                _rms(noisy[number] - exact),
                {**dict(zip(ROUNDINGS, errors, strict=True)), **sources[number]},
                float((np.abs(x) > _scale(matrix, x)).mean()),
                _share_changed(ideal[number], clipped[number]),
            )
        )
    return sorted(budgets, key=lambda budget: (budget.snr_db, budget.matrix))


def _nodes(program: MemcapProgram) -> dict[int, tuple[str, ...]]:
    """By matrix, the ONNX nodes whose instructions drive it."""
    nodes: dict[int, dict[str, None]] = {number: {} for number in range(len(program.matrices))}
    for stream in (stream for block in program.blocks for stream in block):
        for i in stream.instructions:
            if i.opcode is Opcode.DRIVE and (node := program.node(i)) is not None:
                nodes[i.index][node] = None
    return {number: tuple(names) for number, names in nodes.items()}


def _product(arrays: Products, number: int, x: Array) -> Array:
    """``x @ matrix`` on all tiles of the matrix, float64."""
    tiles = (0, len(arrays.program.matrices[number].tiles))
    return arrays.run(number, tiles, x, stream=0).astype(np.float64)


def _input_roundings(
    program: MemcapProgram, inputs: Mapping[int, Array]
) -> dict[int, tuple[Array, Array, Array]]:
    """Exact products with the inputs as they are, cut to the largest code, and rounded."""
    exact = Products(program, "exact", seed=0)
    bits = program.target.numerics.input_bits
    found = {}
    for number, x in inputs.items():
        scale = _scale(program.matrices[number], x)
        cut = np.clip(x, -scale, scale)
        step = scale / np.float32(input_limit(bits))
        codes = np.divide(cut, step, out=np.zeros_like(cut), where=step > 0)
        rounded = np.rint(codes) * step
        found[number] = tuple(_product(exact, number, each) for each in (x, cut, rounded))
    return found  # type: ignore[return-value]


def _scale(matrix: Matrix, x: Array) -> Array:
    """Value of the largest input code, which broadcasts against ``x``."""
    if matrix.input_scale is not None:
        return np.full((1,) * x.ndim, matrix.input_scale, np.float32)
    return np.abs(x).max(axis=-1, keepdims=True)


def _with_converters(program: MemcapProgram, bits: int) -> MemcapProgram:
    """``program`` with converters of ``bits`` whose errors are the same in volts."""
    target = program.target
    more = 2.0 ** (bits - target.adc.bits)
    errors = {k: v * more for k, v in target.adc.model_dump().items() if k.endswith("_lsb")}
    adc = target.adc.model_copy(update={**errors, "bits": bits})
    return replace(program, target=target.model_copy(update={"adc": adc}))


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
