"""Inputs of a program checked and loaded, constants filled in, named values found."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from ...backends.tables import BufferEntry
from ...errors import InputError, ProgramError

#: Called with the name of an ONNX value and its array, which is only valid during the call.
Observer = Callable[[str, np.ndarray], None]


class Port(Protocol):
    """An input or output of a model and the buffer that holds it."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype: ...
    @property
    def buffer(self) -> int: ...


def load_inputs(
    views: Sequence[np.ndarray], ports: Sequence[Port], inputs: Mapping[str, np.ndarray]
) -> None:
    """Copy ``inputs`` into their buffers. Raises InputError when they do not fit the ports."""
    named = {port.name: port for port in ports}
    if set(named) != set(inputs):
        raise InputError(f"inputs must be {sorted(named)}, came {sorted(inputs)}")
    for name, port in named.items():
        x = np.asarray(inputs[name])
        if (x.shape, x.dtype) != (port.shape, port.dtype):
            raise InputError(
                f"input must be {port.dtype}{list(port.shape)}, came {x.dtype}{list(x.shape)}",
                where=name,
            )
        views[port.buffer][...] = x


def fill_constants(
    views: Sequence[np.ndarray],
    constants: Sequence[tuple[int, str]],
    tensors: Mapping[str, np.ndarray],
) -> None:
    """Fill buffers with their sections. Raises ProgramError when a section was not stored."""
    for buffer, name in constants:
        if not name:
            raise without_weights()
        views[buffer][...] = tensors[name].reshape(views[buffer].shape)


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
