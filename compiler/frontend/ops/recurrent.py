"""LSTM, GRU and RNN: a loop over time, or a few steps written out.

The input products of all time steps are one ``graph.linear``. A step multiplies the state by the
recurrent weights, one constant that all steps of a direction share, so that one programmed matrix
serves them all, and ends in one or two maps. Weights that are computed make products of two
computed tensors instead.

    xw        = linear(x [T*B, I], W')          once a direction
    gates_t   = linear(h, R') + xw[t]           once a step
    h, c      = map(views of gates_t, state)

A sequence that is over keeps its state and yields zeros.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.ir import Block, Region, SSAValue
from xdsl.rewriter import InsertPoint

from ....dialects import graph
from ....dialects.body import BodyBuilder
from ....dialects.control import COUNTER
from ....dialects.types import dtype_of, shape_of
from ..derive_constants import derive
from ..graph_builder import GraphBuilder
from ..lowering import NotLowered, OnnxNode, constant_ints, lowers
from .activations import Activation, activations

#: Time steps up to which they are written out one by one.
WRITTEN_OUT = 4
State = tuple[SSAValue, ...]
#: One time step by a builder: from the input products of the step and the state to the next state.
Step = Callable[[GraphBuilder, SSAValue, State], State]


@dataclass(frozen=True, slots=True)
class Sequences:
    """The input of a recurrent node: rows [time*batch, features] and its sizes.

    ``lengths`` [batch, 1] are the steps of each sequence, where they are not all of them.
    """

    rows: SSAValue
    lengths: SSAValue | None
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

        def step(b: GraphBuilder, xw_t: SSAValue, state: State) -> State:
            product = _product(b, state[0], recur)
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
    gates = _matrix(b, node.required(2), d, slice(0, inner))
    candidate = _matrix(b, node.required(2), d, slice(inner, None))

    def step(b: GraphBuilder, xw_t: SSAValue, state: State) -> State:
        (h,) = state
        n = seqs.hidden
        both = _product(b, h, gates)
        z, r = _columns(b, both, n, 2)
        xz, xr, xh = _columns(b, xw_t, n, 3)
        body = b.body(r, xr, h)
        reset = b.map([r, xr, h], body.finish(body.mul(f(body, body.add(0, 1)), 2)))
        product = _product(b, reset, candidate)
        body = b.body(z, xz, product, xh, h)
        new = g(body, body.add(2, 3))
        return (b.map([z, xz, product, xh, h], body.finish(_blend(body, f, new, 4))),)

    return step


def _fused_gru_step(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, f: Activation, g: Activation
) -> Step:
    recur = _matrix(b, node.required(2), d)
    bias = _gru_recurrent_bias(b, node, d, seqs.hidden)

    def step(b: GraphBuilder, xw_t: SSAValue, state: State) -> State:
        (h,) = state
        product = _product(b, h, recur, bias)
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

    def step(b: GraphBuilder, xw_t: SSAValue, state: State) -> State:
        h, c = state
        gates = b.binary("add", _product(b, h, recur), xw_t)
        i, o, forget, new = _columns(b, gates, seqs.hidden, 4)
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
    return [_part(b, p, d, start * n, n) for start in (0, 2, 1)]


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
    """Sizes, lengths and rows of the input."""
    x = node.required(0)
    batch_first = bool(node.attrs["layout"])
    if batch_first:
        x = b.transpose(x, [1, 0, 2])
    time, batch, features = shape_of(x)
    directions, _, hidden = shape_of(node.required(2))
    rows = b.reshape(x, (time * batch, features))
    lengths = _lengths(b, node.input(4), time)
    return Sequences(rows, lengths, time, batch, hidden, directions, batch_first)


def _lengths(b: GraphBuilder, given: SSAValue | None, time: int) -> SSAValue | None:
    """The lengths as int64 [batch, 1]; None where all sequences have all steps."""
    if given is None:
        return None
    if b.is_constant(given) and set(constant_ints(b, given, "sequence_lens") or ()) <= {time}:
        return None
    return b.reshape(b.cast(given, np.dtype(np.int64)), (shape_of(given)[0], 1))


def _product(b: GraphBuilder, x: SSAValue, w: SSAValue, bias: SSAValue | None = None) -> SSAValue:
    """``x @ w + bias``, in arrays where ``w`` is stationary."""
    if b.is_constant(w):
        return b.linear(x, w, bias)
    y = b.contract(x, w)
    return y if bias is None else b.binary("add", y, bias)


def _matrix(b: GraphBuilder, w: SSAValue, d: int, rows: slice = slice(None)) -> SSAValue:
    """``rows`` of direction ``d`` of w [D, G*H, K] as a matrix [K, rows]."""
    _, height, k = shape_of(w)
    start, stop, _ = rows.indices(height)
    width = stop - start
    if b.is_constant(w):
        suffix = f"T{d}" if width == height else f"T{d}.{start}"
        return derive(b, [w], (k, width), lambda a: a[d, rows].T, suffix, is_view=True)
    return b.view(w, (k, width), (1, k), (d * height + start) * k)


def _part(b: GraphBuilder, value: SSAValue, d: int, start: int, size: int) -> SSAValue:
    """``value[d, start : start + size]`` of a [D, N] operand."""
    if b.is_constant(value):
        made = lambda a: a[d, start : start + size]  # noqa: E731
        return derive(b, [value], (size,), made, f"part{d}.{start}")
    return b.view(value, (size,), (1,), d * shape_of(value)[1] + start)


def _sum(b: GraphBuilder, x: SSAValue, y: SSAValue) -> SSAValue:
    """The sum of two parts of a bias, made at once where they are constants."""
    if b.is_constant(x) and b.is_constant(y):
        return derive(b, [x, y], shape_of(x), np.add, "sum")
    return b.binary("add", x, y)


def _project(
    b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, bias: SSAValue | None
) -> SSAValue:
    """The input products of all steps, [time*batch, gates*hidden]."""
    return _product(b, seqs.rows, _matrix(b, node.required(1), d), bias)


def _summed_bias(b: GraphBuilder, node: OnnxNode, d: int) -> SSAValue | None:
    """Input and recurrent bias of direction ``d`` added up, [gates*H]."""
    bias = node.input(3)
    if bias is None:
        return None
    n = shape_of(bias)[1] // 2
    return _sum(b, _part(b, bias, d, 0, n), _part(b, bias, d, n, n))


def _gru_input_bias(b: GraphBuilder, node: OnnxNode, d: int) -> SSAValue | None:
    """All of the bias but the recurrent one of the candidate, which the reset gate scales."""
    bias = node.input(3)
    if bias is None:
        return None
    n = shape_of(bias)[1] // 2
    inner = n // 3 * 2
    gates = _sum(b, _part(b, bias, d, 0, inner), _part(b, bias, d, n, inner))
    return _joined(b, [gates, _part(b, bias, d, inner, n - inner)])


def _gru_recurrent_bias(b: GraphBuilder, node: OnnxNode, d: int, hidden: int) -> SSAValue | None:
    bias = node.input(3)
    if bias is None:
        return None
    zeros = b.constant(np.zeros(2 * hidden, dtype_of(bias)), "no_bias")
    return _joined(b, [zeros, _part(b, bias, d, 5 * hidden, hidden)])


def _joined(b: GraphBuilder, parts: Sequence[SSAValue]) -> SSAValue:
    if all(b.is_constant(part) for part in parts):
        size = sum(shape_of(part)[0] for part in parts)
        return derive(b, parts, (size,), lambda *arrays: np.concatenate(arrays), "joined")
    return b.concat(parts, 0)


def _columns(b: GraphBuilder, x: SSAValue, width: int, count: int) -> list[SSAValue]:
    """x [B, count*width] cut into ``count`` views [B, width]."""
    rows, stride = shape_of(x)
    return [b.view(x, (rows, width), (stride, 1), k * width) for k in range(count)]


@dataclass(frozen=True, slots=True)
class _Direction:
    """What one direction needs: input products [time, batch, gates*hidden], its step, its start."""

    xw: SSAValue
    step: Step
    initial: State
    backward: bool


def _run(
    b: GraphBuilder,
    node: OnnxNode,
    seqs: Sequences,
    direction: Callable[[int], tuple[SSAValue, Step]],
    initial: Sequence[int],
) -> list[SSAValue | None]:
    """Run all directions over time; the outputs Y and the last value of each state."""
    ways = []
    for d in range(seqs.directions):
        xw, step = direction(d)
        xw = b.reshape(xw, (seqs.time, seqs.batch, shape_of(xw)[1]))
        state = tuple(_initial(b, node, seqs, d, index) for index in initial)
        ways.append(_Direction(xw, step, state, d == 1 or node.attrs["direction"] == "reverse"))
    over_time = _write_out if seqs.time <= WRITTEN_OUT else _loop
    stacks, last = over_time(b, seqs, ways)
    outputs: list[SSAValue | None] = []
    for i, declared in enumerate(node.outputs):
        if declared is None:
            outputs.append(None)
        elif i == 0:
            outputs.append(_sequence(b, seqs, stacks))
        else:
            outputs.append(_stack(b, seqs, [state[i - 1] for state in last]))
    return outputs


def _advance(
    b: GraphBuilder, seqs: Sequences, way: _Direction, t: SSAValue, state: State
) -> tuple[State, SSAValue]:
    """The state after time step ``t`` (a scalar), and what the step yields [batch, hidden]."""
    new = way.step(b, b.gather(way.xw, t), state)
    if seqs.lengths is None:
        return new, new[0]
    body = b.body(t, seqs.lengths)
    alive = b.map([t, seqs.lengths], body.finish(body.cmp("slt", 0, 1)))
    kept = tuple(_choose(b, alive, x, old) for x, old in zip(new, state, strict=True))
    zero = b.constant(np.zeros((), dtype_of(new[0])))
    return kept, _choose(b, alive, new[0], zero)


def _choose(b: GraphBuilder, alive: SSAValue, x: SSAValue, other: SSAValue) -> SSAValue:
    body = b.body(alive, x, other)
    return b.map([alive, x, other], body.finish(body.select(0, 1, 2)))


def _write_out(
    b: GraphBuilder, seqs: Sequences, ways: Sequence[_Direction]
) -> tuple[list[SSAValue], list[State]]:
    """All steps one by one: Y of each direction [time, batch, hidden], and its last state."""
    stacks, last = [], []
    for way in ways:
        state, rows = way.initial, []
        order = range(seqs.time)
        for t in reversed(order) if way.backward else order:
            state, row = _advance(b, seqs, way, b.constant(np.array(t)), state)
            rows.append(b.reshape(row, (1, seqs.batch, seqs.hidden)))
        if way.backward:
            rows.reverse()
        empty = b.fill(0, (0, seqs.batch, seqs.hidden), dtype_of(seqs.rows))
        stacks.append(b.concat(rows, 0) if rows else empty)
        last.append(state)
    return stacks, last


def _loop(
    b: GraphBuilder, seqs: Sequences, ways: Sequence[_Direction]
) -> tuple[list[SSAValue], list[State]]:
    """The same as a loop that carries all states and the rows of Y."""
    shape = (seqs.time, seqs.batch, seqs.hidden)
    empty = [b.fill(0, shape, dtype_of(seqs.rows)) for _ in ways]
    states = [value for way in ways for value in way.initial]
    carried = [*states, *empty]
    block = Block(arg_types=[COUNTER, *(value.type for value in carried)])
    counter, *arguments = block.args
    inner = b.at(InsertPoint.at_end(block))
    size = len(ways[0].initial)
    new_states: list[SSAValue] = []
    stacks: list[SSAValue] = []
    for d, way in enumerate(ways):
        t = _backwards(inner, counter, seqs.time) if way.backward else counter
        state: State = tuple(arguments[d * size : (d + 1) * size])
        state, row = _advance(inner, seqs, way, t, state)
        new_states += state
        stacks.append(inner.update(arguments[len(states) + d], t, row))
    block.add_op(graph.YieldOp.create(operands=[*new_states, *stacks]))
    op = graph.LoopOp.make(carried, Region(block), seqs.time)
    b.insert(op)
    results: list[SSAValue] = list(op.results)
    last: list[State] = [tuple(results[d * size : (d + 1) * size]) for d in range(len(ways))]
    return results[len(states) :], last


def _backwards(b: GraphBuilder, counter: SSAValue, time: int) -> SSAValue:
    body = b.body(counter)
    return b.map([counter], body.finish(body.sub(body.const(time - 1, "i64"), 0)))


def _initial(b: GraphBuilder, node: OnnxNode, seqs: Sequences, d: int, index: int) -> SSAValue:
    """Initial state of direction ``d``, [B, H]; zeros when omitted."""
    shape = (seqs.batch, seqs.hidden)
    given = node.input(index)
    if given is None:
        return b.constant(np.zeros(shape, dtype_of(seqs.rows)), "zero_state")
    across = seqs.directions * seqs.hidden if seqs.batch_first else seqs.hidden
    offset = d * (seqs.hidden if seqs.batch_first else seqs.batch * seqs.hidden)
    return b.view(given, shape, (across, 1), offset)


def _sequence(b: GraphBuilder, seqs: Sequences, stacks: Sequence[SSAValue]) -> SSAValue:
    """Y [T, D, B, H], or [B, T, D, H] batch first."""
    shape = (seqs.time, 1, seqs.batch, seqs.hidden)
    y = b.concat([b.reshape(stack, shape) for stack in stacks], 1)
    return b.transpose(y, [2, 0, 1, 3]) if seqs.batch_first else y


def _stack(b: GraphBuilder, seqs: Sequences, states: list[SSAValue]) -> SSAValue:
    """A last state [D, B, H], or [B, D, H] batch first."""
    y = b.reshape(b.concat(states, 0), (seqs.directions, seqs.batch, seqs.hidden))
    return b.transpose(y, [1, 0, 2]) if seqs.batch_first else y
