"""Compute products with a matrix that holds NaN or infinity on the vector engine

No cell stores such a weight, so the matrix becomes a constant operand of ``tile.contract``.
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...dialects import graph, tile
from ...dialects.attributes import WeightAttr
from ...dialects.types import tensor_type
from ..context import say_unchanged, weights_of
from ..rewriting import replace_op
from ..stored_matrices import stored_matrices
from ..weights import WeightStore


@dataclass(frozen=True)
class ComputeNonfiniteDigitally(ModulePass):
    """Rewrites the products of matrices that are not finite; others are left alone."""

    name = "compute-nonfinite-digitally"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        weights = weights_of(ctx)
        found = False
        for program in stored_matrices(ctx, op):
            if program.codes is None and not _is_finite(weights[program.weight.data]):
                _compute_digitally(program, weights)
                found = True
        if not found:
            say_unchanged(ctx)


def _is_finite(array: np.ndarray) -> bool:
    """Whether every weight is a number; least and greatest tell, for NaN is both."""
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _compute_digitally(op: tile.ProgramOp, weights: WeightStore) -> None:
    array = weights[op.weight.data]
    array = array if len(array) > 1 else array[0]
    key = weights.add(f"{op.weight.data}.digital", array)
    constant = graph.ConstantOp(WeightAttr.of(key), tensor_type(array.shape, array.dtype))
    constant.location = op.location
    assert op.parent is not None
    op.parent.insert_op_before(constant, op)
    for use in list(op.result.uses):
        product = use.operation
        assert isinstance(product, tile.MvmOp)
        new = tile.ContractOp.make([product.x, constant.result], location=product.location)
        new.attributes.update(product.attributes)
        op.parent.insert_op_before(new, product)
        replace_op(product, list(new.results))
    op.parent.erase_op(op)
