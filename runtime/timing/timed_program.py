"""What timing a program yields, whichever machine it is for."""

from dataclasses import dataclass

from ...dialects.work import Work
from ..events import Timeline


@dataclass(frozen=True, slots=True)
class TimedProgram:
    """One inference: when, how much energy by part (joules), how much arithmetic.

    ``array_macs`` were done in arrays; ``node_s`` are busy seconds by ONNX node.
    """

    timeline: Timeline
    parts_j: dict[str, float]
    work: Work
    array_macs: int
    node_s: dict[str, float]
