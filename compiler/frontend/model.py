"""What the front end hands over: a model with static shapes, its constants taken out."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...dialects.elements import is_float, is_narrow
from ..weights import Constant, WeightStore

if TYPE_CHECKING:
    from onnx import NodeProto


class TensorSpec(NamedTuple):
    """The static shape and dtype of a value."""

    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(slots=True)
class Body:
    """A normalised subgraph of If, Loop or Scan; fields are those of LoadedModel.

    ``inputs`` are its formal inputs, ``outputs`` the values that it yields; captured values are
    used by the names that they have outside.
    """

    inputs: list[str]
    outputs: list[str]
    nodes: list["NodeProto"]
    specs: dict[str, TensorSpec]
    constants: dict[str, Constant]
    bodies: dict[str, tuple["Body", ...]]


@dataclass(slots=True)
class LoadedModel:
    """A checked ONNX model of the newest operator set, ready to become IR.

    ``nodes`` are in topological order and use no function that was to be opened; ``specs`` has
    every value they define or use. ``constants`` has the initialisers and folded values in use.
    ``outputs`` maps each output name to the value it shows (an input or a constant, too);
    ``bodies`` has the normalised subgraphs of control nodes, by the node's name, ``assumed_dims``
    the batch dimensions that nobody bound.
    """

    name: str
    opset: int
    inputs: dict[str, TensorSpec]
    outputs: dict[str, str]
    nodes: list["NodeProto"]
    specs: dict[str, TensorSpec]
    constants: dict[str, Constant]
    bodies: dict[str, tuple[Body, ...]] = field(default_factory=dict)
    assumed_dims: dict[str, int] = field(default_factory=dict)
    weights: WeightStore = field(default_factory=WeightStore)

    @property
    def parameters(self) -> int:
        """Elements of the constants in use that can be weights: floats and 8-bit codes.

        Wider integers are shapes, axes and indices.
        """
        return _parameters(self)


def _parameters(part: LoadedModel | Body) -> int:
    own = sum(c.size for c in part.constants.values() if _may_be_weight(c.dtype))
    return own + sum(_parameters(body) for bodies in part.bodies.values() for body in bodies)


def _may_be_weight(dtype: np.dtype) -> bool:
    """Floats and integers of at most 8 bits, not booleans."""
    return is_float(dtype) or is_narrow(dtype) or (dtype.kind in "iu" and dtype.itemsize == 1)
