"""Choose the resolution of the converters, matrix by matrix, under a budget

Each matrix alone is quantised at several resolutions while the rest of the network stays in float;
the error of the network's outputs and the energy of the arrays decide. Without a budget nothing
changes and the figures are those of a sensitivity report.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...backends.targets.memcap_cost import mvm_energy_j
from ...dialects import tile
from ...dialects.control import repetitions
from ...dialects.types import shape_of
from ...errors import CapacityError, InputError
from ..context import (
    CompilerContext,
    calibration_of,
    note_of,
    product_of,
    say_unchanged,
    weights_of,
)
from ..quantize.adc_range import normalised_rms, observed_adc_range
from ..quantize.calibration import MatrixStatistics
from ..quantize.precision import choose_within, output_sqnr_db
from ..quantize.product import ProductOf
from ..stored_matrices import (
    input_scale_of,
    machine_with_arrays,
    stored_codes,
    stored_matrices,
)
from ..weights import WeightStore

#: Resolutions that are tried: the target's and as many below.
CHOICES = 5
#: Converters of fewer bits than this are not tried.
LEAST_BITS = 3


@dataclass(frozen=True)
class AssignPrecision(ModulePass):
    """Writes ``adc_bits``. ``energy_budget`` is a share of the arrays' energy at full resolution,
    ``min_sqnr_db`` the SQNR of the outputs that converters must leave; give at most one."""

    name = "assign-precision"

    target: str
    energy_budget: float | None = None
    min_sqnr_db: float | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.energy_budget is not None and self.min_sqnr_db is not None:
            raise InputError("precision has one budget: of energy, or of accuracy")
        target, statistics = machine_with_arrays(self.target, self.name), calibration_of(ctx)
        programs = [p for p in stored_matrices(ctx, op) if p.weight.data in statistics]
        programs = [p for p in programs if p.codes is not None and p.adc_range is None]
        if not programs:
            say_unchanged(ctx)
            return
        table = _measure(ctx, programs, target)
        chosen = self._choose(table)
        for program, bits, row, pick in zip(
            programs, table.bits[chosen], range(len(programs)), chosen, strict=True
        ):
            if bits != target.adc.bits:
                program.adc_bits = IntegerAttr(int(bits), i64)
            note = note_of(ctx, program.weight.data)
            note["adc_bits"] = int(bits)
            note["energy_share"] = float(table.energy_j[row, pick] / table.energy_j[:, 0].sum())
            note["sensitivity"] = [
                {
                    "adc_bits": int(b),
                    "sqnr_db": round(output_sqnr_db(table.signal, table.errors[row, i]), 2),
                    "energy_j": float(table.energy_j[row, i]),
                }
                for i, b in enumerate(table.bits)
            ]

    def _choose(self, table: "_Table") -> np.ndarray:
        """Index of the resolution of each matrix. Raises CapacityError where no choice suffices."""
        total = float(table.energy_j[:, 0].sum())
        if self.energy_budget is not None:
            chosen = choose_within(table.errors, table.energy_j, self.energy_budget * total)
            least = float(table.energy_j.min(axis=1).sum()) / total
            why = f"the least converters take {least:.3f} of the energy at full resolution"
        elif self.min_sqnr_db is not None:
            allowed = table.signal / 10 ** (self.min_sqnr_db / 10)
            chosen = choose_within(table.energy_j, table.errors, allowed)
            best = output_sqnr_db(table.signal, float(table.errors.min(axis=1).sum()))
            why = f"at full resolution the outputs have {best:.1f} dB"
        else:
            return np.zeros(len(table.errors), np.int64)
        if chosen is None:
            raise CapacityError(f"no resolution of the converters is within the budget: {why}")
        return chosen


@dataclass(frozen=True, slots=True)
class _Table:
    """Output error power and array energy [matrices, resolutions]; ``signal`` is the outputs'
    power, ``bits`` the resolutions, the target's first."""

    bits: np.ndarray
    errors: np.ndarray
    energy_j: np.ndarray
    signal: float


def _measure(ctx: Context, programs: Sequence[tile.ProgramOp], target: MemcapTarget) -> _Table:
    product = product_of(ctx)
    network = ctx.network if isinstance(ctx, CompilerContext) else None
    if product is None or network is None:
        raise InputError(
            "assign-precision needs samples and the means to run them: compile with --calibrate"
        )
    weights, statistics = weights_of(ctx), calibration_of(ctx)
    bits = np.arange(target.adc.bits, max(LEAST_BITS, target.adc.bits - CHOICES + 1) - 1, -1)
    wanted = network(None)
    signal = float(sum(np.square(y, dtype=np.float64).sum() for y in wanted))
    errors, energy = (np.zeros((len(programs), len(bits))) for _ in range(2))
    for row, program in enumerate(programs):
        seen = statistics[program.weight.data]
        for column, b in enumerate(bits.tolist()):
            run = _quantised(program, weights, target, seen, product, b)
            found = network(run)
            errors[row, column] = sum(
                np.square(y.astype(np.float64) - z).sum()
                for y, z in zip(wanted, found, strict=True)
            )
            energy[row, column] = _energy_j(program, target, seen, b)
    return _Table(bits, errors, energy, signal)


def _quantised(
    op: tile.ProgramOp,
    weights: WeightStore,
    target: MemcapTarget,
    seen: MatrixStatistics,
    prepare: ProductOf,
    bits: int,
) -> Callable[[tile.MvmOp, np.ndarray], np.ndarray | None]:
    """A replacement for the products with ``op`` alone, as ``CompilerContext.network`` takes it."""
    codes, scale = stored_codes(op, weights)
    full_scale, tiles = input_scale_of(op), op.tile_table
    ranges = observed_adc_range(codes, scale, tiles, target, seen.rows, full_scale, adc_bits=bits)
    product = prepare(codes, scale, tiles, target, ranges, full_scale, bits)

    def run(mvm: tile.MvmOp, x: np.ndarray) -> np.ndarray | None:
        if mvm.crossbar is not op.result:
            return None
        rows = np.ascontiguousarray(x if x.ndim == 3 else x[None], np.float32)
        y = product(rows)
        return y if x.ndim == 3 else y[0]

    return run


def _energy_j(op: tile.ProgramOp, target: MemcapTarget, seen: MatrixStatistics, bits: int) -> float:
    """Energy of the arrays of ``op`` in one inference."""
    square = normalised_rms(seen.rows, input_scale_of(op)) ** 2
    positions = 0
    for use in op.result.uses:
        mvm = use.operation
        assert isinstance(mvm, tile.MvmOp)
        positions += shape_of(mvm.result)[-2] * int(repetitions(mvm))
    sizes, counts = np.unique(op.tile_table[:, [2, 4]], axis=0, return_counts=True)
    return sum(
        count * sum(mvm_energy_j(target, rows, cols, positions, square, adc_bits=bits).values())
        for (rows, cols), count in zip(sizes.tolist(), counts.tolist(), strict=True)
    )
