"""Writes the ``analog`` level as a program: packed tables, instruction streams, stored weights."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Operation, SSAValue

from ... import __version__
from ...dialects import analog, place
from ...dialects.attributes import WeightAttr, node_names, table_of
from ...dialects.kernel import Kernel
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dense_array, dtype_of, shape_of
from ...errors import IRError
from ..kernel_codec import encode_kernels
from ..program import Lazy, Program, Section
from ..tables import (
    ELEMENT_CODE,
    ELEMENTS,
    BufferEntry,
    Names,
    encode_buffers,
    encode_constants,
)
from ..targets import MemcapTarget, load_target, target_to_dict
from .decode import MATRIX_COLUMNS, MemcapProgram, decode_program
from .isa import ARRAY_OPS, Instruction, Opcode, Stream, encode_streams


class WeightSource(Protocol):
    """Stored arrays by name, with shape and type known without reading them."""

    def __contains__(self, name: object, /) -> bool: ...
    def __getitem__(self, name: str, /) -> np.ndarray: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> np.dtype: ...
    def is_absent(self, name: str) -> bool: ...


def emit_program(
    module: ModuleOp,
    weights: WeightSource,
    target: MemcapTarget,
    manifest_extra: Mapping[str, Any] | None = None,
    *,
    exact_weights: bool = True,
) -> Program:
    """The program of ``func.func @main`` at the ``analog`` level.

    ``manifest_extra`` adds to the manifest (model, options, stats). Without ``exact_weights`` only
    integer codes are stored and the program cannot run in exact mode. Arrays that ``weights`` does
    not have, or knows by shape only, are left out. Raises IRError for a module of another level.
    """
    emitter = _Emitter(weights, exact_weights)
    for op in _main(module).body.block.ops:
        emitter.add(op)
    return Program(
        {
            "semc": __version__,
            "machine": "memcap",
            "target": target_to_dict(target),
            "model": {},
            "options": {},
            "stats": {},
            **(manifest_extra or {}),
            "inputs": emitter.ports["input"],
            "outputs": emitter.ports["output"],
        },
        emitter.sections(),
    )


def instructions_of(
    module: ModuleOp, weights: WeightSource, target: MemcapTarget | None = None
) -> MemcapProgram:
    """The ``analog`` level as it would come back from a file, to execute it without one.

    ``target`` is by default the shipped one that ``place.machine`` names.
    """
    if target is None:
        names = [op.target.data for op in module.ops if isinstance(op, place.MachineOp)]
        found = load_target(names[0]) if names else None
        if not isinstance(found, MemcapTarget):
            raise IRError("a module at the analog level must hold a memcap place.machine")
        target = found
    return decode_program(emit_program(module, weights, target))


def _main(module: ModuleOp) -> func.FuncOp:
    for op in module.ops:
        if isinstance(op, func.FuncOp) and op.sym_name.data == "main":
            return op
    raise IRError("a module must hold func.func @main to become a program")


class _Stored:
    """Sections ``kind.n`` of the arrays in the weight store, each array once."""

    def __init__(self, kind: str, weights: WeightSource) -> None:
        self.kind, self.weights = kind, weights
        self.numbers: dict[str, int] = {}
        self.sections: dict[str, Section] = {}

    def number(self, key: WeightAttr | None) -> int:
        """The section number of ``key``; -1 when there are no values."""
        if key is None or key.data not in self.weights or self.weights.is_absent(key.data):
            return -1
        name = key.data
        if name not in self.numbers:
            self.numbers[name] = len(self.sections)
            shape, dtype = tuple(self.weights.shape(name)), self.weights.dtype(name)
            self.add(Lazy(shape, dtype, lambda: self.weights[name]))
        return self.numbers[name]

    def add(self, values: Section) -> int:
        """The number of a new section."""
        self.sections[f"{self.kind}.{len(self.sections)}"] = values
        return len(self.sections) - 1


class _Emitter:
    """Takes the ops of the function in order and collects what the sections are made of."""

    def __init__(self, weights: WeightSource, exact_weights: bool) -> None:
        self.exact_weights = exact_weights
        self.names = Names()
        self.weights = _Stored("weights", weights)
        self.codes = _Stored("codes", weights)
        self.scales = _Stored("scale", weights)
        self.constants = _Stored("constant", weights)
        self.literals: dict[tuple[bytes, np.dtype], int] = {}
        self.matrices: list[tuple[int, ...]] = []
        self.input_scales: list[float] = []
        self.tables: list[tuple[np.ndarray, ...]] = []
        self.buffers: list[BufferEntry] = []
        self.fills: list[tuple[int, int]] = []
        self.kernels: list[Kernel] = []
        self.streams: list[Stream] = []
        self.ports: dict[str, list[dict[str, Any]]] = {"input": [], "output": []}
        self._numbers: dict[SSAValue, int] = {}
        self._tiles = 0

    def add(self, op: Operation) -> None:
        match op:
            case analog.ProgramOp():
                self._matrix(op)
            case place.BufferOp():
                self._buffer(op)
            case place.AliasOp():
                source = self._numbers[op.source]
                start = self.buffers[source].offset + op.offset.value.data
                self._entry(op, self.buffers[source].memory, start, source)
            case analog.ControllerOp():
                self._stream(op)
            case func.ReturnOp():
                pass
            case _:
                raise IRError(
                    f"{op.name} is not of the analog level",
                    help="run convert-place-to-analog first",
                )

    def sections(self) -> dict[str, Section]:
        tiles, sites, routes, ranges = (
            np.concatenate([t[i] for t in self.tables]) if self.tables else empty
            for i, empty in enumerate(_NO_TILES)
        )
        return {
            **encode_streams(self.streams, self.names),
            **encode_kernels(self.kernels),
            **encode_buffers(self.buffers, self.names),
            **encode_constants(self.fills),
            "matrices.table": np.array(self.matrices, np.int64).reshape(-1, len(MATRIX_COLUMNS)),
            "matrices.input_scale": np.array(self.input_scales, np.float64),
            "tiles.table": tiles,
            "tiles.sites": sites,
            "tiles.routes": routes,
            "tiles.adc_range": ranges,
            **self.names.encode(),
            **self.weights.sections,
            **self.codes.sections,
            **self.scales.sections,
            **self.constants.sections,
        }

    def _matrix(self, op: analog.ProgramOp) -> None:
        assert isinstance(op.result.type, analog.CrossbarType)
        tiles = table_of(op.tiles)
        ranges = np.full(len(tiles), np.inf, np.float32)
        if op.adc_range is not None:
            ranges = table_of(op.adc_range)
        first, self._tiles = self._tiles, self._tiles + len(tiles)
        self._numbers[op.result] = len(self.matrices)
        self.tables.append((tiles, table_of(op.sites), table_of(op.routes), ranges))
        scale = op.input_scale
        self.input_scales.append(float("nan") if scale is None else scale.value.data)
        sections = (
            self.weights.number(op.weight) if self.exact_weights else -1,
            self.codes.number(op.codes),
            self.scales.number(op.scale),
        )
        name = self.names.index(op.weight.data)
        self.matrices.append((*op.result.type.shape, first, self._tiles, name, *sections))

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
        number = self._numbers[op.result] = len(self.buffers)
        self.buffers.append(entry)
        return number

    def _buffer(self, op: place.BufferOp) -> None:
        number = self._entry(op, op.memory.data, op.offset.value.data)
        if op.init is not None:
            self.fills.append((number, self.constants.number(op.init)))
        if op.literal is not None:
            values = np.ascontiguousarray(dense_array(op.literal))
            key = (values.tobytes(), values.dtype)
            if key not in self.literals:
                self.literals[key] = self.constants.add(values.reshape(-1))
            self.fills.append((number, self.literals[key]))
        if op.port is not None:
            kind, _, name = op.port.data.partition(":")
            entry = self.buffers[number]
            element = ELEMENTS[ELEMENT_CODE[entry.dtype]][0]
            port = {"name": name, "shape": list(entry.shape), "dtype": element, "buffer": number}
            self.ports[kind].append(port)

    def _stream(self, op: analog.ControllerOp) -> None:
        instructions = [self._instruction(inner) for inner in op.body.block.ops]
        # The four instructions of a product carry one node; only the last has it as a property.
        backwards = list(accumulate(reversed(instructions), _same_node))
        self.streams.append(Stream(op.unit.data, (*reversed(backwards), Instruction(Opcode.HALT))))

    def _instruction(self, op: Operation) -> Instruction:
        if isinstance(op, analog.SyncOp):
            return Instruction(Opcode.SYNC, events=tuple(op.events.get_values()))
        event = op.event.value.data  # type: ignore[attr-defined]
        node = self.names.index(_node(op))
        match op:
            case analog.DriveOp() | analog.IntegrateOp() | analog.ConvertOp():
                opcode = Opcode[op.name.removeprefix("analog.").upper()]
                ins = (self._numbers[op.x],) if isinstance(op, analog.DriveOp) else ()
                index, tiles = self._numbers[op.crossbar], _tiles(op.tiles)
                return Instruction(opcode, event, node, index=index, tiles=tiles, ins=ins)
            case analog.AccumulateOp():
                index, tiles = self._numbers[op.crossbar], _tiles(op.tiles)
                outs, init = (self._numbers[op.y],), op.init is not None
                return Instruction(
                    Opcode.ACCUMULATE, event, node, init, index=index, tiles=tiles, outs=outs
                )
            case analog.MoveOp():
                source, target = self._numbers[op.source], self._numbers[op.target]
                return Instruction(Opcode.MOVE, event, node, ins=(source,), outs=(target,))
            case analog.RegionInstruction():
                return self._kernel(op, event, node)
        raise IRError(f"{op.name} is no instruction")

    def _kernel(self, op: analog.RegionInstruction, event: int, node: int) -> Instruction:
        block = op.body.block
        work, last = block.first_op, block.last_op
        if not isinstance(work, TensorOp) or last is None or work.next_op is not last:
            raise IRError(f"{op.name} must hold one tile operation", where=_node(op))
        buffers = dict(zip(block.args, op.ins, strict=True))
        results = dict(zip(last.operands, op.outs, strict=True))
        if set(results) != set(work.results):
            raise IRError(f"{op.name} must write each result once", where=_node(op))
        self.kernels.append(work.kernel)
        opcode = Opcode.HOST if isinstance(op, analog.HostOp) else Opcode.VECTOR
        return Instruction(
            opcode,
            event,
            node,
            index=len(self.kernels) - 1,
            ins=tuple(self._numbers[buffers[x]] for x in work.operands),  # type: ignore[index]
            outs=tuple(self._numbers[results[y]] for y in work.results),
        )


_NO_TILES = (*(np.empty((0, 5), np.int32),) * 3, np.empty(0, np.float32))


def _tiles(attr: Any) -> tuple[int, int]:
    first, end = attr.get_values()
    return first, end


def _same_node(later: Instruction, i: Instruction) -> Instruction:
    """``i`` with the node of the instruction behind it, if it waits for it or is of its product."""
    part = i.opcode in ARRAY_OPS and (later.opcode in ARRAY_OPS or later.opcode is Opcode.SYNC)
    return replace(i, node=later.node) if i.node < 0 and (part or i.opcode is Opcode.SYNC) else i


def _node(op: Operation) -> str | None:
    node = getattr(op, "node", None)
    if node is not None:
        return str(node.data)
    return " + ".join(node_names(op)) or None
