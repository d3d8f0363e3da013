"""Small memcap programs written by hand at the tile level, and their lowering."""

from collections.abc import Mapping

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from semc.backends.memcap.emit import emit_program
from semc.backends.program import Program
from semc.backends.targets import MemcapTarget, load_target
from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.compiler.pipeline import run_passes
from semc.compiler.weights import WeightStore

TO_ANALOG = "convert-tile-to-place{target=memcap-demo},check-placement,convert-place-to-analog"

#: y = -(x @ fc), the matrix in two layers of one stack.
TWO_LAYERS = """
func.func @main(%x: tensor<2x200xf32>) -> tensor<2x16xf32> {
  %m = tile.program <"fc"> tiles dense<[[0, 0, 128, 0, 16], [0, 128, 72, 0, 16]]> : tensor<2x5xi32>
    {sites = dense<[[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]> : tensor<2x5xi32>} : !tile.crossbar<1x200x16>
  %y = tile.mvm %m, %x {value = "fc_out"}
    : (!tile.crossbar<1x200x16>, tensor<2x200xf32>) -> tensor<2x16xf32>
  %r = tile.map(%y) {value = "negated"} : (tensor<2x16xf32>) -> tensor<2x16xf32> {
  ^bb0(%a: f32):
    %n = arith.negf %a : f32
    tile.yield %n : f32
  }
  func.return %r : tensor<2x16xf32>
}
"""

#: Two block matrices used twice each, a renaming view, a move-free chain that reuses bytes.
CHAIN = """
func.func @main(%x: tensor<2x3x8xf32>) -> (tensor<48xf32>, tensor<2x3x8xf32>) {
  %a = tile.program <"a"> tiles dense<[[0, 0, 8, 0, 8], [1, 0, 8, 0, 8]]> : tensor<2x5xi32>
    {sites = dense<[[0, 0, 0, 0, 0], [1, 1, 1, 0, 0]]> : tensor<2x5xi32>} : !tile.crossbar<2x8x8>
  %b = tile.program <"b"> tiles dense<[[0, 0, 8, 0, 8], [1, 0, 8, 0, 8]]> : tensor<2x5xi32>
    {sites = dense<[[2, 1, 1, 0, 0], [0, 0, 0, 8, 8]]> : tensor<2x5xi32>} : !tile.crossbar<2x8x8>
  %1 = tile.mvm %a, %x {value = "one"}
    : (!tile.crossbar<2x8x8>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %2 = tile.mvm %b, %1 : (!tile.crossbar<2x8x8>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %3 = tile.mvm %a, %2 : (!tile.crossbar<2x8x8>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %4 = tile.mvm %b, %3 {value = "four"}
    : (!tile.crossbar<2x8x8>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32>
  %5 = tile.view(%4) strides = [1] {value = "flat"} : (tensor<2x3x8xf32>) -> tensor<48xf32>
  %c = graph.constant #graph.weight<"c"> : tensor<2x3x8xf32>
  %6 = tile.map(%1, %c) : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<2x3x8xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    tile.yield %s : f32
  }
  func.return %5, %6 : tensor<48xf32>, tensor<2x3x8xf32>
}
"""


def demo_target() -> MemcapTarget:
    """The shipped demonstration chip."""
    target = load_target("memcap-demo")
    assert isinstance(target, MemcapTarget)
    return target


def chain_weights() -> dict[str, np.ndarray]:
    """Arrays for ``CHAIN``."""
    rng = np.random.default_rng(5)
    return {
        "a": rng.standard_normal((2, 8, 8)).astype(np.float32) / 3,
        "b": rng.standard_normal((2, 8, 8)).astype(np.float32) / 3,
        "c": rng.standard_normal((2, 3, 8)).astype(np.float32),
    }


def fc_weights() -> dict[str, np.ndarray]:
    """Arrays for ``TWO_LAYERS``."""
    rng = np.random.default_rng(3)
    return {"fc": rng.standard_normal((1, 200, 16)).astype(np.float32)}


def stored(arrays: Mapping[str, np.ndarray]) -> WeightStore:
    """``arrays`` in a weight store."""
    store = WeightStore()
    for name, array in arrays.items():
        assert store.add(name, array) == name
    return store


def lowered(text: str, store: WeightStore, passes: str = TO_ANALOG) -> ModuleOp:
    """The module in ``text`` after ``passes``."""
    ctx = new_context(store)
    module = parse_module(text, ctx, "test")
    run_passes(module, passes, ctx=ctx)
    return module


def compiled(text: str, arrays: Mapping[str, np.ndarray], passes: str = TO_ANALOG) -> Program:
    """The program of a tile-level module."""
    store = stored(arrays)
    return emit_program(lowered(text, store, passes), store, demo_target())
