"""Named arrays in ``.npz`` files: sample inputs, calibration data, outputs."""

import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .files import replacing

if TYPE_CHECKING:
    from .backends.program import Program


# What numpy and zipfile raise for malformed files: headers are Python literals, data may be packed.
_UNREADABLE = (
    ValueError,
    EOFError,
    KeyError,
    OverflowError,
    RecursionError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
_BOMB_BYTES, _BOMB_RATIO = 1 << 28, 100


def _refuse_bombs(archive: zipfile.ZipFile) -> None:
    """Refuse what unpacks to much more than any data do: 256 MiB and 100 times its packed size."""
    for member in archive.infolist():
        size = member.file_size
        if size > _BOMB_BYTES and size > _BOMB_RATIO * member.compress_size:
            raise ValueError(
                f"{member.filename!r} unpacks {member.compress_size:,} bytes to {size:,}"
            )


def read_arrays(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file. Raises InputError when it is not one."""
    try:
        with open(path, "rb") as file:
            magic = file.read(6)
            file.seek(0)
            if not zipfile.is_zipfile(file):
                single = magic == b"\x93NUMPY"
                raise ValueError(
                    "it is an .npy file: one array without a name" if single else "it is none"
                )
            file.seek(0)
            with zipfile.ZipFile(file) as archive:
                _refuse_bombs(archive)
            file.seek(0)
            with np.load(file, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
    except MemoryError:
        raise InputError("data must fit into memory", where=str(path)) from None
    except _UNREADABLE as error:
        raise InputError(
            f"data must be an .npz file of plain arrays: {error}", where=str(path)
        ) from error


def write_arrays(path: str | PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write ``arrays`` to exactly ``path``; those of ml_dtypes' types as plain bytes.

    Names are free, where ``numpy.savez`` refuses "file" and adds a suffix to the path; equal
    arrays give equal bytes, as no time of writing is stored.
    """
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as out:
                np.lib.format.write_array(out, _storable(array), allow_pickle=False)


def _storable(array: np.ndarray) -> np.ndarray:
    """``array`` in a type that an .npy file can name: numpy would write one it cannot read."""
    array = np.asanyarray(array)
    foreign = array.dtype.isbuiltin == 2  # of another package
    return array.view(np.dtype((np.void, array.itemsize))) if foreign else array


def split_samples(
    arrays: Mapping[str, np.ndarray], specs: Mapping[str, tuple[tuple[int, ...], np.dtype]]
) -> list[dict[str, np.ndarray]]:
    """Inputs sample by sample: arrays by input name, samples along the first axis.

    ``specs`` gives the (shape, dtype) of each input of the program. An array of exactly that shape
    is one sample; otherwise its first axis counts samples of the program's shape (without a
    leading 1, when the model's own batch is 1). Raises InputError with what must hold.
    """
    parts = {name: _samples_of(name, arrays, spec) for name, spec in specs.items()}
    counts = {len(part) for part in parts.values()}
    if len(counts - {1}) > 1:
        sizes = ", ".join(f"{name}: {len(part)}" for name, part in parts.items())
        raise InputError(f"all inputs must have the same number of samples, got {sizes}")
    if 0 in counts:
        raise InputError("the data must hold at least one sample, the arrays are empty")
    count = max(counts, default=1)
    return [
        {name: part[i if len(part) > 1 else 0] for name, part in parts.items()}
        for i in range(count)
    ]


def input_specs(program: "Program") -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """The (shape, dtype) of each input of ``program``, by name."""
    from .dialects.elements import OF_NAME

    ports = program.manifest["inputs"]
    return {port["name"]: (tuple(port["shape"]), OF_NAME[port["dtype"]].dtype) for port in ports}


def random_arrays(
    specs: Mapping[str, tuple[tuple[int, ...], np.dtype]], count: int, seed: int
) -> dict[str, np.ndarray]:
    """``count`` random samples for each input, along a first axis.

    Floats are uniform in -1..1. Integers are 0 or 1: right for masks, and an index that every
    table has.
    """
    from .dialects.elements import is_float

    generator = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for name, (shape, dtype) in specs.items():
        size = (count, *shape)
        drawn: np.ndarray = (
            generator.uniform(-1, 1, size) if is_float(dtype) else generator.integers(0, 2, size)
        )
        arrays[name] = drawn.astype(dtype)
    return arrays


def _samples_of(
    name: str, arrays: Mapping[str, np.ndarray], spec: tuple[tuple[int, ...], np.dtype]
) -> np.ndarray:
    from .dialects.elements import is_narrow

    shape, dtype = spec
    if name not in arrays:
        raise InputError(
            f"the data must hold an array {name!r} of shape {list(shape)}",
            help=f"it holds {', '.join(sorted(arrays)) or 'nothing'}",
        )
    array = arrays[name]
    if array.dtype == np.dtype((np.void, dtype.itemsize)):
        array = array.view(dtype)  # .npy files keep the types of ml_dtypes as plain bytes
    if array.dtype != dtype:
        if is_narrow(dtype) or not np.can_cast(array.dtype, dtype, "same_kind"):
            raise InputError(f"input {name!r} must be {dtype}, got {array.dtype}")
        array = array.astype(dtype)
    if array.shape == shape:
        return array[None]
    tail = shape[1:] if shape[:1] == (1,) else None
    if array.ndim > 0 and (array.shape[1:] == shape or array.shape[1:] == tail):
        return array.reshape(len(array), *shape)
    raise InputError(
        f"input {name!r} must have shape {list(shape)}, or samples of it along a first axis; "
        f"got {list(array.shape)}"
    )
