"""The strategy: random valid models."""

from random import Random

import onnx
from hypothesis import strategies as st

from . import (  # noqa: F401  (each registers its operators)
    ops_control,
    ops_elementwise,
    ops_indexing,
    ops_linear,
    ops_movement,
    ops_quantized,
    ops_reduction,
)
from .model_draw import FAMILIES, ModelDraw, RandomModel
from .oracle import Refused

OLDEST = 7
NEWEST = onnx.defs.onnx_opset_version()
#: Operator sets that exporters write; the others come up now and then.
USUAL = (21, 17, 13, 20, 23, 18, 11, NEWEST)

#: Operators that one model draws from.
SWARM = 12


@st.composite
def models(draw: st.DrawFn, max_nodes: int = 30, op_types: tuple[str, ...] = ()) -> RandomModel:
    """A valid model of 1 to about ``max_nodes`` nodes, of the operators in ``op_types`` (all)."""
    opset = draw(st.sampled_from([*USUAL, *range(OLDEST, NEWEST)]))
    g = ModelDraw(
        draw,
        opset,
        special=draw(st.integers(0, 7)) == 7,
        empty=draw(st.integers(0, 7)) == 7,
    )
    known = [name for name in op_types or sorted(FAMILIES) if _exists(name, opset)]
    # a few operators a model, so that they meet each other more often than by chance
    known = Random(draw(st.integers(0, 2**32 - 1))).sample(known, min(SWARM, len(known)))
    for _ in range(draw(st.integers(1, max_nodes))):
        op_type = draw(st.sampled_from(known))
        try:
            FAMILIES[op_type](g, op_type)
        except Refused:
            continue
    if not g.nodes:
        g.node("Identity", [g.new([2], constant=False)])
    return g.finish()


def _exists(op_type: str, opset: int) -> bool:
    return onnx.defs.has(op_type, opset) and not onnx.defs.get_schema(op_type, opset).deprecated
