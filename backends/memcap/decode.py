"""Reads a memcap program back as plain data, and checks everything that executing relies on.

    matrices.table       i64 [M, 12] columns below; -1 where a section is not there, and for
                                     adc_bits where conversions have the target's
    matrices.input_scale f64 [M]     NaN: found for each vector while running
    tiles.table          i32 [T, 5]  group, row, rows, col, cols; all matrices, one after another
    tiles.sites          i32 [T, 5]  layer, row, col, first row and column inside the array
    tiles.routes         i32 [T, 4]  x_from, x_bend, y_to, y_bend (route_table.py)
    tiles.adc_range      f32 [T]     converter full scale; inf: the worst case of the weights
    tiles.rounds         i32 [T]     where a program reloads: the round in which a tile is written,
                                     0 before the program starts
    tiles.copy           i32 [T]     copy of the matrix that the tile belongs to
    weights.n, codes.n, scale.n      f32 [G, K, N], i8 [G, K, N], f32 [G, N]
    gain.n, bias.n                   f32 [slices, columns of all tiles], f32 [G, N]

The rest is in ``isa``, ``tables`` and ``kernel_codec``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, prod

import numpy as np

from ...dialects.kernel import Kernel
from ...dialects.route_table import PORT, ROUTE_COLUMNS, path_hops
from ...dialects.shapes import im2col_shape
from ...dialects.tile_table import inside, is_tile_order, lots, weights_in
from ...errors import ProgramError
from ..control import Control, block_count, decode_controls
from ..decoded import DecodedProgram, decode_ports
from ..kernel_codec import decode_kernels
from ..program import Program
from ..tables import (
    decode_buffers,
    decode_constants,
    decode_names,
    name_at,
    section,
    stored_type,
)
from ..targets import MemcapTarget
from ..targets.chips import MOST_CHIPS, within_chip
from ..targets.defects import DefectTables
from .check import check_streams
from .isa import Instruction, Stream, decode_streams

MATRIX_COLUMNS = (
    "groups", "rows", "cols", "first_tile", "end_tile", "name", "weights", "codes", "scale",
    "gain", "bias", "adc_bits",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Matrix:
    """A matrix in arrays: ``shape`` (G, K, N), its rows of the tile tables, names of sections."""

    name: str
    shape: tuple[int, int, int]
    tiles: np.ndarray
    sites: np.ndarray
    routes: np.ndarray
    adc_range: np.ndarray
    rounds: np.ndarray
    copy: np.ndarray
    input_scale: float | None
    weights: str | None
    codes: str | None
    scale: str | None
    gain: str | None
    bias: str | None
    adc_bits: int | None

    @property
    def copies(self) -> int:
        """How often the matrix lies in the arrays; the copies share the positions of a product."""
        return int(self.copy.max()) + 1

    @property
    def layers(self) -> np.ndarray:
        """Layer of each tile; rising where none is streamed."""
        return self.sites[:, 0]


@dataclass(frozen=True, slots=True, eq=False)
class MemcapProgram(DecodedProgram):
    """A checked chip program: matrices, kernels, and the instruction streams of each block."""

    target: MemcapTarget
    names: list[str]
    matrices: list[Matrix]
    kernels: list[Kernel]
    blocks: list[list[Stream]]
    controls: list[Control]
    chips: int = 1

    @property
    def events(self) -> list[int]:
        """How many events the streams of each block raise; they are numbered from 0."""
        return [
            sum(i.event >= 0 for stream in streams for i in stream.instructions)
            for streams in self.blocks
        ]

    def driven_shape(self, drive: Instruction) -> tuple[int, ...]:
        """Shape of the rows that DRIVE puts on the row lines. Raises ProgramError."""
        shape = self.buffers[drive.ins[0]].shape
        if drive.window < 0:
            return shape
        if drive.window >= len(self.kernels):
            raise ProgramError(f"names kernel {drive.window} of {len(self.kernels)}")
        kernel = self.kernels[drive.window]
        if kernel.kind != "window" or kernel.attrs["kind"] != "im2col":
            raise ProgramError(f"cannot gather rows by a {kernel.kind} kernel")
        try:
            return im2col_shape(kernel.attrs, shape)
        except ValueError as error:
            raise ProgramError(f"cannot gather rows of {list(shape)}: {error}") from None

    def node(self, instruction: Instruction) -> str | None:
        """The ONNX node an instruction came from."""
        return None if instruction.node < 0 else self.names[instruction.node]


def decode_program(program: Program) -> MemcapProgram:
    """Decode and check ``program``. Raises ProgramError when it is not a memcap program.

    Every index lies in its table, every operand has the shape its matrix needs, every tile range
    lies in the layer of its controller, and each event is raised once.
    """
    target = program.target
    if program.machine != "memcap" or not isinstance(target, MemcapTarget):
        raise ProgramError(f"the program must be for a memcap machine, not a {program.machine}")
    chips = program.manifest.get("chips", 1)
    if type(chips) is not int or not 1 <= chips <= MOST_CHIPS:
        raise ProgramError(f"a program spans 1 to {MOST_CHIPS} chips, not {chips!r}")
    tensors = program.tensors
    names = decode_names(tensors)
    buffers = decode_buffers(tensors, names)
    blocks, controls = decode_streams(tensors, names), decode_controls(tensors, buffers)
    decoded = MemcapProgram(
        program=program,
        target=target,
        names=names,
        matrices=_decode_matrices(tensors, names, target, chips),
        buffers=buffers,
        kernels=decode_kernels(tensors),
        constants=decode_constants(tensors, buffers),
        blocks=blocks + [[] for _ in range(len(blocks), block_count(controls))],
        controls=controls,
        inputs=decode_ports(program, "inputs", buffers),
        outputs=decode_ports(program, "outputs", buffers),
        chips=chips,
    )
    check_streams(decoded)
    return decoded


def _decode_matrices(
    tensors: Mapping[str, np.ndarray], names: Sequence[str], target: MemcapTarget, chips: int
) -> list[Matrix]:
    table = section(tensors, "matrices.table", np.int64, (None, len(MATRIX_COLUMNS)))
    scales = section(tensors, "matrices.input_scale", np.float64, (len(table),)).tolist()
    tiles = section(tensors, "tiles.table", np.int32, (None, 5))
    sites = section(tensors, "tiles.sites", np.int32, (len(tiles), 5))
    routes = section(tensors, "tiles.routes", np.int32, (len(tiles), len(ROUTE_COLUMNS)))
    ranges = section(tensors, "tiles.adc_range", np.float32, (len(tiles),))
    rounds = np.zeros(len(tiles), np.int32)
    if "tiles.rounds" in tensors:
        rounds = section(tensors, "tiles.rounds", np.int32, (len(tiles),))
    copy = section(tensors, "tiles.copy", np.int32, (len(tiles),))
    stack, array = target.stack, target.array
    bounds = (
        stack.layers * chips,
        stack.grid_rows,
        stack.grid_cols,
        array.rows,
        target.weight_cols,
    )
    if ((sites < 0) | (sites >= np.array(bounds))).any():
        raise ProgramError("tiles.sites must lie on the chips")
    _check_defects(within_chip(sites, stack.layers), tiles, target)
    matrices = []
    for number, row in enumerate(table.tolist()):
        groups, rows, cols, first, end, name, weights, codes, scale, gain, bias, bits = row
        if min(groups, rows, cols) < 1 or max(groups, rows, cols) >= 1 << 31:
            raise ProgramError(f"matrix {number} needs positive sizes, not {row[:3]}")
        if not 0 <= first < end <= len(tiles):
            raise ProgramError(f"matrix {number}: tiles {first}..{end} leave 0..{len(tiles)}")
        part = slice(first, end)
        shape = (groups, rows, cols)
        _check_tiles(number, shape, tiles[part], sites[part], rounds[part], copy[part], target)
        _check_routes(number, lots(sites[part], rounds[part], copy[part]), routes[part])
        if not (bits == -1 or 1 <= bits <= target.adc.bits):
            raise ProgramError(
                f"matrix {number}: adc_bits must be 1 to {target.adc.bits}, or -1, not {bits}"
            )
        columns = int(tiles[part, 4].sum())
        matrices.append(
            Matrix(
                name_at(names, name) or f"matrix {number}",
                shape,
                tiles[part],
                sites[part],
                routes[part],
                ranges[part],
                rounds[part],
                copy[part],
                None if isnan(scales[number]) else scales[number],
                _stored(tensors, "weights", weights, shape, None),
                _stored(tensors, "codes", codes, shape, np.int8),
                _stored(tensors, "scale", scale, (groups, cols), np.float32),
                _stored(tensors, "gain", gain, (target.slices, columns), np.float32),
                _stored(tensors, "bias", bias, (groups, cols), np.float32),
                None if bits == -1 else bits,
            )
        )
    return matrices


def _check_defects(sites: np.ndarray, tiles: np.ndarray, target: MemcapTarget) -> None:
    """No tile needs what the program's chip does not have."""
    defects = DefectTables.of(target)
    if not defects.any:
        return
    for what, broken in defects.broken(sites, tiles[:, [2, 4]]).items():
        if broken.any():
            tile = int(np.flatnonzero(broken)[0])
            raise ProgramError(
                f"tiles must keep clear of what is broken on the chip: tile {tile} at (layer, row, "
                f"col, array row, array column) {sites[tile].tolist()} has no working {what}"
            )


def _stored(
    tensors: Mapping[str, np.ndarray],
    kind: str,
    number: int,
    shape: tuple[int, ...],
    dtype: type | None,
) -> str | None:
    """The section ``kind.number``, once it is what the matrix says; None for -1."""
    if number < 0:
        return None
    name = f"{kind}.{number}"
    found = stored_type(tensors, name) if name in tensors else None
    if found is None or found[0] != shape or (dtype is not None and found[1] != np.dtype(dtype)):
        raise ProgramError(f"a program must have a section {name} of shape {list(shape)}")
    return name


def _check_routes(number: int, lot: np.ndarray, routes: np.ndarray) -> None:
    parents, bends = routes[:, [0, 2]], routes[:, [1, 3]]
    if ((parents < PORT) | (parents >= len(lot)) | (bends < 0) | (bends > 1)).any():
        raise ProgramError(f"the routes of matrix {number} must join its tiles and the port")
    for column in (0, 2):
        up = routes[:, column]
        other = np.where(up < 0, np.arange(len(up)), up)
        if (lot[other] != lot).any() or path_hops(up, np.zeros(len(up))) is None:
            raise ProgramError(
                f"the routes of matrix {number} must lead to the port in a layer, round and copy"
            )


def _check_tiles(
    number: int,
    shape: tuple[int, int, int],
    tiles: np.ndarray,
    sites: np.ndarray,
    rounds: np.ndarray,
    copy: np.ndarray,
    target: MemcapTarget,
) -> None:
    numbers = np.unique(copy)
    if (numbers != np.arange(len(numbers))).any():
        raise ProgramError(f"the copies of matrix {number} must be numbered 0, 1, 2 ...")
    whole = prod(shape) * len(numbers)
    if not inside(tiles, shape).all() or weights_in(tiles) != whole:
        raise ProgramError(f"the tiles of matrix {number} must cover {list(shape)} once")
    rows, cols = tiles[:, 2].astype(np.int64), tiles[:, 4].astype(np.int64)
    array_row, array_col = sites[:, 3:].T.astype(np.int64)
    fits = (array_row + rows <= target.array.rows) & (array_col + cols <= target.weight_cols)
    if not fits.all():
        raise ProgramError(f"the tiles of matrix {number} must lie inside their arrays")
    if (rounds < 0).any() or not is_tile_order(sites, rounds):
        raise ProgramError(f"the tiles of matrix {number} must be sorted by layer and round")
