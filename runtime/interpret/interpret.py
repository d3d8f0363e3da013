"""Interpret a function of the ``graph`` or ``tile`` level in float arithmetic.

The IR is run as it is, before it has a place or a time, so that the same input through each level
tells which lowering is wrong. A value is dropped after its last use.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from xdsl.dialects import func
from xdsl.ir import Block, Operation, SSAValue

from ...dialects import graph, place, tile
from ...dialects.attributes import WeightAttr, table_of
from ...dialects.control import IfOp, LoopOp, captured_values
from ...dialects.types import dtype_of, shape_of
from ...errors import InputError, IRError
from ..execute.loop import Loop
from .graph_ops import product, run_graph_op

#: Called with every operation, its operands and its results, in the order of execution.
Observer = Callable[[Operation, list[np.ndarray], list[np.ndarray]], None]
#: What stands for a product with a stored matrix; None leaves it in float arithmetic.
Replacement = Callable[[tile.MvmOp, np.ndarray], np.ndarray | None]


def interpret_function(
    function: func.FuncOp,
    inputs: Sequence[np.ndarray],
    weights: Mapping[str, np.ndarray],
    observe: Observer | None = None,
    replace: Replacement | None = None,
) -> list[np.ndarray]:
    """The values that ``function`` returns for ``inputs``, one array an argument.

    ``weights`` holds the stored arrays by name. A matrix kept in arrays (``tile.program``) stands
    for its weights, unquantised, unless ``replace`` gives its product another value.

    Raises InputError when an input is not of its argument's shape and type, and IRError for an
    operation of another level.
    """
    block = function.body.block
    _check_inputs(block, inputs)
    return _Run(weights, observe, replace).block(block, inputs, {})


def run_block(
    block: Block,
    inputs: Sequence[np.ndarray],
    weights: Mapping[str, np.ndarray],
    observe: Observer | None = None,
) -> list[np.ndarray]:
    """The operands of the terminator of a block of ``graph`` and ``tile`` ops."""
    return _Run(weights, observe).block(block, inputs, {})


class _Run:
    """Runs blocks; those of control flow see the values around them."""

    def __init__(
        self,
        weights: Mapping[str, np.ndarray],
        observe: Observer | None,
        replace: Replacement | None = None,
    ) -> None:
        self.weights = weights
        self.observe = observe
        self.replace = replace

    def block(
        self, block: Block, inputs: Sequence[np.ndarray], outer: Mapping[SSAValue, np.ndarray]
    ) -> list[np.ndarray]:
        values: dict[SSAValue, np.ndarray] = dict(outer)
        values.update(zip(block.args, inputs, strict=True))
        dying = _last_uses(block)
        for op in block.ops:
            operands = [values[x] for x in op.operands]
            if isinstance(op, _TERMINATORS):
                return operands
            results = self._op(op, operands, values)
            if self.observe is not None:
                self.observe(op, operands, results)
            values.update(zip(op.results, results, strict=True))
            for value in dying.get(op, ()):
                values.pop(value, None)
        raise IRError("a block must end by returning its values")

    def _op(
        self, op: Operation, operands: list[np.ndarray], values: Mapping[SSAValue, np.ndarray]
    ) -> list[np.ndarray]:
        match op:
            case IfOp():
                body = op.then_body if bool(operands[0]) else op.else_body
                return self.block(body.block, [], values)
            case LoopOp():
                return self._loop(op, operands, values)
            case tile.MvmOp() if self.replace is not None:
                found = self.replace(op, operands[1])
                if found is not None:
                    return [found]
        return _run(op, operands, self.weights)

    def _loop(
        self, op: LoopOp, operands: list[np.ndarray], values: Mapping[SSAValue, np.ndarray]
    ) -> list[np.ndarray]:
        carried = operands[: len(op.initial)]
        condition = None if op.conditional is None else carried[0].copy()
        loop = Loop(op.max_trips.value.data, operands[-1] if op.trip else None, condition)
        for number in loop.iterations(np.array(0, np.int64)):
            carried = self.block(op.body.block, [np.array(number, np.int64), *carried], values)
            if condition is not None:
                condition[...] = carried[0]
        return carried


_TERMINATORS = (func.ReturnOp, graph.YieldOp, tile.YieldOp, place.YieldOp)


def _run(
    op: Operation, operands: list[np.ndarray], weights: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    match op:
        case graph.ConstantOp():
            attr = op.value
            return [weights[attr.data] if isinstance(attr, WeightAttr) else table_of(attr)]  # type: ignore[arg-type]
        case tile.ProgramOp():
            return [weights[op.weight.data]]
        case tile.MvmOp():
            matrices, x = operands
            return [product(x, matrices, op.window)]
    return run_graph_op(op, operands)


def _check_inputs(block: Block, inputs: Sequence[np.ndarray]) -> None:
    if len(inputs) != len(block.args):
        raise InputError(f"a function of {len(block.args)} arguments was given {len(inputs)}")
    for i, (arg, x) in enumerate(zip(block.args, inputs, strict=True)):
        if (x.shape, x.dtype) != (shape_of(arg), dtype_of(arg)):
            raise InputError(
                f"argument {i} must be {dtype_of(arg)}{list(shape_of(arg))}, "
                f"not {x.dtype}{list(x.shape)}"
            )


def _last_uses(block: Block) -> dict[Operation, list[SSAValue]]:
    """The values that nothing needs after each operation."""
    seen: set[SSAValue] = set()
    dying: dict[Operation, list[SSAValue]] = {}
    for op in reversed(list(block.ops)):
        used = (*op.operands, *captured_values(op), *op.results)
        ended = [x for x in dict.fromkeys(used) if x not in seen]
        seen.update(ended)
        if ended:
            dying[op] = ended
    return dying
