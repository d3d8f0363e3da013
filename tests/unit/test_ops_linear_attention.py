"""LinearAttention against the reference evaluator: every rule, shared heads, past states."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import Lowered, check_op

BATCH, HEADS, KEYS, VALUES = 2, 2, 4, 3


def attend(rule: str, steps: int, shared: int = 1, **changes: Any) -> Lowered:
    rng = np.random.default_rng(steps)
    dtype = changes.pop("dtype", np.float32)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(dtype)

    inputs: dict[str, np.ndarray | None] = {
        "query": draw(BATCH, steps, HEADS * shared * KEYS),
        "key": draw(BATCH, steps, HEADS * KEYS),
        "value": draw(BATCH, steps, HEADS * VALUES),
        "past": draw(BATCH, HEADS, KEYS, VALUES) if changes.pop("past", True) else None,
        "decay": None,
        "beta": None,
    }
    if "gated" in rule:
        inputs["decay"] = -abs(draw(BATCH, steps, HEADS * changes.pop("decays", 1)))
    if "delta" in rule:
        inputs["beta"] = abs(draw(BATCH, steps, changes.pop("betas", HEADS))) / 4
    attrs = {"update_rule": rule, "kv_num_heads": HEADS, "q_num_heads": HEADS * shared, **changes}
    tolerance = 2e-2 if dtype == np.float16 else 1e-4
    return check_op("LinearAttention", inputs, attrs, 2, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("past", [True, False])
def test_rules(rule: str, steps: int, past: bool) -> None:
    attend(rule, steps, past=past)


@pytest.mark.parametrize("rule", ["gated", "gated_delta"])
def test_a_decay_for_each_key(rule: str) -> None:
    attend(rule, 4, decays=KEYS)


@pytest.mark.parametrize("rule", ["linear", "gated_delta"])
def test_shared_heads_and_a_scale(rule: str) -> None:
    attend(rule, 4, shared=3, scale=0.25)
    attend(rule, 3, dtype=np.float16)


def test_one_beta_for_all_heads() -> None:
    attend("delta", 4, betas=1)


def test_long_decays_stay_finite() -> None:
    """exp(G_t - G_s) of a later step s would overflow."""
    done = attend("gated", 300)
    assert all(np.isfinite(y).all() for y in done.outputs)
    assert done.ops.count("contract") == 4


def test_too_many_steps_stay_on_the_host() -> None:
    with pytest.raises(NotLowered, match="over 1025 steps"):
        attend("delta", 1025)
