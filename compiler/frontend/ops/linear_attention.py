"""LinearAttention: a recurrence over a matrix state, in closed form where the rule allows.

    S_t = exp(g_t) S_{t-1} + beta_t k_t (v_t - exp(g_t) S_{t-1}' k_t)',  o_t = scale S_t' q_t

Without the delta correction (``beta``) and with one decay a head, all steps are one masked product:

    o_t = exp(G_t) S_0' q_t + sum_{s <= t} exp(G_t - G_s) (q_t k_s) v_s,  G_t = g_1 + .. + g_t

The other rules go step by step.
"""

from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.types import dtype_of, shape_of
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, lowers
from .scalar_formulas import axis_numbers, compare

F32 = np.dtype(np.float32)
MAX_STEPS = 1024  # steps written out one by one


@dataclass(frozen=True, slots=True)
class _Heads:
    """Operands in float32: query [B, H, G, T, K], the others [B, H, 1, T, ..], state [B, H, K, V].

    H are the heads of key and value, G the query heads that share one; decay ends in 1 or K.
    """

    query: SSAValue
    key: SSAValue
    value: SSAValue
    state: SSAValue | None
    decay: SSAValue | None
    beta: SSAValue | None

    @property
    def steps(self) -> int:
        return shape_of(self.query)[3]


@lowers("LinearAttention")
def lower_linear_attention(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """The present state has the type of the past one, or that of the query without one."""
    query, past = node.required(0), node.input(3)
    x = _heads(b, node)
    if 0 in shape_of(x.query) or 0 in shape_of(x.value):
        raise NotLowered("LinearAttention of no steps or no elements")
    head_decay = x.decay is None or shape_of(x.decay)[-1] == 1
    attended, state = _closed_form(b, x) if x.beta is None and head_decay else _step_by_step(b, x)
    batch, heads, shared, steps, width = shape_of(attended)
    packed = b.transpose(attended, [0, 3, 1, 2, 4])
    output = b.reshape(packed, (batch, steps, heads * shared * width))
    kind = dtype_of(query if past is None else past)
    return [b.cast(output, dtype_of(query)), b.cast(state, kind)]


def _heads(b: GraphBuilder, node: OnnxNode) -> _Heads:
    query, key, value = (node.required(i) for i in range(3))
    past, decay, beta = (node.input(i) for i in (3, 4, 5))
    heads, total = int(node.attrs["kv_num_heads"]), int(node.attrs["q_num_heads"])
    scale = float(node.attrs["scale"]) or 1 / sqrt(max(shape_of(query)[2] // total, 1))

    def split(x: SSAValue, parts: int = heads, groups: int = 1) -> SSAValue:
        """[B, T, H * G * D] -> [B, H, G, T, D]."""
        batch, steps, width = shape_of(x)
        shaped = b.reshape(x, (batch, steps, parts, groups, width // (parts * groups)))
        return b.transpose(b.cast(shaped, F32), [0, 2, 3, 1, 4])

    wide = split(query, groups=total // heads)
    return _Heads(
        query=b.binary("mul", wide, b.constant(np.array(scale, F32))),
        key=split(key),
        value=split(value),
        state=None if past is None else b.cast(past, F32),
        decay=None if decay is None else split(decay),
        # one beta may serve all heads
        beta=None if beta is None else split(beta, min(shape_of(beta)[2], heads)),
    )


def _closed_form(b: GraphBuilder, x: _Heads) -> tuple[SSAValue, SSAValue]:
    """Output [B, H, G, T, V] and last state [B, H, K, V]."""
    batch, heads, _, steps, keys = shape_of(x.key)
    total = None if x.decay is None else b.cumulate(x.decay, "sum", 3)  # [B, H, 1, T, 1]
    last = None if total is None else b.slice_axis(total, 3, steps - 1, 1)
    scores = b.contract(x.query, b.transpose(x.key, [0, 1, 2, 4, 3]))  # [B, H, G, T, S]
    output = b.contract(_causal(b, scores, total), x.value)
    written = x.key
    if total is not None and last is not None:
        body = b.body(x.key, last, total)
        faded = body.mul(0, body.unary("exp", body.sub(1, 2)))
        written = b.map([x.key, last, total], body.finish(faded))
    state = b.contract(b.transpose(written, [0, 1, 2, 4, 3]), x.value)  # [B, H, 1, K, V]
    if x.state is not None:
        start = b.reshape(x.state, shape_of(state))
        output = _add_scaled(b, output, b.contract(x.query, start), total)
        state = _add_scaled(b, state, start, last)
    return output, b.reshape(state, (batch, heads, keys, shape_of(state)[-1]))


def _causal(b: GraphBuilder, scores: SSAValue, total: SSAValue | None) -> SSAValue:
    """``scores`` [.., T, S] of past steps, faded since by ``exp(total_t - total_s)``; 0 else."""
    steps = shape_of(scores)[-1]
    ins = [scores, axis_numbers(b, 5, 3, steps), axis_numbers(b, 5, 4, steps)]
    if total is not None:
        ins += [total, b.transpose(total, [0, 1, 2, 4, 3])]
    body = b.body(*ins)
    zero = body.const(0.0, "f32")
    past = compare(body, "le", 2, 1)
    weighted = 0
    if total is not None:
        elapsed = body.select(past, body.sub(3, 4), zero)  # of a later step it might overflow
        weighted = body.mul(0, body.unary("exp", elapsed))
    return b.map(ins, body.finish(body.select(past, weighted, zero)))


def _add_scaled(b: GraphBuilder, x: SSAValue, y: SSAValue, log: SSAValue | None) -> SSAValue:
    """``x + exp(log) * y``."""
    if log is None:
        return b.binary("add", x, y)
    body = b.body(x, y, log)
    return b.map([x, y, log], body.finish(body.add(0, body.mul(1, body.unary("exp", 2)))))


def _step_by_step(b: GraphBuilder, x: _Heads) -> tuple[SSAValue, SSAValue]:
    """The same as :func:`_closed_form` for any rule."""
    if x.steps > MAX_STEPS:
        raise NotLowered(f"LinearAttention with this rule over {x.steps} steps")
    batch, heads, _, _, keys = shape_of(x.key)
    matrix = (batch, heads, 1, keys, shape_of(x.value)[-1])
    state = b.reshape(x.state, matrix) if x.state is not None else None
    outputs = []
    for t in range(x.steps):
        now = _at(b, x, t)
        if state is not None and now.decay is not None:
            decay = b.transpose(now.decay, [0, 1, 2, 4, 3])
            body = b.body(state, decay)
            state = b.map([state, decay], body.finish(body.mul(0, body.unary("exp", 1))))
        update = now.value
        if now.beta is not None:
            update = _corrected(b, now, state)
        column = b.transpose(now.key, [0, 1, 2, 4, 3])
        state = _accumulate(b, state, column, update)
        outputs.append(b.contract(now.query, state))
    assert state is not None
    joined = outputs[0] if len(outputs) == 1 else b.concat(outputs, 3)
    return joined, b.reshape(state, (batch, heads, *matrix[3:]))


def _corrected(b: GraphBuilder, now: _Heads, state: SSAValue | None) -> SSAValue:
    """The delta rule: what the state does not say yet of this step's value, times beta."""
    assert now.beta is not None
    if state is None:
        return b.binary("mul", now.value, now.beta)
    ins = [now.value, b.contract(now.key, state), now.beta]
    body = b.body(*ins)
    return b.map(ins, body.finish(body.mul(2, body.sub(0, 1))))


def _accumulate(
    b: GraphBuilder, state: SSAValue | None, column: SSAValue, row: SSAValue
) -> SSAValue:
    """``state`` plus the outer product of key [.., K, 1] and value [.., 1, V]."""
    if state is None:
        return b.binary("mul", column, row)
    body = b.body(state, column, row)
    return b.map([state, column, row], body.finish(body.add(0, body.mul(1, 2))))


def _at(b: GraphBuilder, x: _Heads, step: int) -> _Heads:
    """The operands of one step, of length 1 along time."""

    def cut(value: SSAValue) -> SSAValue:
        return b.slice_axis(value, 3, step, 1)

    return replace(
        x,
        query=cut(x.query),
        key=cut(x.key),
        value=cut(x.value),
        decay=None if x.decay is None else cut(x.decay),
        beta=None if x.beta is None else cut(x.beta),
    )
