"""Comparing levels: all agree on a sound compilation; a broken one is named by node and level."""

from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, ModuleOp

from semc.check_levels import check_levels, refuse_differences
from semc.compiler.driver import Compilation, CompileOptions, compile_model
from semc.dialects.attributes import node_names
from semc.errors import ToleranceError


def _compile(examples: Path, target: str, model: str = "digits_cnn") -> Compilation:
    return compile_model(
        examples / f"{model}.onnx", CompileOptions(target=target, keep_levels=True)
    )


def _constants_of(module: ModuleOp, node: str) -> list[arith.ConstantOp]:
    """The constants of the scalar bodies that ``node`` has become: of a map, or of its slot."""
    found = []
    for op in module.walk():
        body = op.parent_op()
        slot = None if body is None else body.parent_op()
        around = [name for outer in (body, slot) if outer is not None for name in node_names(outer)]
        if isinstance(op, arith.ConstantOp) and node in around:
            found.append(op)
    return found


@pytest.fixture
def image() -> dict[str, np.ndarray]:
    return {"image": np.random.default_rng(0).random((1, 1, 8, 8), np.float32)}


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
def test_all_levels_agree(examples: Path, target: str, image: dict[str, np.ndarray]) -> None:
    checks = check_levels(_compile(examples, target), image)
    assert [c.level for c in checks[:3]] == ["graph", "tile", "place"]
    assert len(checks) == 4
    assert all(c.compared >= 5 and c.max_rel_error < 1e-5 for c in checks)
    refuse_differences(checks)


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-small"])
def test_values_that_a_loop_writes_are_compared_when_it_is_over(
    examples: Path, target: str, image: dict[str, np.ndarray]
) -> None:
    """``select`` is a row of a buffer that is cleared before the loop fills it."""
    checks = check_levels(_compile(examples, target, "digits_lstm"), image)
    assert checks[3].compared == 2
    refuse_differences(checks)


@pytest.mark.parametrize("level", ["graph", "tile", "place"])
def test_the_first_wrong_node_and_level_are_named(
    examples: Path, level: str, image: dict[str, np.ndarray]
) -> None:
    """The second rectifier clips at 1 instead of 0: everything before it still agrees."""
    compilation = _compile(examples, "memcap-demo")
    for constant in _constants_of(compilation.levels[level], "node_relu_1"):
        old = constant.value
        assert isinstance(old, FloatAttr)
        constant.properties["value"] = FloatAttr(1.0, old.type)
    checks = check_levels(compilation, image)
    wrong = [c for c in checks if c.first_value is not None]
    assert [c.level for c in wrong] == [level]
    assert wrong[0].first_node == "node_relu_1"
    with pytest.raises(ToleranceError, match=f"node_relu_1.*level {level}"):
        refuse_differences(checks)
