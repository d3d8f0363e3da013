"""Interpret a module of the ``place`` level: slots in order on real bytes of the planned memories.

Because buffers are bytes, a plan that lets two live values share memory gives wrong numbers here.
"""

from collections.abc import Callable, Mapping
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue

from ...dialects import place
from ...dialects.attributes import table_of
from ...dialects.functions import defined_functions
from ...dialects.types import dtype_of, shape_of
from ..execute.loop import Loop
from .graph_ops import product
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
    slots = _Slots(memory, matrices, weights, observe)
    for function in defined_functions(module):
        slots.run(function.body.block)
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


class _Slots:
    """Runs the slots of a block in order."""

    def __init__(
        self,
        memory: "_Memory",
        matrices: Mapping[SSAValue, np.ndarray],
        weights: Mapping[str, np.ndarray],
        observe: ValueObserver | None,
    ) -> None:
        self.memory = memory
        self.matrices = matrices
        self.weights = weights
        self.observe = observe

    def run(self, block: Block) -> None:
        for op in block.ops:
            for buffer in self._slot(op):
                if self.observe is not None:
                    self.memory.report(buffer, self.observe)

    def _slot(self, op: Operation) -> list[SSAValue]:
        """Run one slot; returns the buffers it wrote itself."""
        view = self.memory.view
        match op:
            case place.MvmOp():
                view(op.y)[...] = product(view(op.x), self.matrices[op.crossbar], op.window)
                return [op.y]
            case place.MoveOp():
                view(op.target)[...] = view(op.source)
                return [op.target]
            case place.StageOp():
                block = op.body.block
                results = run_block(block, [view(b).copy() for b in op.ins], self.weights)
                for buffer, result in zip(op.outs, results, strict=True):
                    view(buffer)[...] = result
                return list(op.outs)
            case place.IfOp():
                self.run(op.blocks[0 if bool(view(op.condition)) else 1])
            case place.LoopOp():
                loop = Loop(op.max_trips.value.data, *map(self._scalar, (op.trip, op.condition)))
                for _ in loop.iterations(view(op.index)):
                    self.run(op.blocks[0])
        return []

    def _scalar(self, buffer: SSAValue | None) -> np.ndarray | None:
        return None if buffer is None else self.memory.view(buffer)


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
