"""A random model over the compiler and the simulator, compared with what is expected."""

import tempfile
import traceback
from pathlib import Path

import numpy as np
import onnx

import semc
from semc.errors import CapacityError, ModelError

from .model_draw import RandomModel, value_info
from .oracle import Value, is_real, tolerance

TARGETS = ("memcap-demo", "memcap-phone", "mesh-small")


class Mismatch(AssertionError):
    """``signature`` tells failures apart: what went wrong, and at which operator or line."""

    def __init__(self, signature: tuple[str, ...], detail: str) -> None:
        super().__init__(f"{' | '.join(signature)}: {detail}")
        self.signature, self.detail = signature, detail


def check(model: RandomModel, target: str) -> str:
    """``agrees``, or what the target cannot do. Raises Mismatch."""
    try:
        outputs = run(model.proto, model.inputs, target)
    except CapacityError:
        return "does not fit"
    except ModelError as error:
        if error.message == "weights must be finite":  # no charge is infinite
            return "has weights that are not finite"
        raise _fault(error) from error
    except Exception as error:  # a fault of ours, whatever it is
        raise _fault(error) from error
    names = [output.name for output in model.proto.graph.output]
    if list(outputs) != names:
        raise Mismatch(("names",), f"{list(outputs)}, not {names}")
    for value in model.outputs:
        why = difference(outputs[value.name], value)
        if why:
            raise Mismatch(("differs", *_blame(model, target)), f"{value.name}: {why}")
    return "agrees"


def _fault(error: Exception) -> Mismatch:
    return Mismatch(("error", type(error).__name__, _origin(error)), str(error))


def check_each_level(model: RandomModel, target: str) -> str:
    """The same for all levels of the compiler, each executed, against the operators one by one.

    Errors are relative to a value's range, and so is the tolerance: far from that of ``check``.
    """
    from semc.check_levels import check_levels
    from semc.compiler.driver import CompileOptions, compile_model

    half = any(is_real(v.dtype) and v.dtype.itemsize == 2 for v in model.values.values())
    try:
        compilation = compile_model(model.proto, CompileOptions(target=target, keep_levels=True))
        with np.errstate(all="ignore"):
            levels = check_levels(compilation, model.inputs, 5e-2 if half else 1e-3)
    except CapacityError:
        return "does not fit"
    except Exception as error:  # a fault of ours, as above
        raise _fault(error) from error
    for found in levels:
        if found.first_value is not None:
            detail = f"{found.first_value} by {found.max_rel_error:.3g} of its range"
            operators = {node.name: node.op_type for node in model.proto.graph.node}
            kind = operators.get(found.first_node or "", "fused")
            raise Mismatch(("level", found.level, kind), detail)
    return "agrees at each level"


def run(
    proto: onnx.ModelProto, inputs: dict[str, np.ndarray], target: str
) -> dict[str, np.ndarray]:
    """The outputs of the program as read back from its file."""
    program = semc.compile(proto, target)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.semc"
        program.save(path)
        return semc.simulate(semc.load(path), inputs, mode="exact").outputs


def difference(found: np.ndarray, value: Value) -> str:
    """How ``found`` differs by more than rounding; empty where it does not."""
    expected = value.array
    if found.shape != expected.shape:
        return f"shape {found.shape}, not {expected.shape}"
    if found.dtype != expected.dtype:
        return f"type {found.dtype}, not {expected.dtype}"
    if not is_real(expected.dtype):
        wrong = found != expected
        allowed: np.ndarray | float = 0
    else:
        a, b = found.astype(np.float64), expected.astype(np.float64)
        allowed = tolerance(value)
        with np.errstate(invalid="ignore"):
            near = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= allowed)
        wrong = ~near
    if not wrong.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    limit = np.broadcast_to(allowed, expected.shape)[at]
    return (
        f"{int(wrong.sum())} of {wrong.size} elements; at {list(at)} {found[at]!r}, "
        f"not {expected[at]!r} (within {limit:.3g})"
    )


def _blame(model: RandomModel, target: str) -> tuple[str, ...]:
    """Operator and element type of the first value that differs when each one is an output."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    del proto.graph.output[:]
    proto.graph.output.extend(
        value_info(model.values[name]) for node in proto.graph.node for name in node.output if name
    )
    try:
        outputs = run(proto, model.inputs, target)
    except Exception as error:  # then this tells more than nothing
        return ("fused", type(error).__name__)
    for node in proto.graph.node:
        for name in node.output:
            if name and difference(outputs[name], model.values[name]):
                return (node.op_type, str(model.values[name].dtype))
    return ("fused",)


def _origin(error: BaseException) -> str:
    """The innermost line of semc in the traceback, or the message of a refusal."""
    frames = [
        f for f in traceback.extract_tb(error.__traceback__) if "random_models" not in f.filename
    ]
    own = [f for f in frames if "site-packages" not in f.filename]
    last = (own or frames)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"
