"""Hostile data, programs, targets and IR: one clear line each, and nothing in them is run."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from semc.arrays import read_arrays
from semc.backends.program import load_program
from semc.backends.targets import load_target
from semc.backends.targets.load import target_from_toml
from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.errors import InputError, IRError, ProgramError, SemcError, TargetError

SHIPPED = Path(__file__).parents[2] / "backends" / "targets" / "memcap-demo.toml"


class Runs:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.trace),)


def zipped(path: Path, header: str, data: bytes = b"") -> None:
    """An archive of one array whose header says ``header``."""
    text = header.encode() + b" " * 20 + b"\n"
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", member)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr':'<f4','fortran_order':False,'shape':(1099511627776,)}",
        "{'descr':'<f4','fortran_order':False,'shape':(-5,)}",
        "{'descr':'<f4','fortran_order':False,'shape':(99999999999999999999999,)}",
        "{'descr':__import__('os').mkdir('trace'),'fortran_order':False,'shape':(1,)}",
        "{'descr':'|O','fortran_order':False,'shape':(1,)}",
        "{'descr':'<f4'}",
        "(" * 9000,
        "{'descr':'<f4','fortran_order':False,'shape':(4,)}",
    ],
)
def test_data_with_a_hostile_header(header: str, tmp_path: Path) -> None:
    zipped(tmp_path / "x.npz", header, b"\0" * 8)
    with pytest.raises(InputError, match=r"x\.npz: data must") as caught:
        read_arrays(tmp_path / "x.npz")
    assert len(str(caught.value).splitlines()) == 1
    assert not Path("trace").exists()


def test_pickles_are_not_read(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    np.savez(tmp_path / "array.npz", x=np.array([Runs(trace)], dtype=object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Runs(trace)))
    for name in ("array.npz", "raw.npz"):
        with pytest.raises(InputError, match="plain arrays"):
            read_arrays(tmp_path / name)
    assert not trace.exists()


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(260):
            member.write(bytes(1 << 20))
    with pytest.raises(InputError, match=r"unpacks .* bytes to 272,629,760"):
        read_arrays(path)


TARGETS: dict[str, Callable[[str], str]] = {
    "nested": lambda _: "a = " + "[" * 100_000,
    "tables": lambda _: "a = {" * 5_000,
    "digits": lambda _: "x = " + "9" * 10_000,
    "control": lambda _: "\0\1\2",
    "layers": lambda text: text.replace("layers = 4", "layers = 100000000"),
    "beyond 64 bits": lambda text: text.replace("layers = 4", "layers = 1" + "0" * 30),
    "sites": lambda text: text.replace("layers = 4", "layers = 60000").replace(
        "grid_rows = 4", "grid_rows = 60000"
    ),
    "rows": lambda text: text.replace("rows = 128", "rows = 100000000"),
    "negative": lambda text: text.replace("layers = 4", "layers = -4"),
    "infinite": lambda text: text.replace("cell_fill = ", "cell_fill = inf #"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_are_none(name: str) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    hostile = TARGETS[name](text)
    assert hostile != text
    with pytest.raises(TargetError) as caught:
        target_from_toml(hostile, "t.toml")
    assert len(str(caught.value).splitlines()) == 1
    assert load_target("memcap-demo") is not None


PROGRAMS: dict[str, bytes] = {
    "empty": b"",
    "short": b"\1\2\3",
    "header beyond the file": struct.pack("<Q", 1 << 62) + b"{}",
    "nested": struct.pack("<Q", 100_000) + b"[" * 100_000,
    "digits": struct.pack("<Q", 20_006) + b'{"a":' + b"9" * 20_000 + b"}",
    "not text": struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
    "pickle": pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_that_are_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / "p.semc"
    path.write_bytes(PROGRAMS[name])
    with pytest.raises(ProgramError) as caught:
        load_program(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_program_whose_sections_lie_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "p.semc"
    entry = {"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    header = json.dumps({"__metadata__": {}, **entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ProgramError):
        load_program(path)


@pytest.mark.parametrize(
    "text",
    [
        "module {" * 20_000,
        "func.func @f(%x: " + "tuple<" * 20_000,
        'func.func @main() { %0 = "arith.constant"() {value = ' + "9" * 10_000 + " : i64}",
        "func.func @main(%x: tensor<-4xf32>) { func.return }",
        "#a = #b\n#b = #a\nmodule attributes {x = #a} {}",
        '"unterminated',
        "\0\1\2\3",
        "func.func @main() { func.return %nope : i32 }",
    ],
)
def test_ir_that_is_none(text: str) -> None:
    with pytest.raises((IRError, SemcError)) as caught:
        parse_module(text, new_context(), "t.mlir")
    assert len(str(caught.value).splitlines()) == 1
