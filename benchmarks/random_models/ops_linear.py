"""Draws of matrix products, convolutions, pooling, resizing and attention."""

import numpy as np

from .arrays import FLOATS, dtypes_of
from .model_draw import ModelDraw, draws
from .oracle import Refused, Value, refuse_overflow


def real(g: ModelDraw, op_type: str) -> list[np.dtype]:
    known = dtypes_of(op_type, g.opset)
    return [t for t in FLOATS if t in known]


@draws("MatMul")
def matmul(g: ModelDraw, op_type: str) -> None:
    if g.chance(6):  # more rows and columns than an array has
        a = g.new([g.number(1, 2), g.choose([130, 257])], g.dtype(real(g, op_type)), "whole")
        g.node(op_type, [a, g.new([a.shape[1], g.choose([33, 70])], a.dtype, "whole", True)])
        return
    a = g.pick(dtypes_of(op_type, g.opset), 1)
    inner = a.shape[-1]
    shape = [inner] if g.chance(4) else [inner, g.number(1, 5)]
    if len(shape) == 2 and a.rank > 2 and g.chance(3):
        shape = [g.choose([1, a.shape[-3]]), *shape]
    g.node(op_type, [a, g.like(a, shape)])


@draws("Gemm")
def gemm(g: ModelDraw, op_type: str) -> None:
    a = g.pick(dtypes_of(op_type, g.opset), 2, 2)
    trans_a, trans_b, n = g.number(0, 1), g.number(0, 1), g.number(1, 5)
    m, k = a.shape[::-1] if trans_a else a.shape
    b = g.like(a, [n, k] if trans_b else [k, n])
    bias = g.choose([[n], [1], [m, 1], [m, n], [], None])
    c = [] if bias is None and g.opset >= 11 else [g.like(a, bias or [])]
    refuse_overflow(a, b, *c)
    alpha, beta = g.choose([1.0, 2.0, 0.5]), g.choose([1.0, 2.0, 0.0])
    g.node(op_type, [a, b, *c], transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)


EQUATIONS = (
    "ij,jk->ik", "bij,bjk->bik", "ij,kj->ik", "bij,kj->bki", "bhid,bhjd->bhij", "ij->ji", "ij->i",
    "ii->i", "ij,ij->", "i,j->ij", "bik,bjk,k->bij", "...ij,...jk->...ik", "ij,jk", "bij,bij->bi",
)  # fmt: skip


@draws("Einsum")
def einsum(g: ModelDraw, op_type: str) -> None:
    equation = g.choose(EQUATIONS)
    sizes = {letter: g.number(1, 4) for letter in "ijkbhd"}
    dtype = g.dtype(real(g, op_type))
    operands = []
    for term in equation.partition("->")[0].split(","):
        plain = term.replace("...", "")
        lead = [2] if "..." in term else []
        like = Value("", np.zeros((), dtype))
        operands.append(g.like(like, [*lead, *(sizes[letter] for letter in plain)]))
    g.node(op_type, operands, equation=equation)


def window(g: ModelDraw, sizes: list[int], kernel: list[int], op_type: str) -> dict[str, object]:
    """Strides, dilations and pads; those that leave no output are refused by the runtimes."""
    rank = len(kernel)
    attrs: dict[str, object] = {}
    if not g.chance(3):
        attrs["strides"] = [g.choose([1, 2, 3]) for _ in range(rank)]
    if g.has(op_type, "dilations") and g.chance(3):
        attrs["dilations"] = [g.choose([1, 2]) for _ in range(rank)]
    how = g.choose(["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if how == "pads":
        attrs["pads"] = [min(g.number(0, 2), k - 1) for _ in (0, 1) for k in kernel]
    elif how != "none":
        attrs["auto_pad"] = how
    steps = attrs.get("dilations", [1] * rank)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, steps, strict=True)]
    pads = attrs.get("pads", [0] * 2 * rank)
    if how.startswith("SAME") and "Pool" in op_type:
        hops = attrs.get("strides", [1] * rank)
        if any(n < hop for n, hop in zip(reach, hops, strict=True)):
            raise Refused("ONNX Runtime pads by a negative amount")
        if max(steps) > 1:
            raise Refused("ONNX Runtime pads as if there were no dilation")
    if how in ("none", "pads", "VALID") and op_type != "ConvTranspose":
        for i, (size, span) in enumerate(zip(sizes, reach, strict=True)):
            if size + pads[i] + pads[i + rank] < span:
                raise Refused("window larger than what it moves over")
    return attrs


def signal(g: ModelDraw, op_type: str, channels: int) -> Value:
    """A tensor [N, channels, ...]: one there is, or a new one."""
    dtypes = real(g, op_type)
    found = [
        v
        for v in g.values
        if v.dtype in dtypes and 3 <= v.rank <= 5 and v.shape[1] == channels and 0 not in v.shape
    ]
    if found and not g.chance(4):
        return g.choose(found[::-1])
    most = 8 if (rank := g.choose([2, 1, 3])) < 3 else 4
    shape = [g.number(1, 2), channels, *(g.number(1, most) for _ in range(rank))]
    return g.new(shape, g.dtype(dtypes), constant=False)


@draws("Conv")
def conv(g: ModelDraw, op_type: str) -> None:
    groups = g.choose([1, 1, 2, 3])
    per_group = g.number(1, 3)
    x = signal(g, op_type, groups * per_group)
    kernel = [g.number(1, 3) for _ in range(x.rank - 2)]
    attrs = window(g, list(x.shape[2:]), kernel, op_type)
    out = groups * g.number(1, 3)
    weight = g.new([out, per_group, *kernel], x.dtype, constant=not g.chance(4))
    bias = [g.new([out], x.dtype)] if g.chance(2) else []
    g.node(op_type, [x, weight, *bias], group=groups, **attrs)


@draws("ConvTranspose")
def conv_transpose(g: ModelDraw, op_type: str) -> None:
    groups = g.choose([1, 1, 2])
    per_group = g.number(1, 2)
    x = signal(g, op_type, groups * per_group)
    rank = x.rank - 2
    kernel = [g.number(1, 3) for _ in range(rank)]
    attrs = window(g, list(x.shape[2:]), kernel, op_type)
    if "strides" in attrs and g.chance(3):
        attrs["output_padding"] = [min(1, s - 1) for s in attrs["strides"]]
    out = g.number(1, 2)
    weight = g.new([x.shape[1], out, *kernel], x.dtype, constant=not g.chance(4))
    bias = [g.new([groups * out], x.dtype)] if g.chance(2) else []
    g.node(op_type, [x, weight, *bias], group=groups, **attrs)


@draws("MaxPool", "AveragePool", "LpPool")
def pool(g: ModelDraw, op_type: str) -> None:
    x = signal(g, op_type, g.number(1, 3))
    kernel = [g.number(1, 3) for _ in range(x.rank - 2)]
    attrs = window(g, list(x.shape[2:]), kernel, op_type)
    if g.has(op_type, "ceil_mode"):
        attrs["ceil_mode"] = g.number(0, 1)
    if op_type == "AveragePool":
        attrs["count_include_pad"] = g.number(0, 1)
    if op_type == "LpPool":
        attrs["p"] = g.number(1, 3)
    g.node(op_type, [x], kernel_shape=kernel, **attrs)


@draws("Resize", "Upsample")
def resize(g: ModelDraw, op_type: str) -> None:
    if (op_type == "Upsample") != (g.opset < 10) or (op_type == "Upsample" and g.opset < 9):
        raise Refused("another operator at this opset")
    shape = [1, g.number(1, 2), *(g.number(1, 5) for _ in range(g.choose([2, 1])))]
    x = g.new(shape, g.dtype(real(g, op_type)))
    scales = [1.0, 1.0, *(g.choose([2.0, 0.5, 1.5, 3.0, 1.0]) for _ in shape[2:])]
    if op_type == "Upsample" or g.opset == 10:
        if op_type == "Upsample":
            scales = [max(s, 1.0) for s in scales]
        factors = g.given(np.array(scales, np.float32))
        g.node(op_type, [x, factors], mode=g.choose(["nearest", "linear"]))
        return
    modes = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
    attrs = {"mode": g.choose(["nearest", "linear", "cubic"])}
    attrs["coordinate_transformation_mode"] = g.choose(modes)
    if attrs["mode"] == "nearest":
        attrs["nearest_mode"] = g.choose(
            ["round_prefer_floor", "floor", "ceil", "round_prefer_ceil"]
        )
    if g.opset >= 18 and attrs["mode"] != "nearest" and g.chance(3):
        attrs["antialias"] = 1
    roi = None if g.opset >= 13 else g.given(np.zeros(0, np.float32))
    if g.chance(2):
        sizes = [*shape[:2], *(g.number(1, 8) for _ in shape[2:])]
        empty = None if g.opset >= 13 else g.given(np.zeros(0, np.float32))
        g.node(op_type, [x, roi, empty, g.ints(sizes)], **attrs)
    else:
        g.node(op_type, [x, roi, g.given(np.array(scales, np.float32))], **attrs)


@draws("GridSample")
def grid_sample(g: ModelDraw, op_type: str) -> None:
    x = g.new([1, 2, g.number(1, 4), g.number(1, 4)], np.dtype(np.float32))
    grid = g.new([1, 2, 3, 2], np.dtype(np.float32), "normal")
    bilinear = "bilinear" if g.opset < 20 else "linear"
    g.node(
        op_type,
        [x, grid],
        mode=g.choose([bilinear, "nearest"]),
        padding_mode=g.choose(["zeros", "border", "reflection"]),
        align_corners=g.number(0, 1),
    )


@draws("Attention")
def attention(g: ModelDraw, op_type: str) -> None:
    heads, width = g.number(1, 2), 2 * g.number(1, 2)
    queries, keys, batch = g.number(1, 3), g.number(1, 3), g.number(1, 2)
    dtype = g.dtype(real(g, op_type))
    q = g.new([batch, heads, queries, width], dtype)
    k, v = (g.new([batch, heads, keys, width], dtype) for _ in range(2))
    mask = [g.new([queries, keys], dtype, "normal")] if g.chance(3) else []
    g.node(op_type, [q, k, v, *mask], is_causal=g.number(0, 1) if not mask else 0)


@draws("RotaryEmbedding")
def rotary(g: ModelDraw, op_type: str) -> None:
    batch, heads, length, width = g.number(1, 2), g.number(1, 2), g.number(1, 3), 4
    x = g.new([batch, heads, length, width], g.dtype(real(g, op_type)))
    tables = [g.new([batch, length, width // 2], x.dtype, "normal") for _ in range(2)]
    g.node(op_type, [x, *tables], interleaved=g.number(0, 1))


@draws("LSTM", "GRU", "RNN")
def recurrent(g: ModelDraw, op_type: str) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op_type]
    direction = g.choose(["forward", "reverse", "bidirectional"])
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, width, hidden = (g.number(1, 3) for _ in range(4))
    dtype = np.dtype(np.float32)
    x = g.new([steps, batch, width], dtype, constant=False)
    w = g.new([ways, gates * hidden, width], dtype, "normal", constant=True)
    r = g.new([ways, gates * hidden, hidden], dtype, "normal", constant=True)
    bias = [g.new([ways, 2 * gates * hidden], dtype, "normal", True)] if g.chance(2) else []
    extra = {"linear_before_reset": g.number(0, 1)} if op_type == "GRU" else {}
    n_outputs = g.number(1, 3 if op_type == "LSTM" else 2)
    g.node(op_type, [x, w, r, *bias], n_outputs, hidden_size=hidden, direction=direction, **extra)
