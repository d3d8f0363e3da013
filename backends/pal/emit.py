"""Writes the ``pal`` level as a mesh program: task and transfer records, buffers, stored weights.

Stationary operands are stored with their exact values, which exact mode runs on, and for PAL
devices also as codes, whose scales are searched here once; a bf16 or fp16 device's are rounded when
the program is loaded.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import DictionaryAttr, IntegerAttr, ModuleOp
from xdsl.ir import Operation, SSAValue

from ...dialects import pal, place
from ...dialects.functions import main_function
from ...dialects.kernel import Kernel
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of
from ...errors import IRError
from ..control import Control, control_of, encode_controls
from ..kernel_codec import encode_kernels
from ..program import Program, Section
from ..program_builder import ProgramBuilder, WeightSource, node_of
from ..targets import MeshTarget
from .openpal import encode
from .task_work import operand_of, task_work
from .tasks import Flow, Step, StepName, Task, Tensor, Transfer, Weight, encode_tasks
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
    main = main_function(module)
    emitter = _Emitter(weights, target)
    for op in main.body.block.ops:
        emitter.add(op)
    extra = dict(manifest_extra or {})
    extra["stats"] = {**extra.get("stats", {}), "schedule": schedule_facts(main)}
    return emitter.builder.build(main, target, emitter.tables(), extra)


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
    tasks = [op for op in main.walk() if isinstance(op, pal.TaskOp)]
    transfers = sum(isinstance(op, pal.TransferOp) for op in main.walk())
    devices = sorted({op.device.data for op in tasks})
    return {**facts, "tasks": len(tasks), "transfers": transfers, "devices": devices}


class _Emitter:
    """Takes the ops of the function in order and collects what the sections are made of."""

    def __init__(self, weights: WeightSource, target: MeshTarget) -> None:
        self.target = target
        self.source = weights
        self.builder = ProgramBuilder(weights)
        self.arrays, self.numbers = self.builder.arrays, self.builder.numbers
        self.weights: list[Weight] = []
        self.tasks: list[Task] = []
        self.transfers: list[Transfer] = []
        self.flows: list[Flow] = []
        self.controls: list[Control] = []
        self._blocks = 1
        self._codes_of: dict[tuple[str, tuple[int, ...], str], tuple[int, int]] = {}

    def add(self, op: Operation) -> None:
        match op:
            case place.BufferOp():
                self.builder.add_buffer(op)
            case place.AliasOp():
                self.builder.add_alias(op)
            case pal.WeightOp():
                self.numbers[op.result] = -1 - len(self.weights)
                self.weights.append(self._weight(op))
            case pal.TaskOp() | pal.TransferOp() | pal.IfOp() | pal.LoopOp():
                self._slot(op, 0)
            case func.ReturnOp():
                pass
            case _:
                raise IRError(
                    f"{op.name} is not of the pal level", help="run convert-place-to-pal first"
                )

    def _slot(self, op: Operation, block: int) -> None:
        match op:
            case pal.TaskOp():
                self.tasks.append(self._task(op, block))
            case pal.TransferOp():
                self.transfers.append(self._transfer(op, block))
            case pal.IfOp() | pal.LoopOp():
                self._flow(op, block)

    def _flow(self, op: pal.IfOp | pal.LoopOp, block: int) -> None:
        """Control flow, whose regions become blocks of their own."""
        inside = []
        for inner in op.blocks:
            inside.append(self._blocks)
            self._blocks += 1
            for slot in inner.ops:
                self._slot(slot, inside[-1])
        flow = Flow(
            block=block,
            slot=op.slot.value.data,
            control=len(self.controls),
            start_ps=op.start_ps.value.data,
            finish_ps=op.finish_ps.value.data,
            node=node_of(op),
            after=op.waits,
        )
        self.flows.append(flow)
        self.controls.append(control_of(op, inside, self.numbers))

    def tables(self) -> dict[str, Section]:
        """The sections of the mesh alone."""
        devices = [device.name for device in self.target.devices]
        tables, kernels = encode_tasks(
            self.tasks, self.transfers, self.flows, self.weights, devices, self.builder.names
        )
        return {**tables, **encode_kernels(kernels), **encode_controls(self.controls)}

    def _weight(self, op: pal.WeightOp) -> Weight:
        assert isinstance(op.result.type, place.BufferType)
        shape = op.result.type.tensor.get_shape()
        format = op.format.data
        packed = pal.is_packed(op.result.type.tensor)
        dtype = np.dtype(np.float32) if packed else dtype_of(op.result.type.tensor)
        stored = self.arrays.number("weights", op.weight)
        codes, exponent = None, 0
        if stored >= 0 and is_pal(format):
            codes, exponent = self._codes(op.weight.data, shape, format)
        return Weight(
            op.weight.data,
            op.memory.data,
            op.offset.value.data,
            format,
            Tensor(dtype, shape),
            stored if stored >= 0 else None,
            codes,
            exponent,
        )

    def _codes(self, name: str, shape: tuple[int, ...], format: str) -> tuple[int, int]:
        """The number of the sections with a matrix's codes, and its tensor exponent."""
        key = (name, shape, format)
        if key not in self._codes_of:
            packed = encode(self.source[name].reshape(shape), format, axis=len(shape) - 2)
            arrays, facts = packed.to_arrays()
            number = self.arrays.add("codes", arrays["codes"])
            self.arrays.add("exponents", arrays["exponents"])
            self._codes_of[key] = number, int(facts["tensor_exponent"])
        return self._codes_of[key]

    def _transfer(self, op: pal.TransferOp, number: int) -> Transfer:
        return Transfer(
            block=number,
            slot=op.slot.value.data,
            source=self.numbers[op.source],
            target=self.numbers[op.target],
            nbytes=op.bytes.value.data,
            start_ps=op.start_ps.value.data,
            finish_ps=op.finish_ps.value.data,
            node=node_of(op),
            after=op.waits,
        )

    def _task(self, op: pal.TaskOp, number: int) -> Task:
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
            block=number,
            slot=op.slot.value.data,
            device=op.device.data,
            format=op.format.data,
            start_ps=op.start_ps.value.data,
            finish_ps=op.finish_ps.value.data,
            node=node_of(op),
            ins=tuple(self.numbers[x] for x in op.ins),
            outs=tuple(self.numbers[x] for x in op.outs),
            yields=tuple(registers[x] for x in last.operands),
            steps=tuple(steps),
            after=op.waits,
            work=task_work(op, self._device(op)),
        )

    def _device(self, op: pal.TaskOp) -> Any:
        try:
            return self.target.device(op.device.data)
        except KeyError:
            raise IRError(
                f"target {self.target.name} has no device {op.device.data!r}", where=node_of(op)
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
