"""LSTM, GRU and RNN, unrolled over time.

The input products of all time steps are one ``graph.linear``. A step multiplies the state by the
recurrent weights, one constant that all steps of a direction share, so that one programmed matrix
serves them all, and ends in one or two maps.

    xw        = linear(x [T*B, I], W')          once a direction
    gates_t   = linear(h, R') + xw[t]           once a step
    h, c      = map(views of gates_t, state)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.ir import SSAValue

from ....dialects.body import BodyBuilder
from ....dialects.types import dtype_of, shape_of
from ..derive_constants import derive
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from .activations import Activation, activations

MAX_STEPS = 256
State = tuple[SSAValue, ...]
Step = Callable[[SSAValue, State], State]


@dataclass(frozen=True, slots=True)
class Sequences:
    """The input of a recurrent node: rows [time*batch, features] and its sizes."""

    rows: SSAValue
    time: int
    batch: int
    hidden: int
    directions: int
    batch_first: bool


@lowers("RNN")
def lower_rnn(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """``h = f(W x + R h + bias)``."""
    functions = _functions(node, ["Tanh"])
    seqs = _sequences(b, node)

    def direction(d: int) -> tuple[SSAValue, Step]:
        xw = _project(b, node, seqs, d, _summed_bias(b, node, d))
        recur, (f,) = _matrix(b, node.required(2), d), functions[d]

        def step(xw_t: SSAValue, state: State) -> State:
            product = b.linear(state[0], recur)
            body = b.body(product, xw_t)
            return (b.map([product, xw_t], body.finish(f(body, body.add(0, 1)))),)

        return xw, step

    return _run(b, node, seqs, direction, (5,))


@lowers("GRU")
def lower_gru(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Gates z, r and the candidate; with ``linear_before_reset`` one product a step, else two."""
    functions = _functions(node, ["Sigmoid", "Tanh"])
    seqs = _sequences(b, node)
    fused = bool(node.attrs["linear_before_reset"])

    def direction(d: int) -> tuple[SSAValue, Step]:
        f, g = functions[d]
        if fused:
            xw = _project(b, node, seqs, d, _gru_input_bias(b, node, d))
            return xw, _fused_gru_step(b, node, seqs, d, f, g)
        xw = _project(b, node, seqs, d, _summed_bias(b, node, d))
        return xw, _gru_step(b, node, seqs, d, f, g)

    return _run(b, node, seqs, direction, (5,))


def _gru_step(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, f: Activation, g: Activation
) -> Step:
    inner = 2 * seqs.hidden
    gates = _matrix(b, node.required(2), d, slice(0, inner), ".zr")
    candidate = _matrix(b, node.required(2), d, slice(inner, None), ".h")

    def step(xw_t: SSAValue, state: State) -> State:
        (h,) = state
        n = seqs.hidden
        both = b.linear(h, gates)
        z, r = _columns(b, both, n, 2)
        xz, xr, xh = _columns(b, xw_t, n, 3)
        body = b.body(r, xr, h)
        reset = b.map([r, xr, h], body.finish(body.mul(f(body, body.add(0, 1)), 2)))
        product = b.linear(reset, candidate)
        body = b.body(z, xz, product, xh, h)
        new = g(body, body.add(2, 3))
        return (b.map([z, xz, product, xh, h], body.finish(_blend(body, f, new, 4))),)

    return step


def _fused_gru_step(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, f: Activation, g: Activation
) -> Step:
    recur = _matrix(b, node.required(2), d)
    bias = _gru_recurrent_bias(b, node, d, seqs.hidden)

    def step(xw_t: SSAValue, state: State) -> State:
        (h,) = state
        product = b.linear(h, recur, bias)
        z, r, hh = _columns(b, product, seqs.hidden, 3)
        xz, xr, xh = _columns(b, xw_t, seqs.hidden, 3)
        ins = [z, xz, r, xr, hh, xh, h]
        body = b.body(*ins)
        reset = f(body, body.add(2, 3))
        new = g(body, body.add(5, body.mul(reset, 4)))
        return (b.map(ins, body.finish(_blend(body, f, new, 6))),)

    return step


def _blend(body: BodyBuilder, f: Activation, new: int, old: int) -> int:
    """``(1 - z) * new + z * old`` with z = f(register 0 + register 1)."""
    z = f(body, body.add(0, 1))
    keep = body.sub(body.const(1.0, body.types[z]), z)
    return body.add(body.mul(keep, new), body.mul(z, old))


@lowers("LSTM")
def lower_lstm(b: GraphBuilder, node: OnnxNode) -> list[SSAValue | None]:
    """Gates i, o, f, c; peepholes and coupled input and forget gates where asked for."""
    functions = _functions(node, ["Sigmoid", "Tanh", "Tanh"])
    seqs = _sequences(b, node)

    def direction(d: int) -> tuple[SSAValue, Step]:
        xw = _project(b, node, seqs, d, _summed_bias(b, node, d))
        return xw, _lstm_step(b, node, seqs, d, functions[d])

    return _run(b, node, seqs, direction, (5, 6))


def _lstm_step(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, functions: Sequence[Activation]
) -> Step:
    recur = _matrix(b, node.required(2), d)
    holes = _peepholes(b, node, d, seqs.hidden)
    coupled = bool(node.attrs["input_forget"])
    f, g, h_of = functions

    def step(xw_t: SSAValue, state: State) -> State:
        h, c = state
        i, o, forget, new = _columns(b, b.binary("add", b.linear(h, recur), xw_t), seqs.hidden, 4)
        ins = [i, forget, new, c, *holes[:2]]
        body = b.body(*ins)
        keep_in = f(body, body.add(0, body.mul(4, 3)) if holes else 0)
        if coupled:
            keep_old = body.sub(body.const(1.0, body.types[0]), keep_in)
        else:
            keep_old = f(body, body.add(1, body.mul(5, 3)) if holes else 1)
        cell = body.add(body.mul(keep_in, g(body, 2)), body.mul(keep_old, 3))
        c = b.map(ins, body.finish(cell))
        ins = [o, c, *holes[2:]]
        body = b.body(*ins)
        gate = f(body, body.add(0, body.mul(2, 1)) if holes else 0)
        return b.map(ins, body.finish(body.mul(gate, h_of(body, 1)))), c

    return step


def _peepholes(b: GraphBuilder, node: OnnxNode, d: int, n: int) -> list[SSAValue]:
    """P of direction ``d`` as its i, f and o parts [H]; nothing when omitted."""
    p = node.input(7)
    if p is None:
        return []
    return [
        derive(b, [p], (n,), _part(d, start * n, n), f"peephole{d}.{gate}")
        for gate, start in (("i", 0), ("f", 2), ("o", 1))
    ]


# shared by the three


def _functions(node: OnnxNode, defaults: list[str]) -> list[list[Activation]]:
    """The activations of each direction."""
    count = 2 if node.attrs["direction"] == "bidirectional" else 1
    names = node.attrs.get("activations") or defaults * count
    if len(names) < len(defaults) * count:
        raise NotLowered(f"{len(names)} activations for {count} directions")
    alphas, betas = (node.attrs.get(f"activation_{k}") or [] for k in ("alpha", "beta"))
    # ONNX Runtime does not clip the cell state, the argument of the LSTM's third function
    clip = node.attrs.get("clip")
    n = len(defaults)
    clips = [clip, clip, None][:n] * count
    found = activations(names[: n * count], alphas, betas, clips)
    return [found[d * n : (d + 1) * n] for d in range(count)]


def _sequences(b: GraphBuilder, node: OnnxNode) -> Sequences:
    """Sizes and rows of the input. Raises NotLowered for what cannot be unrolled."""
    x, w = node.required(0), node.required(1)
    for index, name in ((1, "W"), (2, "R"), (3, "B"), (7, "P")):
        if node.input(index) is not None and not b.is_constant(node.input(index)):
            raise NotLowered(f"{node.op} whose {name} is computed while running")
    batch_first = bool(node.attrs["layout"])
    if batch_first:
        x = b.transpose(x, [1, 0, 2])
    time, batch, features = shape_of(x)
    directions = shape_of(w)[0]
    if time * directions > MAX_STEPS:
        raise NotLowered(f"{time * directions} time steps are too many to unroll")
    if time == 0:
        raise NotLowered(f"{node.op} over no time steps")
    lengths = constant_ints(b, node.input(4), "sequence_lens")
    if lengths is not None and any(n != time for n in lengths):
        raise NotLowered("sequences of different lengths")
    rows = b.reshape(x, (time * batch, features))
    hidden = shape_of(node.required(2))[2]
    return Sequences(rows, time, batch, hidden, directions, batch_first)


def _matrix(
    b: GraphBuilder, w: SSAValue, d: int, rows: slice = slice(None), suffix: str = ""
) -> SSAValue:
    """``rows`` of direction ``d`` of w [D, G*H, K] as a stationary matrix [K, rows]."""
    _, height, k = shape_of(w)
    width = len(range(height)[rows])
    return derive(b, [w], (k, width), lambda a: a[d, rows].T, f"T{d}{suffix}", is_view=True)


def _part(d: int, start: int, size: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: array[d, start : start + size]


def _project(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, bias: SSAValue | None
) -> SSAValue:
    """The input products of all steps, [time*batch, gates*hidden]."""
    return b.linear(seqs.rows, _matrix(b, node.required(1), d), bias)


def _summed_bias(b: GraphBuilder, node: OnnxNode, d: int) -> SSAValue | None:
    """Input and recurrent bias of direction ``d`` added up, [gates*H]."""
    bias = node.input(3)
    if bias is None:
        return None
    n = shape_of(bias)[1] // 2
    return derive(b, [bias], (n,), lambda a: a[d, :n] + a[d, n:], f"sum{d}")


def _gru_input_bias(b: GraphBuilder, node: OnnxNode, d: int) -> SSAValue | None:
    """All of the bias but the recurrent one of the candidate, which the reset gate scales."""
    bias = node.input(3)
    if bias is None:
        return None
    n = shape_of(bias)[1] // 2
    inner = n // 3 * 2

    def make(a: np.ndarray) -> np.ndarray:
        return np.concatenate([a[d, :inner] + a[d, n : n + inner], a[d, inner:n]])

    return derive(b, [bias], (n,), make, f"input{d}")


def _gru_recurrent_bias(b: GraphBuilder, node: OnnxNode, d: int, hidden: int) -> SSAValue | None:
    bias = node.input(3)
    if bias is None:
        return None
    n = 3 * hidden

    def make(a: np.ndarray) -> np.ndarray:
        zeros = np.zeros(2 * hidden, a.dtype)
        return np.concatenate([zeros, a[d, 2 * n - hidden :]])

    return derive(b, [bias], (n,), make, f"recurrent{d}")


def _columns(b: GraphBuilder, x: SSAValue, width: int, count: int) -> list[SSAValue]:
    """x [B, count*width] cut into ``count`` views [B, width]."""
    rows, stride = shape_of(x)
    return [b.view(x, (rows, width), (stride, 1), k * width) for k in range(count)]


def _run(
    b: GraphBuilder,
    node: OnnxNode,
    seqs: Sequences,
    direction: Callable[[int], tuple[SSAValue, Step]],
    initial: Sequence[int],
) -> list[SSAValue | None]:
    """Unroll all directions; the outputs Y and the last value of each state."""
    by_time: list[list[SSAValue]] = [[] for _ in range(seqs.time)]
    last: list[State] = []
    for d in range(seqs.directions):
        xw, step = direction(d)
        state = tuple(_initial(b, node, seqs, d, index) for index in initial)
        backward = d == 1 or node.attrs["direction"] == "reverse"
        order = range(seqs.time)
        for t in reversed(order) if backward else order:
            state = step(b.slice_axis(xw, 0, t * seqs.batch, seqs.batch), state)
            by_time[t].append(state[0])
        last.append(state)
    outputs: list[SSAValue | None] = []
    for i, declared in enumerate(node.outputs):
        if declared is None:
            outputs.append(None)
        elif i == 0:
            outputs.append(_sequence(b, seqs, by_time))
        else:
            outputs.append(_stack(b, seqs, [state[i - 1] for state in last]))
    return outputs


def _initial(b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, index: int) -> SSAValue:
    """Initial state of direction ``d``, [B, H]; zeros when omitted."""
    shape = (seqs.batch, seqs.hidden)
    given = node.input(index)
    if given is None:
        return b.constant(np.zeros(shape, dtype_of(seqs.rows)), "zero_state")
    across = seqs.directions * seqs.hidden if seqs.batch_first else seqs.hidden
    offset = d * (seqs.hidden if seqs.batch_first else seqs.batch * seqs.hidden)
    return b.view(given, shape, (across, 1), offset)


def _sequence(b: GraphBuilder, seqs: Sequences, by_time: list[list[SSAValue]]) -> SSAValue:
    """Y [T, D, B, H], or [B, T, D, H] batch first."""
    rows = b.concat([h for states in by_time for h in states], 0)
    y = b.reshape(rows, (seqs.time, seqs.directions, seqs.batch, seqs.hidden))
    return b.transpose(y, [2, 0, 1, 3]) if seqs.batch_first else y


def _stack(b: GraphBuilder, seqs: Sequences, states: list[SSAValue]) -> SSAValue:
    """A last state [D, B, H], or [B, D, H] batch first."""
    y = b.reshape(b.concat(states, 0), (seqs.directions, seqs.batch, seqs.hidden))
    return b.transpose(y, [1, 0, 2]) if seqs.batch_first else y
