"""What accuracy is at risk where no samples have set the ranges of converters.

Without samples a range is four sigma of the sums of zero-mean Gaussian inputs. Inputs of one sign,
as behind a ReLU, are as common and make sums with a mean. Both kinds are drawn and multiplied as
the chip would, under the assumed range and under the one that samples of the second kind would have
set.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...backends.targets import MemcapTarget
from .adc_range import observed_adc_range
from .product import ProductOf

Array = NDArray[np.float32]

_ROWS = 64
_TILES = 4


@dataclass(frozen=True, slots=True)
class Risk:
    """SQNR of one matrix's products by converters alone, dB: inputs as assumed, of one sign, and of
    one sign with ranges from samples."""

    assumed_db: float
    one_sided_db: float
    calibrated_db: float


def estimate_risk(
    codes: NDArray[np.int8],
    scale: Array,
    tiles: NDArray[np.int32],
    adc_range: Array,
    target: MemcapTarget,
    product: ProductOf,
) -> Risk:
    """The risk of a matrix from at most ``_TILES`` of its tiles; arguments as in
    ``ProductOf``."""
    rng = np.random.default_rng(0)
    chosen = np.unique(np.linspace(0, len(tiles) - 1, _TILES).astype(int))
    power, errors = np.zeros(3), np.zeros(3)
    for group, row0, rows, col0, cols, full_scale in zip(
        *tiles[chosen].T, adc_range[chosen], strict=True
    ):
        block = codes[group : group + 1, row0 : row0 + rows, col0 : col0 + cols]
        part = scale[group : group + 1, col0 : col0 + cols]
        table = np.array([[0, 0, rows, 0, cols]], np.int32)
        gaussian = rng.standard_normal((1, _ROWS, rows)).astype(np.float32)
        positive = np.abs(gaussian)
        assumed = np.full(1, full_scale, np.float32)
        fitted = observed_adc_range(block, part, table, target, positive)
        cases = ((gaussian, assumed), (positive, assumed), (positive, fitted))
        for number, (x, ranges) in enumerate(cases):
            wanted = x @ (block * part[:, None])
            found = product(block, part, table, target, ranges)(x)
            power[number] += np.square(wanted, dtype=np.float64).sum()
            errors[number] += np.square(wanted - found, dtype=np.float64).sum()
    ratio = np.divide(power, errors, out=np.full(3, 1e30), where=errors > 0)
    return Risk(*(10 * np.log10(np.maximum(ratio, 1e-30))).round(1).tolist())
