"""Constant tensors by name: memory-mapped, deferred or known by shape only.

The IR names its weights, the store holds them. An entry is an array (often a read-only view of a
mapped file), a :class:`Deferred` computation over such arrays (a cast, an unpacking) that runs at
each access, or an absent tensor that has a shape and a dtype but no bytes.
The side-car of textual IR is a safetensors file, written tensor by tensor.
"""

import json
import math
import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..backends.tensor_file import (
    DTYPE_OF_TAG,
    TAG_OF_DTYPE,
    array_bytes,
    encode_header,
    header_length,
)
from ..dialects.elements import plain_dtype
from ..dialects.types import dtype_named, element_name
from ..errors import IRError, ModelError
from ..files import replacing


@dataclass(frozen=True, slots=True, eq=False)
class Deferred:
    """A constant tensor of known shape whose values ``make`` computes when they are needed.

    ``make`` is None for a tensor that has no values at all (shape-only compilation).
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray] | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


Constant = np.ndarray | Deferred


def constant_values(constant: Constant, name: str | None = None) -> np.ndarray:
    """The array of a constant. Raises ModelError, naming ``name``, for an absent tensor."""
    if isinstance(constant, np.ndarray):
        return constant
    if constant.make is None:
        raise ModelError(
            "the values of this tensor must be there to be computed with, but it was loaded by "
            "shape only",
            where=name,
            help="compile with the weight file next to the model and without --no-weights",
        )
    return constant.make()


class WeightStore(Mapping[str, np.ndarray]):
    """The constant tensors of one model. Iteration is in the order of insertion."""

    def __init__(self) -> None:
        self._entries: dict[str, Constant] = {}

    def add(self, name_hint: str, array: Constant) -> str:
        """Store ``array`` under a name like ``name_hint`` and return the name, which is unique."""
        name = unique_name(printable_name(name_hint, "weight"), self._entries)
        if isinstance(array, np.ndarray):
            element_name(array.dtype)  # refuse foreign dtypes here, not when saving
            array = array.view()
            array.flags.writeable = False
        self._entries[name] = array
        return name

    def absent(self, name_hint: str, shape: Sequence[int], dtype: np.dtype) -> str:
        """Reserve a name for a tensor that has no values; reading it raises ModelError."""
        return self.add(name_hint, Deferred(tuple(shape), np.dtype(dtype)))

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._entries:
            raise IRError(
                f"the weight {name!r} must be given to be computed with",
                help="pass the file that holds it with --weights",
            )
        return constant_values(self._entries[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def forget_values(self) -> None:
        """Keep names, shapes and dtypes only, as if every tensor were absent."""
        for name, entry in self._entries.items():
            self._entries[name] = Deferred(entry.shape, entry.dtype)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor, without reading it."""
        return self._entries[name].shape

    def dtype(self, name: str) -> np.dtype:
        """The dtype of a tensor, without reading it."""
        return self._entries[name].dtype

    def entry(self, name: str) -> Constant:
        """The stored form of a tensor: an array or a deferred computation."""
        return self._entries[name]

    def is_absent(self, name: str) -> bool:
        """Whether only shape and dtype of the tensor are known."""
        entry = self._entries[name]
        return isinstance(entry, Deferred) and entry.make is None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, dense, absent ones included."""
        return sum(entry.nbytes for entry in self._entries.values())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all tensors as one safetensors file, atomically and one tensor at a time."""
        names = sorted(self._entries, key=lambda n: -self.dtype(n).itemsize)
        stored = {n: plain_dtype(self.dtype(n)) for n in names}
        absent = {
            n: (element_name(self.dtype(n)), self.shape(n)) for n in self if self.is_absent(n)
        }
        present = {
            n: (TAG_OF_DTYPE[stored[n]], list(self.shape(n))) for n in names if n not in absent
        }
        narrow = {n: element_name(self.dtype(n)) for n in present if stored[n] != self.dtype(n)}
        tables = {"absent": absent, "narrow": narrow}
        metadata = {key: json.dumps(table) for key, table in tables.items() if table} or None
        with replacing(path) as file:
            file.write(encode_header(present, metadata))
            for name in present:
                file.writelines(array_bytes(self[name].view(stored[name])))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "WeightStore":
        """Map a file written by ``save``. Raises ModelError for a malformed file."""
        store = cls()
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            header, start = _read_header(file.read, size, str(path))
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        metadata = header.pop("__metadata__", {})
        for name, entry in header.items():
            store._entries[name] = _map_tensor(buffer, start, size, entry, f"{path}: {name}")
        for name, element in json.loads(metadata.get("narrow", "{}")).items():
            store._entries[name] = _as_narrow(store._entries.get(name), element, f"{path}: {name}")
        for name, (element, shape) in json.loads(metadata.get("absent", "{}")).items():
            store._entries[name] = Deferred(tuple(shape), dtype_named(element))
        return store


def _as_narrow(stored: Constant | None, element: str, where: str) -> np.ndarray:
    """Bytes of a weight file as the narrow element type that its metadata name."""
    dtype = dtype_named(element)
    if not isinstance(stored, np.ndarray) or stored.dtype != plain_dtype(dtype):
        raise ModelError(f"elements of type {element} must be stored as bytes", where=where)
    return stored.view(dtype)


def printable_name(name: str, fallback: str) -> str:
    """``name`` reduced to letters, digits and ``_.-/:`` (at most 200), safe in IR and JSON."""
    clean = "".join(c if c.isascii() and (c.isalnum() or c in "_.-/:") else "_" for c in name[:200])
    parts = [part for part in clean.split("/") if part.strip("._")]
    return "/".join(parts) or fallback


def unique_name(name: str, taken: Mapping[str, object] | set[str]) -> str:
    """``name``, with a number appended where it is taken already."""
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _read_header(
    read: Callable[[int], bytes], size: int, where: str
) -> tuple[dict[str, dict], int]:
    length = header_length(read(8), size)
    if length is None:
        raise ModelError("a weight file must be a whole safetensors file", where=where)
    try:
        header = json.loads(read(length))
    except ValueError as error:
        raise ModelError(f"the safetensors header must be JSON: {error}", where=where) from None
    if not isinstance(header, dict):
        raise ModelError("the safetensors header must be a JSON object", where=where)
    return header, 8 + length


def _map_tensor(
    buffer: mmap.mmap | bytes, start: int, size: int, entry: dict, where: str
) -> np.ndarray:
    try:
        dtype = DTYPE_OF_TAG[entry["dtype"]]
        shape = tuple(int(d) for d in entry["shape"])
        begin, end = (int(o) for o in entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ModelError("a tensor must have dtype, shape and two offsets", where=where) from None
    count = math.prod(shape)
    if min(shape, default=0) < 0 or not 0 <= begin <= end <= size - start:
        raise ModelError("a tensor must lie within the weight file", where=where)
    if end - begin != count * dtype.itemsize:
        raise ModelError(
            f"a tensor of shape {list(shape)} must have {count * dtype.itemsize} bytes, "
            f"not {end - begin}",
            where=where,
        )
    if count == 0:
        return np.zeros(shape, dtype)
    return np.frombuffer(buffer, dtype, count, start + begin).reshape(shape)
