"""A model while it is drawn: its values so far, its nodes, and the choices left to make."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from .arrays import ALL, FLOAT32, KINDS, make_array, shapes
from .oracle import Refused, Value, compute, is_real

#: Elements of the largest tensor that a node may make.
LARGEST = 2048
#: Magnitude that finite floats may reach, by bytes of the element type.
HIGHEST = {2: 200.0, 4: 1e4, 8: 1e6}

#: Draws a node of one operator into a model.
Family = Callable[["ModelDraw", str], Any]
FAMILIES: dict[str, Family] = {}


def draws(*op_types: str) -> Callable[[Family], Family]:
    """Register the function that draws nodes of ``op_types``."""

    def register(family: Family) -> Family:
        FAMILIES.update(dict.fromkeys(op_types, family))
        return family

    return register


@dataclass(frozen=True, repr=False)
class RandomModel:
    """A valid model, its inputs, and each of its values by name as the oracle has them."""

    proto: onnx.ModelProto
    inputs: dict[str, np.ndarray]
    values: dict[str, Value]
    operators: Counter[str]
    refused: Counter[str]

    def __repr__(self) -> str:
        return onnx.printer.to_text(self.proto)

    @property
    def outputs(self) -> list[Value]:
        return [self.values[output.name] for output in self.proto.graph.output]


@dataclass
class ModelDraw:
    """The state of a draw.

    ``special`` lets NaN, infinities and extreme integers in, ``empty`` dimensions of size 0.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    opset: int
    special: bool = False
    empty: bool = False
    values: list[Value] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inputs: list[Value] = field(default_factory=list)
    initialisers: list[Value] = field(default_factory=list)
    operators: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    # -- choices

    def choose(self, options: Sequence[Any]) -> Any:
        """One of ``options``, the first being the simplest. Raises Refused where there is none."""
        if not len(options):
            raise Refused("nothing to choose from")
        return self.draw(st.sampled_from(list(options)))

    def number(self, low: int, high: int) -> int:
        """An integer, the lowest being the simplest. Raises Refused where there is none."""
        if low > high:
            raise Refused("no number to choose")
        return self.draw(st.integers(low, high))

    def chance(self, one_in: int) -> bool:
        """True once in ``one_in`` times, and never in the simplest model."""
        return self.number(0, one_in - 1) == one_in - 1

    def has(self, op_type: str, name: str) -> bool:
        """Whether the operator has an attribute of that name at this opset."""
        return name in onnx.defs.get_schema(op_type, self.opset).attributes

    def dtype(self, options: Iterable[np.dtype]) -> np.dtype:
        """An element type, float32 most of the time where it is an option."""
        options = list(options)
        if not options:
            raise Refused("no element type")
        if FLOAT32 in options and not self.chance(3):
            return FLOAT32
        return self.choose(options)

    def axis(self, rank: int) -> int:
        """An axis of a tensor of ``rank``, counted from either end."""
        if rank == 0:
            raise Refused("no axis")
        return self.number(-rank, rank - 1)

    def axes(self, rank: int, min_size: int = 0) -> list[int]:
        """Different axes in any order, each from either end."""
        found = self.draw(
            st.lists(st.integers(0, rank - 1), min_size=min_size, max_size=rank, unique=True)
            if rank
            else st.just([])
        )
        return [a - rank if self.chance(3) else a for a in found]

    # -- values

    def new(
        self,
        shape: Sequence[int],
        dtype: np.dtype = FLOAT32,
        kind: str | None = None,
        constant: bool | None = None,
    ) -> Value:
        """A new graph input or initialiser."""
        kind = kind or self.choose(KINDS)
        array = make_array(
            shape, dtype, kind, self.number(0, 999), special=self.special and kind != "positive"
        )
        return self.given(array, self.chance(2) if constant is None else constant)

    def given(self, array: np.ndarray, constant: bool = True) -> Value:
        """``array`` as an initialiser or graph input."""
        value = Value(f"v{len(self.values)}", np.asarray(array), constant=constant)
        (self.initialisers if constant else self.inputs).append(value)
        self.values.append(value)
        return value

    def pick(
        self,
        dtypes: Sequence[np.dtype] = ALL,
        min_rank: int = 0,
        max_rank: int = 4,
        fits: Callable[[Value], bool] = lambda value: True,
    ) -> Value:
        """A value of the model, the newest first; a new one if none fits or by chance."""
        found = [
            value
            for value in reversed(self.values)
            if value.dtype in dtypes and min_rank <= value.rank <= max_rank and fits(value)
        ]
        if found and not self.chance(4):
            return found[min(self.number(0, len(found) - 1), self.number(0, len(found) - 1))]
        shape = self.draw(shapes(min_rank, max_rank, empty=self.empty and self.chance(2)))
        value = self.new(shape, self.dtype(dtypes))
        if not fits(value):
            raise Refused("no operand")
        return value

    def like(self, value: Value, shape: Sequence[int], kind: str | None = None) -> Value:
        """An operand of that shape and the type of ``value``: one there is, or a new one."""
        shape = tuple(shape)
        found = [v for v in self.values if v.shape == shape and v.dtype == value.dtype]
        if found and kind is None and not self.chance(2):
            return self.choose(found[::-1])
        return self.new(shape, value.dtype, kind)

    def broadcast_with(self, value: Value, dtype: np.dtype | None = None) -> Value:
        """A value of ``dtype`` that broadcasts with ``value``: one there is, or a new one."""
        dtype = dtype or value.dtype
        found = [v for v in self.values if v.dtype == dtype and _broadcasts(v.shape, value.shape)]
        if found and not self.chance(3):
            return self.choose(found[::-1])
        shape = list(value.shape[self.number(0, value.rank) if self.chance(2) else 0 :])
        for i in range(len(shape)):
            if self.chance(4):
                shape[i] = 1
        return self.new(shape, dtype)

    def ints(self, numbers: Sequence[int] | int, dtype: Any = np.int64) -> Value:
        """Integers that tell a shape, axes and the like: mostly an initialiser."""
        return self.given(np.array(numbers, dtype), constant=not self.chance(12))

    # -- nodes

    def node(
        self,
        op_type: str,
        operands: Sequence[Value | None],
        n_outputs: int = 1,
        **attrs: Any,
    ) -> list[Value]:
        """Append a node and its results. Raises Refused when it cannot be run, or should not."""
        try:
            return self._append(op_type, operands, n_outputs, attrs)
        except Refused as reason:
            self.refused[op_type] += 1
            self.reasons[f"{op_type}: {str(reason)[:160]}"] += 1
            raise

    reasons: Counter[str] = field(default_factory=Counter)

    def _append(
        self,
        op_type: str,
        operands: Sequence[Value | None],
        n_outputs: int,
        attrs: Mapping[str, Any],
    ) -> list[Value]:
        first = len(self.values)
        node = helper.make_node(
            op_type,
            ["" if value is None else value.name for value in operands],
            [f"v{first + i}" for i in range(n_outputs)],
            name=f"n{len(self.nodes)}",
        )
        for name, x in attrs.items():
            if x is not None:
                node.attribute.append(helper.make_attribute(name, x))
        captured = [v for v in self.values if v.name in captured_names(node)]
        present = list({v.name: v for v in (*operands, *captured) if v is not None}.values())
        model = self.model([node], present, node.output, declare=False)
        try:
            inferred = onnx.shape_inference.infer_shapes(
                self._with_constants(model, present), check_type=True, strict_mode=True
            )
        except Exception as error:  # the checker's and the inference's own errors
            raise Refused(f"invalid: {' '.join(str(error).split())}") from None
        results = compute(model, present, seed=first)
        values = [
            Value(name, y, shadows) for name, (y, shadows) in zip(node.output, results, strict=True)
        ]
        for value in values:
            self._refuse_useless(value)
        for value, info in zip(values, inferred.graph.output, strict=True):
            self._refuse_contradiction(value, info)
        self.values += values
        self.nodes.append(node)
        self.operators[op_type] += 1
        return values

    def _refuse_useless(self, value: Value) -> None:
        if value.dtype not in ALL or value.array.size > LARGEST or value.rank > 6:
            raise Refused("too large")
        if not self.special and is_real(value.dtype):
            wide = np.abs(value.array.astype(np.float64))
            if not np.isfinite(wide).all() or wide.max(initial=0.0) > HIGHEST[value.dtype.itemsize]:
                raise Refused("large numbers")

    @staticmethod
    def _refuse_contradiction(value: Value, info: Any) -> None:
        """Where inference of onnx and the runtime disagree, no model can be declared."""
        kind = info.type.tensor_type
        if not kind.HasField("shape"):
            return
        dims = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
        fits = len(dims) == value.rank and all(
            d in (None, size) for d, size in zip(dims, value.shape, strict=True)
        )
        if not fits or kind.elem_type != helper.np_dtype_to_tensor_dtype(value.dtype):
            raise Refused("inference and runtime disagree")

    @staticmethod
    def _with_constants(model: onnx.ModelProto, operands: Sequence[Value]) -> onnx.ModelProto:
        """``model`` with its constant operands as initialisers, for shape inference."""
        full = onnx.ModelProto()
        full.CopyFrom(model)
        constant = {v.name: v for v in operands if v.constant}
        kept = [i for i in full.graph.input if i.name not in constant]
        del full.graph.input[:]
        full.graph.input.extend(kept)
        full.graph.initializer.extend(
            numpy_helper.from_array(v.array, name) for name, v in constant.items()
        )
        return full

    # -- the model

    def model(
        self,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[Value],
        outputs: Sequence[str],
        initialisers: Sequence[Value] = (),
        declare: bool = True,
    ) -> onnx.ModelProto:
        """A model of ``nodes``; ``declare`` gives the types of outputs and inner values."""
        known = {v.name: v for v in self.values}
        declared = [
            value_info(known[name]) if declare else helper.make_empty_tensor_value_info(name)
            for name in outputs
        ]
        inner = [known[n] for node in nodes for n in node.output if n in known and n not in outputs]
        graph = helper.make_graph(
            list(nodes),
            "random",
            [value_info(v) for v in inputs],
            declared,
            [numpy_helper.from_array(v.array, v.name) for v in initialisers],
            value_info=[value_info(v) for v in inner] if declare else [],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def finish(self) -> RandomModel:
        """The model: unread values are outputs, and some others by chance."""
        made = {name for node in self.nodes for name in node.output}
        read = {name for node in self.nodes for name in (*node.input, *captured_names(node))}
        outputs = [
            v.name
            for v in self.values
            if (v.name in made and (v.name not in read or self.chance(8)))
            or (v in self.inputs and self.chance(16))
        ]
        if len(outputs) > 1 and self.chance(4):  # nodes that nothing needs
            outputs.pop(0)
        proto = self.model(self.nodes, self.inputs, outputs, self.initialisers)
        return RandomModel(
            proto,
            {v.name: v.array for v in self.inputs},
            {v.name: v for v in self.values},
            self.operators,
            self.refused,
        )


def value_info(value: Value) -> onnx.ValueInfoProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(value.name, kind, value.shape)


def captured_names(node: onnx.NodeProto) -> set[str]:
    """Names that the node's graphs read from outside."""
    found: set[str] = set()
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            graph = attribute.g
            own = {v.name for v in (*graph.input, *graph.initializer)}
            own |= {name for inner in graph.node for name in inner.output}
            for inner in graph.node:
                found |= {n for n in (*inner.input, *captured_names(inner)) if n and n not in own}
            found |= {v.name for v in graph.output if v.name not in own}
    return found


def _broadcasts(a: Sequence[int], b: Sequence[int]) -> bool:
    try:
        return len(np.broadcast_shapes(tuple(a), tuple(b))) <= 5
    except ValueError:
        return False
