"""Runs every level on the same input and names the first node and level that differ.

The ``onnx`` level, run op by op on ONNX Runtime, is the reference; values are matched by their
ONNX names, which every lowering carries along.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ToleranceError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

    from .compiler.driver import Compilation

#: Largest error relative to the value's range that counts as equal (float32 sums reordered).
TOLERANCE = 1e-4

Values = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class LevelCheck:
    """One level against the reference: values compared, the worst error and the first beyond."""

    level: str
    compared: int
    max_rel_error: float
    first_node: str | None = None
    first_value: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "compared": self.compared,
            "max_rel_error": self.max_rel_error,
            "first_node": self.first_node,
            "first_value": self.first_value,
        }


def check_levels(
    compilation: "Compilation", inputs: Mapping[str, np.ndarray], tolerance: float = TOLERANCE
) -> list[LevelCheck]:
    """Compare all kept levels and the program itself on ``inputs`` (one array an input)."""
    weights = compilation.context.weights
    reference, nodes = _run_onnx(compilation.levels["onnx"], inputs, weights)
    checks = []
    for level, module in compilation.levels.items():
        if level in ("graph", "tile"):
            found = _run_function(module, inputs, weights)
        elif level == "place":
            found = _run_placed(module, inputs, weights)
        else:
            continue
        checks.append(_compare(level, found, reference, nodes, tolerance))
    found = _run_program(compilation, inputs)
    checks.append(_compare(compilation.last_level, found, reference, nodes, tolerance))
    return checks


def refuse_differences(checks: list[LevelCheck]) -> None:
    """Raise ToleranceError naming the first node and level that differ, if any does."""
    for check in checks:
        if check.first_value is not None:
            raise ToleranceError(
                f"value {check.first_value!r} must be the same at every level: at level "
                f"{check.level} it differs by {check.max_rel_error:.3g} of its range",
                where=f"node {check.first_node!r}",
                help="the pass that makes this level lowers this node wrongly: please report it",
            )


def _compare(
    level: str, found: Values, reference: Values, nodes: Mapping[str, str], tolerance: float
) -> LevelCheck:
    from .runtime.compare import compare

    found = dict(_channels_first(name, array) for name, array in found.items())
    worst, first = 0.0, None
    names = [name for name in reference if name in found]
    for name in names:
        error = compare(found[name].reshape(reference[name].shape), reference[name]).max_rel_error
        worst = max(worst, error)
        if first is None and not error <= tolerance:
            first = name
            worst = error
            break
    return LevelCheck(level, len(names), worst, nodes.get(first) if first else None, first)


def _channels_first(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """An ONNX value as the model has it."""
    from .dialects.attributes import CHANNELS_LAST

    if not name.endswith(CHANNELS_LAST):
        return name, array
    return name.removesuffix(CHANNELS_LAST), np.moveaxis(array, -1, 1)


def _run_onnx(
    module: "ModuleOp", inputs: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> tuple[Values, dict[str, str]]:
    """Every ONNX value, and the node that makes it."""
    from xdsl.dialects.func import ReturnOp

    from .compiler.frontend.host_node import host_node_model, host_node_operands
    from .compiler.frontend.import_onnx import input_names, output_names
    from .dialects.attributes import WeightAttr, node_names, table_of
    from .dialects.functions import main_function
    from .dialects.graph import ConstantOp
    from .runtime.execute.host import run_host

    main = main_function(module)
    values: dict[Any, np.ndarray] = {
        arg: inputs[name] for name, arg in zip(input_names(main), main.body.block.args, strict=True)
    }
    named: Values = {}
    nodes: dict[str, str] = {}
    for op in main.body.block.ops:
        if isinstance(op, ConstantOp):
            attr = op.value
            stored = isinstance(attr, WeightAttr)
            values[op.result] = weights[attr.data] if stored else table_of(attr)  # type: ignore[attr-defined,arg-type]
        elif isinstance(op, ReturnOp):
            returned = zip(output_names(main), op.operands, strict=True)
            named |= {name: values[value] for name, value in returned}
        else:
            operands = [values[x] for x in host_node_operands(op)]
            results = run_host(host_node_model(op), operands)
            for result, array, name in zip(op.results, results, _names_of(op), strict=True):
                values[result] = array
                if name:
                    named[name] = array
                    nodes[name] = " + ".join(node_names(op))
    return named, nodes


def _names_of(op: Any) -> list[str]:
    """ONNX names of an op's results, empty where there is none."""
    if (one := op.attributes.get("value")) is not None:
        return [one.data]
    if (several := op.attributes.get("values")) is not None:
        return [name.data for name in several.data]
    return [""] * len(op.results)


def _run_function(
    module: "ModuleOp", inputs: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> Values:
    from .compiler.frontend.import_onnx import input_names, output_names
    from .dialects.functions import main_function
    from .runtime.interpret.interpret import interpret_function

    main = main_function(module)
    found: Values = {}

    def observe(op: Any, operands: list[np.ndarray], results: list[np.ndarray]) -> None:
        for name, array in zip(_names_of(op), results, strict=False):
            if name:
                found[name] = array

    arguments = [inputs[name] for name in input_names(main)]
    outputs = interpret_function(main, arguments, weights, observe)
    return found | dict(zip(output_names(main), outputs, strict=True))


def _run_placed(
    module: "ModuleOp", inputs: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]
) -> Values:
    from .runtime.interpret.place import interpret_placed

    found: Values = {}
    outputs = interpret_placed(module, inputs, weights, lambda n, a: found.update({n: a.copy()}))
    return found | outputs


def _run_program(compilation: "Compilation", inputs: Mapping[str, np.ndarray]) -> Values:
    from .runtime.simulate import decode, executor_for

    found: Values = {}
    executor = executor_for(decode(compilation.program), "exact", 0)
    outputs = executor.run(dict(inputs), observe=lambda n, a: found.update({n: a.copy()}))
    return found | outputs
