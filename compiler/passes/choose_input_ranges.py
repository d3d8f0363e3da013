"""Fix the full scale of each matrix's inputs from calibration samples

A matrix that no calibration run has seen keeps none: the chip then finds the range of each input
vector while running. So does one whose vectors differ so much in size that one scale for all would
cost accuracy.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp, f32
from xdsl.passes import ModulePass

from ...errors import InputError
from ..context import calibration_of, note_of, say_unchanged
from ..quantize.calibration import MatrixStatistics
from ..quantize.range_method import RangeMethod
from ..stored_matrices import machine_with_arrays, stored_matrices

#: A scale of their own must lower the error of vectors' codes by so much, in dB.
LEAST_GAIN_DB = 3.0
#: Codes this good, in dB below the best of their bits, are left alone: converters add as much.
LEFT_ALONE_DB = 12.0


@dataclass(frozen=True)
class ChooseInputRanges(ModulePass):
    """``method`` is ``mse`` (least mean squared error of the codes), ``minmax`` (nothing clips) or
    ``percentile`` (that share of the magnitudes, in percent, does not clip)."""

    name = "choose-input-ranges"

    target: str
    method: str = "mse"
    percentile: float | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        bits = machine_with_arrays(self.target, self.name).numerics.input_bits
        method = RangeMethod.of(self.method, self.percentile)
        if method.name == "statistics":
            raise InputError("an input's range needs samples: method mse, minmax or percentile")
        statistics, changed = calibration_of(ctx), False
        for program in stored_matrices(ctx, op):
            seen = statistics.get(program.weight.data)
            if program.input_scale is not None or seen is None or not seen.rows.size:
                continue
            full_scale = seen.input_scale(bits, method) or 1.0
            if (gain_db := dynamic_gain_db(seen, bits, full_scale)) is not None:
                note_of(ctx, program.weight.data)["input_range"] = (
                    f"found while running: error of codes {gain_db:.1f} dB lower"
                )
                continue
            program.input_scale = FloatAttr(float(np.float32(full_scale)), f32)
            changed = True
        if not changed:
            say_unchanged(ctx)


def dynamic_gain_db(seen: MatrixStatistics, bits: int, full_scale: float) -> float | None:
    """What a scale for each vector gains over ``full_scale`` for all, dB; None where it is not
    worth the search."""
    signal = float(np.square(seen.rows, dtype=np.float64).mean())
    fixed = seen.code_error(bits, np.float32(full_scale))
    # 6.02 dB a bit: the full-scale limit of a uniform quantiser.
    if not fixed or 10 * np.log10(signal / fixed) > 6.02 * bits - LEFT_ALONE_DB:
        return None
    gain_db = float(10 * np.log10(fixed / max(seen.code_error(bits, None), 1e-300)))
    return gain_db if gain_db >= LEAST_GAIN_DB else None
