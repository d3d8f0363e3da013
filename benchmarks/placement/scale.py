"""Compile Llama-like decoders of growing size to placed tiles, and time a decoded token.

    python benchmarks/placement/scale.py [--params 1e6 10e6 ... 30e9] [--effort N ...] [--json]
        [--maker ../shared/zoo/make_llm.py]

Models come from a generator that writes graphs without weights (``--maker``: a script that takes
``--params --layers --vocab --data none --out``). The chip is memcap-phone, with as many layers as
the model needs where sixteen are too few. Every step runs in a process of its own: seconds are its
wall time, memory the largest of the process.

Peer: IBM 3D-SiM takes about 33 s of CPU for a simulated token of a 10 B decoder. Aim: 10 B within
10 s and 1 GB, and a token within 1 s.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

from semc.backends.targets import MemcapTarget, load_target

sys.path.append(str(Path(__file__).resolve().parents[1]))
from models import semc

#: Decoder blocks and vocabulary by parameters: as in public models of about that size.
SHAPES = {
    1e6: (2, 1000), 10e6: (4, 4000), 100e6: (12, 32000), 1e9: (16, 32000), 10e9: (40, 32000),
    30e9: (60, 32000),
}  # fmt: skip
COLUMNS = (
    "parameters", "layers", "tiles", "arrays", "ir_ops", "compile_s", "phases_s", "peak_mb",
    "array_hops", "byte_mm", "simulate_s", "tokens_per_s", "power_w",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--params", nargs="+", type=float, default=list(SHAPES))
    parser.add_argument("--effort", nargs="+", type=int, default=[1])
    parser.add_argument("--maker", type=Path, default=Path("../shared/zoo/make_llm.py"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.maker.exists():
        print(f"no model generator at {options.maker}: give --maker", file=sys.stderr)
        return 2
    rows = [
        measure(options.maker, params, effort)
        for params in options.params
        for effort in options.effort
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("| effort | " + " | ".join(COLUMNS) + " |")
    print("|---" * (len(COLUMNS) + 1) + "|")
    for row in rows:
        print("| " + " | ".join(str(row.get(name, "")) for name in ("effort", *COLUMNS)) + " |")
    return 0


def measure(maker: Path, params: float, effort: int) -> dict[str, Any]:
    """One row; ``error`` holds the message when a step is refused."""
    layers, vocab = SHAPES[min(SHAPES, key=lambda known: abs(known - params))]
    with tempfile.TemporaryDirectory() as folder:
        model, program = Path(folder) / "llm.onnx", Path(folder) / "llm.semc"
        command = [sys.executable, maker, "--params", params, "--layers", layers]
        command += ["--vocab", vocab, "--data", "none", "--out", model]
        made = json.loads(subprocess.check_output([str(part) for part in command], text=True))
        target = chip_for(made["params"], Path(folder))
        arguments = ("-t", target, "--no-weights", "--placement-effort", effort, "-o", program)
        start = time.perf_counter()
        done = semc("compile", model, *arguments, "-q")
        compile_s = time.perf_counter() - start
        row: dict[str, Any] = {"effort": effort, "parameters": f"{made['params']:,}"}
        if "error" in done:
            return row | {"compile_s": done["error"], "error": done["error"]}
        start = time.perf_counter()
        ran = semc("simulate", program)
        simulate_s = time.perf_counter() - start
    phases = {name: round(seconds, 2) for name, seconds in done["phase_s"].items()}
    return row | {
        "layers": done["layers_used"],
        "tiles": f"{done['tiles']:,}",
        "arrays": f"{done['arrays']['used']:,}",
        "ir_ops": " / ".join(str(n) for n in done["ir_ops"].values()),
        "compile_s": f"{compile_s:.2f}",
        "phases_s": " ".join(f"{name} {seconds:g}" for name, seconds in phases.items()),
        "peak_mb": f"{done['peak_rss_bytes'] / 1e6:.0f}",
        "array_hops": f"{done['traffic']['array_hops']:.3f}",
        "byte_mm": f"{done['traffic']['byte_mm']:.3g}",
        "simulate_s": f"{simulate_s:.2f}",
        "tokens_per_s": f"{ran['throughput_per_s']:.4g}",
        "power_w": f"{ran['power_w']:.3g}",
    }


def chip_for(params: float, folder: Path) -> str | Path:
    """memcap-phone, or a copy with the layers that ``params`` weights and some slack need."""
    phone = load_target("memcap-phone")
    assert isinstance(phone, MemcapTarget)
    if params < 0.97 * phone.weight_capacity:
        return phone.name
    layers = int(1.05 * params / phone.weight_capacity * phone.stack.layers) + 1
    shipped = files("semc.backends.targets").joinpath(f"{phone.name}.toml").read_text()
    text = re.sub(r"(?m)^layers = \d+", f"layers = {layers}", shipped, count=1)
    path = folder / "taller.toml"
    path.write_text(text.replace(f'"{phone.name}"', '"memcap-phone-taller"', 1))
    return path


if __name__ == "__main__":
    raise SystemExit(main())
