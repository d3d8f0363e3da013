"""The table of control operations: what comes back, and what is refused."""

import numpy as np
import pytest

from semc.backends.control import (
    CONTROL_COLUMNS,
    Control,
    block_count,
    check_nesting,
    decode_controls,
    encode_controls,
)
from semc.backends.tables import BufferEntry
from semc.dialects.kernel import UNBOUNDED
from semc.errors import ProgramError
from semc.runtime.execute.loop import ControlFlow

COUNT = BufferEntry("sram", 0, np.dtype(np.int64), ())
FLAG = BufferEntry("sram", 8, np.dtype(np.bool_), ())
ROW = BufferEntry("sram", 16, np.dtype(np.int64), (1,))
BUFFERS = [COUNT, COUNT, FLAG, ROW]
CONTROLS = [
    Control("if", (1, 2), condition=2),
    Control("loop", (3,), 7, index=0, trip=1, condition=2),
    Control("loop", (4,), UNBOUNDED, index=0, condition=2),
]


def test_controls_come_back() -> None:
    assert decode_controls(encode_controls(CONTROLS), BUFFERS) == CONTROLS
    assert decode_controls(encode_controls([]), BUFFERS) == []
    assert block_count(CONTROLS) == 5


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        (0, "kind", 2, "conditional or a loop"),
        (1, "max_trips", -1, "conditional or a loop"),
        (0, "index", 0, "buffers of its kind"),
        (0, "trip", 1, "buffers of its kind"),
        (0, "condition", -1, "buffers of its kind"),
        (1, "index", -1, "buffers of its kind"),
        (1, "index", 9, "does not exist"),
        (1, "trip", 2, "needs one int64"),
        (1, "index", 3, "needs one int64"),
        (0, "condition", 0, "needs one bool"),
        (1, "second_block", 5, "a loop has no second"),
        (1, "first_block", 1, "must have one control"),
        (1, "first_block", 0, "must have one control"),
        (2, "first_block", 9, "must have one control"),
    ],
)
def test_malformed_rows_are_refused(row: int, column: str, value: int, reason: str) -> None:
    table = encode_controls(CONTROLS)["control.table"].copy()
    table[row, CONTROL_COLUMNS.index(column)] = value
    with pytest.raises(ProgramError, match=reason):
        decode_controls({"control.table": table}, BUFFERS)


def test_blocks_must_nest() -> None:
    check_nesting(CONTROLS, [(0, 0), (1, 2), (2, 3)])
    with pytest.raises(ProgramError, match="once"):
        check_nesting(CONTROLS, [(0, 0), (1, 0)])
    with pytest.raises(ProgramError, match="once"):
        check_nesting(CONTROLS, [(0, 0), (1, 0), (2, 0), (2, 1)])
    with pytest.raises(ProgramError, match="control 1 of block 3 must run later blocks"):
        check_nesting(CONTROLS, [(0, 0), (1, 3), (2, 0)])


def test_what_runs_is_decided_by_the_buffers() -> None:
    views = [np.array(-1), np.array(3), np.array(True), np.array([0])]
    flow = ControlFlow(CONTROLS, views)
    assert list(flow.blocks(0)) == [1]
    assert list(flow.blocks(1)) == [3, 3, 3]
    assert views[0] == 2
    views[2][...] = False
    assert list(flow.blocks(0)) == [2]
    assert list(flow.blocks(1)) == []
    assert flow.mean_runs == {1: 0.5, 2: 0.5, 3: 1.5}
    views[1][...] = 8
    with pytest.raises(ProgramError, match="at most 7 iterations, its trip count is 8"):
        list(flow.blocks(1))


def test_a_condition_may_change_while_a_loop_runs() -> None:
    views = [np.array(-1), np.array(0), np.array(True), np.array([0])]
    ran = 0
    for block in ControlFlow(CONTROLS, views).blocks(2):
        assert block == 4
        ran += 1
        views[2][...] = ran < 5
    assert ran == 5
