"""Checks the heat of a placement against the limits of its machine: arrays only, in words."""

import numpy as np

from .check import MOST_TOLD
from .heat import Heat, StackHeat


def check_heat(heat: Heat, found: StackHeat) -> list[str]:
    """Layers that make more heat than ``heat`` allows, and the hottest place if it is too hot."""
    return _check_power(found, heat) + _check_temperature(found, heat)


def _check_power(found: StackHeat, heat: Heat) -> list[str]:
    limit_w = heat.max_layer_power_w
    over = np.flatnonzero(found.layer_w > limit_w) if limit_w else np.empty(0, np.int64)
    return [
        f"layer {layer} makes {found.layer_w[layer] * heat.period_s:.3g} J in {heat.period_s:.3g} "
        f"s = {found.layer_w[layer]:.3g} W of heat, which must be at most {limit_w:.3g} W"
        for layer in over[:MOST_TOLD].tolist()
    ]


def _check_temperature(found: StackHeat, heat: Heat) -> list[str]:
    """The hottest place, with the terms of its temperature."""
    level, row, col = found.hottest
    hottest_c = float(found.temperature_c[level, row, col])
    if hottest_c <= heat.max_temperature_c:
        return []
    package_k = found.total_w / (heat.network.sink * found.temperature_c[0].size)
    stack_k = hottest_c - heat.network.ambient_c - package_k
    where = f"layer {level - 1}" if level else "the base die"
    return [
        f"{where} becomes too warm at (row, col) ({row}, {col}): {heat.network.ambient_c:.1f} C "
        f"around + {package_k:.1f} K of the package ({found.total_w:.3g} W) + {stack_k:.1f} K of "
        f"the stack = {hottest_c:.1f} C, which must be at most {heat.max_temperature_c:.1f} C"
    ]
