"""Convolution with stored weights: im2col rows through a crossbar, or the vector engine.

    x [N, C, in] --window im2col--> [P, C k] --mvm--> [P, O] --view--> [N, O, out]     P = N out
    groups       --window im2col--> [G, P, C/G k] --mvm--> [G, P, O/G] --views--> [N, O, out]

A kernel of size 1 needs views only. A transposed convolution is the ordinary one of the input with
zeros between its elements and the mirrored kernel. Grouped convolutions whose arrays would stay
empty, and integers, run on the vector engine as ``window dot``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import DenseArrayBase, IntegerType
from xdsl.ir import SSAValue

from ..dialects import graph, tile
from ..dialects.shapes import row_major
from ..dialects.types import dtype_of, shape_of
from .cost import MachineCosts, prefers_arrays
from .strided import Strided, reshape
from .tile_builder import TileBuilder

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Convolution:
    """An ordinary convolution of ``x_shape`` [N, C, in] to ``out_shape`` [N, O, out]."""

    x_shape: Shape
    out_shape: Shape
    kernel: Shape
    strides: Shape
    dilations: Shape
    low: Shape
    high: Shape
    groups: int

    @property
    def depth(self) -> int:
        """Rows of the matrix of one group."""
        return self.x_shape[1] // self.groups * prod(self.kernel)

    @property
    def matrix_shape(self) -> tuple[int, int, int]:
        """The weights as [groups, C/G * kernel, O/G]."""
        return self.groups, self.depth, self.out_shape[1] // self.groups

    @property
    def positions(self) -> int:
        """Rows driven through the crossbar, ``N * prod(out)``."""
        return self.out_shape[0] * prod(self.out_shape[2:])

    @property
    def only_moves(self) -> bool:
        """Whether the windows are single elements inside the input, that views can pick."""
        return prod(self.kernel) == 1 and not any(self.low) and not any(self.high)


def lower_conv(
    b: TileBuilder, op: graph.ConvOp, x: SSAValue, costs: MachineCosts, min_array_use: float
) -> SSAValue:
    """The convolution of ``op`` without its bias, elements of the type of ``x``."""
    weight = graph.stationary(op, op.weight)
    if op.transposed is not None:
        x = _spread(b, op, x)
    conv = _convolution(op, x)
    if dtype_of(x).kind in "biu" or not _fits_arrays(conv, costs, min_array_use):
        return _dot(b, op, conv, weight, x)
    crossbar = _crossbar(b, op, conv, weight)
    rows = _rows(b, conv, x) if conv.only_moves else _im2col(b, conv, x)
    return _to_channels(b, conv, b.mvm(crossbar, rows))


def _ints(attr: DenseArrayBase[IntegerType]) -> Shape:
    return tuple(attr.get_values())


def _spread(b: TileBuilder, op: graph.ConvOp, x: SSAValue) -> SSAValue:
    """``x`` with zeros between its elements, padded or cropped as the mirrored kernel needs."""
    spans = [d * (k - 1) for d, k in zip(_ints(op.dilations), shape_of(op.weight)[2:], strict=True)]
    low = [s - p for s, p in zip(spans, _ints(op.low), strict=True)]
    high = [s - p for s, p in zip(spans, _ints(op.high), strict=True)]
    interior = [s - 1 for s in _ints(op.strides)]
    return b.pad(x, (0, 0, *low), (0, 0, *high), (0, 0, *interior))


def _convolution(op: graph.ConvOp, x: SSAValue) -> Convolution:
    rank = len(shape_of(x)) - 2
    plain = op.transposed is None
    return Convolution(
        x_shape=shape_of(x),
        out_shape=shape_of(op.result),
        kernel=shape_of(op.weight)[2:],
        strides=_ints(op.strides) if plain else (1,) * rank,
        dilations=_ints(op.dilations),
        low=_ints(op.low) if plain else (0,) * rank,
        high=_ints(op.high) if plain else (0,) * rank,
        groups=op.groups.value.data,
    )


def _fits_arrays(conv: Convolution, costs: MachineCosts, min_array_use: float) -> bool:
    if min(conv.matrix_shape) == 0:
        return False
    if conv.groups == 1:
        return True
    return prefers_arrays(*conv.matrix_shape, conv.positions, costs, min_array_use)


def _crossbar(
    b: TileBuilder, op: graph.ConvOp, conv: Convolution, weight: graph.ConstantOp
) -> SSAValue:
    shape = conv.matrix_shape
    groups, depth, cols = shape
    if op.transposed is None:

        def rearrange(w: np.ndarray) -> np.ndarray:
            return w.reshape(groups, cols, depth).swapaxes(1, 2)

        return b.matrix(weight, shape, rearrange, f"im2col{groups}")

    def mirror(w: np.ndarray) -> np.ndarray:
        # [G, C/G, O/G, k] -> [G, C/G, k, O/G]
        return np.moveaxis(_mirrored(w, groups), 2, -1).reshape(shape)

    return b.matrix(weight, shape, mirror, f"mirrored{groups}")


def _mirrored(w: np.ndarray, groups: int) -> np.ndarray:
    """ONNX ConvTranspose weights [C, O/G, k] as [G, C/G, O/G, k], flipped along the kernel."""
    return np.flip(w.reshape(groups, -1, *w.shape[1:]), tuple(range(3, w.ndim + 1)))


def _im2col(b: TileBuilder, conv: Convolution, x: SSAValue) -> SSAValue:
    shape = (conv.positions, conv.depth)
    out = shape if conv.groups == 1 else (conv.groups, *shape)
    return b.insert(tile.WindowOp.make([x], out, kind="im2col", **_fields(conv)))


def _dot(
    b: TileBuilder, op: graph.ConvOp, conv: Convolution, weight: graph.ConstantOp, x: SSAValue
) -> SSAValue:
    w = op.weight
    if op.transposed is not None:
        groups, channels = conv.groups, conv.out_shape[1]
        shape = (channels, conv.x_shape[1] // groups, *conv.kernel)

        def forward(w: np.ndarray) -> np.ndarray:
            return _mirrored(w, groups).swapaxes(1, 2).reshape(shape)

        w = b.rearranged(weight, shape, forward, f"forward{groups}")
    return b.insert(tile.WindowOp.make([x, w], conv.out_shape, kind="dot", **_fields(conv)))


def _fields(conv: Convolution) -> dict[str, Any]:
    return {
        "kernel": conv.kernel,
        "strides": conv.strides,
        "dilations": conv.dilations,
        "low": conv.low,
        "high": conv.high,
        "groups": conv.groups,
    }


def _rows(b: TileBuilder, conv: Convolution, x: SSAValue) -> SSAValue:
    """The im2col rows of a kernel of size 1: [P, C], grouped [G, P, C/G]."""
    steps = row_major(conv.x_shape)
    each = conv.x_shape[1] // conv.groups
    out = conv.out_shape[2:]
    moves = [s * step for s, step in zip(conv.strides, steps[2:], strict=True)]
    picked = Strided(
        (conv.groups, conv.out_shape[0], *out, each),
        (each * steps[1], steps[0], *moves, steps[1]),
    )
    rows = (conv.positions, each)
    return _two_views(b, x, picked, rows if conv.groups == 1 else (conv.groups, *rows))


def _to_channels(b: TileBuilder, conv: Convolution, y: SSAValue) -> SSAValue:
    """[P, O] or [G, P, O/G] as [N, O, out]."""
    groups, _, cols = conv.matrix_shape
    batch, spatial = conv.out_shape[0], conv.out_shape[2:]
    step_g, *steps, step_o = row_major((groups, batch, *spatial, cols))
    moved = Strided((batch, groups, cols, *spatial), (steps[0], step_g, step_o, *steps[1:]))
    return _two_views(b, y, moved, conv.out_shape)


def _two_views(b: TileBuilder, x: SSAValue, view: Strided, shape: Sequence[int]) -> SSAValue:
    """``view`` of ``x`` in another shape, by one view where one can say it."""
    whole = reshape(view, shape)
    return b.view(x, whole) if whole is not None else b.reshape(b.view(x, view), shape)
