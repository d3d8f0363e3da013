"""Tables of a program file that both machines share: element types, names, buffers, constants.

    names.bytes   ui8 [n]      all names, UTF-8, one after another
    names.starts  i64 [N + 1]  where each begins, and the end of the last
    buffers.table i64 [B, 7]   memory, offset, element, rank, first dim, value, source
    buffers.dims  i64 [n]      shapes, one after another
    constants.table i64 [C, 2] buffer, number n of the section ``constant.n`` that fills it

A name is referred to by its index; -1 is no name. Decoding trusts nothing: a table that does not
hold what it should is a ProgramError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from ..dialects.elements import CODE_OF_DTYPE, ELEMENTS, OF_DTYPE, plain_dtype
from ..errors import ProgramError

BUFFER_COLUMNS = ("memory", "offset", "element", "rank", "first_dim", "value", "source")
_MAX_RANK = 64
_MAX_BYTES = 1 << 56


@dataclass(frozen=True, slots=True)
class BufferEntry:
    """A row-major tensor at byte ``offset`` of ``memory``.

    ``value`` is the ONNX value that it holds, ``source`` the number of the earlier buffer that it
    is a range of, if it is one.
    """

    memory: str
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]
    value: str | None = None
    source: int | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor (a boolean takes a byte)."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def end(self) -> int:
        """The first byte behind the buffer."""
        return self.offset + self.nbytes

    def __str__(self) -> str:
        dims = "x".join(map(str, (*self.shape, OF_DTYPE[self.dtype].name)))
        return f"{self.memory}[{self.offset}..{self.end}] {dims}"


class Names:
    """Collects strings; ``index`` gives each its number, equal ones the same."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def index(self, name: str | None) -> int:
        """The number of ``name``; -1 for None."""
        if name is None:
            return -1
        return self._numbers.setdefault(name, len(self._numbers))

    def in_order(self) -> list[str]:
        """The names by number."""
        return [*self._numbers]

    def encode(self) -> dict[str, np.ndarray]:
        """The sections ``names.*``."""
        texts = [name.encode("utf-8", "surrogatepass") for name in self._numbers]
        starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
        return {
            "names.bytes": np.frombuffer(b"".join(texts), np.uint8),
            "names.starts": starts,
        }


def decode_names(tensors: Mapping[str, np.ndarray]) -> list[str]:
    """The names of a program. Raises ProgramError."""
    text = section(tensors, "names.bytes", np.uint8, (None,)).tobytes()
    starts = section(tensors, "names.starts", np.int64, (None,)).tolist()
    if starts[:1] != [0] or starts[-1] != len(text) or starts != sorted(starts):
        raise ProgramError("names.starts must rise from 0 to the end of names.bytes")
    try:
        return [text[a:b].decode("utf-8", "surrogatepass") for a, b in pairwise(starts)]
    except UnicodeDecodeError as error:
        raise ProgramError(f"names.bytes must be UTF-8: {error.reason}") from error


def encode_buffers(buffers: Sequence[BufferEntry], names: Names) -> dict[str, np.ndarray]:
    """The sections ``buffers.*``; memory and value names are added to ``names``."""
    dims: list[int] = []
    rows = []
    for b in buffers:
        memory, value = names.index(b.memory), names.index(b.value)
        source = -1 if b.source is None else b.source
        code = CODE_OF_DTYPE[b.dtype]
        rows.append((memory, b.offset, code, len(b.shape), len(dims), value, source))
        dims.extend(b.shape)
    return {
        "buffers.table": np.array(rows, np.int64).reshape(-1, len(BUFFER_COLUMNS)),
        "buffers.dims": np.array(dims, np.int64),
    }


def decode_buffers(tensors: Mapping[str, np.ndarray], names: Sequence[str]) -> list[BufferEntry]:
    """The buffers of a program; ``names`` as :func:`decode_names` gives them."""
    table = section(tensors, "buffers.table", np.int64, (None, len(BUFFER_COLUMNS)))
    dims = section(tensors, "buffers.dims", np.int64, (None,))
    buffers: list[BufferEntry] = []
    for number, row in enumerate(table.tolist()):
        memory, offset, element, rank, first, value, source = row
        if not 0 <= element < len(ELEMENTS):
            raise ProgramError(f"buffer {number}: element type code {element} does not exist")
        if not (0 <= rank <= _MAX_RANK and 0 <= first <= len(dims) - rank):
            raise ProgramError(f"buffer {number}: its shape must lie in buffers.dims")
        shape = tuple(dims[first : first + rank].tolist())
        found = name_at(names, memory)
        if found is None:
            raise ProgramError(f"buffer {number} must name its memory")
        dtype = ELEMENTS[element].dtype
        if min(shape, default=0) < 0 or not 0 <= offset <= _MAX_BYTES:
            raise ProgramError(f"buffer {number}: sizes and offset must not be negative")
        if prod(shape) * dtype.itemsize > _MAX_BYTES:
            raise ProgramError(f"buffer {number}: shape {list(shape)} is too large")
        origin = None if source == -1 else source
        entry = BufferEntry(found, offset, dtype, shape, name_at(names, value), origin)
        if origin is not None and not (0 <= origin < number and _inside(entry, buffers[origin])):
            raise ProgramError(f"buffer {number} must be a range of an earlier one")
        buffers.append(entry)
    return buffers


def _inside(part: BufferEntry, whole: BufferEntry) -> bool:
    same = part.memory == whole.memory
    return same and whole.offset <= part.offset and part.end <= whole.end


def encode_constants(fills: Sequence[tuple[int, int]]) -> dict[str, np.ndarray]:
    """The section that says which buffer is filled with which ``constant.n`` (-1: not stored)."""
    return {"constants.table": np.array(fills, np.int64).reshape(-1, 2)}


def decode_constants(
    tensors: Mapping[str, np.ndarray], buffers: Sequence[BufferEntry]
) -> list[tuple[int, str]]:
    """(buffer, section) pairs. A section that the program does not have is numbered -1: "".

    Raises ProgramError where a section does not hold the elements of its buffer.
    """
    fills = []
    for buffer, number in section(tensors, "constants.table", np.int64, (None, 2)).tolist():
        if not 0 <= buffer < len(buffers) or number < -1:
            raise ProgramError(f"constants.table cannot fill buffer {buffer} with {number}")
        entry, name = buffers[buffer], f"constant.{number}" if number >= 0 else ""
        if name:
            if name not in tensors:
                raise ProgramError(f"a program must have a section {name}")
            shape, dtype = stored_type(tensors, name)
            if dtype != plain_dtype(entry.dtype) or prod(shape) != prod(entry.shape):
                raise ProgramError(f"section {name} must hold the elements of buffer {entry}")
        fills.append((buffer, name))
    return fills


def stored_type(tensors: Mapping[str, np.ndarray], name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of a section, without computing it where it is made on demand."""
    entry = getattr(tensors, "entry", tensors.__getitem__)(name)
    return tuple(entry.shape), entry.dtype


def name_at(names: Sequence[str], index: int) -> str | None:
    """The name with number ``index``; None for -1. Raises ProgramError out of range."""
    if index == -1:
        return None
    if not 0 <= index < len(names):
        raise ProgramError(f"name {index} does not exist, the program has {len(names)}")
    return names[index]


def section(
    tensors: Mapping[str, np.ndarray],
    name: str,
    dtype: np.dtype | type,
    shape: Sequence[int | None],
) -> np.ndarray:
    """A section of the given dtype and shape (None: any size), or a ProgramError."""
    if name not in tensors:
        raise ProgramError(f"a program must have a section {name}")
    array = tensors[name]
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        wants = ["any" if n is None else n for n in shape]
        raise ProgramError(
            f"section {name} must be {np.dtype(dtype)}{wants}, not {array.dtype}{list(array.shape)}"
        )
    return array
