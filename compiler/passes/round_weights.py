"""Round each stored matrix to integer codes with one scale a column

``compensated`` rounding looks at the inputs of a calibration run; where there are too few, or where
held-out inputs show no gain, weights are rounded to the nearest code.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from ...dialects import tile
from ...dialects.attributes import WeightAttr
from ...errors import IRError, ModelError
from ..context import calibration_of, note_of, say_unchanged, weights_of
from ..diagnostics import single_line, where_of
from ..quantize.weight_codes import quantize_columns
from ..stored_matrices import machine_with_arrays, stored_matrices


@dataclass(frozen=True)
class RoundWeights(ModulePass):
    """``method`` is ``nearest`` or ``compensated``."""

    name = "round-weights"

    target: str
    method: str = "nearest"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.method not in ("nearest", "compensated"):
            raise IRError(f"weights are rounded nearest or compensated, came {self.method!r}")
        bits = machine_with_arrays(self.target, self.name).numerics.weight_bits
        weights, changed = weights_of(ctx), False
        for program in stored_matrices(ctx, op):
            if program.codes is not None:
                continue
            codes, scale = self._codes(ctx, program, weights[program.weight.data], bits)
            name = program.weight.data
            program.codes = WeightAttr.of(weights.add(f"{name}.codes", codes))
            program.scale = WeightAttr.of(weights.add(f"{name}.scale", scale))
            changed = True
        if not changed:
            say_unchanged(ctx)

    def _codes(
        self, ctx: Context, op: tile.ProgramOp, weight: np.ndarray, bits: int
    ) -> tuple[np.ndarray, np.ndarray]:
        from ..quantize.compensated_rounding import round_compensated

        try:
            _ = op.tile_table  # codes lie on tiles: an uncut matrix is refused here
            codes, scale = quantize_columns(weight, bits)
        except VerifyException as error:
            raise IRError(single_line(str(error)), where=where_of(op)) from error
        except ValueError as error:
            raise ModelError(str(error), where=where_of(op)) from error
        note = note_of(ctx, op.weight.data)
        note["rounding"] = "nearest"
        if self.method == "nearest":
            return codes, scale
        better = round_compensated(
            weight, codes, scale, bits, calibration_of(ctx).get(op.weight.data)
        )
        note["rounding_note"] = better.note
        if better.codes is None:
            return codes, scale
        note["rounding"] = "compensated"
        return better.codes, scale
