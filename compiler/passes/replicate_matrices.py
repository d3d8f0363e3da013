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

from ...dialects import tile
from ...dialects.attributes import table_attr, table_of
from ...dialects.control import repetitions
from ...errors import IRError
from ..context import note_of, say_unchanged
from ..copies import choose_copies, spare_arrays
from ..cost import digital_time_s
from ..rewriting import whole_ops
from ..stored_matrices import machine_with_arrays


@dataclass(frozen=True)
class ReplicateMatrices(ModulePass):
    """At most ``most`` copies of a matrix (0: as many as pay).

    ``objective`` is ``latency``, of one inference, or ``throughput``, of many that follow each
    other: the slowest matrix is then made as quick as the arrays allow.
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
        found = {}
        # What has a fixed position is not to be elsewhere as well.
        free = [p for p in programs if p.copy is None and "sites" not in p.attributes]
        uses = {p: _uses(p) for p in free}
        if any(positions > 1 for runs in uses.values() for positions in runs):
            spare, rest_s = spare_arrays(programs, target), digital_time_s(whole_ops(op), target)
            found = choose_copies(
                uses, spare, rest_s, target, most=self.most, objective=self.objective
            )
        for program, copies in found.items():
            _replicate(program, copies)
            note_of(ctx, program.weight.data)["copies"] = copies
        if not found:
            say_unchanged(ctx)


def _uses(op: tile.ProgramOp) -> dict[int, int]:
    """How often an inference drives so many positions through the matrix."""
    runs: dict[int, int] = {}
    for user in [use.operation for use in op.result.uses]:
        if isinstance(user, tile.MvmOp):
            runs[user.positions] = runs.get(user.positions, 0) + repetitions(user)
    return runs


def _replicate(op: tile.ProgramOp, copies: int) -> None:
    """Repeat the tables of ``op``, copy after copy."""
    tiles = len(op.tile_table)
    op.copy = table_attr(np.repeat(np.arange(copies, dtype=np.int32), tiles))
    for name in ("tiles", "adc_range", "lossless"):
        table = op.properties.get(name)
        if table is not None:
            rows = table_of(table)  # type: ignore[arg-type]
            op.properties[name] = table_attr(np.tile(rows, (copies,) + (1,) * (rows.ndim - 1)))
