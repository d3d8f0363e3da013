"""The pal dialect from Python: built ops verify, print, and parse back to equal ones."""

import io

import pytest
from xdsl.context import Context
from xdsl.dialects.arith import AddfOp
from xdsl.dialects.builtin import BFloat16Type, Float32Type, ModuleOp, TensorType
from xdsl.dialects.test import Test
from xdsl.dialects.test import TestOp as AnyOp
from xdsl.ir import Block, Region
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import is_side_effect_free
from xdsl.utils.exceptions import ParseError, VerifyException

from semc.dialects import pal as dialect
from semc.dialects import register_dialects
from semc.dialects.pal import (
    DecodeOp,
    EncodeOp,
    MachineOp,
    MatmulOp,
    TaskOp,
    TransferOp,
    YieldOp,
    block_axis,
    is_packed,
    packed_type,
    product_shape,
)

TENSOR = TensorType(Float32Type(), [4, 64])


def new_context() -> Context:
    ctx = Context()
    register_dialects(ctx)
    ctx.load_dialect(Test)
    return ctx


def small_schedule() -> ModuleOp:
    """Two tasks on two devices with the transfer between, and one PAL product."""
    x = AnyOp(result_types=[TENSOR, TensorType(Float32Type(), [64, 8])])
    a = EncodeOp(x.res[0], "pal8", axis=1, search=0)
    b = EncodeOp(x.res[1], "pal4", axis=0)
    product = MatmulOp(a, b, exact=True)
    back = DecodeOp(a, BFloat16Type())
    first = task("fc1", "spu0", 0, 100, x.res[0])
    move = TransferOp(first.outputs[0], "spu0", "cpu0", 1024, 100, 250)
    second = task("fc2", "cpu0", 250, 300, move.result)
    machine = MachineOp("mesh-small", ["cpu0", "spu0"])
    return ModuleOp([machine, x, a, b, product, back, first, move, second])


def task(node: str, device: str, start_ps: int, finish_ps: int, value: object) -> TaskOp:
    block = Block(arg_types=[TENSOR])
    total = AddfOp(block.args[0], block.args[0])
    block.add_ops([total, YieldOp(total)])
    return TaskOp(node, device, "fp32", start_ps, finish_ps, [value], [TENSOR], Region(block))


@pytest.mark.parametrize("generic", [False, True])
def test_a_built_schedule_survives_its_text(generic: bool) -> None:
    module = small_schedule()
    module.verify()
    text = io.StringIO()
    Printer(text, print_generic_format=generic).print_op(module)
    again = Parser(new_context(), text.getvalue()).parse_module()
    again.verify()
    assert module.is_structurally_equivalent(again)


def test_the_sample_of_the_grammar_is_valid() -> None:
    sample = (dialect.__doc__ or "").partition("A sample:")[2]
    module = Parser(
        new_context(), '%x = "test.op"() : () -> tensor<4x8xf32>' + sample
    ).parse_module()
    module.verify()
    assert [op.name for op in module.ops][1:] == ["pal.machine", "pal.task", "pal.transfer"]


def test_results_have_the_computed_types() -> None:
    _, _, a, b, product, back, *_ = small_schedule().ops
    assert a.results[0].type == packed_type([4, 64], "pal8", 1)
    assert is_packed(b.results[0].type)
    assert block_axis(b.results[0].type) == 0
    assert product.results[0].type == TensorType(Float32Type(), [4, 8])
    assert back.results[0].type == TensorType(BFloat16Type(), [4, 64])
    assert not is_packed(back.results[0].type)


def test_what_only_computes_may_be_removed() -> None:
    machine, _, *computing = small_schedule().ops
    assert all(is_side_effect_free(op) for op in computing)
    assert not is_side_effect_free(machine)


def test_a_task_on_a_device_that_is_not_there_is_refused() -> None:
    module = ModuleOp([MachineOp("mesh", ["cpu0"]), x := AnyOp(result_types=[TENSOR])])
    module.body.block.add_op(task("fc", "gpu7", 0, 1, x.res[0]))
    with pytest.raises(VerifyException, match="'gpu7', which is none of cpu0"):
        module.verify()


def test_a_task_that_begins_before_its_operand_is_there_is_refused() -> None:
    x = AnyOp(result_types=[TENSOR])
    first = task("a", "cpu0", 0, 10, x.res[0])
    module = ModuleOp([x, first, task("b", "cpu0", 9, 20, first.outputs[0])])
    with pytest.raises(VerifyException, match="ready at 10 ps, after the start at 9 ps"):
        module.verify()


def test_block_arguments_have_the_types_of_the_operands() -> None:
    x = AnyOp(result_types=[TensorType(Float32Type(), [4])])
    module = ModuleOp([x, task("a", "cpu0", 0, 10, x.res[0])])
    with pytest.raises(VerifyException, match="the block arguments must have the types of"):
        module.verify()


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        ((4, 8), (8, 2), (4, 2)),
        ((3, 4, 8), (8, 2), (3, 4, 2)),
        ((1, 4, 8), (5, 8, 2), (5, 4, 2)),
        ((7, 1, 4, 8), (5, 8, 2), (7, 5, 4, 2)),
        ((0, 4, 8), (1, 8, 2), (0, 4, 2)),
    ],
)
def test_shapes_of_products(
    a: tuple[int, ...], b: tuple[int, ...], result: tuple[int, ...]
) -> None:
    assert product_shape(a, b) == result


@pytest.mark.parametrize(
    "text",
    ['!pal.num<"pal9">', "!pal.num<8>", '!pal.num<"pal8"', "#pal.blocks<-1>", "#pal.blocks<x>"],
)
def test_malformed_types_do_not_parse(text: str) -> None:
    with pytest.raises((ParseError, VerifyException)):
        Parser(new_context(), text).parse_attribute()
