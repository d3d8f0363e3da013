"""Fix the full scale of each matrix's inputs from calibration samples

A matrix that no calibration run has seen keeps none: the chip then finds the range of each input
vector while running.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp, f32
from xdsl.passes import ModulePass

from ...errors import InputError
from ..context import calibration_of, say_unchanged
from ..quantize.range_method import RangeMethod
from ..stored_matrices import machine_with_arrays, stored_matrices


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
            program.input_scale = FloatAttr(float(np.float32(full_scale)), f32)
            changed = True
        if not changed:
            say_unchanged(ctx)
