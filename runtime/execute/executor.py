"""What executing a program is on either machine: load the inputs, run all, copy the outputs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np

from .memory import Completed, Observer, ProgramMemory


class Executor(ABC):
    """Executes one program on samples, one ``run`` each; its memory is prepared once."""

    _memory: ProgramMemory

    def run(
        self, inputs: Mapping[str, np.ndarray], observe: Observer | None = None
    ) -> dict[str, np.ndarray]:
        """The model's outputs for one set of inputs, by name.

        ``observe`` sees every ONNX value that a buffer holds when it is complete, and again where
        control flow has written it. Raises InputError when an input is missing, unknown or of
        another shape or type.
        """
        self._memory.load(inputs)
        self._execute(None if observe is None else self._memory.watch(observe))
        return self._memory.outputs()

    @abstractmethod
    def _execute(self, completed: Completed | None) -> None:
        """Run the whole program once; tell ``completed`` the buffers that then hold a value."""
