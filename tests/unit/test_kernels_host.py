"""The host processor: single-node models by ONNX Runtime or the reference evaluator."""

import ml_dtypes
import numpy as np
import pytest

from semc.dialects.records import RECORD, to_record
from semc.errors import ProgramError
from semc.runtime.execute import host
from semc.runtime.execute.host import run_host


def test_runs_a_node_with_several_outputs(model):
    x = np.array([3, 1, 2, 1], np.float32)
    data = model("Unique", [x], out_dtypes=(np.float32, np.int64, np.int64, np.int64))
    values, first, inverse, counts = run_host(data, [x])
    np.testing.assert_array_equal(values, [1, 2, 3])
    np.testing.assert_array_equal(first, [1, 2, 0])
    np.testing.assert_array_equal(inverse, [2, 0, 1, 0])
    np.testing.assert_array_equal(counts, [2, 1, 1])


def test_takes_scalars_and_arrays_in_any_order_of_memory(model):
    x = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    k = np.array(2, np.int64)
    (out,) = run_host(model("Trilu", [x, k]), [x, k])
    np.testing.assert_array_equal(out, np.triu(x, 2))


def test_a_type_without_a_kernel_goes_to_the_reference_evaluator(model):
    x = np.array([1, -2], ml_dtypes.bfloat16)
    (out,) = run_host(model("Abs", [x]), [x])
    assert out.dtype == x.dtype
    np.testing.assert_array_equal(out, np.abs(x))


def test_sessions_are_kept_by_digest(model):
    host._prepare.cache_clear()
    x = np.ones(2, np.float32)
    for _ in range(3):
        run_host(model("Relu", [x]), [x])
    assert host._prepare.cache_info().misses == 1


def test_a_failing_node_is_named(model):
    x, shape = np.ones(3, np.float32), np.array([2, 2], np.int64)
    with pytest.raises(ProgramError, match=r"node \(Reshape\)"):
        run_host(model("Reshape", [x, shape]), [x, shape])
    with pytest.raises(ProgramError, match=r"node \(NoSuchOp\): neither runtime"):
        run_host(model("NoSuchOp", [x]), [x])
    with pytest.raises(ProgramError, match="needs 1 inputs, not 2"):
        run_host(model("Relu", [x]), [x, x])


def test_only_a_model_with_its_own_data_is_run(model):
    import onnx

    with pytest.raises(ProgramError, match="must hold an ONNX model"):
        run_host(b"\xff\xff\xff", [])
    with pytest.raises(ProgramError, match="must hold a node"):
        run_host(b"", [])
    x = np.ones(3, np.float32)
    constant = onnx.load_model_from_string(model("Relu", [x]))
    tensor = onnx.TensorProto(name="secret", dims=[3], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="elsewhere.bin")
    constant.graph.initializer.append(tensor)
    with pytest.raises(ProgramError, match="not name a file"):
        run_host(constant.SerializeToString(), [x])
    branch = onnx.helper.make_graph([], "inner", [], [], [tensor])
    constant.graph.ClearField("initializer")
    constant.graph.node[0].attribute.append(onnx.helper.make_attribute("body", branch))
    with pytest.raises(ProgramError, match="not name a file"):
        run_host(constant.SerializeToString(), [x])


def test_runs_several_nodes(model):
    import onnx

    x = np.array([-1, 4], np.float32)
    proto = onnx.load_model_from_string(model("Relu", [x]))
    proto.graph.node[0].output[0] = "inner"
    proto.graph.node.append(onnx.helper.make_node("Sqrt", ["inner"], ["y0"]))
    (out,) = run_host(proto.SerializeToString(), [x])
    np.testing.assert_array_equal(out, [0, 2])


def test_records_become_the_type_that_the_model_declares(model):
    import onnx

    text = np.array(["one", "two"], object)
    proto = onnx.load_model_from_string(model("Identity", [np.zeros(2)]))
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    proto.graph.input[0].doc_string = proto.graph.output[0].doc_string = RECORD
    proto.graph.output[0].type.CopyFrom(proto.graph.input[0].type)
    record = to_record(text, proto.graph.input[0].type)
    (out,) = run_host(proto.SerializeToString(), [record])
    np.testing.assert_array_equal(out, record)
    with pytest.raises(ProgramError, match="must be uint8"):
        run_host(proto.SerializeToString(), [np.zeros(3, np.float32)])


def test_onnx_runtime_takes_narrow_elements_as_float32(model):
    """Told by the rounding: the reference evaluator truncates."""
    import onnx

    x = np.array([1.5, np.nan, -np.inf, 3], ml_dtypes.float8_e5m2)
    proto = onnx.load_model_from_string(model("Identity", [x]))
    proto.graph.output[0].type.CopyFrom(proto.graph.input[0].type)
    (out,) = run_host(proto.SerializeToString(), [x])
    np.testing.assert_array_equal(out.view(np.uint8), x.view(np.uint8))
    y = np.array([1.5, -2.6], np.float32)
    proto = onnx.load_model_from_string(model("Cast", [y], to=onnx.TensorProto.INT4, opset=21))
    info = onnx.helper.make_tensor_value_info("y0", onnx.TensorProto.INT4, [2])
    proto.graph.output[0].CopyFrom(info)
    (out,) = run_host(proto.SerializeToString(), [y])
    np.testing.assert_array_equal(out, np.array([2, -3], ml_dtypes.int4))


def test_a_form_for_an_older_set_is_used_where_it_means_the_same():
    from onnx import TensorProto, helper

    from semc.runtime.execute.older_opset import older_models

    def made(op, **attributes):
        info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])
        node = helper.make_node(op, ["x"], ["y"], **attributes)
        graph = helper.make_graph([node], "g", [info], [helper.make_empty_tensor_value_info("y")])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)])

    sets = [m.opset_import[0].version for m in older_models(made("Optional"))]
    assert sets == list(range(27, 14, -1))  # since 28 it takes more types
    softmax = [m.opset_import[0].version for m in older_models(made("Softmax"))]
    assert softmax[-1] == 13  # before, it meant the softmax of a flattened matrix
