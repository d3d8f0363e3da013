"""Packing: bins on published instances, and the arrays that real networks need.

    python benchmarks/placement/pack.py [FILES...] [--seconds S ...] [--json]

FILES are ``.2bp`` (two-dimensional bin packing, Berkey and Wang 1987, Martello and Vigo 1998;
``best_known_oriented.csv`` may lie beside them) or ``.onnx``. Without any, the instances at
``../shared/instances/bp2d`` and the networks of ``network_shapes.py`` are packed.

Instances are packed with ``--seconds`` each (0.01 where it is not said) on one core, and every
packing is checked. The peer is rectpack (``pip install rectpack``), left out where it is missing.

For networks, all matrices are cut into tiles of 512 x 512 and packed:

    naive      no two matrices share an array; groups stand on diagonals
    exclusive  tiles of an array share neither rows nor columns
    auto       what the compiler does by default, with all arrays it wants
    dense      as few arrays as are found
    bound      no packing needs fewer

``us`` is the time of all reads of one inference, matrix after matrix, as the timing model has it
with 5 ns to settle a round and a converter of 5 ns for every 128 columns; ``us_least`` would be
that of an array for every tile.
"""

import argparse
import csv
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from network_shapes import NETWORKS, StoredMatrix

from semc.compiler.passes.cut_tiles import tile_grid
from semc.compiler.placement.pack import Sharing, pack_tiles
from semc.compiler.placement.pack_kinds import Packing
from semc.compiler.placement.pack_search import pack_rectangles
from semc.dialects.tile_table import ArrayCells, read_rounds

INSTANCES = Path(__file__).resolve().parents[3] / "shared" / "instances" / "bp2d"
ARRAY = 512
SHARING: Sequence[Sharing] = ("exclusive", "auto", "dense")
#: Nanoseconds of a round and of a column: the settling and the converters of memcap-phone.
READ_NS = (5.0, 5.0 / (ARRAY / 128))


@dataclass(frozen=True, slots=True)
class Instance:
    """Rectangles ``sizes`` int [n, 2] for bins of ``rows`` x ``cols``; ``best`` known bins."""

    name: str
    rows: int
    cols: int
    sizes: np.ndarray
    best: int | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seconds", nargs="+", type=float, default=[0.01])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    files = options.files or sorted(INSTANCES.glob("*.2bp"))
    if not files:
        print(f"no instances at {INSTANCES}: name .2bp files", file=sys.stderr)
    instances = [i for f in files if f.suffix == ".2bp" for i in read_instances(f)]
    networks = {f.stem: matrices_of(f) for f in files if f.suffix == ".onnx"}
    if not options.files:
        networks |= {name: network.matrices for name, network in NETWORKS.items()}
    found: dict[str, Any] = {}
    if instances:
        found["bins"] = [measure_bins(instances, s) for s in options.seconds]
        if (peer := measure_rectpack(instances)) is not None:
            found["bins"].append(peer)
    if networks:
        found["networks"] = [measure_network(n, m) for n, m in networks.items()]
    if options.json:
        print(json.dumps(found, indent=1))
        return
    for rows in found.values():
        print("| " + " | ".join(rows[0]) + " |")
        print("|" + "---|" * len(rows[0]))
        for row in rows:
            print("| " + " | ".join(shown(value) for value in row.values()) + " |")
        print()


def shown(value: object) -> str:
    return f"{value:,.3f}" if isinstance(value, float) else str(value)


def read_instances(path: Path) -> Iterator[Instance]:
    """The instances of a ``.2bp`` file: class, n, number, bin, then a line a rectangle."""
    best = {}
    known = path.parent / "best_known_oriented.csv"
    if known.exists():
        with known.open(newline="") as file:
            best = {Path(row[0]).name: int(row[1]) for row in list(csv.reader(file))[1:]}
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    at = 0
    while at < len(lines):
        count, number = int(lines[at + 1][0]), int(lines[at + 2][0])
        rows, cols = int(lines[at + 3][0]), int(lines[at + 3][1])
        first = at + 4
        sizes = np.array([line[:2] for line in lines[first : first + count]], np.int64)
        name = f"{path.name}_{count}_{number}"
        yield Instance(name, rows, cols, sizes, best.get(name))
        at = first + count


def measure_bins(instances: Sequence[Instance], seconds: float) -> dict[str, Any]:
    """One row: all instances packed with ``seconds`` each, and every packing checked."""
    for instance in instances:  # loads what is compiled
        pack_rectangles(instance.sizes, instance.rows, instance.cols, tries=1)
    bins, spent = [], []
    for instance in instances:
        start = time.perf_counter()
        packing = pack_rectangles(
            instance.sizes, instance.rows, instance.cols, tries=10**9, seconds=seconds
        )
        spent.append(time.perf_counter() - start)
        check(instance.sizes, packing, instance.rows, instance.cols)
        bins.append(packing.arrays)
    return row_of(f"semc, {seconds:g} s", instances, bins, spent)


def measure_rectpack(instances: Sequence[Instance]) -> dict[str, Any] | None:
    """One row: rectpack's default, maximal rectangles by best short side fit, largest first."""
    try:
        import rectpack
    except ImportError:
        return None
    bins, spent = [], []
    for instance in instances:
        start = time.perf_counter()
        packer = rectpack.newPacker(rotation=False)
        for height, width in instance.sizes.tolist():
            packer.add_rect(width, height)
        packer.add_bin(instance.cols, instance.rows, count=float("inf"))
        packer.pack()
        spent.append(time.perf_counter() - start)
        assert len(packer.rect_list()) == len(instance.sizes)
        bins.append(len(packer))
    return row_of("rectpack", instances, bins, spent)


def row_of(
    engine: str, instances: Sequence[Instance], bins: Sequence[int], spent: Sequence[float]
) -> dict[str, Any]:
    known = [(b, i.best) for b, i in zip(bins, instances, strict=True) if i.best is not None]
    total, best = sum(b for b, _ in known), sum(b for _, b in known)
    return {
        "engine": engine,
        "instances": len(instances),
        "bins": sum(bins),
        "best_known": best,
        "over_best_percent": 100 * (total / best - 1) if best else None,
        "at_best": sum(b <= k for b, k in known),
        "below_best": sum(b < k for b, k in known),
        "mean_ms": 1e3 * float(np.mean(spent)),
        "worst_ms": 1e3 * max(spent),
    }


def check(sizes: np.ndarray, packing: Packing, rows: int, cols: int) -> None:
    """Raises AssertionError unless every rectangle has cells of its own inside a bin."""
    booked = np.zeros((packing.arrays, rows, cols), np.uint8)
    for (h, w), b, r, c in zip(sizes, packing.array, packing.row, packing.col, strict=True):
        assert 0 <= r <= rows - h
        assert 0 <= c <= cols - w
        cells = booked[b, r : r + h, c : c + w]
        assert not cells.any()
        cells[:] = 1
    assert booked.any(axis=(1, 2)).all()


def matrices_of(path: Path) -> tuple[StoredMatrix, ...]:
    """The stored matrices of an ONNX model, by the compiler's own front end."""
    from semc.compiler.context import new_context
    from semc.compiler.driver import CompileOptions, emit_level
    from semc.compiler.matrix_uses import positions_of
    from semc.compiler.parse import parse_module
    from semc.compiler.rewriting import whole_ops
    from semc.dialects import tile

    text, _ = emit_level(path, CompileOptions(target="memcap-phone", weights=False), "tile")
    module = parse_module(text, new_context(), path.name)
    programs = [op for op in whole_ops(module) if isinstance(op, tile.ProgramOp)]
    return tuple(StoredMatrix(*op.result.type.shape, positions_of(op)) for op in programs)


def measure_network(name: str, matrices: Sequence[StoredMatrix]) -> dict[str, Any]:
    """One row: arrays and reads of a network by each way to share arrays."""
    tiles = [tile_grid((m.groups, m.rows, m.cols), ARRAY, ARRAY) for m in matrices]
    table = np.concatenate(tiles)
    sizes = table[:, [2, 4]].astype(np.int64)
    owner = np.repeat(np.arange(len(tiles)), [len(t) for t in tiles])
    positions = np.array([m.positions for m in matrices])
    naive = sum(pack_tiles(t[:, [2, 4]], ARRAY, ARRAY, sharing="exclusive").arrays for t in tiles)
    row: dict[str, Any] = {
        "network": name,
        "parameters": int(sizes.prod(axis=1).sum()),
        "tiles": len(table),
        "naive": naive,
    }
    apart = Packing(np.arange(len(table)), *np.zeros((2, len(table)), np.int64), len(table), 0)
    read_us = {"us_least": time_reads(table, owner, positions, apart)}
    spent_ms: dict[str, float] = {}
    for sharing in SHARING:
        start = time.perf_counter()
        packing = pack_tiles(
            sizes,
            ARRAY,
            ARRAY,
            owner=owner,
            positions=positions,
            read_cost=READ_NS,
            sharing=sharing,
        )
        spent_ms[f"ms_{sharing}"] = 1e3 * (time.perf_counter() - start)
        check(sizes, packing, ARRAY, ARRAY)
        row[sharing] = packing.arrays
        if sharing == "dense":
            row["bound"] = packing.bound
            row["area_bound"] = -(-row["parameters"] // ARRAY**2)
        read_us[f"us_{sharing}"] = time_reads(table, owner, positions, packing)
    return row | read_us | spent_ms


def time_reads(
    table: np.ndarray, owner: np.ndarray, positions: np.ndarray, packing: Packing
) -> float:
    """Microseconds of all reads, of each matrix those of its slowest array."""
    per_round, per_column = READ_NS
    zero = np.zeros(len(table), np.int64)
    sites = np.column_stack([packing.array, zero, zero, packing.row, packing.col])
    held = ArrayCells.of(table, sites)
    total_ns = 0.0
    for matrix, times in enumerate(positions.tolist()):
        own = owner == matrix
        rounds = read_rounds(table[own], sites[own], held)
        total_ns += times * max(per_round * len(r) + per_column * sum(r) for r in rounds)
    return total_ns * 1e-3


if __name__ == "__main__":
    main()
