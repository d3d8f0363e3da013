"""When a search has to end."""

import math
import time
from collections.abc import Callable

Clock = Callable[[], float]


class Deadline:
    """``seconds`` of ``clock`` from now on; never where they are None.

    The clock is the wall's (``time.perf_counter``) or that of what a process gets
    (``time.process_time``), which does not depend on what else a machine does.
    """

    def __init__(self, seconds: float | None = None, clock: Clock = time.perf_counter) -> None:
        self.clock = clock
        self._end = math.inf if seconds is None else clock() + seconds

    def left_s(self) -> float:
        """Seconds left; infinite where there is no end."""
        return math.inf if self._end == math.inf else self._end - self.clock()

    def is_over(self) -> bool:
        return self.left_s() <= 0
