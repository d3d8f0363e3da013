"""What ``place.machine`` may say of a machine beyond its sizes: what is broken, how it warms."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, DictionaryAttr, FloatAttr
from xdsl.utils.exceptions import VerifyException

from .attributes import table_of

#: What is broken: the columns of each table of ``place.machine``. A via leads up from its level,
#: the base die being level 0; a column is one of weights.
DEFECT_COLUMNS = {
    "dead_arrays": ("layer", "row", "col"),
    "dead_rows": ("layer", "row", "col", "array_row"),
    "dead_cols": ("layer", "row", "col", "array_col"),
    "missing_vias": ("level", "row", "col"),
}
#: Heat of a machine: the conductances of one site in W/K, the limits, the seconds that an inference
#: takes at least, and the watts of what is spread over the base die.
HEAT_KEYS = (
    "ambient_c", "sink", "attach", "between", "die_rows", "die_cols", "layer_rows", "layer_cols",
    "max_temperature_c", "max_layer_power_w", "period_s", "die_w",
)  # fmt: skip


def defect_tables(defects: DictionaryAttr | None) -> dict[str, np.ndarray]:
    """int32 [n, columns] by the names of ``DEFECT_COLUMNS``, empty where nothing is broken."""
    tables = {name: np.empty((0, len(cols)), np.int32) for name, cols in DEFECT_COLUMNS.items()}
    for name, table in (defects.data if defects is not None else {}).items():
        assert isinstance(table, DenseIntOrFPElementsAttr)
        tables[name] = table_of(table)
    return tables


def verify_defects(defects: DictionaryAttr, grid: Sequence[int], array: Sequence[int]) -> None:
    """Raise VerifyException unless the tables have known names and columns and name what is there.

    ``grid`` is (layers, rows, cols) of sites, ``array`` the rows and weight columns of one.
    """
    if len(grid) != 3:
        raise VerifyException("place.machine: only a machine with a grid has defects")
    for name, table in defects.data.items():
        columns = DEFECT_COLUMNS.get(name)
        if columns is None or not isinstance(table, DenseIntOrFPElementsAttr):
            raise VerifyException(
                f"place.machine: defects are tables {', '.join(DEFECT_COLUMNS)}, not {name}"
            )
        rows = table_of(table)
        if rows.ndim != 2 or rows.shape[1] != len(columns) or rows.dtype != np.int32:
            raise VerifyException(f"place.machine: {name} needs columns {columns}")
        lines = {"dead_rows": array[:1], "dead_cols": array[1:]}.get(name, ())
        counts = [*grid, *lines]
        if (rows < 0).any() or (rows >= np.array(counts)).any():
            raise VerifyException(f"place.machine: {name} must be below {counts} and not negative")


def heat_numbers(heat: DictionaryAttr) -> dict[str, float]:
    """The numbers of ``heat`` by name."""
    return {k: v.value.data for k, v in heat.data.items() if isinstance(v, FloatAttr)}


def verify_heat(heat: DictionaryAttr) -> None:
    """Raise VerifyException unless all numbers are there, finite, and positive where they must."""
    numbers = heat_numbers(heat)
    if numbers.keys() != set(HEAT_KEYS) or len(numbers) != len(heat.data):
        raise VerifyException(f"place.machine: heat needs the numbers {', '.join(HEAT_KEYS)}")
    for name in HEAT_KEYS:
        free = name in ("ambient_c", "max_temperature_c", "max_layer_power_w", "die_w")
        if not np.isfinite(numbers[name]) or not (free or numbers[name] > 0):
            raise VerifyException(f"place.machine: {name} must be above 0, got {numbers[name]}")
