"""A program's memory while it runs: buffers as arrays, inputs, constants, outputs, named values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ...backends.decoded import DecodedProgram
from ...backends.tables import BufferEntry
from ...errors import InputError, ProgramError
from .arena import Arena, used_bytes

#: Called with the name of an ONNX value and its array, which is only valid during the call.
Observer = Callable[[str, np.ndarray], None]


class Completed(Protocol):
    """Called with the numbers of buffers that have just been completed; ``again`` where control
    flow has done so, which also writes what was complete before."""

    def __call__(self, numbers: Iterable[int], again: bool = False) -> None: ...


def collector(found: set[int]) -> Completed:
    """Puts numbers into ``found``, for the end of the control operation that is running."""

    def completed(numbers: Iterable[int], again: bool = False) -> None:
        found.update(numbers)

    return completed


class ProgramMemory:
    """The buffers of ``program`` as arrays that share the bytes of its memories.

    ``views[n]`` is buffer n. Constants are filled in once and last for any number of runs. Raises
    ProgramError when the program was compiled without their values.
    """

    def __init__(self, program: DecodedProgram) -> None:
        self._program = program
        arena = Arena(used_bytes(program.buffers))
        self.views = [arena.view(buffer) for buffer in program.buffers]
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

        ``observe`` then sees every ONNX value that they complete, once in the life of the
        function, and again where control flow has written it; the inputs' at once.
        """
        buffers = self._program.buffers
        all_named, unseen = named_by_root(buffers), named_by_root(buffers)
        written: dict[int, list[tuple[int, int]]] = {}
        seen: set[str] = set()

        def completed(numbers: Iterable[int], again: bool = False) -> None:
            for number in numbers:
                root = root_of(buffers, number)
                if again and root in all_named:
                    unseen[root] = dict(all_named[root])
                    seen.difference_update(all_named[root].values())
                if not unseen.get(root):
                    continue
                written[root] = add_range(written.get(root, []), _bytes_of(buffers[number]))
                for named, value in list(unseen[root].items()):
                    start, end = _bytes_of(buffers[named])
                    if any(a <= start and end <= b for a, b in written[root]):
                        del unseen[root][named]
                        if value not in seen:
                            seen.add(value)
                            observe(value, self.views[named])

        completed(port.buffer for port in self._program.inputs)
        return completed


def without_weights() -> ProgramError:
    """The error for a program that holds no values."""
    return ProgramError(
        "a program compiled without weights can be timed, not executed",
        help="compile without --no-weights",
    )


def root_of(buffers: Sequence[BufferEntry], number: int) -> int:
    """The buffer that ``number`` is a range of."""
    source = buffers[number].source
    while source is not None:
        number, source = source, buffers[source].source
    return number


def named_by_root(buffers: Sequence[BufferEntry]) -> dict[int, dict[int, str]]:
    """By buffer that is no range of another, the ranges of it that hold an ONNX value."""
    found: dict[int, dict[int, str]] = {}
    for number, entry in enumerate(buffers):
        if entry.value is not None:
            found.setdefault(root_of(buffers, number), {})[number] = entry.value
    return found


def add_range(ranges: list[tuple[int, int]], new: tuple[int, int]) -> list[tuple[int, int]]:
    """``ranges``, apart from each other, with ``new``."""
    apart = [r for r in ranges if r[1] < new[0] or r[0] > new[1]]
    touching = [new, *(r for r in ranges if not (r[1] < new[0] or r[0] > new[1]))]
    return [*apart, (min(a for a, _ in touching), max(b for _, b in touching))]


def _bytes_of(entry: BufferEntry) -> tuple[int, int]:
    return entry.offset, entry.end
