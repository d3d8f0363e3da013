"""What the programs of both machines are built from: buffers, ports, stored arrays, manifest.

An emitter hands over the buffers of ``func.func @main`` in order and the arrays that its own tables
refer to; ``build`` adds the tables and makes the program.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue

from .. import __version__
from ..dialects import place
from ..dialects.attributes import WeightAttr, node_names
from ..dialects.elements import plain_dtype
from ..dialects.types import dense_array, dtype_of, element_name, shape_of
from .program import Lazy, Program, Section
from .tables import BufferEntry, Names, encode_buffers, encode_constants
from .targets import Target, target_to_dict


class WeightSource(Protocol):
    """Stored arrays by name, with shape and type known without reading them."""

    def __contains__(self, name: object, /) -> bool: ...
    def __getitem__(self, name: str, /) -> np.ndarray: ...
    def shape(self, name: str) -> tuple[int, ...]: ...
    def dtype(self, name: str) -> np.dtype: ...
    def is_absent(self, name: str) -> bool: ...


class StoredArrays:
    """Sections ``kind.n``, numbered by kind; an array of the weight store becomes one once."""

    def __init__(self, weights: WeightSource) -> None:
        self.sections: dict[str, Section] = {}
        self._weights = weights
        self._counts: dict[str, int] = {}
        self._known: dict[tuple[str, str], int] = {}

    def add(self, kind: str, values: Section) -> int:
        """The number of a new section."""
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        self.sections[f"{kind}.{number}"] = values
        return number

    def number(self, kind: str, weight: WeightAttr | None) -> int:
        """The number of the section with the values of ``weight``; -1 when there are none."""
        if weight is None or weight.data not in self._weights:
            return -1
        name, source = weight.data, self._weights
        if source.is_absent(name):
            return -1
        if (kind, name) not in self._known:
            stored = plain_dtype(source.dtype(name))
            values = Lazy(tuple(source.shape(name)), stored, lambda: source[name].view(stored))
            self._known[kind, name] = self.add(kind, values)
        return self._known[kind, name]


class ProgramBuilder:
    """Collects names, buffers with their constants and ports, and stored arrays.

    ``numbers`` gives the number of what each SSA value stands for; emitters add their own values.
    """

    def __init__(self, weights: WeightSource) -> None:
        self.names = Names()
        self.arrays = StoredArrays(weights)
        self.numbers: dict[SSAValue, int] = {}
        self._buffers: list[BufferEntry] = []
        self._fills: list[tuple[int, int]] = []
        self._literals: dict[tuple[bytes, np.dtype], int] = {}
        self._ports: dict[str, list[dict[str, Any]]] = {"input": [], "output": []}

    def add_alias(self, op: place.AliasOp) -> None:
        """Take a range of a buffer."""
        source = self.numbers[op.source]
        whole = self._buffers[source]
        self._entry(op, whole.memory, whole.offset + op.offset.value.data, source)

    def add_buffer(self, op: place.BufferOp) -> None:
        """Take a buffer, with what fills it and the port it is."""
        number = self._entry(op, op.memory.data, op.offset.value.data)
        if op.init is not None:
            self._fills.append((number, self.arrays.number("constant", op.init)))
        if op.literal is not None:
            values = np.ascontiguousarray(dense_array(op.literal)).reshape(-1)
            key = (values.tobytes(), values.dtype)
            if key not in self._literals:
                stored = values.view(plain_dtype(values.dtype))
                self._literals[key] = self.arrays.add("constant", stored)
            self._fills.append((number, self._literals[key]))
        if op.port is not None:
            kind, _, name = op.port.data.partition(":")
            entry = self._buffers[number]
            element = element_name(entry.dtype)
            port = {"name": name, "shape": list(entry.shape), "dtype": element, "buffer": number}
            self._ports[kind].append(port)

    def build(
        self,
        main: func.FuncOp,
        target: Target,
        tables: Mapping[str, Section],
        manifest_extra: Mapping[str, Any] | None = None,
    ) -> Program:
        """The program of all that was added, and of the machine's own ``tables``.

        Ports are in the order that ``main`` names them in, which is the model's; ``manifest_extra``
        adds to the manifest (model, options, stats).
        """
        manifest = {
            "semc": __version__,
            "machine": target.machine,
            "target": target_to_dict(target),
            "model": {},
            "options": {},
            "stats": {},
            **(manifest_extra or {}),
            "inputs": _in_order(self._ports["input"], main.attributes.get("input_names")),
            "outputs": _in_order(self._ports["output"], main.attributes.get("output_names")),
        }
        sections = {
            **tables,
            **encode_buffers(self._buffers, self.names),
            **encode_constants(self._fills),
            **self.names.encode(),
            **self.arrays.sections,
        }
        return Program(manifest, sections)

    def _entry(
        self,
        op: place.BufferOp | place.AliasOp,
        memory: str,
        offset: int,
        source: int | None = None,
    ) -> int:
        assert isinstance(op.result.type, place.BufferType)
        value = op.attributes.get("value")
        name = value.data if isinstance(value, StringAttr) else None
        tensor = op.result.type.tensor
        entry = BufferEntry(memory, offset, dtype_of(tensor), shape_of(tensor), name, source)
        number = self.numbers[op.result] = len(self._buffers)
        self._buffers.append(entry)
        return number


def _in_order(ports: list[dict[str, Any]], names: Attribute | None) -> list[dict[str, Any]]:
    """``ports`` as ``names`` lists them; as they are in IR without names."""
    listed = (
        [name.data for name in names if isinstance(name, StringAttr)]
        if isinstance(names, ArrayAttr)
        else []
    )
    place_of = {name: place for place, name in enumerate(listed)}
    return sorted(ports, key=lambda port: place_of.get(port["name"], len(listed)))


def node_of(op: Operation) -> str | None:
    """The ONNX node of an instruction or task: its property, else its location."""
    node = getattr(op, "node", None)
    if node is not None:
        return str(node.data)
    return " + ".join(node_names(op)) or None
