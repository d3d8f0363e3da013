"""How much work a kernel is: counted once, for reports, schedules, time and energy.

Counts are exact for the arithmetic that the kernel's definition names; a multiply-accumulate is one
``mac``. Bytes are those of the operands read and the result written, once each.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from math import prod

from .kernel import Body, Kernel

Shape = tuple[int, ...]

#: A compare-exchange of (value, position) pairs: one comparison and four selects.
EXCHANGE_ADDS = 5

_FREE = {"constant", "unrealized_conversion_cast", "bitcast"}
_MULTIPLIES = {"mulf", "muli"}
#: Everything else that is not in these sets is a special function.
_SIMPLE = {
    "addf", "subf", "negf", "maximumf", "minimumf", "maxnumf", "minnumf", "addi", "subi",
    "maxsi", "maxui", "minsi", "minui", "andi", "ori", "xori", "shli", "shrsi", "shrui", "cmpf",
    "cmpi", "select", "extf", "truncf", "extsi", "extui", "trunci", "fptosi", "fptoui", "sitofp",
    "uitofp", "absf", "absi", "ceil", "floor", "trunc", "round", "roundeven", "copysign",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """Operation counts: ``macs``, ``adds`` (also compares, selects, casts), ``muls``, ``specials``
    (division, roots, exponentials ...) and ``bytes_moved``."""

    macs: int = 0
    adds: int = 0
    muls: int = 0
    specials: int = 0
    bytes_moved: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(*[getattr(self, f.name) + getattr(other, f.name) for f in fields(self)])

    def times(self, runs: float) -> "Work":
        """The work of ``runs`` repetitions, rounded to whole operations."""
        return Work(*[round(getattr(self, f.name) * runs) for f in fields(self)])

    def by_class(self, results: int) -> dict[str, int]:
        """Scalar operations of a vector engine by class, for a kernel of ``results`` elements.

        A kernel that computes nothing moves them.
        """
        return {
            "add": self.adds + self.macs,
            "mul": self.muls + self.macs,
            "special": self.specials,
            "move": 0 if self.operations else results,
        }

    @property
    def elementwise(self) -> int:
        """Operations that are not multiply-accumulates."""
        return self.adds + self.muls + self.specials

    @property
    def operations(self) -> int:
        """MACs and element-wise operations together, as shares of work are counted."""
        return self.macs + self.elementwise


@lru_cache(maxsize=4096)
def body_work(body: Body) -> tuple[int, int, int]:
    """(adds, muls, specials) of one element of a map."""
    adds = sum(op.name in _SIMPLE for op in body.ops)
    muls = sum(op.name in _MULTIPLIES for op in body.ops)
    free = sum(op.name in _FREE for op in body.ops)
    return adds, muls, len(body.ops) - adds - muls - free


def kernel_work(
    kernel: Kernel, ins: Sequence[Shape], outs: Sequence[Shape], bytes_moved: int = 0
) -> Work:
    """Work of one kernel on operands of shapes ``ins`` with results ``outs``.

    A host kernel counts its output elements as adds; see :func:`host_macs` for its products.
    """
    n = sum(prod(s) for s in outs)
    attrs = kernel.attrs
    match kernel.kind:
        case "map":
            adds, muls, specials = body_work(attrs["body"])
            return Work(0, n * adds, n * muls, n * specials, bytes_moved)
        case "contract":
            return Work(macs=n * ins[0][-1], bytes_moved=bytes_moved)
        case "resample":
            return Work(macs=n * ins[1][1], bytes_moved=bytes_moved)
        case "window" if attrs["kind"] == "dot":
            return Work(macs=n * prod(ins[1][1:]), bytes_moved=bytes_moved)
        case "window" if attrs["kind"] in ("max", "mean"):
            scale = n if attrs["kind"] == "mean" else 0
            return Work(adds=n * prod(attrs["kernel"]), muls=scale, bytes_moved=bytes_moved)
        case "reduce":
            return Work(
                adds=prod(ins[0]), muls=n if attrs["kind"] == "mean" else 0, bytes_moved=bytes_moved
            )
        case "cumulate" | "host":
            return Work(adds=n, bytes_moved=bytes_moved)
        case "argsort":
            exchanges = selection_exchanges(ins[0][attrs["axis"]], attrs["count"])
            lines = prod(ins[0]) // max(ins[0][attrs["axis"]], 1)
            return Work(adds=lines * exchanges * EXCHANGE_ADDS, bytes_moved=bytes_moved)
        case "scatter" if attrs["reduction"] != "none":
            return Work(adds=prod(ins[2]), bytes_moved=bytes_moved)
        case _:
            return Work(bytes_moved=bytes_moved)


def selection_exchanges(n: int, count: int) -> int:
    """Compare-exchanges of a bitonic network that sorts the first ``count`` of ``n`` elements.

    Runs of K elements are sorted, K log K (log K + 1) / 4 each; then, while there are several, each
    pair leaves its better half (K) and puts it in order (K log K / 2). Sizes are rounded up to
    powers of two, as the network needs (Batcher 1968).
    """
    if min(n, count) == 0:
        return 0
    run_bits, all_bits = (count - 1).bit_length(), (n - 1).bit_length()
    run, whole = 1 << run_bits, 1 << all_bits
    sorting = whole * run_bits * (run_bits + 1) // 4
    return sorting + (whole - run) + (whole - run) * run_bits // 2


def mvm_work(groups: int, rows: int, cols: int, positions: int, bytes_moved: int = 0) -> Work:
    """Work of a matrix-vector product over ``positions`` rows of x."""
    return Work(macs=groups * rows * cols * positions, bytes_moved=bytes_moved)


def host_key(model: bytes) -> str:
    """A short name of a host kernel by its content, to keep figures about it beside a program."""
    return hashlib.sha256(model).hexdigest()[:16]


@lru_cache(maxsize=256)
def host_macs(model: bytes) -> int:
    """Multiply-accumulates of a host kernel's ``model``; 0 for operators that are no products.

    The model knows the shapes of all operands, constants built into it included.
    """
    import onnx

    try:
        graph = onnx.load_model_from_string(model).graph
    except Exception:  # protobuf's DecodeError, from a package without types: no model
        return 0
    shapes: dict[str, Shape] = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    macs = 0
    for node in graph.node:
        try:
            ins, outs = (
                [shapes[name] if name else () for name in side]
                for side in (node.input, node.output)
            )
        except KeyError:  # between nodes that only the host knows the values of
            continue
        macs += _node_macs(node.op_type, ins, outs)
    return macs


def _node_macs(op: str, ins: Sequence[Shape], outs: Sequence[Shape]) -> int:
    match op:
        case "Conv" | "ConvInteger" | "QLinearConv":
            weight = ins[3] if op == "QLinearConv" else ins[1]
            return prod(outs[0]) * prod(weight[1:])
        case "ConvTranspose":
            return prod(ins[0]) * prod(ins[1][1:])
        case "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul":
            return prod(outs[0]) * ins[0][-1]
        case "LSTM" | "GRU" | "RNN":
            steps_batch = prod(ins[0][:2])
            return steps_batch * (prod(ins[1]) + prod(ins[2]))
        case _:
            return 0
