"""Lower the graph level to what the machines can do: matrices in arrays and vector kernels.

    graph.linear   -> tile.program, tile.mvm, tile.map           (views where ranks differ)
    graph.conv     -> tile.window im2col, tile.mvm, tile.view, tile.map, or tile.window dot
    graph.softmax  -> tile.reduce and tile.map                   graph.norm alike
    tensor ops     -> the same op of the tile level              graph.constant stays
    control ops    -> the same op of the tile level, its blocks converted alike

Each stored matrix is programmed once and shared by all its uses; one that only control flow uses is
programmed before it. Locations and value names carry
over to the op that yields the value now.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import prod

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import UNKNOWN_LOC, ModuleOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint

from ...dialects import graph, tile
from ...dialects.control import nested_blocks
from ...dialects.functions import defined_functions
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of, shape_of
from ..context import weights_of
from ..cost import MachineCosts
from ..lower_convolution import lower_conv
from ..lower_normalizers import lower_norm, lower_softmax
from ..rewriting import Replacements, erase_dead, name_result
from ..tile_builder import ProgrammedMatrices, TileBuilder

_DEFAULTS = MachineCosts()


@dataclass(frozen=True)
class ConvertGraphToTile(ModulePass):
    """The options describe the machine to the choice of where grouped convolutions run.

    ``min_array_use`` is the share of the cells of block-diagonal arrays that must hold a weight.
    """

    name = "convert-graph-to-tile"

    array_rows: int = _DEFAULTS.array_rows
    array_weight_cols: int = _DEFAULTS.array_weight_cols
    read_ns: float = _DEFAULTS.read_ns
    row_pj: float = _DEFAULTS.row_pj
    column_pj: float = _DEFAULTS.column_pj
    vector_ops_per_ns: float = _DEFAULTS.vector_ops_per_ns
    vector_mac_pj: float = _DEFAULTS.vector_mac_pj
    access_pj: float = _DEFAULTS.access_pj
    min_array_use: float = 0.05

    @property
    def costs(self) -> MachineCosts:
        """The options as the cost model takes them."""
        return MachineCosts(**{f.name: getattr(self, f.name) for f in fields(MachineCosts)})

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in defined_functions(op):
            main = function.body.block
            programs = ProgrammedMatrices(main)
            for block in nested_blocks(main):
                point = InsertPoint.at_start(block)
                builder = TileBuilder(weights_of(ctx), point, UNKNOWN_LOC, programs)
                _convert_block(builder, block, self.costs, self.min_array_use)
                erase_dead(block)


def _convert_block(b: TileBuilder, block: Block, costs: MachineCosts, min_array_use: float) -> None:
    lower: dict[type[Operation], Callable[[Operation], SSAValue]] = {
        graph.LinearOp: lambda op: _lower_linear(b, op),
        graph.ConvOp: lambda op: _lower_conv(b, op, costs, min_array_use),
        graph.SoftmaxOp: lambda op: _lower_softmax(b, op),
        graph.NormOp: lambda op: _lower_norm(b, op),
    }
    replacements = Replacements()
    for op in list(block.ops):
        replacements.rename_operands(op)
        b.start(op)
        if isinstance(op, TensorOp) and op.name.startswith("graph."):
            b.place(new := _same_op(op, tile.OPS[op.KIND]))
            replacements.replace(op, new.results)
        elif isinstance(op, (graph.IfOp, graph.LoopOp)):
            b.place(control := _same_op(op, _CONTROL[type(op)]))
            replacements.replace(op, control.results)
        elif type(op) in lower:
            value = lower[type(op)](op)
            if "value" in op.attributes:
                name_result(value, op.attributes["value"])
            replacements.replace(op, [value])
    replacements.erase_converted()


_CONTROL: dict[type[Operation], type[Operation]] = {
    graph.IfOp: tile.IfOp,
    graph.LoopOp: tile.LoopOp,
}


def _same_op(op: Operation, kind: type[Operation]) -> Operation:
    """The op of the tile level with the operands, fields, attributes and regions of ``op``."""
    regions = [op.detach_region(region) for region in list(op.regions)]
    for region in regions:
        last = region.block.last_op
        assert last is not None
        operands = list(last.operands)
        region.block.erase_op(last)
        region.block.add_op(tile.YieldOp.create(operands=operands))
    return kind.create(
        operands=list(op.operands),
        result_types=list(op.result_types),
        properties=dict(op.properties),
        attributes=dict(op.attributes),
        regions=regions,
    )


def _lower_linear(b: TileBuilder, op: Operation) -> SSAValue:
    assert isinstance(op, graph.LinearOp)
    x, shape = op.x, shape_of(op.result)
    depth, cols = shape_of(op.weight)
    rows = b.reshape(x, (prod(shape[:-1]), depth))
    if dtype_of(x).kind in "biu" or not depth or not cols:
        y = b.contract(rows, op.weight)
    else:
        constant = graph.stationary(op, op.weight)
        y = b.mvm(b.matrix(constant, (1, depth, cols), _stacked, "matrix"), rows)
    y = b.reshape(y, shape)
    return y if op.bias is None else b.add(y, op.bias)


def _stacked(w: np.ndarray) -> np.ndarray:
    return w[None]


def _lower_conv(
    b: TileBuilder, op: Operation, costs: MachineCosts, min_array_use: float
) -> SSAValue:
    assert isinstance(op, graph.ConvOp)
    y = lower_conv(b, op, op.x, costs, min_array_use)
    if op.bias is None:
        return y
    column = (shape_of(y)[1], *[1] * (len(shape_of(y)) - 2))
    owner = op.bias.owner
    if isinstance(owner, graph.ConstantOp):
        bias = b.rearranged(owner, column, lambda v: v.reshape(column), f"column{len(column)}")
    else:
        bias = b.reshape(op.bias, column)
    return b.add(y, bias)


def _lower_softmax(b: TileBuilder, op: Operation) -> SSAValue:
    assert isinstance(op, graph.SoftmaxOp)
    return lower_softmax(b, op, op.x)


def _lower_norm(b: TileBuilder, op: Operation) -> SSAValue:
    assert isinstance(op, graph.NormOp)
    return lower_norm(b, op, op.x, op.scale, op.bias)
