"""Scalar operations that map bodies need and xDSL does not have.

op ::= `graph.remf` lhs `,` rhs `:` type      remainder of the truncated division, as C fmod
"""

from typing import ClassVar

from xdsl.dialects.builtin import AnyFloatConstr
from xdsl.irdl import (
    IRDLOperation,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure


@irdl_op_definition
class RemfOp(IRDLOperation):
    """``lhs - trunc(lhs / rhs) * rhs``, exactly (MLIR's arith.remf)."""

    T: ClassVar = VarConstraint("T", AnyFloatConstr)

    name = "graph.remf"
    lhs = operand_def(T)
    rhs = operand_def(T)
    result = result_def(T)
    traits = traits_def(Pure())
    assembly_format = "$lhs `,` $rhs attr-dict `:` type($result)"
