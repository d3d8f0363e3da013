"""Fuse element-wise chains: a map moves into the one map that uses its result.

Bodies are composed as data, in program order, and each surviving map is rebuilt once. Constants of
one element become constants of the body and equal operands one operand. Works at the graph and the
tile level.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TypeGuard

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, ModuleOp
from xdsl.ir import Attribute, Block, Operation, OpResult, SSAValue
from xdsl.passes import ModulePass

from ...dialects import graph
from ...dialects.attributes import WeightAttr, name_location, node_names
from ...dialects.body import BodyBuilder, is_unsigned
from ...dialects.kernel import Body
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dense_array, dtype_of, element_name, shape_of
from ..context import weights_of
from ..rewriting import erase_dead, function_blocks, replace_op
from ..weights import WeightStore


@dataclass(frozen=True)
class FuseMaps(ModulePass):
    """``max_ops`` and ``max_operands`` bound a fused body; a larger map is left as it is."""

    name = "fuse-maps"

    max_ops: int = 64
    max_operands: int = 8

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for block in function_blocks(op):
            _fuse_block(block, weights_of(ctx), self.max_ops, self.max_operands)
            erase_dead(block)


@dataclass(frozen=True, slots=True)
class _Map:
    """A map as data: what it reads and computes, the ops and ONNX nodes it stands for.

    ``inside`` has the operands of ``own`` that are computed in its body, as a map or a constant;
    ``operands`` is what is read from outside then. The body is composed at the end, once; its size
    is the number of its ``computing`` operations and of the ``literals``, which they share.
    """

    own: Body
    reads: tuple[SSAValue, ...]
    inside: "Mapping[SSAValue, _Map | np.ndarray]"
    operands: tuple[SSAValue, ...]
    computing: int
    literals: frozenset[tuple[str, str]]
    ops: frozenset[Operation]
    nodes: tuple[str, ...]


def _fuse_block(block: Block, weights: WeightStore, max_ops: int, max_operands: int) -> None:
    maps: dict[SSAValue, _Map] = {}
    absorbed: set[SSAValue] = set()
    for op in block.ops:
        if not isinstance(op, TensorOp) or op.KIND != "map":
            continue
        own = _single(op)
        producers = _producers(op, own, maps, max_ops, max_operands)
        constants = dict(_scalar_constants(own, weights))
        absorbed.update(producers)
        maps[op.results[0]] = _merge(own, producers, constants)
    rebuilt: dict[SSAValue, SSAValue] = {}
    for result, fused in maps.items():
        if result not in absorbed and isinstance(result, OpResult):
            operands = tuple(rebuilt.get(value, value) for value in fused.operands)
            rebuilt[result] = _rebuild(result, operands, fused)


def _single(op: TensorOp) -> _Map:
    body = op.kernel.attrs["body"]
    literals = frozenset((repr(o.imm), o.type) for o in body.ops if o.name == "constant")
    reads = tuple(op.operands)
    # An empty body counts as one operation, so that a bound on size bounds the depth as well.
    computing = max(1, sum(o.name != "constant" for o in body.ops))
    nodes = tuple(node_names(op))
    return _Map(body, reads, {}, reads, computing, literals, frozenset((op,)), nodes)


def _producers(
    op: TensorOp, own: _Map, maps: Mapping[SSAValue, _Map], max_ops: int, max_operands: int
) -> dict[SSAValue, _Map]:
    """The maps that fit into the body of ``op`` and that nothing else uses, later ones first.

    A value that two parts of one fused map use, and nothing else, has one use.
    """
    taken: dict[SSAValue, _Map] = {}
    inside = set(own.ops)
    operands = dict.fromkeys(own.operands)
    computing, literals = own.computing, own.literals
    searching = True
    while searching:
        searching = False
        for value in list(operands):
            found = maps.get(value)
            if found is None or not _same_elements(value, op.results[0]):
                continue
            if any(use.operation not in inside for use in value.uses):
                continue
            size = computing + found.computing + len(literals | found.literals)
            if size > max_ops:
                continue
            after = {v: None for v in operands if v is not value} | dict.fromkeys(found.operands)
            if len(after) <= max(max_operands, len(operands)):
                taken[value], operands = found, after
                computing, literals = computing + found.computing, literals | found.literals
                inside |= found.ops
                searching = True
    return taken


def _same_elements(value: SSAValue, result: SSAValue) -> bool:
    """Whether each element of ``result`` uses the element of ``value`` at its own place."""
    narrow, wide = shape_of(value), shape_of(result)
    extra = len(wide) - len(narrow)
    return wide[extra:] == narrow and prod(wide[:extra]) == 1


def _scalar_constants(own: _Map, weights: WeightStore) -> Iterator[tuple[SSAValue, np.ndarray]]:
    """The operands that are stored arrays of one element, with their values."""
    for value in own.operands:
        owner = value.owner
        if not isinstance(owner, graph.ConstantOp) or prod(shape_of(value)) != 1:
            continue
        attr = owner.value
        if isinstance(attr, DenseIntOrFPElementsAttr):
            yield value, dense_array(attr)
        elif _is_present(attr, weights):
            yield value, weights[attr.data]


def _is_present(attr: Attribute, weights: WeightStore) -> TypeGuard[WeightAttr]:
    return (
        isinstance(attr, WeightAttr) and attr.data in weights and not weights.is_absent(attr.data)
    )


def _merge(
    own: _Map, producers: Mapping[SSAValue, _Map], constants: Mapping[SSAValue, np.ndarray]
) -> _Map:
    """``own`` with ``producers`` and ``constants`` inside its body; ``own`` where none are."""
    if not producers and not constants and len(set(own.operands)) == len(own.operands):
        return own
    parts = (own, *producers.values())
    read = dict.fromkeys(_read_by(own, producers))
    return replace(
        own,
        inside={**producers, **constants},
        operands=tuple(value for value in read if value not in constants),
        computing=sum(part.computing for part in parts),
        literals=frozenset(map(_literal, constants.values())).union(*(p.literals for p in parts)),
        ops=frozenset().union(*(part.ops for part in parts)),
        nodes=tuple(name for part in reversed(parts) for name in part.nodes),
    )


def _read_by(part: _Map, producers: Mapping[SSAValue, _Map]) -> Iterator[SSAValue]:
    """What ``part`` reads once its producers are inside it, in order."""
    for value in part.operands:
        if value in producers:
            yield from _read_by(producers[value], producers)
        else:
            yield value


def _compose(fused: _Map) -> Body:
    """The body of ``fused`` over its operands."""
    b = BodyBuilder(*[element_name(dtype_of(value)) for value in fused.operands])
    registers = {value: i for i, value in enumerate(fused.operands)}
    known: dict[SSAValue, _Map | np.ndarray] = {}

    def inline(part: _Map) -> int:
        known.update(part.inside)
        for value in part.reads:
            if value not in registers:
                found = known[value]
                made = inline(found) if isinstance(found, _Map) else _constant(b, found)
                registers[value] = made
        return b.inline(part.own, [registers[value] for value in part.reads])

    return b.finish(inline(fused))


def _literal(array: np.ndarray) -> tuple[str, str]:
    return repr(array.reshape(()).item()), element_name(array.dtype).removeprefix("u")


def _constant(b: BodyBuilder, array: np.ndarray) -> int:
    name = element_name(array.dtype)
    value = array.reshape(()).item()
    if is_unsigned(name):
        return b.unsigned(b.const(value, name.removeprefix("u")), name)
    return b.const(value, name)


def _rebuild(result: OpResult, operands: tuple[SSAValue, ...], fused: _Map) -> SSAValue:
    """The result of the map that ``fused`` describes, in the place of ``result``."""
    op = result.op
    assert isinstance(op, TensorOp)
    assert op.parent is not None
    if tuple(op.operands) == operands:
        return result
    location = name_location(fused.nodes) if fused.nodes else op.location
    new = type(op).make(operands, shape_of(result), body=_compose(fused), location=location)
    new.attributes.update(op.attributes)
    op.parent.insert_op_before(new, op)
    replace_op(op, list(new.results))
    return new.results[0]
