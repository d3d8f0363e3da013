"""What the front end hands over: a model with static shapes, its constants taken out."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..weights import Constant, WeightStore

if TYPE_CHECKING:
    from onnx import NodeProto


class TensorSpec(NamedTuple):
    """The static shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(slots=True)
class LoadedModel:
    """A checked ONNX model of the newest operator set, ready to become IR.

    ``nodes`` are in topological order and use no function that was to be opened; ``specs`` has
    every value they define or use. ``constants`` has the initialisers and folded values in use.
    ``outputs`` maps each output name to the value it shows (an input or a constant, too).
    """

    name: str
    opset: int
    inputs: dict[str, TensorSpec]
    outputs: dict[str, str]
    nodes: list["NodeProto"]
    specs: dict[str, TensorSpec]
    constants: dict[str, Constant]
    weights: WeightStore = field(default_factory=WeightStore)

    @property
    def parameters(self) -> int:
        """Elements of the constants in use that can be weights: floats and 8-bit codes.

        Wider integers are shapes, axes and indices.
        """
        constants = self.constants.values()
        return sum(c.size for c in constants if _may_be_weight(c.dtype))


def _may_be_weight(dtype: np.dtype) -> bool:
    """Floats (bfloat16 has kind V) and 8-bit integers, not booleans."""
    return dtype.kind in "fV" or (dtype.kind in "iu" and dtype.itemsize == 1)
