"""Arrays on a 3-D grid: planted optima, and the tiles of a Llama-like decoder of 27 B parameters.

    python benchmarks/placement/grid.py [--seconds S] [--cpu] [--only NAME] [--json]

**Planted optima** (after PEKO: Chang, Cong, Romesis and Xie, "Optimality and scalability study of
existing placement algorithms", IEEE TCAD 23 (2004) 537): the links of a grid, each of a weight from
1 to 10, under random numbers; no link can be shorter than one step, so the sum of the weights is
the optimum. In the *torn* ones a fifth of the links are left out and one in twenty leads anywhere
else; what was planted is then no proven optimum, but a placement that is known. A prototype
(bisection, then annealing) was at 1.00x for 256 sites in 0.8 s, 1.25x for 3,200 in 4.4 s and 2.15x
for 25,088 in 11 s; the aim is 1.00x in 1 s, 1.15x in 5 s and 1.5x in 30 s.

**The decoder** has 130 blocks of width 4,096 and hidden width 11,008, in tiles of 512 x 512: eight
by eight tiles for each of query, key, value and output, eight by 22 for gate and up, 22 by eight
for down. Tile (k, n) of a matrix is linked with (k, n + 1), which takes the same inputs, and with
(k + 1, n), which adds to the same sums. The last tile of column block n of a matrix is linked with
the first of row block n of each that it feeds: query, key and value to output, output to gate and
up, gate and up to down, down to the next block's query, key and value. Each link moves as much (512
values), and every step in any direction counts one. 101,920 tiles on 16 layers of 80 x 80. A
prototype had 14.46 hops in program order (on 16 x 65 x 98), 2.88 along a Hilbert curve, 1.94 by
bisection in 18 s and 1.73 after annealing in 28 s. The aim is a first placement in 0.1 s and at
most 1.7 hops in 20 s.

``--cpu`` counts seconds of CPU time instead of the wall's, for machines that do something else too.
"""

import argparse
import json
import time
from typing import Any

import numpy as np

from semc.compiler.placement.assign import Assignment, assign_sites
from semc.compiler.placement.deadline import Clock
from semc.compiler.placement.site_problem import SiteProblem, assignment_cost

PLANTED = {"256": (4, 8, 8), "3,200": (8, 20, 20), "25,088": (8, 56, 56)}
PLANTED_SECONDS = {"256": 1.0, "3,200": 5.0, "25,088": 30.0}
DECODER_SHAPE = (16, 80, 80)
Links = tuple[np.ndarray, np.ndarray]


def problem_of(
    shape: tuple[int, int, int], n: int, links: Links, weight: np.ndarray
) -> SiteProblem:
    """``n`` arrays with links (a, b) of ``weight`` on a grid where all steps cost one."""
    ends = np.concatenate([links[0], links[1]]), np.concatenate([links[1], links[0]])
    order = np.lexsort(ends[::-1])
    indptr = np.concatenate([[0], np.cumsum(np.bincount(ends[0], minlength=n))])
    both = np.concatenate([weight, weight])[order].astype(np.float32)
    neighbour = ends[1][order].astype(np.int32)
    return SiteProblem(*shape, (1, 1, 1), indptr, neighbour, both, np.zeros(n, np.float32))


def planted(shape: tuple[int, int, int], torn: bool, seed: int) -> tuple[SiteProblem, float]:
    """A grid's links under random numbers, and the cost of what was planted."""
    rng = np.random.default_rng(seed)
    number = rng.permutation(np.prod(shape)).reshape(shape)
    lows, highs = [], []
    for axis, size in enumerate(shape):
        lows.append(np.take(number, range(size - 1), axis).ravel())
        highs.append(np.take(number, range(1, size), axis).ravel())
    low, high = np.concatenate(lows), np.concatenate(highs)
    if torn:
        kept = rng.random(len(low)) < 0.8
        low, high = low[kept], high[kept]
        stray = np.flatnonzero(rng.random(len(low)) < 0.05)
        high[stray] = (low[stray] + rng.integers(1, number.size, len(stray))) % number.size
    weight = rng.integers(1, 11, len(low))
    problem = problem_of(shape, number.size, (low, high), weight)
    return problem, assignment_cost(problem, np.argsort(number, axis=None)).total


def decoder_links(blocks: int, width: int = 8, hidden: int = 22) -> tuple[int, Links]:
    """Tiles of a decoder and their links, as the docstring above says."""
    ends: list[Links] = []
    count = 0

    def matrix(rows: int, cols: int) -> np.ndarray:
        nonlocal count
        tile = count + np.arange(rows * cols).reshape(rows, cols)
        count += rows * cols
        ends.append((tile[:, :-1].ravel(), tile[:, 1:].ravel()))
        ends.append((tile[:-1].ravel(), tile[1:].ravel()))
        return tile

    def feed(source: np.ndarray, *targets: np.ndarray) -> None:
        ends.extend((source[-1], target[:, 0]) for target in targets)

    before = None
    for _ in range(blocks):
        query, key, value, output = (matrix(width, width) for _ in range(4))
        gate, up, down = matrix(width, hidden), matrix(width, hidden), matrix(hidden, width)
        if before is not None:
            feed(before, query, key, value)
        for source in (query, key, value):
            feed(source, output)
        feed(output, gate, up)
        feed(gate, down)
        feed(up, down)
        before = down
    return count, (np.concatenate([a for a, _ in ends]), np.concatenate([b for _, b in ends]))


def timed(problem: SiteProblem, **options: Any) -> tuple[Assignment, dict[str, float]]:
    began, cpu = time.perf_counter(), time.process_time()
    found = assign_sites(problem, **options)
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    return found, took | {"moves": found.moves}


def measure_planted(seconds: float | None, clock: Clock) -> dict[str, Any]:
    """Cost over what was planted, by size, whole and torn."""
    results: dict[str, Any] = {}
    for name, shape in PLANTED.items():
        for torn in (False, True):
            problem, least = planted(shape, torn, seed=0)
            found, took = timed(problem, seconds=seconds or PLANTED_SECONDS[name], clock=clock)
            results[f"{name}{' torn' if torn else ''}"] = {"ratio": found.cost / least} | took
    return results


def measure_decoder(seconds: float | None, clock: Clock) -> dict[str, Any]:
    """Mean hops of a link, by engine."""
    n, links = decoder_links(130)
    problem = problem_of(DECODER_SHAPE, n, links, np.ones(len(links[0])))
    total = len(links[0])
    in_order = assignment_cost(problem, np.arange(n)).total
    results: dict[str, Any] = {"program order": {"hops": in_order / total, "seconds": 0.0}}
    runs: dict[str, dict[str, Any]] = {f"effort {e}": {"effort": e} for e in (0, 1, 3, 10)}
    runs[f"{seconds or 20.0:g} s"] = {"seconds": seconds or 20.0, "clock": clock}
    for name, options in runs.items():
        found, took = timed(problem, **options)
        results[name] = {"hops": found.cost / total} | took
    return results


BEDS = {"planted": measure_planted, "decoder": measure_decoder}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, help="instead of those of the aims")
    parser.add_argument("--cpu", action="store_true", help="seconds of CPU time")
    parser.add_argument("--only", choices=BEDS, action="append")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    for torn in (False, True):  # compile or load the loops
        assign_sites(planted((3, 16, 16), torn, 0)[0], effort=1)
    clock = time.process_time if options.cpu else time.perf_counter
    results = {name: BEDS[name](options.seconds, clock) for name in options.only or BEDS}
    if options.json:
        print(json.dumps(results, indent=1))
        return
    for bed, rows in results.items():
        print(f"{bed:16} {'x planted' if bed == 'planted' else 'hops':>9} {'s':>7} {'CPU s':>7}")
        for name, row in rows.items():
            value = row["ratio"] if bed == "planted" else row["hops"]
            print(f"{name:16} {value:9.3f} {row['seconds']:7.2f} {row.get('cpu_seconds', 0):7.2f}")


if __name__ == "__main__":
    main()
