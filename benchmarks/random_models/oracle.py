"""What one node computes, and how far rounding may move its results.

The oracle runs each node alone, by ONNX Runtime without optimisations, or by the reference
evaluator where ONNX Runtime has no kernel. Beside the value itself it follows shadows: the same
chain of operators, with every result moved by a few units in the last place wherever an
implementation is free to round in another way. What the shadows differ by is what the model makes
of rounding errors; a value on which they disagree outright is chaotic.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from semc.runtime.execute.older_opset import older_models

from .operator_facts import (
    EXACT,
    FINITE,
    IN_FLOAT32,
    NAN_BY_ROUNDING,
    NEAR_ONE,
    NO_DOUBLE,
    NO_NAN,
    NO_ZERO,
    REFERENCE_FIRST,
    RUNTIME_ONLY,
    SCALED,
    SUMS,
)

#: Shadows of each inexact value: two pairs of opposite directions.
SHADOWS = 4
#: Units in the last place by which operands and results are moved where an operator may round in
#: its own way; they differ so that one cannot undo the other.
OPERAND_UNITS, RESULT_UNITS = 3.0, 5.0
#: Part of a tensor's largest magnitude that shadows may differ by, by bytes of the element type.
CHAOTIC = {2: 0.1, 4: 1e-3, 8: 1e-3}
#: A difference of this many times that of the shadows is an error.
SAFETY = 8.0


class Refused(Exception):
    """Neither runtime runs the node, or its results are of no use; the node is not taken."""


@dataclass(frozen=True)
class Value:
    """A tensor of the model: what it holds, and its shadows (none where it is exact)."""

    name: str
    array: np.ndarray
    shadows: tuple[np.ndarray, ...] = ()
    constant: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype

    @property
    def rank(self) -> int:
        return self.array.ndim


def is_real(dtype: np.dtype) -> bool:
    """Whether elements are floats, bfloat16 included (whose numpy kind is V)."""
    return dtype.kind == "f" or dtype == ml_dtypes.bfloat16


def compute(
    model: onnx.ModelProto, operands: Sequence[Value], seed: int
) -> list[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """Each output of the one-node ``model`` with its shadows. Raises Refused."""
    op_type = model.graph.node[0].op_type
    _refuse_undefined(op_type, operands)
    reference_only = any(
        v.dtype == ml_dtypes.bfloat16 or (op_type, str(v.dtype)) in IN_FLOAT32 for v in operands
    )
    run = _runner(model.SerializeToString(), reference_only)
    plain = run([value.array for value in operands])
    if op_type in NAN_BY_ROUNDING and any(np.isnan(y).any() for y in plain):
        raise Refused("the square root of a difference of squares")
    exact = _is_exact(model, operands, plain)
    if exact and not any(value.shadows for value in operands):
        return [(y, ()) for y in plain]
    rng = np.random.default_rng(seed)
    moved = []
    kept_names = model.graph.node[0].input[1:] if op_type in SCALED else []
    for pair in range(SHADOWS // 2):
        draws = rng.integers(0, 2**32, len(operands) + len(plain))
        for sign in (1, -1):
            given = []
            for value, draw in zip(operands, draws, strict=False):
                x = value.shadows[2 * pair + (sign < 0)] if value.shadows else value.array
                kept = exact or value.name in kept_names
                given.append(x if kept else perturbed(x, sign * OPERAND_UNITS, int(draw)))
            found = run(given)
            units = 1.0 if exact else RESULT_UNITS
            least = 0.2 if op_type in NEAR_ONE else 0.0
            moved.append(
                [
                    perturbed(y, sign * units, int(draw), least)
                    for y, draw in zip(found, draws[len(operands) :], strict=True)
                ]
            )
    results = []
    for y, shadows in zip(plain, zip(*moved, strict=True), strict=True):
        refuse_chaos(y, shadows)
        results.append((y, shadows if is_real(y.dtype) else ()))
    return results


def perturbed(x: np.ndarray, units: float, seed: int, least: float = 0.0) -> np.ndarray:
    """Floats moved by ``units`` in the last place, up or down by chance; all else as it is.

    Numbers smaller than ``least`` are moved as ``least`` would be.
    """
    if not is_real(x.dtype):
        return x
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), x.shape)
    step = float(ml_dtypes.finfo(x.dtype).eps) * units
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        move = step * signs * np.maximum(np.abs(wide), least)
        return np.asarray(np.where(np.isfinite(wide), wide + move, wide)).astype(x.dtype)


def refuse_chaos(y: np.ndarray, shadows: Sequence[np.ndarray]) -> None:
    """Raise Refused where shadows disagree about a discrete result or by a large part."""
    for shadow in shadows:
        if shadow.shape != y.shape:
            raise Refused("the shape depends on rounding")
        if not is_real(y.dtype):
            if not np.array_equal(y, shadow):
                raise Refused("chaotic")
            continue
        a, b = y.astype(np.float64), shadow.astype(np.float64)
        if not np.array_equal(np.isfinite(a), np.isfinite(b)):
            raise Refused("chaotic")
        kept = np.isfinite(a)
        scale = np.abs(a[kept]).max(initial=0.0)
        if np.abs(a[kept] - b[kept]).max(initial=0.0) > CHAOTIC[y.dtype.itemsize] * scale:
            raise Refused("chaotic")


def tolerance(value: Value) -> np.ndarray | float:
    """The largest error of each element that rounding explains; 0 where all must agree."""
    if not value.shadows:
        return 0.0
    x = value.array.astype(np.float64)
    with np.errstate(all="ignore"):
        gaps = [np.nan_to_num(np.abs(s.astype(np.float64) - x), posinf=0.0) for s in value.shadows]
        gap = np.maximum.reduce(gaps)
        widest = gap.max(initial=0.0)
        relative = np.where(gap > 0, gap / np.abs(x), 0.0).max(initial=0.0)
        usual = np.nan_to_num(np.minimum(widest, relative * np.abs(x)), nan=widest)
    smallest = float(ml_dtypes.finfo(value.dtype).smallest_subnormal)
    return SAFETY * np.maximum(gap, usual) + 2 * smallest


def _is_exact(
    model: onnx.ModelProto, operands: Sequence[Value], results: Sequence[np.ndarray]
) -> bool:
    (node,) = model.graph.node
    if not any(is_real(x.dtype) for x in (*results, *(value.array for value in operands))):
        return True
    if node.op_type in SUMS:
        real = [value.array for value in operands if is_real(value.dtype)]
        bound = float(max((x.size for x in real), default=1))
        for x in real:
            wide = x.astype(np.float64)
            if _has_fraction(wide):
                return False
            bound *= max(float(np.abs(wide).max(initial=0.0)), 1.0)
        scalars = [a.f for a in node.attribute if a.type == onnx.AttributeProto.FLOAT]
        whole = all(float(f).is_integer() and abs(f) <= 4 for f in scalars)
        steps = 1 / float(ml_dtypes.finfo(results[0].dtype).eps)
        square = 2 if node.op_type == "ReduceSumSquare" else 1
        return whole and 16 * bound**square < steps
    return node.op_type in EXACT


def _has_fraction(wide: np.ndarray) -> bool:
    """Whether any element is not a finite whole number."""
    return not bool((np.isfinite(wide) & (wide == np.rint(wide))).all())


def refuse_overflow(*values: Value) -> None:
    """Raise ``Refused`` where sums or products of these integers may overflow."""
    for value in values:
        wide = np.abs(value.array.astype(np.float64))
        if not is_real(value.dtype) and (wide > 2**20).any():
            raise Refused("what an overflow gives is not defined")


def _refuse_undefined(op_type: str, operands: Sequence[Value]) -> None:
    for value in operands:
        if not is_real(value.dtype):
            continue
        if op_type in NO_DOUBLE and value.dtype == np.float64:
            raise Refused("constants in float32")
        wide = value.array.astype(np.float64)
        if op_type in NO_ZERO and value is operands[-1] and (wide == 0).any():
            raise Refused("the sign of zero is not defined")
        if op_type in NO_NAN and np.isnan(wide).any():
            raise Refused("what NaN gives is not defined")
        if op_type in FINITE and not np.isfinite(wide).all():
            raise Refused("what infinities give is not defined")


@lru_cache(maxsize=512)
def _runner(data: bytes, reference_only: bool) -> Any:
    model = onnx.load_model_from_string(data)
    (node,) = model.graph.node
    session = None
    if not reference_only and node.op_type not in REFERENCE_FIRST:
        session = _session(model)
    if session is not None:
        names = [i.name for i in session.get_inputs()]

        def by_runtime(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
            try:
                return list(session.run(None, dict(zip(names, arrays, strict=True))))
            except Exception as error:  # ONNX Runtime's exception classes share no base
                raise Refused(f"ONNX Runtime: {error}") from None

        return by_runtime
    if model.opset_import[0].version < 13 or node.op_type in RUNTIME_ONLY:
        raise Refused("the reference evaluator is not to be believed here")
    names = [i.name for i in model.graph.input]

    def by_evaluator(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            with np.errstate(all="ignore"):
                found = ReferenceEvaluator(model).run(None, dict(zip(names, arrays, strict=True)))
        except Exception as error:  # whatever the operator raises
            raise Refused(f"reference evaluator: {error}") from None
        return [np.asarray(y) for y in found]

    return by_evaluator


def _session(model: onnx.ModelProto) -> Any:
    """A session at the model's operator set or an older one of the same meaning, or None."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for candidate in (model, *older_models(model)):
        try:
            session = onnxruntime.InferenceSession(candidate.SerializeToString(), options)
        except Exception:  # as above
            continue
        return None if any("bfloat16" in y.type for y in session.get_outputs()) else session
    return None
