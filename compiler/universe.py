"""The plug-in that stock ``xdsl-opt`` finds: our dialects and passes, imported on first use."""

from xdsl.universe import Universe

from ..dialects import level_factories
from .pipeline import PASSES

UNIVERSE = Universe(
    all_dialects=level_factories(),
    all_passes={name: info.load for name, info in PASSES.items() if not info.stock},
)
