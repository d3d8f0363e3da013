"""Compile and simulate ONNX models on several targets, each step in a process of its own.

    python benchmarks/models.py MODEL.onnx ... [--targets memcap-phone mesh-small] [--json]

Inputs come from MODEL's ``.npz`` (arrays by input name, or ``in_0``, ``in_1`` ... in the order of
the graph's inputs; ``NAME.npz`` also serves ``NAME.exporter.onnx``) or are drawn at random; what
the model leaves open of its inputs' shapes is bound to theirs. The table shows whether the exact
mode agrees with ONNX Runtime, what stayed on the chip, and what each step took.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

COLUMNS = (
    "model", "target", "max_rel_error", "on_chip_ops", "on_chip_work", "compile_s", "peak_mb",
    "ir_ops", "simulate_s", "latency_us", "energy_uj", "tops_per_w",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--targets", nargs="+", default=["memcap-phone", "mesh-small"])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(model, target) for model in options.models for target in options.targets]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in COLUMNS) + " |")


def measure(model: Path, target: str) -> dict[str, Any]:
    """One row of the table; ``error`` holds the message when a step is refused."""
    row: dict[str, Any] = {"model": model.stem, "target": target}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "model.semc"
        done = semc("compile", model, "-t", target, "-o", program, "-q", *dims_of(model))
        if "error" in done:
            return row | {"max_rel_error": done["error"], "error": done["error"]}
        inputs = inputs_of(model, program, Path(folder))
        start = time.perf_counter()
        ran = semc("simulate", program, *inputs, "--reference", model)
        wall_s = time.perf_counter() - start
        if "error" in ran:
            return row | {"max_rel_error": ran["error"], "error": ran["error"]}
    return row | {
        "max_rel_error": f"{ran['reference']['max_rel_error']:.1e}",
        "on_chip_ops": f"{done['on_chip_ops_share']:.1%}",
        "on_chip_work": f"{done['on_chip_work_share']:.1%}",
        "compile_s": f"{sum(done['phase_s'].values()):.2f}",
        "peak_mb": f"{done['peak_rss_bytes'] / 1e6:.0f}",
        "ir_ops": " / ".join(str(n) for n in done["ir_ops"].values()),
        "simulate_s": f"{wall_s:.2f}",
        "latency_us": f"{ran['latency_s'] * 1e6:.4g}",
        "energy_uj": f"{ran['energy_j'] * 1e6:.4g}",
        "tops_per_w": f"{ran['tops_per_w']:.3g}",
        "host_ops": done["host_ops"],
    }


def semc(*arguments: object) -> dict[str, Any]:
    """Run the command with ``--json``; its object, or ``{"error": line}``."""
    command = [sys.executable, "-m", "semc", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def data_of(model: Path, names: list[str]) -> dict[str, np.ndarray]:
    """The arrays of the model's data file for the inputs ``names``; none without a file."""
    data = [model.with_suffix(".npz"), model.with_name(model.name.split(".")[0] + ".npz")]
    found = next((path for path in data if path.exists()), None)
    if found is None:
        return {}
    with np.load(found) as arrays:
        return {name: arrays[name if name in arrays else f"in_{i}"] for i, name in enumerate(names)}


def dims_of(model: Path) -> list[str]:
    """The arguments that bind every open dimension of an input to that of its array."""
    graph = onnx.load(model, load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    arrays = data_of(model, [value.name for value in inputs])
    return [
        f"--dim={value.name}.{axis}={arrays[value.name].shape[axis]}"
        for value in inputs
        if value.name in arrays
        for axis, dim in enumerate(value.type.tensor_type.shape.dim)
        if not dim.HasField("dim_value")
    ]


def inputs_of(model: Path, program: Path, folder: Path) -> list[object]:
    """The arguments that give the program its inputs."""
    named = data_of(model, [port["name"] for port in semc("inspect", program)["inputs"]])
    if not named:
        return ["--random", 1]
    path = folder / "inputs.npz"
    np.savez(path, **named)
    return ["--input", path]


if __name__ == "__main__":
    main()
