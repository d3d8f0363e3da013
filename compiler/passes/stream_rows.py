"""Compute feature maps in bands of rows, so that a stage starts with the first rows of another

Chains of windows, products, maps and pools are cut into bands of output rows; a band reads only the
input rows it needs, so what is gathered for a product is a band's and not the whole matrix. Bands
are issued in the order of a list schedule (``placement/stream.py``) in which the controllers, which
work in order, overlap the stages. The number of bands is the one whose schedule is shortest, with
the copies of matrices that pay then; each doubling must gain some per cent, so
that IR and program stay small.
Matrices that do not fit the arrays at once are driven whole: they would be written anew for each
band, and one that several products drive is not cut between chips.
Pieces of a result are written side by side, so that joining them costs nothing
(``placement/joined.py``).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block
from xdsl.passes import ModulePass

from ...dialects.control import ControlOp
from ...dialects.functions import defined_functions
from ..band_tasks import Arrays, BandTasks
from ..context import say_unchanged
from ..placement.stream import best_order, in_order_makespan
from ..row_bands import even_cuts, row_ops
from ..stored_matrices import machine_with_arrays
from ..write_bands import write_bands

if TYPE_CHECKING:
    from ...backends.targets import MemcapTarget

#: Numbers of bands that are tried.
BANDS = (2, 4, 8, 16)
#: Tasks of one block at most: each becomes an operation.
MOST_TASKS = 2000
#: What a schedule with more bands must be shorter by.
GAIN = 0.03
#: Share of the buffer that values alive together may take.
BUFFER_SHARE = 0.9


@dataclass(frozen=True)
class StreamRows(ModulePass):
    """Cuts into at most ``most`` bands (0: any of those tried, 1: none).

    ``copies`` is the limit that ``replicate-matrices`` will be given.
    """

    name = "stream-rows"

    target: str
    most: int = 0
    copies: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machine_with_arrays(self.target, self.name)
        changed = [self._stream(f.body.block, target) for f in defined_functions(op)]
        if not any(changed):
            say_unchanged(ctx)

    def _stream(self, block: Block, target: "MemcapTarget") -> bool:
        """Whether ``block`` was cut into bands."""
        by_rows = row_ops(block)
        windows = any(row_op.window is not None for row_op in by_rows.values())
        if not windows or any(isinstance(op, ControlOp) for op in block.ops):
            return False
        arrays = Arrays(block, target, self.copies)
        if not arrays.fit:
            return False
        whole = BandTasks(block, {}, {}, arrays)
        best_s = in_order_makespan(whole.tasks)
        most_bytes = max(
            BUFFER_SHARE * target.sram.bytes, whole.live_bytes(range(len(whole.tasks)))
        )
        best: tuple[BandTasks, list[int]] | None = None
        for bands in BANDS:
            if self.most and bands > self.most:
                break
            cut = BandTasks(block, by_rows, even_cuts(by_rows, bands), arrays)
            if len(cut.tasks) > MOST_TASKS:
                break
            order = best_order(cut.tasks)
            better = order.makespan_s < (1 - GAIN) * best_s
            if better and cut.live_bytes(order.tasks) <= most_bytes:
                best_s, best = order.makespan_s, (cut, order.tasks)
        if best is None:
            return False
        write_bands(block, *best)
        return True
