"""Reading named arrays: what is no .npz file is refused in words of its own."""

from pathlib import Path

import numpy as np
import pytest

from semc.arrays import read_arrays, split_samples, write_arrays
from semc.dialects.elements import ELEMENTS
from semc.errors import InputError


def test_arrays_come_back(tmp_path: Path) -> None:
    arrays = {"a": np.arange(3), "file": np.ones((2, 2), np.float32)}
    write_arrays(tmp_path / "x.npz", arrays)
    found = read_arrays(tmp_path / "x.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("dtype", [e.dtype for e in ELEMENTS], ids=str)
def test_every_element_type_comes_back_as_an_input(tmp_path: Path, dtype: np.dtype) -> None:
    x = np.array([[0, 1], [1, 1]]).astype(dtype)
    write_arrays(tmp_path / "x.npz", {"x": x, "empty": x[:0], "scalar": x[0, 0, ...]})
    specs = {"x": ((2, 2), dtype), "empty": ((0, 2), dtype), "scalar": ((), dtype)}
    (sample,) = split_samples(read_arrays(tmp_path / "x.npz"), specs)
    for name, array in (("x", x), ("empty", x[:0]), ("scalar", x[0, 0, ...])):
        assert sample[name].dtype == dtype
        assert sample[name].shape == array.shape
        assert sample[name].tobytes() == array.tobytes()


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
