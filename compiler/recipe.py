"""The standard way down, one pass a line: read by the driver and by the named pipelines.

Each stage takes the name (or file) of a target and lists its passes; what differs between the
machines is said here and nowhere else.
"""

from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Quantization:
    """How matrices get ranges and codes."""

    ranges: str = "mse"
    """``mse``, ``minmax`` or ``percentile[:P]`` (``quantize/range_method.py``)."""
    rounding: str = "nearest"
    """``nearest`` or ``compensated``."""
    energy_budget: float | None = None
    """Share of the arrays' energy that converters of assigned resolutions may take."""
    min_sqnr_db: float | None = None
    """SQNR of the outputs that assigned resolutions must leave."""
    sensitivity: bool = False
    """Whether to measure what each matrix's converters do to the outputs."""
    dynamic_inputs: bool = False
    """Whether the chip finds the range of each input vector while running, samples or not."""

    @property
    def needs_samples(self) -> bool:
        """Whether anything is asked for that only calibration samples tell."""
        budgets = self.energy_budget, self.min_sqnr_db
        return self.sensitivity or budgets != (None, None)


def quantize_passes(target: str, options: Quantization | None = None) -> "list[ModulePass]":
    """Codes and ranges of the matrices, on machines with arrays."""
    from .passes.assign_precision import AssignPrecision
    from .passes.choose_converter_ranges import ChooseConverterRanges
    from .passes.choose_input_ranges import ChooseInputRanges
    from .passes.compute_nonfinite_digitally import ComputeNonfiniteDigitally
    from .passes.correct_bias import CorrectBias
    from .passes.prove_lossless import ProveLossless
    from .passes.round_weights import RoundWeights
    from .quantize.range_method import RangeMethod

    if not _has_arrays(target):
        return []
    options = Quantization() if options is None else options
    method = RangeMethod.parse(options.ranges)
    assign = AssignPrecision(target, options.energy_budget, options.min_sqnr_db)
    inputs = ChooseInputRanges(target, method.name, method.share)
    return [
        ComputeNonfiniteDigitally(),
        *([] if options.dynamic_inputs else [inputs]),
        RoundWeights(target, options.rounding),
        *([assign] if options.needs_samples else []),
        ChooseConverterRanges(target, method.name, method.share),
        ProveLossless(target),
        CorrectBias(target),
    ]


@dataclass(frozen=True)
class Pin:
    """The ``site`` (layer, row, col) of one ``tile`` of an ONNX node's matrix."""

    node: str
    site: tuple[int, int, int]
    tile: int = 0


def place_passes(
    target: str,
    on_overflow: str = "error",
    effort: int = 1,
    seed: int = 0,
    copies: int = 0,
    pins: Sequence[Pin] = (),
) -> "list[ModulePass]":
    """tile to place: ``pins`` are fixed positions, ``copies`` how many of a matrix there may be (0:
    as many as pay), the other options those of ``place-tiles``."""
    from .passes.assign_devices import AssignDevices
    from .passes.check_placement import CheckPlacement
    from .passes.convert_tile_to_place import ConvertTileToPlace
    from .passes.estimate_heat import EstimateHeat
    from .passes.fix_tile import FixTile
    from .passes.fuse_windows import FuseWindows
    from .passes.place_tiles import PlaceTiles
    from .passes.replicate_matrices import ReplicateMatrices
    from .passes.stream_rows import StreamRows
    from .passes.use_channels_last import UseChannelsLast

    assign: list[ModulePass] = [AssignDevices(target=target)]
    arrays = _has_arrays(target)
    if arrays:
        assign = [
            UseChannelsLast(target),
            FuseWindows(),
            StreamRows(target, copies=int(copies)),
            ReplicateMatrices(target, int(copies)),
            PlaceTiles(target, on_overflow, int(effort), int(seed)),
        ]
    return [
        *(FixTile(pin.node, pin.site, pin.tile) for pin in pins),
        *assign,
        ConvertTileToPlace(target=target),
        *([EstimateHeat(target=target)] if arrays else []),
        CheckPlacement(),
    ]


def machine_passes(target: str) -> "list[ModulePass]":
    """place to what the machine's backend reads."""
    from .passes.convert_place_to_analog import ConvertPlaceToAnalog
    from .passes.convert_place_to_pal import ConvertPlaceToPal
    from .passes.correct_columns import CorrectColumns

    if not _has_arrays(target):
        return [ConvertPlaceToPal(target=target)]
    return [ConvertPlaceToAnalog(), CorrectColumns(target=target)]


def _has_arrays(target: str) -> bool:
    from ..backends.targets import MemcapTarget, load_target

    return isinstance(load_target(target), MemcapTarget)


@dataclass(frozen=True, slots=True)
class NamedPipeline:
    """A stage under a name for ``semc opt``: ``passes(target, **options)``, the options by name."""

    summary: str
    passes: "Callable[..., list[ModulePass]]"
    options: tuple[str, ...] = ()


PIPELINES: dict[str, NamedPipeline] = {
    "onnx-to-graph": NamedPipeline(
        "Decompose ONNX operators into the core operations", graph_passes
    ),
    "graph-to-tile": NamedPipeline(
        "Cut matrices into tiles, fuse the rest and choose the codes",
        lambda target: [*tile_passes(target), *quantize_passes(target)],
    ),
    "quantize-matrices": NamedPipeline(
        "Choose the codes of stored matrices and the ranges of inputs and converters",
        lambda target, **options: quantize_passes(target, Quantization(**options)),
        ("ranges", "rounding"),
    ),
    "tile-to-place": NamedPipeline(
        "Give tiles and buffers their sites and operations their slots",
        place_passes,
        ("on_overflow", "effort", "seed", "copies"),
    ),
    "place-to-machine": NamedPipeline(
        "Lower to chip instructions (analog) or timed tasks (pal)", machine_passes
    ),
}
