"""Choose the full scale of the converters, tile by tile

With calibration samples the range follows from the column sums that they make; without, from the
stored codes alone.
"""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...dialects import tile
from ...dialects.attributes import table_attr
from ..context import calibration_of, say_unchanged, weights_of
from ..quantize.adc_range import Array, default_adc_range, normalised_rms, observed_adc_range
from ..quantize.calibration import MatrixStatistics
from ..quantize.range_method import RangeMethod
from ..stored_matrices import (
    adc_bits_of,
    input_scale_of,
    machine_with_arrays,
    stored_codes,
    stored_matrices,
)
from ..weights import WeightStore


@dataclass(frozen=True)
class ChooseConverterRanges(ModulePass):
    """``method`` is ``mse`` (least mean squared error), ``minmax`` (nothing seen clips),
    ``percentile`` (that share of the sums, in percent, does not clip) or ``statistics`` (spread of
    random sums, which is also what is taken without samples)."""

    name = "choose-converter-ranges"

    target: str
    method: str = "mse"
    percentile: float | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machine_with_arrays(self.target, self.name)
        method = RangeMethod.of(self.method, self.percentile)
        weights, statistics, changed = weights_of(ctx), calibration_of(ctx), False
        for program in stored_matrices(ctx, op):
            if program.adc_range is not None or program.codes is None:
                continue
            seen = statistics.get(program.weight.data)
            program.adc_range = table_attr(_ranges(program, weights, target, seen, method))
            changed = True
        if not changed:
            say_unchanged(ctx)


def _ranges(
    op: tile.ProgramOp,
    weights: WeightStore,
    target: MemcapTarget,
    seen: MatrixStatistics | None,
    method: RangeMethod,
) -> Array:
    codes, scale = stored_codes(op, weights)
    full_scale, tiles = input_scale_of(op), op.tile_table
    if seen is None or not seen.rows.size:
        return default_adc_range(codes, scale, tiles, target)
    if method.name == "statistics":
        rms = normalised_rms(seen.rows, full_scale)
        return default_adc_range(codes, scale, tiles, target, rms)
    return observed_adc_range(
        codes, scale, tiles, target, seen.rows, full_scale, method.percentile, adc_bits_of(op)
    )
