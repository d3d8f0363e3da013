"""Spreads the operations of a function and its matrices over the chips of a chain.

``placement/partition.py`` chooses the cuts; here the chain is read out of the IR, and operations
get the attribute ``chip``. A matrix that several chips drive becomes one ``tile.program`` a chip.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation

from ..backends.targets import SUM_BYTES
from ..dialects import graph, place, tile
from ..dialects.control import ControlOp
from ..dialects.interned import int_attr
from ..dialects.types import shape_of
from ..errors import CapacityError
from .diagnostics import where_of
from .matrix_uses import block_of, tiles_of
from .placement.choose_sites import PlaceableTiles
from .placement.machine import SiteGrid
from .placement.pack import pack_tiles
from .placement.pack_kinds import Packing
from .placement.partition import Chain, Partition, cut_arrays, partition_chain
from .placement.reload import pack_apart

#: The attribute of an operation that says its chip, and of a module that says how many there are.
CHIP, CHIPS = "chip", "chips"
#: Gives packed tiles of one chip their sites int32 [T, 5].
Lay = Callable[[PlaceableTiles, Packing], np.ndarray]


@dataclass(frozen=True, slots=True)
class PlacedTiles:
    """Matrices, and ``sites`` int32 [T, 5] of all their tiles, layers counted through all chips."""

    programs: Sequence[tile.ProgramOp]
    sites: np.ndarray


def choose_partition(
    programs: Sequence[tile.ProgramOp], grid: SiteGrid, code_bytes: float
) -> Partition:
    """The partition of the function of ``programs``, in order of use, over chips of ``grid``.

    Cuts between operations, or between arrays where that takes fewer chips, or as many and fewer
    bytes. ``code_bytes`` is the size of an input code. Raises CapacityError where nothing fits.
    """
    block = block_of(programs)
    items = _items(block)
    number = {program: m for m, program in enumerate(programs)}
    if not items:
        raise CapacityError(
            "a program that drives no matrix cannot be split over chips",
            demand={"arrays": len(programs)},
            available={"arrays": grid.capacity},
        )
    matrices = [_driven(op, number) for op in items]
    unused = [m for program, m in number.items() if program.result.first_use is None]
    matrices[-1:] = [[*matrices[-1], *unused]]
    sizes = [_sizes(program) for program in programs]
    arrays = np.array([packing.arrays for packing in pack_apart(sizes, grid)], np.int64)
    sent = np.array([_product_bytes(op, code_bytes) for op in items])
    chain = Chain(matrices, arrays, sent, *_values(block, items))

    def fits(together: Sequence[int]) -> bool:
        return _pack([sizes[m] for m in together], grid) is not None

    found = [partition_chain(chain, grid.capacity, fits), cut_arrays(chain, grid.capacity)]
    possible = [partition for partition in found if partition is not None]
    if not possible:
        worst = max(range(len(items)), key=lambda n: int(arrays[matrices[n]].sum()))
        taken = int(arrays[matrices[worst]].sum())
        raise CapacityError(
            "the matrices of control flow, or of several products, must fit one chip of "
            f"{grid.capacity:,} arrays, these take {taken:,}",
            demand={"arrays": taken},
            available={"arrays": grid.capacity},
            where=where_of(items[worst]),
        )
    return min(possible, key=lambda partition: (partition.chips, partition.crossing_bytes))


def split_over_chips(
    module: ModuleOp,
    programs: Sequence[tile.ProgramOp],
    grid: SiteGrid,
    partition: Partition,
    lay: Lay,
) -> list[PlacedTiles]:
    """Mark each operation with its chip, and give the tiles their sites, which ``lay`` chooses.

    A matrix that several chips drive gets a ``tile.program`` for each, unless arrays were cut.
    """
    block = block_of(programs)
    items = _items(block)
    module.attributes[CHIPS] = int_attr(partition.chips)
    for op, chip in zip(items, partition.home.tolist(), strict=True):
        op.attributes[CHIP] = int_attr(chip)
    if partition.cuts is not None:
        return [PlacedTiles(programs, _sites_between(programs, grid, partition.cuts, lay))]
    placed = []
    taken: set[tile.ProgramOp] = set()
    for chip in range(partition.chips):
        mine = [op for op, home in zip(items, partition.home, strict=True) if home == chip]
        stored = [_own(program, block, mine, taken) for program in programs]
        found = [program for program in stored if program is not None]
        if chip == partition.chips - 1:
            found += [program for program in programs if program.result.first_use is None]
        if found:
            placed.append(PlacedTiles(found, _sites_on(found, grid, chip, lay)))
    return placed


def _items(block: Block) -> list[Operation]:
    return [op for op in block.ops if not isinstance(op, (tile.ProgramOp, func.ReturnOp))]


def _driven(op: Operation, number: dict[tile.ProgramOp, int]) -> list[int]:
    """The matrices of the products in ``op``."""
    products = [inner for inner in op.walk() if isinstance(inner, tile.MvmOp)]
    return [number[p.crossbar.owner] for p in products]  # type: ignore[index]


def _sizes(program: tile.ProgramOp) -> np.ndarray:
    """Rows and columns of the tiles, int [T, 2]."""
    return program.tile_table[:, [2, 4]]


def _product_bytes(op: Operation, code_bytes: float) -> float:
    """Input codes and partial sums of all tiles; infinite for control flow, which is not cut."""
    if isinstance(op, tile.MvmOp):
        assert isinstance(op.crossbar.owner, tile.ProgramOp)
        rows, cols = _sizes(op.crossbar.owner).sum(axis=0, dtype=np.int64).tolist()
        return float(shape_of(op.result)[-2] * (rows * code_bytes + cols * SUM_BYTES))
    return float("inf") if isinstance(op, ControlOp) else 0.0


def _values(block: Block, items: Sequence[Operation]) -> np.ndarray:
    """Of each value, the operations that make it and read it last, and its bytes: [3, V]."""
    order = {op: n for n, op in enumerate(items)}
    values = []
    for made, op in enumerate(items):
        if isinstance(op, graph.ConstantOp):
            continue  # every chip has its own
        for result in op.results:
            users = [block.find_ancestor_op_in_block(use.operation) for use in result.uses]
            read = max((order.get(user, made) for user in users if user is not None), default=made)
            values.append((made, read, place.BufferType.of(result.type).nbytes))
    return np.array(values, np.int64).reshape(-1, 3).T


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


def _sites_on(
    programs: Sequence[tile.ProgramOp], grid: SiteGrid, chip: int, lay: Lay
) -> np.ndarray:
    """Sites of the tiles of ``programs``, which fit ``chip`` together or side by side."""
    sizes = [_sizes(program) for program in programs]
    packing = _pack(sizes, grid) or _side_by_side(pack_apart(sizes, grid))
    sites = lay(tiles_of(programs), packing)
    sites[:, 0] += chip * grid.layers
    return sites


def _sites_between(
    programs: Sequence[tile.ProgramOp], grid: SiteGrid, cuts: np.ndarray, lay: Lay
) -> np.ndarray:
    """Sites of tiles in arrays side by side, ``cuts[n] .. cuts[n + 1]`` of them on chip n."""
    tiles = tiles_of(programs)
    packing = _side_by_side(pack_apart([_sizes(program) for program in programs], grid))
    sites = np.empty((len(packing.array), 5), np.int32)
    for chip, (first, end) in enumerate(pairwise(cuts.tolist())):
        mine = np.flatnonzero((packing.array >= first) & (packing.array < end))
        spots = np.stack([packing.array - first, packing.row, packing.col], axis=1)[mine]
        sites[mine] = lay(tiles.only(mine), Packing.of(spots, end - first))
        sites[mine, 0] += chip * grid.layers
    return sites


def _side_by_side(packings: Sequence[Packing]) -> Packing:
    """Each in arrays of its own."""
    starts = np.cumsum([0, *(p.arrays for p in packings)])
    array = np.concatenate([p.array + at for p, at in zip(packings, starts, strict=False)])
    row, col = (np.concatenate([getattr(p, n) for p in packings]) for n in ("row", "col"))
    return Packing(array, row, col, int(starts[-1]), sum(p.bound for p in packings))
