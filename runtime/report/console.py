"""Reports for people: what was compiled, how it ran, what limits it.

On a terminal lines are folded to its width; in a pipe or a file they stay whole.
"""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ...backends.targets.chips import split_name
from .quantity import quantity

if TYPE_CHECKING:
    from ..validate.evaluate import Validation

#: Width of reports that no terminal shows: nothing is folded.
_UNFOLDED = 1000


def counted(count: int, noun: str) -> str:
    """``1 array``, ``1,024 arrays``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def share(part: float) -> str:
    """``part`` of 1 as per cent; a little is not nothing."""
    return "<0.1%" if 0 < part < 0.0005 else f"{part:.1%}"


def print_compilation(report: Mapping[str, Any]) -> None:
    """What ``semc compile`` made."""
    rows = [
        ("model", f"{report['model']}, {report['parameters']:,} parameters"),
        ("target", f"{report['target']}, {report['area_mm2']:.3g} mm2"),
        ("program", str(report.get("program", ""))),
    ]
    if arrays := report.get("arrays", {}).get("available"):
        used = report["arrays"]["used"]
        where = f" on {counted(report['layers_used'], 'layer')}" if used else ""
        tiles = f", {counted(report['tiles'], 'tile')}" if used else ""
        rows.append(("arrays", f"{used:,} of {arrays:,}{where}{tiles}"))
    rows += _overflow(report)
    rows += _memories(report.get("memory_bytes", {}), report.get("buffers", {}))
    if heat := report.get("temperature_c"):
        rows.append(("temperature", f"{_temperature(heat)}, by the arrays alone"))
        if copies := report.get("copies"):
            spent = counted(used - report["arrays"]["needed"], "array")
            rows.append(("copies", f"up to {max(copies.values())} of a matrix, {spent} of these"))
    if (schedule := report.get("schedule")) is not None:
        rows.append(
            (
                "schedule",
                f"{quantity(schedule['makespan_s'], 's')} on {', '.join(schedule['devices'])}, "
                f"lower bound {quantity(schedule['bound_s'], 's')}",
            )
        )
    for name, size in report.get("assumed_dims", {}).items():
        rows.append(("batch", f"dimension {name!r} is taken as {size} (--dim NAME=N binds it)"))
    if arrays and (calibration := report.get("calibration")) is not None:
        rows.append(("calibration", _calibration(calibration)))
    ops, work = report["on_chip_ops_share"], report["on_chip_work_share"]
    rows.append(("on the machine", f"{share(ops)} of operators, {share(work)} of work"))
    if arrays:
        macs, done = report["work"]["macs"], report["work"]["array_macs"]
        part = (
            f"{share(done / macs)} of {quantity(macs, 'multiply-adds')}" if macs else "no product"
        )
        rows.append(("in the arrays", part))
    sizes = ", ".join(f"{level} {count:,}" for level, count in report["ir_ops"].items())
    rows.append(("IR operations", sizes))
    rows += _figures(report["estimate"])
    rows.append(("compile time", f"{sum(report['phase_s'].values()):.2f} s"))
    rows.append(("peak memory", quantity(report["peak_rss_bytes"], "B")))
    for check in report.get("levels", []):
        text = f"agrees on {check['compared']} values, within {check['max_rel_error']:.2g} of range"
        rows.append((f"level {check['level']}", text))
    console = _console()
    _print(console, _facts(rows))
    _print_sensitivity(console, report.get("matrices", []))
    _print_host(console, report["host_ops"])


def _memories(
    sizes: Mapping[str, int], buffers: Mapping[str, Mapping[str, float]]
) -> list[tuple[str, str]]:
    """Bytes used of each memory; of those that every chip has, the most on one."""
    most: dict[str, tuple[int, str]] = {}
    for memory, size in sizes.items():
        name = split_name(memory)[1]
        most[name] = max(most.get(name, (0, memory)), (size, memory))
    rows = []
    for name, (size, memory) in most.items():
        gap = buffers.get(memory, {}).get("gap", 0.0)
        more = f", {share(gap)} above what is alive at once" if gap else ""
        rows.append((f"{name} memory", quantity(size, "B") + more))
    return rows


def _overflow(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a model takes that does not fit one chip at once."""
    rows = []
    if (chips := report.get("chips")) is not None:
        used = chips["arrays"]
        text = (
            f"{chips['used']:,} with {min(used):,} to {max(used):,} arrays in use, "
            f"{quantity(chips['crossing_bytes'], 'B')} an inference over the links between them"
        )
        rows.append(("chips", text))
    if (reload := report.get("reload")) is not None:
        rows.append(("written anew", _reload(reload)))
    return rows


def _reload(reload: Mapping[str, Any]) -> str:
    """What is written in an inference, and how long the cells last."""
    text = (
        f"{counted(reload['arrays_written'], 'array')} an inference, through "
        f"{reload['window_arrays']:,} of them; cells last "
        f"{quantity(reload['inferences_to_wear_out'], 'inferences')}"
    )
    if (seconds := reload.get("time_to_wear_out_s")) is not None:
        text += f", {duration(seconds)} without a pause"
    return text


def duration(seconds: float) -> str:
    """``seconds`` in the largest unit of which there is one: ``3.2 days``."""
    for size, unit in ((365.25 * 86400, "years"), (86400, "days"), (3600, "hours")):
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return quantity(seconds, "s")


def _calibration(calibration: Mapping[str, Any]) -> str:
    """How many samples set the ranges, and what hangs on it where none did."""
    text = counted(calibration["samples"], "sample") if calibration["samples"] else "no samples"
    rated = [entry for entry in calibration["at_risk"] if "one_sided_db" in entry]
    if not calibration["at_risk"]:
        return text
    count = len(calibration["at_risk"])
    text += f": ranges of {count:,} matri{'x' if count == 1 else 'ces'} are assumed"
    if rated:
        worst = min(rated, key=lambda entry: float(entry["one_sided_db"]))
        text += (
            f" (zero-mean inputs); one-sided ones may leave {worst['matrix']} with "
            f"{worst['one_sided_db']:g} dB, {worst['calibrated_db']:g} dB with --calibrate"
        )
    return text


def _print_sensitivity(console: Console, matrices: list[dict[str, Any]]) -> None:
    """Output SQNR with one matrix quantised at a time, by bits of its converters."""
    measured = [entry for entry in matrices if "sensitivity" in entry]
    if not measured:
        return
    tried = [f"{row['adc_bits']} bits" for row in measured[0]["sensitivity"]]
    table = _table("matrix", "bits", "energy share", *(f"dB at {text}" for text in tried))
    for entry in measured:
        figures = [f"{row['sqnr_db']:.1f}" for row in entry["sensitivity"]]
        bits, part = str(entry["adc_bits"]), share(entry["energy_share"])
        table.add_row(Text(entry["matrix"]), bits, part, *figures)
    _print(console, "\nSQNR of the outputs with the converters of one matrix alone:")
    _print(console, table)


def _console() -> Console:
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _UNFOLDED
    return Console(highlight=False, width=width)


def _print(console: Console, part: RenderableType) -> None:
    """Print without the blanks with which tables fill their last column."""
    with console.capture() as capture:
        console.print(part)
    console.file.write("".join(f"{line.rstrip()}\n" for line in capture.get().splitlines()))


def _print_host(console: Console, host_ops: list[dict[str, str]]) -> None:
    if not host_ops:
        return
    table = _table("node", "operator", "why it runs on the host", texts=3)
    for entry in host_ops[:20]:
        table.add_row(Text(entry["node"]), Text(entry["op"]), Text(entry["reason"]))
    verb = "runs" if len(host_ops) == 1 else "run"
    _print(console, f"\n{counted(len(host_ops), 'operator')} {verb} on the host:")
    _print(console, table)
    if len(host_ops) > 20:
        _print(console, f"... and {len(host_ops) - 20} more (--json lists all)")


def print_simulation(report: Mapping[str, Any]) -> None:
    """How a program ran."""
    console = _console()
    area = f"{report['area_mm2']:.3g} mm2" + _budget(
        report["area_mm2"], report["budget_area_mm2"], "mm2"
    )
    power = quantity(report["power_w"], "W") + _budget(
        report["power_w"], report["budget_power_w"], "W"
    )
    rows = [
        ("model", str(report["model"])),
        ("target", f"{report['target']}, {area}"),
        ("run", _run_line(report)),
        ("mean power", power),
        ("temperature", _temperature(report["temperature_c"])),
        *_figures(report),
    ]
    rows += _overflow(report)
    if report["accuracy"] is not None:
        rows.append(("accuracy", _accuracy(report)))
    if (reference := report["reference"]) is not None:
        rows.append(("against ONNX Runtime", _reference(reference)))
    _print(console, _facts(rows))
    energy, nodes = report["energy_parts_j"], report["slowest_nodes_s"]
    _print_parts(console, ("energy", "J", "share"), energy, report["energy_j"])
    _print_shares(console, report["utilisation"])
    _print_parts(
        console, ("slowest nodes", "s", "share of busy time"), nodes, report["busy_s"], limit=5
    )
    for key, part in (
        ("runs", _runs_table),
        ("ablation", _ablation_table),
        ("noise_budget", _budget_table),
    ):
        if key in report:
            _print(console, "")
            _print(console, part(report[key]))


def _figures(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows that need no input: speed, energy, density, and how they stand to the budgets."""
    rows = [
        ("latency", f"{quantity(report['latency_s'], 's')} an inference"),
        ("throughput", quantity(report["throughput_per_s"], "inferences/s")),
        ("energy", f"{quantity(report['energy_j'], 'J')} an inference"),
        ("efficiency", _efficiency(report)),
        ("density", f"{quantity(report['parameters_per_cm2'], 'parameters/cm2')} of this model"),
    ]
    return rows + _feasibility(report["feasibility"] or {})


def _feasibility(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for limit in found.get("limits", []):
        value, budget = (quantity(limit[key], limit["unit"]) for key in ("value", "budget"))
        if limit["met"]:
            rows.append((limit["what"], f"{value}, within {budget}"))
            continue
        rows.append((limit["what"], f"{value}, over {budget}; what would do:"))
        rows += [("", f"- {lever}") for lever in limit["levers"]]
    if found.get("usd_per_million") is not None:
        rate = quantity(found["rate_per_s"], "inferences/s")
        rows.append(
            (
                "price",
                f"{found['chip_usd']:.3g} USD a chip, {found['usd_per_million']:.3g} USD a million "
                f"inferences at {rate}",
            )
        )
    return rows


def print_validation(validation: "Validation") -> None:
    """Published macros against the model, a table each, and the summary."""
    from . import validation_text as text

    console = _console()
    for name, macro in validation.macros.items():
        table = _table(*text.COLUMNS, texts=text.TEXT_COLUMNS)
        for row in validation.rows:
            if row.macro == name:
                table.add_row(*map(Text, text.figure_cells(row)))
        _print(console, Text(macro.title, style="bold"))
        _print(console, Text(f"at the calibration point: {text.efficiency_line(macro)}"))
        _print(console, table)
        _print(console, "")
    table = _table(*text.SUMMARY_COLUMNS)
    for name, summary in validation.summaries.items():
        table.add_row(*map(Text, text.summary_cells(name, summary)))
    _print(console, table)


def _budget(value: float, budget: float, unit: str) -> str:
    if not budget:
        return ""
    word = "budget" if value <= budget else "over its budget of"
    return f" ({word} {quantity(budget, unit)})"


def _temperature(found: Mapping[str, Any] | None) -> str:
    """The hottest layer where one inference follows another; nothing for machines without."""
    if found is None:
        return ""
    word = "limit" if found["hottest"] <= found["limit"] else "over the limit of"
    layers = counted(len(found["layers"]), "layer")
    where = f"layer {found['hottest_layer']}, the hottest of {layers}"
    return f"{found['hottest']:.1f} C in {where} ({word} {found['limit']:g} C)"


def _run_line(report: Mapping[str, Any]) -> str:
    if not report["samples"]:
        return "timed, not executed"
    samples = counted(report["samples"], "sample")
    return f"{samples}, {report['mode']}, simulated in {report['execute_s']:.2f} s"


def _efficiency(report: Mapping[str, Any]) -> str:
    array = report["array_tops_per_w"]
    whole = f"{report['tops_per_w']:.3g} TOPS/W whole system"
    return f"{whole}, {array:.3g} TOPS/W arrays alone" if array else whole


def _accuracy(report: Mapping[str, Any]) -> str:
    text = f"{report['accuracy']:.2%}"
    reference = (report["reference"] or {}).get("accuracy")
    return text if reference is None else f"{text} (reference {reference:.2%})"


def _reference(reference: Mapping[str, Any]) -> str:
    parts = [
        f"max error {reference['max_abs_error']:.3g} ({reference['max_rel_error']:.2g} of range)",
        f"SQNR {reference['sqnr_db']:.1f} dB",
    ]
    if reference["top1_agreement"] is not None:
        parts.append(f"top-1 agreement {reference['top1_agreement']:.2%}")
    return ", ".join(parts)


def _print_parts(
    console: Console,
    titles: tuple[str, str, str],
    parts: Mapping[str, float],
    total: float,
    limit: int = 12,
) -> None:
    shown = sorted(((v, k) for k, v in parts.items() if v > 0), reverse=True)[:limit]
    if not shown:
        return
    table = _table(*titles)
    for value, name in shown:
        table.add_row(Text(name), quantity(value, titles[1]), share(value / total))
    _print(console, "")
    _print(console, table)


def _print_shares(console: Console, shares: Mapping[str, float]) -> None:
    table = _table("unit", "busy, of latency")
    for name, part in sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:12]:
        table.add_row(Text(name), share(part))
    _print(console, "")
    _print(console, table)


def _facts(rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        if text:
            table.add_row(name, Text(text))
    return table


def _table(*columns: str, texts: int = 1) -> Table:
    """A table whose first ``texts`` columns are text, the others numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < texts else "right", overflow="fold")
    return table


#: Matrices whose noise budget is printed.
_MOST_MATRICES = 20
#: How the metrics of trials are written: title, and a figure with its digits and unit.
_METRICS = {
    "accuracy": ("accuracy", "{:.2%}"),
    "sqnr_db": ("SQNR", "{:.2f} dB"),
    "max_rel_error": ("max error, of range", "{:.4f}"),
}


def _runs_table(runs: Mapping[str, Any]) -> Table:
    """Mean, deviation and worst case of each metric: of all runs, over chips, over reads."""
    title = f"{counted(runs['chips'], 'chip')}, {counted(runs['reads'], 'read')} each"
    table = _table(title, "", "mean", "deviation", "worst", "found with", texts=2)
    table.columns[-1].justify = "left"
    for metric, found in runs["metrics"].items():
        name, write = _METRICS[metric]
        chips, reads = found["devices"], found["reads"]
        table.add_row(name, "all runs", write.format(found["mean"]), *_spread(write, found))
        table.add_row("", "chips", "", *_spread(write, chips))
        departure = write.replace(":", ":+").format(reads["worst"]["departure"])
        deviation, _, seeds = _spread(write, reads)
        table.add_row("", "reads of a chip", "", deviation, departure, seeds)
    return table


def _spread(write: str, part: Mapping[str, Any]) -> tuple[str, str, str]:
    """Deviation and worst case, and the options that show the worst case again."""
    worst = part["worst"]
    options = {"seed": "--seed", "read_seed": "--read-seed"}
    seeds = " ".join(f"{option} {worst[key]}" for key, option in options.items() if key in worst)
    return _figure(write, part["deviation"]), write.format(worst["value"]), seeds


def _figure(write: str, value: float | None) -> str:
    return "-" if value is None else write.format(value)


def _ablation_table(ablation: Mapping[str, Any]) -> Table:
    """SQNR and accuracy with one effect alone, and with all but it; what costs nothing is named."""
    scored = ablation["none"]["accuracy"] is not None
    columns = {"sqnr_db": "{:.2f}", "sqnr_change_db": "{:+.2f}"}
    titles = ["change"]
    if scored:
        columns |= {"accuracy": "{:.2%}", "accuracy_points": "{:+.2f}"}
        titles += ["accuracy", "points"]
    chips = f"mean of {counted(ablation['chips'], 'chip')}"
    table = _table(chips, "alone, dB", *titles, "without, dB", *titles)

    def cells(figures: Mapping[str, float | None]) -> list[str]:
        return [
            _figure(write, figures[key]) if key in figures else "" for key, write in columns.items()
        ]

    table.add_row("none (quantized)", *cells(ablation["none"]))
    free = [entry["effect"] for entry in ablation["effects"] if _is_free(entry)]
    for entry in ablation["effects"]:
        if entry["effect"] not in free:
            table.add_row(entry["effect"], *cells(entry["alone"]), *cells(entry["without"]))
    table.add_row("all", *[""] * len(columns), *cells(ablation["all"]))
    if free:
        _add_note(table, f"no change: {', '.join(free)}")
    return table


def _is_free(entry: Mapping[str, Any]) -> bool:
    """Whether an effect changes no figure that would be printed."""
    keys = ("sqnr_change_db", "accuracy_points")
    changes = [entry[side][key] or 0.0 for side in ("alone", "without") for key in keys]
    return all(abs(change) < 0.005 for change in changes)


def _add_note(table: Table, text: str) -> None:
    """A line under a table."""
    table.caption = Text(text)
    table.caption_justify = "left"


def _budget_table(budgets: list[dict[str, Any]]) -> Table:
    """Signal, error and the largest sources of each matrix, the worst first."""
    table = _table("noise budget", "signal", "error", "SNR", "ENOB", "largest sources, of power")
    table.columns[-1].justify = "left"
    for budget in budgets[:_MOST_MATRICES]:
        total = budget["sum_rms"] ** 2
        sources = [
            f"{name} {share(rms * rms / total)}"
            for name, rms in list(budget["sources_rms"].items())[:3]
            if rms
        ]
        table.add_row(
            Text(", ".join(budget["nodes"]) or budget["matrix"]),
            f"{budget['signal_rms']:.3g}",
            f"{budget['error_rms']:.2g}",
            f"{budget['snr_db']:.1f} dB",
            f"{budget['enob']:.1f}",
            ", ".join(sources),
        )
    if len(budgets) > _MOST_MATRICES:
        _add_note(table, f"... and {len(budgets) - _MOST_MATRICES} more (--json lists all)")
    return table
