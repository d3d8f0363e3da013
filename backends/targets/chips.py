"""Several chips of one target in a chain: their names, and where their sites are.

Layers are counted through: layer ``l`` of chip ``c`` is ``c * stack.layers + l``, and so is its
controller. What a chip has one of has the chip's name before its own, but for the first chip:
``sram``, ``chip1.sram``, ``chip2.vector``. Neighbours in the chain have a link (``chip_link``).
"""

import re

import numpy as np

from .memcap import MemcapTarget

#: Chips that a program may span.
MOST_CHIPS = 128
_ON_CHIP = re.compile(r"chip([1-9][0-9]{0,8})\.(.+)")


def on_chip(chip: int, name: str) -> str:
    """The name of a memory or unit of ``chip``."""
    return f"chip{chip}.{name}" if chip else name


def split_name(name: str) -> tuple[int, str]:
    """The chip and the plain name of a memory or unit; the inverse of ``on_chip``."""
    found = _ON_CHIP.fullmatch(name)
    return (int(found[1]), found[2]) if found else (0, name)


def own_sites(sites: np.ndarray, target: MemcapTarget) -> np.ndarray:
    """``sites`` [T, 3 or 5] with layers of one stack, chips side by side in further rows.

    So each array has devices of its own, and vias and heat of its place in its stack.
    """
    stack = target.stack
    chip, layer = np.divmod(sites[:, 0], stack.layers)
    own = np.array(sites)
    own[:, 0] = layer
    own[:, 1] += (chip * stack.grid_rows).astype(own.dtype)
    return own


def within_chip(sites: np.ndarray, layers: int) -> np.ndarray:
    """``sites`` [n, 3 or more] with the layer counted in its own chip of ``layers``."""
    out = np.array(sites)
    out[:, 0] %= layers
    return out
