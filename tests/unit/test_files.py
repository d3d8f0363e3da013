"""Files are replaced whole or not at all, with the mode of any new file."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from semc.backends.tensor_file import encode_header, header_length
from semc.compiler.weights import WeightStore
from semc.files import replacing


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_a_new_file_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        store = WeightStore()
        store.add("w", np.ones(3, np.float32))
        store.save(tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "w.safetensors").stat().st_mode) == 0o640


def test_a_block_that_raises_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"new", "no bytes"])
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"old")]
    with replacing(path) as file:
        file.write(b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("f", b"new")]


def test_what_is_no_file_is_written_into_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"), replacing(pipe) as file:
        file.write(b"nobody reads this")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with replacing(pipe) as file:
        file.write(b"..new")
        file.seek(0)
        file.write(b"ab")
    assert os.read(reader, 100) == b"abnew"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "link", tmp_path / "far" / "f"
    link.symlink_to(target)
    with replacing(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_header_must_fit_the_file() -> None:
    header = encode_header({"a": ("F32", [2])})
    assert len(header) % 8 == 0
    assert header_length(header[:8], len(header) + 8) == len(header) - 8
    assert header_length(header[:8], len(header) - 1) is None
    assert header_length(header[:7], len(header)) is None
