"""What the conversions share: the functions of a module, dead code, names of results."""

from collections.abc import Iterator, Sequence

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Operation, OpResult, SSAValue
from xdsl.traits import Pure

from ..dialects.control import nested_blocks
from ..dialects.functions import defined_functions
from ..dialects.tensor_ops import TensorOp

#: Discardable attributes that name the ONNX values an op yields: one, or a list of several.
VALUE_NAMES = ("value", "values")
#: Stands in ``values`` for a result that is no ONNX value.
NO_NAME = StringAttr("")


def function_blocks(module: ModuleOp) -> Iterator[Block]:
    """The body of each function of ``module``, and the blocks of its control flow after it."""
    for function in defined_functions(module):
        yield from nested_blocks(function.body.block)


def whole_ops(module: ModuleOp) -> Iterator[Operation]:
    """The operations of ``module`` and of its functions, without those inside of them."""
    yield from module.ops
    for block in function_blocks(module):
        yield from block.ops


def erase_dead(block: Block) -> bool:
    """Erase the pure ops of ``block`` whose results nothing uses; returns whether there were any.

    One walk backwards finds all of them.
    """
    found = False
    for op in reversed(list(block.ops)):
        unused = all(result.first_use is None for result in op.results)
        if op.results and unused and op.has_trait(Pure):
            block.erase_op(op)
            found = True
    return found


def replace_op(op: Operation, values: list[SSAValue | None]) -> None:
    """Let ``values`` stand for the results of ``op`` and erase it."""
    for result, value in zip(op.results, values, strict=True):
        if value is not None:
            result.replace_all_uses_with(value)
    assert op.parent is not None
    op.parent.erase_op(op)


class Replacements:
    """Values that stand for those of converted operations, put into their users one by one.

    For a conversion that walks in order: replacing a value in all of its users at once would copy
    the operands of a wide operation for each of them.
    """

    def __init__(self) -> None:
        self._values: dict[SSAValue, SSAValue] = {}
        self._converted: list[Operation] = []

    def rename_operands(self, op: Operation) -> None:
        """Let ``op`` read what stands for its operands now; call it when the walk reaches it.

        So do the blocks of control flow, which may read whatever is defined around them.
        """
        self._rename(op)
        if op.regions and not isinstance(op, TensorOp):
            for region in op.regions:
                for inner in region.walk():
                    self._rename(inner)

    def _rename(self, op: Operation) -> None:
        if any(value in self._values for value in op.operands):
            op.operands = [self._values.get(value, value) for value in op.operands]

    def replace(self, op: Operation, values: Sequence[SSAValue | None]) -> None:
        """Let ``values`` stand for the results of ``op`` in every operation still to come."""
        pairs = zip(op.results, values, strict=True)
        self._values.update((result, value) for result, value in pairs if value is not None)
        self._converted.append(op)

    def erase_converted(self) -> None:
        """Erase what was replaced, after the walk."""
        for op in reversed(self._converted):
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
