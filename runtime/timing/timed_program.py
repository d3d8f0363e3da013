"""What timing a program of either machine yields, and what its control flow adds up to."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ...backends.control import Control
from ...dialects.work import Work
from ..energy import add_parts
from ..events import Timeline

Name = TypeVar("Name", bound=Hashable)
#: A matrix's number, and the first tile and the end of a range of its tiles.
TileSpan = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class TimedProgram:
    """One inference: when, how much energy by part (joules), how much arithmetic.

    ``array_macs`` were done in arrays; ``node_s`` are busy seconds by ONNX node; ``reads`` says for
    how many positions the tiles of a range were read.
    """

    timeline: Timeline
    parts_j: dict[str, float]
    work: Work
    array_macs: int
    node_s: dict[str, float]
    reads: dict[TileSpan, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InnerRuns:
    """What a control operation takes in all: the runs of its blocks, one after another."""

    duration_s: float
    busy_s: dict[str, float]
    parts_j: dict[str, float]
    work: Work
    array_macs: int
    node_s: dict[str, float]
    reads: dict[TileSpan, float]


def run_inside(
    control: Control, timed: Mapping[int, TimedProgram], block_runs: Mapping[int, float]
) -> InnerRuns:
    """The blocks of ``control`` as often as they ran (``block_runs``), or as is assumed."""
    duration_s, array_macs = 0.0, 0.0
    busy_s: dict[str, float] = {}
    parts_j: dict[str, float] = {}
    node_s: dict[str, float] = {}
    reads: dict[TileSpan, float] = {}
    work = Work()
    for block, assumed in zip(control.blocks, control.assumed_runs, strict=True):
        runs, once = block_runs.get(block, assumed), timed[block]
        duration_s += runs * once.timeline.makespan_s
        busy_s = add_parts(busy_s, _times(runs, once.timeline.busy_s()))
        parts_j = add_parts(parts_j, _times(runs, once.parts_j))
        node_s = add_parts(node_s, _times(runs, once.node_s))
        reads = add_parts(reads, _times(runs, once.reads))
        work += once.work.times(runs)
        array_macs += runs * once.array_macs
    return InnerRuns(duration_s, busy_s, parts_j, work, round(array_macs), node_s, reads)


def _times(runs: float, amounts: Mapping[Name, float]) -> dict[Name, float]:
    return {name: runs * amount for name, amount in amounts.items()}
