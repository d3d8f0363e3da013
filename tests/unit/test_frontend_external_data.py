"""Weights outside the model file: mapped when they are honest, refused when they are not."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from semc.compiler.frontend import load_model
from semc.errors import ModelError

from .onnx_models import external

Entries = Sequence[tuple[str, str]]
WEIGHT = np.random.default_rng(0).standard_normal(64).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with good data, and links of every kind to it."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "ok.data").write_bytes(WEIGHT.tobytes())
    (home / "sub").mkdir()
    (home / "sub" / "ok.data").write_bytes(WEIGHT.tobytes())
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "data").write_bytes(WEIGHT.tobytes())
    (home / "link").symlink_to(tmp_path / "secret")
    (home / "linked").symlink_to(tmp_path / "other")
    os.link(tmp_path / "secret", home / "hard")
    os.mkfifo(home / "fifo")
    return home


def load(folder: Path, entries: Entries, dims: Sequence[int] = (4, 3)) -> np.ndarray:
    path = folder / "m.onnx"
    path.write_bytes(external(entries, dims).SerializeToString())
    loaded = load_model(path)
    weight = loaded.constants["w"]
    assert isinstance(weight, np.ndarray)
    return weight


@pytest.mark.parametrize("location", ["ok.data", "./ok.data", "sub/ok.data", "sub//ok.data"])
def test_honest_locations(folder: Path, location: str) -> None:
    weight = load(folder, [("location", location), ("offset", "64"), ("length", "48")])
    np.testing.assert_array_equal(weight, WEIGHT[16:28].reshape(4, 3))
    assert not weight.flags.writeable


def test_length_and_offset_are_optional(folder: Path) -> None:
    weight = load(folder, [("location", "ok.data")])
    np.testing.assert_array_equal(weight, WEIGHT[:12].reshape(4, 3))


def test_unaligned_offset_and_unknown_keys(folder: Path) -> None:
    weight = load(folder, [("location", "ok.data"), ("offset", "3"), ("__class__", "x")])
    expected = np.frombuffer(WEIGHT.tobytes()[3:51], np.float32).reshape(4, 3)
    np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/etc/passwd", "relative path"),
        ("../secret", "relative path"),
        ("sub/../../secret", "relative path"),
        ("C:\\secret", "relative path"),
        ("..\\secret", "relative path"),
        ("", "relative path"),
        (".", "relative path"),
        ("ok.data\0", "relative path"),
        ("link", "without links"),
        ("linked/data", "without links"),
        ("hard", "one name"),
        ("fifo", "regular file"),
        ("sub", "regular file"),
        ("missing", "must exist"),
    ],
)
def test_dishonest_locations(folder: Path, location: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(folder, [("location", location)])


@pytest.mark.parametrize(
    ("offset", "length", "message"),
    [
        ("-64", "48", "offset of external data must be a number"),
        ("0", "-1", "length of external data must be a number"),
        ("1e3", "48", "offset of external data must be a number"),
        ("0", "40", "must have 48 bytes, not 40"),
        ("0", str(1 << 50), "must have 48 bytes"),
        (str(1 << 40), "48", "must lie within"),
        ("252", "48", "must lie within"),
        ("9" * 40, "48", "offset of external data must be a number"),
    ],
)
def test_places_outside_the_file(folder: Path, offset: str, length: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(folder, [("location", "ok.data"), ("offset", offset), ("length", length)])


def test_key_twice(folder: Path) -> None:
    with pytest.raises(ModelError, match="each key once"):
        load(folder, [("location", "ok.data"), ("location", "/etc/passwd")])


def test_more_elements_than_bytes(folder: Path) -> None:
    with pytest.raises(ModelError, match="must have at most"):
        load(folder, [("location", "ok.data")], (1 << 30, 1 << 30))


def test_missing_file_is_fine_by_shapes_only(folder: Path) -> None:
    path = folder / "m.onnx"
    path.write_bytes(external([("location", "missing")]).SerializeToString())
    loaded = load_model(path, shapes_only=True)
    assert loaded.constants["w"].shape == (4, 3)
    assert loaded.parameters == 12


def test_external_data_need_a_folder() -> None:
    with pytest.raises(ModelError, match="read from a file"):
        load_model(external([("location", "ok.data")]))


def test_a_sparse_file_of_16_gib_is_not_read(tmp_path: Path) -> None:
    shape = (1 << 16, 1 << 16)
    path = tmp_path / "m.onnx"
    made = external([("location", "big")], shape)
    made.graph.input[0].type.tensor_type.shape.dim[1].dim_value = shape[0]
    made.graph.output[0].type.tensor_type.shape.dim[1].dim_value = shape[1]
    path.write_bytes(made.SerializeToString())
    with open(tmp_path / "big", "wb") as file:
        file.truncate(4 * shape[0] * shape[1])
    loaded = load_model(path)
    assert loaded.parameters == 1 << 32
