"""The program file: what is written comes back, and nothing else is accepted."""

import json
import struct
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from semc.backends import program as program_file
from semc.backends import tensor_file
from semc.backends.program import FORMAT_VERSION, Lazy, Program, load_program
from semc.backends.targets import load_target, target_to_dict
from semc.errors import ProgramError


def small_program(**manifest: Any) -> Program:
    extra = {
        "model": {"name": "m", "parameters": 3},
        "inputs": [{"name": "x", "shape": [2], "dtype": "f32", "buffer": 0}],
        **manifest,
    }
    tensors = {
        "a": np.arange(6, dtype=np.int64),
        "b": np.arange(12, dtype=np.float32).reshape(3, 4).T,
        "c": np.array(True),
        "d": np.zeros((0, 3), np.int8),
        "e": np.arange(3, dtype=np.uint8),
        "f": np.arange(3).astype(ml_dtypes.bfloat16),
    }
    return Program({"machine": "memcap", "target": demo(), **extra}, tensors)


def demo() -> dict[str, Any]:
    return target_to_dict(load_target("memcap-demo"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.semc"
    small_program().save(path)
    return path


def refusal(path: Path) -> str:
    """The message with which a file is refused: one line."""
    with pytest.raises(ProgramError) as caught:
        load_program(path)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def test_what_is_saved_comes_back(file: Path) -> None:
    saved, loaded = small_program(), load_program(file)
    assert loaded.manifest | saved.manifest == loaded.manifest
    assert list(loaded.tensors) == ["a", "b", "f", "c", "d", "e"]
    for name in saved.tensors:
        np.testing.assert_array_equal(loaded.tensors[name], saved.tensors[name])
        assert loaded.tensors[name].dtype == saved.tensors[name].dtype
    assert loaded.nbytes == saved.nbytes == 48 + 48 + 1 + 3 + 6
    assert loaded.target == load_target("memcap-demo")
    assert (loaded.machine, loaded.manifest["format_version"]) == ("memcap", FORMAT_VERSION)


def test_the_file_is_a_safetensors_file(file: Path) -> None:
    found = load_file(file)
    np.testing.assert_array_equal(found["b"], small_program().tensors["b"])


def test_sections_are_views_of_the_file(file: Path) -> None:
    section = load_program(file).tensors["a"]
    assert not section.flags.writeable
    assert section.base is not None
    assert section.ctypes.data % 8 == 0


def test_equal_programs_give_equal_bytes(file: Path, tmp_path: Path) -> None:
    again, resaved = tmp_path / "again.semc", tmp_path / "resaved.semc"
    small_program().save(again)
    load_program(file).save(resaved)
    assert file.read_bytes() == again.read_bytes() == resaved.read_bytes()


def test_a_lazy_section_is_made_when_it_is_written(file: Path, tmp_path: Path) -> None:
    made: list[str] = []
    whole = small_program()

    def lazily(name: str) -> Lazy:
        array = whole.tensors[name]
        return Lazy(array.shape, array.dtype, lambda: made.append(name) or array)  # type: ignore[func-returns-value]

    lazy = Program(whole.manifest, {name: lazily(name) for name in whole.tensors})
    assert lazy.nbytes == whole.nbytes
    assert made == []
    lazy.save(tmp_path / "lazy.semc")
    assert sorted(made) == list("abcdef")
    assert (tmp_path / "lazy.semc").read_bytes() == file.read_bytes()


def test_a_failed_save_leaves_the_old_file(file: Path) -> None:
    before = file.read_bytes()

    def fail() -> np.ndarray:
        raise RuntimeError("no values")

    broken = Program(small_program().manifest, {"a": Lazy((3,), np.dtype(np.int8), fail)})
    with pytest.raises(RuntimeError, match="no values"):
        broken.save(file)
    wrong = Lazy((3,), np.dtype(np.int8), lambda: np.zeros(4, np.int8))
    with pytest.raises(ValueError, match="section a must be"):
        Program(small_program().manifest, {"a": wrong}).save(file)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_large_sections_are_written_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensor_file, "CHUNK_BYTES", 64)
    wide = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None], (40, 7)).T
    Program(small_program().manifest, {"w": wide}).save(tmp_path / "w.semc")
    np.testing.assert_array_equal(load_program(tmp_path / "w.semc").tensors["w"], wide)


def test_no_byte_can_change_unnoticed(file: Path) -> None:
    data = bytearray(file.read_bytes())
    sampled = {*range(0, 64), *range(64, len(data), 3), *range(len(data) - 120, len(data))}
    for position in sorted(sampled):
        original = data[position]
        for flipped in (original ^ 1, original ^ 0x80):
            data[position] = flipped
            file.write_bytes(data)
            refusal(file)
        data[position] = original


@pytest.mark.parametrize("keep", [0, 7, 8, 100, 2000, -1, -60])
def test_truncated_files_are_refused(file: Path, keep: int) -> None:
    file.write_bytes(file.read_bytes()[:keep])
    refusal(file)


def test_extended_files_are_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0")
    assert "must have" in refusal(file)


def test_a_later_version_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(program_file, "FORMAT_VERSION", FORMAT_VERSION + 1)
        small_program().save(file)
    assert f"version must be {FORMAT_VERSION}, came {FORMAT_VERSION + 1}" in refusal(file)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    plain = tmp_path / "plain.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, plain)
    deep = b"[" * 100_000
    for data in (
        b"",
        b"not a program at all",
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", len(deep)) + deep,
        plain.read_bytes(),
    ):
        path.write_bytes(data)
        assert "that semc has written" in refusal(path)
    assert "readable" in refusal(tmp_path / "missing")
    assert "readable" in refusal(tmp_path)


def test_a_consistent_header_with_a_bad_manifest_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    good = {"format_version": FORMAT_VERSION, "machine": "memcap", "target": {}, "sections": {}}
    bad: list[dict[str, Any]] = [
        {"machine": "toaster"},
        {"target": 3},
        {"inputs": [{"name": "x"}]},
        {"outputs": {}},
        {"stats": []},
        {"sections": []},
        {"sections": {"a": {"dtype": "F32", "shape": [-1], "sha256": ""}}},
        {"sections": {"a": {"dtype": ["F32"], "shape": [1], "sha256": ""}}},
        {"sections": {"a": {"dtype": "F32", "shape": [1 << 70], "sha256": ""}}},
        {"sections": {"a": {"dtype": "F32", "shape": [1 << 60], "sha256": ""}}},
        {"format_version": True},
    ]
    for change in bad:
        text = json.dumps(good | change)
        digest = program_file.hashlib.sha256(text.encode()).hexdigest()
        header = json.dumps({"__metadata__": {"semc": text, "semc_sha256": digest}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        refusal(path)


def test_an_invalid_target_is_refused_when_it_is_asked_for(file: Path) -> None:
    Program({"machine": "memcap", "target": {"machine": "memcap"}}, {}).save(file)
    loaded = load_program(file)
    with pytest.raises(ProgramError, match="valid target"):
        _ = loaded.target


def test_a_program_needs_a_machine() -> None:
    with pytest.raises(ProgramError, match="machine must be one of"):
        Program({"target": demo()}, {})
