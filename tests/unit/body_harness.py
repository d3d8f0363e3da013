"""Check an operator of another domain against ONNX Runtime: opened, lowered and interpreted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from xdsl.dialects import func

from semc.compiler.context import new_context
from semc.compiler.frontend.import_onnx import import_model
from semc.compiler.frontend.load import load_model
from semc.compiler.frontend.lowering import lowerings
from semc.compiler.pipeline import run_passes
from semc.dialects.types import onnx_type_of
from semc.runtime.interpret.interpret import interpret_function

from .op_harness import Lowered

MICROSOFT = "com.microsoft"


def foreign_model(
    op_type: str,
    inputs: Mapping[str, np.ndarray | None],
    attrs: Mapping[str, Any],
    outputs: Sequence[Any],
    constants: Sequence[str],
    domain: str = MICROSOFT,
    version: int = 1,
) -> onnx.ModelProto:
    """A model of one node of ``domain``; ``outputs`` are element types, None for an omitted one."""
    names = [None if kind is None else f"y{i}" for i, kind in enumerate(outputs)]
    node = helper.make_node(
        op_type,
        [name if x is not None else "" for name, x in inputs.items()],
        [name or "" for name in names],
        name="node",
        domain=domain,
        **attrs,
    )
    given = {name: x for name, x in inputs.items() if x is not None}
    graph = helper.make_graph(
        [node],
        "foreign",
        [
            helper.make_tensor_value_info(name, onnx_type_of(x.dtype), x.shape)
            for name, x in given.items()
            if name not in constants
        ],
        [
            helper.make_tensor_value_info(name, onnx_type_of(np.dtype(kind)), None)
            for name, kind in zip(names, outputs, strict=True)
            if name is not None
        ],
        [numpy_helper.from_array(given[name], name) for name in constants if name in given],
    )
    imports = [helper.make_opsetid("", 21)]
    if domain:
        imports.append(helper.make_opsetid(domain, version))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def check_foreign(
    op_type: str,
    inputs: Mapping[str, np.ndarray | None],
    attrs: Mapping[str, Any] | None = None,
    outputs: Sequence[Any] = (np.float32,),
    constants: Sequence[str] = (),
    *,
    domain: str = MICROSOFT,
    version: int = 1,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    defined: Mapping[int, np.ndarray] | None = None,
) -> Lowered:
    """Compare; the output shapes are found by the compiler. ``atol`` of 1 is one code.

    ``defined`` has, by output, where it says something (all of it, unless said).
    """
    model = foreign_model(op_type, inputs, attrs or {}, outputs, constants, domain, version)
    feeds = {n: x for n, x in inputs.items() if x is not None and n not in constants}
    reference = _run(model, feeds)
    module, weights = import_model(
        load_model(model, keep=lambda domain, op: not domain and op in lowerings())
    )
    run_passes(module, "convert-onnx-to-graph", ctx=new_context(weights))
    (main,) = module.body.block.ops
    assert isinstance(main, func.FuncOp)
    done = Lowered(module, interpret_function(main, list(feeds.values()), weights), reference)
    assert "host" not in done.ops, done.ops
    for i, (came, expected) in enumerate(zip(done.outputs, reference, strict=True)):
        assert came.shape == expected.shape, f"{came.shape}, not {expected.shape}"
        assert came.dtype == expected.dtype, f"{came.dtype}, not {expected.dtype}"
        where = (defined or {}).get(i, True)
        wide = [np.where(where, y.astype(np.float64), 0) for y in (came, expected)]
        np.testing.assert_allclose(*wide, rtol=rtol, atol=atol)
    return done


def _run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by ONNX Runtime, by the reference evaluator for what it has no kernel of."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if model.graph.node[0].domain == "ai.onnx.preview.training":
        # its scalars make float64 of float32
        found = ReferenceEvaluator(model).run(None, dict(feeds))
        return [np.asarray(y, np.float32) for y in found]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, dict(feeds))
