"""Checks what arrays hold when they are driven, where matrices share them over time.

Rules: an array that is written while the program runs holds nothing that stays; tiles of one round
share no cell; a product finds its matrix in the arrays, written by a reload since whoever had them
before, and by a reload of its own where it writes several rounds; only what runs once an inference
and in order reloads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .check import PlacedMatrix
from .machine import SiteGrid

#: Faults that are told of each rule and matrix.
_SHOWN = 3
#: The owner of an array that nobody may use.
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class ArrayUse:
    """A slot that reloads or drives a matrix (index); ``nested`` in control flow."""

    slot: int
    name: str
    kind: Literal["reload", "product"]
    matrix: int
    nested: bool = False


def check_residency(
    matrices: Sequence[PlacedMatrix], uses: Sequence[ArrayUse], grid: SiteGrid
) -> list[str]:
    """Faults of streamed tiles and of the slots that use them, which come in program order."""
    if not any(m.streamed.any() for m in matrices):
        return [_needless(use, matrices) for use in uses if use.kind == "reload"]
    faults = _check_sharing(matrices, grid)
    for m in matrices:
        faults += _check_rounds(m, grid)
    return faults + _check_uses(matrices, uses, grid)


def _arrays(m: PlacedMatrix, tiles: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """The number of the array of each of ``tiles``."""
    layer, row, col = m.sites[tiles, :3].T.astype(np.int64)
    return (layer * grid.rows + row) * grid.cols + col


def _check_sharing(matrices: Sequence[PlacedMatrix], grid: SiteGrid) -> list[str]:
    kept = np.concatenate([_arrays(m, ~m.streamed, grid) for m in matrices])
    streamed = np.unique(np.concatenate([_arrays(m, m.streamed, grid) for m in matrices]))
    shared = np.intersect1d(kept, streamed)
    return [
        f"the array at (layer, row, col) {_site(array, grid)} holds tiles that stay and tiles that "
        "are written while running"
        for array in shared[:_SHOWN].tolist()
    ]


def _check_rounds(m: PlacedMatrix, grid: SiteGrid) -> list[str]:
    """Tiles of a round must not share cells."""
    if m.rounds is None:
        return []
    tiles = np.flatnonzero(m.streamed)
    key = np.stack([np.asarray(m.rounds)[tiles], _arrays(m, tiles, grid)])
    order = np.lexsort(key)
    starts = np.flatnonzero(np.diff(key[:, order], prepend=-1).any(axis=0))
    ends = np.append(starts[1:], len(order))
    faults = []
    for first, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
        group = tiles[order[first:end]]
        low = m.sites[group, 3:].astype(np.int64)
        high = low + m.sizes[group]
        apart = (low[:, None] >= high[None]) | (low[None] >= high[:, None])
        overlap = np.triu(~apart.any(axis=2), 1)
        if overlap.any():
            a, b = np.argwhere(overlap)[0]
            faults.append(
                f"{m.name}: tiles {group[a]} and {group[b]} of round {key[0, order[first]]} share "
                f"cells of the array at (layer, row, col) {tuple(m.sites[group[a], :3].tolist())}"
            )
    return faults[:_SHOWN]


def _check_uses(
    matrices: Sequence[PlacedMatrix], uses: Sequence[ArrayUse], grid: SiteGrid
) -> list[str]:
    owner = np.full(grid.sites, _NOBODY, np.int64)
    arrays = [np.unique(_arrays(m, m.streamed, grid)) for m in matrices]
    faults = []
    for use in uses:
        mine = arrays[use.matrix]
        m = matrices[use.matrix]
        if use.kind == "reload" and not len(mine):
            faults.append(_needless(use, matrices))
        elif not len(mine):
            continue
        elif use.nested:
            faults.append(
                f"slot {use.slot} ({use.name}) uses {m.name} in control flow, where only matrices "
                "that stay in their arrays can be used"
            )
        elif use.kind == "reload":
            owner[mine] = use.matrix
        else:
            stolen = mine[owner[mine] != use.matrix]
            if len(stolen):
                faults.append(
                    _missing(use, matrices, _site(int(stolen[0]), grid), owner[stolen[0]])
                )
            if m.rounds is not None and np.max(m.rounds) > 1:
                owner[mine] = _NOBODY  # the last round is left
    return faults


def _needless(use: ArrayUse, matrices: Sequence[PlacedMatrix]) -> str:
    return f"slot {use.slot} ({use.name}) reloads {matrices[use.matrix].name}, all of which stays"


def _missing(
    use: ArrayUse, matrices: Sequence[PlacedMatrix], site: tuple[int, int, int], owner: int
) -> str:
    holds = "what an earlier product left" if owner == _NOBODY else matrices[owner].name
    return (
        f"slot {use.slot} ({use.name}) drives {matrices[use.matrix].name} in the array at (layer, "
        f"row, col) {site}, which holds {holds}: a reload must come before"
    )


def _site(array: int, grid: SiteGrid) -> tuple[int, int, int]:
    layer, rest = divmod(array, grid.rows * grid.cols)
    return layer, *divmod(rest, grid.cols)
