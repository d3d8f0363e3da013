"""Devices of tile ops: what is worth a transfer, copies of matrices, memory, order."""

import re

import pytest

from semc.backends.targets import target_from_dict, target_to_dict
from semc.backends.targets.load import load_target
from semc.compiler.context import new_context
from semc.compiler.opt_main import print_module
from semc.compiler.parse import parse_module
from semc.compiler.passes import assign_devices
from semc.compiler.passes.assign_devices import AssignDevices
from semc.errors import CapacityError, TargetError

HEAD = "func.func @main(%x: tensor<512x1024xf32>) -> tensor<512x1024xf32> {"
LARGE = """
  %m = tile.program <"w"> : !tile.crossbar<1x1024x1024>
  %0 = tile.mvm %m, %x : (!tile.crossbar<1x1024x1024>, tensor<512x1024xf32>) -> tensor<512x1024xf32>
"""


def assign(text: str, target: str = "mesh-small") -> str:
    ctx = new_context()
    module = parse_module(text, ctx, "test")
    AssignDevices(target=target).apply(ctx, module)
    module.verify()
    return print_module(module)


def units(text: str, op: str) -> list[str]:
    return re.findall(rf"{op}[( ].*unit = \"(\w+)\"", text)


def test_a_host_op_stays_on_the_host() -> None:
    text = assign(
        HEAD
        + LARGE
        + """
  %1 = tile.host(%0) model = dense<[1]> : tensor<1xi8>
      : (tensor<512x1024xf32>) -> tensor<512x1024xf32>
  func.return %1 : tensor<512x1024xf32>
}"""
    )
    assert units(text, "tile.mvm") != ["cpu0"]
    assert units(text, "tile.host") == ["cpu0"]


def test_independent_products_are_spread_and_get_their_own_copy_of_the_matrix() -> None:
    text = assign(
        """
func.func @main(%x: tensor<4096x1024xf32>, %y: tensor<4096x1024xf32>)
    -> (tensor<4096x1024xf32>, tensor<4096x1024xf32>) {
  %m = tile.program <"w"> : !tile.crossbar<1x1024x1024>
  %0 = tile.mvm %m, %x : (!tile.crossbar<1x1024x1024>, tensor<4096x1024xf32>)
      -> tensor<4096x1024xf32>
  %1 = tile.mvm %m, %y : (!tile.crossbar<1x1024x1024>, tensor<4096x1024xf32>)
      -> tensor<4096x1024xf32>
  func.return %0, %1 : tensor<4096x1024xf32>, tensor<4096x1024xf32>
}"""
    )
    used = units(text, "tile.mvm")
    assert len(set(used)) == 2
    assert sorted(units(text, "tile.program")) == sorted(used)
    for device in used:
        handle = re.search(rf"(%\w+) = tile.program .*unit = \"{device}\"", text)
        assert handle is not None
        assert re.search(rf"tile.mvm {handle[1]}, .*unit = \"{device}\"", text)


def test_ops_are_ordered_by_start_and_stay_topological() -> None:
    # The chain on the host can run while the product is on its way, so it comes in between.
    text = assign(
        """
func.func @main(%x: tensor<512x1024xf32>, %s: tensor<4xf32>)
    -> (tensor<512x1024xf32>, tensor<4xf32>) {
  %m = tile.program <"w"> : !tile.crossbar<1x1024x1024>
  %0 = tile.mvm %m, %x : (!tile.crossbar<1x1024x1024>, tensor<512x1024xf32>) -> tensor<512x1024xf32>
  %1 = tile.mvm %m, %0 : (!tile.crossbar<1x1024x1024>, tensor<512x1024xf32>) -> tensor<512x1024xf32>
  %2 = tile.cumulate(%s) kind = sum, axis = 0 : (tensor<4xf32>) -> tensor<4xf32>
  %3 = tile.cumulate(%2) kind = sum, axis = 0 : (tensor<4xf32>) -> tensor<4xf32>
  func.return %1, %3 : tensor<512x1024xf32>, tensor<4xf32>
}"""
    )
    ops = re.findall(r"tile\.(mvm|cumulate)", text)
    assert ops == ["cumulate", "cumulate", "mvm", "mvm"]
    assert units(text, "tile.cumulate") == ["cpu0", "cpu0"]


def test_a_matrix_that_fits_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = target_to_dict(load_target("mesh-small"))
    for device in data["devices"]:
        device["memory_bytes"] = 100_000
    small = target_from_dict(data, "small")
    monkeypatch.setattr(assign_devices, "load_target", lambda name: small)
    with pytest.raises(CapacityError) as refused:
        assign(HEAD + LARGE + "func.return %0 : tensor<512x1024xf32> }")
    assert refused.value.demand == {"bytes": 1024 * 32 * 33}  # pal8: 33 bytes a block of 32
    assert refused.value.available == {"bytes": 4 * 90_000}


def test_a_view_of_an_input_or_a_constant_needs_no_task() -> None:
    text = assign(
        """
func.func @main(%x: tensor<4xf32>) -> tensor<2x2xf32> {
  %c = graph.constant dense<1.0> : tensor<4xf32>
  %0 = tile.view(%x) strides = [2, 1] : (tensor<4xf32>) -> tensor<2x2xf32>
  %1 = tile.view(%c) strides = [2, 1] : (tensor<4xf32>) -> tensor<2x2xf32>
  %2 = tile.map(%0, %1) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> {
  ^bb0(%a: f32, %b: f32):
    %r = arith.addf %a, %b : f32
    tile.yield %r : f32
  }
  func.return %2 : tensor<2x2xf32>
}"""
    )
    assert "tasks = 1 : i64" in text
    assert set(re.findall(r'unit = "(\w+)"', text)) == {"cpu0"}


def test_a_chip_has_no_devices() -> None:
    with pytest.raises(TargetError, match="memcap-demo is a chip"):
        assign("func.func @main() { func.return }", "memcap-demo")
