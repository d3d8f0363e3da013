"""Interpret a module of the ``place`` level: slots in order on real bytes of the planned memories.

Because buffers are bytes, a plan that lets two live values share memory gives wrong numbers here.
"""

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from ...dialects import place
from ...dialects.attributes import table_of
from ...dialects.types import dtype_of, shape_of
from .graph_ops import linear
from .interpret import run_block

#: Called with the name of an ONNX value and its array whenever a buffer that holds it is written.
ValueObserver = Callable[[str, np.ndarray], None]


def interpret_placed(
    module: ModuleOp,
    inputs: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    observe: ValueObserver | None = None,
) -> dict[str, np.ndarray]:
    """Run the slots of a placed module in float arithmetic; outputs by name."""
    memory = _Memory(module)
    outputs: dict[str, SSAValue] = {}
    for op in module.walk():
        if isinstance(op, place.BufferOp):
            _fill(op, memory, inputs, weights)
            if op.port is not None and op.port.data.startswith("output:"):
                outputs[op.port.data.removeprefix("output:")] = op.result
    matrices: dict[SSAValue, np.ndarray] = {
        op.result: weights[op.weight.data]
        for op in module.walk()
        if isinstance(op, place.ProgramOp)
    }
    for op in module.walk():
        for buffer in _run_slot(op, memory, matrices, weights):
            if observe is not None:
                memory.report(buffer, observe)
    return {name: memory.view(buffer).copy() for name, buffer in outputs.items()}


def _fill(
    op: place.BufferOp,
    memory: "_Memory",
    inputs: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
) -> None:
    if op.init is not None:
        memory.view(op.result)[...] = weights[op.init.data]
    elif op.literal is not None:
        memory.view(op.result)[...] = table_of(op.literal)
    elif op.port is not None and op.port.data.startswith("input:"):
        memory.view(op.result)[...] = inputs[op.port.data.removeprefix("input:")]


def _run_slot(
    op: Operation,
    memory: "_Memory",
    matrices: Mapping[SSAValue, np.ndarray],
    weights: Mapping[str, np.ndarray],
) -> list[SSAValue]:
    """Run one slot; returns the buffers it wrote."""
    match op:
        case place.MvmOp():
            x = memory.view(op.x)
            matrix = matrices[op.crossbar]
            memory.view(op.y)[...] = linear(x, matrix[0] if x.ndim == 2 else matrix)
            return [op.y]
        case place.MoveOp():
            memory.view(op.target)[...] = memory.view(op.source)
            return [op.target]
        case place.StageOp():
            block = op.body.block
            results = run_block(block, [memory.view(b).copy() for b in op.ins], weights)
            for buffer, result in zip(op.outs, results, strict=True):
                memory.view(buffer)[...] = result
            return list(op.outs)
    return []


class _Memory:
    """The bytes of each memory up to where buffers reach, and arrays that look into them."""

    def __init__(self, module: ModuleOp) -> None:
        ends: dict[str, int] = {}
        self._named: dict[place.BufferOp, list[tuple[str, SSAValue]]] = {}
        for op in module.walk():
            if isinstance(op, place.BufferOp):
                assert isinstance(op.result.type, place.BufferType)
                end = op.offset.value.data + op.result.type.nbytes
                ends[op.memory.data] = max(ends.get(op.memory.data, 0), end)
            name = op.attributes.get("value")
            if isinstance(op, (place.BufferOp, place.AliasOp)) and isinstance(name, StringAttr):
                root, _ = place.root_of(op.result)
                self._named.setdefault(root, []).append((name.data, op.result))
        self._bytes = {name: np.zeros(size, np.uint8) for name, size in ends.items()}
        self._views: dict[SSAValue, np.ndarray] = {}

    def view(self, buffer: SSAValue) -> np.ndarray:
        """The array that ``buffer`` shows; writing to it writes to the memory."""
        if buffer not in self._views:
            assert isinstance(buffer.type, place.BufferType)
            root, offset = place.root_of(buffer)
            shape, dtype = shape_of(buffer.type.tensor), dtype_of(buffer.type.tensor)
            start = root.offset.value.data + offset
            raw = self._bytes[root.memory.data][start : start + prod(shape) * dtype.itemsize]
            self._views[buffer] = raw.view(dtype).reshape(shape)
        return self._views[buffer]

    def report(self, buffer: SSAValue, observe: ValueObserver) -> None:
        """Tell the ONNX values that the buffer just written holds."""
        root, _ = place.root_of(buffer)
        for name, named in self._named.get(root, ()):
            observe(name, self.view(named))
