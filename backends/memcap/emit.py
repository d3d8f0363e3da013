"""Writes the ``analog`` level as a program: packed tables, instruction streams, stored weights."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...dialects import analog, place
from ...dialects.attributes import table_of
from ...dialects.functions import main_function
from ...dialects.kernel import Kernel
from ...dialects.route_table import ROUTE_COLUMNS
from ...dialects.tensor_ops import TensorOp, window_attrs
from ...dialects.tile_table import TILE_COLUMNS
from ...errors import IRError
from ..control import Control, control_of, encode_controls
from ..kernel_codec import encode_kernels
from ..program import Program, Section
from ..program_builder import ProgramBuilder, WeightSource, node_of
from ..targets import MemcapTarget, load_target
from .decode import MATRIX_COLUMNS, MemcapProgram, decode_program
from .isa import ARRAY_OPS, Instruction, Opcode, Stream, encode_streams


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
    chips = max((op.chip_count for op in module.ops if isinstance(op, place.MachineOp)), default=1)
    if chips > 1:
        manifest_extra = {**(manifest_extra or {}), "chips": chips}
    main = main_function(module)
    for op in main.body.block.ops:
        emitter.add(op)
    return emitter.builder.build(main, target, emitter.tables(), manifest_extra)


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


class _Emitter:
    """Takes the ops of the function in order and collects what the sections are made of."""

    def __init__(self, weights: WeightSource, exact_weights: bool) -> None:
        self.exact_weights = exact_weights
        self.builder = ProgramBuilder(weights)
        self.names, self.arrays = self.builder.names, self.builder.arrays
        self.numbers = self.builder.numbers
        self.matrices: list[tuple[int, ...]] = []
        self.input_scales: list[float] = []
        self.tile_tables: list[tuple[np.ndarray, ...]] = []
        self.kernels: list[Kernel] = []
        self.blocks: list[list[Stream]] = [[]]
        self.controls: list[Control] = []
        self._tiles = 0

    def add(self, op: Operation) -> None:
        match op:
            case analog.ProgramOp():
                self._matrix(op)
            case place.BufferOp():
                self.builder.add_buffer(op)
            case place.AliasOp():
                self.builder.add_alias(op)
            case analog.ControllerOp():
                self._stream(op, 0)
            case func.ReturnOp():
                pass
            case _:
                raise IRError(
                    f"{op.name} is not of the analog level",
                    help="run convert-place-to-analog first",
                )

    def tables(self) -> dict[str, Section]:
        """The sections of the chip alone."""
        tiles, sites, routes, ranges, rounds, copy = (
            np.concatenate([t[i] for t in self.tile_tables]) if self.tile_tables else empty
            for i, empty in enumerate(_NO_TILES)
        )
        return {
            **encode_streams(self.blocks, self.names),
            **encode_controls(self.controls),
            **encode_kernels(self.kernels),
            "matrices.table": np.array(self.matrices, np.int64).reshape(-1, len(MATRIX_COLUMNS)),
            "matrices.input_scale": np.array(self.input_scales, np.float64),
            "tiles.table": tiles,
            "tiles.sites": sites,
            "tiles.routes": routes,
            "tiles.adc_range": ranges,
            "tiles.copy": copy,
            **({"tiles.rounds": rounds} if rounds.any() else {}),
        }

    def _matrix(self, op: analog.ProgramOp) -> None:
        assert isinstance(op.result.type, analog.CrossbarType)
        tiles = table_of(op.tiles)
        ranges = np.full(len(tiles), np.inf, np.float32)
        if op.adc_range is not None:
            ranges = table_of(op.adc_range)
        none = np.zeros(len(tiles), np.int32)
        rounds = none if op.rounds is None else table_of(op.rounds)
        copy = none if op.copy_of_tile is None else op.copy_of_tile
        first, self._tiles = self._tiles, self._tiles + len(tiles)
        self.numbers[op.result] = len(self.matrices)
        tables = (tiles, table_of(op.sites), table_of(op.routes), ranges, rounds, copy)
        self.tile_tables.append(tables)
        scale = op.input_scale
        self.input_scales.append(float("nan") if scale is None else scale.value.data)
        sections = (
            self.arrays.number("weights", op.weight) if self.exact_weights else -1,
            self.arrays.number("codes", op.codes),
            self.arrays.number("scale", op.scale),
            self.arrays.number("gain", op.gain),
            self.arrays.number("bias", op.bias),
            -1 if op.adc_bits is None else op.adc_bits.value.data,
        )
        name = self.names.index(op.weight.data)
        self.matrices.append((*op.result.type.shape, first, self._tiles, name, *sections))

    def _stream(self, op: analog.ControllerOp, block: int) -> None:
        instructions = [self._instruction(inner) for inner in op.body.block.ops]
        # The four instructions of a product carry one node; only the last has it as a property.
        backwards = list(accumulate(reversed(instructions), _same_node))
        stream = Stream(op.unit.data, (*reversed(backwards), Instruction(Opcode.HALT)))
        self.blocks[block].append(stream)

    def _instruction(self, op: Operation) -> Instruction:
        if isinstance(op, analog.SyncOp):
            return Instruction(Opcode.SYNC, events=tuple(op.events.get_values()))
        event = op.event.value.data  # type: ignore[attr-defined]
        node = self.names.index(node_of(op))
        match op:
            case analog.ReloadOp() | analog.DriveOp() | analog.IntegrateOp() | analog.ConvertOp():
                opcode = Opcode[op.name.removeprefix("analog.").upper()]
                ins = (self.numbers[op.x],) if isinstance(op, analog.DriveOp) else ()
                index, tiles = self.numbers[op.crossbar], _tiles(op.tiles)
                window = self._window(op) if isinstance(op, analog.DriveOp) else -1
                return Instruction(
                    opcode, event, node, index=index, tiles=tiles, ins=ins, window=window
                )
            case analog.AccumulateOp():
                index, tiles = self.numbers[op.crossbar], _tiles(op.tiles)
                outs, init = (self.numbers[op.y],), op.init is not None
                return Instruction(
                    Opcode.ACCUMULATE, event, node, init, index=index, tiles=tiles, outs=outs
                )
            case analog.MoveOp():
                source, target = self.numbers[op.source], self.numbers[op.target]
                return Instruction(Opcode.MOVE, event, node, ins=(source,), outs=(target,))
            case analog.RegionInstruction():
                return self._kernel(op, event, node)
            case analog.IfOp() | analog.LoopOp():
                return self._control(op, event, node)
        raise IRError(f"{op.name} is no instruction")

    def _window(self, op: analog.DriveOp) -> int:
        """The kernel by which the rows of a product are gathered; -1 where they lie there."""
        if op.window is None:
            return -1
        self.kernels.append(Kernel("window", window_attrs(op.window)))
        return len(self.kernels) - 1

    def _control(self, op: analog.IfOp | analog.LoopOp, event: int, node: int) -> Instruction:
        """Control flow, whose regions become blocks of their own."""
        blocks = []
        for inner in op.blocks:
            blocks.append(len(self.blocks))
            self.blocks.append([])
            for controller in inner.ops:
                assert isinstance(controller, analog.ControllerOp)
                self._stream(controller, blocks[-1])
        self.controls.append(control_of(op, blocks, self.numbers))
        return Instruction(Opcode.CONTROL, event, node, index=len(self.controls) - 1)

    def _kernel(self, op: analog.RegionInstruction, event: int, node: int) -> Instruction:
        block = op.body.block
        work, last = block.first_op, block.last_op
        if not isinstance(work, TensorOp) or last is None or work.next_op is not last:
            raise IRError(f"{op.name} must hold one tile operation", where=node_of(op))
        buffers = dict(zip(block.args, op.ins, strict=True))
        results = dict(zip(last.operands, op.outs, strict=True))
        if set(results) != set(work.results):
            raise IRError(f"{op.name} must write each result once", where=node_of(op))
        self.kernels.append(work.kernel)
        opcode = Opcode.HOST if isinstance(op, analog.HostOp) else Opcode.VECTOR
        return Instruction(
            opcode,
            event,
            node,
            index=len(self.kernels) - 1,
            ins=tuple(self.numbers[buffers[x]] for x in work.operands),  # type: ignore[index]
            outs=tuple(self.numbers[results[y]] for y in work.results),
        )


_TABLES = (TILE_COLUMNS, place.SITE_COLUMNS, ROUTE_COLUMNS)
_NO_TILES = (
    *(np.empty((0, len(columns)), np.int32) for columns in _TABLES),
    np.empty(0, np.float32),
    np.empty(0, np.int32),
    np.empty(0, np.int32),
)


def _tiles(attr: Any) -> tuple[int, int]:
    first, end = attr.get_values()
    return first, end


def _same_node(later: Instruction, i: Instruction) -> Instruction:
    """``i`` with the node of the instruction behind it, if it waits for it or is of its product."""
    part = i.opcode in ARRAY_OPS and (later.opcode in ARRAY_OPS or later.opcode is Opcode.SYNC)
    return replace(i, node=later.node) if i.node < 0 and (part or i.opcode is Opcode.SYNC) else i
