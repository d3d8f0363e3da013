"""What passes share: the dialects, and the weights that the IR names.

A pass receives an xDSL context; under semc it is a :class:`CompilerContext`. Under stock
``xdsl-opt`` it is not, and a pass that needs values then finds an empty store.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.context import Context

from ..dialects import register_dialects
from .weights import WeightStore

if TYPE_CHECKING:
    from .quantize.calibration import MatrixStatistics
    from .quantize.product import ProductOf

#: Runs a network on samples; see ``CompilerContext.network``.
Network = Callable[[Callable[..., np.ndarray | None] | None], list[np.ndarray]]


@dataclass
class CompilerContext(Context):
    """An xDSL context with the weight store of the model being compiled.

    ``calibration`` holds what calibration runs showed, by weight name of ``tile.program``.
    ``product`` prepares what the chip makes of inputs; None where nobody gave it.
    ``network`` runs the module's float arithmetic on a few calibration samples, with another
    product for ``tile.mvm`` where its argument, a function of the op and x, gives one, and returns
    the outputs of all; None without samples.
    ``notes`` holds what the passes found out about each matrix, by the same name, for reports.
    ``unchanged`` is set by a pass that left the module as it was, which then needs no verification.
    """

    weights: WeightStore = field(default_factory=WeightStore)
    calibration: "Mapping[str, MatrixStatistics]" = field(default_factory=dict)
    product: "ProductOf | None" = None
    network: Network | None = None
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)
    unchanged: bool = False

    def clone(self) -> "CompilerContext":
        """A context of its own dialects over the same weights."""
        copy = CompilerContext(weights=self.weights, calibration=self.calibration, notes=self.notes)
        copy.product, copy.network = self.product, self.network
        copy.__dict__.update(super().clone().__dict__)
        return copy


def new_context(
    weights: WeightStore | None = None, *, allow_unregistered: bool = False
) -> CompilerContext:
    """A context that knows every dialect of the compiler (none of ours is imported yet)."""
    ctx = CompilerContext(allow_unregistered, weights=WeightStore() if weights is None else weights)
    register_dialects(ctx)
    return ctx


def weights_of(ctx: Context) -> WeightStore:
    """The weight store that came with ``ctx``."""
    return ctx.weights if isinstance(ctx, CompilerContext) else WeightStore()


def say_unchanged(ctx: Context) -> None:
    """Say, at the end of a pass, that it left the module as it was."""
    if isinstance(ctx, CompilerContext):
        ctx.unchanged = True


def calibration_of(ctx: Context) -> "Mapping[str, MatrixStatistics]":
    """The calibration statistics that came with ``ctx``; none without a calibration."""
    return ctx.calibration if isinstance(ctx, CompilerContext) else {}


def product_of(ctx: Context) -> "ProductOf | None":
    """The chip's product that came with ``ctx``."""
    return ctx.product if isinstance(ctx, CompilerContext) else None


def note_of(ctx: Context, matrix: str) -> dict[str, Any]:
    """Where a pass writes what it found out about ``matrix`` (a name of ``tile.program``)."""
    return ctx.notes.setdefault(matrix, {}) if isinstance(ctx, CompilerContext) else {}
