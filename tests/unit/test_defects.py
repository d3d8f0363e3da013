"""Defect maps: how targets carry them, what they leave, and placing around them."""

import json
from pathlib import Path

import networkx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semc.backends import targets
from semc.backends.targets.defects import DefectTables
from semc.compiler.placement.defects import match_parts, sites_left
from semc.compiler.placement.free_sites import FreeSites
from semc.compiler.placement.machine import SiteGrid, grid_of
from semc.errors import TargetError

from .changed_target import changed

DEMO = (Path(targets.__file__).parent / "memcap-demo.toml").read_text()


def tables(**rows: list[list[int]]) -> DefectTables:
    widths = {"dead_arrays": 3, "dead_rows": 4, "dead_cols": 4, "missing_vias": 3}
    return DefectTables(
        **{n: np.array(rows.get(n, []), np.int32).reshape(-1, w) for n, w in widths.items()}
    )


# in a target


def test_a_map_travels_with_its_target() -> None:
    target = changed("memcap-demo", defects={"dead_arrays": [[3, 0, 1]], "dead_rows": [[0] * 4]})
    again = targets.target_from_dict(json.loads(json.dumps(targets.target_to_dict(target))))
    assert again == target
    assert again.defects.dead_arrays == ((3, 0, 1),)


def test_every_fault_has_its_path() -> None:
    data = targets.target_to_dict(targets.load_target("memcap-demo"))
    data["defects"] = {
        "dead_arrays": [[0, 0, 0], [0, "1", 0], [0, -1, 0]],
        "dead_rows": [[0, 0, 0]],
        "dead_cols": [[0, 0, True, 0]],
        "missing": [],
        "file": "map.npz",
    }
    with pytest.raises(TargetError) as caught:
        targets.target_from_dict(data, "chip.toml")
    assert {fault.where for fault in caught.value.faults} == {
        "chip.toml: defects.dead_arrays[1][1]",
        "chip.toml: defects.dead_arrays[2][1]",
        "chip.toml: defects.dead_rows[0][3]",
        "chip.toml: defects.dead_cols[0][2]",
        "chip.toml: defects.missing",
        "chip.toml: defects.file",
    }


@pytest.mark.parametrize(
    ("defects", "words"),
    [
        ({"dead_arrays": [[4, 0, 0]]}, r"dead_arrays\[0\]: the layer must be in 0..3, came 4"),
        ({"dead_rows": [[0, 0, 0, 0], [0, 0, 0, 128]]}, r"dead_rows\[1\]: the row of the array"),
        ({"dead_cols": [[0, 0, 4, 0]]}, r"dead_cols\[0\]: the column must be in 0..3"),
        ({"missing_vias": [[4, 0, 0]]}, r"missing_vias\[0\]: the level must be in 0..3"),
    ],
)
def test_what_the_chip_lacks_cannot_be_broken(defects: dict, words: str) -> None:
    with pytest.raises(TargetError, match=words):
        changed("memcap-demo", defects=defects)


def test_a_map_may_lie_beside_its_target(tmp_path: Path) -> None:
    text = DEMO + '\n[defects]\nfile = "map.npz"\ndead_arrays = [[0, 0, 3]]\n'
    (tmp_path / "chip.toml").write_text(text)
    np.savez(tmp_path / "map.npz", missing_vias=np.array([[1, 2, 3]], np.uint8))
    target = targets.load_target(tmp_path / "chip.toml")
    assert target.defects.missing_vias == ((1, 2, 3),)
    assert target.defects.dead_arrays == ((0, 0, 3),)
    assert target.defects.file is None


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("none.npz", {}, "must be readable: No such file"),
        ("../map.npz", {}, "must lie in the folder of its target"),
        ("/etc/passwd", {}, "must lie in the folder of its target"),
        ("chip.toml", {}, "must be an .npz file"),
        ("map.npz", {"dust": np.zeros((1, 3), int)}, "not 'dust'"),
        (
            "map.npz",
            {"dead_arrays": np.zeros((1, 4), int)},
            r"integers \[n, 3\], came int64",
        ),
        ("map.npz", {"dead_rows": np.zeros((1, 4))}, r"integers \[n, 4\], came float64"),
        ("map.npz", {"dead_arrays": np.array([[0, 0, 9]])}, "column must be in 0..3, came 9"),
        ("map.npz", {"dead_arrays": np.array([[0, -1, 0]])}, r"dead_arrays\[0\]\[1\]"),
        ("map.npz", {"dead_cols": np.zeros((1, 4), int)}, "not in both"),
        ("map.npz", {"dead_arrays": np.array([[{}] * 3])}, "plain arrays"),
    ],
)
def test_a_bad_file_of_defects_is_one_line(
    tmp_path: Path, file: str, content: dict, words: str
) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    text = f'{DEMO}\n[defects]\nfile = "{file}"\ndead_cols = [[0, 0, 0, 0]]\n'
    (folder / "chip.toml").write_text(text)
    np.savez(folder / "map.npz", **content)
    np.savez(tmp_path / "map.npz", dead_arrays=np.zeros((1, 3), int))
    with pytest.raises(TargetError, match=words) as caught:
        targets.load_target(folder / "chip.toml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "targets"
    folder.mkdir()
    np.savez(tmp_path / "map.npz", dead_arrays=np.zeros((1, 3), int))
    (folder / "map.npz").symlink_to(tmp_path / "map.npz")
    (folder / "chip.toml").write_text(DEMO + '\n[defects]\nfile = "map.npz"\n')
    with pytest.raises(TargetError, match="must lie in the folder"):
        targets.load_target(folder / "chip.toml")


def test_a_physical_column_breaks_its_column_of_weights() -> None:
    """Four physical columns a weight; in five slices the last three columns hold none."""
    cols = [[0, 0, 0, 3], [0, 0, 0, 1], [0, 0, 0, 127]]
    found = DefectTables.of(changed("memcap-demo", defects={"dead_cols": cols}))
    assert found.dead_cols.tolist() == [[0, 0, 0, 0], [0, 0, 0, 31]]
    wide = changed("memcap-demo", array={"levels": 4, "cols": 131}, defects={"dead_cols": cols[2:]})
    assert (wide.columns_per_weight, wide.weight_cols) == (8, 16)
    assert DefectTables.of(wide).dead_cols.tolist() == [[0, 0, 0, 15]]
    spare = changed("memcap-demo", array={"cols": 131}, defects={"dead_cols": [[0, 0, 0, 130]]})
    assert len(DefectTables.of(spare).dead_cols) == 0


# what they leave


def test_sites_left_by_hand() -> None:
    defects = tables(
        dead_arrays=[[0, 0, 0]],
        missing_vias=[[1, 0, 1], [2, 0, 1]],
        dead_rows=[[0, 1, 0, 3], [0, 1, 0, 7], [0, 0, 0, 1], [2, 1, 1, 0], [2, 1, 1, 0]],
        dead_cols=[[0, 1, 0, 0], *[[1, 1, 1, c] for c in range(5)]],
    )
    usable, parts = sites_left(defects, (3, 2, 2), (10, 5))
    gone = np.argwhere(~usable).tolist()
    # A dead array, two layers above a missing via, and an array without a live column.
    assert gone == [[0, 0, 0], [1, 0, 1], [1, 1, 1], [2, 0, 1]]
    assert parts.sites.tolist() == [[0, 1, 0], [2, 1, 1]]
    assert parts.starts.tolist() == [[0, 1], [1, 0]]
    assert parts.sizes.tolist() == [[3, 4], [9, 5]]


LINES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), max_size=8)


@given(LINES, LINES)
def test_parts_are_the_largest_rectangles(
    rows: list[tuple[int, int]], cols: list[tuple[int, int]]
) -> None:
    defects = tables(
        dead_rows=[[0, 0, array, row] for array, row in rows],
        dead_cols=[[0, 0, array, col] for array, col in cols if col < 6],
    )
    usable, parts = sites_left(defects, (1, 1, 2), (9, 6))
    for array in range(2):
        live = np.ones((9, 6), bool)
        live[[r for a, r in rows if a == array]] = False
        live[:, [c for a, c in cols if a == array and c < 6]] = False
        largest = max(
            (
                (r1 - r0) * (c1 - c0)
                for r0 in range(9)
                for r1 in range(r0 + 1, 10)
                for c0 in range(6)
                for c1 in range(c0 + 1, 7)
                if live[r0:r1, c0:c1].all()
            ),
            default=0,
        )
        assert bool(usable[0, 0, array]) == (largest > 0)
        at = np.flatnonzero(parts.sites[:, 2] == array)
        assert len(at) == (0 < largest < 54)
        for part in at:
            (r, c), (h, w) = parts.starts[part], parts.sizes[part]
            assert live[r : r + h, c : c + w].all()
            assert h * w == largest


SIZES = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=9)


@given(SIZES, SIZES)
def test_matching_is_as_large_as_any(
    contents: list[tuple[int, int]], parts: list[tuple[int, int]]
) -> None:
    extents = np.array(contents, int).reshape(-1, 2)
    sizes = np.array(parts, int).reshape(-1, 2)
    part_of = match_parts(extents, sizes)
    used = part_of[part_of >= 0]
    assert len(np.unique(used)) == len(used)
    assert (extents[part_of >= 0] <= sizes[used]).all()
    graph = networkx.Graph()
    graph.add_nodes_from(("content", i) for i in range(len(contents)))
    graph.add_edges_from(
        (("content", i), ("part", j))
        for i, content in enumerate(contents)
        for j, part in enumerate(parts)
        if content[0] <= part[0] and content[1] <= part[1]
    )
    top = [node for node in graph if node[0] == "content"]
    best = networkx.bipartite.maximum_matching(graph, top)
    assert len(used) == len(best) // 2


@given(st.data())
def test_broken_tiles_are_those_of_a_plain_search(data: st.DataObject) -> None:
    site = st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2))
    line = st.tuples(*[st.integers(0, n) for n in (2, 1, 2, 7)])
    defects = tables(
        dead_arrays=data.draw(st.lists(site, max_size=3)),
        missing_vias=data.draw(st.lists(site, max_size=3)),
        dead_rows=data.draw(st.lists(line, max_size=4)),
        dead_cols=data.draw(st.lists(line, max_size=4)),
    )
    tile = st.tuples(
        *[st.integers(0, n) for n in (2, 1, 2, 7, 7)], st.integers(1, 4), st.integers(1, 4)
    )
    drawn = np.array(data.draw(st.lists(tile, min_size=1, max_size=6)), np.int32)
    found = defects.broken(drawn[:, :5], drawn[:, 5:])
    for i, (layer, row, col, array_row, array_col, rows, cols) in enumerate(drawn.tolist()):
        here = (layer, row, col)
        assert found["array"][i] == (here in set(map(tuple, defects.dead_arrays.tolist())))
        assert found["via"][i] == any(
            (r, c) == (row, col) and level <= layer for level, r, c in defects.missing_vias.tolist()
        )
        for what, start, size, lines in (
            ("row", array_row, rows, defects.dead_rows),
            ("column", array_col, cols, defects.dead_cols),
        ):
            crossed = any(
                (a, b, c) == here and start <= at < start + size for a, b, c, at in lines.tolist()
            )
            assert found[what][i] == crossed


# around them


def test_arrays_with_dead_lines_come_last_and_hold_what_fits() -> None:
    usable, parts = sites_left(
        tables(dead_rows=[[0, 0, 0, 4]], dead_arrays=[[0, 0, 1]]), (1, 1, 4), (10, 10)
    )
    grid = SiteGrid(1, 1, 4, 10, 10, 1, usable=usable, parts=parts)
    free = FreeSites.of(grid, np.empty((0, 3), np.int32))
    extents = np.array([[5, 9], [5, 2]])
    assert free.room_for(extents) == 2
    sites, starts = free.take_parts(extents)
    assert sites.tolist() == [-1, -1]
    assert starts.tolist() == [[0, 0], [0, 0]]
    three = np.array([[5, 9], [5, 2], [6, 10]])
    sites, starts = free.take_parts(three)
    assert sites.tolist() == [0, -1, -1]
    assert starts.tolist() == [[5, 0], [0, 0], [0, 0]]
    assert free.room_for(np.array([[6, 9], [6, 2], [6, 10]])) == 2
    taken = FreeSites.of(grid, np.array([[0, 0, 0], [0, 0, 2]], np.int32))
    assert taken.room_for(three) == 1


def test_a_whole_chip_has_no_masks() -> None:
    assert grid_of(targets.load_target("memcap-phone")).usable is None
    hurt = grid_of(changed("memcap-demo", defects={"dead_arrays": [[0, 2, 2]]}))
    assert hurt.usable is not None
    assert int(hurt.usable.sum()) == 63
