"""Which blocks of control flow run, and how often: one meaning for interpreters and executors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ...backends.control import Control
from ...errors import ProgramError


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of at most ``max_trips`` iterations.

    ``trip`` (int64) is read once, ``condition`` (bool) before each iteration; arrays of one element
    that the iterations may write, or None.
    """

    max_trips: int
    trip: np.ndarray | None = None
    condition: np.ndarray | None = None

    def iterations(self, counter: np.ndarray) -> Iterator[int]:
        """The numbers of the iterations; ``counter`` holds each while it runs.

        Raises ProgramError where the trip count is more than the loop may make.
        """
        trips = self.max_trips if self.trip is None else int(self.trip.reshape(()))
        if trips > self.max_trips:
            raise ProgramError(
                f"a loop must make at most {self.max_trips} iterations, its trip count is {trips}"
            )
        number = 0
        while number < trips and (self.condition is None or bool(self.condition.reshape(()))):
            counter[...] = number
            yield number
            number += 1


class ControlFlow:
    """The control operations of a program while it runs; ``views`` are its buffers."""

    def __init__(self, controls: Sequence[Control], views: Sequence[np.ndarray]) -> None:
        self._controls = controls
        self._views = views
        self._times = [0] * len(controls)
        self._runs: dict[int, int] = {}

    def blocks(self, number: int) -> Iterator[int]:
        """The blocks that control ``number`` runs now, one after another."""
        control, views = self._controls[number], self._views
        self._times[number] += 1
        for block in control.blocks:
            self._runs.setdefault(block, 0)
        for block in _blocks(control, views):
            self._runs[block] += 1
            yield block

    @property
    def mean_runs(self) -> dict[int, float]:
        """How often each block ran for each time its control did; without those that never did."""
        return {
            block: self._runs[block] / times
            for control, times in zip(self._controls, self._times, strict=True)
            if times
            for block in control.blocks
        }


def _blocks(control: Control, views: Sequence[np.ndarray]) -> Iterator[int]:
    if control.kind == "if":
        assert control.condition is not None
        yield control.blocks[0 if bool(views[control.condition]) else 1]
        return
    trip, condition = (None if b is None else views[b] for b in (control.trip, control.condition))
    assert control.index is not None
    for _ in Loop(control.max_trips, trip, condition).iterations(views[control.index]):
        yield control.blocks[0]
