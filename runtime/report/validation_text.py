"""The rows of ``semc validate`` as text, for the terminal and for docs/validation.md."""

from collections.abc import Iterable, Sequence

from ..validate.evaluate import Macro, Row, Summary, Validation
from .quantity import quantity

COLUMNS = ("quantity", "condition", "published", "simulated", "error", "V^2 scaling")
TEXT_COLUMNS = 2
SUMMARY_COLUMNS = (
    "macro", "predictions", "mean error", "worst error", "energies at another supply",
    "mean error there", "V^2 scaling there",
)  # fmt: skip
_UNITS = {
    "tops": "TOPS", "tops_per_w": "TOPS/W", "tops_per_mm2": "TOPS/mm2", "area": "mm2",
    "survey_adc_area": "mm2", "energy": "J", "survey_adc_energy": "J", "latency": "s",
}  # fmt: skip
_SCALED = ("energy", "survey_adc_energy", "latency")
_WORDS = {
    "tops": "throughput", "tops_per_w": "efficiency", "tops_per_mm2": "density",
    "energy": "energy of a read", "energy_share": "share of energy", "latency": "time of a read",
    "area": "area", "area_share": "share of area",
    "survey_adc_energy": "conversion, from the survey",
    "survey_adc_area": "converter area, from the survey",
}  # fmt: skip


def figure_cells(row: Row) -> tuple[str, ...]:
    """The cells of one figure, for ``COLUMNS``."""
    name = _WORDS[row.quantity]
    if row.quantity == "energy" and row.per != "read":
        name = f"energy per {'multiply-add' if row.per == 'mac' else 'column'}"
    if row.parts:
        name += f" ({' + '.join(row.parts)})"
    error = {"prediction": _signed(row.error), "calibration": "calibration"}.get(
        row.use, f"({_signed(row.error)})"
    )
    scaled = "" if row.v2_error is None else _signed(row.v2_error)
    values = (_value(row, row.published), _value(row, row.simulated))
    return (name, row.condition, *values, error, scaled)


def summary_cells(name: str, summary: Summary) -> tuple[str, ...]:
    """The cells of one summary, for ``SUMMARY_COLUMNS``."""
    if not summary.predictions:
        return (name, "0", *[""] * 5)
    there = (f"{summary.scaled_mean_error:.1%}", f"{summary.v2_mean_error:.1%}")
    return (
        name,
        str(summary.predictions),
        f"{summary.mean_error:.1%}",
        f"{summary.worst_error:.1%}",
        str(summary.scaled_rows),
        *(there if summary.scaled_rows else ("", "")),
    )


def efficiency_line(macro: Macro) -> str:
    """Array and system apart, as everywhere."""
    return (
        f"{macro.array_tops_per_w:,.4g} TOPS/W in arrays and converters, "
        f"{macro.system_tops_per_w:,.4g} TOPS/W with all else."
    )


def markdown(validation: Validation) -> str:
    """All tables in Markdown, the summary first."""
    summaries = [summary_cells(n, s) for n, s in validation.summaries.items()]
    lines = _table(SUMMARY_COLUMNS, summaries, texts=1)
    for name, macro in validation.macros.items():
        cells = [figure_cells(row) for row in validation.rows if row.macro == name]
        lines += ["", f"### {macro.title}", "", f"`{name}`, at its calibration point:"]
        lines += [efficiency_line(macro), ""]
        lines += _table(COLUMNS, cells, TEXT_COLUMNS)
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], texts: int) -> list[str]:
    rule = ["---" if index < texts else "---:" for index in range(len(columns))]
    return [f"| {' | '.join(cells)} |" for cells in (columns, rule, *rows)]


def _value(row: Row, value: float) -> str:
    unit = _UNITS.get(row.quantity)
    if unit is None:
        return f"{value:.1%}"
    return quantity(value, unit) if row.quantity in _SCALED else f"{value:.4g} {unit}"


def _signed(error: float) -> str:
    return f"{error:+.1%}"
