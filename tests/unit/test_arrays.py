"""Reading named arrays: what is no .npz file is refused in words of its own."""

from pathlib import Path

import numpy as np
import pytest

from semc.arrays import read_arrays, write_arrays
from semc.errors import InputError


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "file": np.ones((2, 2), np.float32)}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


def test_what_is_no_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"", b"hello", b"PK\x03\x04", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"must be an \.npz file") as caught:
            read_arrays(path)
        assert "pickle" not in str(caught.value)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(InputError, match="one array without a name"):
        read_arrays(tmp_path / "one.npy")
