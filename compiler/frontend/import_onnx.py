"""A loaded model as IR: ``func.func @main`` of ``onnx`` ops, weights beside it by name.

    node y = Conv(x, w)   ->   %w = graph.constant #graph.weight<"w"> : tensor<8x3x3x3xf32>
                               %y = onnx.Conv(%x, %w) <{...}> {value = "y"} : (...) -> (...)

Every op has the node's name as its location and the names of its ONNX values as ``value`` (one) or
``values`` (several), by which levels are compared. ``@main`` has the names of the model's inputs
and outputs as ``input_names`` and ``output_names``.
"""

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, FunctionType, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ...dialects.attributes import WeightAttr, name_location
from ...dialects.graph import ConstantOp
from ...dialects.onnx import (
    OnnxOp,
    SubgraphOp,
    YieldOp,
    capture_names_attr,
    create_op,
    op_class,
)
from ...dialects.types import dense_attr, is_literal, tensor_type
from ...errors import IRError, ModelError
from ..weights import Constant, WeightStore
from .convert_attributes import bytes_attr, to_attribute
from .gather_host_nodes import host_graph
from .model import Body, LoadedModel, TensorSpec
from .read_model import newest_opset
from .rename_values import captured_names

if TYPE_CHECKING:
    from onnx import NodeProto

_Item = TypeVar("_Item")
_MAX_NAME = 256


def import_model(loaded: LoadedModel) -> tuple[ModuleOp, WeightStore]:
    """The module of ``loaded`` and the store with its constants (``loaded.weights``)."""
    values: dict[str, SSAValue] = {}
    block = Block(arg_types=[_type(spec) for spec in loaded.inputs.values()])
    for name, argument in zip(loaded.inputs, block.args, strict=True):
        values[name] = argument
        argument.location = name_location([_short(name)])
    ops: list[Operation] = []
    for name, constant in loaded.constants.items():
        op = constant_op(name, constant, loaded.weights)
        values[name] = op.result
        ops.append(op)
    ops += [_import_node(node, values, loaded, loaded.weights) for node in loaded.nodes]
    returned = [values[value] for value in loaded.outputs.values()]
    ops.append(ReturnOp(*returned))
    block.add_ops(ops)
    kind = FunctionType.from_lists([a.type for a in block.args], [v.type for v in returned])
    main = FuncOp("main", kind, Region([block]))
    main.attributes["input_names"] = _names(list(loaded.inputs))
    main.attributes["output_names"] = _names(list(loaded.outputs))
    module = ModuleOp([main])
    module.attributes["model"] = StringAttr(loaded.name)
    return module, loaded.weights


def constant_op(name: str, constant: Constant, weights: WeightStore) -> ConstantOp:
    """``graph.constant`` of a small array by value, of any other by its name in ``weights``."""
    kind = tensor_type(constant.shape, constant.dtype)
    if isinstance(constant, np.ndarray) and is_literal(constant):
        op = ConstantOp(dense_attr(constant), kind)
    else:
        op = ConstantOp(WeightAttr.of(weights.add(name, constant)), kind)
    op.location = name_location([_short(name)])
    op.attributes["value_name"] = StringAttr(_short(name))
    return op


def input_names(main: FuncOp) -> list[str]:
    """The ONNX names of the function's arguments."""
    return [name.data for name in main.attributes["input_names"]]  # type: ignore[attr-defined]


def output_names(main: FuncOp) -> list[str]:
    """The ONNX names of the function's results."""
    return [name.data for name in main.attributes["output_names"]]  # type: ignore[attr-defined]


def _import_node(
    node: "NodeProto",
    values: dict[str, SSAValue],
    part: LoadedModel | Body,
    weights: WeightStore,
) -> OnnxOp:
    specs = part.specs
    inputs = [values[name] if name else None for name in node.input]
    results = [_type(specs[name]) if name else None for name in node.output]
    produced = [name for name in node.output if name]
    location = name_location([_short(node.name)])
    names = _value_names(produced)
    if newest_opset(node.domain) is None:
        graph = host_graph(node)
        properties: dict[str, Attribute] = {"body": bytes_attr(graph.SerializeToString())}
        inputs, results = _present(inputs), _present(results)
        op = create_op(SubgraphOp, inputs, results, properties, attributes=names, location=location)
    else:
        captured = captured_names(node)
        properties = {a.name: to_attribute(a, node.name) for a in node.attribute}
        properties |= capture_names_attr(captured)
        try:
            op = create_op(
                op_class(node.op_type, node.domain),
                inputs,
                results,
                properties,
                [values[name] for name in captured],
                [_import_body(b, values, weights) for b in part.bodies.get(node.name, ())],
                attributes=names,
                location=location,
            )
        except IRError as error:
            raise ModelError(error.message, where=node.name) from None
    values.update(zip(produced, op.results, strict=True))
    return op


def _import_body(body: Body, outer: dict[str, SSAValue], weights: WeightStore) -> Region:
    """A region that takes the body's formal inputs and yields its outputs."""
    block = Block(arg_types=[_type(body.specs[name]) for name in body.inputs])
    values = {**outer, **dict(zip(body.inputs, block.args, strict=True))}
    for name, constant in body.constants.items():
        op = constant_op(name, constant, weights)
        values[name] = op.result
        block.add_op(op)
    block.add_ops([_import_node(node, values, body, weights) for node in body.nodes])
    block.add_op(YieldOp.create(operands=[values[name] for name in body.outputs]))
    return Region(block)


def _present(items: list[_Item | None]) -> list[_Item | None]:
    return [item for item in items if item is not None]


def _value_names(produced: Sequence[str]) -> dict[str, Attribute]:
    if len(produced) == 1:
        return {"value": StringAttr(_short(produced[0]))}
    return {"values": ArrayAttr([StringAttr(_short(name)) for name in produced])}


def _short(name: str) -> str:
    """``name`` in ASCII and at most 256 characters; what is cut off leaves its checksum."""
    text = name.encode("ascii", "backslashreplace").decode()
    if len(text) <= _MAX_NAME:
        return text
    return f"{text[: _MAX_NAME - 9]}~{zlib.crc32(name.encode()):08x}"


def _names(names: list[str]) -> ArrayAttr:
    return ArrayAttr([StringAttr(name) for name in names])


def _type(spec: TensorSpec) -> Attribute:
    return tensor_type(spec.shape, spec.dtype)
