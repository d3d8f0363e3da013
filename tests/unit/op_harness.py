"""Check the lowering of one ONNX operator against ONNX Runtime.

``check_op`` runs a single-node model by ONNX Runtime (the reference evaluator where it has no
kernel), lowers the node to the graph level, verifies, prints and parses the module, interprets what
was parsed and compares. The reference also gives the declared output shapes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.printer import Printer
from xdsl.rewriter import InsertPoint

from semc.compiler.frontend.graph_builder import GraphBuilder
from semc.compiler.frontend.lowering import OnnxNode, lowerings
from semc.compiler.parse import parse_module
from semc.compiler.weights import WeightStore
from semc.dialects import register_dialects
from semc.dialects.attributes import name_location
from semc.dialects.elements import is_narrow
from semc.dialects.types import onnx_type_of, tensor_type
from semc.runtime.execute.narrow_ports import on_narrow_values, widen_ports
from semc.runtime.interpret.interpret import interpret_function

NEWEST = 28
# ONNX Runtime lacks kernels for the newest version of some operators whose older form is the same.
OLDER = (25, 23, 21, 18, 13)


@dataclass(frozen=True, slots=True)
class Lowered:
    """A lowered node: the module as parsed back from its text, and the values it computed."""

    module: ModuleOp
    outputs: list[np.ndarray]
    reference: list[np.ndarray]

    @property
    def ops(self) -> list[str]:
        """Names of the operations without their dialect, constants and func ops left out."""
        (function,) = self.module.body.block.ops
        assert isinstance(function, func.FuncOp)
        names = [op.name.split(".")[1] for op in function.body.block.ops]
        return [name for name in names if name not in ("constant", "return")]


def check_op(
    op_type: str,
    inputs: Mapping[str, np.ndarray | None],
    attrs: Mapping[str, Any] | None = None,
    n_outputs: int = 1,
    constants: Sequence[str] | set[str] = (),
    opset: int = NEWEST,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    also: Sequence[Mapping[str, Any]] = (),
) -> Lowered:
    """Lower ``op_type`` and compare with the reference; AssertionError where they differ.

    ``inputs`` are in the order of the schema, None for an omitted one; those named in ``constants``
    are initialisers. ``also`` has other values of some inputs, for which the same lowered program
    must be right as well. Raises NotLowered when the operator's lowering does.
    """
    inputs = {name: None if x is None else np.asarray(x) for name, x in inputs.items()}
    model = single_node(op_type, inputs, attrs or {}, n_outputs, opset)
    reference = run_reference(model, [x for x in inputs.values() if x is not None])
    module, weights, free = lower_node(model, inputs, reference, constants)
    module.verify()
    parsed = print_and_parse(module)
    (function,) = parsed.body.block.ops
    assert isinstance(function, func.FuncOp)
    outputs = _compared(function, weights, free, reference, rtol, atol)
    for values in also:
        other = {
            name: np.asarray(values.get(name, x)) for name, x in inputs.items() if x is not None
        }
        arguments = [x for name, x in other.items() if name not in constants]
        expected = run_reference(model, list(other.values()))
        _compared(function, weights, arguments, expected, rtol, atol)
    return Lowered(parsed, outputs, reference)


def _compared(
    function: func.FuncOp,
    weights: WeightStore,
    arguments: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    rtol: float,
    atol: float,
) -> list[np.ndarray]:
    """What ``function`` computes, which must be the reference."""
    outputs = interpret_function(function, arguments, weights)
    for i, (came, expected) in enumerate(zip(outputs, reference, strict=True)):
        assert came.shape == expected.shape, f"output {i}: {came.shape}, not {expected.shape}"
        assert came.dtype == expected.dtype, f"output {i}: {came.dtype}, not {expected.dtype}"
        _assert_close(came, expected, rtol, atol, f"output {i}")
    return outputs


def single_node(
    op_type: str,
    inputs: Mapping[str, np.ndarray | None],
    attrs: Mapping[str, Any],
    n_outputs: int,
    opset: int,
) -> onnx.ModelProto:
    """A model of one node whose graph inputs are ``inputs``; outputs are y0, y1, ..."""
    node = helper.make_node(
        op_type,
        [name if x is not None else "" for name, x in inputs.items()],
        [f"y{i}" for i in range(n_outputs)],
        name="node",
    )
    for name, value in attrs.items():
        if isinstance(value, np.ndarray):
            value = numpy_helper.from_array(value)
        schema_type = onnx.defs.get_schema(op_type, opset).attributes[name].type
        node.attribute.append(
            helper.make_attribute(name, value, attr_type=int(getattr(schema_type, "value", 0)))
        )
    declared = [
        helper.make_tensor_value_info(name, onnx_type_of(x.dtype), x.shape)
        for name, x in inputs.items()
        if x is not None
    ]
    outputs = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(n_outputs)]
    graph = helper.make_graph([node], "test", declared, outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run_reference(model: onnx.ModelProto, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The model's outputs by ONNX Runtime, else by the reference evaluator."""
    if all(x.dtype.isbuiltin == 1 or is_narrow(x.dtype) for x in inputs):
        for version in (model.opset_import[0].version, *OLDER):
            outputs = _try_runtime(model, inputs, version)
            if outputs is not None:
                return outputs
    names = [i.name for i in model.graph.input]
    with np.errstate(all="ignore"):
        outputs = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    return [np.asarray(y) for y in outputs]


def _try_runtime(
    model: onnx.ModelProto, inputs: Sequence[np.ndarray], version: int
) -> list[np.ndarray] | None:
    """The outputs by ONNX Runtime; None where it has no kernel at that version of the operators."""
    import onnxruntime

    older = onnx.ModelProto()
    older.CopyFrom(model)
    older.opset_import[0].version = version
    inferred = onnx.shape_inference.infer_shapes(older).graph.output
    for output, found in zip(older.graph.output, inferred, strict=True):
        output.type.CopyFrom(found.type)
    wide = widen_ports(older)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # without optimisations, which fold nodes of constants by other code
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(wide.SerializeToString(), options)
    except Exception:  # ONNX Runtime's exception classes share no documented base
        return None
    names = [i.name for i in session.get_inputs()]
    if any("bfloat16" in y.type for y in session.get_outputs()):
        return None  # computed, but never handed to numpy

    def run(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        return session.run(None, dict(zip(names, values, strict=True)))

    return list(on_narrow_values(older, run)(inputs))


def lower_node(
    model: onnx.ModelProto,
    inputs: Mapping[str, np.ndarray | None],
    reference: Sequence[np.ndarray],
    constants: Sequence[str] | set[str],
) -> tuple[ModuleOp, WeightStore, list[np.ndarray]]:
    """The module of the lowered node, its weights and the arguments of its function."""
    node = model.graph.node[0]
    free = {name: x for name, x in inputs.items() if x is not None and name not in constants}
    types = [tensor_type(x.shape, x.dtype) for x in free.values()]
    block = Block(arg_types=types)
    weights = WeightStore()
    builder = GraphBuilder(weights, InsertPoint.at_end(block), name_location(["node"]))
    values: dict[str, SSAValue | None] = dict(zip(free, block.args, strict=True))
    for name, x in inputs.items():
        if name not in free:
            values[name] = None if x is None else builder.constant(x, name)
    schema = onnx.defs.get_schema(node.op_type, model.opset_import[0].version)
    lowered = lowerings()[node.op_type](
        builder,
        OnnxNode(
            op=node.op_type,
            name="node",
            inputs=tuple(values[name] for name in inputs),
            outputs=tuple((y.shape, y.dtype) for y in reference),
            attrs=plain_attrs(schema, node),
        ),
    )
    results = [lowered] if isinstance(lowered, SSAValue) else list(lowered)
    assert None not in results, "a used output has no value"
    kept: list[SSAValue] = [r for r in results if r is not None]
    block.add_op(func.ReturnOp(*kept))
    function = func.FuncOp("main", (types, [r.type for r in kept]), Region(block))
    return ModuleOp([function]), weights, list(free.values())


def plain_attrs(schema: onnx.defs.OpSchema, node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes as plain values, with the defaults of the schema."""
    attrs = {
        name: helper.get_attribute_value(attr.default_value)
        for name, attr in schema.attributes.items()
        if attr.default_value.name
    }
    attrs |= {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: _plain(value) for name, value in attrs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, (str, int, float)):
        return value
    return [_plain(v) for v in value]


@cache
def context() -> Context:
    """A context that knows every level."""
    ctx = Context()
    register_dialects(ctx)
    return ctx


def print_and_parse(module: ModuleOp) -> ModuleOp:
    """``module`` by way of its text, verified; the second text must equal the first."""
    text = _text(module)
    parsed = parse_module(text, context(), "test.mlir")
    parsed.verify()
    assert _text(parsed) == text
    return parsed


def _text(op: Operation) -> str:
    out = StringIO()
    Printer(out).print_op(op)
    return out.getvalue()


def _assert_close(
    came: np.ndarray, expected: np.ndarray, rtol: float, atol: float, what: str
) -> None:
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(came, expected, what)
        return
    wide = np.promote_types(np.float32, expected.dtype) if expected.dtype.kind == "f" else "f4"
    np.testing.assert_allclose(
        came.astype(wide), expected.astype(wide), rtol, atol, err_msg=what, equal_nan=True
    )
