"""The inner loop of annealing: moves to free sites and swaps, with incremental cost.

Two kinds of target sites are drawn: any site in a window around the array, and sites beside one of
its neighbours.

The compiled functions of this file call each other and none elsewhere, so their cache is right.
Inside, a site is numbered ``(row * cols + col) * layers + layer``, so that a stack is contiguous.
"""

import math
from typing import NamedTuple

import numpy as np

from ...compiled import compiled

FREE = -1
BLOCKED = -2
_NO_PARTNER = -3


class Links(NamedTuple):
    """What placing costs: CSR of the traffic, and terms of single arrays."""

    indptr: np.ndarray  # int64 [n + 1]
    neighbour: np.ndarray  # int32
    weight: np.ndarray  # float32
    anchor: np.ndarray  # float32 [n], traffic with the port
    layer_weight: np.ndarray  # float32 [n]
    layer_cost: np.ndarray  # float32 [layers], times layer_weight
    group: np.ndarray  # int32 [n], -1 for none
    power: np.ndarray  # float32 [n]
    movable: np.ndarray  # bool [n]


class Rules(NamedTuple):
    """The grid and its prices."""

    layers: int
    rows: int
    cols: int
    layer_step: float
    row_step: float
    col_step: float
    port_row: int
    port_col: int
    active: int
    group_penalty: float
    layer_cap: float  # infinite: none
    power_penalty: float  # per watt above the cap
    grouped: bool


class State(NamedTuple):
    """Where everything is. Changed in place."""

    position: np.ndarray  # int16 [n, 3] (layer, row, col)
    occupant: np.ndarray  # int32 [sites]: an array, FREE or BLOCKED
    site_group: np.ndarray  # int32 [sites], -1 for none
    layer_power: np.ndarray  # float64 [layers]
    random: np.ndarray  # uint64 [1]


@compiled()
def _random(state: np.ndarray) -> np.uint64:
    """A draw of xorshift64*, 32 bits (Vigna, ACM TOMS 42 (2016) 30)."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return (x * np.uint64(2685821657736338717)) >> np.uint64(32)


@compiled()
def _below(state: np.ndarray, n: int) -> np.int64:
    """A draw from 0 .. n - 1."""
    return np.int64((_random(state) * np.uint64(n)) >> np.uint64(32))


@compiled()
def _links_delta(
    links: Links,
    rules: Rules,
    position: np.ndarray,
    i: int,
    partner: int,
    layer: int,
    row: int,
    col: int,
) -> float:
    """Change of the distance terms when ``i`` moves to (layer, row, col), without ``partner``."""
    old_layer, old_row, old_col = (
        np.int64(position[i, 0]),
        np.int64(position[i, 1]),
        np.int64(position[i, 2]),
    )
    total = 0.0
    for e in range(links.indptr[i], links.indptr[i + 1]):
        j = links.neighbour[e]
        if j == partner:
            continue
        a = np.int64(position[j, 0])
        b = np.int64(position[j, 1])
        c = np.int64(position[j, 2])
        total += links.weight[e] * (
            rules.layer_step * (abs(layer - a) - abs(old_layer - a))
            + rules.row_step * (abs(row - b) - abs(old_row - b))
            + rules.col_step * (abs(col - c) - abs(old_col - c))
        )
    p, q = rules.port_row, rules.port_col
    total += links.anchor[i] * (
        rules.layer_step * (layer - old_layer)
        + rules.row_step * (abs(row - p) - abs(old_row - p))
        + rules.col_step * (abs(col - q) - abs(old_col - q))
    )
    costs = links.layer_cost
    return total + links.layer_weight[i] * (costs[layer] - costs[old_layer])


@compiled()
def _count(site_group: np.ndarray, first: int, layers: int, group: int) -> int:
    """How many arrays of ``group`` are in the stack whose sites start at ``first``."""
    count = 0
    for s in range(first, first + layers):
        count += site_group[s] == group
    return count


@compiled()
def _group_delta(
    rules: Rules, site_group: np.ndarray, group: int, other: int, old: int, new: int
) -> float:
    """Change of arrays too many in a stack when one of ``group`` goes from site old to new."""
    layers = rules.layers
    if group < 0 or group == other or old // layers == new // layers:
        return 0.0
    leaves = _count(site_group, old - old % layers, layers, group) > rules.active
    enters = _count(site_group, new - new % layers, layers, group) >= rules.active
    return rules.group_penalty * (np.float64(enters) - np.float64(leaves))


@compiled()
def _power_delta(
    rules: Rules, layer_power: np.ndarray, source: int, target: int, power: float
) -> float:
    """Change of the penalty when ``power`` goes from layer source to target."""
    cap = rules.layer_cap
    a, b = layer_power[source], layer_power[target]
    before = max(a - cap, 0.0) + max(b - cap, 0.0)
    after = max(a - power - cap, 0.0) + max(b + power - cap, 0.0)
    return rules.power_penalty * (after - before)


@compiled()
def _draw_near(random: np.ndarray, centre: int, reach: int, size: int) -> int:
    """A draw from what lies within ``reach`` of ``centre`` and in 0 .. size - 1."""
    low = max(centre - reach, 0)
    return low + _below(random, min(centre + reach, size - 1) - low + 1)


@compiled()
def _draw_target(
    links: Links,
    rules: Rules,
    position: np.ndarray,
    random: np.ndarray,
    i: int,
    window: tuple[int, int, int],
    near: int,
) -> tuple[int, int, int]:
    """(layer, row, col) of a site to try for ``i``: beside a neighbour, or in the window.

    Beside is a step along one axis, and any layer where layers cost nothing.
    """
    degree = links.indptr[i + 1] - links.indptr[i]
    centre = i
    layer_range, row_range, col_range = window
    if degree > 0 and _below(random, 1024) < near:
        centre = links.neighbour[links.indptr[i] + _below(random, degree)]
        axis = _below(random, 2 if rules.layer_step == 0 else 3)
        row_range = 1 if axis == 0 else 0
        col_range = 1 if axis == 1 else 0
        layer_range = 1 if axis == 2 else 0
        if rules.layer_step == 0:
            layer_range = rules.layers
    return (
        _draw_near(random, np.int64(position[centre, 0]), layer_range, rules.layers),
        _draw_near(random, np.int64(position[centre, 1]), row_range, rules.rows),
        _draw_near(random, np.int64(position[centre, 2]), col_range, rules.cols),
    )


@compiled()
def _place(
    links: Links, rules: Rules, state: State, i: int, layer: int, row: int, col: int
) -> None:
    site = (row * rules.cols + col) * rules.layers + layer
    state.position[i, 0] = layer
    state.position[i, 1] = row
    state.position[i, 2] = col
    state.occupant[site] = i
    state.site_group[site] = links.group[i]
    state.layer_power[layer] += links.power[i]


@compiled()
def try_moves(
    links: Links,
    rules: Rules,
    state: State,
    first: int,
    moves: int,
    temperature: float,
    window: tuple[int, int, int],
    near: int,
) -> tuple[float, int, int, float, int]:
    """``moves`` tries over the arrays in turn from ``first`` on, accepted by Metropolis' rule.

    ``window`` is the range of free moves by axis; ``near`` of 1,024 tries go beside a neighbour.
    Returns (change of cost, accepted, tried, sum of what tries would have added in distance, their
    number); tries that would not are left out of the last two.
    """
    n = len(links.movable)
    change, uphill = 0.0, 0.0
    accepted, tried, uphills = 0, 0, 0
    capped = rules.layer_cap < np.inf
    position, occupant = state.position, state.occupant
    i = first % n
    for _ in range(moves):
        i += 1
        if i >= n:
            i = 0
        if not links.movable[i]:
            continue
        layer, row, col = _draw_target(links, rules, position, state.random, i, window, near)
        new = (row * rules.cols + col) * rules.layers + layer
        k = np.int64(occupant[new])
        if k in (i, BLOCKED) or (k >= 0 and not links.movable[k]):
            continue
        tried += 1
        old_layer = np.int64(position[i, 0])
        old_row = np.int64(position[i, 1])
        old_col = np.int64(position[i, 2])
        old = (old_row * rules.cols + old_col) * rules.layers + old_layer
        partner = k if k >= 0 else np.int64(_NO_PARTNER)
        delta = _links_delta(links, rules, position, i, partner, layer, row, col)
        power = np.float64(links.power[i])
        group, other = np.int64(links.group[i]), np.int64(-1)
        if k >= 0:
            delta += _links_delta(links, rules, position, k, i, old_layer, old_row, old_col)
            power -= links.power[k]
            other = np.int64(links.group[k])
        if delta > 0.0:
            uphill += delta
            uphills += 1
        if rules.grouped:
            delta += _group_delta(rules, state.site_group, group, other, old, new)
            delta += _group_delta(rules, state.site_group, other, group, new, old)
        if capped and layer != old_layer:
            delta += _power_delta(rules, state.layer_power, old_layer, layer, power)
        if delta > 0.0:
            if delta > 16.0 * temperature:
                continue
            draw = np.float64(_random(state.random)) / 4294967296.0
            if draw >= math.exp(-delta / temperature):
                continue
        occupant[old] = FREE
        state.site_group[old] = -1
        state.layer_power[old_layer] -= links.power[i]
        if k >= 0:
            state.layer_power[layer] -= links.power[k]
            _place(links, rules, state, k, old_layer, old_row, old_col)
        _place(links, rules, state, i, layer, row, col)
        change += delta
        accepted += 1
    return change, accepted, tried, uphill, uphills
