"""Verdicts are kept for equal operations only: whatever changes is looked at again."""

from collections.abc import Callable

import pytest
from xdsl.dialects import arith
from xdsl.dialects.builtin import ModuleOp, f64, i1
from xdsl.ir import Operation

from semc.compiler.context import CompilerContext, new_context, say_unchanged
from semc.compiler.parse import parse_module
from semc.compiler.pipeline import run_passes
from semc.compiler.verify import verify_module
from semc.dialects.interned import int_attr, ints_attr
from semc.dialects.types import tensor_type
from semc.errors import IRError

TEXT = """
func.func @main(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %0 = graph.map(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32> {
  ^bb0(%a: f32):
    %c = arith.constant 2.0 : f32
    %b = arith.mulf %a, %c : f32
    graph.yield %b : f32
  }
  %1 = graph.reduce(%0) kind = sum, axes = [1] : (tensor<4x8xf32>) -> tensor<4xf32>
  %2 = graph.view(%1) offset = 0, strides = [1] : (tensor<4xf32>) -> tensor<4xf32>
  func.return %2 : tensor<4xf32>
}
"""


def module_of() -> tuple[ModuleOp, CompilerContext, dict[str, Operation]]:
    ctx = new_context()
    module = parse_module(TEXT, ctx, "test.mlir")
    return module, ctx, {op.name: op for op in module.walk()}


def change_axes(ops: dict[str, Operation]) -> None:
    ops["graph.reduce"].properties["axes"] = ints_attr((2,))


def change_result(ops: dict[str, Operation]) -> None:
    ops["graph.reduce"].results[0]._type = tensor_type((5,), "f4")


def drop_property(ops: dict[str, Operation]) -> None:
    del ops["graph.view"].properties["strides"]


def add_property(ops: dict[str, Operation]) -> None:
    ops["graph.view"].properties["speed"] = int_attr(1)


def retype_constant(ops: dict[str, Operation]) -> None:
    ops["arith.constant"].results[0]._type = f64


def swap_in_body(ops: dict[str, Operation]) -> None:
    """The body reads what another function's would."""
    ops["arith.mulf"].operands[0] = ops["graph.reduce"].results[0]


def replace_in_body(ops: dict[str, Operation]) -> None:
    block = ops["arith.mulf"].parent
    assert block is not None
    index = arith.ConstantOp.from_int_and_width(1, 32)
    block.insert_op_before(index, ops["graph.yield"])
    ops["graph.yield"].operands[0] = index.results[0]


@pytest.mark.parametrize(
    "change",
    [
        change_axes,
        change_result,
        drop_property,
        add_property,
        retype_constant,
        swap_in_body,
        replace_in_body,
    ],
)
def test_what_was_right_and_is_changed_is_refused(
    change: Callable[[dict[str, Operation]], None],
) -> None:
    module, _, ops = module_of()
    for _ in range(2):
        verify_module(module)
    verify_module(module_of()[0])  # an equal one besides
    change(ops)
    with pytest.raises(IRError):
        verify_module(module)
    verify_module(module_of()[0])


def test_a_pass_that_changed_nothing_is_followed_by_no_verification(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module, ctx, _ = module_of()
    seen: list[str | None] = []
    monkeypatch.setattr(
        "semc.compiler.verify.verify_module", lambda _, after=None: seen.append(after)
    )
    run_passes(module, "fold-views,fold-views", ctx=ctx)
    assert seen == [None, "fold-views"]  # the first removes a whole view
    say_unchanged(ctx)
    run_passes(module, "fuse-maps", ctx=ctx)
    assert seen == [None, "fold-views", None, "fuse-maps"]
    run_passes(module, "fold-views", ctx=ctx, verify_input=False)
    assert seen == [None, "fold-views", None, "fuse-maps"]


def test_interned_attributes_are_one_object() -> None:
    assert int_attr(3) is int_attr(3)
    assert ints_attr([1, 2]) is ints_attr((1, 2))
    assert int_attr(1, i1) != int_attr(1)
