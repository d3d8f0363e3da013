"""Fold views: a view of a view becomes one view where one can say it, identity views go.

Works at the graph and the tile level.
"""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, SSAValue
from xdsl.passes import ModulePass

from ...dialects.tensor_ops import TensorOp
from ...dialects.types import shape_of
from ..context import say_unchanged
from ..rewriting import erase_dead, function_blocks, name_result, replace_op
from ..strided import Strided, compose


@dataclass(frozen=True)
class FoldViews(ModulePass):
    """No options."""

    name = "fold-views"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        changed = False
        for block in function_blocks(op):
            changed |= _fold_block(block)
            changed |= erase_dead(block)
        if not changed:
            say_unchanged(ctx)


def _fold_block(block: Block) -> bool:
    """Whether any view of ``block`` was folded."""
    changed = False
    views: dict[SSAValue, tuple[SSAValue, Strided]] = {}
    for op in list(block.ops):
        if not isinstance(op, TensorOp) or op.KIND != "view":
            continue
        attrs = op.attrs
        source = op.operands[0]
        view = Strided(shape_of(op.results[0]), attrs["strides"], attrs["offset"])
        inner = views.get(source)
        if inner is not None and (folded := compose(inner[1], view)) is not None:
            source, view = inner[0], folded
        if view.is_whole(shape_of(source)):
            if "value" in op.attributes:
                name_result(source, op.attributes["value"])
            replace_op(op, [source])
            changed = True
            continue
        if source is not op.operands[0]:
            op = _moved(op, source, view)
            changed = True
        views[op.results[0]] = (source, view)
    return changed


def _moved(op: TensorOp, source: SSAValue, view: Strided) -> TensorOp:
    new = type(op).make(
        [source], view.shape, offset=view.offset, strides=view.strides, location=op.location
    )
    new.attributes.update(op.attributes)
    assert op.parent is not None
    op.parent.insert_op_before(new, op)
    replace_op(op, list(new.results))
    return new
