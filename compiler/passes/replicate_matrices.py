"""Write matrices into spare arrays again where many positions are driven through them

A convolution's early layers run for thousands of positions, a classifier's once. Copies share the
positions of a product and read them at the same time; the tables of a matrix hold the tiles of all
its copies, and ``copy`` the copy of each tile. How many pay is chosen on arrays alone
(``placement/replicate.py``): those that shorten an inference most, until more would shorten it by
less than a share of what it takes.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets import MemcapTarget
from ...backends.targets.memcap_cost import ProductLoad, product_latency_s
from ...dialects import tile
from ...dialects.attributes import table_attr, table_of
from ...dialects.control import repetitions
from ...dialects.types import shape_of
from ...errors import IRError
from ..context import note_of, say_unchanged
from ..cost import digital_latency_s
from ..placement.machine import grid_of
from ..placement.pack import pack_tiles
from ..placement.replicate import Allocation, Stage, least_bottleneck, least_sum, stage_options
from ..rewriting import whole_ops
from ..stored_matrices import machine_with_arrays

#: Copies are added until unlimited ones would shorten an inference by less than this share.
TOLERANCE = 0.05


@dataclass(frozen=True)
class ReplicateMatrices(ModulePass):
    """At most ``most`` copies of a matrix (0: as many as pay).

    ``objective`` is ``latency``, of one inference, or ``throughput``, of many that follow each
    other: the slowest stage is then made as quick as the arrays allow.
    """

    name = "replicate-matrices"

    target: str
    most: int = 0
    objective: str = "latency"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.objective not in ("latency", "throughput") or self.most < 0:
            raise IRError(
                "replicate-matrices takes objective latency or throughput and most >= 0, got "
                f"{self.objective} and {self.most}"
            )
        target = machine_with_arrays(self.target, self.name)
        programs = [p for p in whole_ops(op) if isinstance(p, tile.ProgramOp)]
        stages = {p: _stage(p, target, self.most) for p in programs if p.copy is None}
        offers = {p: stage for p, stage in stages.items() if len(stage.copies) > 1}
        if not offers:
            say_unchanged(ctx)
            return
        found = self._choose(op, programs, stages, offers, target)
        for (program, stage), option in zip(offers.items(), found.chosen, strict=True):
            copies = int(stage.copies[option])
            if copies > 1:
                _replicate(program, copies)
                note_of(ctx, program.weight.data)["copies"] = copies

    def _choose(
        self,
        module: ModuleOp,
        programs: list[tile.ProgramOp],
        stages: dict[tile.ProgramOp, Stage],
        offers: dict[tile.ProgramOp, Stage],
        target: MemcapTarget,
    ) -> Allocation:
        grid = grid_of(target)
        sizes = np.concatenate([p.tile_table[:, [2, 4]] for p in programs])
        packing = pack_tiles(sizes, grid.array_rows, grid.array_cols)
        spare = max(grid.sites - packing.arrays, 0)
        if self.objective == "throughput":
            return least_bottleneck(list(offers.values()), spare)
        rest_s = sum(digital_latency_s(op, target) * repetitions(op) for op in whole_ops(module))
        rest_s += sum(float(s.seconds[0]) for p, s in stages.items() if p not in offers)
        least_s = rest_s + sum(float(stage.seconds[-1]) for stage in offers.values())
        enough_s = (1 + TOLERANCE) * least_s - rest_s
        return least_sum(list(offers.values()), spare, enough_s)


def _stage(op: tile.ProgramOp, target: MemcapTarget, most: int) -> Stage:
    """The options of a matrix. All tiles of its copies must be able to work at the same time."""
    uses = [use.operation for use in op.result.uses]
    runs: dict[int, int] = {}
    for user in uses:
        if isinstance(user, tile.MvmOp):
            positions = shape_of(user.x)[-2]
            runs[positions] = runs.get(positions, 0) + repetitions(user)
    tiles = op.tile_table
    rows, cols = int(tiles[:, 2].sum()), int(tiles[:, 4].sum())
    widest = int(tiles[:, 4].max())
    bits = None if op.adc_bits is None else op.adc_bits.value.data

    def one_s(positions: int, copies: int) -> float:
        used = min(positions, copies)
        load = ProductLoad(
            most=-(-positions // copies),
            widest=widest,
            rounds=1,
            hops=0,
            rows_first=used * rows,
            rows_sent=positions * rows,
            cols_last=used * cols,
            cols_sent=positions * cols,
        )
        return product_latency_s(target, load, bits).total_s

    def seconds(copies: int) -> float:
        return sum(one_s(positions, copies) * n for positions, n in runs.items())

    stack = target.stack
    at_once = stack.grid_rows * stack.grid_cols * stack.max_active_layers // len(tiles)
    return stage_options(list(runs), len(tiles), min(at_once, most or at_once), seconds)


def _replicate(op: tile.ProgramOp, copies: int) -> None:
    """Repeat the tables of ``op``, copy after copy."""
    tiles = len(op.tile_table)
    op.copy = table_attr(np.repeat(np.arange(copies, dtype=np.int32), tiles))
    for name in ("tiles", "adc_range", "lossless"):
        table = op.properties.get(name)
        if table is not None:
            rows = table_of(table)  # type: ignore[arg-type]
            op.properties[name] = table_attr(np.tile(rows, (copies,) + (1,) * (rows.ndim - 1)))
