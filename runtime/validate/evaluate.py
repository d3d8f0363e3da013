"""Published figures against the cost functions that every simulation uses.

One read of the whole array, at the figure's conditions; nothing here knows a macro. The point of
comparison is plain scaling: the energy that the same model gives at the calibration supply, times
(V / V_0)^2. It is granted data and precision, so it differs in the supply alone.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...backends.targets import MemcapTarget, area_parts_mm2
from ...backends.targets.memcap_cost import (
    controller_energy_j,
    leakage_j,
    mvm_energy_j,
    mvm_latency_s,
)
from ...backends.targets.supply import at_supply
from ...backends.targets.survey import adc_area_um2, adc_energy_fj
from ..energy import add_parts, efficiency
from .figures import Conditions, Figures, Quantity, Series, Use, list_macros, load_macro


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure and what the model says."""

    macro: str
    quantity: Quantity
    condition: str
    parts: tuple[str, ...]
    per: str
    use: Use
    published: float
    simulated: float
    v2_scaled: float | None
    """By V^2 from the calibration supply; None where that says nothing."""
    source: str

    def as_dict(self) -> dict[str, Any]:
        """The row as plain data, with its errors."""
        return asdict(self) | {"error": self.error, "v2_error": self.v2_error}

    @property
    def error(self) -> float:
        """Relative error of the model."""
        return self.simulated / self.published - 1

    @property
    def v2_error(self) -> float | None:
        """Relative error of plain scaling."""
        return None if self.v2_scaled is None else self.v2_scaled / self.published - 1


@dataclass(frozen=True, slots=True)
class Summary:
    """Errors of the predictions among some rows; 0 where there are none."""

    predictions: int
    mean_error: float
    worst_error: float
    scaled_rows: int
    """Energies and efficiencies at another supply than the calibration's."""
    scaled_mean_error: float
    v2_mean_error: float


@dataclass(frozen=True, slots=True)
class Macro:
    """A macro at its calibration point: what its array alone reaches, and the whole of it."""

    title: str
    array_tops_per_w: float
    system_tops_per_w: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Macros by name, all their figures, and errors by macro and over groups."""

    macros: dict[str, Macro]
    rows: list[Row]
    summaries: dict[str, Summary]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as ``semc validate --json`` prints it."""
        return {
            "macros": {name: asdict(macro) for name, macro in self.macros.items()},
            "figures": [row.as_dict() for row in self.rows],
            "summary": {name: asdict(summary) for name, summary in self.summaries.items()},
        }


def evaluate_macro(target: MemcapTarget, figures: Figures) -> list[Row]:
    """All published figures of one macro, each with the model's value."""
    rows = []
    for series, conditions, published in figures.rows():
        nominal_v = figures.conditions.supply_v
        value = _value(target, series, conditions)
        scaled = None
        if conditions.supply_v != nominal_v and series.quantity in ("energy", "tops_per_w"):
            at_nominal = conditions.model_copy(update={"supply_v": nominal_v})
            square = (conditions.supply_v / nominal_v) ** 2
            factor = square if series.quantity == "energy" else 1 / square
            scaled = _value(target, series, at_nominal) * factor
        rows.append(
            Row(
                macro=figures.target,
                quantity=series.quantity,
                condition=_condition(conditions, series),
                parts=series.parts,
                per=series.per,
                use=series.use,
                published=published,
                simulated=value,
                v2_scaled=scaled,
                source=series.source,
            )
        )
    return rows


def summarise(rows: Iterable[Row]) -> Summary:
    """Mean and worst error of the predictions, and the same against plain scaling."""
    predictions = [row for row in rows if row.use == "prediction"]
    errors = [abs(row.error) for row in predictions]
    scaled = [(abs(row.error), abs(e)) for row in predictions if (e := row.v2_error) is not None]
    return Summary(
        predictions=len(errors),
        mean_error=_mean(errors),
        worst_error=max(errors, default=0.0),
        scaled_rows=len(scaled),
        scaled_mean_error=_mean([own for own, _ in scaled]),
        v2_mean_error=_mean([v2 for _, v2 in scaled]),
    )


def validate(names: Sequence[str]) -> Validation:
    """The named macros, or all that come with semc.

    Raises:
        TargetError: an unknown name, or faults in a file.
    """
    macros: dict[str, Macro] = {}
    rows: list[Row] = []
    digital = set()
    for name in names or list_macros():
        target, figures = load_macro(name)
        if target.name in macros:
            continue
        macs = target.array.rows * target.weight_cols
        parts = read_energy_j(target, figures.conditions)
        found = efficiency(macs, macs, parts)
        macros[target.name] = Macro(figures.title, found.array_tops_per_w, found.system_tops_per_w)
        rows += evaluate_macro(target, figures)
        if target.digital is not None:
            digital.add(target.name)
    summaries = {name: summarise(row for row in rows if row.macro == name) for name in macros}
    if digital and len(digital) < len(macros):
        summaries["charge domain"] = summarise(row for row in rows if row.macro not in digital)
    if len(macros) > 1:
        summaries["all"] = summarise(rows)
    return Validation(macros, rows, summaries)


def read_energy_j(target: MemcapTarget, conditions: Conditions) -> dict[str, float]:
    """Energy of one read of the whole array with its control and leakage, by part."""
    square, absolute = conditions.mean_square_input, conditions.mean_abs_input
    level = conditions.mean_level
    if conditions.average_output is not None:
        most = 2**target.adc.bits - 1
        absolute = math.sqrt(conditions.average_output / most)
        square, level = absolute**2, absolute * (target.array.levels - 1)
    return add_parts(
        mvm_energy_j(target, target.array.rows, target.weight_cols, 1, square, level, absolute),
        {
            "controller": controller_energy_j(target, 1),
            "leakage": leakage_j(target, mvm_latency_s(target, 1, target.weight_cols)),
        },
    )


def _value(target: MemcapTarget, series: Series, conditions: Conditions) -> float:
    """The model's value of a figure."""
    target = at_supply(_at_precision(target, conditions), conditions.supply_v)
    macs = target.array.rows * target.weight_cols
    latency_s = mvm_latency_s(target, 1, target.weight_cols)
    match series.quantity:
        case "latency":
            return latency_s
        case "tops":
            return 2e-12 * macs / latency_s
        case "tops_per_mm2":
            return 2e-12 * macs / latency_s / _area_mm2(target, series.parts)
        case "area":
            return _area_mm2(target, series.parts)
        case "area_share":
            return _area_mm2(target, series.parts) / target.area_mm2
        case "survey_adc_energy":
            return adc_energy_fj(target.adc.bits, 1 / latency_s, _node_nm(target)) * 1e-15
        case "survey_adc_area":
            return adc_area_um2(target.adc.bits, 1 / latency_s, _node_nm(target)) * 1e-6
    energies: dict[str, float] = read_energy_j(target, conditions)
    energy_j = sum(energies[part] for part in series.parts or tuple(energies))
    match series.quantity:
        case "energy_share":
            return energy_j / sum(energies.values())
        case "tops_per_w":
            return 2e-12 * macs / energy_j
        case _:
            return energy_j / {"read": 1, "column": target.weight_cols, "mac": macs}[series.per]


def _area_mm2(target: MemcapTarget, parts: Iterable[str]) -> float:
    """Area of some parts, all ``layers`` being one of them; of the die where none is named."""
    areas = area_parts_mm2(target)
    areas["layers"] = areas["layer"] * target.stack.layers
    return sum(areas[part] for part in tuple(parts) or ("die",))


def _node_nm(target: MemcapTarget) -> float:
    return target.technology.node_nm if target.technology else math.nan


def _at_precision(target: MemcapTarget, conditions: Conditions) -> MemcapTarget:
    """The target set to the precision of a figure, where its arrays can be set.

    A cost needs no more than the bits; the compiler's codes end at 8, so no program has such a
    target.
    """
    bits = {"weight_bits": conditions.weight_bits, "input_bits": conditions.input_bits}
    given = {key: value for key, value in bits.items() if value is not None}
    return target.model_copy(update={"numerics": target.numerics.model_copy(update=given)})


def _condition(conditions: Conditions, series: Series) -> str:
    """What a reader needs to tell the rows of a series apart."""
    words = [f"{conditions.supply_v:.2f} V"]
    if conditions.average_output is not None:
        words.append(f"output {conditions.average_output:g}")
    if conditions.weight_bits is not None:
        words.append(f"{conditions.input_bits} x {conditions.weight_bits} bit")
    if series.quantity in ("area", "area_share"):
        words = []
    return ", ".join(words)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0
