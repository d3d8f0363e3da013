"""The standard way down, one pass a line: read by the driver and by the named pipelines.

Each stage takes the name (or file) of a target and lists its passes; what differs between the
machines is said here and nowhere else.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdsl.passes import ModulePass

#: Larger than any matrix: a machine without arrays keeps each in one piece.
_UNCUT = 1 << 30


def graph_passes(target: str) -> "list[ModulePass]":
    """onnx to graph."""
    from .passes.convert_onnx_to_graph import ConvertOnnxToGraph
    from .passes.fold_views import FoldViews

    return [
        ConvertOnnxToGraph(),
        FoldViews(),
    ]


def tile_passes(target: str) -> "list[ModulePass]":
    """graph to tile."""
    from ..backends.targets import MemcapTarget, load_target
    from .cost import costs_of
    from .passes.convert_graph_to_tile import ConvertGraphToTile
    from .passes.cut_tiles import CutTiles
    from .passes.fold_views import FoldViews
    from .passes.fuse_maps import FuseMaps

    machine = load_target(target)
    lower, cut = ConvertGraphToTile(), CutTiles(_UNCUT, _UNCUT)
    if isinstance(machine, MemcapTarget):
        lower = ConvertGraphToTile(**asdict(costs_of(machine)))
        cut = CutTiles(machine.array.rows, machine.weight_cols)
    return [
        FuseMaps(),  # what is one map need not be lowered, and verified, as many
        lower,
        FoldViews(),
        FuseMaps(),
        cut,
    ]


def quantize_passes(target: str) -> "list[ModulePass]":
    """Codes and ranges of the matrices, on machines with arrays."""
    from .passes.quantize_matrices import QuantizeMatrices

    return [QuantizeMatrices(target=target)] if _has_arrays(target) else []


def place_passes(target: str) -> "list[ModulePass]":
    """tile to place."""
    from .passes.assign_devices import AssignDevices
    from .passes.check_placement import CheckPlacement
    from .passes.convert_tile_to_place import ConvertTileToPlace
    from .passes.place_tiles import PlaceTiles

    return [
        PlaceTiles(target=target) if _has_arrays(target) else AssignDevices(target=target),
        ConvertTileToPlace(target=target),
        CheckPlacement(),
    ]


def machine_passes(target: str) -> "list[ModulePass]":
    """place to what the machine's backend reads."""
    from .passes.convert_place_to_analog import ConvertPlaceToAnalog
    from .passes.convert_place_to_pal import ConvertPlaceToPal

    return [ConvertPlaceToAnalog() if _has_arrays(target) else ConvertPlaceToPal(target=target)]


def _has_arrays(target: str) -> bool:
    from ..backends.targets import MemcapTarget, load_target

    return isinstance(load_target(target), MemcapTarget)


@dataclass(frozen=True, slots=True)
class NamedPipeline:
    """A stage under a name for ``semc opt``; its one option is ``target``."""

    summary: str
    passes: Callable[[str], "list[ModulePass]"]


PIPELINES: dict[str, NamedPipeline] = {
    "onnx-to-graph": NamedPipeline(
        "Decompose ONNX operators into the core operations", graph_passes
    ),
    "graph-to-tile": NamedPipeline(
        "Cut matrices into tiles, fuse the rest and choose the codes",
        lambda target: [*tile_passes(target), *quantize_passes(target)],
    ),
    "tile-to-place": NamedPipeline(
        "Give tiles and buffers their sites and operations their slots", place_passes
    ),
    "place-to-machine": NamedPipeline(
        "Lower to chip instructions (analog) or timed tasks (pal)", machine_passes
    ),
}
