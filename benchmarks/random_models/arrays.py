"""Shapes, element types and data of random tensors."""

from collections.abc import Sequence

import ml_dtypes
import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
FLOAT32 = np.dtype(np.float32)
FLOATS = (FLOAT32, np.dtype("f8"), np.dtype("f2"), BFLOAT16)
SIGNED = tuple(np.dtype(t) for t in ("i8", "i4", "i1", "i2"))
UNSIGNED = tuple(np.dtype(t) for t in ("u1", "u8", "u4", "u2"))
INTS = SIGNED + UNSIGNED
BOOL = np.dtype(np.bool_)
ALL = (*FLOATS, *INTS, BOOL)
MOVED = (FLOAT32, np.dtype("i8"), BOOL, np.dtype("f8"), np.dtype("i4"), np.dtype("u1"),
         np.dtype("f2"), np.dtype("i1"))  # fmt: skip

#: How the elements of a float tensor are drawn: whole numbers keep sums exact.
KINDS = ("whole", "normal", "quarters", "positive")


def dtypes_of(op_type: str, opset: int, position: int = 0) -> list[np.dtype]:
    """Element types that the operator's schema takes for an operand, of those in ALL."""
    schema = onnx.defs.get_schema(op_type, opset)
    formal = schema.inputs[min(position, len(schema.inputs) - 1)]
    constraint = next(
        (c for c in schema.type_constraints if c.type_param_str == formal.type_str), None
    )
    names = set(constraint.allowed_type_strs if constraint else [formal.type_str])
    return [t for t in ALL if _type_name(t) in names]


def _type_name(dtype: np.dtype) -> str:
    element = onnx.TensorProto.DataType.Name(helper.np_dtype_to_tensor_dtype(dtype)).lower()
    return f"tensor({element})"


def shapes(
    min_rank: int = 0, max_rank: int = 4, *, largest: int = 6, empty: bool = False
) -> st.SearchStrategy[tuple[int, ...]]:
    """Small shapes, size 1 often; a dimension of size 0 where ``empty``."""
    sizes = [2, 3, 1, 4, 5, 1, 6, 7, 8][: largest + 2]
    dim = st.sampled_from([*sizes, 0] if empty else sizes)
    return st.lists(dim, min_size=min_rank, max_size=max_rank).map(tuple)


def make_array(
    shape: Sequence[int], dtype: np.dtype, kind: str, seed: int, *, special: bool = False
) -> np.ndarray:
    """Data from a seed; ``special`` puts in some NaN, infinities, -0.0, or extreme integers."""
    rng = np.random.default_rng(seed)
    shape = tuple(shape)
    if dtype == BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in INTS:
        info = np.iinfo(dtype)
        low = 0 if dtype.kind == "u" or kind == "positive" else -5
        array = rng.integers(low, 8, shape).astype(dtype)
        extremes = np.array([info.min, info.max, info.max - 1, 0], dtype)
    else:
        drawn = {
            "whole": lambda: rng.integers(-4, 5, shape).astype(np.float64),
            "quarters": lambda: rng.integers(-12, 13, shape) / 4,
            "positive": lambda: rng.uniform(0.5, 2.0, shape),
            "normal": lambda: rng.standard_normal(shape),
        }
        array = np.asarray(drawn[kind]()).astype(dtype)
        tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
        extremes = np.array([np.nan, np.inf, -np.inf, -0.0, tiny, 2.5]).astype(dtype)
    if special and array.size:
        chosen = rng.random(shape) < 0.3
        array = np.where(chosen, rng.choice(extremes, shape), array).astype(dtype)
    return array
