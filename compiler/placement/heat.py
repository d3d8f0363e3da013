"""What a placement's heat is held to, and how warm a placement becomes: arrays only.

Heat is that of reads and of leakage in a steady state, one inference in each period. The period is
pessimistic, no longer than the machine can do an inference in, so power comes out too high rather
than too low.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np

from ...backends.targets import MemcapTarget
from ...backends.targets.defects import site_key
from ...backends.targets.heat import site_power_w
from ...backends.targets.thermal import ThermalNetwork, stack_temperature_c


@dataclass(frozen=True, slots=True)
class Heat:
    """The thermal network of a machine, its limits, and what warms it besides the tiles.

    ``max_layer_power_w`` is 0 where there is no such limit; ``period_s`` is the time of an
    inference; ``die_w`` is spread evenly over the base die.
    """

    network: ThermalNetwork
    max_temperature_c: float
    max_layer_power_w: float
    period_s: float
    die_w: float

    def numbers(self) -> dict[str, float]:
        """All of it as plain numbers by name."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "network"}
        return {**asdict(self.network), **own}

    @staticmethod
    def of_numbers(numbers: dict[str, float]) -> "Heat":
        """The inverse of ``numbers``."""
        names = {f.name for f in fields(ThermalNetwork)}
        network = ThermalNetwork(**{k: v for k, v in numbers.items() if k in names})
        return Heat(network, **{k: v for k, v in numbers.items() if k not in names})


@dataclass(frozen=True, slots=True, eq=False)
class StackHeat:
    """What a placement makes of it: ``layer_w`` [layers] and ``die_w`` of the base die, W, and
    ``temperature_c`` [layers + 1, rows, cols], level 0 being the base die."""

    layer_w: np.ndarray
    die_w: float
    temperature_c: np.ndarray

    @property
    def total_w(self) -> float:
        """All heat."""
        return float(self.layer_w.sum()) + self.die_w

    @property
    def hottest(self) -> tuple[int, int, int]:
        """(level, row, col) of the highest temperature."""
        at = np.unravel_index(int(self.temperature_c.argmax()), self.temperature_c.shape)
        level, row, col = (int(n) for n in at)
        return level, row, col


def stack_heat(
    sites: np.ndarray, heat_j: np.ndarray, shape: tuple[int, int, int], heat: Heat
) -> StackHeat:
    """The heat of tiles at ``sites`` int [T, 3+], each with ``heat_j`` [T, 2] an inference.

    ``shape`` is layers, rows and columns of the grid.
    """
    layer_w, below_w = site_power_w(sites[:, :3], heat_j, shape, heat.period_s)
    die_w = below_w + heat.die_w / below_w.size
    temperature_c = stack_temperature_c(heat.network, layer_w, die_w)
    return StackHeat(layer_w.sum(axis=(1, 2)), float(die_w.sum()), temperature_c)


def read_seconds(
    sites: np.ndarray, one_read_s: np.ndarray, reads: float, layers: int
) -> np.ndarray:
    """How long each layer's controller reads a matrix, s [layers].

    Tiles that share an array are read one after another, others together. Needs a tile or more.

    Args:
        sites: int [T, 3], layer, row and column of the tiles.
        one_read_s: [T], time of one read of each tile.
        reads: how many there are.
    """
    _, first, shared = np.unique(site_key(sites), return_index=True, return_counts=True)
    rounds, widest = np.zeros(layers), np.zeros(layers)
    np.maximum.at(rounds, sites[first, 0], shared)
    np.maximum.at(widest, sites[:, 0], one_read_s)
    return reads * rounds * widest


def period_s(
    target: MemcapTarget, layer_read_s: np.ndarray, other_s: float, reads_j: float
) -> float:
    """No more than the machine takes for an inference in a steady state.

    Its busiest unit takes as long: the controller of a layer (``layer_read_s`` [layers], time of
    its reads alone) or another one (``other_s``). A chip that states a power budget is held to it,
    so ``reads_j`` and leakage take as long as that power gives them.
    """
    busiest = max(float(layer_read_s.max()), other_s)
    spare_w = target.budget_power_w - target.leakage_w
    return max(busiest, reads_j / spare_w) if spare_w > 0 else busiest
