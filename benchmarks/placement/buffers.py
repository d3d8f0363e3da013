"""Buffer allocation on instances of MiniMalloc's format.

    python benchmarks/placement/buffers.py FILES... [--json]

A file has lines of ``id,lower,upper,size`` (``start,end`` are understood too), the end not being
part of the life; ``NAME.CAPACITY.csv`` names the bytes that there are. The instances of MiniMalloc
(Moffitt, ASPLOS 2023) are ``benchmarks/*/*.csv`` of github.com/google/minimalloc. ``bound`` is what
is alive at once, ``fits`` says whether all buffers found room in the capacity.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from semc.compiler.placement.buffers import aligned, allocate, live_peak_bytes

#: More than any allocation takes.
ROOM = 1 << 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warm = np.random.default_rng(0).integers(0, 50, (2, 40))
    allocate(warm[0] * 64, warm.min(axis=0), warm.max(axis=0), ROOM)  # loads what is compiled
    rows = [measure(path) for path in options.files]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| " + " | ".join(rows[0]) + " |")
    print("|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


def read_buffers(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(sizes, first, last) int64 [n] of a file; ends become the last slot."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lower, upper = ("lower", "upper") if "lower" in rows[0] else ("start", "end")
    table = np.array([[row["size"], row[lower], row[upper]] for row in rows], np.int64)
    return table[:, 0], table[:, 1], table[:, 2] - 1


def measure(path: Path) -> dict[str, Any]:
    """One row; raises AssertionError where buffers that live together share a byte."""
    sizes, first, last = read_buffers(path)
    start = time.perf_counter()
    offsets = allocate(sizes, first, last, ROOM)
    spent_ms = 1e3 * (time.perf_counter() - start)
    check(sizes, first, last, offsets)
    bound = live_peak_bytes(aligned(sizes), first, last)
    peak = int((offsets + aligned(sizes)).max())
    row: dict[str, Any] = {
        "instance": path.stem,
        "buffers": len(sizes),
        "bound": bound,
        "peak": peak,
        "gap_percent": round(100 * (peak / bound - 1), 2),
        "ms": round(spent_ms, 1),
        "capacity": None,
        "fits": None,
    }
    capacity = path.stem.rpartition(".")[2]
    if capacity.isdigit() and "." in path.stem:
        row["capacity"] = int(capacity)
        row["fits"] = bool((allocate(sizes, first, last, int(capacity)) >= 0).all())
    return row


def check(sizes: np.ndarray, first: np.ndarray, last: np.ndarray, offsets: np.ndarray) -> None:
    for i in range(len(sizes)):
        together = (first <= last[i]) & (last >= first[i])
        together[i] = False
        apart = (offsets + sizes <= offsets[i]) | (offsets[i] + sizes[i] <= offsets)
        assert apart[together].all()


if __name__ == "__main__":
    main()
