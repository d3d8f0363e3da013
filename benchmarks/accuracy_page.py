"""The Markdown page of what benchmarks/accuracy.py measured."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

#: Two answers of two hundred are one point, but for the last digits of their difference.
ROUNDING = 1e-9
PROMISE_POINTS = {"quantized": 0.5, "noisy": 1.0}
Figures = dict[str, float]


def page(found: dict[str, Any], plots: dict[str, Path], folder: Path) -> str:
    """The page, with links to ``plots`` as seen from ``folder``."""

    def plot(name: str, text: str) -> list[str]:
        if name not in plots:
            return []
        return [f"![{text}]({Path(os.path.relpath(plots[name], folder)).as_posix()})", ""]

    lines = [
        "# Accuracy",
        "",
        f"Written by `{found['command']}` with semc {found['semc']}; {found['seconds']:.0f} s.",
        "",
        f"What is left of the accuracy of trained networks on `{found['target']}`, on data that",
        "they were not trained on. The models and their data are those of",
        "[examples/](../examples/README.md). *Float32* is ONNX Runtime on the same samples. A loss",
        "is in points: 1 is one more wrong answer in a hundred. A noisy chip is a seed: every one",
        "has static errors of its own, and fresh noise in every read.",
        "",
        *_summary(found["models"], plot),
        *_ablation(found["ablation"], plot),
        *_sweeps(found["sweeps"], plot),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _summary(models: dict[str, Any], plot: Any) -> list[str]:
    head = ["model", "answers", "float32", "exact lost", "quantized lost"]
    head += ["answers a read", "noisy lost", "chips ±", "reads ±", "worst", "reads within"]
    rows = []
    for name, model in models.items():
        lost = points(model["noisy"])
        kept = sum(x <= PROMISE_POINTS["noisy"] + ROUNDING for x in lost)
        rows.append(
            [
                name,
                f"{model['labels']:,}",
                f"{model['float32']:.2%}",
                f"{model['exact']['points_lost']:.2f}",
                f"{model['quantized']['points_lost']:.2f}",
                f"{model['noisy_labels']:,}",
                f"{fmean(lost):.2f}",
                *(_deviation(model[f"{source}_deviation"]) for source in ("chips", "reads")),
                f"{max(lost):.2f}",
                f"{kept} of {len(lost)}",
            ]
        )
    return [
        "## What is left",
        "",
        f"The aim is a loss of at most {PROMISE_POINTS['quantized']:g} points quantized and",
        f"{PROMISE_POINTS['noisy']:g} point noisy. *Noisy lost* is the mean over all reads of all",
        "chips, which are seeds, each read twice; ± is the standard deviation from chip to chip,",
        "and from read to read of one chip. *Reads within* are those that meet the aim. A negative",
        "loss is luck: answers that noise turned right.",
        "",
        *table(head, rows),
        *plot("chips", "Points lost by each read of each chip"),
    ]


def _deviation(points: float | None) -> str:
    return "-" if points is None else f"{points:.2f}"


def _ablation(models: dict[str, Any], plot: Any) -> list[str]:
    if not models:
        return []
    effects = list(next(iter(models.values()))["alone"])
    taken = ", ".join(f"{n} {m['chips']} x {m['labels']:,}" for n, m in models.items())

    def rows(part: str) -> list[list[str]]:
        return [[effect, *(_cell(m[part][effect]) for m in models.values())] for effect in effects]

    ends = [[f"({end})", *(_cell(m[end]) for m in models.values())] for end in ("none", "all")]
    return [
        "## What costs it",
        "",
        "Each effect of [noise](targets.md) alone, and all but each: points lost, and the",
        "signal-to-error ratio of the output in dB, which shows more than a few answers do.",
        "*(none)* is quantized mode: what weight codes, input codes and converter steps cost.",
        f"Means over chips; chips x answers of each: {taken}.",
        "",
        "### One effect alone",
        "",
        *table(["effect", *models], [ends[0], *rows("alone"), ends[1]]),
        *plot("ablation", "Signal-to-error ratio with one effect alone"),
        "### All effects but one",
        "",
        *table(["left out", *models], [ends[1], *rows("without"), ends[0]]),
    ]


def _sweeps(sweeps: dict[str, Any], plot: Any) -> list[str]:
    lines = [
        "## Where it breaks",
        "",
        "One property of the target at a time, all effects on. Points lost, and dB, as above; the",
        "value of the target is marked with *. Plots are even up to two points and logarithmic",
        "beyond; their dashed line is the aim.",
        "",
    ]
    for name, sweep in sweeps.items():
        models = {
            name: {point["value"]: point for point in model["points"]}
            for name, model in sweep["models"].items()
        }
        rows = [
            [
                f"{label}{' *' if value == sweep['nominal'] else ''}",
                *(_cell(found.get(value)) for found in models.values()),
            ]
            for value, label in zip(sweep["values"], sweep["names"], strict=True)
        ]
        keys = ", ".join(f"`{key}`" for key in sweep["keys"])
        title = sweep["title"]
        lines += [f"### {title[0].upper()}{title[1:]}", "", f"Changes {keys}.", ""]
        lines += table([sweep["axis"], *models], rows)
        lines += plot(name, f"Points lost against {sweep['axis']}")
    return lines


def points(noisy: list[list[Figures]]) -> list[float]:
    """The points that each read of each chip lost."""
    return [read["points_lost"] for chip in noisy for read in chip]


def _cell(figures: Figures | None) -> str:
    return f"{figures['points_lost']:.1f} ({figures['sqnr_db']:.1f} dB)" if figures else "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, all columns but the first to the right, and an empty line."""
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return [lines[0], f"|{rule}|", *lines[1:], ""]
