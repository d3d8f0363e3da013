"""place-tiles on chips with defects and with fixed tiles, from the pass to a running program."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semc
from semc.backends import targets
from semc.backends.memcap.decode import decode_program
from semc.backends.program import Program, load_program
from semc.dialects import tile
from semc.dialects.attributes import table_of
from semc.errors import CapacityError, IRError, ProgramError

from .memcap_programs import lowered, stored

DEMO = (Path(targets.__file__).parent / "memcap-demo.toml").read_text()


def defective(folder: Path, defects: str) -> str:
    """The path of a demonstration chip with ``defects``."""
    path = folder / "chip.toml"
    path.write_text(f"{DEMO}\n[defects]\n{defects}\n")
    return str(path)


def matrix(name: str, tiles: str, count: int, sites: str = "") -> str:
    given = f"{{sites = dense<{sites}> : tensor<{count}x5xi32>}}" if sites else ""
    return f'%{name} = tile.program <"{name}"> tiles dense<{tiles}> : tensor<{count}x5xi32> {given}'


def placed(target: str, *matrices: str) -> list[list[list[int]]]:
    """The sites of each matrix after place-tiles."""
    lines = "\n".join(matrices)
    text = f"func.func @main() {{\n{lines}\nfunc.return\n}}"
    module = lowered(text, stored({}), f'place-tiles{{target="{target}"}}')
    return [
        table_of(op.attributes["sites"]).tolist()  # type: ignore[arg-type]
        for op in module.walk()
        if isinstance(op, tile.ProgramOp)
    ]


def test_broken_sites_stay_empty(tmp_path: Path) -> None:
    chip = defective(
        tmp_path,
        "dead_arrays = [[0, 2, 2]]\nmissing_vias = [[0, 1, 2]]\ndead_rows = [[0, 2, 1, 9]]",
    )
    full = (
        matrix("a", "[[0, 0, 128, 0, 32], [0, 128, 128, 0, 32]]", 2) + ": !tile.crossbar<1x256x32>"
    )
    assert placed(chip, full) == [[[0, 3, 2, 0, 0], [0, 2, 3, 0, 0]]]


def test_a_dead_array_cannot_be_asked_for(tmp_path: Path) -> None:
    chip = defective(tmp_path, "dead_cols = [[0, 2, 2, 5]]")
    type_ = ": !tile.crossbar<1x4x2>"
    beside = matrix("a", "[[0, 0, 4, 0, 2]]", 1, "[[0, 2, 2, 0, 2]]") + type_
    assert placed(chip, beside) == [[[0, 2, 2, 0, 2]]]
    over = matrix("a", "[[0, 0, 4, 0, 2]]", 1, "[[0, 2, 2, 0, 1]]") + type_
    with pytest.raises(IRError, match=r"must be possible: a: tile 0 at .* over a dead column"):
        placed(chip, over)


def all_but(count: int) -> str:
    """Dead arrays, so that ``count`` of the chip's 64 are left."""
    sites = [list(map(int, np.unravel_index(i, (4, 4, 4)))) for i in range(64 - count)]
    return f"dead_arrays = {sites}"


def test_a_part_of_an_array_is_used_when_whole_ones_run_out(tmp_path: Path) -> None:
    """Sites (3, 3, 2) and (3, 3, 3) are left, the first with a dead row."""
    chip = defective(tmp_path, all_but(2) + "\ndead_rows = [[3, 3, 2, 30]]")
    large = matrix("a", "[[0, 0, 128, 0, 32]]", 1) + ": !tile.crossbar<1x128x32>"
    small = matrix("b", "[[0, 0, 97, 0, 32]]", 1) + ": !tile.crossbar<1x97x32>"
    assert placed(chip, small, large) == [[[3, 3, 2, 31, 0]], [[3, 3, 3, 0, 0]]]
    higher = matrix("b", "[[0, 0, 98, 0, 32]]", 1) + ": !tile.crossbar<1x98x32>"
    with pytest.raises(CapacityError) as caught:
        placed(chip, higher, large)
    error = caught.value
    assert error.available["arrays"] == 1
    assert "64 arrays (4 layers) for at most 262,144, of which 63 are defect" in error.message


def test_a_chip_without_a_working_array_is_refused(tmp_path: Path) -> None:
    one = matrix("a", "[[0, 0, 4, 0, 2]]", 1) + ": !tile.crossbar<1x4x2>"
    with pytest.raises(CapacityError, match="of which 64 are defect"):
        placed(defective(tmp_path, all_but(0)), one)


def test_placing_twice_changes_nothing() -> None:
    text = """func.func @main() {
      %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32>
        : !tile.crossbar<1x8x2>
      func.return
    }"""
    once, twice = (
        lowered(text, stored({}), ",".join(["place-tiles{target=memcap-demo}"] * times))
        for times in (1, 2)
    )
    sites = [
        next(op for op in m.walk() if isinstance(op, tile.ProgramOp)).attributes["sites"]
        for m in (once, twice)
    ]
    assert sites[0] == sites[1]


@pytest.fixture(scope="module")
def program(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    """A network on a chip whose lowest layer has a dead array, a dead line and a missing via."""
    folder = tmp_path_factory.mktemp("chip")
    chip = defective(
        folder,
        "dead_arrays = [[0, 2, 2]]\nmissing_vias = [[0, 2, 1]]\ndead_cols = [[0, 1, 2, 127]]",
    )
    program = semc.compile(examples / "digits_cnn.onnx", chip)
    program.save(folder / "p.semc")
    return load_program(folder / "p.semc")


def test_a_program_on_a_defective_chip_computes_the_same(program: Program, examples: Path) -> None:
    image = np.load(examples / "digits_test.npz")["image"][:2]
    whole = semc.compile(examples / "digits_cnn.onnx", "memcap-demo")
    one, other = (semc.simulate(p, {"image": image}).outputs["logits"] for p in (program, whole))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ([0, 2, 2, 0, 0], "has no working array"),
        ([0, 2, 1, 0, 0], "has no working via"),
        ([0, 1, 2, 0, 0], "has no working column"),
        ([0, 4, 2, 0, 0], "must lie on the chip"),
        ([-1, 0, 0, 0, 0], "must lie on the chip"),
    ],
)
def test_a_program_that_needs_what_is_broken_is_not_loaded(
    program: Program, site: list[int], words: str
) -> None:
    sites, tiles = np.array(program.tensors["tiles.sites"]), program.tensors["tiles.table"]
    widest = int(np.argmax(tiles[:, 4]))
    assert tiles[widest, 4] == 32
    sites[widest] = site
    hostile = Program(program.manifest, {**program.tensors, "tiles.sites": sites})
    with pytest.raises(ProgramError, match=words) as caught:
        decode_program(hostile)
    assert len(str(caught.value).splitlines()) == 1


def test_a_node_is_pinned_from_the_command_line(
    semc_command: Callable[..., Any], examples: Path, tmp_path: Path
) -> None:
    model, out = str(examples / "digits_cnn.onnx"), str(tmp_path / "p.semc")
    pins = ("--pin", "node_Conv_24=3,0,1", "--pin", "node_Conv_25:1=2,1,1")
    done = semc_command("compile", model, "-o", out, "-q", *pins)
    assert done.code == 0, done.err
    decoded = decode_program(load_program(out))
    sites = [matrix.sites.tolist() for matrix in decoded.matrices]
    assert sites[0] == [[3, 0, 1, 0, 0]]
    assert [2, 1, 1, 0, 0] in sites[1]
    assert decoded.program.manifest["options"]["pins"] == [
        {"node": "node_Conv_24", "site": [3, 0, 1], "tile": 0},
        {"node": "node_Conv_25", "site": [2, 1, 1], "tile": 1},
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--pin", "node_Conv_24=3,0"), 2, "must be NODE=LAYER,ROW,COL, came 'node_Conv_24=3,0'"),
        (("--pin", "conv=3,0,1"), 1, "a node with a matrix in arrays must be named, came 'conv'"),
        (("--pin", "node_Conv_24=4,0,1"), 1, "is at layer 4, which must be in 0..3"),
        (("--pin", "node_Conv_24:1=0,0,1"), 1, "the tile of node_Conv_24 must be in 0..0, came 1"),
        (("--pin", "node_Conv_24=0,0,1", "-t", "mesh-small"), 1, "only arrays can be pinned"),
    ],
)
def test_a_pin_that_cannot_hold_is_one_line(
    semc_command: Callable[..., Any],
    examples: Path,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    out = tmp_path / "p.semc"
    model = str(examples / "digits_cnn.onnx")
    done = semc_command("compile", model, "-o", str(out), "-q", *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert not out.exists()
