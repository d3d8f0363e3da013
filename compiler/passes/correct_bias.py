"""Add to each output column what its converters leave out, fitted to calibration samples

Needs samples and the chip's product as a function; a matrix that held-out inputs show no gain for
is left alone.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...dialects import tile
from ...dialects.attributes import WeightAttr, table_of
from ..context import calibration_of, note_of, product_of, say_unchanged, weights_of
from ..quantize.calibration import MatrixStatistics
from ..quantize.column_correction import ColumnCorrection, choose_correction
from ..quantize.product import ProductOf
from ..stored_matrices import (
    adc_bits_of,
    input_scale_of,
    machine_with_arrays,
    stored_codes,
    stored_matrices,
)
from ..weights import WeightStore


@dataclass(frozen=True)
class CorrectBias(ModulePass):
    """Writes ``bias``, and a ``scale`` with the columns' gain in it, where that helps."""

    name = "correct-bias"

    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target, product = machine_with_arrays(self.target, self.name), product_of(ctx)
        weights, statistics, changed = weights_of(ctx), calibration_of(ctx), False
        for program in stored_matrices(ctx, op):
            seen = statistics.get(program.weight.data)
            if program.adc_range is None or program.bias is not None or product is None:
                continue
            if seen is None or not seen.rows.size:
                continue
            found, why = _choose(program, weights, target, seen, product)
            note_of(ctx, program.weight.data)["bias_note"] = why
            if found is not None:
                _write(program, weights, found)
                changed = True
        if not changed:
            say_unchanged(ctx)


def _choose(
    op: tile.ProgramOp,
    weights: WeightStore,
    target: MemcapTarget,
    seen: MatrixStatistics,
    product: ProductOf,
) -> tuple[ColumnCorrection | None, str]:
    assert op.adc_range is not None
    weight, (codes, scale) = weights[op.weight.data], stored_codes(op, weights)
    ranges, full_scale, bits = table_of(op.adc_range), input_scale_of(op), adc_bits_of(op)

    run = product(codes, scale, op.tile_table, target, ranges, full_scale, bits)

    def both(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.matmul(x, weight, dtype=np.float32), run(x)

    fit, held_out = (both(np.ascontiguousarray(x)) for x in seen.split())
    return choose_correction(fit, held_out)


def _write(op: tile.ProgramOp, weights: WeightStore, found: ColumnCorrection) -> None:
    assert op.scale is not None
    name = op.weight.data
    op.bias = WeightAttr.of(weights.add(f"{name}.bias", found.bias))
    if (found.gain != 1).any():
        scale = weights[op.scale.data] * found.gain
        op.scale = WeightAttr.of(weights.add(f"{name}.scale", scale.astype(np.float32)))
