"""Fuse element-wise chains: a map moves into the one map that uses its result.

Bodies are composed as data, in program order, and each surviving map is rebuilt once. Constants of
one element become constants of the body and equal operands one operand. Works at the graph and the
tile level.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    """A map as data: what it reads, what it computes, the ops and ONNX nodes it stands for."""

    operands: tuple[SSAValue, ...]
    body: Body
    ops: frozenset[Operation]
    nodes: tuple[str, ...]


def _fuse_block(block: Block, weights: WeightStore, max_ops: int, max_operands: int) -> None:
    maps: dict[SSAValue, _Map] = {}
    absorbed: set[SSAValue] = set()
    for op in block.ops:
        if not isinstance(op, TensorOp) or op.KIND != "map":
            continue
        body = op.kernel.attrs["body"]
        own = _Map(tuple(op.operands), body, frozenset((op,)), tuple(node_names(op)))
        producers = _producers(op, own, maps, max_ops, max_operands)
        constants = dict(_scalar_constants(own, weights))
        absorbed.update(producers)
        maps[op.results[0]] = _merge(own, producers, constants)
    rebuilt: dict[SSAValue, SSAValue] = {}
    for result, fused in maps.items():
        if result not in absorbed and isinstance(result, OpResult):
            operands = tuple(rebuilt.get(value, value) for value in fused.operands)
            rebuilt[result] = _rebuild(result, operands, fused)


def _producers(
    op: TensorOp, own: _Map, maps: Mapping[SSAValue, _Map], max_ops: int, max_operands: int
) -> dict[SSAValue, _Map]:
    """The maps that fit into the body of ``op`` and that nothing else uses, later ones first.

    A value that two parts of one fused map use, and nothing else, has one use.
    """
    taken: dict[SSAValue, _Map] = {}
    inside = set(own.ops)
    operands = dict.fromkeys(own.operands)
    size = len(own.body.ops)
    searching = True
    while searching:
        searching = False
        for value in list(operands):
            found = maps.get(value)
            if found is None or not _same_elements(value, op.results[0]):
                continue
            if any(use.operation not in inside for use in value.uses):
                continue
            after = {v: None for v in operands if v is not value} | dict.fromkeys(found.operands)
            new_size = size + len(found.body.ops)
            if new_size <= max_ops and len(after) <= max(max_operands, len(operands)):
                taken[value], operands, size = found, after, new_size
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
    read = dict.fromkeys(_read_by(own, producers))
    operands = tuple(value for value in read if value not in constants)
    b = BodyBuilder(*[element_name(dtype_of(value)) for value in operands])
    registers = {value: i for i, value in enumerate(operands)}

    def register(value: SSAValue) -> int:
        if value not in registers:
            if value in constants:
                registers[value] = _constant(b, constants[value])
            else:
                registers[value] = inline(producers[value])
        return registers[value]

    def inline(part: _Map) -> int:
        return b.inline(part.body, [register(value) for value in part.operands])

    body = b.finish(inline(own))
    ops = own.ops.union(*(part.ops for part in producers.values()))
    nodes = tuple(name for part in reversed(tuple(producers.values())) for name in part.nodes)
    return _Map(operands, body, ops, nodes + own.nodes)


def _read_by(part: _Map, producers: Mapping[SSAValue, _Map]) -> Iterator[SSAValue]:
    """What ``part`` reads once its producers are inside it, in order."""
    for value in part.operands:
        if value in producers:
            yield from _read_by(producers[value], producers)
        else:
            yield value


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
    new = type(op).make(operands, shape_of(result), body=fused.body, location=location)
    new.attributes.update(op.attributes)
    op.parent.insert_op_before(new, op)
    replace_op(op, list(new.results))
    return new.results[0]
