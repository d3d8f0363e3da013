"""Operators of ai.onnx.ml on numbers: scaling, linear models and label tables."""

from collections.abc import Sequence

import numpy as np

from ..body_writer import BodyWriter, opens

ML = "ai.onnx.ml"
F32 = np.dtype(np.float32)


@opens(ML, "ArrayFeatureExtractor")
def array_feature_extractor(w: BodyWriter) -> str:
    """Columns by their numbers; of a vector a matrix of one row."""
    x, indices = w.required(0), w.required(1)
    count = int(np.prod(w.shape(indices)))
    lead = w.shape(x)[:-1] or (1,)
    picked = w.op("Gather", x, w.op("Reshape", indices, w.ints(count)), axis=-1)
    return w.op("Reshape", picked, w.ints(*lead, count))


@opens(ML, "Binarizer")
def binarizer(w: BodyWriter) -> str:
    x = w.required(0)
    above = w.op("Greater", x, w.like(float(w.attr("threshold", 0.0)), x))
    return w.cast(above, w.dtype(x))


@opens(ML, "Scaler")
def scaler(w: BodyWriter) -> str:
    """``(x - offset) * scale``, of one value or of one a feature."""
    x = w.cast(w.required(0), F32)
    moved = w.op("Sub", x, w.constant(w.attr("offset", [0.0]), F32))
    return w.op("Mul", moved, w.constant(w.attr("scale", [1.0]), F32))


@opens(ML, "Normalizer")
def normalizer(w: BodyWriter) -> str:
    """Rows divided by their largest element, 1-norm or 2-norm, as ONNX Runtime has them."""
    x = w.cast(w.required(0), F32)
    axes = w.ints(-1)
    match w.attr("norm", "MAX"):
        case "MAX":
            size = w.op("ReduceMax", x, axes)
        case "L1":
            size = w.op("ReduceL1", x, axes)
        case "L2":
            size = w.op("ReduceL2", x, axes)
        case norm:
            raise w.refuse(f"the norm {norm}")
    zero = w.op("Equal", size, w.constant(np.float32(0)))
    return w.op("Div", x, w.op("Where", zero, w.constant(np.float32(1)), size))


@opens(ML, "LinearRegressor")
def linear_regressor(w: BodyWriter) -> str:
    return transformed(w, linear_scores(w, int(w.attr("targets", 1))))


@opens(ML, "LinearClassifier")
def linear_classifier(w: BodyWriter) -> Sequence[str]:
    """The label of the largest score, and the scores, for one row of coefficients a class."""
    labels = w.attr("classlabels_ints", [])
    features = w.shape(w.required(0))[-1]
    if len(labels) < 3 or len(w.attr("coefficients", [])) != features * len(labels):
        raise w.refuse("labels that are strings, or two classes by one score")
    scores = linear_scores(w, len(labels))
    return [labelled(w, scores, labels), transformed(w, scores)]


def linear_scores(w: BodyWriter, rows: int) -> str:
    """x [N, features] times ``coefficients`` [rows, features] plus ``intercepts``: [N, rows]."""
    x = w.cast(w.required(0), F32)
    matrix = np.array(w.attr("coefficients", []), F32).reshape(rows, -1)
    if len(w.shape(w.required(0))) == 1:
        x = w.op("Unsqueeze", x, w.ints(0))
    bias = w.attr("intercepts", None)
    return w.op("Gemm", x, w.constant(matrix.T), None if bias is None else w.constant(bias, F32))


def labelled(w: BodyWriter, scores: str, labels: Sequence[int]) -> str:
    """The label [N] of each row's largest score."""
    best = w.op("ArgMax", scores, axis=1, keepdims=0)
    return w.op("Gather", w.constant(labels, np.int64), best)


def transformed(w: BodyWriter, scores: str) -> str:
    """``scores`` [N, classes] after the attribute ``post_transform``."""
    match w.attr("post_transform", "NONE"):
        case "NONE" | 0:
            return scores
        case "SOFTMAX" | 1:
            return w.op("Softmax", scores, axis=1)
        case "LOGISTIC" | 2:
            return w.op("Sigmoid", scores)
        case kind:
            raise w.refuse(f"the post_transform {kind}")


@opens(ML, "LabelEncoder")
def label_encoder(w: BodyWriter) -> str:
    """A table of numbers: where x equals a key its value, else the default; NaN finds a NaN key."""
    x = w.required(0)
    keys, values = (_table(w, side) for side in ("keys", "values"))
    if keys.dtype != w.dtype(x):
        raise w.refuse(f"keys of {keys.dtype} for {w.dtype(x)}")
    default = _default(w, values.dtype)
    rank = len(w.shape(x))
    # the last of equal keys wins, as in a dictionary
    keys, values = keys[::-1], values[::-1]
    column = w.op("Unsqueeze", x, w.ints(rank))
    found = w.op("Equal", column, w.constant(keys))
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        missing = w.op("And", w.op("IsNaN", column), w.constant(np.isnan(keys)))
        found = w.op("Or", found, missing)
    hits = w.cast(found, np.int32)
    picked = w.op("Gather", w.constant(values), w.op("ArgMax", hits, axis=rank, keepdims=0))
    known = w.op("ReduceMax", hits, w.ints(rank), keepdims=0)
    return w.op("Where", w.cast(known, np.bool_), picked, w.constant(default))


_TABLES = {"floats": np.float32, "int64s": np.int64}


def _table(w: BodyWriter, side: str) -> np.ndarray:
    from onnx import numpy_helper

    for kind, dtype in _TABLES.items():
        if w.attr(f"{side}_{kind}", None):
            return np.array(w.attr(f"{side}_{kind}", None), dtype)
    tensor = w.attr(f"{side}_tensor", None)
    table = None if tensor is None else numpy_helper.to_array(tensor).reshape(-1)
    if table is None or table.dtype.kind not in "fiu":
        raise w.refuse(f"{side} that are no numbers")
    return table


def _default(w: BodyWriter, dtype: np.dtype) -> np.ndarray:
    from onnx import numpy_helper

    tensor = w.attr("default_tensor", None)
    if tensor is not None:
        return numpy_helper.to_array(tensor).reshape(()).astype(dtype)
    if dtype.kind == "f":
        return np.array(w.attr("default_float", -0.0), dtype)
    return np.array(w.attr("default_int64", -1), dtype)
