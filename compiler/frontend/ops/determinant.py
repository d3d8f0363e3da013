"""Det: Gaussian elimination with partial pivoting, one column after another.

Each step takes the row with the largest first element as pivot, puts the first row in its place,
and leaves the rest with one row and column less:

    det [n, n]  =  pivot * sign * det [n-1, n-1],  rest_ij - rest_i0 / pivot * pivot_row_j
"""

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers

MAX_SIZE = 32  # columns written out


@lowers("Det")
def lower_det(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    x = node.required(0)
    *lead, n, _ = shape_of(x)
    if not 1 <= n <= MAX_SIZE:
        raise NotLowered(f"Det of matrices of {n} rows")
    wide = x if dtype_of(x).itemsize > 2 else b.cast(x, np.dtype(np.float32))
    rest = b.reshape(wide, (prod(lead), n, n))
    factors = []
    for _ in range(n - 1):
        factor, rest = _eliminate(b, rest)
        factors.append(factor)
    factors.append(rest)
    body = b.body(*factors)
    product = 0
    for i in range(1, len(factors)):
        product = body.mul(product, i)
    total = b.map(factors, body.finish(product)) if len(factors) > 1 else rest
    return b.cast(b.reshape(total, node.out_shape), dtype_of(x))


def _eliminate(b: GraphBuilder, x: SSAValue) -> tuple[SSAValue, SSAValue]:
    """x [B, n, n] -> the signed pivot [B, 1, 1] and what is left [B, n-1, n-1]."""
    batch, n, _ = shape_of(x)
    sizes = b.unary("absf", b.slice_axis(x, 2, 0, 1))
    chosen = b.reduce(sizes, "argmax", [1], keepdims=True)  # [B, 1, 1]
    pivots = b.gather(x, b.expand(chosen, (batch, 1, n)), mode="elements", axis=1)
    pivot = b.slice_axis(pivots, 2, 0, 1)
    body = b.body(pivot, chosen)
    moved = body.cmp("ne", 1, body.const(0, "i64"))
    factor = b.map([pivot, chosen], body.finish(body.select(moved, body.unary("negf", 0), 0)))
    rows = b.constant(np.arange(1, n).reshape(1, n - 1, 1), "rows")
    ins = [rows, chosen, b.slice_axis(x, 1, 0, 1), b.slice_axis(x, 1, 1, n - 1)]
    body = b.body(*ins)
    placed = b.map(ins, body.finish(body.select(body.cmp("eq", 0, 1), 2, 3)))
    lead = b.slice_axis(placed, 2, 0, 1)
    ins = [b.slice_axis(v, 2, 1, n - 1) for v in (placed, pivots)] + [lead, pivot]
    body = b.body(*ins)
    zero = body.const(0.0, body.types[0])
    # a pivot of zero is a column of zeros: nothing to eliminate, and the product is zero
    share = body.select(body.cmp("oeq", 3, zero), zero, body.binary("divf", 2, 3))
    return factor, b.map(ins, body.finish(body.sub(0, body.mul(share, 1))))
