"""Measure what a chip leaves of the accuracy of trained models, what costs it, where it breaks.

    pip install matplotlib
    python benchmarks/accuracy.py --json accuracy.json --plots docs/plots --page docs/accuracy.md

Float32 by ONNX Runtime is compared with exact, quantized and noisy simulation on held-out data;
every noisy chip is a seed of its own and read twice. The ablation takes each physical effect alone,
and all but each; the sweeps change one property of the target at a time. ``--minilm FILE`` adds the
sentence model of ``examples/export_minilm.py``. ``--from FILE`` draws page and plots of an earlier
``--json`` without measuring; ``--samples 0.1`` takes a tenth of the data, to try it out.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accuracy_cases import Case, cases
from accuracy_measure import ablation, accuracy, compile_for, sweep, sweeps
from accuracy_page import page
from accuracy_plots import draw

import semc
from semc.backends.program import Program
from semc.backends.targets import load_target, target_to_dict

Measurement = Callable[[Case, Program], dict[str, Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-t", "--target", default="memcap-phone")
    parser.add_argument("--runs", type=int, default=32, help="chips of each model")
    parser.add_argument("--scan-runs", type=int, default=2, help="chips of each point of a scan")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--samples", type=float, default=1.0, help="share of the samples taken")
    parser.add_argument("--models", nargs="+", help="only these")
    parser.add_argument("--minilm", type=Path, help="minilm.onnx, which is not in the repository")
    parser.add_argument("--json", type=Path, help="write what was measured")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing, read this")
    parser.add_argument("--page", type=Path, help="write the Markdown page")
    parser.add_argument("--plots", type=Path, help="write the plots into this folder")
    options = parser.parse_args()
    if options.minilm is None and options.source is None:
        print("minilm is skipped: give its file with --minilm", file=sys.stderr)
    found = json.loads(options.source.read_text()) if options.source else measure(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    plots = draw(found, options.plots) if options.plots else {}
    if options.page:
        options.page.write_text(page(found, plots, options.page.parent), encoding="utf-8")
    if not (options.page or options.json):
        print(page(found, plots, Path()))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All of it, one model after another."""
    base = target_to_dict(load_target(options.target))
    chosen = [
        case.shortened(options.samples)
        for case in cases(options.minilm)
        if not options.models or case.name in options.models
    ]
    start = time.perf_counter()

    def say(line: str) -> None:
        print(f"[{time.perf_counter() - start:6.1f} s] {line}", file=sys.stderr, flush=True)

    say("compiling")
    programs = {case.name: compile_for(case, base) for case in chosen}

    def over_models(title: str, take: Measurement, models: list[Case] = chosen) -> dict[str, Any]:
        found = {}
        for case in models:
            say(f"{title}: {case.name}")
            found[case.name] = take(case, programs[case.name])
        return found

    few = options.scan_runs
    return {
        "schema_version": 1,
        "semc": semc.__version__,
        "command": command(options),
        "target": base["name"],
        "models": over_models("accuracy", lambda c, p: accuracy(c, p, options.runs, options.jobs)),
        "ablation": over_models("ablation", lambda c, p: ablation(c, p, few, options.jobs)),
        "sweeps": {
            name: {
                "title": what.title,
                "axis": what.axis,
                "keys": [".".join(key) for key in what.keys],
                "nominal": what.nominal(base),
                "values": list(what.values),
                "names": list(what.names or (f"{value:g}" for value in what.values)),
                "models": over_models(
                    what.title,
                    lambda c, p, what=what: sweep(c, p, what, few, say),
                    [case for case in chosen if case.swept],
                ),
            }
            for name, what in sweeps(base).items()
        },
        "seconds": time.perf_counter() - start,
    }


def command(options: argparse.Namespace) -> str:
    """The call that measures the same, without where it wrote and where its files lay."""
    words = ["python", "benchmarks/accuracy.py", "-t", Path(options.target).name]
    words += ["--runs", str(options.runs), "--scan-runs", str(options.scan_runs)]
    if options.samples != 1:
        words += ["--samples", str(options.samples)]
    if options.models:
        words += ["--models", *options.models]
    if options.minilm:
        words += ["--minilm", options.minilm.name]
    return shlex.join(words)


if __name__ == "__main__":
    main()
