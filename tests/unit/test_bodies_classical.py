"""Operators of ai.onnx.ml and of training against ONNX Runtime and the reference evaluator."""

from typing import Any

import numpy as np
import onnx
import pytest

from semc.compiler.frontend.load import load_model

from .body_harness import check_foreign, foreign_model
from .onnx_models import info

ML, TRAINING = "ai.onnx.ml", "ai.onnx.preview.training"
F32, I64 = np.float32, np.int64
rng = np.random.default_rng(7)


def floats(*shape: int, dtype: Any = F32) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def tensor(values: Any, dtype: Any) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array(values, dtype))


def check(op: str, inputs: dict[str, Any], attrs: dict[str, Any], *kinds: Any, version: int = 3):
    return check_foreign(op, inputs, attrs, kinds or (F32,), domain=ML, version=version)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_columns(shape: tuple[int, ...]) -> None:
    inputs = {"x": floats(*shape), "i": np.array([[3, 0, 3]])}
    check("ArrayFeatureExtractor", inputs, {})


def test_threshold() -> None:
    check("Binarizer", {"x": floats(3, 4)}, {"threshold": 0.2})


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("dtype", [F32, I64])
def test_scaler(n: int, dtype: Any) -> None:
    attrs = {"offset": [0.5] * n, "scale": [2.0] * n}
    check("Scaler", {"x": (floats(3, 4) * 9).astype(dtype)}, attrs)


@pytest.mark.parametrize("norm", ["MAX", "L1", "L2"])
def test_normalizer(norm: str) -> None:
    x = floats(4, 5)
    x[2] = 0
    check("Normalizer", {"x": x}, {"norm": norm})


def test_linear_models() -> None:
    x = {"x": floats(4, 5)}
    weights = floats(15).tolist()
    attrs = {"coefficients": weights, "intercepts": [0.1, 0.2, -0.3]}
    done = check("LinearRegressor", x, {**attrs, "targets": 3})
    assert "linear" in done.ops
    for kind in ("NONE", "SOFTMAX", "LOGISTIC"):
        labels = {"classlabels_ints": [7, 3, 9], "post_transform": kind}
        check("LinearClassifier", x, {**attrs, **labels}, I64, F32)


@pytest.mark.parametrize(
    ("x", "attrs", "kind"),
    [
        (np.array([[1, 5], [3, 8]]), {"keys_int64s": [5, 1], "values_floats": [0.5, 2.0]}, F32),
        (np.array([1.5, np.nan, 4], F32), {"keys_floats": [1.5], "values_int64s": [4]}, I64),
        (
            np.array([1.5, np.nan, 4], F32),
            {
                "keys_floats": [float("nan"), 4.0],
                "values_floats": [1.0, 2.0],
                "default_float": -3.5,
            },
            F32,
        ),
    ],
)
def test_labels(x: np.ndarray, attrs: dict[str, Any], kind: Any) -> None:
    check("LabelEncoder", {"x": x}, attrs, kind, version=4)


def test_labels_as_tensors() -> None:
    attrs = {
        "keys_tensor": tensor([1, 2, 3], I64),
        "values_tensor": tensor([0.5, 1.5, 2.5], np.float64),
        "default_tensor": tensor([9], np.float64),
    }
    check("LabelEncoder", {"x": np.array([[3, 1], [0, 2]])}, attrs, np.float64, version=4)


def regressor(mode: str = "BRANCH_LEQ") -> dict[str, Any]:
    """Two trees: one of depth two, one of a single split; two targets."""
    return {
        "n_targets": 2,
        "nodes_treeids": [0, 0, 0, 0, 0, 1, 1, 1],
        "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
        "nodes_featureids": [0, 2, 0, 0, 0, 1, 0, 0],
        "nodes_values": [0.1, -0.2, 0, 0, 0, 0.3, 0, 0],
        "nodes_modes": [mode, mode, "LEAF", "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0, 0, 0, 0],
        "target_treeids": [0, 0, 0, 0, 1, 1],
        "target_nodeids": [2, 3, 4, 4, 1, 2],
        "target_ids": [0, 1, 0, 1, 0, 1],
        "target_weights": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
    }


@pytest.mark.parametrize("mode", ["LEQ", "LT", "GTE", "GT", "EQ", "NEQ"])
def test_regression_trees(mode: str) -> None:
    x = floats(20, 3)
    x[3, 0] = 0.1
    x[4] = np.nan
    attrs = {**regressor(f"BRANCH_{mode}"), "base_values": [0.5, -0.5]}
    done = check("TreeEnsembleRegressor", {"x": x}, attrs)
    assert len(np.unique(done.outputs[0])) > 3


@pytest.mark.parametrize(
    "broken",
    [
        {"nodes_truenodeids": [1, 1, 0, 0, 0, 1, 0, 0]},  # a cycle
        {"nodes_truenodeids": [9, 3, 0, 0, 0, 1, 0, 0]},  # a node that is not there
        {"nodes_featureids": [0, 2]},  # a short list
        {"target_ids": [0, 1, 0, 1, 0, 7]},  # a target that is not there
    ],
)
def test_trees_that_do_not_hold_together_are_not_opened(broken: dict[str, Any]) -> None:
    attrs = {**regressor(), **broken}
    made = foreign_model("TreeEnsembleRegressor", {"x": floats(2, 3)}, attrs, [F32], [], ML, 3)
    made.graph.output[0].CopyFrom(info("y0", [2, 2]))
    assert [node.op_type for node in load_model(made).nodes] == ["TreeEnsembleRegressor"]


@pytest.mark.parametrize("join", ["AVERAGE", "SUM", "MIN", "MAX"])
def test_trees_are_joined(join: str) -> None:
    attrs = {**regressor(), "aggregate_function": join, "n_targets": 1, "target_ids": [0] * 6}
    kept = [0, 1, 2, 4, 5]  # one value a leaf
    for name in ("treeids", "nodeids", "ids", "weights"):
        attrs[f"target_{name}"] = [attrs[f"target_{name}"][i] for i in kept]
    check("TreeEnsembleRegressor", {"x": floats(20, 3)}, attrs)


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
def test_classification_trees(transform: str) -> None:
    attrs = {k.replace("target_", "class_"): v for k, v in regressor().items() if k != "n_targets"}
    attrs |= {"class_ids": [0, 1, 2, 1, 0, 2], "classlabels_int64s": [4, 8, 6]}
    attrs["post_transform"] = transform
    check("TreeEnsembleClassifier", {"x": floats(20, 3)}, attrs, I64, F32)


@pytest.mark.parametrize("dtype", [F32, np.float64])
@pytest.mark.parametrize("join", [0, 1, 2, 3])
def test_trees_of_today(dtype: Any, join: int) -> None:
    attrs = {
        "n_targets": 2,
        "aggregate_function": join,
        "tree_roots": [0, 2],
        "nodes_splits": tensor([0.1, -0.2, 0.3], dtype),
        "nodes_featureids": [0, 2, 1],
        "nodes_modes": tensor([0, 0, 0], np.uint8),
        "nodes_truenodeids": [1, 0, 3],
        "nodes_trueleafs": [0, 1, 1],
        "nodes_falsenodeids": [2, 1, 4],
        "nodes_falseleafs": [1, 1, 1],
        "leaf_targetids": [0, 1, 0, 0, 1],
        "leaf_weights": tensor([1, 2, 3, 4, 5], dtype),
    }
    check("TreeEnsemble", {"x": floats(20, 3, dtype=dtype)}, attrs, dtype, version=5)


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    ("op", "states", "attrs"),
    [
        ("Adagrad", 1, {"decay_factor": 0.1, "epsilon": 1e-3, "norm_coefficient": 0.02}),
        ("Adam", 2, {"alpha": 0.9, "beta": 0.99, "epsilon": 1e-3, "norm_coefficient": 0.02}),
        ("Adam", 2, {"alpha": 0.9, "beta": 0.99, "epsilon": 1e-3, "norm_coefficient_post": 0.1}),
        ("Momentum", 1, {"alpha": 0.9, "beta": 0.5, "mode": "standard", "norm_coefficient": 0.1}),
        ("Momentum", 1, {"alpha": 0.9, "beta": 0.5, "mode": "nesterov", "norm_coefficient": 0.1}),
    ],
)
def test_optimisers(op: str, states: int, attrs: dict[str, Any], count: int, step: int) -> None:
    inputs: dict[str, Any] = {"rate": np.array(0.1, F32), "step": np.array(step)}
    for kind in range(2 + states):
        for i in range(count):
            inputs[f"x{kind}_{i}"] = abs(floats(2, 3 + i))
    defaults = {"norm_coefficient": 0.0}
    if op == "Adam":
        defaults["norm_coefficient_post"] = 0.0
    outputs = [F32] * count * (1 + states)
    check_foreign(op, inputs, {**defaults, **attrs}, outputs, domain=TRAINING)
