"""What a checked program of either machine holds, and its ports read back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dialects.elements import OF_NAME
from ..errors import ProgramError
from .program import Program
from .tables import BufferEntry


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model and the buffer that holds it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    buffer: int


@dataclass(frozen=True, slots=True, eq=False)
class DecodedProgram:
    """Buffers, what fills them (buffer, section) and ports; arrays still in ``program.tensors``."""

    program: Program
    buffers: list[BufferEntry]
    constants: list[tuple[int, str]]
    inputs: list[Port]
    outputs: list[Port]


def decode_ports(program: Program, key: str, buffers: Sequence[BufferEntry]) -> list[Port]:
    """The ``inputs`` or ``outputs`` of the manifest.

    Raises ProgramError where a buffer is not of the type that its port states.
    """
    ports = []
    for port in program.manifest.get(key, []):
        name, shape, number = port["name"], tuple(port["shape"]), port["buffer"]
        found = buffers[number] if number < len(buffers) else None
        element = OF_NAME.get(port["dtype"])
        if found is None or element is None or (found.shape, found.dtype) != (shape, element.dtype):
            came = f"{found}" if found is not None else f"number {number} of {len(buffers)}"
            raise ProgramError(f"{key}: {name!r} must have the type of its buffer, {came}")
        ports.append(Port(name, shape, found.dtype, number))
    return ports
