"""Give each column of the arrays the digital gain that undoes its charge divider

The charge of a column divides over all that hangs on its line, the stored weights among it, so
heavy columns read low. The gain follows from the codes and the site of a tile: the vias down from
its layer count too. It runs at the ``analog`` level, where tiles have their final order.
"""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...backends.targets.chips import own_sites
from ...dialects import analog
from ...dialects.attributes import WeightAttr, table_of
from ..context import say_unchanged, weights_of
from ..quantize.column_gain import column_gain
from ..rewriting import whole_ops
from ..stored_matrices import has_values, machine_with_arrays


@dataclass(frozen=True)
class CorrectColumns(ModulePass):
    """Writes ``gain`` on each ``analog.program`` with codes, if the target corrects gains."""

    name = "correct-columns"

    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target, weights = machine_with_arrays(self.target, self.name), weights_of(ctx)
        found = [
            inner
            for inner in whole_ops(op)
            if isinstance(inner, analog.ProgramOp)
            and inner.gain is None
            and inner.codes is not None
            and has_values(weights, inner.codes.data)
        ]
        if not (found and target.numerics.gain_correction and target.noise.is_on("divider")):
            say_unchanged(ctx)
            return
        for program in found:
            assert program.codes is not None
            sites = own_sites(table_of(program.sites), target)
            gain = column_gain(weights[program.codes.data], table_of(program.tiles), sites, target)
            program.gain = WeightAttr.of(weights.add(f"{program.weight.data}.gain", gain))
