"""The weight store: names, deferred and absent tensors, the safetensors side-car."""

import json
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from semc.compiler.weights import Deferred, WeightStore, printable_name
from semc.dialects.elements import OF_DTYPE
from semc.errors import ModelError


def test_names_are_unique_and_printable() -> None:
    store = WeightStore()
    first = store.add("../../etc/pass\nwd", np.zeros(2, np.float32))
    second = store.add("../../etc/pass\nwd", np.ones(2, np.float32))
    assert first != second
    assert ".." not in first
    assert "\n" not in first
    assert store[second].tolist() == [1, 1]
    assert printable_name("", "weight") == "weight"


def test_arrays_are_read_only_and_not_copied() -> None:
    array = np.zeros(3, np.float32)
    store = WeightStore()
    name = store.add("w", array)
    assert np.shares_memory(store[name], array)
    with pytest.raises(ValueError, match="read-only"):
        store[name][0] = 1
    array[0] = 2  # the caller's own array stays writable


def test_deferred_runs_at_access_and_absent_raises() -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return np.ones((2, 3), np.float16)

    store = WeightStore()
    late = store.add("late", Deferred((2, 3), np.dtype(np.float16), make))
    none = store.absent("none", (4, 5), np.dtype(np.float32))
    assert store.shape(late) == (2, 3)
    assert store.nbytes == 12 + 80
    assert not calls
    assert store[late].sum() == 6
    assert len(calls) == 1
    assert store.is_absent(none)
    with pytest.raises(ModelError, match="shape only"):
        store[none]


def test_foreign_dtypes_are_refused() -> None:
    with pytest.raises(ModelError, match="complex64"):
        WeightStore().add("z", np.zeros(2, np.complex64))


def test_safetensors_round_trip(tmp_path: Path) -> None:
    store = WeightStore()
    rng = np.random.default_rng(0)
    for dtype in OF_DTYPE:
        store.add(f"w_{dtype.name}", rng.integers(0, 2, (3, 4)).astype(dtype))
    store.add("transposed", np.arange(6.0, dtype=np.float32).reshape(2, 3).T)
    store.add("broadcast", np.broadcast_to(np.float32(7), (3, 2)))
    store.add("scalar", np.array(5, np.int64))
    store.add("empty", np.zeros((0, 3), np.float32))
    store.absent("narrow", (9, 9), np.dtype(ml_dtypes.int4))
    store.absent("absent", (9, 9), np.dtype(ml_dtypes.bfloat16))
    path = tmp_path / "w.safetensors"
    store.save(path)
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    loaded = WeightStore.load(path)
    assert set(loaded) == set(store)
    for name in store:
        assert loaded.shape(name) == store.shape(name)
        assert loaded.dtype(name) == store.dtype(name)
        assert loaded.is_absent(name) == store.is_absent(name)
        if not store.is_absent(name):
            assert loaded[name].tobytes() == store[name].tobytes()
            assert not loaded[name].flags.writeable or loaded[name].size == 0


def test_side_car_is_what_safetensors_reads(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    store = WeightStore()
    store.add("a", np.arange(3, dtype=np.int8))
    store.add("b", np.arange(4, dtype=np.float64).reshape(2, 2))
    store.save(tmp_path / "w.safetensors")
    read = load_file(tmp_path / "w.safetensors")
    assert read["a"].tolist() == [0, 1, 2]
    assert read["b"].tolist() == [[0, 1], [2, 3]]


def test_same_store_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        store = WeightStore()
        store.add("a", np.arange(3, dtype=np.int8))
        store.add("b", np.arange(4, dtype=np.float32))
        store.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("narrow", [{"gone": "i4"}, {"a": "i4"}, {"a": "f5"}])
def test_narrow_elements_must_be_stored_as_bytes(tmp_path: Path, narrow: dict[str, str]) -> None:
    header = {
        "__metadata__": {"narrow": json.dumps(narrow)},
        "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    with pytest.raises(ModelError, match=r"stored as bytes|element type must be"):
        WeightStore.load(header_file(tmp_path / "w.safetensors", header, bytes(4)))


def header_file(path: Path, header: object, data: bytes = b"") -> Path:
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}, "within the weight file"),
        ({"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}, "must have 12 bytes, not 8"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [0, 0]}, "within the weight file"),
        ({"dtype": "F9", "shape": [2], "data_offsets": [0, 8]}, "must have dtype, shape"),
        ({"shape": [2]}, "must have dtype, shape"),
    ],
)
def test_malformed_entries(tmp_path: Path, entry: dict, message: str) -> None:
    path = header_file(tmp_path / "bad", {"w": entry}, b"\0" * 8)
    with pytest.raises(ModelError, match=message):
        WeightStore.load(path)


@pytest.mark.parametrize("data", [b"", b"\xff" * 8, struct.pack("<Q", 99) + b"{}", b"\x02" * 30])
def test_malformed_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="safetensors"):
        WeightStore.load(path)
