"""The plots of what benchmarks/accuracy.py measured, as SVG."""

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from accuracy_page import PROMISE_POINTS, points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Told apart by shape as well as by colour (Okabe and Ito, for all kinds of sight).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#000000")
MARKERS = "osD^vPX"
TICKS = (-100, -50, -20, -10, -5, -2, -1, 0, 1, 2, 5, 10, 20, 50, 100, 200)


def draw(found: dict[str, Any], folder: Path, suffix: str = ".svg") -> dict[str, Path]:
    """Draw every plot into ``folder``; its files by plot."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "semc", "svg.fonttype": "none", "font.size": 10})
    folder.mkdir(parents=True, exist_ok=True)
    figures = {"chips": _chips(found), "ablation": _ablation(found)}
    figures |= {name: _sweep(sweep, found) for name, sweep in found["sweeps"].items()}
    paths = {}
    for name, figure in figures.items():
        paths[name] = folder / f"accuracy-{name}{suffix}"
        metadata = {"Date": None} if suffix == ".svg" else None
        figure.savefig(paths[name], bbox_inches="tight", dpi=110, metadata=metadata)
    return paths


def _figure(width: float, height: float, rows: int = 1) -> "tuple[Figure, list[Axes]]":
    """An empty figure with ``rows`` plots above each other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    every = list(figure.subplots(rows, sharex=True, squeeze=False)[:, 0])
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, every


def _style(found: dict[str, Any], model: str) -> dict[str, Any]:
    place = list(found["models"]).index(model)
    return {
        "color": COLOURS[place % len(COLOURS)],
        "marker": MARKERS[place % len(MARKERS)],
        "label": model,
    }


def _points_scale(axis: Any, lost: list[float]) -> None:
    """Few ticks, for small losses and collapses alike: the scale is logarithmic beyond 2."""
    lowest, highest = min([*lost, 0.0]), max([*lost, PROMISE_POINTS["noisy"]])
    ticks = [
        tick
        for before, tick, after in zip(TICKS, TICKS[1:-1], TICKS[2:], strict=False)
        if lowest < after and before < highest
    ]
    axis.set_major_locator(_fixed(ticks))
    axis.set_minor_locator(_fixed([]))
    axis.set_major_formatter(lambda value, _: f"{value:g}")


def _fixed(ticks: list[float]) -> Any:
    from matplotlib.ticker import FixedLocator

    return FixedLocator(ticks)


def _chips(found: dict[str, Any]) -> "Figure":
    models = found["models"]
    figure, (axes,) = _figure(7, 0.55 * len(models) + 1.3)
    every: list[float] = []
    for row, (name, model) in enumerate(models.items()):
        lost = sorted(points(model["noisy"]))
        every += lost
        offsets = [0.24 * ((i % 5) - 2) / 2 for i in range(len(lost))]
        style = _style(found, name) | {"label": None}
        axes.scatter(lost, [row + o for o in offsets], s=22, alpha=0.75, linewidths=0, **style)
        axes.plot([fmean(lost)] * 2, [row - 0.35, row + 0.35], color="black", linewidth=1.6)
    axes.set_xscale("symlog", linthresh=2)
    _points_scale(axes.xaxis, every)
    _promise(axes.axvline)
    axes.set_yticks(range(len(models)), list(models))
    axes.invert_yaxis()
    axes.set_xlabel(
        "accuracy lost against float32, in points (mark: a read; bar: mean; dashed: the aim)"
    )
    axes.set_title(f"Accuracy lost by noisy chips, each read twice, {found['target']}", loc="left")
    return figure


def _promise(line: Any) -> None:
    line(PROMISE_POINTS["noisy"], color="black", linewidth=0.9, linestyle="--", zorder=1)


def _ablation(found: dict[str, Any]) -> "Figure":
    models = found["ablation"]
    effects = list(next(iter(models.values()))["alone"])

    effects.sort(key=lambda e: fmean(m["alone"][e]["sqnr_db"] for m in models.values()))
    rows = ["all effects", *effects, "no effect"]
    figure, (axes,) = _figure(7, 0.27 * len(rows) + 1.5)
    for name, model in models.items():
        shown = [model["all"], *(model["alone"][e] for e in effects), model["none"]]
        axes.plot(
            [figures["sqnr_db"] for figures in shown], range(len(rows)), linestyle="", markersize=6,
            alpha=0.85, **_style(found, name),
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    axes.axhline(0.5, color="#888888", linewidth=0.8)
    axes.axhline(len(rows) - 1.5, color="#888888", linewidth=0.8)
    axes.set_xlabel("signal-to-error ratio of the outputs in dB, against float32 (more is better)")
    axes.set_title("One effect alone: which leaves the least signal", loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _sweep(sweep: dict[str, Any], found: dict[str, Any]) -> "Figure":
    """Points lost above, signal-to-error ratio below: smooth where few answers are not."""
    figure, (upper, lower) = _figure(6.4, 5.4, rows=2)
    every: list[float] = []
    for name, model in sweep["models"].items():
        x = [point["value"] for point in model["points"]]
        lost = [point["points_lost"] for point in model["points"]]
        sqnr_db = [point["sqnr_db"] for point in model["points"]]
        style = _style(found, name) | {"linewidth": 1.3, "markersize": 5}
        upper.plot(x, lost, **style)
        lower.plot(x, sqnr_db, **style)
        every += lost
    upper.set_yscale("symlog", linthresh=2)
    _points_scale(upper.yaxis, every)
    _promise(upper.axhline)
    values = sweep["values"]
    for axes in (upper, lower):
        axes.axvline(sweep["nominal"], color="#888888", linewidth=0.9, linestyle=":")
        if values[-1] > 10 * values[0]:
            axes.set_xscale("log")
        axes.xaxis.set_minor_locator(_fixed([]))
    lower.set_xticks(values, sweep["names"])
    lower.set_xlabel(f"{sweep['axis']} (dotted: {found['target']})")
    upper.set_ylabel("accuracy lost, in points\n(dashed: the aim)")
    lower.set_ylabel("signal-to-error ratio\nof the outputs in dB")
    upper.set_title(f"Accuracy lost, by {sweep['title']}", loc="left")
    upper.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure
