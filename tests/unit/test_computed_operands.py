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
