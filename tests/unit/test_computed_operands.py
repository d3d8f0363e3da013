"""One program for many values of operands that models usually hold as constants."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import semc

from .onnx_models import info, model

I64 = TensorProto.INT64


def node(op: str, inputs: str, outputs: str, **attrs: Any) -> Any:
    return helper.make_node(
        op, ["" if n == "-" else n for n in inputs.split()], outputs.split(), **attrs
    )


def moves() -> Any:
    """x [6, 6] -> slice [4, 4] -> pad [5, 6] -> part of a split [2, 6]; its running sum; both sums
    of the slice; and the part at twice the size."""
    made = model(
        [
            node("Slice", "x starts ends axes steps", "sliced"),
            node("Pad", "sliced pads value", "padded", mode="constant"),
            node("Split", "padded sizes", "first part last", axis=0),
            node("CumSum", "part axis", "running"),
            node("ReduceSum", "sliced reduced", "total", keepdims=0),
            node("Resize", "part - scales", "large", mode="linear"),
        ],
        [
            info("x", [6, 6]),
            *(info(name, [2], I64) for name in ("starts", "ends", "axes", "steps")),
            info("pads", [4], I64),
            info("value", []),
            info("sizes", [3], I64),
            info("axis", [], I64),
            info("reduced", [1], I64),
            info("scales", [2]),
        ],
        [info("running", [2, 6]), info("total", [4]), info("large", [4, 13])],
    )
    known = {
        "sliced": [4, 4], "padded": [5, 6], "first": [1, 6], "part": [2, 6], "last": [2, 6],
    }  # fmt: skip
    made.graph.value_info.extend(info(name, shape) for name, shape in known.items())
    return made


def feeds(**values: Any) -> dict[str, np.ndarray]:
    floats = ("x", "value", "scales")
    return {k: np.array(v, np.float32 if k in floats else np.int64) for k, v in values.items()}


@pytest.mark.parametrize("target", ["memcap-phone", "mesh-cpu"])
def test_one_program_takes_many_operands(target: str) -> None:
    made = moves()
    program = semc.compile(made, target=target)
    assert program.manifest["stats"]["host_ops"] == []
    session = onnxruntime.InferenceSession(made.SerializeToString())
    x = np.random.default_rng(8).standard_normal((6, 6))
    common = {"x": x, "sizes": [1, 2, 2]}
    for values in (
        feeds(**common, starts=[1, 2], ends=[5, 6], axes=[0, 1], steps=[1, 1], pads=[0, 1, 1, 1],
              value=7, axis=0, reduced=[0], scales=[2, 2.2]),
        feeds(**common, starts=[-1, 0], ends=[-5, 4], axes=[-1, 0], steps=[-1, 1],
              pads=[1, 2, 0, 0], value=-1, axis=-1, reduced=[1], scales=[2.4, 2.18]),
        feeds(**common, starts=[3, -6], ends=[-99, 4], axes=[1, -2], steps=[-1, 1],
              pads=[-1, 3, 2, -1], value=0, axis=1, reduced=[-2], scales=[2.1, 2.25]),
    ):  # fmt: skip
        result = semc.simulate(program, values, mode="exact")
        expected = dict(zip(("running", "total", "large"), session.run(None, values), strict=True))
        for name, array in expected.items():
            np.testing.assert_allclose(result.outputs[name], array, 1e-5, 1e-6, err_msg=name)


@pytest.mark.parametrize("axes", [None, [1, 0], [-1]])
@pytest.mark.parametrize("pad_axes", [None, [0]])
def test_one_program_crops_what_was_padded(
    axes: list[int] | None, pad_axes: list[int] | None
) -> None:
    count, padded = len(axes or [0, 1]), len(pad_axes or [0, 1])
    weights = {}
    if axes:
        weights["axes"] = np.array(axes)
    if pad_axes:
        weights["pad_axes"] = np.array(pad_axes)
    made = model(
        [
            node("Pad", f"x pads value {'pad_axes' if pad_axes else '-'}", "padded"),
            node("Shape", "padded", "size"),
            node("Slice", f"padded starts ends {'axes' if axes else '-'}", "y"),
        ],
        [
            info("x", [4, 5]),
            info("pads", [2 * padded], I64),
            info("value", []),
            info("starts", [count], I64),
            info("ends", [count], I64),
        ],
        [info("y", [3, 3] if count == 2 else [4, 3]), info("size", [2], I64)],
        weights,
    )
    program = semc.compile(made, target="memcap-phone")
    assert program.manifest["stats"]["host_ops"] == []
    session = onnxruntime.InferenceSession(made.SerializeToString())
    x = np.random.default_rng(9).standard_normal((4, 5))
    lows = [(1, 2), (0, 0), (2, -1)] if count == 2 else [(0, 1), (0, 0), (-1, 0)]
    highs = [(2, 0), (3, 3), (0, 2)] if count == 2 else [(0, 1), (0, 2), (1, 3)]
    for low, high, start in zip(lows, highs, (1, -4, 0), strict=True):
        size = [4 + low[0] + high[0], 5 + (low[1] + high[1]) * (padded == 2)]
        sliced = [size[axis] for axis in axes or (0, 1)]
        starts = [start % n for n in sliced]
        values = {
            "x": x.astype(np.float32),
            "pads": np.array([*low[:padded], *high[:padded]]),
            "value": np.array(-2, np.float32),
            "starts": np.array([start] * count),
            "ends": np.array([first + 3 for first in starts]),
        }
        result = semc.simulate(program, values, mode="exact")
        for name, array in zip(("y", "size"), session.run(None, values), strict=True):
            np.testing.assert_array_equal(result.outputs[name], array, err_msg=name)
