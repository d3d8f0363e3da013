"""If, Loop and Scan: control flow of the program, where their bodies have static types.

    If(c) {..} {..}          -> graph.if %c {..} {..}
    Loop(m, c, v..) {..}     -> graph.loop (c, v.., stacked..) trip m while {..}
    Scan(s.., x..) {..}      -> graph.loop (s.., stacked..) max N { gather x[i]; ..; update }

A stacked output is carried along and has one row written an iteration. The nodes of a body are
lowered when the conversion comes to its block.
"""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import Block, SSAValue
from xdsl.rewriter import InsertPoint

from ....dialects import graph
from ....dialects.control import COUNTER
from ....dialects.kernel import UNBOUNDED
from ....dialects.onnx import YieldOp
from ....dialects.types import dtype_of, shape_of
from ....errors import ModelError
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers

_NO_BODY = "its subgraph has values without a static type"


@lowers("If")
def lower_if(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Both branches as regions."""
    if not node.bodies:
        raise NotLowered(_NO_BODY)
    # Regions come in the order of ``control_bodies``: then, else.
    regions = [region.clone() for region in node.bodies]
    for region in regions:
        _end_block(region.block, _yielded(region.block))
    condition = b.reshape(node.required(0), ())
    types = [value.type for value in regions[0].block.last_op.operands]  # type: ignore[union-attr]
    op = graph.IfOp.make(condition, types, *regions)
    b.insert(op)
    return list(op.results)


@lowers("Loop")
def lower_loop(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Carried values, the condition among them where the body may end the loop."""
    if not node.bodies:
        raise NotLowered(_NO_BODY)
    (region,) = [body.clone() for body in node.bodies]
    block = region.block
    count = len(block.args) - 2
    carried = [value for value in node.inputs[2 : 2 + count] if value is not None]
    condition, *yielded = _yielded(block)
    trip, first = node.input(0), node.input(1)
    starts = True if first is None else b.const_of(first)
    keeps = condition is block.args[1] or _is_true(b, condition)
    conditional = not (keeps and starts is not None and bool(np.reshape(starts, ())))
    if trip is None and not conditional:
        raise ModelError(
            "a loop must end: give it a trip count or a condition that changes", where=node.name
        )
    wanted = _stacked_outputs(node, count)
    most, counted = _bound(b, trip)
    length = min([most, *(shape[0] for shape in wanted.values())])
    if counted is not None:
        most = length  # one iteration more would have no row to write
    ends = InsertPoint.before(block.last_op)  # type: ignore[arg-type]
    inner = b.at(ends)
    if conditional:
        flag = b.constant(np.array(True)) if first is None else b.reshape(first, ())
        carried, yielded = [flag, *carried], [inner.reshape(condition, ()), *yielded]
    else:
        always = b.at(InsertPoint.at_start(block)).constant(np.array(True))
        block.args[1].replace_all_uses_with(always)
        block.erase_arg(block.args[1])
    rows = [yielded[len(carried) + i] for i in wanted]
    stacks = [_empty(b, length, row) for row in rows]
    yielded[len(carried) :] = _write_rows(inner, block, rows, stacks, block.args[0])
    results = _loop(b, block, [*carried, *stacks], yielded, most, counted, conditional)
    stacked = dict(zip(wanted, results[len(carried) :], strict=True))
    return [
        *results[int(conditional) : len(carried)],
        *(stacked.get(i) for i in range(len(node.outputs) - count)),
    ]


def _stacked_outputs(node: OnnxNode, count: int) -> dict[int, tuple[int, ...]]:
    """The stacked outputs that something uses, behind ``count`` others: number and shape."""
    given = enumerate(node.outputs[count:])
    return {i: spec[0] for i, spec in given if spec is not None}


@lowers("Scan")
def lower_scan(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Slices are gathered and rows written by the iteration's number, or counted from the end."""
    if not node.bodies:
        raise NotLowered(_NO_BODY)
    (region,) = [body.clone() for body in node.bodies]
    block = region.block
    scanned = node.attrs["num_scan_inputs"]
    values = [value for value in node.inputs if value is not None]
    states, sequences = values[: len(values) - scanned], values[len(values) - scanned :]
    axes = node.attrs.get("scan_input_axes") or [0] * scanned
    backward = node.attrs.get("scan_input_directions") or [0] * scanned
    axes = [axis % len(shape_of(x)) for axis, x in zip(axes, sequences, strict=True)]
    length = shape_of(sequences[0])[axes[0]]
    counter = block.insert_arg(COUNTER, 0)
    outer = b.at(InsertPoint.at_start(block))
    number = {0: counter, 1: _from_the_end(outer, counter, length)}
    for x, axis, way, arg in zip(
        sequences, axes, backward, list(block.args[1 + len(states) :]), strict=True
    ):
        arg.replace_all_uses_with(outer.gather(x, number[way], axis=axis))
        block.erase_arg(arg)
    inner = b.at(InsertPoint.before(block.last_op))  # type: ignore[arg-type]
    yielded = _yielded(block)
    wanted = _stacked_outputs(node, len(states))
    count = len(yielded) - len(states)
    rows = [yielded[len(states) + i] for i in wanted]
    stacks = [_empty(b, length, row) for row in rows]
    out_way = node.attrs.get("scan_output_directions") or [0] * count
    yielded[len(states) :] = [
        _write_rows(inner, block, [row], [stack], number[out_way[i]])[0]
        for i, row, stack in zip(wanted, rows, stacks, strict=True)
    ]
    results = _loop(b, block, [*states, *stacks], yielded, length, None, False)
    out_axes = node.attrs.get("scan_output_axes") or [0] * count
    stacked = {
        i: _to_axis(b, y, out_axes[i]) for i, y in zip(wanted, results[len(states) :], strict=True)
    }
    return [*results[: len(states)], *(stacked.get(i) for i in range(count))]


def _loop(
    b: GraphBuilder,
    block: Block,
    initial: Sequence[SSAValue],
    yielded: Sequence[SSAValue],
    most: int,
    trip: SSAValue | None,
    conditional: bool,
) -> Sequence[SSAValue]:
    _end_block(block, yielded)
    region = block.parent
    assert region is not None
    op = graph.LoopOp.make(initial, region, most, trip=trip, conditional=conditional)
    b.insert(op)
    return op.results


def _write_rows(
    inner: GraphBuilder,
    block: Block,
    rows: Sequence[SSAValue],
    stacks: Sequence[SSAValue],
    number: SSAValue,
) -> list[SSAValue]:
    """Carry each stack in one more argument of ``block``; the stacks with their new rows."""
    written = []
    for row, stack in zip(rows, stacks, strict=True):
        argument = block.insert_arg(stack.type, len(block.args))
        written.append(inner.update(argument, number, row))
    return written


def _empty(b: GraphBuilder, length: int, row: SSAValue) -> SSAValue:
    """Zeros for ``length`` rows like ``row``."""
    return b.fill(0, (length, *shape_of(row)), dtype_of(row))


def _from_the_end(b: GraphBuilder, counter: SSAValue, length: int) -> SSAValue:
    body = b.body(counter)
    return b.map([counter], body.finish(body.sub(body.const(length - 1, "i64"), 0)))


def _to_axis(b: GraphBuilder, y: SSAValue, axis: int) -> SSAValue:
    """Dim 0 of ``y`` moved to ``axis``."""
    rank = len(shape_of(y))
    order = list(range(1, rank))
    order.insert(axis % rank, 0)
    return b.transpose(y, order)


def _bound(b: GraphBuilder, trip: SSAValue | None) -> tuple[int, SSAValue | None]:
    """The most iterations that ``trip`` allows, and the count where it is computed."""
    if trip is None:
        return UNBOUNDED, None
    constant = b.const_of(trip)
    if constant is None:
        return UNBOUNDED, b.reshape(trip, ())
    return max(int(np.reshape(constant, ())), 0), None


def _is_true(b: GraphBuilder, value: SSAValue) -> bool:
    constant = b.const_of(value)
    return constant is not None and bool(np.reshape(constant, ()))


def _yielded(block: Block) -> list[SSAValue]:
    last = block.last_op
    assert isinstance(last, YieldOp)
    return list(last.operands)


def _end_block(block: Block, values: Sequence[SSAValue]) -> None:
    """End ``block`` with graph.yield of ``values``."""
    last = block.last_op
    assert last is not None
    block.erase_op(last)
    block.add_op(graph.YieldOp.create(operands=list(values)))
