"""MelWeightMatrix: triangular filters over the bins of a spectrum, one for each mel band.

The result's shape tells the numbers of bins and bands; the edges may be computed while running.
"""

from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from ..graph_builder import GraphBuilder
from ..lowering import OnnxNode, lowers
from ..traced_formula import map_formula

F64 = np.float64


@lowers("MelWeightMatrix")
def lower_mel_weight_matrix(b: GraphBuilder, node: OnnxNode) -> SSAValue:
    """Band i rises from edge i to edge i + 1 and falls to edge i + 2, where edges are bins."""
    bins, bands = node.out_shape
    operands = [b.reshape(node.required(i), ()) for i in range(1, 5)]

    def edge(number: Any, length: Any, rate: Any, lowest: Any, highest: Any) -> Any:
        low, high = _mel(lowest.astype(F64)), _mel(highest.astype(F64))
        mel = low + number * ((high - low) / (bands + 2.0))
        hertz = 700.0 * (np.power(10.0, mel / 2595.0) - 1.0)
        return np.floor((length.astype(F64) + 1.0) * hertz / rate.astype(F64))

    numbers = b.constant(np.arange(bands + 2, dtype=F64), "edges")
    edges = map_formula(b, edge, numbers, *operands)
    left, centre, right = (b.slice_axis(edges, 0, start, bands) for start in range(3))
    bin_numbers = b.constant(np.arange(bins, dtype=F64).reshape(bins, 1), "bins")
    return map_formula(b, _triangle, bin_numbers, left, centre, right, dtype=node.out_dtype)


def _mel(hertz: Any) -> Any:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _triangle(place: Any, left: Any, centre: Any, right: Any) -> Any:
    """1 at the centre, 0 at the left and right edges; bins are whole numbers."""
    rise, fall = centre - left, right - centre
    rising = np.where((place >= left) & (place < centre), (place - left) / rise, 0.0)
    falling = np.where((place > centre) & (place < right), (right - place) / fall, rising)
    return np.where(place == centre, 1.0, falling)
