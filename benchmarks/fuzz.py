"""Compare random models on the simulator with ONNX Runtime, for as long as wanted.

    python benchmarks/fuzz.py --seconds 600 --seed 1 --target memcap-demo --save failures

Prints how many models and nodes ran, by operator and by outcome. Each kind of failure is reduced to
a minimal model once; --save writes it there as NAME.onnx, NAME.npz (inputs) and NAME.txt (the
nodes and what was found). Exit code 1 when there was any.
"""

import argparse
import json
import re
import sys
import time
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import onnx
from hypothesis import HealthCheck, Phase
from random_models.compare import TARGETS, Mismatch, check, check_each_level
from random_models.model_draw import RandomModel
from random_models.reduce import Check, smallest
from random_models.strategy import models

#: Models between two looks at the clock; each batch has a seed of its own.
BATCH = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="default: all, in turn")
    parser.add_argument("--nodes", type=int, default=30, help="at most, about")
    parser.add_argument("--only", default="", help="names of operators, with commas")
    parser.add_argument("--levels", action="store_true", help="execute each level instead")
    parser.add_argument("--save", type=Path, help="a folder for failing models")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the reference evaluator divides by zero and overflows
    how = check_each_level if options.levels else check
    run = Run(tuple(options.target or TARGETS), options.save, how)
    strategy = models(options.nodes, tuple(filter(None, options.only.split(","))))
    end = time.monotonic() + options.seconds
    batch = 0
    while time.monotonic() < end:
        run.batch(strategy, options.seed * 1_000_003 + batch, end)
        batch += 1
    report = run.report(options.seed)
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    return 1 if run.failures else 0


@dataclass
class Run:
    """What has run so far."""

    targets: tuple[str, ...]
    save: Path | None
    check: Check
    models: int = 0
    nodes: int = 0
    operators: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[tuple[str, ...], dict[str, Any]] = field(
        default_factory=lambda: defaultdict(lambda: {"count": 0})
    )

    def batch(self, strategy: Any, seed: int, end: float) -> None:
        """Run BATCH models, and reduce the first failure of each new kind."""

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @hypothesis.given(strategy)
        def compare(model: RandomModel) -> None:
            if time.monotonic() > end:
                return
            target = self.targets[self.models % len(self.targets)]
            self.count(model)
            try:
                self.outcomes[self.check(model, target)] += 1
            except Mismatch as error:
                self.outcomes["fails"] += 1
                self.failures[error.signature]["count"] += 1
                if self.failures[error.signature]["count"] == 1:
                    self.keep(smallest(model, target, error, self.check), error, target)

        compare()

    def count(self, model: RandomModel) -> None:
        self.models += 1
        self.nodes += len(model.proto.graph.node)
        self.operators.update(model.operators)
        self.refused.update(model.refused)

    def keep(self, model: RandomModel, error: Mismatch, target: str) -> None:
        """Note a failure, and write its minimal model to the folder."""
        text = onnx.printer.to_text(model.proto)
        facts = {"target": target, "detail": error.detail, "model": text}
        self.failures[error.signature] |= facts
        print(f"{target}: {error}", file=sys.stderr)
        if self.save is None:
            return
        self.save.mkdir(parents=True, exist_ok=True)
        path = self.save / re.sub(r"[^\w.]+", "_", "_".join((target, *error.signature)))
        Path(f"{path}.onnx").write_bytes(model.proto.SerializeToString())
        np.savez(f"{path}.npz", **model.inputs)
        Path(f"{path}.txt").write_text(f"{error}\n\n{text}\n", encoding="utf-8")

    def report(self, seed: int) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "seed": seed,
            "targets": self.targets,
            "models": self.models,
            "nodes": self.nodes,
            "outcomes": dict(self.outcomes.most_common()),
            "operators": dict(sorted(self.operators.items())),
            "not_taken": dict(sorted(self.refused.items())),
            "failures": [{"kind": " | ".join(k), **v} for k, v in self.failures.items()],
        }


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{report['models']} models, {report['nodes']} nodes, seed {report['seed']}"]
    lines += [f"{count:8} {outcome}" for outcome, count in report["outcomes"].items()]
    lines += ["", "nodes by operator"]
    lines += [f"{count:8} {name}" for name, count in report["operators"].items()]
    lines += ["", f"{len(report['failures'])} kinds of failure"]
    lines += [
        f"{f['count']:8} {f['target']}: {f['kind']}: {f['detail']}" for f in report["failures"]
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
