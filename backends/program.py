"""The program file ``.semc``: a safetensors file that is checked before anything in it is used.

    file     = length u64 | header JSON, padded to 8 bytes | sections, one after another
    header   = {"__metadata__": {"semc": manifest, "semc_sha256": digest of manifest}, section...}
    manifest = JSON; what a compiler wrote, plus ``format_version`` and ``sections``
    sections = {name: {"dtype", "shape", "sha256"}}

The manifest's digest guards the manifest, its section table guards every section, and a reader
rebuilds the whole header from the manifest and compares: no byte can change unnoticed. Sections
are ordered by falling item size, then by name, so that each is aligned without holes.
"""

import hashlib
import json
import mmap
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..errors import ProgramError, TargetError
from ..files import replacing
from .tensor_file import (
    CHUNK_BYTES,
    DTYPE_OF_TAG,
    TAG_OF_DTYPE,
    array_bytes,
    encode_header,
    header_length,
)

if TYPE_CHECKING:
    from .targets import Target

FORMAT_VERSION = 3
MACHINES = ("memcap", "mesh")
_NO_DIGEST = "0" * 64
_TAGS = tuple(DTYPE_OF_TAG)  # no mapping: what a file says may not be hashable


@dataclass(frozen=True, slots=True, eq=False)
class Lazy:
    """A section of known shape and type whose values ``make`` computes when they are needed."""

    shape: tuple[int, ...]
    dtype: np.dtype
    make: Callable[[], np.ndarray]

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


Section = np.ndarray | Lazy


class Sections(Mapping[str, np.ndarray]):
    """Arrays by section name; a :class:`Lazy` one is computed at each access."""

    def __init__(self, entries: Mapping[str, Section]) -> None:
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        return entry if isinstance(entry, np.ndarray) else entry.make()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def entry(self, name: str) -> Section:
        """The stored form of a section: shape, dtype and nbytes cost nothing."""
        return self._entries[name]


class Program:
    """A compiled program: a manifest (plain JSON data) and sections (arrays by name).

    The manifest needs ``machine`` and ``target`` (as ``target_to_dict`` gives it), and may say
    ``semc`` (version), ``model``, ``options``, ``inputs``, ``outputs`` and ``stats``.
    """

    def __init__(
        self, manifest: Mapping[str, Any], tensors: Mapping[str, Section] | Sections
    ) -> None:
        if isinstance(tensors, Sections):
            tensors = {name: tensors.entry(name) for name in tensors}
        self.tensors = Sections(tensors)
        self.manifest: dict[str, Any] = {**manifest, "format_version": FORMAT_VERSION}
        self.manifest.pop("sections", None)
        _check_manifest(self.manifest, "program")
        self._target: Target | None = None
        self._file: tuple[str, tuple[int, int, int]] | None = None

    @property
    def machine(self) -> str:
        """``memcap`` or ``mesh``."""
        return str(self.manifest["machine"])

    @property
    def target(self) -> "Target":
        """The target that the program was compiled for. Raises ProgramError when it is invalid."""
        if self._target is None:
            from .targets import target_from_dict

            try:
                self._target = target_from_dict(self.manifest["target"], "program: target")
            except TargetError as error:
                raise ProgramError(
                    f"a program must hold a valid target: {error.message}",
                    where=error.where,
                    faults=error.faults,
                ) from error
        return self._target

    @property
    def path(self) -> str | None:
        """The file that the program was read from; None without one, or when it has changed."""
        if self._file is None:
            return None
        path, stamp = self._file
        try:
            return path if _stamp(os.stat(path)) == stamp else None
        except OSError:
            return None

    @property
    def nbytes(self) -> int:
        """Bytes of all sections."""
        return sum(self.tensors.entry(name).nbytes for name in self.tensors)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the program to ``path``, one section at a time, replacing it only when whole.

        Equal programs give equal bytes. Raises OSError when the disk refuses.
        """
        order = _section_order(self.tensors)
        digests = dict.fromkeys(order, _NO_DIGEST)
        length = len(_header(self._manifest_text(digests)))
        with replacing(path) as file:
            file.write(b"\0" * length)
            for name in order:
                digests[name] = _write_section(file, self.tensors, name)
            file.seek(0)
            file.write(_header(self._manifest_text(digests)))

    def _manifest_text(self, digests: Mapping[str, str]) -> str:
        sections = {
            name: {
                "dtype": TAG_OF_DTYPE[self.tensors.entry(name).dtype],
                "shape": list(self.tensors.entry(name).shape),
                "sha256": digest,
            }
            for name, digest in digests.items()
        }
        manifest = {**self.manifest, "sections": sections}
        return json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load_program(path: str | os.PathLike[str]) -> Program:
    """Map the program in ``path``; its sections are read-only views of the file.

    Raises ProgramError, in one line, when the file is no program, is truncated or altered, or is
    of another format version.
    """
    where = os.fspath(path)
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            size = status.st_size
            prefix = file.read(8)
            length = header_length(prefix, size)
            if length is None:
                raise _not_a_program(where, "its header does not fit the file")
            header = prefix + file.read(length)
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ProgramError(
            f"a program file must be readable: {error.strerror or error}", where=where
        ) from error
    text = _manifest_text_of(header, where)
    manifest = _parse_object(text, where)
    version = manifest.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ProgramError(
            f"the format version must be {FORMAT_VERSION}, came {version!r}",
            where=where,
            help="compile the model again with this version of semc",
        )
    _check_manifest(manifest, where)
    sections = _checked_sections(manifest, where)
    if header != _header(text):
        raise _altered(where, "the header")
    views = _map_sections(buffer, len(header), size, sections, where)
    program = Program(manifest, views)
    program._file = os.path.abspath(where), _stamp(status)
    return program


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    """What changes with a file: that it is another, its size, its time."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _section_order(sections: Sections) -> list[str]:
    return sorted(sections, key=lambda name: (-sections.entry(name).dtype.itemsize, name))


def _header(manifest_text: str) -> bytes:
    """The bytes before the first section, wholly determined by the manifest."""
    sections = json.loads(manifest_text)["sections"]
    digest = hashlib.sha256(_utf8(manifest_text)).hexdigest()
    arrays = {n: (sections[n]["dtype"], sections[n]["shape"]) for n in _file_order(sections)}
    return encode_header(arrays, {"semc": manifest_text, "semc_sha256": digest})


def _file_order(sections: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return sorted(sections, key=lambda n: (-DTYPE_OF_TAG[sections[n]["dtype"]].itemsize, n))


def _write_section(file: BinaryIO, sections: Sections, name: str) -> str:
    """Write one section; returns its digest."""
    entry, array = sections.entry(name), sections[name]
    if (array.shape, array.dtype) != (entry.shape, entry.dtype):
        raise ValueError(
            f"section {name} must be {entry.dtype}{list(entry.shape)}, made {array.dtype}"
            f"{list(array.shape)}"
        )
    digest = hashlib.sha256()
    for chunk in array_bytes(array):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


def _manifest_text_of(header: bytes, where: str) -> str:
    """The manifest of a safetensors header, by its digest unaltered."""
    try:
        metadata = json.loads(header[8:])["__metadata__"]
        text, digest = metadata["semc"], metadata["semc_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _not_a_program(where, "its header holds no manifest") from None
    if not isinstance(text, str) or hashlib.sha256(_utf8(text)).hexdigest() != digest:
        raise _altered(where, "the manifest")
    return text


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _parse_object(text: str, where: str) -> dict[str, Any]:
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError):
        raise _not_a_program(where, "its manifest is not JSON") from None
    if not isinstance(manifest, dict):
        raise _not_a_program(where, "its manifest is not an object")
    return manifest


def _check_manifest(manifest: Mapping[str, Any], where: str) -> None:
    """What every reader of a manifest relies on."""
    if manifest.get("machine") not in MACHINES:
        raise ProgramError(
            f"the machine must be one of {MACHINES}, came {manifest.get('machine')!r}", where=where
        )
    if not isinstance(manifest.get("target"), dict):
        raise ProgramError("a program must hold its target", where=where)
    for key in ("inputs", "outputs"):
        ports = manifest.get(key, [])
        if not isinstance(ports, list) or not all(map(_is_port, ports)):
            raise ProgramError(f"{key} must be a list of name, shape, dtype, buffer", where=where)
    for key in ("model", "options", "stats"):
        if not isinstance(manifest.get(key, {}), dict):
            raise ProgramError(f"{key} must be an object", where=where)


def _is_port(port: object) -> bool:
    return (
        isinstance(port, dict)
        and isinstance(port.get("name"), str)
        and isinstance(port.get("dtype"), str)
        and _is_shape(port.get("shape"))
        and _is_count(port.get("buffer"))
    )


def _is_shape(shape: object) -> bool:
    return isinstance(shape, list) and all(map(_is_count, shape))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _checked_sections(manifest: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    sections = manifest.get("sections")
    if not isinstance(sections, dict):
        raise ProgramError("a program must list its sections", where=where)
    for name, entry in sections.items():
        if (
            not isinstance(entry, dict)
            or set(entry) != {"dtype", "shape", "sha256"}
            or entry["dtype"] not in _TAGS
            or not _is_shape(entry["shape"])
            or len(entry["shape"]) > 64
            or name == "__metadata__"
        ):
            raise ProgramError(
                "a section must have a dtype, a shape and a digest", where=f"{where}: {name}"
            )
    return sections


def _map_sections(
    buffer: mmap.mmap,
    start: int,
    size: int,
    sections: Mapping[str, Mapping[str, Any]],
    where: str,
) -> dict[str, Section]:
    """Views of all sections, each compared with its digest."""
    spans: dict[str, tuple[int, int, np.dtype]] = {}
    for name in _file_order(sections):
        dtype = DTYPE_OF_TAG[sections[name]["dtype"]]
        count = prod(sections[name]["shape"])
        spans[name] = (start, count, dtype)
        start += count * dtype.itemsize
    if start != size:
        raise ProgramError(
            f"a program file of these sections must have {start} bytes, it has {size}",
            where=where,
            help="the file was truncated or extended; copy or compile it again",
        )
    views: dict[str, Section] = {}
    for name, (begin, count, dtype) in spans.items():
        end = begin + count * dtype.itemsize
        if _digest(buffer, begin, end) != sections[name]["sha256"]:
            raise _altered(where, f"section {name}")
        shape: Sequence[int] = sections[name]["shape"]
        if count:
            views[name] = np.frombuffer(buffer, dtype, count, begin).reshape(shape)
        else:
            views[name] = np.zeros(shape, dtype)
    return views


def _digest(buffer: mmap.mmap, begin: int, end: int) -> str:
    digest = hashlib.sha256()
    with memoryview(buffer) as view:
        for at in range(begin, end, CHUNK_BYTES):
            digest.update(view[at : min(at + CHUNK_BYTES, end)])
    return digest.hexdigest()


def _not_a_program(where: str, why: str) -> ProgramError:
    return ProgramError(
        f"a program file must be one that semc has written: {why}",
        where=where,
        help="semc compile writes program files",
    )


def _altered(where: str, what: str) -> ProgramError:
    return ProgramError(
        f"{what} must match its digest: the file was altered or damaged",
        where=where,
        help="copy or compile it again",
    )
