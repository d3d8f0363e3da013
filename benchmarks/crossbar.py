"""Simulated crossbars against plain float32 matrix products of the same shape, and against peers.

    python benchmarks/crossbar.py [--seconds S] [--json FILE] [--peer-python PYTHON]

Each workload is timed as CPU time of one thread, in turns with the plain product, and the ratio of
the two least times is printed: 1.0 is what numpy's BLAS takes for ``x @ w`` alone. Quantisation of
inputs, conversion, noise and the sum of partial products are all inside. ``--peer-python`` names an
interpreter that has aihwkit, aihwkit-lightning or CrossSim; they run in the same turns, each in
its own process, on the same shapes (``benchmarks/crossbar_peers.py``).

    a  one tile of 512 x 512, 1,024 vectors
    b  784-512-512-10 perceptron, 1,024 vectors, ReLU between
    c  3 x 3 convolution, 64 to 64 channels, 56 x 56, batch of 4, its windows gathered beforehand
    d  4,096 x 11,008 matrix in tiles of 512 x 512, 64 vectors

The chip has cells of 128 levels (one slice a weight, as the peers have), 8-bit inputs and
converters, and otherwise the constants of memcap-phone; ``two slices`` is memcap-phone as it is.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# One thread, so that CPU time is a measure of work; must be set before numpy loads its BLAS.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from semc.backends.targets import EFFECTS, MemcapTarget, load_target  # noqa: E402
from semc.compiler.passes.cut_tiles import tile_grid  # noqa: E402
from semc.compiler.quantize.adc_range import default_adc_range  # noqa: E402
from semc.compiler.quantize.weight_codes import quantize_columns  # noqa: E402
from semc.runtime.execute.crossbar import (  # noqa: E402
    PreparedMatrix,
    prepare_matrix,
    run_exact,
    run_matrix,
)

WORKLOADS: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "a": (1024, ((512, 512),)),
    "b": (1024, ((784, 512), (512, 512), (512, 10))),
    "c": (4 * 56 * 56, ((576, 64),)),
    "d": (64, ((4096, 11008),)),
}
"""Vectors, and the matrices they pass."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A matrix in every form that is timed."""

    weight: np.ndarray
    tiles: np.ndarray
    prepared: dict[str, PreparedMatrix]
    prepare_s: dict[str, float]


def chip(**changes: Mapping[str, object]) -> MemcapTarget:
    """memcap-phone with keys of sections replaced."""
    phone = load_target("memcap-phone")
    assert isinstance(phone, MemcapTarget)
    sections = {
        name: getattr(phone, name).model_copy(update=dict(keys)) for name, keys in changes.items()
    }
    return phone.model_copy(update=sections)


def chips() -> dict[str, tuple[str, MemcapTarget]]:
    """By name: mode and target."""
    array = {"levels": 128, "cols": 1024}
    noisy = {"read_sigma": 0.01, "drift_nu_sigma": 0.001, "leakage_tau_us": 100.0}
    read_only = tuple(effect for effect in EFFECTS if effect != "read")
    return {
        "quantized": ("quantized", chip(array=array)),
        "read noise": ("noisy", chip(array=array, noise=noisy | {"off": read_only})),
        "all effects": ("noisy", chip(array=array, noise=noisy)),
        "two slices, quantized": ("quantized", chip()),
        "two slices, all effects": ("noisy", chip(noise=noisy)),
    }


def make_layer(depth: int, width: int, rng: np.random.Generator) -> Layer:
    weight = rng.standard_normal((depth, width)).astype(np.float32)
    prepared, seconds = {}, {}
    for name, (mode, target) in chips().items():
        codes, scale = quantize_columns(weight[None], target.numerics.weight_bits)
        tiles = tile_grid((1, depth, width), target.array.rows, target.weight_cols)
        index = np.arange(len(tiles), dtype=np.int32)
        grid = target.stack.grid_cols
        sites = np.stack((index * 0, index // grid, index % grid), axis=1)
        ranges = default_adc_range(codes, scale, tiles, target)
        start = time.process_time()
        made = prepare_matrix(codes, scale, tiles, sites, target, mode, 0, ranges)  # type: ignore[arg-type]
        seconds[name], prepared[name] = time.process_time() - start, made
    return Layer(weight, tiles, prepared, seconds)


def chain(layers: Sequence[Layer], step: Callable[[Layer, np.ndarray], np.ndarray]) -> Callable:
    """``step`` through all layers, ReLU between."""

    def run(x: np.ndarray) -> np.ndarray:
        for number, layer in enumerate(layers):
            x = step(layer, x if not number else np.maximum(x, 0))
        return x

    return run


def runners(layers: Sequence[Layer]) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """The plain product and what is compared with it."""
    found = {
        "plain": chain(layers, lambda layer, x: x @ layer.weight),
        "exact (float64 sums)": chain(
            layers,
            lambda layer, x: run_exact(layer.weight[None], layer.tiles, x[None])[0].astype(
                np.float32
            ),
        ),
    }
    for name in chips():
        found[name] = chain(
            layers, lambda layer, x, name=name: run_matrix(layer.prepared[name], x[None])[0]
        )
    return found


def least_seconds(
    work: Mapping[str, Callable[[np.ndarray], np.ndarray]], x: np.ndarray, seconds: float
) -> dict[str, float]:
    """Least CPU time of each, run in turns for ``seconds`` in all (at least five turns).

    Each runs twice in its turn and the second is timed, so that none pays for what the one before
    left in the caches.
    """
    for run in work.values():
        run(x)
    best = dict.fromkeys(work, float("inf"))
    end, turns = time.perf_counter() + seconds, 0
    while turns < 5 or time.perf_counter() < end:
        for name, run in work.items():
            run(x)
            start = time.process_time()
            run(x)
            best[name] = min(best[name], time.process_time() - start)
        turns += 1
    return best


def measure(name: str, seconds: float) -> dict[str, object]:
    """One workload: seconds of the plain product, ratios, and preparation per cell."""
    vectors, shapes = WORKLOADS[name]
    rng = np.random.default_rng(0)
    layers = [make_layer(*shape, rng) for shape in shapes]
    x = rng.standard_normal((vectors, shapes[0][0])).astype(np.float32)
    best = least_seconds(runners(layers), x, seconds)
    plain = best.pop("plain")
    cells = sum(np.prod(shape) for shape in shapes)
    prepare_ns = {
        kind: sum(layer.prepare_s[kind] for layer in layers) / cells * 1e9 for kind in chips()
    }
    return {
        "plain_s": plain,
        "gflops": 2 * vectors * float(cells) / plain * 1e-9,
        "ratios": {kind: value / plain for kind, value in best.items()},
        "prepare_ns_per_weight": prepare_ns,
    }


def peers(python: str, name: str, seconds: float) -> dict[str, float]:
    """Ratios of the peers that ``python`` has, against numpy in that process."""
    script = Path(__file__).with_name("crossbar_peers.py")
    vectors, shapes = WORKLOADS[name]
    request = json.dumps({"vectors": vectors, "shapes": shapes, "seconds": seconds})
    done = subprocess.run([python, script, request], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"peers: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    ratios: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="for each workload")
    parser.add_argument("--only", choices=WORKLOADS, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--peer-python", metavar="PYTHON")
    options = parser.parse_args()
    results = {name: measure(name, options.seconds) for name in options.only or WORKLOADS}
    rows: dict[str, dict[str, float]] = {}
    for name, result in results.items():
        ratios = dict(result["ratios"])  # type: ignore[call-overload]
        if options.peer_python:
            found = peers(options.peer_python, name, options.seconds)
            result["peers"] = found
            ratios |= found
        for kind, ratio in ratios.items():
            rows.setdefault(kind, {})[name] = ratio
    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}, one thread")
    speeds = "".join(f"{result['gflops']:10.0f}" for result in results.values())
    print(f"{'plain product, GFLOP/s':34}{speeds}")
    print(f"{'times the plain product':34}" + "".join(f"{name:>10}" for name in results))
    for kind, values in rows.items():
        cells = "".join(f"{values[n]:10.2f}" if n in values else f"{'-':>10}" for n in results)
        print(f"{kind:34}{cells}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
