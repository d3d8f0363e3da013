"""Prove of each tile that its converters cannot clip or lose bits, and mark those that cannot

Where the sums of all slices fit the converter's codes in whole units, the range is widened to the
worst case, which makes a step one whole share of the unit: the conversion is then the identity
(``backends/targets/lossless.py``), and one integer product may stand for all slices.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...backends.targets.lossless import units_per_step
from ...backends.targets.slicing import covering_range, tile_levels
from ...dialects import tile
from ...dialects.attributes import table_attr, table_of
from ..context import note_of, say_unchanged, weights_of
from ..stored_matrices import adc_bits_of, machine_with_arrays, stored_codes, stored_matrices
from ..weights import WeightStore


@dataclass(frozen=True)
class ProveLossless(ModulePass):
    """Writes ``lossless`` (one 0 or 1 a tile) and the ranges of the tiles that are."""

    name = "prove-lossless"

    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target, weights = machine_with_arrays(self.target, self.name), weights_of(ctx)
        changed = False
        for program in stored_matrices(ctx, op):
            if program.adc_range is None or program.codes is None or program.lossless is not None:
                continue
            proven = _prove(program, weights, target)
            note_of(ctx, program.weight.data)["lossless_tiles"] = int(proven.sum())
            changed = True
        if not changed:
            say_unchanged(ctx)


def _prove(op: tile.ProgramOp, weights: WeightStore, target: MemcapTarget) -> np.ndarray:
    """Mark the tiles of ``op``; returns the marks, int32 [T]."""
    assert op.adc_range is not None
    codes, _ = stored_codes(op, weights)
    ranges, proven = table_of(op.adc_range).copy(), np.zeros(len(op.tile_table), np.int32)
    for index, levels in tile_levels(codes, op.tile_table, target):
        found = (units_per_step(levels, target, adc_bits_of(op)) > 0).all(axis=0)
        cover = covering_range(levels)
        # Ranges count only where something is stored.
        ranges[index] = np.where(found & (cover > 0), cover, ranges[index])
        proven[index] = found
    op.adc_range, op.lossless = table_attr(ranges), table_attr(proven)
    return proven
