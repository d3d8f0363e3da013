"""First placements: legal ones, made in a few sorts."""

import numpy as np

from .curves import layered_order, space_filling_order
from .legalize import legalize
from .site_problem import Best, SiteProblem


def free_region(problem: SiteProblem) -> np.ndarray:
    """Sites for the arrays that are not fixed, nearest to the port first, int64."""
    fixed = problem.fixed_sites
    free = problem.usable.copy()
    free[fixed[fixed >= 0]] = False
    sites = np.flatnonzero(free)
    price = problem.port_distance(sites)
    price *= float(problem.anchor_weight.mean()) if problem.anchor_weight.any() else 1.0
    if problem.layer_cost is not None:
        weight = 1.0 if problem.layer_weight is None else float(problem.layer_weight.mean())
        price += weight * np.asarray(problem.layer_cost)[sites // (problem.rows * problem.cols)]
    count = int((fixed < 0).sum())
    return sites[np.argsort(price, kind="stable")[:count]]


def with_fixed(problem: SiteProblem, movable_sites: np.ndarray) -> np.ndarray:
    """Sites int32 [n] from those of the arrays that are not fixed, in their order."""
    site = problem.fixed_sites.astype(np.int32)
    site[site < 0] = movable_sites
    return site


def first_sites(problem: SiteProblem) -> Best:
    """Arrays in their order along a curve through the sites nearest the port.

    It is a Hilbert curve in space where a step between layers costs about what others do; and one
    in each layer, the layers in turn, where it costs little or much or groups must not be stacked.
    Layers above their power cap then trade arrays with others.
    """
    region = free_region(problem)
    up, *along = problem.step_cost
    grouped = problem.group is not None and problem.group_penalty > 0
    order = layered_order
    if problem.layers > 1 and not grouped and min(along) / 2 <= up <= max(along) * 2:
        order = space_filling_order
    site = with_fixed(problem, region[order(problem.coordinates(region))])
    return Best(problem, spread_power(problem, site))


def anchored_sites(problem: SiteProblem) -> np.ndarray:
    """Arrays of most traffic with the port nearest to it, int32 [n].

    The best there is where nothing else costs (the rearrangement inequality).
    """
    movable = problem.fixed_sites < 0
    order = np.argsort(-problem.anchor_weight[movable], kind="stable")
    sites = np.empty(len(order), np.int64)
    sites[order] = free_region(problem)
    return spread_power(problem, with_fixed(problem, sites))


def put_on(problem: SiteProblem, points: np.ndarray) -> np.ndarray:
    """Sites int32 [n] near ``points`` float [n, 3] (layer, row, col).

    Axes along which steps are free are cut first: what is apart there is so for another reason.
    """
    region = free_region(problem)
    movable = problem.fixed_sites < 0
    step = np.array(problem.step_cost, float)
    unit = np.where(step > 0, step / max(step.max(), 1e-30), problem.sites)
    chosen = region[legalize(points[movable], problem.coordinates(region), unit)]
    return spread_power(problem, with_fixed(problem, chosen))


def spread_power(problem: SiteProblem, site: np.ndarray) -> np.ndarray:
    """``site`` after trades between layers that bring all below the power cap, as far as they go.

    The hottest arrays of the layer that is most above its cap trade places with the coolest of the
    layer with most to spare, or go to free sites there.
    """
    power, cap = problem.power_w, problem.layer_cap_w
    if power is None or not np.isfinite(cap):
        return site
    stacks = problem.rows * problem.cols
    load = np.bincount(site // stacks, power, minlength=problem.layers)
    if load.max() <= cap:
        return site
    site = np.array(site, np.int32)
    movable = problem.fixed_sites < 0
    while load.max() > cap:
        hot = int(load.argmax())
        for cool in np.argsort(load, kind="stable"):
            if _trade(problem, site, load, hot, int(cool), movable):
                break
        else:
            return site
    return site


def _trade(
    problem: SiteProblem,
    site: np.ndarray,
    load: np.ndarray,
    hot: int,
    cool: int,
    movable: np.ndarray,
) -> bool:
    """Trade arrays of layer ``hot`` for cooler ones of ``cool``; whether any was traded."""
    power = np.asarray(problem.power_w, float)
    stacks = problem.rows * problem.cols
    layer = site // stacks
    here = np.flatnonzero((layer == hot) & movable)
    here = here[np.argsort(-power[here], kind="stable")]
    there = np.flatnonzero((layer == cool) & movable)
    there = there[np.argsort(power[there], kind="stable")]
    free = problem.usable[cool * stacks : (cool + 1) * stacks].copy()
    free[site[layer == cool] % stacks] = False
    free_sites = np.flatnonzero(free) + cool * stacks
    partners = [*([-1] * min(len(free_sites), len(here))), *there]
    traded, used = False, 0
    for i, k in zip(here, partners, strict=False):
        gain = power[i] - (power[k] if k >= 0 else 0.0)
        worst = max(load[hot], load[cool])
        if load[hot] <= problem.layer_cap_w:
            break
        if gain <= 0 or max(load[hot] - gain, load[cool] + gain) >= worst:
            continue
        if k >= 0:
            site[i], site[k] = site[k], site[i]
        else:
            site[i] = free_sites[used]
            used += 1
        load[hot] -= gain
        load[cool] += gain
        traded = True
    return traded
