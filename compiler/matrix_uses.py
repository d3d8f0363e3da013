"""How matrices are used: in which order, how often, for how many positions, and where."""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import Block

from ..dialects import tile
from ..dialects.control import ControlOp, repetitions
from ..dialects.types import shape_of
from ..errors import IRError
from .placement.choose_sites import PlaceableTiles


def block_of(programs: Sequence[tile.ProgramOp]) -> Block:
    """The body of the one function that has matrices. Raises IRError where there are several."""
    blocks = {program.parent for program in programs}
    block = next(iter(blocks))
    if len(blocks) > 1 or block is None:
        raise IRError("matrices that do not fit the chip must be programmed in one function")
    return block


def in_order_of_use(programs: Sequence[tile.ProgramOp]) -> list[tile.ProgramOp]:
    """``programs`` as the operations that drive them come; what nothing drives is last."""
    block = block_of(programs)
    place = {op: n for n, op in enumerate(block.ops)}

    def first_use(program: tile.ProgramOp) -> int:
        users = [block.find_ancestor_op_in_block(use.operation) for use in program.result.uses]
        return min((place[user] for user in users if user is not None), default=len(place))

    return sorted(programs, key=first_use)


def product_counts(programs: Sequence[tile.ProgramOp]) -> tuple[np.ndarray, np.ndarray]:
    """Products of each matrix, int64 [M], and whether none of them is in control flow, bool [M]."""
    users = [[use.operation for use in p.result.uses] for p in programs]
    outside = [not any(isinstance(op.parent_op(), ControlOp) for op in ops) for ops in users]
    return np.array([len(ops) for ops in users], np.int64), np.array(outside)


def positions_of(program: tile.ProgramOp) -> int:
    """How many input vectors the matrix is multiplied with in an inference."""
    products = [use.operation for use in program.result.uses]
    return sum(
        shape_of(op.result)[-2] * repetitions(op) for op in products if isinstance(op, tile.MvmOp)
    )


def reads_of(programs: Sequence[tile.ProgramOp]) -> np.ndarray:
    """Positions that each matrix, and each copy of one, reads in an inference, [copies of all]."""
    return np.concatenate([np.full(p.copies, positions_of(p) / p.copies) for p in programs])


def tiles_of(programs: Sequence[tile.ProgramOp]) -> PlaceableTiles:
    """All tiles of ``programs``; each copy of a matrix is a matrix of its own."""
    counts, reads = [len(p.tile_table) for p in programs], reads_of(programs)
    first = np.cumsum([0, *(p.copies for p in programs)])
    copies = [p.copy_of_tile for p in programs]
    copy = [np.zeros(n) if c is None else c for c, n in zip(copies, counts, strict=True)]
    owner = np.repeat(first[:-1], counts) + np.concatenate(copy).astype(np.int64)
    table = np.concatenate([p.tile_table for p in programs])
    return PlaceableTiles(table, owner, np.maximum(reads[owner], 1))
