"""Tensors stored outside the model file, mapped into memory and confined to the model's folder.

A location is a relative path below the folder of the model. Every step of it is opened without
following links, the file must be regular and have one name only, and offset and length must lie
within it. That is ONNX's own threat model (docs/ExternalDataSecurity.md of the onnx project).
"""

import mmap
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import ModelError

if TYPE_CHECKING:
    from onnx import StringStringEntryProto


class ExternalFiles:
    """The external data files of one model, each mapped once and read-only.

    ``folder`` is None for a model that did not come from a file. ``mapped_bytes`` is virtual
    memory only: no page of a weight is read before someone looks at its values.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._maps: dict[str, mmap.mmap | bytes] = {}

    def read(
        self,
        entries: Iterable["StringStringEntryProto"],
        nbytes: int,
        tensor: str,
    ) -> np.ndarray:
        """The ``nbytes`` bytes of a tensor as a uint8 view of the mapped file.

        Raises ModelError, naming ``tensor``, and FileNotFoundError where the file is missing.
        """
        fields = _fields(entries, tensor)
        offset = _number(fields.get("offset", "0"), "offset", tensor)
        length = _number(fields["length"], "length", tensor) if "length" in fields else nbytes
        if length != nbytes:
            raise ModelError(
                f"external data of this tensor must have {nbytes} bytes, not {length}",
                where=tensor,
            )
        location = fields.get("location", "")
        buffer = self._map(location, tensor)
        if offset + length > len(buffer):
            raise ModelError(
                f"external data must lie within {location!r} ({len(buffer)} bytes), "
                f"not at {offset}..{offset + length}",
                where=tensor,
                help="check that the data file belongs to this model and is complete",
            )
        return np.frombuffer(buffer, np.uint8, length, offset)

    def _map(self, location: str, tensor: str) -> mmap.mmap | bytes:
        if location not in self._maps:
            if self.folder is None:
                raise ModelError(
                    "external data need a model that is read from a file",
                    where=tensor,
                    help="pass the path of the model instead of a ModelProto",
                )
            descriptor = _open_below(self.folder, _parts(location, tensor), tensor)
            try:
                size = os.fstat(descriptor).st_size
                access = mmap.ACCESS_READ
                self._maps[location] = mmap.mmap(descriptor, 0, access=access) if size else b""
            finally:
                os.close(descriptor)
        return self._maps[location]


def _fields(entries: Iterable["StringStringEntryProto"], tensor: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for entry in entries:
        if entry.key in fields:
            raise ModelError(
                f"external data must name each key once, not {entry.key!r} twice", where=tensor
            )
        fields[entry.key] = entry.value
    return fields


def _number(text: str, key: str, tensor: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ModelError(
            f"{key} of external data must be a number of bytes, not {text[:40]!r}", where=tensor
        )
    return int(text)


def _parts(location: str, tensor: str) -> list[str]:
    """The steps of a relative path that stays below its folder."""
    parts = [part for part in location.split("/") if part not in ("", ".")]
    absolute = location.startswith("/") or ":" in location or "\\" in location
    if not parts or absolute or ".." in parts or "\0" in location:
        raise ModelError(
            f"the location of external data must be a relative path below the model's folder, "
            f"not {location[:200]!r}",
            where=tensor,
        )
    return parts


def _open_below(folder: Path, parts: list[str], tensor: str) -> int:
    """A descriptor of the regular file ``folder/parts``, reached without following a link."""
    path = "/".join(parts)
    if os.open not in os.supports_dir_fd:
        return _open_checked(folder, parts, tensor)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    current = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for part in parts:
            following = os.open(part, flags, dir_fd=current)
            os.close(current)
            current = following
        _require_plain_file(os.fstat(current), path, tensor)
    except OSError as error:
        os.close(current)
        raise _refusal(error, folder, path, tensor) from None
    except ModelError:
        os.close(current)
        raise
    return current


def _open_checked(folder: Path, parts: list[str], tensor: str) -> int:
    """The same where the system cannot open relative to a folder (Windows)."""
    path = folder
    try:
        for part in parts:
            path = path / part
            if stat.S_ISLNK(os.lstat(path).st_mode):
                raise OSError(None, "a link")
        _require_plain_file(os.lstat(path), "/".join(parts), tensor)
        return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _refusal(error, folder, "/".join(parts), tensor) from None


def _require_plain_file(status: os.stat_result, path: str, tensor: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"external data must be a regular file, not {path!r}", where=tensor)
    if status.st_nlink > 1:
        raise ModelError(
            f"external data must be a file with one name, {path!r} has {status.st_nlink}",
            where=tensor,
            help="replace the hard link by a copy of the file",
        )


def _refusal(error: OSError, folder: Path, path: str, tensor: str) -> Exception:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(error.errno, "external data not found", str(folder / path))
    return ModelError(
        f"external data must be a readable regular file without links on the way, "
        f"not {path!r} ({error.strerror})",
        where=tensor,
    )
