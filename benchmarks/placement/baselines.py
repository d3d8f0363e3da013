"""Compare placements of the same tiles: at random, greedily, and as semc places them.

    python benchmarks/placement/baselines.py [MODEL.onnx ...] [--target memcap-phone]
        [--effort N] [--json]

Every placement has the same packed arrays and goes the same way from there: routes, buffers,
checker, program, timing. *Random* gives each array any free site, *greedy* takes arrays in the
order of the program and gives each the free site nearest to the port, lowest layers first.
By default six models: CNNs and transformers of the zoo beside the checkout and a decoder of a
billion parameters without weights, where the generator is there; the examples otherwise.

Other benchmarks of placement: qap.py, grid.py and pack.py (the engines on instances that others
wrote), scale.py (models of growing size).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from semc.backends.memcap.emit import emit_program
from semc.backends.targets import MemcapTarget
from semc.compiler import recipe
from semc.compiler.driver import Compilation, CompileOptions, compile_model
from semc.compiler.passes.place_tiles import PlaceTiles
from semc.compiler.pipeline import run_passes
from semc.compiler.placement.machine import SiteGrid, grid_of
from semc.compiler.report import level_report
from semc.compiler.rewriting import whole_ops
from semc.dialects import tile
from semc.dialects.attributes import table_attr, table_of
from semc.runtime.simulate import simulate

ZOO = Path("../shared/zoo")
MODELS = ("resnet50.dynamo", "mobilenet_v2.dynamo", "unet.dynamo", "bert.dynamo", "llama.dynamo")
COLUMNS = (
    "model", "placement", "arrays", "traffic_byte_mm", "mean_hops", "hottest_layer_c",
    "makespan_us", "energy_uj", "links_uj",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--target", default="memcap-phone")
    parser.add_argument("--effort", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = options.models or default_models(Path(folder))
        rows = [
            row
            for model in models
            for row in compare(model, options.target, options.effort, options.seed)
        ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| " + " | ".join(COLUMNS) + " |")
    print("|---" * len(COLUMNS) + "|")
    for row in rows:
        print("| " + " | ".join(_text(row[name]) for name in COLUMNS) + " |")
    return 0


def default_models(folder: Path) -> list[Path]:
    """Six models of several kinds, as far as they are there."""
    maker = ZOO / "make_llm.py"
    if not maker.exists():
        print(f"no zoo at {ZOO}: the examples are placed", file=sys.stderr)
        return sorted(Path("examples").glob("*.onnx"))
    decoder = folder / "decoder_1b.onnx"
    command = [sys.executable, maker, "--params", "1e9", "--layers", "16", "--data", "none"]
    subprocess.check_output([*map(str, command), "--out", str(decoder)])
    return [*(ZOO / "models" / f"{name}.onnx" for name in MODELS), decoder]


def compare(model: Path, target: str, effort: int, seed: int) -> list[dict[str, Any]]:
    """A row for each way to place ``model``."""
    has_weights = not model.stem.startswith("decoder")
    options = CompileOptions(target=target, weights=has_weights, keep_levels=True)
    compilation = compile_model(model, options)
    rng = np.random.default_rng(seed)
    placements: dict[str, Callable[[np.ndarray, SiteGrid], np.ndarray] | None] = {
        "random": lambda sites, grid: random_sites(sites, grid, rng),
        "greedy": greedy_sites,
        "semc": None,
    }
    return [
        {"model": model.stem, "placement": name} | place(compilation, move, effort, seed)
        for name, move in placements.items()
    ]


def place(
    compilation: Compilation,
    move: Callable[[np.ndarray, SiteGrid], np.ndarray] | None,
    effort: int,
    seed: int,
) -> dict[str, Any]:
    """Place the tile level again, with the sites that ``move`` gives the arrays, and time it."""
    target = compilation.target
    assert isinstance(target, MemcapTarget)
    module = compilation.levels["tile"].clone()
    passes = recipe.place_passes(target.name, effort=effort, seed=seed)
    at = next(i for i, p in enumerate(passes) if isinstance(p, PlaceTiles)) + 1
    run_passes(module, passes[:at], ctx=compilation.context)
    if move is not None:
        move_arrays(module, lambda sites: move(sites, grid_of(target)))
    run_passes(module, passes[at:], ctx=compilation.context)
    facts = level_report("place", module, target, {})
    run_passes(module, recipe.machine_passes(target.name), ctx=compilation.context)
    program = emit_program(module, compilation.context.weights, target)
    found = simulate(program, None).as_dict()
    return {
        "arrays": facts["arrays"]["used"],
        "traffic_byte_mm": facts["traffic"]["byte_mm"],
        "mean_hops": facts["traffic"]["mean_hops"],
        "hottest_layer_c": found["temperature_c"]["hottest"],
        "makespan_us": found["latency_s"] * 1e6,
        "energy_uj": found["energy_j"] * 1e6,
        "links_uj": found["energy_parts_j"]["links"] * 1e6,
    }


def move_arrays(module: ModuleOp, move: Callable[[np.ndarray], np.ndarray]) -> None:
    """Give every array (row of distinct sites, in the order of the program) another site."""
    programs = [op for op in whole_ops(module) if isinstance(op, tile.ProgramOp)]
    tables = [table_of(op.attributes["sites"]) for op in programs]  # type: ignore[arg-type]
    every = np.concatenate(tables)
    sites, first, array = np.unique(every[:, :3], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    new = np.empty_like(sites)
    new[order] = move(sites[order])
    every = np.column_stack([new[array.reshape(-1)], every[:, 3:]]).astype(np.int32)
    cuts = np.cumsum([len(t) for t in tables])[:-1]
    for op, table in zip(programs, np.split(every, cuts), strict=True):
        op.attributes["sites"] = table_attr(table)


def random_sites(sites: np.ndarray, grid: SiteGrid, rng: np.random.Generator) -> np.ndarray:
    """Any distinct sites of the grid."""
    chosen = rng.permutation(grid.sites)[: len(sites)]
    return np.stack(np.unravel_index(chosen, (grid.layers, grid.rows, grid.cols)), axis=1)


def greedy_sites(sites: np.ndarray, grid: SiteGrid) -> np.ndarray:
    """The free site nearest to the port for one array after the other, lowest layers first."""
    row, col = np.indices((grid.rows, grid.cols)).reshape(2, -1)
    near = np.argsort(np.abs(row - grid.port[0]) + np.abs(col - grid.port[1]), kind="stable")
    layer, at = np.divmod(np.arange(len(sites)), len(near))
    return np.column_stack([layer, row[near[at]], col[near[at]]])


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
