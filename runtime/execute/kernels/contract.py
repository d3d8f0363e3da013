"""``contract``: matrix products with broadcast batch axes."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ....dialects.elements import is_float
from ....errors import ProgramError
from .dtypes import accumulator


def contract(
    attrs: Mapping[str, Any], inputs: Sequence[np.ndarray], shape: tuple[int, ...], dtype: np.dtype
) -> np.ndarray:
    """``a [..,M,K] @ b [..,K,N]``; 16-bit floats accumulate in float32, integers wrap.

    Raises ProgramError for operands that are no matrices or do not fit each other or ``shape``.
    """
    a, b = inputs
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ProgramError(f"a contraction needs [..,M,K] and [..,K,N], not {a.shape}, {b.shape}")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    if (*batch, a.shape[-2], b.shape[-1]) != shape:
        raise ProgramError(f"{a.shape} by {b.shape} must give the declared shape, not {shape}")
    out = np.empty(shape, dtype)
    work = _work_type(a, b, dtype)
    a, b = a.astype(work, copy=False), b.astype(work, copy=False)
    if prod(b.shape[:-2]) == 1 and len(batch) >= 1 and a.shape[:-2] == batch:
        # one large product instead of one small product for each batch entry
        rows = prod(a.shape[:-1])
        a, b = a.reshape(rows, a.shape[-1]), b.reshape(b.shape[-2:])
        target = out.reshape(rows, shape[-1])
    else:
        target = out
    if work == dtype:
        np.matmul(a, b, out=target)
        return out
    product = np.matmul(a, b)
    if is_float(work) and not is_float(dtype):
        product = product.astype(np.int64)  # exact whole numbers, which then wrap as integers do
    np.copyto(target, product, casting="unsafe")
    return out


def _work_type(a: np.ndarray, b: np.ndarray, dtype: np.dtype) -> np.dtype:
    """The type to multiply in. numpy has no fast integer product, floats have: use them if exact.

    Every partial sum of products is a whole number below ``K max|a| max|b|``; float32 holds these
    exactly up to 2**24, float64 up to 2**53, in any order of summation.
    """
    if is_float(dtype):
        return accumulator(dtype)
    if dtype.kind == "b" or a.size == 0 or b.size == 0:
        return dtype
    bound = a.shape[-1] * _magnitude(a) * _magnitude(b)
    if bound < 2**24:
        return np.dtype(np.float32)
    return np.dtype(np.float64) if bound < 2**53 else dtype


def _magnitude(x: np.ndarray) -> int:
    return max(abs(int(x.min())), abs(int(x.max())))
