"""The functions of a module."""

from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp

from ..errors import IRError


def defined_functions(module: ModuleOp) -> list[func.FuncOp]:
    """The functions that have a body; semc's are single blocks."""
    return [f for f in module.ops if isinstance(f, func.FuncOp) and f.body.blocks]


def main_function(module: ModuleOp) -> func.FuncOp:
    """``func.func @main`` of a module. Raises IRError where there is none."""
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "main":
            return op
    raise IRError("a module must hold func.func @main")
