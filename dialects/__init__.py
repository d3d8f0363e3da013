"""The levels of the compiler, in order: onnx, graph, tile, place, then analog or pal.

Dialects are registered by name and imported when text or a pass first needs one.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from xdsl.context import Context
    from xdsl.ir import Dialect

#: xDSL's own dialects that the levels build on, and the object that holds each.
STOCK_DIALECTS = {
    "builtin": "Builtin",
    "func": "Func",
    "arith": "Arith",
    "math": "Math",
    "scf": "Scf",
}

#: Our levels, in lowering order, and the object in the module of the same name.
LEVELS = {
    "onnx": "Onnx",
    "graph": "Graph",
    "tile": "Tile",
    "place": "Place",
    "analog": "Analog",
    "pal": "Pal",
}


def register_dialects(ctx: Context) -> None:
    """Make every dialect of the compiler known to ``ctx``; none but builtin is imported yet."""
    for name, symbol in STOCK_DIALECTS.items():
        ctx.register_dialect(name, partial(_load, f"xdsl.dialects.{name}", symbol))
    for name, factory in level_factories().items():
        ctx.register_dialect(name, factory)
    ctx.load_registered_dialect("builtin")


def level_factories() -> dict[str, Callable[[], Dialect]]:
    """A function per level that imports its dialect."""
    return {name: partial(_load, f"{__name__}.{name}", symbol) for name, symbol in LEVELS.items()}


def _load(module: str, symbol: str) -> Dialect:
    # The onnx dialect is made from the operator schemas on demand, so it may be a function.
    found = getattr(import_module(module), symbol)
    return found() if callable(found) else found
