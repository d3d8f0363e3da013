"""Reports for people: what was compiled, how it ran, what limits it."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"),
             (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"), (1e-18, "a"))  # fmt: skip


def quantity(value: float, unit: str) -> str:
    """``value`` with an SI prefix and three significant digits: ``12.3 us``."""
    if value == 0:
        return f"0 {unit}"
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def print_compilation(report: Mapping[str, Any]) -> None:
    """What ``semc compile`` made."""
    rows = [
        ("model", f"{report['model']}, {report['parameters']:,} parameters"),
        ("target", f"{report['target']}, {report['area_mm2']:.3g} mm2"),
        ("program", str(report.get("program", ""))),
    ]
    if (arrays := report.get("arrays")) is not None:
        rows.append(
            (
                "arrays",
                f"{arrays['used']:,} of {arrays['available']:,} in {report['layers_used']} "
                f"layer(s), {report['tiles']:,} tiles",
            )
        )
    for memory, used in report.get("memory_bytes", {}).items():
        rows.append((memory, quantity(used, "B")))
    if (schedule := report.get("schedule")) is not None:
        rows.append(
            (
                "schedule",
                f"{quantity(schedule['makespan_s'], 's')} on {', '.join(schedule['devices'])}, "
                f"lower bound {quantity(schedule['bound_s'], 's')}",
            )
        )
    ops, work = report["on_chip_ops_share"], report["on_chip_work_share"]
    rows.append(("on the machine", f"{ops:.1%} of operators, {work:.1%} of work"))
    sizes = ", ".join(f"{level} {count:,}" for level, count in report["ir_ops"].items())
    rows.append(("IR operations", sizes))
    rows.append(("compile time", f"{sum(report['phase_s'].values()):.2f} s"))
    rows.append(("peak memory", quantity(report["peak_rss_bytes"], "B")))
    for check in report.get("levels", []):
        text = f"agrees on {check['compared']} values, within {check['max_rel_error']:.2g} of range"
        rows.append((f"level {check['level']}", text))
    console = Console(highlight=False)
    console.print(_facts(rows))
    _print_host(console, report["host_ops"])


def _print_host(console: Console, host_ops: list[dict[str, str]]) -> None:
    if not host_ops:
        return
    table = _table("node", "operator", "why it runs on the host")
    for entry in host_ops[:20]:
        table.add_row(Text(entry["node"]), Text(entry["op"]), Text(entry["reason"]))
    console.print(f"\n{len(host_ops)} operator(s) run on the host:")
    console.print(table)
    if len(host_ops) > 20:
        console.print(f"... and {len(host_ops) - 20} more (--json lists all)")


def print_simulation(report: Mapping[str, Any]) -> None:
    """How a program ran."""
    console = Console(highlight=False)
    rows = [
        ("model", str(report["model"])),
        ("target", f"{report['target']}, {report['area_mm2']:.3g} mm2"),
        ("run", _run_line(report)),
        ("latency", f"{quantity(report['latency_s'], 's')} an inference"),
        ("throughput", f"{report['throughput_per_s']:.4g} inferences/s"),
        ("energy", f"{quantity(report['energy_j'], 'J')} an inference"),
        ("power", quantity(report["power_w"], "W")),
        ("efficiency", _efficiency(report)),
        ("density", f"{quantity(report['parameters_per_cm2'], 'parameters/cm2')}"),
    ]
    if report["accuracy"] is not None:
        rows.append(("accuracy", _accuracy(report)))
    if (reference := report["reference"]) is not None:
        rows.append(("against ONNX Runtime", _reference(reference)))
    console.print(_facts(rows))
    _print_parts(console, "energy", report["energy_parts_j"], "J")
    _print_shares(console, report["utilisation"])
    _print_parts(console, "slowest nodes", report["slowest_nodes_s"], "s", limit=5)


def _run_line(report: Mapping[str, Any]) -> str:
    if not report["samples"]:
        return "timed, not executed"
    return f"{report['samples']} sample(s), {report['mode']}, in {report['execute_s']:.2f} s"


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
    console: Console, title: str, parts: Mapping[str, float], unit: str, limit: int = 12
) -> None:
    total = sum(parts.values())
    shown = sorted(((v, k) for k, v in parts.items() if v > 0), reverse=True)[:limit]
    if not shown:
        return
    table = _table(title, unit, "share")
    for value, name in shown:
        table.add_row(Text(name), quantity(value, unit), f"{value / total:.1%}")
    console.print()
    console.print(table)


def _print_shares(console: Console, shares: Mapping[str, float]) -> None:
    table = _table("unit", "busy")
    for name, share in sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:12]:
        table.add_row(Text(name), f"{share:.1%}")
    console.print()
    console.print(table)


def _facts(rows: list[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in rows:
        if text:
            table.add_row(name, Text(text))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
    return table
