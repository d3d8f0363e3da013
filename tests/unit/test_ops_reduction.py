"""Lowerings of reductions, arg-extremes, global pools and running sums against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.func import FuncOp

from semc.compiler.frontend.lowering import NotLowered
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import check_op

F32, F16, F64 = np.float32, np.float16, np.float64
REDUCTIONS = [
    f"Reduce{kind}"
    for kind in (
        "Sum",
        "Mean",
        "Max",
        "Min",
        "Prod",
        "L1",
        "L2",
        "LogSum",
        "LogSumExp",
        "SumSquare",
    )
]


def floats(*shape: int, dtype: Any = F32) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(shape) + 0.3).astype(dtype)


def positive(op: str, x: np.ndarray) -> np.ndarray:
    return np.abs(x) if op == "ReduceLogSum" else x


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("axes", [None, [], [0], [1, -1], [-2], [2, 0]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_axes(op: str, axes: list[int] | None, keepdims: int) -> None:
    given = None if axes is None else np.array(axes, np.int64)
    inputs = {"x": positive(op, floats(3, 4, 5)), "axes": given}
    check_op(op, inputs, {"keepdims": keepdims}, constants={"axes"})


@pytest.mark.parametrize("op", REDUCTIONS)
def test_no_axes_and_noop(op: str) -> None:
    inputs = {"x": positive(op, floats(3, 4)), "axes": np.array([], np.int64)}
    check_op(op, inputs, {"noop_with_empty_axes": 1}, constants={"axes"})
    check_op(op, {"x": inputs["x"]}, {"noop_with_empty_axes": 1})


@pytest.mark.parametrize("op", REDUCTIONS)
def test_scalars(op: str) -> None:
    check_op(op, {"x": positive(op, floats())})


@pytest.mark.parametrize("dtype", [F16, F64])
@pytest.mark.parametrize("op", REDUCTIONS)
def test_other_floats(op: str, dtype: Any) -> None:
    rough = {"rtol": 4e-3, "atol": 4e-3} if dtype is F16 else {}
    inputs = {"x": positive(op, floats(4, 6, dtype=dtype)), "axes": np.array([1], np.int64)}
    check_op(op, inputs, constants={"axes"}, **rough)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
@pytest.mark.parametrize("op", [op for op in REDUCTIONS if "Log" not in op])
def test_integers(op: str, dtype: Any) -> None:
    x = np.random.default_rng(4).integers(1, 9, (4, 6)).astype(dtype)
    if np.dtype(dtype).kind == "i":
        x[::2] *= dtype(-1)
    check_op(op, {"x": x, "axes": np.array([1], np.int64)}, constants={"axes"})


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.bool_])
def test_extremes_of_small_types(op: str, dtype: Any) -> None:
    x = np.random.default_rng(5).integers(0, 2 if dtype is np.bool_ else 127, (4, 6)).astype(dtype)
    check_op(op, {"x": x, "axes": np.array([0], np.int64)}, constants={"axes"})


def test_log_sum_exp_stays_finite() -> None:
    axes = {"axes": np.array([1], np.int64)}
    small = np.array([[0, -np.inf, 1], [5, 6, 7], [-np.inf] * 3], F32)
    lowered = check_op("ReduceLogSumExp", {"x": small, **axes}, constants=axes)
    # the reference overflows here
    large = np.array([[1000, 999, 0], [-1000, -1001, -999], [np.inf, 0, 1]], F32)
    (function,) = lowered.module.body.block.ops
    assert isinstance(function, FuncOp)
    (y,) = interpret_function(function, [large], {})
    np.testing.assert_allclose(y, [[1000.3133], [-998.5924], [np.inf]], 1e-6)


def test_half_sums_do_not_overflow_inside() -> None:
    x = np.full((64,), 200, F16)
    check_op("ReduceL2", {"x": x}, rtol=2e-3)
    check_op("ReduceMean", {"x": x * 100}, rtol=2e-3)


@pytest.mark.parametrize("op", ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"])
def test_empty_sets(op: str) -> None:
    inputs = {"x": np.zeros((2, 0, 3), F32), "axes": np.array([1], np.int64)}
    check_op(op, inputs, constants={"axes"})


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize("keepdims", [0, 1])
def test_computed_axes(op: str, keepdims: int) -> None:
    x = positive(op, floats(3, 1, 3, 4))
    for first, *more in [
        # with keepdims the shapes tell; without, either axis of 3 may go, and the axis of 1
        [[0, 1], [-4, 1]] if keepdims else [[0, 1], [2, 1], [-2, -3], [1, -4]],
        [[3, 0], [0, -1]],
        [[0, 1, 2, 3], [-1, -2, 0, 1]],
        [[1], [-3]],
    ]:
        also = [{"axes": np.array(axes)} for axes in more]
        check_op(op, {"x": x, "axes": np.array(first)}, {"keepdims": keepdims}, also=also)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.bool_, F16, F64])
def test_computed_axes_of_other_types(dtype: Any) -> None:
    inputs = {"x": (floats(3, 3) * 5).astype(dtype), "axes": np.array([0])}
    check_op("ReduceMax", inputs, {"keepdims": 0}, also=[{"axes": np.array([1])}])


def test_computed_axes_name_one_twice() -> None:
    inputs = {"x": floats(3, 3), "axes": np.array([1, 1])}
    check_op("ReduceSum", inputs, {"keepdims": 0}, also=[{"axes": np.array([0, -2])}])


def test_computed_axes_of_empty_sets() -> None:
    inputs = {"x": np.zeros((2, 0, 2), F32), "axes": np.array([1, 0])}
    check_op("ReduceSum", inputs, {"keepdims": 0}, also=[{"axes": np.array([1, 2])}])


def test_too_many_sets_of_computed_axes_stay_on_the_host() -> None:
    inputs = {"x": np.ones((2,) * 8, F32), "axes": np.array([0, 1, 2, 3])}
    with pytest.raises(NotLowered, match="70 sets of axes fit the shapes"):
        check_op("ReduceSum", inputs, {"keepdims": 0})
    assert check_op("ReduceSum", inputs).ops == ["reduce"]


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_arg_extremes(op: str, axis: int, last: int, keepdims: int) -> None:
    attrs = {"axis": axis, "select_last_index": last, "keepdims": keepdims}
    ties = np.random.default_rng(6).integers(0, 3, (4, 5, 6))
    for dtype in (F32, F64, np.int8, np.uint8, np.int32):
        check_op(op, {"x": ties.astype(dtype)}, attrs)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [F32, F64, F16])
def test_hardmax(axis: int, dtype: Any) -> None:
    ties = np.random.default_rng(7).integers(0, 3, (3, 4, 5)).astype(dtype)
    check_op("Hardmax", {"x": ties}, {"axis": axis})


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (1, 2, 3, 4, 5)])
def test_global_pools(shape: tuple[int, ...]) -> None:
    x = floats(*shape)
    check_op("GlobalAveragePool", {"x": x})
    check_op("GlobalMaxPool", {"x": x})
    for p in (1, 2, 3):
        check_op("GlobalLpPool", {"x": x}, {"p": p})


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("exclusive", [0, 1])
def test_running(op: str, axis: int, reverse: int, exclusive: int) -> None:
    attrs = {"reverse": reverse, "exclusive": exclusive}
    for x in (floats(3, 4), np.arange(12).reshape(3, 4), floats(3, 4, dtype=F64)):
        for at in (np.array(axis), np.array([axis], np.int32)):
            if op == "CumSum" or at.ndim == 0:
                check_op(op, {"x": x, "axis": at}, attrs, constants={"axis"})


@pytest.mark.parametrize("op", ["CumSum", "CumProd"])
def test_running_along_a_computed_axis(op: str) -> None:
    also = [{"axis": np.array(axis)} for axis in (1, 2, -1, -2, -3)]
    check_op(op, {"x": floats(3, 4, 1), "axis": np.array(0)}, {"exclusive": 1}, also=also)
    lowered = check_op(op, {"x": floats(5), "axis": np.array(0)}, also=[{"axis": np.array(-1)}])
    assert lowered.ops == ["cumulate"]
    if op == "CumSum":
        one = {"x": floats(3, 4), "axis": np.array([0], np.int32)}
        check_op(op, one, also=[{"axis": np.array([-1], np.int32)}])
