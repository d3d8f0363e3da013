"""Run ONNX's own backend tests and write docs/onnx-coverage.md: what runs where, and why.

    python benchmarks/onnx_coverage.py [--jobs 2] [--match REGEX] [--target NAME] [--check]

Every case is compiled, its program written to a file and read back, and simulated in exact mode.
For the page ONNX Runtime and the reference evaluator run the same cases.
Ends with status 1 when a case fails that tests/conformance/known_failures.toml does not know, or
passes although it does. ``--check`` and ``--match`` write nothing.
"""

import argparse
import re
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import onnx
from onnx_cases import (
    Case,
    Verdict,
    known_failures,
    load_cases,
    run_case,
    run_case_by,
    run_cases,
    surprises,
)
from onnx_peers import PEERS
from onnx_subsets import SUBSETS, subsets_of

from semc.compiler.frontend.lowering import HOST_OPERATORS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "onnx-coverage.md"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--match", default="", help="regular expression on the case's name")
    parser.add_argument("--target", default="memcap-phone")
    parser.add_argument("--check", action="store_true", help="write no page")
    options = parser.parse_args()
    cases = [case for case in load_cases() if re.search(options.match, case.name)]
    judge = partial(run_case, target=options.target)
    verdicts = {v.name: v for v in run_cases(cases, options.jobs, judge)}
    passed = sum(v.passed for v in verdicts.values())
    print(f"{passed} of {len(cases)} cases pass")
    lines = surprises(verdicts.values())
    print("\n".join(lines) or "no surprise")
    if not options.check and not options.match:
        peers = {
            name: {
                v.name for v in run_cases(cases, options.jobs, partial(run_case_by, p)) if v.passed
            }
            for name, p in PEERS.items()
        }
        PAGE.write_text(page(cases, verdicts, peers, options.target), encoding="utf-8")
        print(f"wrote {PAGE}")
    return 1 if lines else 0


@dataclass
class Operator:
    """The cases of one operator, by where they run."""

    cases: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def place_of(verdict: Verdict) -> str:
    """``chip``: no host op in the program; ``mixed``; ``host``; ``fails``."""
    if not verdict.passed:
        return "fails"
    if not verdict.host:
        return "chip"
    return "mixed" if verdict.chip_ops else "host"


def scores(
    cases: list[Case], verdicts: dict[str, Verdict], peers: dict[str, set[str]]
) -> list[str]:
    """A table of subsets: how many cases, who passes them, how many never leave the chip."""
    members: dict[str, list[str]] = {subset: [] for subset in SUBSETS}
    for case in cases:
        for subset in subsets_of(case.name, case.operator, case.model):
            members[subset].append(case.name)
    lines = [
        "| cases | number | semc | of these on the chip alone | " + " | ".join(peers) + " |",
        "|---|---|---|" + "---|" * (1 + len(peers)),
    ]
    for subset, names in members.items():
        passed = sum(verdicts[name].passed for name in names)
        chip = sum(place_of(verdicts[name]) == "chip" for name in names)
        others = [sum(name in passing for name in names) for passing in peers.values()]
        row = (subset, len(names), passed, chip, *others)
        lines.append("| " + " | ".join(f"{entry}" for entry in row) + " |")
    return lines


def page(
    cases: list[Case],
    verdicts: dict[str, Verdict],
    peers: dict[str, set[str]],
    target: str,
) -> str:
    """The text of docs/onnx-coverage.md; ``peers`` are the cases that others pass."""
    operators: dict[str, Operator] = defaultdict(Operator)
    total: Counter[str] = Counter()
    copies = 0
    for case in cases:
        verdict = verdicts[case.name]
        place = place_of(verdict)
        total[place] += 1
        copies += place == "chip" and not verdict.computes
        entry = operators[case.operator]
        entry.cases[place] += 1
        entry.reasons.update({f"{op}: {why}" for op, why in verdict.host})
    passed = len(cases) - total["fails"]
    count = Counter(standing(entry) for entry in operators.values())
    lines = [
        "# ONNX coverage",
        "",
        f"What `python benchmarks/onnx_coverage.py` found: the backend tests of onnx "
        f"{onnx.__version__} (operator sets 1 to {onnx.defs.onnx_opset_version()}), each compiled "
        f"for {target}, written to a program file, read back and simulated in exact mode. Outputs "
        "are compared by onnx's own rule (shape, dtype, values within the case's tolerance).",
        "",
        *scores(cases, verdicts, peers),
        "",
        "Inference leaves out training, classical machine learning, preview operators, strings, "
        "sequences, optionals, random numbers and images (`benchmarks/onnx_subsets.py`). "
        "ONNX Runtime and the reference evaluator ran the same cases in the same run, by the same "
        "comparison.",
        "",
        "| all cases | number |",
        "|---|---|",
        f"| pass | {passed} |",
        f"| pass and never leave the chip: no host operation in the program | {total['chip']} |",
        f"| of these, only moved, or computed by the compiler | {copies} |",
        f"| pass, partly on the host | {total['mixed']} |",
        f"| pass, wholly on the host | {total['host']} |",
        f"| fail | {total['fails']} |",
        "",
        f"Of {len(operators)} operators, {count['chip']} stay on the chip in every case, "
        f"{count['some']} in some, {count['host']} in none, and {count['none']} pass in no case.",
        "",
        "The host is the target's processor, by ONNX Runtime or the reference evaluator; whatever "
        "it does is timed and reported apart. In these tests many operands that real models hold "
        "as constants (shapes, axes, scales, weights) are inputs; where the shapes leave it open "
        "what they are, the operation reads them while running.",
        "",
        "## Meant for the host",
        "",
        "Strings, sequences and optionals are no tensors of numbers, and values whose shape "
        "depends on data have no place in a planned memory: what works on them runs on the host. "
        "Besides:",
        "",
        *(f"- {name}: {why}" for name, why in sorted(HOST_OPERATORS.items())),
        "",
        "## By operator",
        "",
        "| operator | cases | chip | mixed | host | fails | why not on the chip |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in sorted(operators.items()):
        counts = [entry.cases[key] for key in ("chip", "mixed", "host", "fails")]
        reasons = "; ".join(text for text, _ in entry.reasons.most_common(2)).replace("|", "/")
        numbers = " | ".join(str(number or "") for number in counts)
        lines.append(f"| {name} | {sum(counts)} | {numbers} | {reasons} |")
    lines += ["", "## What fails", "", "| case | why |", "|---|---|"]
    fails, undecided = known_failures()
    known = {**fails, **undecided}
    for case in cases:
        verdict = verdicts[case.name]
        if not verdict.passed:
            why = known.get(case.name, verdict.why).replace("|", "/")
            lines.append(f"| {case.name} | {why} |")
    return "\n".join(lines) + "\n"


def standing(entry: Operator) -> str:
    """Where an operator stands over all its cases."""
    if entry.cases["fails"] == entry.cases.total():
        return "none"
    if entry.cases["chip"] == entry.cases.total():
        return "chip"
    return "some" if entry.cases["chip"] + entry.cases["mixed"] else "host"


if __name__ == "__main__":
    sys.exit(main())
