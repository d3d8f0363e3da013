"""Memories of a machine as byte arrays, and buffers as views of them.

A program says where its bytes are; nothing outside the memory is ever reached.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ...backends.tables import BufferEntry
from ...errors import ProgramError


class Arena:
    """Zeroed memories by name, of the given sizes in bytes."""

    def __init__(self, memories: Mapping[str, int]) -> None:
        try:
            self._bytes = {name: np.zeros(size, np.uint8) for name, size in memories.items()}
        except (MemoryError, ValueError) as error:
            sizes = ", ".join(f"{name} {size:,} bytes" for name, size in memories.items())
            raise ProgramError(f"the program's memories must fit this computer: {sizes}") from error

    @property
    def nbytes(self) -> int:
        """Bytes of all memories."""
        return sum(memory.nbytes for memory in self._bytes.values())

    def view(self, buffer: BufferEntry) -> np.ndarray:
        """The buffer's tensor, sharing the memory. Raises ProgramError when it lies outside."""
        memory = self._bytes.get(buffer.memory)
        if memory is None or not 0 <= buffer.offset <= buffer.end <= memory.nbytes:
            raise ProgramError(f"buffer {buffer} must lie in the memories {sorted(self._bytes)}")
        part = memory[buffer.offset : buffer.end]
        return part.view(buffer.dtype).reshape(buffer.shape)


def used_bytes(buffers: Sequence[BufferEntry]) -> dict[str, int]:
    """By memory, the bytes up to the end of the last buffer: all that has to exist."""
    used: dict[str, int] = {}
    for buffer in buffers:
        used[buffer.memory] = max(used.get(buffer.memory, 0), buffer.end)
    return used
