"""Attention and rotary embedding as ONNX Runtime's language models have them.

GroupQueryAttention(q, k, v, cache)  ->  cache with k, v written at each sample's length
                                         Attention(q, cache, mask of what each row may see)
"""

from collections.abc import Sequence

import numpy as np

from ..body_writer import BodyWriter, opens
from ..check_model import MICROSOFT


@opens(MICROSOFT, "RotaryEmbedding")
def rotary_embedding(w: BodyWriter) -> str:
    """Position ids are one offset for all, or one a token."""
    x, ids, cosines, sines = (w.required(i) for i in range(4))
    if float(w.attr("scale", 1.0)) != 1 or w.attr("is_packed_batching", 0):
        raise w.refuse("a scale or packed batches")
    shape = w.shape(x)
    batch, steps = shape[0], shape[-2]
    rotated = int(w.attr("rotary_embedding_dim", 0))
    heads = int(w.attr("num_heads", 0))
    if len(shape) == 3 and not heads:
        heads = shape[2] // (2 * w.shape(cosines)[1])
    if w.shape(ids) != (batch, steps):
        along = w.constant(np.arange(steps, dtype=np.int64).reshape(1, steps))
        ids = w.op("Add", w.op("Reshape", ids, w.ints(1, 1)), along)
        ids = w.op("Expand", ids, w.ints(batch, steps))
    return w.op(
        "RotaryEmbedding",
        x,
        cosines,
        sines,
        ids,
        interleaved=int(w.attr("interleaved", 0)),
        num_heads=heads if len(shape) == 3 else None,
        rotary_embedding_dim=rotated or None,
    )


@opens(MICROSOFT, "MultiHeadAttention")
def multi_head_attention(w: BodyWriter) -> Sequence[str | None]:
    """Query, key and value [B, S, H * D], a bias on them, masks, and a cache before them."""
    if not (w.input(1) and w.input(2)) or w.input(8) or w.input(9) or w.wants(3):
        raise w.refuse("packed operands, shared caches or the scores as output")
    heads = int(w.attr("num_heads", 1))
    operands = [w.required(i) for i in range(3)]
    if any(len(w.shape(x)) != 3 for x in operands):
        raise w.refuse("keys in heads already")
    width = w.shape(operands[0])[2]
    steps = w.shape(operands[1])[1] + (w.shape(w.required(6))[2] if w.input(6) else 0)
    mask = _mask_of_keys(w, w.input(4), w.input(5), steps)
    if w.input(3):
        ends = (width, 2 * width, 2 * width + w.shape(operands[2])[2])
        starts = (0, *ends[:-1])
        for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
            part = w.op("Slice", w.input(3), w.ints(start), w.ints(end), w.ints(0))
            operands[i] = w.op("Add", operands[i], part)
    scale = float(w.attr("scale", 0.0))
    outputs = 3 if w.wants(1) or w.wants(2) or w.input(6) else 1
    return w.several(
        "Attention",
        *operands,
        mask,
        w.input(6),
        w.input(7),
        outputs=outputs,
        q_num_heads=heads,
        kv_num_heads=heads,
        is_causal=int(w.attr("unidirectional", 0)),
        scale=scale or None,
    )


def _mask_of_keys(w: BodyWriter, kept: str | None, bias: str | None, steps: int) -> str | None:
    """The addend of scores: ``bias``, and a large negative number where ``kept`` [B, T] is 0."""
    if kept is None:
        return bias
    shape = w.shape(kept)
    if len(shape) != 2 or shape[1] != steps:
        raise w.refuse(f"a key_padding_mask of shape {list(shape)}")
    query = w.required(0)
    filler = w.like(float(w.attr("mask_filter_value", -10000.0)), query)
    true = w.cast(w.op("Reshape", kept, w.ints(shape[0], 1, 1, shape[1])), np.bool_)
    addend = w.op("Where", true, w.like(0, query), filler)
    steps_out = w.shape(query)[1]
    addend = w.op("Expand", addend, w.ints(shape[0], 1, steps_out, shape[1]))
    return w.op("Add", addend, bias) if bias else addend


_UNCOMMON = (
    ("smooth_softmax", (0, -1)),
    ("qk_output", (0,)),
    ("kv_cache_bit_width", (0,)),
    ("k_quant_type", ("NONE",)),
    ("v_quant_type", ("NONE",)),
    ("sliding_window_cache", (0,)),
)


@opens(MICROSOFT, "GroupQueryAttention")
def group_query_attention(w: BodyWriter) -> Sequence[str | None]:
    """Causal attention over a cache of keys and values of which each sample fills a part."""
    if any(w.attr(name, usual[0]) not in usual for name, usual in _UNCOMMON) or any(
        w.input(i) for i in range(10, 17)
    ):
        raise w.refuse("a bias, a sink, norms, quantised caches or scores as output")
    heads, groups = int(w.attr("num_heads", 1)), int(w.attr("kv_num_heads", 1))
    query, key, value = _split_heads(w, heads, groups)
    steps = w.shape(w.required(0))[1]
    total = int(w.value(w.required(6), "total_sequence_length").reshape(()))
    batch = w.shape(w.required(0))[0]
    lengths = w.op(
        "Add", w.cast(w.op("Reshape", w.required(5), w.ints(batch)), np.int64), w.ints(1)
    )
    # the first call may be padded at the end; later ones write behind what is there
    start = w.op("Sub", lengths, w.ints(steps)) if steps != total else w.ints(*[0] * batch)
    if w.attr("do_rotary", 0):
        query, key = (_rotated(w, x, start, batch, steps) for x in (query, key))
    caches = [_cached(w, x, i, start, total) for x, i in ((key, 3), (value, 4))]
    size = max(total, w.shape(w.required(3))[2] if w.input(3) else 0)
    mask = _visible(w, start, lengths, batch, steps, size)
    softcap, scale = float(w.attr("softcap", 0.0)), float(w.attr("scale", 0.0))
    y = w.op("Attention", query, *caches, mask, softcap=softcap or None, scale=scale or None)
    rows = w.op("Transpose", y, perm=[0, 2, 1, 3])
    return [w.op("Reshape", rows, w.ints(batch, steps, -1)), *caches]


def _split_heads(w: BodyWriter, heads: int, groups: int) -> list[str]:
    """Query, key and value as [B, heads, S, D], from three operands or one of all three."""
    batch, steps, width = w.shape(w.required(0))
    counts = (heads, groups, groups)
    if w.input(1):
        parts = [w.required(i) for i in range(3)]
        size = width // heads
    else:
        size = width // sum(counts)
        ends = np.cumsum([n * size for n in counts]).tolist()
        parts = [
            w.op("Slice", w.required(0), w.ints(a), w.ints(b), w.ints(2))
            for a, b in zip((0, *ends[:-1]), ends, strict=True)
        ]
    return [
        w.op(
            "Transpose",
            w.op("Reshape", part, w.ints(batch, steps, n, size)),
            perm=[0, 2, 1, 3],
        )
        for part, n in zip(parts, counts, strict=True)
    ]


def _rotated(w: BodyWriter, x: str, start: str, batch: int, steps: int) -> str:
    ids = w.input(9)
    if ids is None:
        along = w.constant(np.arange(steps, dtype=np.int64).reshape(1, steps))
        ids = w.op("Add", w.op("Reshape", start, w.ints(batch, 1)), along)
    cosines, sines = w.required(7), w.required(8)
    attrs = {
        "interleaved": int(w.attr("rotary_interleaved", 0)),
        "rotary_embedding_dim": 2 * w.shape(cosines)[1],
    }
    return w.op("RotaryEmbedding", x, cosines, sines, ids, **attrs)


def _cached(w: BodyWriter, x: str, past: int, start: str, total: int) -> str:
    """The cache of input ``past`` with x [B, G, S, D] written at ``start`` [B]."""
    cache = w.input(past)
    if cache is None:
        return x
    length = w.shape(cache)[2]
    if length < total:
        pads = w.ints(0, 0, 0, 0, 0, 0, total - length, 0)
        cache = w.op("Pad", cache, pads)
    return w.op("TensorScatter", cache, x, start, axis=2)


def _visible(w: BodyWriter, start: str, lengths: str, batch: int, steps: int, size: int) -> str:
    """Whether row i of a sample may see position j: [B, 1, S, size]."""
    rows = w.constant(np.arange(steps).reshape(1, 1, steps, 1))
    columns = w.constant(np.arange(size).reshape(1, 1, 1, size))
    at = w.op("Add", w.op("Reshape", start, w.ints(batch, 1, 1, 1)), rows)
    if not w.attr("causal", 1):
        full = w.op(
            "Expand", w.op("Reshape", lengths, w.ints(batch, 1, 1, 1)), w.ints(1, 1, steps, 1)
        )
        return w.op("Less", columns, full)
    seen = w.op("LessOrEqual", columns, at)
    window = int(w.attr("local_window_size", -1))
    if window <= 0:
        return seen
    recent = w.op("Greater", columns, w.op("Sub", at, w.ints(window)))
    return w.op("And", seen, recent)
