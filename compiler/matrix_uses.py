"""How matrices are used: in which order, how often, and whether in control flow."""

from collections.abc import Sequence

import numpy as np
from xdsl.ir import Block

from ..dialects import tile
from ..dialects.control import ControlOp
from ..errors import IRError


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
