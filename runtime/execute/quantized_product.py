"""One product of a stored matrix as the chip computes it, without a program around it.

The compiler imports no executor; whoever calls it hands this function over, as it does with the
interpreter (``compiler.driver.CompileOptions.product``).
"""

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from .crossbar import prepare_matrix, run_matrix

Array = NDArray[np.float32]


def quantized_product(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    target: MemcapTarget,
    adc_range: Array,
    x: Array,
    input_scale: float | None = None,
    adc_bits: int | None = None,
) -> Array:
    """``x [G, P, K]`` times the matrix in quantized mode, float32 ``[G, P, N]``.

    The arguments are those of ``prepare_matrix`` and ``run_matrix``; no site matters here.
    """
    sites = np.zeros((len(tiles), 3), np.int32)
    prepared = prepare_matrix(
        codes, scale, tiles, sites, target, "quantized", 0, adc_range, adc_bits=adc_bits
    )
    return run_matrix(prepared, x, input_scale)
