"""Scalar bodies against ONNX Runtime, C's integer rules and numpy."""

import math
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest

from semc.dialects.elements import OF_DTYPE
from semc.dialects.kernel import Body, MicroOp
from semc.dialects.types import dtype_named as ir_dtype_named
from semc.dialects.types import element_name
from semc.errors import ProgramError
from semc.runtime.execute.kernels import map_body, scalar_ops
from semc.runtime.execute.kernels.dtypes import dtype_named
from semc.runtime.execute.kernels.special import erf


def op(name, type_, *operands, imm=None):
    return MicroOp(name, type_, operands, imm)


def single(name, result, *types, imm=None):
    """The body that applies one operation to its inputs."""
    ops = (op(name, result, *range(len(types)), imm=imm),)
    return Body(types, ops, len(types))


def test_type_names_are_those_of_the_ir():
    for dtype in OF_DTYPE:
        name = element_name(dtype)
        assert dtype_named(name) == ir_dtype_named(name) == dtype
    with pytest.raises(ProgramError, match="f8"):
        dtype_named("f8")


def test_every_scalar_op_of_the_ir_is_known():
    known = (
        set(scalar_ops.PLAIN)
        | set(scalar_ops.SIGNED)
        | set(scalar_ops.UNSIGNED)
        | set(scalar_ops.SPECIAL)
        | set(scalar_ops.CONVERT)
    )
    promised = """addf subf mulf divf negf remf maximumf minimumf maxnumf minnumf addi subi muli
        divsi divui floordivsi ceildivsi remsi remui maxsi maxui minsi minui andi ori xori shli
        shrsi shrui extf truncf extsi extui trunci fptosi fptoui sitofp uitofp bitcast absf absi
        exp exp2 expm1 log log2 log10 log1p sqrt rsqrt cbrt powf erf sin cos tan asin acos atan
        sinh cosh tanh asinh acosh atanh atan2 ceil floor trunc round roundeven copysign fpowi
        ipowi unrealized_conversion_cast"""
    assert known == set(promised.split())


UNARY = {
    "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "erf": "Erf", "sin": "Sin", "cos": "Cos",
    "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh",
    "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "ceil": "Ceil",
    "floor": "Floor", "roundeven": "Round", "absf": "Abs", "negf": "Neg",
}  # fmt: skip


@pytest.mark.parametrize(("name", "onnx_name"), UNARY.items())
def test_float_functions_as_onnx_runtime(kernel, ort, name, onnx_name):
    x = np.linspace(-4, 4, 4001, dtype=np.float32)
    out = kernel("map", [x], x.shape, x.dtype, body=single(name, "f32", "f32"))
    np.testing.assert_allclose(out, ort(onnx_name, x), rtol=3e-6, atol=3e-7)


def test_erf_against_c():
    x = np.concatenate([np.linspace(-6, 6, 100001), np.geomspace(1e-38, 1, 1000)])
    x = x.astype(np.float32)
    exact = np.array([math.erf(float(v)) for v in x])
    error = np.abs(erf(x) - exact)
    assert np.max(error / np.maximum(np.abs(exact), 1e-37)) < 2e-7
    special = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    np.testing.assert_array_equal(erf(special), np.float32([np.nan, 1, -1, -0.0]))
    assert np.signbit(erf(special)[3])
    np.testing.assert_array_equal(erf(x[:100].astype(np.float64)), [math.erf(v) for v in x[:100]])


@pytest.mark.parametrize("exponent", [2.0, 3.0, 0.5, -1.0, 1 / 3, 0.0])
def test_power_by_a_constant(kernel, ort, exponent):
    x = np.array([-8, -0.5, -0.0, 0, 0.5, 1, 3, np.inf, np.nan], np.float32)
    body = Body(("f32",), (op("constant", "f32", imm=exponent), op("powf", "f32", 0, 1)), 2)
    out = kernel("map", [x], x.shape, x.dtype, body=body)
    np.testing.assert_allclose(out, ort("Pow", x, np.float32(exponent)), rtol=1e-6)


def test_power_of_tensors(kernel, ort, rng):
    x, y = rng.normal(size=(2, 50)).astype(np.float32)
    out = kernel("map", [x, y], x.shape, x.dtype, body=single("powf", "f32", "f32", "f32"))
    np.testing.assert_allclose(out, ort("Pow", x, y), rtol=1e-5)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_select_is_where(kernel, ort, rng):
    c = rng.random((3, 1, 4)) < 0.5
    a, b = rng.normal(size=(5, 1)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    body = single("select", "f32", "i1", "f32", "f32")
    out = kernel("map", [c, a, b], (3, 5, 4), np.float32, body=body)
    np.testing.assert_array_equal(out, ort("Where", c, a, b, out_dtypes=(np.float32,)))


def test_integer_division_rounds_as_c(kernel):
    a = np.repeat(np.array([7, -7, 8, -8, 0, -128], np.int8), 4)
    b = np.tile(np.array([2, -2, 3, -3], np.int8), 6)
    exact = a.astype(float) / b
    expected = {
        "divsi": np.trunc(exact),
        "floordivsi": np.floor(exact),
        "ceildivsi": np.ceil(exact),
        "remsi": a - b * np.trunc(exact),
        "divui": a.view(np.uint8) // b.view(np.uint8),
        "remui": a.view(np.uint8) % b.view(np.uint8),
        "maxui": np.maximum(a.view(np.uint8), b.view(np.uint8)),
        "minsi": np.minimum(a, b),
        "shrui": a.view(np.uint8) >> b.view(np.uint8),
        "addi": a.astype(int) + b,
        "muli": a.astype(int) * b,
    }
    for name, value in expected.items():
        out = kernel("map", [a, b], a.shape, np.int8, body=single(name, "i8", "i8", "i8"))
        np.testing.assert_array_equal(out, value.astype(int).astype(np.int8), err_msg=name)


def test_division_by_zero_is_silent(kernel):
    a = np.array([5, -128], np.int8)
    for name in ("divsi", "remsi", "divui", "ceildivsi"):
        kernel("map", [a, a * 0], a.shape, a.dtype, body=single(name, "i8", "i8", "i8"))
    kernel("map", [a, a * 0 - 1], a.shape, a.dtype, body=single("divsi", "i8", "i8", "i8"))


def test_integer_power(kernel):
    x = np.array([2, -1, -1, 1, 0, 3, -2], np.int32)
    n = np.array([-1, -3, -2, -5, -1, 4, 3], np.int32)
    out = kernel("map", [x, n], x.shape, x.dtype, body=single("ipowi", "i32", "i32", "i32"))
    np.testing.assert_array_equal(out, [0, -1, 1, 1, 0, 81, -8])
    out = kernel(
        "map", [x.astype(np.float32), n], x.shape, np.float32,
        body=single("fpowi", "f32", "f32", "i32"),
    )  # fmt: skip
    np.testing.assert_array_equal(out, [0.5, -1, 1, 1, np.inf, 81, -8])


def test_rounding_of_halves(kernel):
    x = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 0.49999997, 8388609, np.nan, np.inf], np.float32)
    away = kernel("map", [x], x.shape, x.dtype, body=single("round", "f32", "f32"))
    even = kernel("map", [x], x.shape, x.dtype, body=single("roundeven", "f32", "f32"))
    np.testing.assert_array_equal(away, [1, 2, 3, -1, -3, 0, 8388609, np.nan, np.inf])
    np.testing.assert_array_equal(even, [0, 2, 2, -0.0, -2, 0, 8388609, np.nan, np.inf])


def test_float_predicates_with_nan(kernel):
    a = np.array([1, 2, 2, np.nan, 1, np.nan], np.float32)
    b = np.array([2, 1, 2, 1, np.nan, np.nan], np.float32)
    unordered = np.isnan(a) | np.isnan(b)
    relations = {"eq": a == b, "ne": a != b, "lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}
    for relation, holds in relations.items():
        for prefix, value in (("o", holds & ~unordered), ("u", holds | unordered)):
            body = single("cmpf", "i1", "f32", "f32", imm=prefix + relation)
            out = kernel("map", [a, b], a.shape, bool, body=body)
            np.testing.assert_array_equal(out, value, err_msg=prefix + relation)
    for predicate, value in (
        ("uno", unordered), ("ord", ~unordered), ("true", True), ("false", False)
    ):  # fmt: skip
        body = single("cmpf", "i1", "f32", "f32", imm=predicate)
        out = kernel("map", [a, b], a.shape, bool, body=body)
        np.testing.assert_array_equal(out, np.broadcast_to(value, out.shape))


def test_nan_in_extremes(kernel):
    a, b = np.array([1, np.nan], np.float32), np.array([np.nan, 2], np.float32)
    both = {name: single(name, "f32", "f32", "f32") for name in ("maximumf", "maxnumf")}
    assert np.isnan(kernel("map", [a, b], (2,), a.dtype, body=both["maximumf"])).all()
    np.testing.assert_array_equal(
        kernel("map", [a, b], (2,), a.dtype, body=both["maxnumf"]), [1, 2]
    )


def test_integer_predicates_see_signs(kernel):
    a, b = np.array([-1, 1, 3], np.int8), np.array([1, -1, 3], np.int8)
    for predicate, value in (
        ("slt", a < b), ("ult", a.view("u1") < b.view("u1")), ("sge", a >= b),
        ("ugt", a.view("u1") > b.view("u1")), ("eq", a == b), ("ne", a != b),
    ):  # fmt: skip
        body = single("cmpi", "i1", "i8", "i8", imm=predicate)
        out = kernel("map", [a, b], a.shape, bool, body=body)
        np.testing.assert_array_equal(out, value, err_msg=predicate)


def test_booleans_are_integers_of_one_bit(kernel):
    a, b = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    for name, value in (
        ("addi", a ^ b), ("muli", a & b), ("maxui", a | b), ("maxsi", a & b), ("xori", a ^ b),
    ):  # fmt: skip
        out = kernel("map", [a, b], (4,), bool, body=single(name, "i1", "i1", "i1"))
        np.testing.assert_array_equal(out, value, err_msg=name)
    for name, value in (("extsi", [0, 0, -1, -1]), ("extui", [0, 0, 1, 1])):
        out = kernel("map", [a], (4,), np.int32, body=single(name, "i32", "i1"))
        np.testing.assert_array_equal(out, value)
    low_bit = kernel("map", [np.arange(4)], (4,), bool, body=single("trunci", "i1", "i64"))
    np.testing.assert_array_equal(low_bit, [False, True, False, True])
    with pytest.raises(ProgramError, match="divui on i1"):
        kernel("map", [a, b], (4,), bool, body=single("divui", "i1", "i1", "i1"))


@pytest.mark.parametrize("to", [np.int8, np.int16, np.int32, np.int64])
def test_float_to_signed_as_onnx_runtime(kernel, ort, to):
    from onnx import helper

    values = [0.0, 3.7, -3.7, 127.9, -128.5, 300, -300, 70000, -70000, 1e10, -1e10, np.inf, -np.inf]
    x = np.array(values, np.float32)
    name = element_name(np.dtype(to))
    out = kernel("map", [x], x.shape, to, body=single("fptosi", name, "f32"))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(to))
    np.testing.assert_array_equal(out, ort("Cast", x, out_dtypes=(to,), to=kind))


def test_unsigned_values_travel_as_signless_bits(kernel):
    x = np.array([0, 100, 200, 255], np.uint8)
    body = Body(
        ("ui8",),
        (
            op("unrealized_conversion_cast", "i8", 0),
            op("uitofp", "f32", 1),
            op("constant", "f32", imm=1.25),
            op("mulf", "f32", 2, 3),
            op("constant", "f32", imm=255.0),
            op("minimumf", "f32", 4, 5),
            op("fptoui", "i8", 6),
            op("unrealized_conversion_cast", "ui8", 7),
        ),
        8,
    )
    out = kernel("map", [x], x.shape, np.uint8, body=body)
    np.testing.assert_array_equal(out, [0, 125, 250, 255])
    wide = kernel("map", [x.view(np.int8)], (4,), np.int32, body=single("extui", "i32", "i8"))
    np.testing.assert_array_equal(wide, x)
    bits = kernel("map", [np.float32([1.0])], (1,), np.int32, body=single("bitcast", "i32", "f32"))
    assert bits[0] == 0x3F800000


def test_constants_keep_their_bits(kernel):
    for type_, imm, value in (
        ("i8", 255, -1), ("ui8", -1, 255), ("i64", -(2**63), -(2**63)), ("i1", -1, True),
        ("f32", float("-inf"), -np.inf), ("f16", 1e6, np.inf), ("bf16", 1.0, 1.0),
    ):  # fmt: skip
        body = Body((), (op("constant", type_, imm=imm),), 0)
        out = kernel("map", [], (2, 2), dtype_named(type_), body=body)
        np.testing.assert_array_equal(out.astype(np.float64), np.full((2, 2), float(value)))


@pytest.mark.parametrize(("name", "dtype"), [("f16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_half_precision_rounds_after_every_operation(kernel, rng, name, dtype):
    x, y = rng.normal(size=(2, 500)).astype(dtype)
    body = Body((name, name), (op("mulf", name, 0, 1), op("addf", name, 2, 0)), 3)
    out = kernel("map", [x, y], x.shape, dtype, body=body)
    step = (x.astype(np.float32) * y.astype(np.float32)).astype(dtype)
    expected = (step.astype(np.float32) + x.astype(np.float32)).astype(dtype)
    np.testing.assert_array_equal(out, expected)
    for function in ("erf", "rsqrt", "cbrt", "asinh", "round"):
        z = np.abs(x) + dtype(0.5)
        out = kernel("map", [z], z.shape, dtype, body=single(function, name, name))
        wide = kernel(
            "map", [z.astype(np.float32)], z.shape, np.float32,
            body=single(function, "f32", "f32"),
        )  # fmt: skip
        np.testing.assert_allclose(out.astype(np.float32), wide, rtol=0.01)


GELU = Body(
    ("f32",),
    (
        op("constant", "f32", imm=0.7071067811865476),
        op("mulf", "f32", 0, 1),
        op("erf", "f32", 2),
        op("constant", "f32", imm=1.0),
        op("addf", "f32", 3, 4),
        op("mulf", "f32", 0, 5),
        op("constant", "f32", imm=0.5),
        op("mulf", "f32", 6, 7),
    ),
    8,
)


@pytest.mark.parametrize("block", [1, 7, 64, 1 << 16])
def test_blocks_do_not_change_the_result(kernel, ort, rng, monkeypatch, block):
    x = rng.normal(size=(3, 5, 11)).astype(np.float32)
    y = rng.normal(size=(5, 1)).astype(np.float32)
    body = Body(
        ("f32", "f32"),
        (
            op("addf", "f32", 0, 1),
            op("exp", "f32", 1),  # varies along one axis only
            op("mulf", "f32", 2, 3),
            op("cmpf", "i1", 4, 0, imm="ogt"),
            op("select", "f32", 5, 4, 2),
            op("subf", "f32", 6, 4),
            op("bitcast", "i32", 7),
            op("addf", "f32", 2, 2),  # must not take the buffer that the bitcast still reads
            op("bitcast", "f32", 8),
            op("addf", "f32", 9, 10),
        ),
        11,
    )
    monkeypatch.setattr(map_body, "BLOCK", block)
    out = kernel("map", [x, y], x.shape, x.dtype, body=body)
    total = x + y
    product = total * np.exp(y)
    chosen = np.where(product > x, product, total)
    np.testing.assert_array_equal(out, (total + total) + (chosen - product))
    out = kernel("map", [x], x.shape, x.dtype, body=GELU)
    np.testing.assert_allclose(out, ort("Gelu", x), rtol=1e-5, atol=1e-7)


def test_chain_of_selects_keeps_every_operand(kernel, rng):
    x, y = rng.normal(size=(2, 40)).astype(np.float32)
    ops = [op("addf", "f32", 0, 1), op("cmpf", "i1", 0, 1, imm="olt")]
    ops += [
        op("select", "f32", 3, 2, 0),
        op("select", "f32", 3, 4, 2),
        op("select", "f32", 3, 1, 5),
    ]
    out = kernel("map", [x, y], (40,), x.dtype, body=Body(("f32", "f32"), tuple(ops), 6))
    np.testing.assert_array_equal(out, np.where(x < y, y, x + y))


def test_identity_empty_and_scalar_tensors(kernel):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    same = Body(("f32",), (), 0)
    np.testing.assert_array_equal(kernel("map", [x], (2, 3), x.dtype, body=same), x)
    assert kernel("map", [x[:0]], (0, 3), x.dtype, body=GELU).size == 0
    scalar = kernel("map", [np.float32(1)], (), np.float32, body=GELU)
    assert scalar == pytest.approx(0.8413447, rel=1e-6)
    spread = kernel("map", [np.float32([7])], (2, 3), np.float32, body=same)
    np.testing.assert_array_equal(spread, np.full((2, 3), 7))


def test_buffers_are_shared_between_registers_that_do_not_live_together():
    steps = [op("addf", "f32", 0, 0)] + [op("mulf", "f32", b, b) for _, b in pairwise(range(21))]
    compiled = map_body.compile_body(Body(("f32",), tuple(steps), len(steps)))
    assert len(compiled.buffers) == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (Body(("f32",), (op("addf", "f32", 0, 1),), 1), "registers 0 to 0"),
        (Body(("f32",), (op("addf", "f32", 0, -1),), 1), "registers 0 to 0"),
        (Body(("f32",), (), 1), "yield one of its 1"),
        (Body(("f32",), (op("system", "f32", 0),), 1), "'system'"),
        (single("cmpf", "i1", "f32", "f32", imm="slt"), "no predicate 'slt'"),
        (single("cmpi", "i1", "i32", "i32", imm="olt"), "no predicate 'olt'"),
        (Body((), (op("constant", "f32", imm="x"),), 0), "must be a number"),
    ],
)
def test_malformed_bodies_are_refused(body, message):
    with pytest.raises(ProgramError, match=message):
        map_body.compile_body(body)


def test_operands_that_do_not_fit_are_refused(kernel):
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(ProgramError, match="does not broadcast"):
        kernel("map", [x], (2, 4), x.dtype, body=GELU)
    with pytest.raises(ProgramError, match="was given"):
        kernel("map", [x.astype(np.int32)], x.shape, x.dtype, body=GELU)
    with pytest.raises(ProgramError, match="must fit its operands"):
        kernel("map", [x], x.shape, np.int8, body=GELU)
