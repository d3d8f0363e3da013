"""The product of one stored matrix as the chip computes it, without a program around it.

The compiler imports no executor; whoever calls it hands this function over, as it does with the
interpreter (``compiler.driver.CompileOptions.product``).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget

Array = NDArray[np.float32]


def quantized_product(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    target: MemcapTarget,
    adc_range: Array,
    input_scale: float | None = None,
    adc_bits: int | None = None,
) -> Callable[[Array], Array]:
    """The function that takes ``x [G, P, K]`` through the arrays to float32 ``[G, P, N]``.

    The arguments are those of ``prepare_matrix`` and ``run_matrix``; no site matters in quantized
    mode.
    """
    # Late: the compiled loops behind it are needed only where there are samples.
    from .crossbar import prepare_matrix, run_matrix

    sites = np.zeros((len(tiles), 3), np.int32)
    prepared = prepare_matrix(
        codes, scale, tiles, sites, target, "quantized", 0, adc_range, adc_bits=adc_bits
    )
    return lambda x: run_matrix(prepared, x, input_scale)
