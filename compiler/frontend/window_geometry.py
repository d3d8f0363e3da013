"""Strides, dilations and explicit padding of convolution and pooling nodes.

The rules of ``auto_pad`` are those of the ONNX operators Conv, ConvTranspose and the pools.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...dialects.shapes import Shape, window_positions
from .lowering import NotLowered, OnnxNode

SPATIAL_RANKS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding window: one entry a spatial dim, padding explicit."""

    kernel: Shape
    strides: Shape
    dilations: Shape
    low: Shape
    high: Shape

    @property
    def spans(self) -> Shape:
        """Input positions from the first to the last tap."""
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilations, self.kernel, strict=True))


def window_of(
    node: OnnxNode, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]
) -> Window:
    """The window of a Conv or pooling ``node`` over spatial ``size``, with ``out`` positions.

    Raises NotLowered outside one to three spatial dims and where ``out`` is not what the attributes
    say (ONNX Runtime pads dilated pools with auto_pad by another rule).
    """
    rank = len(size)
    if rank not in SPATIAL_RANKS:
        raise NotLowered(f"windows over {rank} spatial dims")
    if len(kernel) != rank:
        raise NotLowered(f"a kernel of {len(kernel)} dims over {rank} spatial dims")
    strides = _ints(node, "strides", rank, 1)
    dilations = _ints(node, "dilations", rank, 1)
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    mode = node.attrs.get("auto_pad") or "NOTSET"
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            max((-(-n // s) - 1) * s + span - n, 0)
            for n, s, span in zip(size, strides, spans, strict=True)
        ]
        low, high = split_padding(total, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        low = high = (0,) * rank
    else:
        pads = _ints(node, "pads", 2 * rank, 0)
        low, high = pads[:rank], pads[rank:]
    ceil = bool(node.attrs.get("ceil_mode"))
    window = Window(tuple(kernel), strides, dilations, low, high)
    positions = window_counts(window, size, ceil=ceil)
    if positions != tuple(out):
        raise NotLowered(f"its windows have {positions} positions, declared {tuple(out)}")
    return window


def block_window(node: OnnxNode, size: Sequence[int], kernel: Sequence[int]) -> Window:
    """The window whose positions over an image of ``size`` are the blocks of Col2Im ``node``."""
    rank = len(size)
    strides, dilations = (_ints(node, name, rank, 1) for name in ("strides", "dilations"))
    pads = _ints(node, "pads", 2 * rank, 0)
    return Window(tuple(kernel), strides, dilations, pads[:rank], pads[rank:])


def unpooled_shape(node: OnnxNode, x: Sequence[int]) -> Shape:
    """The shape of what MaxPool made ``x`` [N, C, ...] of, by the attributes of a MaxUnpool."""
    kernel, size = node.attrs["kernel_shape"], x[2:]
    strides, pads = _ints(node, "strides", len(size), 1), _ints(node, "pads", 2 * len(size), 0)
    total = [lo + hi for lo, hi in zip(pads[: len(size)], pads[len(size) :], strict=True)]
    per_dim = zip(size, strides, total, kernel, strict=True)
    return (*x[:2], *((n - 1) * s - p + k for n, s, p, k in per_dim))


def window_counts(window: Window, size: Sequence[int], *, ceil: bool = False) -> Shape:
    """Positions of ``window`` along each dim of an input of ``size``."""
    w = window
    per_dim = zip(size, w.kernel, w.strides, w.dilations, w.low, w.high, strict=True)
    return tuple(window_positions(n, k, s, d, lo, hi, ceil) for n, k, s, d, lo, hi in per_dim)


def transposed_window_of(
    node: OnnxNode, size: Sequence[int], kernel: Sequence[int], out: Sequence[int]
) -> Window:
    """The window of a ConvTranspose ``node``; ``low``/``high`` crop its full output to ``out``.

    ``high`` holds whatever is left, so ``output_padding`` and ``output_shape`` make it smaller or
    negative. Raises NotLowered outside one to three spatial dims.
    """
    rank = len(size)
    if rank not in SPATIAL_RANKS:
        raise NotLowered(f"windows over {rank} spatial dims")
    strides = _ints(node, "strides", rank, 1)
    dilations = _ints(node, "dilations", rank, 1)
    extra = _ints(node, "output_padding", rank, 0)
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    full = [(n - 1) * s + span for n, s, span in zip(size, strides, spans, strict=True)]
    mode = node.attrs.get("auto_pad") or "NOTSET"
    if mode in ("SAME_UPPER", "SAME_LOWER") or node.attrs.get("output_shape"):
        total = [max(f + e - o, 0) for f, e, o in zip(full, extra, out, strict=True)]
        low, _ = split_padding(total, upper=mode == "SAME_UPPER")
    elif mode == "VALID":
        low = (0,) * rank
    else:
        low = _ints(node, "pads", 2 * rank, 0)[:rank]
    high = tuple(f - lo - o for f, lo, o in zip(full, low, out, strict=True))
    return Window(tuple(kernel), strides, dilations, low, high)


def tap_coordinates(window: Window, out: Sequence[int]) -> np.ndarray:
    """Input coordinates [dims, P, K] of the K taps of P windows, row-major; padding may be outside.

    ``out`` is the number of windows along each dim.
    """
    grids = []
    for i, n in enumerate(out):
        along = np.arange(n)[:, None] * window.strides[i] - window.low[i]
        grids.append(along + np.arange(window.kernel[i]) * window.dilations[i])
    rank = len(grids)
    shape = (prod(out), prod(window.kernel))
    spread = []
    for i, grid in enumerate(grids):
        at = [1] * (2 * rank)
        at[i], at[rank + i] = grid.shape
        whole = np.broadcast_to(grid.reshape(at), (*out, *window.kernel))
        spread.append(whole.reshape(shape))
    return np.stack(spread)


def tap_positions(
    window: Window, size: Sequence[int], out: Sequence[int], strides: Sequence[int]
) -> np.ndarray:
    """Flat positions [P, K] of window taps in an input of ``size`` with element ``strides``.

    A tap in the padding has the position just behind the input.
    """
    coordinates = tap_coordinates(window, out)
    bounds = np.array(size).reshape(-1, 1, 1)
    inside = ((coordinates >= 0) & (coordinates < bounds)).all(0)
    flat = (coordinates * np.array(strides).reshape(-1, 1, 1)).sum(0)
    return np.where(inside, flat, prod(size))


def split_padding(total: Sequence[int], *, upper: bool) -> tuple[Shape, Shape]:
    """``total`` padding by dim as (low, high); the odd one is at the end if ``upper``."""
    small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (small, large) if upper else (large, small)


def _ints(node: OnnxNode, name: str, count: int, default: int) -> Shape:
    values = node.attrs.get(name)
    if not values:
        return (default,) * count
    if len(values) != count:
        raise NotLowered(f"{name} has {len(values)} values instead of {count}")
    return tuple(int(v) for v in values)
