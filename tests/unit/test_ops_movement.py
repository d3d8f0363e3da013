"""Lowerings of data movement against ONNX Runtime, and how many operations they take."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx.reference import ReferenceEvaluator
from xdsl.dialects.func import FuncOp

from semc.compiler.frontend.lowering import NotLowered
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import NEWEST, check_op, lower_node, single_node

F32, I64 = np.float32, np.int64
INT64_MIN, INT64_MAX = np.iinfo(I64).min, np.iinfo(I64).max


def ramp(*shape: int, dtype: Any = F32) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)


def ints(*values: int) -> np.ndarray:
    return np.array(values, I64)


@pytest.mark.parametrize(
    ("shape", "target"),
    [((2, 3, 4), (6, 4)), ((2, 3, 4), (-1,)), ((2, 3, 4), (0, -1)), ((1, 1), ()), ((0, 3), (3, 0))],
)
def test_reshape(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    attrs = {"allowzero": int(shape == (0, 3))}
    lowered = check_op("Reshape", {"x": ramp(*shape), "s": ints(*target)}, attrs, constants={"s"})
    assert lowered.ops == ["view"]
    check_op("Reshape", {"x": ramp(*shape), "s": ints(*target)}, attrs)


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1])
def test_flatten(axis: int) -> None:
    check_op("Flatten", {"x": ramp(2, 3, 4)}, {"axis": axis})


def test_squeeze_and_unsqueeze() -> None:
    check_op("Squeeze", {"x": ramp(1, 3, 1)})
    check_op("Squeeze", {"x": ramp(1, 3, 1), "a": ints(-1)}, constants={"a"})
    check_op("Unsqueeze", {"x": ramp(3, 4), "a": ints(0, -1)}, constants={"a"})
    check_op("Unsqueeze", {"x": ramp(), "a": ints(0)}, constants={"a"})


@pytest.mark.parametrize("dtype", [F32, np.bool_, np.uint8, ml_dtypes.bfloat16, I64])
def test_identity(dtype: Any) -> None:
    assert check_op("Identity", {"x": ramp(2, 3, dtype=dtype)}).ops == []


@pytest.mark.parametrize("perm", [None, (0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1)])
def test_transpose(perm: tuple[int, ...] | None) -> None:
    attrs = {} if perm is None else {"perm": perm}
    lowered = check_op("Transpose", {"x": ramp(2, 3, 4)}, attrs)
    assert lowered.ops == ([] if perm == (0, 1, 2) else ["view"])
    check_op("Transpose", {"x": ramp(2, 0, 4)}, attrs)


def test_transpose_of_a_scalar() -> None:
    check_op("Transpose", {"x": ramp()})


@pytest.mark.parametrize(
    ("shape", "target"), [((3, 1), (2, 3, 4)), ((3, 4), (1, 1)), ((), (2, 2)), ((1,), (0,))]
)
def test_expand(shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    check_op("Expand", {"x": ramp(*shape), "s": ints(*target)}, constants={"s"})


SLICES: list[tuple[tuple[int, ...], ...]] = [
    ((1,), (3,), (0,), (1,)),
    ((0, 1), (2, 100), (0, 1), (1, 2)),
    ((-1,), (-100,), (1,), (-1,)),
    ((-1,), (INT64_MIN,), (1,), (-2,)),
    ((-2,), (INT64_MAX,), (-1,), (1,)),
    ((100,), (0,), (1,), (-2,)),
    ((4,), (-1,), (1,), (-1,)),
    ((3,), (1,), (0,), (1,)),
    ((0, 4, 0), (4, 0, 3), (0, 1, 2), (3, -2, 1)),
    ((-100,), (2,), (2,), (1,)),
]


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES)
def test_slice(
    starts: tuple[int, ...], ends: tuple[int, ...], axes: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    names = ("starts", "ends", "axes", "steps")
    given = dict(zip(names, map(np.array, (starts, ends, axes, steps)), strict=True))
    lowered = check_op("Slice", {"x": ramp(4, 5, 3), **given}, constants=set(names))
    assert lowered.ops == ["view"]


def test_slice_of_everything_and_defaults() -> None:
    bounds = {"starts": ints(0, 0), "ends": ints(9, 9)}
    assert check_op("Slice", {"x": ramp(2, 3), **bounds}, constants=set(bounds)).ops == []
    skipped = {**bounds, "axes": None, "steps": ints(1, 2)}
    check_op("Slice", {"x": ramp(2, 3), **skipped}, constants=set(skipped))


def slicing(*values: tuple[int, ...], dtype: Any = I64) -> dict[str, np.ndarray]:
    names = ("starts", "ends", "axes", "steps")
    return {name: np.array(v, dtype) for name, v in zip(names, values, strict=False)}


@pytest.mark.parametrize(("starts", "ends", "axes", "steps"), SLICES)
def test_slice_by_computed_bounds(
    starts: tuple[int, ...], ends: tuple[int, ...], axes: tuple[int, ...], steps: tuple[int, ...]
) -> None:
    given = slicing(starts, ends, axes, steps)
    for constants in ((), ("axes",), ("axes", "steps"), ("starts",)):
        check_op("Slice", {"x": ramp(4, 5, 3), **given}, constants=constants)
    ends_only = check_op(
        "Slice", {"x": ramp(4, 5, 3), **given}, constants=("starts", "axes", "steps")
    )
    assert ends_only.ops == ["view"]


@pytest.mark.parametrize("dtype", [np.int32, I64])
def test_one_program_slices_by_many_bounds(dtype: Any) -> None:
    x = ramp(4, 4, 3)
    bounds = [
        slicing((0, 1), (2, 4), (0, 1), (1, 1), dtype=dtype),
        slicing((2, -3), (9, 99), (-3, -2), (1, 1), dtype=dtype),
        slicing((-1, 3), (-99, 0), (0, 1), (-2, -1), dtype=dtype),
        slicing((-99, 2), (2, -99), (0, 1), (1, -1), dtype=dtype),
        slicing((0, -4), (3, -1), (1, 0), (1, 2), dtype=dtype),
    ]
    # the third axis keeps its size: 3 of 3, or turned around
    turned = [
        slicing((0, 1), (2, 4), (0, 1), (1, 1), dtype=dtype),
        slicing((-1, 0), (-9, 2), (2, 0), (-1, 1), dtype=dtype),
    ]
    check_op("Slice", {"x": x, **bounds[0]}, also=bounds[1:4])
    check_op("Slice", {"x": x[:, :, :1], **bounds[0]}, also=bounds[1:4])
    check_op("Slice", {"x": x, **bounds[4]}, constants={"axes"})
    check_op("Slice", {"x": ramp(4, 3, 3), **turned[1]})
    plain = [slicing((1, 0, 0), (3, 9, 9)), slicing((-2, 0, -3), (4, 4, 3))]
    lowered = check_op("Slice", {"x": x, **plain[0]}, also=plain[1:])
    assert lowered.ops.count("gather") == 1  # axes that stay whole are left alone


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("fixed", [True, False])
def test_split(axis: int, fixed: bool) -> None:
    inputs = {"x": ramp(6, 6), "split": ints(1, 0, 5)}
    names = {"split"} if fixed else set()
    lowered = check_op("Split", inputs, {"axis": axis}, n_outputs=3, constants=names)
    assert lowered.ops == ["view"] * 3
    check_op("Split", {"x": ramp(6, 7)}, {"axis": axis, "num_outputs": 4}, n_outputs=4)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dtype", [F32, np.int8, np.bool_])
def test_concat(axis: int, dtype: Any) -> None:
    x = ramp(2, 2, dtype=dtype)
    check_op("Concat", {"x": x, "y": x, "z": x + x}, {"axis": axis}, constants={"y"})
    check_op("Concat", {"x": x}, {"axis": axis})
    empty = np.zeros((0, 2) if axis == 0 else (2, 0), dtype)
    check_op("Concat", {"x": x, "y": empty}, {"axis": axis})


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", [(0, 1, 2, 1), (2, 2, 0, 0), (-1, 1, 0, -1)])
def test_pad(mode: str, pads: tuple[int, ...]) -> None:
    inputs = {"x": ramp(4, 5), "pads": ints(*pads)}
    lowered = check_op("Pad", inputs, {"mode": mode}, constants={"pads"})
    assert lowered.ops == ["pad"]


@pytest.mark.parametrize("dtype", [F32, np.float16, np.float64, np.int8, np.uint8, I64, np.bool_])
def test_pad_values_and_axes(dtype: Any) -> None:
    x = ramp(2, 3, 4, dtype=dtype)
    inputs = {"x": x, "pads": ints(1, 2, 0, 1), "value": np.array(1, dtype), "axes": ints(-1, 0)}
    check_op("Pad", inputs, constants={"pads", "value", "axes"})
    check_op("Pad", {**inputs, "value": None}, constants={"pads", "axes"})


def test_pad_with_infinity() -> None:
    inputs = {"x": ramp(3), "pads": ints(1, 1), "value": np.array(-np.inf, F32)}
    check_op("Pad", inputs, constants={"pads", "value"})


@pytest.mark.parametrize("dtype", [F32, np.float16, np.float64, np.int8, np.uint8, I64, np.bool_])
def test_pad_by_a_computed_value(dtype: Any) -> None:
    inputs = {"x": ramp(2, 3, dtype=dtype), "pads": ints(1, -1, 0, 2), "value": np.array(1, dtype)}
    also = [{"value": np.array(0, dtype)}]
    check_op("Pad", inputs, constants={"pads"}, also=also)
    column = {**inputs, "value": np.array([1], dtype)}
    check_op("Pad", column, also=[{"value": np.array([0], dtype)}])
    check_op("Pad", {**inputs, "value": None})


def test_pad_by_a_value_that_is_no_double() -> None:
    inputs = {"x": ramp(3, dtype=I64), "pads": ints(1, 1), "value": np.array(2**62 + 1, I64)}
    check_op("Pad", inputs, constants={"pads", "value"})


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_one_program_pads_by_many_amounts(mode: str) -> None:
    x = ramp(4, 5)
    amounts = [(0, 1, 2, 1), (2, 2, 0, 0), (0, 2, 2, 0), (1, -1, 1, 3), (2, 3, 0, -1)]
    also = [{"pads": ints(*pads)} for pads in amounts[1:]]
    check_op("Pad", {"x": x, "pads": ints(*amounts[0])}, {"mode": mode}, also=also)
    axes = {"pads": ints(0, 2, 1, 0), "value": None, "axes": np.array([1, 0], np.int32)}
    also = [
        {"axes": np.array([-1, 0], np.int32), "pads": ints(1, 0, 0, 2)},
        {"axes": np.array([0, 1], np.int32), "pads": ints(1, 1, 1, 0)},
    ]
    check_op("Pad", {"x": x, **axes}, {"mode": mode}, also=also)
    check_op("Pad", {"x": x, **axes}, {"mode": mode}, also=also[:1], constants={"axes"})
    one = {"pads": ints(2, 1), "value": None, "axes": ints(0)}
    check_op("Pad", {"x": ramp(4, 1), **one}, {"mode": mode}, also=[{"pads": ints(0, 3)}])
    if mode != "reflect":  # which ONNX Runtime refuses
        check_op("Pad", {"x": ramp(1, 4), **one}, {"mode": mode}, also=[{"pads": ints(0, 3)}])


def test_pads_of_and_to_nothing() -> None:
    empty = {"x": ramp(0, 3), "pads": ints(1, 0, 1, 0), "value": np.array(7, F32)}
    check_op("Pad", empty)
    check_op("Pad", {**empty, "value": None})
    check_op("Pad", {"x": ramp(2, 3), "pads": ints(-1, 0, -1, 0)})


@pytest.mark.parametrize("target", [(5, 2, 4), (2, 7, 4), (3, 3, 3), (1, 9, 8)])
def test_center_crop_pad(target: tuple[int, ...]) -> None:
    inputs = {"x": ramp(3, 4, 5), "shape": ints(*target)}
    check_op("CenterCropPad", inputs, constants={"shape"})


@pytest.mark.parametrize(
    ("shape", "repeats", "count"),
    [
        ((2, 3), (2, 2), 2),
        ((2, 3), (1, 1), 0),
        ((1, 3), (4, 1), 2),
        ((2, 1, 3), (1, 5, 2), 2),
        ((2, 3), (0, 2), 1),
        ((4,), (3,), 2),
    ],
)
def test_tile(shape: tuple[int, ...], repeats: tuple[int, ...], count: int) -> None:
    lowered = check_op("Tile", {"x": ramp(*shape), "r": ints(*repeats)}, constants={"r"})
    assert len(lowered.ops) <= count
    check_op("Tile", {"x": ramp(*shape), "r": ints(*repeats)})


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_and_space(mode: str) -> None:
    lowered = check_op("DepthToSpace", {"x": ramp(2, 8, 3, 4)}, {"blocksize": 2, "mode": mode})
    assert lowered.ops == ["view", "view"]
    check_op("SpaceToDepth", {"x": ramp(2, 3, 4, 6)}, {"blocksize": 2})


def test_shape_and_size() -> None:
    for attrs in ({}, {"start": 1}, {"end": -1}, {"start": -2, "end": 10}, {"start": 3}):
        assert check_op("Shape", {"x": ramp(2, 3, 4)}, attrs).ops == []
    check_op("Size", {"x": ramp(2, 3, 4)})
    check_op("Size", {"x": ramp(2, 0)})
    check_op("Shape", {"x": ramp()})


@pytest.mark.parametrize("shape", [(2, 3), (), (0,), (8, 9)])
@pytest.mark.parametrize(
    "value", [None, np.array([7], I64), np.array([True]), np.array([1.5], F32)]
)
def test_constant_of_shape(shape: tuple[int, ...], value: np.ndarray | None) -> None:
    attrs = {} if value is None else {"value": value}
    check_op("ConstantOfShape", {"s": ints(*shape)}, attrs, constants={"s"})


@pytest.mark.parametrize("dtype", [F32, np.float64, np.int16, np.int32, I64])
@pytest.mark.parametrize("fixed", [True, False])
def test_range(dtype: Any, fixed: bool) -> None:
    for bounds in ((0, 10, 1), (10, 0, -3), (3, 3, 1)):
        inputs = dict(zip("abc", (np.array(v, dtype) for v in bounds), strict=True))
        check_op("Range", inputs, constants=set("abc") if fixed else ())


@pytest.mark.parametrize("attrs", [{}, {"k": 1}, {"k": -2}, {"dtype": 7}])
def test_eye_like(attrs: dict[str, int]) -> None:
    check_op("EyeLike", {"x": ramp(4, 6)}, attrs)


@pytest.mark.parametrize("upper", [0, 1])
@pytest.mark.parametrize("k", [None, 0, 1, -2, 100, -100])
@pytest.mark.parametrize("fixed", [True, False])
def test_trilu(upper: int, k: int | None, fixed: bool) -> None:
    diagonal = None if k is None else np.array(k, I64)
    for dtype in (F32, I64, np.bool_):
        inputs = {"x": ramp(2, 3, 4, dtype=dtype) + dtype(1), "k": diagonal}
        check_op("Trilu", inputs, {"upper": upper}, constants={"k"} if fixed else ())


@pytest.mark.parametrize("time", [0, 1])
@pytest.mark.parametrize("fixed", [True, False])
def test_reverse_sequence(time: int, fixed: bool) -> None:
    attrs = {"time_axis": time, "batch_axis": 1 - time}
    x = ramp(4, 4, 3)
    lengths = ints(1, 4, 2, 3)
    names = {"lengths"} if fixed else set()
    check_op("ReverseSequence", {"x": x, "lengths": lengths}, attrs, constants=names)


@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
@pytest.mark.parametrize("dtype", [I64, np.int32, F32])
def test_one_hot(axis: int, dtype: Any) -> None:
    inputs = {
        "i": np.array([[0, 2, -1], [5, 1, -6]], dtype),
        "depth": np.array(4, I64),
        "values": np.array([2, 5], F32),
    }
    check_op("OneHot", inputs, {"axis": axis}, constants={"depth", "values"})
    check_op("OneHot", inputs, {"axis": axis}, constants={"depth"})


def test_dropout_is_the_identity() -> None:
    assert check_op("Dropout", {"x": ramp(3, 4)}).ops == []
    check_op("Dropout", {"x": ramp(3, 8), "ratio": np.array(0.5, F32)}, n_outputs=2)
    training = {"x": ramp(3, 4), "ratio": np.array(0.5, F32), "t": np.array(True)}
    with pytest.raises(NotLowered, match="without a seed"):
        check_op("Dropout", training, n_outputs=2, constants={"t"})
    never = {**training, "ratio": np.array(0, F32)}
    assert check_op("Dropout", never, constants={"ratio"}).ops == []


@pytest.mark.parametrize("dtype", [F32, np.float64])
@pytest.mark.parametrize("constants", [(), ("t",), ("ratio",)])
def test_dropout_while_training_draws_as_the_reference(dtype: Any, constants: Any) -> None:
    x, ratio = ramp(3, 40, dtype=dtype), np.array(0.75, F32)
    inputs = {"x": x, "ratio": ratio, "t": np.array(True)}
    variants = [{"t": np.array(False)}, {"ratio": np.array(0.25, F32)}, {"ratio": np.array(0, F32)}]
    also = [values for values in variants if not set(values) & set(constants)]
    model = single_node("Dropout", inputs, {"seed": 3}, 2, NEWEST)
    for values in ({}, *also):
        given = {**inputs, **values}
        expected = ReferenceEvaluator(model).run(None, given)
        arguments = [v for name, v in given.items() if name not in constants]
        module, weights, _ = lower_node(model, inputs, expected, constants)
        (function,) = module.body.block.ops
        assert isinstance(function, FuncOp)
        y, mask = interpret_function(function, arguments, weights)
        np.testing.assert_array_equal(mask, expected[1])
        np.testing.assert_allclose(y, expected[0], 1e-6)
