"""Batched matrix products of any operands: stationary weights where one side is constant."""

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from ...dialects.shapes import broadcast
from ...dialects.types import dtype_of, element_name, shape_of
from .derive_constants import reshaped, swapped
from .graph_builder import GraphBuilder


def is_float(value: SSAValue) -> bool:
    """Whether ``value`` holds floating-point numbers (bfloat16 included)."""
    return element_name(dtype_of(value)) in ("f16", "bf16", "f32", "f64")


def multiply(b: GraphBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    """``numpy.matmul`` of x [.., M, K] and y [.., K, N], stationary where one is constant."""
    inner = shape_of(x)[-1]
    if inner == 1:
        return b.binary("mul", x, y)  # an outer product broadcasts
    if is_float(x) and inner:
        if b.is_constant(y):
            return _times_constant(b, x, y)
        if b.is_constant(x):
            return swapped(b, _times_constant(b, swapped(b, y), swapped(b, x)))
    return b.contract(x, y)


def _times_constant(b: GraphBuilder, x: SSAValue, w: SSAValue) -> SSAValue:
    """x [.., M, K] times constant w [.., K, N]."""
    shape = shape_of(w)
    batch = list(shape[:-2])
    while batch and batch[0] == 1:
        batch.pop(0)
    full = (*broadcast([shape_of(x)[:-2], shape[:-2]]), shape_of(x)[-2], shape[-1])
    w = reshaped(b, w, (*batch, *shape[-2:]))
    if not batch:
        return b.reshape(b.linear(x, w), full)
    # each group of a convolution with kernel 1 is one matrix of the batch; vectors by group are
    # not worth an array each
    lead = full[: len(full) - 2 - len(batch)]
    if tuple(batch) != full[len(lead) : -2] or 0 in full or shape[-1] == 1:
        return b.reshape(b.contract(x, w), full)
    return _per_batch(b, x, w, lead, full)


def _per_batch(
    b: GraphBuilder, x: SSAValue, w: SSAValue, lead: Sequence[int], full: Sequence[int]
) -> SSAValue:
    """Batched x times constant w [batch.., K, N] as a grouped convolution of kernel 1."""
    groups = prod(shape_of(w)[:-2])
    (m, k), n = shape_of(x)[-2:], shape_of(w)[-1]
    x = b.expand(x, (*full[:-2], m, k))
    channels = b.transpose(b.reshape(x, (prod(lead), groups, m, k)), [0, 1, 3, 2])
    stacked = swapped(b, reshaped(b, w, (groups, k, n)))
    y = b.conv(
        b.reshape(channels, (prod(lead), groups * k, m)),
        reshaped(b, stacked, (groups * n, k, 1)),
        None,
        (prod(lead), groups * n, m),
        strides=[1],
        dilations=[1],
        low=[0],
        high=[0],
        groups=groups,
    )
    rows = b.transpose(b.reshape(y, (prod(lead), groups, n, m)), [0, 1, 3, 2])
    return b.reshape(rows, full)
