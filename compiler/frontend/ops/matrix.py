"""Products of matrices: constant operands become stationary weights, computed pairs contract."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..derive_constants import cast, derive, reshaped, swapped
from ..einsum import contract_labels, parse_equation
from ..exact_products import (
    add_parts,
    centred,
    combined_scale,
    exact_parts,
    is_byte,
    requantize,
)
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from ..matrix_product import is_float, multiply
from .scalar_formulas import finish, number


@lowers("MatMul")
def lower_matmul(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """numpy.matmul, vectors included."""
    x, y = node.required(0), node.required(1)
    if len(shape_of(x)) == 1:
        x = reshaped(b, x, (1, *shape_of(x)))
    if len(shape_of(y)) == 1:
        y = reshaped(b, y, (*shape_of(y), 1))
    return b.reshape(multiply(b, x, y), node.out_shape)


@lowers("Gemm")
def lower_gemm(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """``alpha * A' B' + beta * C``; alpha goes into a constant factor, a row C into the bias."""
    x, y, c = node.required(0), node.required(1), node.input(2)
    alpha, beta = float(node.attrs["alpha"]), float(node.attrs["beta"])
    if not is_float(x):
        _need_whole_factors(alpha, beta)
    x = swapped(b, x) if node.attrs["transA"] else x
    y = swapped(b, y) if node.attrs["transB"] else y
    if is_float(x) and (b.is_constant(x) or b.is_constant(y)):
        if b.is_constant(y):
            y, alpha = _scaled(b, y, alpha), 1.0
        else:
            x, alpha = _scaled(b, x, alpha), 1.0
    if beta == 0:
        c = None
    n = node.out_shape[1]
    row = c is not None and b.is_constant(c) and shape_of(c) in ((), (1,), (n,), (1, 1), (1, n))
    if c is not None and row and b.is_constant(y) and is_float(x):
        return b.linear(x, y, _bias_row(b, c, beta, n))
    return _combine(b, multiply(b, x, y), alpha, c, beta)


def _need_whole_factors(alpha: float, beta: float) -> None:
    if not (alpha.is_integer() and beta.is_integer()):
        raise NotLowered("an integer Gemm with fractional alpha or beta")


def _scaled(b: GraphBuilder, w: SSAValue, alpha: float) -> SSAValue:
    if alpha == 1:
        return w
    dtype = dtype_of(w)
    return derive(b, [w], shape_of(w), lambda a: a * dtype.type(alpha), "scaled")


def _bias_row(b: GraphBuilder, c: SSAValue, beta: float, n: int) -> SSAValue:
    if beta == 1 and shape_of(c) == (n,):
        return c
    factor = dtype_of(c).type(beta)
    return derive(b, [c], (n,), lambda a: np.broadcast_to((a * factor).reshape(-1), (n,)), "bias")


def _combine(
    b: GraphBuilder, product: SSAValue, alpha: float, c: SSAValue | None, beta: float
) -> SSAValue:
    """``alpha * product + beta * c`` as one map; ``product`` itself when nothing is to do."""
    if c is None and alpha == 1:
        return product
    ins = [product] if c is None else [product, c]
    body = b.body(*ins)
    registers = [body.signless(i) for i in range(len(ins))]
    terms = [
        x if factor == 1 else body.mul(x, number(body, factor, x))
        for x, factor in zip(registers, (alpha, beta), strict=False)
    ]
    return b.map(ins, finish(body, reduce(body.add, terms), dtype_of(product)))


@lowers("MatMulInteger")
def lower_matmul_integer(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Products of 8-bit integers less their zero points, as int32."""
    x, y = _matrices(b, node.required(0), node.required(1))
    acc = _integer_product(b, x, y, node.input(2), node.input(3))
    return b.reshape(acc, node.out_shape)


@lowers("QLinearMatMul")
def lower_qlinear_matmul(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """An integer product, scaled back to 8 bits."""
    x, y = _matrices(b, node.required(0), node.required(3))
    x_scale, y_scale, out_scale = node.required(1), node.required(4), node.required(6)
    zero = node.required(7)
    if not is_byte(x) or not is_byte(y):
        raise NotLowered("QLinearMatMul on other types than 8-bit integers")
    if len(shape_of(out_scale)) > 1 or prod(shape_of(out_scale)) != 1:
        raise NotLowered("QLinearMatMul with an output scale for each row")
    shapes = [
        _by_row(shape_of(x_scale), shape_of(x)),
        _by_column(shape_of(y_scale), shape_of(y)),
        (1,),
    ]
    scale = combined_scale(b, x_scale, y_scale, out_scale, shapes)
    acc = _integer_product(b, x, y, node.required(2), node.required(5))
    return b.reshape(requantize(b, acc, scale, zero, node.out_dtype), node.out_shape)


def _matrices(b: GraphBuilder, x: SSAValue, y: SSAValue) -> tuple[SSAValue, SSAValue]:
    if len(shape_of(x)) == 1:
        x = reshaped(b, x, (1, *shape_of(x)))
    if len(shape_of(y)) == 1:
        y = reshaped(b, y, (*shape_of(y), 1))
    return x, y


def _by_row(given: Sequence[int], x: Sequence[int]) -> tuple[int, ...]:
    """The shape in which a scale or zero point of x [.., M, K] broadcasts to it."""
    if prod(given) == 1:
        return (1,)
    return (given[0], 1) if len(given) == 1 else tuple(given)


def _by_column(given: Sequence[int], y: Sequence[int]) -> tuple[int, ...]:
    """The same for y [.., K, N]."""
    return (1,) if prod(given) == 1 else tuple(given)


def _integer_product(
    b: GraphBuilder,
    x: SSAValue,
    y: SSAValue,
    x_zero: SSAValue | None,
    y_zero: SSAValue | None,
) -> SSAValue:
    x_shape = None if x_zero is None else _by_row(shape_of(x_zero), shape_of(x))
    y_shape = None if y_zero is None else _by_column(shape_of(y_zero), shape_of(y))
    left, right = centred(b, x, x_zero, x_shape), centred(b, y, y_zero, y_shape)
    if b.is_constant(right) and len(shape_of(right)) == 2:
        return _times_integer_weight(b, left, right)
    if b.is_constant(left) and len(shape_of(left)) == 2:
        flipped = _times_integer_weight(b, swapped(b, right), swapped(b, left))
        return swapped(b, flipped)
    i32 = np.dtype(np.int32)
    return b.contract(cast(b, left, i32), cast(b, right, i32))


def _times_integer_weight(b: GraphBuilder, x: SSAValue, w: SSAValue) -> SSAValue:
    """x [.., K] of whole float32 numbers times constant w [K, N] of such, as int32."""
    k, n = shape_of(w)
    parts = exact_parts(b, w, k, lambda a: np.abs(a).T)
    if len(parts) == 1:
        return add_parts(b, [b.linear(x, w)])
    axis = len(shape_of(x)) - 1
    sums = []
    for start, stop in parts:
        rows = derive(b, [w], (stop - start, n), _rows(start, stop), f"rows{start}", is_view=True)
        sums.append(b.linear(b.slice_axis(x, axis, start, stop - start), rows))
    return add_parts(b, sums)


def _rows(start: int, stop: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array[start:stop]


@lowers("Einsum")
def lower_einsum(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Pairwise products over shared labels, in the order of the operands."""
    operands = [x for x in node.inputs if x is not None]
    terms, out = parse_equation(node.attrs["equation"], [len(shape_of(x)) for x in operands])
    return b.reshape(contract_labels(b, operands, terms, out), node.out_shape)
