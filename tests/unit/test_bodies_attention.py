"""Attention and rotary embedding of ONNX Runtime's language models, against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest

from .body_harness import check_foreign

F32 = np.float32
rng = np.random.default_rng(6)


def floats(*shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(F32)


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 32), (2, 4, 3, 8)])
@pytest.mark.parametrize("one_offset", [True, False])
def test_rotary_embedding(shape: tuple[int, ...], one_offset: bool, interleaved: int) -> None:
    ids = np.array([2]) if one_offset else np.array([[0, 1, 2], [4, 5, 7]])
    inputs = {"x": floats(*shape), "ids": ids, "cos": floats(10, 4), "sin": floats(10, 4)}
    attrs = {"interleaved": interleaved}
    check_foreign("RotaryEmbedding", inputs, attrs, constants=["cos", "sin"])


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("cache", [0, 4])
@pytest.mark.parametrize("extras", [True, False])
def test_multi_head_attention(causal: int, cache: int, extras: bool) -> None:
    batch, steps, heads, size = 2, 3, 2, 4
    width = heads * size
    inputs: dict[str, Any] = {name: floats(batch, steps, width) for name in "qkv"}
    inputs |= {"bias": None, "mask": None, "addend": None, "past_k": None, "past_v": None}
    if extras:
        inputs["bias"] = floats(3 * width)
        inputs["mask"] = np.ones((batch, steps + cache), np.int32)
        inputs["mask"][1, :1] = 0
        inputs["addend"] = floats(batch, heads, steps, steps + cache)
    if cache:
        inputs["past_k"], inputs["past_v"] = (floats(batch, heads, cache, size) for _ in "kv")
    outputs = [F32] * (3 if cache else 1)
    attrs = {"num_heads": heads, "unidirectional": causal}
    check_foreign("MultiHeadAttention", inputs, attrs, outputs, ["bias"], atol=1e-4)


def group_query(
    steps: int, past: int, total: int, lengths: list[int], packed: bool = False, **attrs: Any
) -> None:
    batch, heads, groups, size = len(lengths), 4, 2, 16
    rotary = attrs.get("do_rotary", 0)
    widths = (heads * size, groups * size, groups * size)
    inputs: dict[str, Any] = {
        n: floats(batch, steps, width) for n, width in zip("qkv", widths, strict=True)
    }
    if packed:
        inputs = {"q": floats(batch, steps, sum(widths)), "k": None, "v": None}
    inputs |= {f"past_{n}": floats(batch, groups, past, size) for n in "kv"}
    inputs["lengths"] = np.array(lengths, np.int32) - 1
    inputs["total"] = np.array(total, np.int32)
    if rotary:
        inputs |= {"cos": floats(64, size // 2), "sin": floats(64, size // 2)}
    attrs = {"num_heads": heads, "kv_num_heads": groups, **attrs}
    constants = ["total", "cos", "sin"]
    filled = np.arange(max(past, total)) < np.array(lengths)[:, None]
    check_foreign(
        "GroupQueryAttention",
        inputs,
        attrs,
        [F32] * 3,
        constants,
        atol=1e-4,
        defined=dict.fromkeys((1, 2), filled[:, None, :, None]),
    )


@pytest.mark.parametrize(
    ("steps", "past", "total", "lengths"),
    [
        (5, 0, 5, [5, 5]),  # a first call
        (1, 4, 5, [5, 5]),  # a further token
        (3, 4, 7, [7]),  # several
        (1, 9, 6, [6, 4]),  # in a buffer that is not full, samples of different length
        (4, 9, 4, [4, 4]),  # a first call into a buffer
    ],
)
def test_group_query_attention(steps: int, past: int, total: int, lengths: list[int]) -> None:
    group_query(steps, past, total, lengths)
    group_query(steps, past, total, lengths, do_rotary=1)
    group_query(steps, past, total, lengths, packed=True, do_rotary=1, rotary_interleaved=1)


@pytest.mark.parametrize("attrs", [{"local_window_size": 2}, {"softcap": 3.0}, {"scale": 0.3}])
def test_options_of_group_query_attention(attrs: dict[str, Any]) -> None:
    group_query(3, 4, 7, [7], **attrs)
