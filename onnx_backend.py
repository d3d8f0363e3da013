"""ONNX's own backend interface, over the whole way: compile, program file, simulator.

    import semc.onnx_backend as backend

    outputs = backend.run_model(onnx.load("model.onnx"), [x])
    backend_test = onnx.backend.test.BackendTest(backend, __name__)

Nothing is cut short: a model is compiled, its program written to a file and read back, and the
simulator runs what was read in exact mode. The target is the keyword ``target``, or what the
environment's ``SEMC_BACKEND_TARGET`` names, or memcap-phone.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TypeProto, defs, helper, numpy_helper, shape_inference
from onnx.backend.base import Backend as OnnxBackend
from onnx.backend.base import BackendRep

from . import compile as compile_model
from . import load, simulate
from .backends.program import Program
from .compiler.frontend.pack_ports import pack_ports
from .dialects.records import from_record, to_record
from .errors import InputError

__all__ = [
    "Backend",
    "PreparedModel",
    "is_compatible",
    "prepare",
    "run_model",
    "run_node",
    "supports_device",
]

TARGET = "memcap-phone"
TARGET_VARIABLE = "SEMC_BACKEND_TARGET"

#: (dtype, shape) of an output.
OutputInfo = tuple[Any, tuple[int, ...]]


class PreparedModel(BackendRep):
    """A compiled model. ``program`` is what was read from its program file.

    A model whose inputs have symbolic dimensions is compiled when its first inputs come, and again
    whenever their shapes change. Strings, sequences, optionals and the like cross the program's
    ports as bytes (``semc.dialects.records``).
    """

    def __init__(self, model: ModelProto, target: str) -> None:
        self._model, self._target = model, target
        initialised = {tensor.name for tensor in model.graph.initializer}
        self._every = [value.name for value in model.graph.input]
        self._free = [name for name in self._every if name not in initialised]
        self._outputs = [value.name for value in model.graph.output]
        self._open_dims = _open_dims(model)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._packed: dict[str, TypeProto] = {}
        self.program: Program | None = None
        if not self._open_dims:
            self._compile({})

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The outputs in the model's order, for one value per graph input in order.

        Initialised inputs may be left out. Raises SemcError as ``semc.simulate`` does.
        """
        feeds = self._feeds(inputs)
        shapes = {name: np.shape(feeds[name]) for name, _ in self._open_dims}
        if self.program is None or shapes != self._shapes:
            self._compile(shapes)
            self._shapes = shapes
        assert self.program is not None
        for name in self._packed.keys() & feeds.keys():
            feeds[name] = to_record(feeds[name], self._packed[name])
        outputs = simulate(self.program, feeds, mode="exact").outputs
        for name in self._packed.keys() & outputs.keys():
            outputs[name] = from_record(outputs[name], self._packed[name])
        return tuple(outputs[name] for name in self._outputs)

    def _compile(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Compile for inputs of ``shapes``, and read the program back from its file."""
        bound = ModelProto()
        bound.CopyFrom(self._model)
        for value in bound.graph.input:
            dims = value.type.tensor_type.shape.dim if value.name in shapes else []
            for dim, size in zip(dims, shapes.get(value.name, ()), strict=False):
                if not dim.HasField("dim_value"):
                    dim.dim_value = size
        model, self._packed = pack_ports(bound)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.semc"
            compile_model(model, self._target).save(path)
            self.program = load(path)

    def _feeds(self, inputs: Any) -> dict[str, Any]:
        """By name; values of initialised inputs are dropped, for they are compiled in."""
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        names = self._every if len(values) == len(self._every) else self._free
        if len(values) != len(names):
            raise InputError(f"the model has {len(names)} inputs, {len(values)} came")
        feeds = {name: _as_array(value) for name, value in zip(names, values, strict=True)}
        for tensor in self._model.graph.initializer:
            given = feeds.get(tensor.name)
            if given is not None and not np.array_equal(given, numpy_helper.to_array(tensor)):
                raise InputError("an initialised input must keep its value", where=tensor.name)
        return {name: feeds[name] for name in self._free}


class Backend(OnnxBackend):
    """``onnx.backend.base.Backend`` by the compiler and the simulator."""

    @classmethod
    def is_compatible(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether the device is there. A model that cannot be compiled says why in ``prepare``:
        ONNX's test runner takes a refusal here for a pass."""
        return cls.supports_device(device)

    @classmethod
    def prepare(cls, model: ModelProto, device: str = "CPU", **kwargs: Any) -> PreparedModel:
        """Compile ``model`` for ``target`` (a keyword). Raises ModelError or CapacityError."""
        if not cls.supports_device(device):
            raise InputError(f"the device must be CPU, where the simulator runs, not {device!r}")
        target = kwargs.get("target") or os.environ.get(TARGET_VARIABLE) or TARGET
        return PreparedModel(model, target)

    @classmethod
    def run_model(
        cls, model: ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Any, ...]:
        """Compile ``model`` and run it once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[OutputInfo] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ...]:
        """Run one node on arrays; ``outputs_info`` has the (dtype, shape) of each output, which is
        needed where the operands' shapes do not tell. ``opset_version`` is a keyword."""
        arrays = [np.asarray(value) for value in inputs]
        model = _node_model(node, arrays, outputs_info, kwargs.pop("opset_version", None))
        return cls.run_model(model, arrays, device, **kwargs)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """The simulator runs on the CPU."""
        return device == "CPU"


prepare = Backend.prepare
run_node = Backend.run_node
run_model = Backend.run_model
supports_device = Backend.supports_device
is_compatible = Backend.is_compatible


def _open_dims(model: ModelProto) -> list[tuple[str, int]]:
    """(input name, axis) of every dimension without a number."""
    initialised = {tensor.name for tensor in model.graph.initializer}
    return [
        (value.name, axis)
        for value in model.graph.input
        if value.name not in initialised and value.type.HasField("tensor_type")
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value")
    ]


def _as_array(value: Any) -> Any:
    """numpy scalars as 0-d arrays; arrays and sequences as they are."""
    return np.asarray(value) if isinstance(value, (np.generic, int, float, bool)) else value


def _node_model(
    node: NodeProto,
    arrays: Sequence[np.ndarray],
    outputs_info: Sequence[OutputInfo] | None,
    opset: int | None,
) -> ModelProto:
    def info(name: str, dtype: Any, shape: Sequence[int]) -> Any:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(name, kind, shape)

    present = dict.fromkeys(name for name in node.input if name)
    inputs = [info(name, x.dtype, x.shape) for name, x in zip(present, arrays, strict=True)]
    names = [name for name in node.output if name]
    outputs = [helper.make_empty_tensor_value_info(name) for name in names]
    if outputs_info is not None:
        outputs = [info(name, *entry) for name, entry in zip(names, outputs_info, strict=True)]
    version = opset or defs.get_schema(node.op_type, domain=node.domain).since_version
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, version)])
    return shape_inference.infer_shapes(model, data_prop=True)
