"""The pal dialect from Python: built ops verify, print, and parse back to equal ones."""

import io

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import BFloat16Type, Float32Type, ModuleOp, TensorType
from xdsl.dialects.test import Test
from xdsl.dialects.test import TestOp as AnyOp
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import is_side_effect_free
from xdsl.utils.exceptions import ParseError, VerifyException

from semc.dialects import pal as dialect
from semc.dialects import register_dialects
from semc.dialects.pal import (
    DecodeOp,
    EncodeOp,
    MatmulOp,
    block_axis,
    is_packed,
    memory_of,
    packed_type,
    product_shape,
)


def new_context() -> Context:
    ctx = Context()
    register_dialects(ctx)
    ctx.load_dialect(Test)
    return ctx


def numbers() -> ModuleOp:
    """One PAL product and a decoded operand."""
    x = AnyOp(result_types=[TensorType(Float32Type(), [4, 64]), TensorType(Float32Type(), [64, 8])])
    a = EncodeOp(x.res[0], "pal8", axis=1, search=0)
    b = EncodeOp(x.res[1], "pal4", axis=0)
    return ModuleOp([x, a, b, MatmulOp(a, b, exact=True), DecodeOp(a, BFloat16Type())])


def sample() -> ModuleOp:
    """The sample of the grammar."""
    text = (dialect.__doc__ or "").partition("A sample:")[2]
    return Parser(new_context(), text).parse_module()


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("make", [numbers, sample])
def test_a_module_survives_its_text(make: object, generic: bool) -> None:
    module = make()  # type: ignore[operator]
    module.verify()
    text = io.StringIO()
    Printer(text, print_generic_format=generic).print_op(module)
    again = Parser(new_context(), text.getvalue()).parse_module()
    again.verify()
    assert module.is_structurally_equivalent(again)


def test_the_sample_of_the_grammar_is_a_schedule() -> None:
    weight, x, y, task, z, transfer = sample().ops
    assert [op.name for op in (weight, task, transfer)] == [
        "pal.weight",
        "pal.task",
        "pal.transfer",
    ]
    assert [memory_of(op.results[0]) for op in (weight, x, y, z)] == [
        "spu0",
        "spu0",
        "spu0",
        "cpu0",
    ]


def test_results_have_the_computed_types() -> None:
    _, a, b, product, back = numbers().ops
    assert a.results[0].type == packed_type([4, 64], "pal8", 1)
    assert is_packed(b.results[0].type)
    assert block_axis(b.results[0].type) == 0
    assert product.results[0].type == TensorType(Float32Type(), [4, 8])
    assert back.results[0].type == TensorType(BFloat16Type(), [4, 64])
    assert not is_packed(back.results[0].type)


def test_what_only_computes_may_be_removed() -> None:
    assert all(is_side_effect_free(op) for op in list(numbers().ops)[1:])
    assert not any(
        is_side_effect_free(op) for op in sample().ops if op.name in ("pal.task", "pal.transfer")
    )


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
