"""A program's memory while it runs: buffers as arrays, inputs, constants, outputs, named values."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from ...backends.decoded import DecodedProgram
from ...backends.tables import BufferEntry
from ...errors import InputError, ProgramError
from .arena import Arena, used_bytes

#: Called with the name of an ONNX value and its array, which is only valid during the call.
Observer = Callable[[str, np.ndarray], None]
#: Called with the numbers of buffers that have just been completed.
Completed = Callable[[Iterable[int]], None]


class ProgramMemory:
    """The buffers of ``program`` as arrays that share the bytes of its memories.

    ``views[n]`` is buffer n. Constants are filled in once and last for any number of runs. Raises
    ProgramError when the program was compiled without their values.
    """

    def __init__(self, program: DecodedProgram) -> None:
        self._program = program
        arena = Arena(used_bytes(program.buffers))
        self.views = [arena.view(buffer) for buffer in program.buffers]
        self._named = named_ranges(program.buffers)
        tensors = program.program.tensors
        for buffer, name in program.constants:
            if not name:
                raise without_weights()
            view = self.views[buffer]
            view[...] = tensors[name].view(view.dtype).reshape(view.shape)

    def load(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Copy ``inputs`` into their buffers. Raises InputError when they do not fit the ports."""
        ports = {port.name: port for port in self._program.inputs}
        if set(ports) != set(inputs):
            raise InputError(f"inputs must be {sorted(ports)}, came {sorted(inputs)}")
        for name, port in ports.items():
            x = np.asarray(inputs[name])
            if (x.shape, x.dtype) != (port.shape, port.dtype):
                raise InputError(
                    f"input must be {port.dtype}{list(port.shape)}, came {x.dtype}{list(x.shape)}",
                    where=name,
                )
            self.views[port.buffer][...] = x

    def outputs(self) -> dict[str, np.ndarray]:
        """Copies of the outputs, by name."""
        return {port.name: self.views[port.buffer].copy() for port in self._program.outputs}

    def watch(self, observe: Observer) -> Completed:
        """A function to call with the buffers that have just been completed.

        ``observe`` then sees every ONNX value that they hold, each once in the life of the
        function; the inputs' at once.
        """
        seen: set[str] = set()

        def completed(buffers: Iterable[int]) -> None:
            for buffer in buffers:
                for number, value in self._named.get(buffer, ()):
                    if value not in seen:
                        seen.add(value)
                        observe(value, self.views[number])

        completed(port.buffer for port in self._program.inputs)
        return completed


def without_weights() -> ProgramError:
    """The error for a program that holds no values."""
    return ProgramError(
        "a program compiled without weights can be timed, not executed",
        help="compile without --no-weights",
    )


def named_ranges(buffers: Sequence[BufferEntry]) -> dict[int, list[tuple[int, str]]]:
    """By buffer, the buffers with an ONNX value that are complete once it is: itself, its parts."""
    found: dict[int, list[tuple[int, str]]] = {}
    for number, entry in enumerate(buffers):
        if entry.value is None:
            continue
        owner: int | None = number
        while owner is not None:
            found.setdefault(owner, []).append((number, entry.value))
            owner = buffers[owner].source
    return found
