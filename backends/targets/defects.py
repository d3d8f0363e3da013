"""What is broken on one chip: arrays, lines of arrays, vias between layers.

A defect map comes from testing a chip, so the compiler can place around it. It stands in the
target's file as tables, or in an ``.npz`` file beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field, field_validator

from ...errors import InputError, TargetError
from .schema import Section

if TYPE_CHECKING:
    from .memcap import MemcapTarget

#: Rows of one table; a chip with more is not worth mapping.
MOST_DEFECTS = 1 << 20
_Index = Annotated[int, Field(ge=0, le=1 << 16, strict=True)]
_Row3 = Annotated[tuple[_Index, _Index, _Index], Field(strict=False)]
_Row4 = Annotated[tuple[_Index, _Index, _Index, _Index], Field(strict=False)]
_Rows3 = Annotated[tuple[_Row3, ...], Field(strict=False, max_length=MOST_DEFECTS)]
_Rows4 = Annotated[tuple[_Row4, ...], Field(strict=False, max_length=MOST_DEFECTS)]
_Limit = tuple[str, int]
_NO_LAYER = np.array([0, 1, 1], np.int32)


class Defects(Section):
    """Tables of what cannot be used; indices count from 0."""

    dead_arrays: _Rows3 = ()
    """(layer, row, col) of arrays that hold nothing."""
    dead_rows: _Rows4 = ()
    """(layer, row, col, array row): a row line that cannot be driven."""
    dead_cols: _Rows4 = ()
    """(layer, row, col, array column): a physical column that cannot be read."""
    missing_vias: _Rows3 = ()
    """(level, row, col): the via from this level to the next one up is missing. The base die is
    level 0 and layer l is level l + 1, so the layers from ``level`` up cannot be reached."""
    file: str | None = None
    """An ``.npz`` file in the target's folder with any of these tables, by their names."""

    @field_validator("file")
    @classmethod
    def _read_already(cls, file: str | None) -> None:
        if file is not None:
            raise ValueError("a file of defects must be read with the target's own file")

    def faults(self, limits: Mapping[str, Sequence[_Limit]]) -> list[str]:
        """Rows that name what the chip does not have; ``limits`` are those of the columns."""
        faults = []
        for name, columns in limits.items():
            rows = np.array(getattr(self, name), np.int64).reshape(-1, len(columns))
            counts = np.array([count for _, count in columns])
            for index, column in np.argwhere(rows >= counts)[:3].tolist():
                what, count = columns[column]
                faults.append(
                    f"defects.{name}[{index}]: the {what} must be in 0..{count - 1}, "
                    f"came {rows[index, column]}"
                )
        return faults


def defect_limits(target: "MemcapTarget") -> dict[str, tuple[_Limit, ...]]:
    """What the columns of each table count, and how many of it the chip has."""
    stack, array = target.stack, target.array
    site = (("layer", stack.layers), ("row", stack.grid_rows), ("column", stack.grid_cols))
    return {
        "dead_arrays": site,
        "dead_rows": (*site, ("row of the array", array.rows)),
        "dead_cols": (*site, ("column of the array", array.cols)),
        "missing_vias": (("level", stack.layers), *site[1:]),
    }


@dataclass(frozen=True, slots=True, eq=False)
class DefectTables:
    """Defects as arrays, int32: ``dead_arrays`` [n, 3], ``dead_rows`` [n, 4], ``dead_cols`` [n, 4]
    with columns of weights, ``missing_vias`` [n, 3]."""

    dead_arrays: np.ndarray
    dead_rows: np.ndarray
    dead_cols: np.ndarray
    missing_vias: np.ndarray

    @staticmethod
    def of(target: "MemcapTarget") -> "DefectTables":
        """Those of a target. A broken physical column breaks the column of weights it is part of;
        columns that hold no weight break nothing."""
        defects = target.defects
        cols = _table(defects.dead_cols, 4).copy()
        cols[:, 3] //= target.columns_per_weight
        cols = np.unique(cols[cols[:, 3] < target.weight_cols], axis=0)
        return DefectTables(
            _table(defects.dead_arrays, 3),
            _table(defects.dead_rows, 4),
            cols,
            _table(defects.missing_vias, 3),
        )

    @property
    def any(self) -> bool:
        """Whether anything is broken."""
        tables = (self.dead_arrays, self.dead_rows, self.dead_cols, self.missing_vias)
        return any(len(table) for table in tables)

    def broken(self, sites: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
        """Which tiles need something that is broken, by what it is: bool [T] each.

        Args:
            sites: int [T, 5], (layer, row, col, first row and weight column in the array).
            sizes: int [T, 2], rows and weight columns of the tiles.
        """
        return {
            "array": np.isin(site_key(sites[:, :3]), site_key(self.dead_arrays)),
            "via": self.cut_off(sites[:, :3]),
            "row": _crosses(sites[:, [0, 1, 2, 3]], sizes[:, 0], self.dead_rows),
            "column": _crosses(sites[:, [0, 1, 2, 4]], sizes[:, 1], self.dead_cols),
        }

    def cut_off(self, sites: np.ndarray) -> np.ndarray:
        """Which ``sites`` int [n, 3] a missing via of their stack cuts off, bool [n]: one at the
        level of the layer or below."""
        ground = self.missing_vias * _NO_LAYER
        order = np.lexsort((self.missing_vias[:, 0], site_key(ground)))
        stacks, first = np.unique(site_key(ground)[order], return_index=True)
        lowest = self.missing_vias[order, 0][first]
        key = site_key(sites * _NO_LAYER)
        at = np.searchsorted(stacks, key)
        cut = np.isin(key, stacks)
        cut[cut] = lowest[at[cut]] <= sites[cut, 0]
        return cut


def _table(rows: Sequence[Sequence[int]], columns: int) -> np.ndarray:
    return np.array(rows, np.int32).reshape(-1, columns)


def site_key(sites: np.ndarray) -> np.ndarray:
    """One int64 for each (layer, row, col); no side of a chip is longer than 2^16."""
    layer, row, col = np.asarray(sites, np.int64).T
    return (layer << 40) | (row << 20) | col


def _crosses(starts: np.ndarray, lengths: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """Whether a dead line lies in start .. start + length of the same array."""
    arrays, of_dead = np.unique(site_key(dead[:, :3]), return_inverse=True)
    line = np.sort((of_dead << 20) | dead[:, 3])
    key = site_key(starts[:, :3])
    array = np.searchsorted(arrays, key)
    first = (array << 20) | starts[:, 3].astype(np.int64)
    crossed = np.searchsorted(line, first) < np.searchsorted(line, first + lengths)
    return crossed & np.isin(key, arrays)


def merge_defect_file(data: dict[str, Any], folder: Path, where: str) -> dict[str, Any]:
    """The content of a target's file with the tables that ``defects.file`` names in their place.

    Raises:
        TargetError: the file lies elsewhere, is none, or holds other things.
    """
    section = data.get("defects")
    if not isinstance(section, dict) or not isinstance(section.get("file"), str):
        return data
    file, where = section["file"], f"{where}: defects.file"
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise TargetError(
            f"a file of defects must lie in the folder of its target, came {file!r}", where=where
        )
    tables = _read_tables(path, file, where)
    twice = sorted(tables.keys() & section.keys())
    if twice:
        raise TargetError(
            f"{twice[0]} must stand in the target's file or in {file}, not in both", where=where
        )
    rest = {key: value for key, value in section.items() if key != "file"}
    return {**data, "defects": {**rest, **tables}}


def _read_tables(path: Path, file: str, where: str) -> dict[str, list[list[int]]]:
    from ...arrays import read_arrays

    try:
        arrays = read_arrays(path)
    except OSError as error:
        raise TargetError(
            f"the file of defects {file!r} must be readable: {error.strerror}", where=where
        ) from None
    except InputError as error:
        raise TargetError(f"{file}: {error.message}", where=where) from None
    tables = {}
    for name, array in arrays.items():
        columns = {"dead_arrays": 3, "dead_rows": 4, "dead_cols": 4, "missing_vias": 3}.get(name)
        if columns is None:
            raise TargetError(
                f"{file} must hold dead_arrays, dead_rows, dead_cols or missing_vias, not {name!r}",
                where=where,
            )
        if array.dtype.kind not in "iu" or array.ndim != 2 or array.shape[1] != columns:
            raise TargetError(
                f"{name} of {file} must be integers [n, {columns}], came {array.dtype} "
                f"{list(array.shape)}",
                where=where,
            )
        tables[name] = array.tolist()
    return tables
