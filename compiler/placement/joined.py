"""Concatenations that need no copy: their operands are computed side by side in one buffer.

Where the axes before the concatenated one have size 1, the operands are consecutive ranges of
the result's bytes. Values that are neighbours in any such concatenation form a *run*, as long as
each has one position in it; each run becomes one buffer, and the concatenations ranges of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from xdsl.ir import Operation, SSAValue

from ...dialects.place import BufferType
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import shape_of


@dataclass(slots=True, eq=False)
class Run:
    """Values side by side: ``start`` of each in bytes, from the first byte of the run."""

    start: dict[SSAValue, int] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return max(at + BufferType.of(value.type).nbytes for value, at in self.start.items())


def find_runs(
    ops: Sequence[Operation], sources: Mapping[SSAValue, SSAValue]
) -> tuple[dict[SSAValue, Run], dict[SSAValue, tuple[SSAValue, Run]]]:
    """The runs of ``ops``: by value computed into one, and by result of a concatenation that is a
    range of one, with its first operand.

    ``sources`` holds, for each value that may be computed anywhere in its memory and for each view
    that is the whole of such a value, that value.
    """
    runs: dict[SSAValue, Run] = {}
    parts: dict[SSAValue, list[SSAValue]] = {}
    for op in ops:
        if not isinstance(op, TensorOp) or op.KIND != "concat":
            continue
        if prod(shape_of(op.results[0])[: op.attrs["axis"]]) != 1:
            continue
        known = [sources[x] for x in op.operands if x in sources]
        values = [part for value in known for part in parts.get(value, [value])]
        if len(known) == len(op.operands) and (run := _joined(values, runs)) is not None:
            for value in run.start:
                runs[value] = run
            parts[op.results[0]] = values
    return runs, {result: (values[0], runs[values[0]]) for result, values in parts.items()}


def _joined(values: Sequence[SSAValue], runs: Mapping[SSAValue, Run]) -> Run | None:
    """The run in which ``values`` follow each other, with all that theirs hold; None where some
    value would need two positions, or two values one."""
    at = 0
    start: dict[SSAValue, int] = {}
    for value in values:
        others = runs[value].start if value in runs else {value: 0}
        shift = at - others[value]
        for other, position in others.items():
            if start.setdefault(other, position + shift) != position + shift:
                return None
        at += BufferType.of(value.type).nbytes
    if len(set(values)) < len(values):
        return None
    least, end = min(start.values()), None
    for value, position in sorted(start.items(), key=lambda item: item[1]):
        if end is not None and position < end:
            return None
        end = position + BufferType.of(value.type).nbytes
    return Run({value: position - least for value, position in start.items()})
