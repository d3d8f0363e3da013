"""The interpreter of the graph and tile levels: order, lifetimes, handles, refusals."""

import numpy as np
import pytest
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation

from semc.compiler.parse import parse_module
from semc.errors import InputError, IRError
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import context

GRAPH = """
func.func @main(%x: tensor<2x3xf32>) -> (tensor<2x4xf32>, tensor<2xi64>) {
  %w = graph.constant #graph.weight<"w"> : tensor<3x4xf32>
  %b = graph.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %y = graph.linear(%x, %w, %b)
    : (tensor<2x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %s = graph.softmax %y axis 1 : tensor<2x4xf32> -> tensor<2x4xf32>
  %i = graph.reduce(%s) kind = argmax, axes = [1] : (tensor<2x4xf32>) -> tensor<2xi64>
  func.return %s, %i : tensor<2x4xf32>, tensor<2xi64>
}
"""

TILE = """
func.func @main(%x: tensor<{g}5x3xf32>) -> tensor<{g}5x4xf32> {{
  %m = tile.program <"w"> : !tile.crossbar<{n}x3x4>
  %y = tile.mvm %m, %x : (!tile.crossbar<{n}x3x4>, tensor<{g}5x3xf32>) -> tensor<{g}5x4xf32>
  func.return %y : tensor<{g}5x4xf32>
}}
"""


def main_of(text: str) -> FuncOp:
    module = parse_module(text, context(), "test.mlir")
    module.verify()
    (function,) = module.body.block.ops
    assert isinstance(function, FuncOp)
    return function


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_graph_function_and_observer() -> None:
    x, w = floats(2, 3), floats(3, 4)
    seen: list[tuple[str, list[tuple[int, ...]], list[tuple[int, ...]]]] = []

    def observe(op: Operation, ins: list[np.ndarray], outs: list[np.ndarray]) -> None:
        seen.append((op.name, [a.shape for a in ins], [a.shape for a in outs]))

    probabilities, best = interpret_function(main_of(GRAPH), [x], {"w": w}, observe)
    logits = x @ w + np.array([1, 2, 3, 4], np.float32)
    exact = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities, exact, 1e-5)
    np.testing.assert_array_equal(best, logits.argmax(1))
    assert seen[2] == ("graph.linear", [(2, 3), (3, 4), (4,)], [(2, 4)])
    assert [name for name, _, _ in seen[3:]] == ["graph.softmax", "graph.reduce"]


@pytest.mark.parametrize("groups", [1, 2])
def test_crossbars_stand_for_their_weights(groups: int) -> None:
    lead = (groups,) if groups > 1 else ()
    w, x = floats(groups, 3, 4), floats(*lead, 5, 3)
    text = TILE.format(g="2x" if groups > 1 else "", n=groups)
    (y,) = interpret_function(main_of(text), [x], {"w": w})
    np.testing.assert_allclose(y, (x @ w).reshape(*lead, 5, 4), 1e-5, 1e-6)


def test_a_value_lives_until_its_last_use() -> None:
    from semc.runtime.interpret.interpret import _last_uses

    function = main_of(GRAPH)
    ops = list(function.body.block.ops)
    dying = _last_uses(function.body.block)
    linear, softmax, reduce, last = ops[2:]
    assert dying[linear] == [function.body.block.args[0], *(op.results[0] for op in ops[:2])]
    assert dying[softmax] == [linear.results[0]]
    assert reduce not in dying
    assert set(dying[last]) == {softmax.results[0], reduce.results[0]}


def test_inputs_must_fit() -> None:
    function = main_of(GRAPH)
    with pytest.raises(InputError, match="1 arguments was given 0"):
        interpret_function(function, [], {})
    with pytest.raises(
        InputError, match=r"argument 0 must be float32\[2, 3\], not float64\[2, 3\]"
    ):
        interpret_function(function, [np.zeros((2, 3))], {})


def test_operations_of_other_levels_are_refused() -> None:
    text = """
    func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
      %y = arith.addf %x, %x : tensor<2xf32>
      func.return %y : tensor<2xf32>
    }
    """
    with pytest.raises(IRError, match=r"'arith.addf' cannot be interpreted"):
        interpret_function(main_of(text), [floats(2)], {})
