"""Spreads the operations of ``@main`` and its matrices over the chips of a chain.

``placement/partition.py`` chooses the cuts; here the chain is read out of the IR, and operations
get the attribute ``chip``. A matrix that several chips drive becomes one ``tile.program`` a chip.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ..dialects import graph, place, tile
from ..dialects.control import ControlOp
from ..dialects.functions import main_function
from ..dialects.interned import int_attr
from ..errors import CapacityError
from .diagnostics import where_of
from .placement.machine import SiteGrid
from .placement.pack import pack_tiles
from .placement.pack_search import Packing
from .placement.partition import Chain, Partition, Segment, partition_chain
from .placement.reload import pack_apart

#: The attribute of an operation that says its chip, and of a module that says how many there are.
CHIP, CHIPS = "chip", "chips"


@dataclass(frozen=True, slots=True)
class ChipTiles:
    """Matrices of one segment, and ``sites`` int32 [T, 5] of all their tiles."""

    programs: tuple[tile.ProgramOp, ...]
    sites: np.ndarray


def partition_module(
    module: ModuleOp, programs: Sequence[tile.ProgramOp], grid: SiteGrid
) -> Partition:
    """The partition of ``@main`` over chips of ``grid``; the IR stays as it is.

    Raises CapacityError where control flow drives more than a chip holds.
    """
    block = main_function(module).body.block
    items = _items(block)
    number = {program: m for m, program in enumerate(programs)}
    matrices = [_driven(op, number) for op in items]
    unused = [m for program, m in number.items() if program.result.first_use is None]
    matrices[:1] = [[*matrices[0], *unused]]
    sizes = [program.tile_table[:, [2, 4]] for program in programs]
    arrays = np.array([packing.arrays for packing in pack_apart(sizes, grid)], np.int64)
    for op, driven in zip(items, matrices, strict=True):
        needed = int(arrays[driven].sum())
        if isinstance(op, ControlOp) and needed > grid.capacity:
            raise CapacityError(
                "the matrices of control flow must fit one chip of "
                f"{grid.capacity:,} arrays, these take {needed:,}",
                demand={"arrays": needed},
                available={"arrays": grid.capacity},
                where=where_of(op),
            )

    def fits(together: Sequence[int]) -> bool:
        return _pack([sizes[m] for m in together], grid) is not None

    return partition_chain(_chain(block, items, matrices, arrays), grid.capacity, fits)


def split_over_chips(
    module: ModuleOp, programs: Sequence[tile.ProgramOp], grid: SiteGrid, partition: Partition
) -> list[ChipTiles]:
    """Mark each operation with its chip and give each chip the matrices that it drives.

    Returns the sites of the tiles, layers counted through all chips.
    """
    block = main_function(module).body.block
    items, placed = _items(block), []
    taken: set[tile.ProgramOp] = set()
    module.attributes[CHIPS] = int_attr(partition.chips)
    for segment in partition.segments:
        mine = items[segment.first : segment.end]
        for op in mine:
            op.attributes[CHIP] = int_attr(segment.chip)
        stored = [_own(program, block, mine, taken) for program in programs]
        found = [program for program in stored if program is not None]
        if not segment.first:
            found += [program for program in programs if program.result.first_use is None]
        if found:
            placed.append(ChipTiles(tuple(found), _sites(found, grid, segment)))
    return placed


def _items(block: Block) -> list[Operation]:
    return [op for op in block.ops if not isinstance(op, (tile.ProgramOp, func.ReturnOp))]


def _driven(op: Operation, number: dict[tile.ProgramOp, int]) -> list[int]:
    """The matrices of the products in ``op``."""
    products = [inner for inner in op.walk() if isinstance(inner, tile.MvmOp)]
    return [number[p.crossbar.owner] for p in products]  # type: ignore[index]


def _chain(
    block: Block, items: Sequence[Operation], matrices: list[list[int]], arrays: np.ndarray
) -> Chain:
    order = {op: n for n, op in enumerate(items)}
    values = []
    for made, op in enumerate(items):
        if isinstance(op, graph.ConstantOp):
            continue  # every chip has its own
        for result in op.results:
            users = [block.find_ancestor_op_in_block(use.operation) for use in result.uses]
            read = max((order.get(user, made) for user in users if user is not None), default=made)
            values.append((made, read, place.BufferType.of(result.type).nbytes))
    return Chain(matrices, arrays, *np.array(values, np.int64).reshape(-1, 3).T)


def _own(
    program: tile.ProgramOp, block: Block, mine: Sequence[Operation], taken: set[tile.ProgramOp]
) -> tile.ProgramOp | None:
    """The matrix for the operations ``mine``, a copy where another chip has it; None if unused."""
    inside = set(mine)
    uses = [
        use
        for use in program.result.uses
        if block.find_ancestor_op_in_block(use.operation) in inside
    ]
    if not uses:
        return None
    if program not in taken:
        taken.add(program)
        return program
    copy = program.clone()
    block.insert_op_after(copy, program)
    for use in uses:
        use.operation.operands[use.index] = copy.result
    return copy


def _pack(sizes: Sequence[np.ndarray], grid: SiteGrid) -> Packing | None:
    """All tiles in the arrays of one chip; None where they take more."""
    table = np.concatenate(sizes).astype(np.int64)
    if int(table.prod(axis=1).sum()) > grid.capacity * grid.array_rows * grid.array_cols:
        return None
    packing = pack_tiles(table, grid.array_rows, grid.array_cols)
    return packing if packing.arrays <= grid.capacity else None


def _sites(programs: Sequence[tile.ProgramOp], grid: SiteGrid, segment: Segment) -> np.ndarray:
    """Sites of the tiles of ``programs`` on the segment's chips, filled one after the other."""
    sizes = [program.tile_table[:, [2, 4]] for program in programs]
    packing = _pack(sizes, grid) or _side_by_side(pack_apart(sizes, grid))
    chip, array = np.divmod(packing.array, grid.capacity)
    near = grid.sites_near_first(min(packing.arrays, grid.capacity))
    sites = np.column_stack([near[array], packing.row, packing.col]).astype(np.int32)
    sites[:, 0] += ((segment.chip + chip) * grid.layers).astype(np.int32)
    return sites


def _side_by_side(packings: Sequence[Packing]) -> Packing:
    """Each in arrays of its own."""
    starts = np.cumsum([0, *(p.arrays for p in packings)])
    array = np.concatenate([p.array + at for p, at in zip(packings, starts, strict=False)])
    row, col = (np.concatenate([getattr(p, n) for p in packings]) for n in ("row", "col"))
    return Packing(array, row, col, int(starts[-1]), sum(p.bound for p in packings))
