"""The onnx dialect: a class per schema, verified, printed and parsed back in both forms."""

import io

import numpy as np
import pytest
from onnx import defs
from xdsl.dialects import test
from xdsl.dialects.builtin import IntegerAttr, TensorType, i64
from xdsl.ir import SSAValue
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.dialects.elements import OF_DTYPE
from semc.dialects.onnx import OnnxOp, create_op, onnx_dialect, op_class
from semc.dialects.onnx_op import CAPTURES
from semc.dialects.types import (
    dense_array,
    dense_attr,
    dtype_named,
    dtype_of,
    dtype_of_onnx,
    element_name,
    onnx_type_of,
    shape_of,
    tensor_type,
)
from semc.errors import IRError, ModelError

F32 = tensor_type([2, 3], np.float32)
I64 = tensor_type([2, 3], np.int64)


def value(kind: TensorType) -> SSAValue:
    return test.TestOp(result_types=[kind]).results[0]


def test_a_class_for_every_operator() -> None:
    names = {op.name for op in onnx_dialect().operations}
    current = [schema for schema in defs.get_all_schemas() if not schema.deprecated]
    assert len(names) == len(current) + 2  # and onnx.Subgraph, onnx.yield
    assert {"onnx.Conv", "onnx.Attention", "onnx.ai.onnx.ml.Scaler", "onnx.If"} <= names


def test_classes_are_made_once() -> None:
    assert op_class("Conv") is op_class("Conv")
    with pytest.raises(IRError, match="Frobnicate"):
        op_class("Frobnicate")


def test_operands_by_position_and_by_name() -> None:
    x, high = value(F32), value(tensor_type([], np.float32))
    op = create_op(op_class("Clip"), [x, None, high], [F32], {})
    op.verify()
    assert op.inputs == [x, None, high]
    assert op.input is x  # type: ignore[attr-defined]
    assert op.min is None  # type: ignore[attr-defined]
    assert op.outputs == list(op.results)


def test_attributes_have_the_defaults_of_the_schema() -> None:
    x = value(F32)
    op = create_op(op_class("Gemm"), [x, x], [F32], {"transB": IntegerAttr(1, i64)})
    assert op.attribute("transB") == 1
    assert op.attribute("transA") == 0
    assert op.attribute("alpha") == 1.0
    lstm = op_class("LSTM").SIGNATURE.defaults
    assert lstm["direction"] == "forward"
    assert op.attribute("nothing", 7) == 7


@pytest.mark.parametrize(
    ("op_type", "operands", "result"),
    [
        ("Add", [F32, I64], F32),
        ("Relu", [F32], I64),
        ("Sigmoid", [I64], I64),
        ("Gather", [F32, F32], F32),
        ("Not", [F32], F32),
    ],
)
def test_wrong_element_types(op_type: str, operands: list, result: TensorType) -> None:
    op = create_op(op_class(op_type), [value(kind) for kind in operands], [result], {})
    with pytest.raises(VerifyException):
        op.verify()


def test_a_type_variable_binds_elements_not_shapes() -> None:
    create_op(
        op_class("Add"), [value(F32), value(tensor_type([1], np.float32))], [F32], {}
    ).verify()


def test_wrong_numbers_of_operands_and_results() -> None:
    x = value(F32)
    for inputs, results in (([x, x], [F32]), ([None], [F32]), ([x], [F32, F32])):
        with pytest.raises(IRError, match=r"onnx\.Relu"):
            create_op(op_class("Relu"), inputs, results, {})
    with pytest.raises(IRError, match="variadic"):
        create_op(op_class("Concat"), [x, None], [F32], {})
    with pytest.raises(IRError, match="no captures"):
        create_op(op_class("Relu"), [x], [F32], {}, [x])


def _operators() -> list[type[OnnxOp]]:
    """All classes of the dialect but the terminator of regions."""
    return [cls for cls in onnx_dialect().operations if issubclass(cls, OnnxOp)]


@pytest.mark.parametrize("generic", [False, True])
def test_every_operator_prints_and_parses(generic: bool) -> None:
    """One op of each class with all operands and results, in one text; types are not checked."""
    operands: list[SSAValue] = []
    ops: list[OnnxOp] = []
    for cls in _operators():
        inputs = [value(F32) for name, _ in cls.SIGNATURE.inputs if name != CAPTURES]
        results = [F32] * len(cls.SIGNATURE.outputs)
        operands += inputs
        ops.append(create_op(cls, inputs, results, {}))
    out = io.StringIO()
    printer = Printer(out, print_generic_format=generic)
    for op in [*(operand.owner for operand in operands), *ops]:
        printer.print_op(op)  # type: ignore[arg-type]
        out.write("\n")
    ctx = new_context()
    ctx.load_dialect(test.Test)
    again = parse_module(out.getvalue(), ctx, "text")
    parsed = [op for op in again.body.block.ops if isinstance(op, OnnxOp)]
    assert [op.name for op in parsed] == [op.name for op in ops]
    for one, other in zip(ops, parsed, strict=True):
        assert one.properties == other.properties
        assert len(one.results) == len(other.results)


def test_element_types_go_round() -> None:
    for dtype in OF_DTYPE:
        assert dtype_named(element_name(dtype)) == dtype
        assert dtype_of_onnx(onnx_type_of(dtype)) == dtype
        kind = tensor_type((2, 0), dtype)
        assert dtype_of(kind) == dtype
        assert shape_of(kind) == (2, 0)
        assert tensor_type([2, 0], dtype) is kind
        array = np.array([[1, 2], [1, -1]], np.float32).astype(dtype)
        found = dense_array(dense_attr(array))
        assert found.dtype == dtype
        assert found.tobytes() == array.tobytes()
    assert dense_array(dense_attr(np.array(True))).shape == ()


def test_foreign_element_types_are_named() -> None:
    with pytest.raises(ModelError, match=r"q: tensor elements must be .* not complex64"):
        dtype_of_onnx(14, "q")
    with pytest.raises(ModelError, match="complex128"):
        tensor_type([1], np.complex128)
    with pytest.raises(ModelError, match="type 999"):
        dtype_of_onnx(999)
