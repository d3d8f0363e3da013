"""What the conversions share: the functions of a module, dead code, names of results."""

from collections.abc import Iterator

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, OpResult, SSAValue
from xdsl.traits import Pure

from ..dialects.control import nested_blocks
from ..dialects.functions import defined_functions

#: Discardable attributes that name the ONNX values an op yields: one, or a list of several.
VALUE_NAMES = ("value", "values")
#: Stands in ``values`` for a result that is no ONNX value.
NO_NAME = StringAttr("")


def function_blocks(module: ModuleOp) -> Iterator[Block]:
    """The body of each function of ``module``, and the blocks of its control flow after it."""
    for function in defined_functions(module):
        yield from nested_blocks(function.body.block)


def erase_dead(block: Block) -> None:
    """Erase the pure ops of ``block`` whose results nothing uses, in one walk backwards."""
    for op in reversed(list(block.ops)):
        unused = all(result.first_use is None for result in op.results)
        if op.results and unused and op.has_trait(Pure):
            block.erase_op(op)


def replace_op(op: Operation, values: list[SSAValue | None]) -> None:
    """Let ``values`` stand for the results of ``op`` and erase it."""
    for result, value in zip(op.results, values, strict=True):
        if value is not None:
            result.replace_all_uses_with(value)
    assert op.parent is not None
    op.parent.erase_op(op)


def name_result(value: SSAValue, name: Attribute) -> None:
    """Say that ``value`` is the ONNX value ``name``, unless it has a name already."""
    if not isinstance(value, OpResult):
        return
    attributes = value.op.attributes
    if len(value.op.results) == 1:
        if not any(key in attributes for key in VALUE_NAMES):
            attributes["value"] = name
        return
    known = attributes.get("values")
    names = list(known) if isinstance(known, ArrayAttr) else [NO_NAME] * len(value.op.results)
    if names[value.index] == NO_NAME:
        names[value.index] = name
        attributes["values"] = ArrayAttr(names)
