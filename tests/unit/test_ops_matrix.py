"""Matrix products against ONNX Runtime: which side is constant, vectors, batches, integers."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import NEWEST, Lowered, check_op, lower_node, single_node

Shape = tuple[int, ...]


def floats(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def codes(dtype: Any, *shape: int) -> np.ndarray:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(shape)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def check(op: str, inputs: dict[str, Any], attrs: dict[str, Any], constants: str) -> Lowered:
    return check_op(op, inputs, attrs, constants=constants.split(), rtol=1e-4, atol=1e-5)


CONSTANTS = ("", "A", "B", "A B")
SHAPES: list[tuple[Shape, Shape]] = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((3, 4), (2, 4, 5)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((4,), (4,)),
    ((4,), (2, 4, 5)),
    ((2, 3, 4), (4,)),
    ((2, 3, 4), (2, 4, 5)),
    ((1, 3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 4, 5)),
    ((6, 2, 3, 4), (2, 4, 5)),
    ((2, 1, 3, 4), (2, 6, 4, 5)),
    ((3, 4), (6, 1, 4, 5)),
    ((2, 3, 4), (1, 1, 4, 5)),
    ((5, 2, 3, 4), (5, 1, 4, 5)),
    ((2, 3, 4), (2, 4, 1)),
    ((3, 1), (2, 1, 5)),
    ((0, 4), (4, 5)),
    ((3, 0), (0, 5)),
]


@pytest.mark.parametrize("constants", CONSTANTS)
@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_matmul(a: Shape, b: Shape, constants: str) -> None:
    check("MatMul", {"A": floats(*a), "B": floats(*b)}, {}, constants)


@pytest.mark.parametrize(
    ("a", "b", "constants", "expected"),
    [
        ((3, 4), (4, 5), "B", ["linear"]),
        ((2, 3, 4), (4, 5), "B", ["linear"]),
        ((3, 4), (4, 5), "", ["contract"]),
        ((3, 4), (4, 5), "A", ["view", "linear", "view"]),
        ((6, 2, 3, 4), (2, 4, 5), "B", ["view", "view", "conv", "view", "view"]),
        ((3, 1), (1, 5), "B", ["map"]),
    ],
)
def test_matmul_becomes(a: Shape, b: Shape, constants: str, expected: list[str]) -> None:
    assert check("MatMul", {"A": floats(*a), "B": floats(*b)}, {}, constants).ops == expected


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.float64])
@pytest.mark.parametrize("constants", ["", "B"])
def test_matmul_types(dtype: Any, constants: str) -> None:
    inputs = {"A": abs(floats(3, 4) * 9).astype(dtype), "B": abs(floats(4, 5) * 9).astype(dtype)}
    check("MatMul", inputs, {}, constants)


@pytest.mark.parametrize("constants", ["", "A", "B C"])
@pytest.mark.parametrize("c", [None, (), (1,), (5,), (1, 5), (3, 1), (3, 5)])
@pytest.mark.parametrize("transposed", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm(c: Shape | None, transposed: tuple[int, int], constants: str) -> None:
    inputs = {
        "A": floats(*((4, 3) if transposed[0] else (3, 4))),
        "B": floats(*((5, 4) if transposed[1] else (4, 5))),
        "C": None if c is None else floats(*c),
    }
    factors = {"alpha": 0.5, "beta": 2.0} if transposed[0] else {}
    attrs = {"transA": transposed[0], "transB": transposed[1], **factors}
    check("Gemm", inputs, attrs, constants)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
@pytest.mark.parametrize("factors", [{}, {"alpha": 2.0, "beta": 3.0}])
def test_gemm_of_integers(dtype: Any, factors: dict[str, float]) -> None:
    shapes = {"A": (3, 4), "B": (4, 5), "C": (5,)}
    inputs = {name: abs(floats(*shape) * 9).astype(dtype) for name, shape in shapes.items()}
    check("Gemm", inputs, factors, "")


def test_gemm_of_a_layer_is_one_linear() -> None:
    inputs = {"A": floats(3, 4), "B": floats(5, 4), "C": floats(5)}
    assert check("Gemm", inputs, {"transB": 1, "alpha": 0.5}, "B C").ops == ["linear"]


def test_gemm_adds_a_computed_row_itself() -> None:
    inputs = {"A": floats(3, 4), "B": floats(4, 5), "C": floats(5)}
    assert check("Gemm", inputs, {"beta": 2.0}, "B").ops == ["linear", "map"]


def test_gemm_without_its_addend() -> None:
    inputs = {"A": floats(3, 4), "B": floats(4, 5), "C": floats(5)}
    assert check("Gemm", inputs, {"beta": 0.0}, "B").ops == ["linear"]


@pytest.mark.parametrize("types", [("u1", "u1"), ("u1", "i1"), ("i1", "i1"), ("i1", "u1")])
@pytest.mark.parametrize(
    ("a", "b"), [((3, 40), (40, 5)), ((2, 3, 700), (700, 5)), ((2, 3, 4), (2, 4, 5)), ((4,), (4,))]
)
@pytest.mark.parametrize("constants", ["", "B bz", "A az"])
def test_integer_products(types: tuple[str, str], a: Shape, b: Shape, constants: str) -> None:
    x, y = codes(types[0], *a), codes(types[1], *b)
    check("MatMulInteger", {"A": x, "B": y}, {}, constants.replace("bz", "").replace("az", ""))
    by_column = (b[1],) if len(b) == 2 else ()
    zeros = {"az": codes(types[0]), "bz": codes(types[1], *by_column)}
    check("MatMulInteger", {"A": x, "B": y, **zeros}, {}, constants)
    quantized = {
        "A": x,
        "as": np.float32(0.02),
        "az": zeros["az"],
        "B": y,
        "bs": np.full(by_column, 0.03, np.float32),
        "bz": zeros["bz"],
        "ys": np.float32(0.9),
        "yz": codes(types[0]),
    }
    check("QLinearMatMul", quantized, {}, constants)


def test_long_integer_sums_are_cut_into_exact_parts() -> None:
    inputs = {"A": np.full((1, 700), 255, np.uint8), "B": np.full((700, 2), 255, np.uint8)}
    ops = check("MatMulInteger", inputs, {}, "B").ops
    assert ops.count("linear") == 3
    assert ops[-1] == "map"


EQUATIONS: list[tuple[str, *tuple[Shape, ...]]] = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("bhid,bhjd->bhij", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("ij->ji", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("ij->", (2, 3)),
    ("i,j->ij", (2,), (3,)),
    ("...ij,...jk->...ik", (2, 1, 2, 3), (4, 3, 5)),
    ("...ij,jk", (2, 2, 3), (3, 4)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("bij,bij->b", (2, 3, 4), (2, 3, 4)),
    ("abc,cd->abd", (2, 3, 4), (4, 5)),
    ("btd,dhk->bthk", (2, 3, 4), (4, 2, 5)),
    ("bthk,hkd->btd", (2, 3, 2, 5), (2, 5, 4)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("bhd,hde->bhe", (2, 3, 4), (3, 4, 5)),
    ("ik, jk -> i j", (2, 3), (4, 3)),
    ("ijk,il->l", (2, 3, 4), (2, 5)),
    ("b...,b...->...", (2, 3), (2, 3)),
    ("iij,jk->ik", (2, 2, 3), (3, 4)),
    ("i,i,i->", (3,), (3,), (3,)),
    ("ij,jk->ik", (2, 1), (3, 4)),
]


@pytest.mark.parametrize("constant", [None, 0, 1])
@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: case[0])
def test_einsum(case: tuple[str, *tuple[Shape, ...]], constant: int | None) -> None:
    equation, *shapes = case
    inputs = {f"x{i}": floats(*shape, seed=i) for i, shape in enumerate(shapes)}
    check("Einsum", inputs, {"equation": equation}, "" if constant is None else f"x{constant}")


def test_einsum_of_integers() -> None:
    inputs = {"a": np.arange(6).reshape(2, 3), "b": np.arange(12).reshape(3, 4)}
    check("Einsum", inputs, {"equation": "ij,jk->ik"}, "b")


def test_einsum_with_a_weight_is_stationary() -> None:
    inputs = {"x": floats(2, 3, 4), "w": floats(4, 2, 5)}
    ops = check("Einsum", inputs, {"equation": "btd,dhk->bthk"}, "w").ops
    assert "linear" in ops
    assert "contract" not in ops


def test_scales_by_row_stay_on_the_host() -> None:
    inputs = {
        "A": codes("u1", 3, 4),
        "as": np.float32(1),
        "az": codes("u1"),
        "B": codes("u1", 4, 5),
        "bs": np.float32(1),
        "bz": codes("u1"),
        "ys": np.ones(3, np.float32),
        "yz": codes("u1", 3),
    }
    model = single_node("QLinearMatMul", inputs, {}, 1, NEWEST)
    with pytest.raises(NotLowered, match="output scale"):
        lower_node(model, inputs, [np.zeros((3, 5), np.uint8)], ["B"])


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 3, 3), (2, 3, 6, 6), (0, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_determinants(shape: tuple[int, ...], dtype: type) -> None:
    x = np.random.default_rng(shape).standard_normal(shape).astype(dtype)
    check_op("Det", {"x": x}, rtol=1e-4, atol=1e-5)


def test_determinants_need_pivots() -> None:
    swapped = np.array([[0, 2, 0], [3, 0, 0], [0, 0, 4]], np.float32)
    singular = np.array([[1, 2, 3], [2, 4, 6], [0, 0, 0]], np.float32)
    done = check_op("Det", {"x": np.stack([swapped, singular, np.zeros_like(swapped)])})
    np.testing.assert_array_equal(done.outputs[0], [-24, 0, 0])
