"""Load an ONNX model: check it, take out its weights, bind its shapes, leave only real work.

file -> proto -> weights detached -> checked, local functions opened -> dims bound
     -> newest operator set -> types, constant folding, function operators opened
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ModelError
from ..weights import Constant, WeightStore, printable_name
from .bind_shapes import bind_shapes
from .check_model import check_model
from .detach_weights import detach_weights
from .external_data import ExternalFiles
from .model import LoadedModel, TensorSpec
from .normalize import Keep, Normalizer
from .read_model import read_model
from .remove_dead_nodes import remove_dead_nodes
from .small_constants import small_constants
from .static_types import check_outputs, check_size, declared_specs
from .unify_shapes import implied_specs
from .upgrade_opset import upgrade_opset

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


def load_model(
    model: "str | os.PathLike[str] | bytes | ModelProto",
    dims: Mapping[str, int] | None = None,
    *,
    keep: Keep | None = None,
    shapes_only: bool = False,
) -> LoadedModel:
    """The model with static shapes and only nodes that compute something at run time.

    ``dims`` binds symbolic dimensions; an open batch is 1. ``keep(domain, op_type)`` tells which of
    the operators that ONNX defines by others shall stay whole (all, without it). External data are
    mapped, not read; with ``shapes_only`` their files may be missing. Raises ModelError for
    anything malformed or not static.
    """
    proto = read_model(model)
    path = Path(os.fspath(model)) if isinstance(model, (str, os.PathLike)) else None
    files = ExternalFiles(path.absolute().parent if path else None)
    constants = detach_weights(proto, files, may_be_absent=shapes_only)
    proto = check_model(proto)
    constants |= detach_weights(proto, files, may_be_absent=shapes_only)
    assumed = bind_shapes(proto, dims or {})
    proto = upgrade_opset(proto)
    name = printable_name(proto.graph.name or (path.stem if path else ""), "model")
    loaded = _normalize(proto, constants, name, keep or (lambda domain, op_type: True))
    loaded.assumed_dims = assumed
    return loaded


def _normalize(
    proto: "ModelProto", constants: dict[str, Constant], name: str, keep: Keep
) -> LoadedModel:
    from onnx import defs

    graph = proto.graph
    small, foreign = small_constants(graph)
    constants = {**small, **constants}
    inputs = _input_specs(graph, {*constants, *(node.output[0] for node in foreign)})
    opsets = {"": defs.onnx_opset_version()}
    opsets |= {entry.domain: entry.version for entry in proto.opset_import}
    wanted = [value.name for value in graph.output]
    if len(set(wanted)) < len(wanted):
        raise ModelError("every output must have its own name")
    alive, needed = remove_dead_nodes([*foreign, *graph.node], wanted)
    used = {n: c for n, c in constants.items() if n in needed}
    imply = partial(implied_specs, proto)
    normalizer = Normalizer(opsets, inputs, used, declared_specs(graph), keep, imply)
    normalizer.run(alive, wanted)
    check_outputs(graph, normalizer.specs)
    outputs = {output: normalizer.resolve(output) for output in wanted}
    nodes, needed = remove_dead_nodes(normalizer.nodes, outputs.values())
    return LoadedModel(
        name=name,
        opset=opsets[""],
        inputs=inputs,
        outputs=outputs,
        nodes=nodes,
        specs=normalizer.specs,
        constants={n: c for n, c in normalizer.constants.items() if n in needed},
        bodies=normalizer.bodies,
        weights=WeightStore(),
    )


def _input_specs(graph: "GraphProto", initialised: set[str]) -> dict[str, TensorSpec]:
    from ...dialects.types import dtype_of_onnx

    specs = {}
    for value in graph.input:
        if value.name not in initialised:
            tensor = value.type.tensor_type
            shape = tuple(dim.dim_value for dim in tensor.shape.dim)
            specs[value.name] = TensorSpec(shape, dtype_of_onnx(tensor.elem_type, value.name))
            check_size(specs[value.name], value.name)
    return specs
