"""The chip's product of one stored matrix, a function that whoever calls the compiler hands over.

The compiler imports no executor; ``runtime.execute.quantized_product`` is that function.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget

Array = NDArray[np.float32]


class Product(Protocol):
    """``x [G, P, K]`` to ``[G, P, N]``."""

    def __call__(self, x: Array, /) -> Array: ...


class ProductOf(Protocol):
    """Prepares the product of a matrix in quantized mode."""

    def __call__(
        self,
        codes: NDArray[np.int8],
        scale: Array,
        tiles: NDArray[np.int32],
        target: MemcapTarget,
        adc_range: Array,
        input_scale: float | None = None,
        adc_bits: int | None = None,
    ) -> Product: ...
