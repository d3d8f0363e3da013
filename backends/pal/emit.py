"""Writes the ``pal`` level as a mesh program: task and transfer records, buffers, stored weights.

Stationary operands are stored with their exact values, which exact mode runs on, and for PAL
devices also as codes, whose scales are searched here once; a bf16 or fp16 device's are rounded when
the program is loaded.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from ... import __version__
from ...dialects import pal, place
from ...dialects.attributes import WeightAttr, node_names
from ...dialects.kernel import Kernel
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dense_array, dtype_of, shape_of
from ...errors import IRError
from ..kernel_codec import encode_kernels
from ..memcap.emit import WeightSource
from ..program import Lazy, Program, Section
from ..tables import (
    ELEMENT_CODE,
    ELEMENTS,
    BufferEntry,
    Names,
    encode_buffers,
    encode_constants,
)
from ..targets import MeshTarget, target_to_dict
from .openpal import encode
from .task_work import operand_of, task_work
from .tasks import Step, StepName, Task, Tensor, Transfer, Weight, encode_tasks
from .work import is_pal


def emit_program(
    module: ModuleOp,
    weights: WeightSource,
    target: MeshTarget,
    manifest_extra: Mapping[str, Any] | None = None,
) -> Program:
    """The program of ``func.func @main`` at the ``pal`` level.

    ``manifest_extra`` adds to the manifest (model, options, stats); ``stats`` gets the schedule's
    length, the bound below it, and the gap. Arrays that ``weights`` does not have, or knows by
    shape only, are left out: such a program can be timed. Raises IRError for another level.
    """
    main = _main(module)
    emitter = _Emitter(weights, target)
    for op in main.body.block.ops:
        emitter.add(op)
    extra = dict(manifest_extra or {})
    extra["stats"] = {**extra.get("stats", {}), "schedule": schedule_facts(main)}
    return Program(
        {
            "semc": __version__,
            "machine": "mesh",
            "target": target_to_dict(target),
            "model": {},
            "options": {},
            **extra,
            "inputs": emitter.ports["input"],
            "outputs": emitter.ports["output"],
        },
        emitter.sections(),
    )


def schedule_facts(main: func.FuncOp) -> dict[str, Any]:
    """What the function knows of its schedule, in seconds.

    ``plan_s`` is what the scheduler aimed at, ``makespan_s`` the time of the slots with contention
    on links, ``bound_s`` what no schedule can beat, ``gap`` the makespan over the bound, less one.
    """
    known = main.attributes.get("schedule")
    items = known.data.items() if isinstance(known, DictionaryAttr) else ()
    numbers = {k: v.value.data for k, v in items if isinstance(v, IntegerAttr)}
    facts: dict[str, Any] = {
        f"{key}_s": numbers[f"{key}_ps"] * 1e-12
        for key in ("plan", "makespan", "bound")
        if f"{key}_ps" in numbers
    }
    if numbers.get("bound_ps") and "makespan_ps" in numbers:
        facts["gap"] = numbers["makespan_ps"] / numbers["bound_ps"] - 1
    slots = [op for op in main.body.block.ops if isinstance(op, (pal.TaskOp, pal.TransferOp))]
    tasks = [op for op in slots if isinstance(op, pal.TaskOp)]
    devices = sorted({op.device.data for op in tasks})
    return {**facts, "tasks": len(tasks), "transfers": len(slots) - len(tasks), "devices": devices}


def _main(module: ModuleOp) -> func.FuncOp:
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "main":
            return op
    raise IRError("a module must hold func.func @main to become a program")


class _Emitter:
    """Takes the ops of the function in order and collects what the sections are made of."""

    def __init__(self, weights: WeightSource, target: MeshTarget) -> None:
        self.source = weights
        self.target = target
        self.names = Names()
        self.arrays: dict[str, Section] = {}
        self.counts: dict[str, int] = {}
        self.known: dict[object, int] = {}
        self.buffers: list[BufferEntry] = []
        self.fills: list[tuple[int, int]] = []
        self.weights: list[Weight] = []
        self.tasks: list[Task] = []
        self.transfers: list[Transfer] = []
        self.ports: dict[str, list[dict[str, Any]]] = {"input": [], "output": []}
        self.numbers: dict[SSAValue, int] = {}

    def add(self, op: Operation) -> None:
        match op:
            case place.BufferOp():
                self._buffer(op)
            case place.AliasOp():
                source = self.numbers[op.source]
                start = self.buffers[source].offset + op.offset.value.data
                self._entry(op, self.buffers[source].memory, start, source)
            case pal.WeightOp():
                self.numbers[op.result] = -1 - len(self.weights)
                self.weights.append(self._weight(op))
            case pal.TaskOp():
                self.tasks.append(self._task(op))
            case pal.TransferOp():
                self.transfers.append(self._transfer(op))
            case func.ReturnOp():
                pass
            case _:
                raise IRError(
                    f"{op.name} is not of the pal level", help="run convert-place-to-pal first"
                )

    def sections(self) -> dict[str, Section]:
        devices = [device.name for device in self.target.devices]
        tables, kernels = encode_tasks(
            self.tasks, self.transfers, self.weights, devices, self.names
        )
        return {
            **tables,
            **encode_kernels(kernels),
            **encode_buffers(self.buffers, self.names),
            **encode_constants(self.fills),
            **self.names.encode(),
            **self.arrays,
        }

    def _number(self, kind: str) -> int:
        """The next number of the sections ``kind.n``."""
        self.counts[kind] = self.counts.get(kind, -1) + 1
        return self.counts[kind]

    def _stored(self, kind: str, key: WeightAttr) -> int | None:
        """The section of an array in the weight store; None when there are no values."""
        name = key.data
        if name not in self.source or self.source.is_absent(name):
            return None
        if (kind, name) not in self.known:
            number = self.known[kind, name] = self._number(kind)
            shape, dtype = tuple(self.source.shape(name)), self.source.dtype(name)
            self.arrays[f"{kind}.{number}"] = Lazy(shape, dtype, lambda: self.source[name])
        return self.known[kind, name]

    def _weight(self, op: pal.WeightOp) -> Weight:
        assert isinstance(op.result.type, place.BufferType)
        shape = op.result.type.tensor.get_shape()
        format = op.format.data
        packed = pal.is_packed(op.result.type.tensor)
        dtype = np.dtype(np.float32) if packed else dtype_of(op.result.type.tensor)
        stored = self._stored("weights", op.weight)
        codes, exponent = None, 0
        if stored is not None and is_pal(format):
            codes, exponent = self._codes(op.weight.data, shape, format)
        return Weight(
            op.weight.data,
            op.memory.data,
            op.offset.value.data,
            format,
            Tensor(dtype, shape),
            stored,
            codes,
            exponent,
        )

    def _codes(self, name: str, shape: tuple[int, ...], format: str) -> tuple[int, int]:
        """The number of the sections with a matrix's codes, and its tensor exponent."""
        key, exponent_key = (name, shape, format), (name, shape, format, "exponent")
        if key not in self.known:
            packed = encode(self.source[name].reshape(shape), format, axis=len(shape) - 2)
            number = self.known[key] = self._number("codes")
            arrays, facts = packed.to_arrays()
            self.arrays[f"codes.{number}"] = arrays["codes"]
            self.arrays[f"exponents.{number}"] = arrays["exponents"]
            self.known[exponent_key] = int(facts["tensor_exponent"])
        return self.known[key], self.known[exponent_key]

    def _entry(
        self,
        op: place.BufferOp | place.AliasOp,
        memory: str,
        offset: int,
        source: int | None = None,
    ) -> int:
        assert isinstance(op.result.type, place.BufferType)
        value = op.attributes.get("value")
        name = value.data if isinstance(value, StringAttr) else None
        tensor = op.result.type.tensor
        entry = BufferEntry(memory, offset, dtype_of(tensor), shape_of(tensor), name, source)
        number = self.numbers[op.result] = len(self.buffers)
        self.buffers.append(entry)
        return number

    def _buffer(self, op: place.BufferOp) -> None:
        number = self._entry(op, op.memory.data, op.offset.value.data)
        if op.init is not None:
            stored = self._stored("constant", op.init)
            self.fills.append((number, -1 if stored is None else stored))
        if op.literal is not None:
            values = np.ascontiguousarray(dense_array(op.literal)).reshape(-1)
            key = (values.tobytes(), values.dtype)
            if key not in self.known:
                self.known[key] = self._number("constant")
                self.arrays[f"constant.{self.known[key]}"] = values
            self.fills.append((number, self.known[key]))
        if op.port is not None:
            kind, _, name = op.port.data.partition(":")
            entry = self.buffers[number]
            element = ELEMENTS[ELEMENT_CODE[entry.dtype]][0]
            port = {"name": name, "shape": list(entry.shape), "dtype": element, "buffer": number}
            self.ports[kind].append(port)

    def _transfer(self, op: pal.TransferOp) -> Transfer:
        return Transfer(
            slot=op.slot.value.data,
            source=self.numbers[op.source],
            target=self.numbers[op.target],
            nbytes=op.bytes.value.data,
            start_ps=op.start_ps.value.data,
            finish_ps=op.finish_ps.value.data,
            node=_node(op),
            after=_after(op),
        )

    def _task(self, op: pal.TaskOp) -> Task:
        block = op.body.block
        registers: dict[SSAValue, int] = {arg: i for i, arg in enumerate(block.args)}
        steps = []
        for inner in block.ops:
            if isinstance(inner, place.YieldOp):
                break
            steps.append(_step(inner, registers))
            for result in inner.results:
                registers[result] = len(registers)
        last = block.last_op
        assert last is not None
        return Task(
            slot=op.slot.value.data,
            device=op.device.data,
            format=op.format.data,
            start_ps=op.start_ps.value.data,
            finish_ps=op.finish_ps.value.data,
            node=_node(op),
            ins=tuple(self.numbers[x] for x in op.ins),
            outs=tuple(self.numbers[x] for x in op.outs),
            yields=tuple(registers[x] for x in last.operands),
            steps=tuple(steps),
            after=_after(op),
            work=task_work(op, self._device(op)),
        )

    def _device(self, op: pal.TaskOp) -> Any:
        try:
            return self.target.device(op.device.data)
        except KeyError:
            raise IRError(
                f"target {self.target.name} has no device {op.device.data!r}", where=_node(op)
            ) from None


def _step(op: Operation, registers: Mapping[SSAValue, int]) -> Step:
    operands = tuple(registers[x] for x in op.operands)
    types = [operand_of(x) for x in op.results]
    results = tuple(Tensor(t.dtype, t.shape) for t in types)
    name: StepName
    match op:
        case pal.EncodeOp():
            search = -1 if op.search is None else op.search.value.data
            axis = pal.block_axis(op.output.type)
            return Step(
                "encode", operands, results, format=types[0].format, axis=axis, search=search
            )
        case pal.DecodeOp():
            return Step("decode", operands, results)
        case pal.MatmulOp():
            name = "matmul_exact" if op.exact is not None else "matmul"
            return Step(name, operands, results)
        case TensorOp():
            kernel: Kernel = op.kernel
            return Step("kernel", operands, results, kernel=kernel)
    raise IRError(f"{op.name} cannot be in a task", where=op.name)


def _after(op: pal.TaskOp | pal.TransferOp) -> tuple[int, ...]:
    return tuple(op.after.get_values()) if op.after is not None else ()


def _node(op: pal.TaskOp | pal.TransferOp) -> str | None:
    if op.node is not None:
        return str(op.node.data)
    return " + ".join(node_names(op)) or None
