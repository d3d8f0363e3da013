"""Shape rules of the kernels, over plain tuples: the one place where they are said.

Each rule takes the attributes and the operand shapes and returns the result shape, or raises
ValueError with what must hold and what came. ``view`` and ``window`` cannot derive their result
(a view may take any shape, ceil-mode pooling several), so their rules check the declared one.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

Shape = tuple[int, ...]
Attrs = dict[str, Any]


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The numpy broadcast of ``shapes``."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        wide = {s for s in sizes if s != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes must broadcast, got {', '.join(map(str, shapes))}")
        out.append(wide.pop() if wide else 1)
    return tuple(out)


def row_major(shape: Shape) -> Shape:
    """Element strides of a row-major array of ``shape``."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def view_bounds(offset: int, strides: Shape, shape: Shape) -> tuple[int, int]:
    """Lowest and highest element that a view of ``shape`` touches (shape without zeros)."""
    steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    low, high = sum(min(s, 0) for s in steps), sum(max(s, 0) for s in steps)
    return offset + low, offset + high


def _axis(axis: int, rank: int, what: str = "axis") -> int:
    if not 0 <= axis < rank:
        raise ValueError(f"{what} must be in 0..{rank - 1}, got {axis}")
    return axis


def _reduce(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    (x,) = ins
    axes = {_axis(a, len(x)) for a in attrs["axes"]}
    if attrs["kind"].startswith("arg") and len(axes) != 1:
        raise ValueError(f"{attrs['kind']} reduces one axis, got {len(axes)}")
    kept = ((1 if i in axes else n) for i, n in enumerate(x) if attrs["keepdims"] or i not in axes)
    return tuple(kept)


def _view(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    (x,) = ins
    strides = attrs["strides"]
    if len(strides) != len(out):
        raise ValueError(f"a view needs one stride a result dim: {len(out)}, got {len(strides)}")
    if prod(out):
        low, high = view_bounds(attrs["offset"], strides, out)
        if low < 0 or high >= prod(x):
            raise ValueError(f"a view must stay in 0..{prod(x) - 1}, it touches {low}..{high}")
    return out


def _pad(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    (x,) = ins
    low, high, interior = attrs["low"], attrs["high"], attrs["interior"]
    if not len(low) == len(high) == len(interior) == len(x):
        raise ValueError(f"pad needs low, high and interior for each of {len(x)} dims")
    if attrs["mode"] != "constant" and any(interior):
        raise ValueError("interior padding needs mode constant")
    sizes = zip(x, low, high, interior, strict=True)
    result = tuple(n + lo + hi + max(n - 1, 0) * i for n, lo, hi, i in sizes)
    if min(result, default=0) < 0 or min(interior, default=0) < 0:
        raise ValueError(f"pad leaves a negative size: {result}")
    return result


def _concat(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    first = ins[0]
    axis = _axis(attrs["axis"], len(first))
    for s in ins[1:]:
        if len(s) != len(first) or any(
            a != b for i, (a, b) in enumerate(zip(s, first, strict=True)) if i != axis
        ):
            raise ValueError(f"concat needs equal sizes outside axis {axis}, got {first} and {s}")
    return (*first[:axis], sum(s[axis] for s in ins), *first[axis + 1 :])


def _gather(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    data, indices = ins
    mode, axis = attrs["mode"], attrs["axis"]
    if mode == "axis":
        _axis(axis, len(data))
        return data[:axis] + indices + data[axis + 1 :]
    if mode == "elements":
        _axis(axis, len(data))
        if len(indices) != len(data):
            raise ValueError(f"gather elements needs indices of rank {len(data)}")
        return indices
    batch = attrs["batch_dims"]
    if not indices or batch + indices[-1] > len(data) or indices[:batch] != data[:batch]:
        raise ValueError(f"gather nd: indices {indices} do not address data {data}")
    return indices[:-1] + data[batch + indices[-1] :]


def _scatter(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    data, indices, updates = ins
    if attrs["mode"] == "elements":
        _axis(attrs["axis"], len(data))
        if indices != updates or len(indices) != len(data):
            raise ValueError(f"scatter elements: indices {indices} must match updates {updates}")
    elif not indices or updates != indices[:-1] + data[indices[-1] :]:
        raise ValueError(f"scatter nd: updates {updates} do not match indices {indices}")
    return data


def _update(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    data, index, part = ins
    if index or not data or data[1:] != part:
        raise ValueError(f"update needs data [N, ..], one index and data's [..], got {ins}")
    return data


def _resample(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    x, indices, weights = ins
    axis = _axis(attrs["axis"], len(x))
    if len(indices) != 2 or indices != weights:
        raise ValueError(f"resample needs indices and weights [out, taps], got {indices}")
    return (*x[:axis], indices[0], *x[axis + 1 :])


def channels_first(shape: Shape) -> Shape:
    """[N, ..., C] as [N, C, ...]."""
    return (*shape[:1], *shape[-1:], *shape[1:-1])


def channels_last(shape: Shape) -> Shape:
    """[N, C, ...] as [N, ..., C]."""
    return (*shape[:1], *shape[2:], *shape[1:2])


def _window(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    if attrs["channels_last"]:
        first = {**attrs, "channels_last": False}
        ins = [channels_first(ins[0]), *ins[1:]]
        if attrs["kind"] == "im2col":
            return _window(first, ins, out)
        return channels_last(_window(first, ins, channels_first(out)))
    x, kernel, groups = ins[0], attrs["kernel"], attrs["groups"]
    rank = len(kernel)
    names = ("strides", "dilations", "low", "high")
    if len(x) != rank + 2 or any(len(attrs[n]) != rank for n in names):
        raise ValueError(f"a window of rank {rank} needs x of rank {rank + 2} and one value a dim")
    if groups < 1 or x[1] % groups:
        raise ValueError(f"channels {x[1]} must divide into groups {groups}")
    if min((*attrs["strides"], *attrs["dilations"], *kernel), default=1) < 1:
        raise ValueError("window sizes, strides and dilations must be positive")
    if attrs["kind"] == "im2col":
        k = x[1] // groups * prod(kernel)
        if len(out) != (2 if groups == 1 else 3) or out[-1] != k:
            raise ValueError(f"im2col must yield [{'G, ' if groups > 1 else ''}P, {k}], got {out}")
        return out
    channels = x[1]
    if attrs["kind"] == "dot":
        w = ins[1]
        if w[1:] != (x[1] // groups, *kernel) or w[0] % groups:
            raise ValueError(f"dot weights {w} do not match {x[1]} channels in {groups} groups")
        channels = w[0]
    if len(out) != rank + 2 or out[:2] != (x[0], channels):
        raise ValueError(f"window must yield [{x[0]}, {channels}, ...], got {out}")
    return out


def im2col_shape(attrs: Attrs, x: Shape) -> Shape:
    """The rows [P, K] (or [G, P, K]) that an im2col window makes of ``x``. Raises ValueError."""
    rank = len(attrs["kernel"])
    first = channels_first(x) if attrs["channels_last"] else x
    names = ("kernel", "strides", "dilations", "low", "high")
    if len(x) != rank + 2 or any(len(attrs[name]) != rank for name in names):
        raise ValueError(f"a window of rank {rank} needs x of rank {rank + 2} and one value a dim")
    counts = [
        window_positions(size, *(attrs[name][i] for name in names))
        for i, size in enumerate(first[2:])
    ]
    groups = max(attrs["groups"], 1)
    rows = (first[0] * prod(counts), first[1] // groups * prod(attrs["kernel"]))
    return _window({**attrs, "kind": "im2col"}, [x], rows if groups == 1 else (groups, *rows))


def window_positions(
    size: int, kernel: int, stride: int, dilation: int, low: int, high: int, ceil: bool = False
) -> int:
    """Number of window positions along one dim, as ONNX counts them.

    With ``ceil`` a last window may hang over the high padding, but must start inside the input or
    the low padding.
    """
    span = size + low + high - (dilation * (kernel - 1) + 1)
    count = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (count - 1) * stride >= size + low:
        count -= 1
    return count


def _contract(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    a, b = ins
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ValueError(f"contract needs [.., M, K] and [.., K, N], got {a} and {b}")
    return (*broadcast([a[:-2], b[:-2]]), a[-2], b[-1])


def _cumulate(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    _axis(attrs["axis"], len(ins[0]))
    return ins[0]


def _argsort(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    (x,) = ins
    axis, count = _axis(attrs["axis"], len(x)), attrs["count"]
    if not 0 <= count <= x[axis]:
        raise ValueError(f"argsort yields 0..{x[axis]} positions, got count {count}")
    return (*x[:axis], count, *x[axis + 1 :])


def _map(attrs: Attrs, ins: Sequence[Shape], out: Shape) -> Shape:
    return broadcast(ins) if ins else out


#: ``rule(attrs, operand shapes, declared result shape) -> result shape``
RULES: dict[str, Callable[[Attrs, Sequence[Shape], Shape], Shape]] = {
    "map": _map,
    "reduce": _reduce,
    "view": _view,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
    "scatter": _scatter,
    "update": _update,
    "resample": _resample,
    "window": _window,
    "contract": _contract,
    "cumulate": _cumulate,
    "argsort": _argsort,
}

#: Operands each kernel takes: (least, most); None is any number.
ARITY: dict[str, tuple[int, int | None]] = {
    "map": (0, None),
    "reduce": (1, 1),
    "view": (1, 1),
    "pad": (1, 1),
    "concat": (1, None),
    "gather": (2, 2),
    "scatter": (3, 3),
    "update": (3, 3),
    "resample": (3, 3),
    "window": (1, 2),
    "contract": (2, 2),
    "cumulate": (1, 1),
    "argsort": (1, 1),
    "host": (0, None),
}
