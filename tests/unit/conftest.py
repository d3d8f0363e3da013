"""Fixtures of the kernel tests: one ONNX operator run by ONNX Runtime, and kernels by keyword."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from semc.dialects.kernel import Kernel, with_defaults
from semc.runtime.execute.vector import run_kernel


def single_node_model(
    op_type: str,
    inputs: Sequence[np.ndarray | None],
    out_dtypes: Sequence[Any] = (),
    opset: int = 20,
    **attrs: Any,
) -> bytes:
    """A serialized model of one node (None is an omitted input), of the first input's type."""
    from onnx import helper

    def info(name: str, dtype: Any, shape: Sequence[int] | None) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    given = {n: x for n, x in zip(names, inputs, strict=True) if x is not None}
    out_dtypes = out_dtypes or (given["x0"].dtype,)
    results = [f"y{i}" for i in range(len(out_dtypes))]
    graph = helper.make_graph(
        [helper.make_node(op_type, names, results, name="node", **attrs)],
        "one",
        [info(n, x.dtype, x.shape) for n, x in given.items()],
        [info(n, t, None) for n, t in zip(results, out_dtypes, strict=True)],
    )
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


@pytest.fixture
def model() -> Callable[..., bytes]:
    return single_node_model


@pytest.fixture
def ort() -> Callable[..., np.ndarray]:
    """The first output of one operator, computed by ONNX Runtime itself."""
    import onnxruntime

    def run(op_type: str, *inputs: np.ndarray | None, **options: Any) -> np.ndarray:
        session = onnxruntime.InferenceSession(single_node_model(op_type, inputs, **options))
        feeds = {f"x{i}": np.asarray(x) for i, x in enumerate(inputs) if x is not None}
        return session.run(None, feeds)[0]

    return run


@pytest.fixture
def kernel() -> Callable[..., np.ndarray]:
    """Run a kernel given by keyword, and check what every kernel promises of its result."""

    def run(op: str, inputs: Sequence[np.ndarray], shape: Any, dtype: Any, **attrs: Any) -> Any:
        out = run_kernel(Kernel(op, with_defaults(op, attrs)), inputs, shape, dtype)
        assert out.shape == tuple(shape)
        assert out.dtype == np.dtype(dtype)
        assert out.flags.c_contiguous
        assert out.flags.writeable
        assert not any(np.shares_memory(out, x) for x in inputs)
        return out

    return run
