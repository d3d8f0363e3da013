"""One pass over the nodes that gives every value a static type and leaves only real work.

Node by node, in order: a node of constants is evaluated, Identity and inference-time Dropout
disappear, a conditional with a known condition becomes its branch, functions without a lowering of
their own are opened, and for the rest onnx's shape inference of that one node is asked, with the
values of small constant operands. Since shapes are numbers by now, one pass is enough.

If, Loop and Scan keep their subgraphs, which are normalised alike (``bodies``).

Nodes around a value without a static type (a shape that depends on data, a sequence, a string) are
gathered into one host subgraph each; only the values that leave it need a static type.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...dialects.types import onnx_type_of
from ...errors import ModelError
from ..weights import Constant, Deferred, unique_name
from .body_writer import write_body, written_body
from .check_model import MAX_NODES, first_line
from .check_operands import check_operands, check_range
from .control_bodies import CONTROL_OPERATORS, captured_specs, check_scan, control_bodies
from .convert_attributes import tensor_proto
from .fold_constants import fold_node
from .gather_host_nodes import gather_host_nodes
from .look_through_pads import is_plain_pad, is_readable, read_through_pad
from .model import Body, TensorSpec
from .open_functions import has_body, open_function
from .pack_ports import UNPACK, is_port_node, port_type
from .remove_dead_nodes import remove_dead_nodes
from .rename_values import rename_uses, subgraphs_of, used_names
from .small_constants import constant_value, small_constant, small_constants
from .static_types import check_size, declared_specs, no_type, spec_of

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto, TypeProto
    from onnx.defs import OpSchema

_DATA_ELEMENTS = 1024  # constants up to this size are shown to shape inference

Keep = Callable[[str, str], bool]
_Opened = tuple[list["NodeProto"], dict[str, Constant]]


class Normalizer:
    """The state of the pass; see ``run``.

    ``declared`` has types that the model states: they are believed where inference cannot tell.
    ``imply()`` gives what follows from them for other values, and is asked last.
    ``keep(domain, op_type)`` says which operators with a function body have their own lowering.
    """

    def __init__(
        self,
        opsets: Mapping[str, int],
        inputs: Mapping[str, TensorSpec],
        constants: Mapping[str, Constant],
        declared: Mapping[str, TensorSpec],
        keep: Keep,
        imply: Callable[[], Mapping[str, TensorSpec]] = dict,
    ) -> None:
        from onnx import OperatorSetIdProto

        self.opsets = dict(opsets)
        self.opset = self.opsets[""]
        self._imports = [OperatorSetIdProto(domain=d, version=v) for d, v in opsets.items()]
        self.declared = declared
        self.keep = keep
        self._imply = cache(imply)
        self.specs: dict[str, TensorSpec] = dict(inputs)
        self.constants: dict[str, Constant] = {}
        self.aliases: dict[str, str] = {}
        self.nodes: list[NodeProto] = []
        self.bodies: dict[str, tuple[Body, ...]] = {}
        self._loose: list[NodeProto] = []
        # Values without a static type, each with the fault that says where that began.
        self._unknown: dict[str, ModelError] = {}
        self._pads: dict[str, NodeProto] = {}  # makers of some of them
        self._types: dict[str, TypeProto] = {}
        self._data: dict[str, TensorProto] = {}
        self._inferred: dict[object, list[TypeProto | None]] = {}
        self._names: set[str] = set()
        self._named: dict[int, NodeProto] = {}
        self._counts: dict[str, int] = {}
        for name, constant in constants.items():
            self._define_constant(name, constant)

    def run(self, nodes: Iterable["NodeProto"], wanted: Iterable[str]) -> None:
        """Process ``nodes``; raises one ModelError for all ``wanted`` values without a type."""
        self._process(nodes)
        outputs = [self.resolve(name) for name in wanted]
        faults = list(dict.fromkeys(self._unknown[n] for n in outputs if n in self._unknown))
        if len(faults) == 1:
            raise faults[0]
        if faults:
            raise ModelError(
                f"{faults[0].message} (and {len(faults) - 1} more values)",
                where=faults[0].where,
                help=faults[0].help,
                faults=faults,
            )
        if self._loose:
            self.nodes = gather_host_nodes(self.nodes, self._loose, self._unknown, outputs)

    def _process(self, nodes: Iterable["NodeProto"]) -> None:
        pending = deque(nodes)
        while pending:
            replacement = self._visit(pending.popleft())
            pending.extendleft(reversed(replacement))
            if len(self.nodes) + len(pending) > MAX_NODES:
                raise ModelError(f"a model must have at most {MAX_NODES} nodes after opening")

    def resolve(self, name: str) -> str:
        """The value that ``name`` stands for after Identity nodes are gone."""
        return self.aliases.get(name, name)

    def _visit(self, node: "NodeProto") -> list["NodeProto"]:
        """Handle one node; returns nodes to handle in its place."""
        self._give_name(node)
        reads = used_names(node)
        if not self.aliases.keys().isdisjoint(reads):
            rename_uses(node, _Aliases(self.aliases, reads))
            reads = used_names(node)
        for name in reads:
            if name not in self.specs and name not in self._unknown:
                raise ModelError(f"every value must be defined, {name!r} is not", where=node.name)
        if any(name in self._unknown for name in reads):
            if self._is_read_of_pad(node):
                return self._read_through_pad(node)
            self._append(node, self._infer_loosely(node))
            return []
        if self._is_forwarding(node):
            self._forward(node)
            return []
        if node.op_type == "If" and node.domain == "" and node.input[0] in self.constants:
            return self._take_branch(node)
        if node.op_type == "Constant" and node.domain == "":
            value = constant_value(node)
            if value is None:
                self._append(node, [None])
            else:
                self._define_constant(node.output[0], value)
            return []
        squeezed = self._squeeze_range(node)
        if squeezed:
            return [*squeezed, node]
        specs = self._control(node) or self._infer(node)
        if node.op_type in ("Shape", "Size") and node.domain == "":
            return self._fold_shape(node)
        constants = [self.constants.get(name) if name else None for name in node.input]
        if all(c is not None or not name for c, name in zip(constants, node.input, strict=True)):
            folded = fold_node(node, constants, specs, self.opset)
            if folded is not None:
                for name, constant in zip(node.output, folded, strict=True):
                    if name:
                        self._define_constant(name, constant)
                return []
        if not self._open(node, specs):
            self._append(node, specs)
        return []

    def _give_name(self, node: "NodeProto") -> None:
        if not node.name:
            index = self._counts.get(node.op_type, 0)
            self._counts[node.op_type] = index + 1
            node.name = f"{node.op_type}_{index}"
        if id(node) not in self._named:
            node.name = unique_name(node.name, self._names)
            self._names.add(node.name)
            self._named[id(node)] = node

    # -- nodes that vanish

    def _is_forwarding(self, node: "NodeProto") -> bool:
        if node.domain != "":
            return False
        if node.op_type == "Dropout":
            training = self.constants.get(node.input[2]) if len(node.input) > 2 else None
            given = len(node.input) > 2 and node.input[2] != ""
            return not given or (isinstance(training, np.ndarray) and not bool(training))
        return node.op_type == "Identity"

    def _forward(self, node: "NodeProto") -> None:
        self._alias(node.output[0], node.input[0])
        if len(node.output) > 1 and node.output[1]:
            shape = self.specs[node.input[0]].shape
            self._define_constant(node.output[1], np.broadcast_to(np.True_, shape))

    def _alias(self, name: str, value: str) -> None:
        self.aliases[name] = value
        self.specs[name] = self.specs[value]
        if value in self.constants:
            self.constants[name] = self.constants[value]

    def _take_branch(self, node: "NodeProto") -> list["NodeProto"]:
        """If with a known condition -> the nodes of its branch and one Identity per output."""
        from onnx import helper

        condition = self.constants[node.input[0]]
        if not isinstance(condition, np.ndarray) or condition.size != 1:
            raise ModelError("the condition of If must be one bool", where=node.name)
        wanted = "then_branch" if bool(condition.reshape(())) else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == wanted)
        names = {
            name: f"{node.name}/{name}"
            for name in (
                *(t.name for t in branch.initializer),
                *(name for inner in branch.node for name in inner.output if name),
            )
        }
        for tensor in branch.initializer:
            self._define_constant(names[tensor.name], small_constant(tensor))
        nodes = []
        for inner in branch.node:
            rename_uses(inner, names)
            for position, output in enumerate(inner.output):
                inner.output[position] = names.get(output, output)
            nodes.append(inner)
        for value, output in zip(branch.output, node.output, strict=False):
            if output:
                source = names.get(value.name, value.name)
                nodes.append(helper.make_node("Identity", [source], [output]))
        return nodes

    def _squeeze_range(self, node: "NodeProto") -> list["NodeProto"]:
        """Range wants scalars; ONNX's own function bodies give it tensors of one element."""
        from onnx import helper

        squeezed = []
        if node.op_type == "Range" and node.domain == "":
            for position, name in enumerate(node.input):
                if self.specs[name].shape == (1,):
                    scalar = f"{node.name}/scalar_{position}"
                    squeezed.append(helper.make_node("Squeeze", [name], [scalar]))
                    node.input[position] = scalar
        return squeezed

    def _fold_shape(self, node: "NodeProto") -> list["NodeProto"]:
        shape = self.specs[node.input[0]].shape
        if node.op_type == "Size":
            value = np.array(math.prod(shape), np.int64)
        else:
            bounds = {a.name: a.i for a in node.attribute}
            value = np.array(shape[bounds.get("start", 0) : bounds.get("end")], np.int64)
        self._define_constant(node.output[0], value)
        return []

    def _is_read_of_pad(self, node: "NodeProto") -> bool:
        if not is_readable(node) or node.input[0] not in self._pads:
            return False
        return not any(name in self._unknown for name in node.input[1:])

    def _read_through_pad(self, node: "NodeProto") -> list["NodeProto"]:
        pad = self._pads[node.input[0]]
        starts = self.specs[node.input[1]].shape[0] if len(node.input) > 1 else 0
        return read_through_pad(node, pad, self.specs[pad.input[0]].shape, starts)

    # -- functions

    def _open(self, node: "NodeProto", specs: list[TensorSpec | None]) -> bool:
        """Put the nodes of a function's body in the place of ``node``.

        All or nothing: where a value of the body would have no static type, although the operator
        as a whole has one, nothing is changed and the operator stays for the host.
        """
        body = self._body_of(node)
        if body is None:
            return False
        journal: tuple[dict[str, Any], ...] = (
            self.specs,
            self.constants,
            self.aliases,
            self._unknown,
        )
        sizes = [len(table) for table in journal]
        nodes, loose = len(self.nodes), len(self._loose)
        try:
            opened, constants = body()
            for name, constant in constants.items():
                self._define_constant(name, constant)
            self._process(opened)
            if len(self._loose) == loose and self._agrees(node, specs):
                return True
        except ModelError:
            pass
        for table, size in zip(journal, sizes, strict=True):
            while len(table) > size:
                table.popitem()  # dicts keep the order of insertion, and names are defined once
        del self.nodes[nodes:], self._loose[loose:]
        return False

    def _body_of(self, node: "NodeProto") -> "Callable[[], _Opened] | None":
        """What opens ``node``: the body in its schema, or one of ours; None without either."""
        schema = _schema(node.op_type, self.opsets.get(node.domain, 1), node.domain)
        if schema is None or not has_body(schema):
            write = written_body(node.domain, node.op_type) if node.domain else None
            return write and partial(write_body, write, node, self.specs, self.constants)
        if self.keep(node.domain, node.op_type):
            return None
        from onnx import TypeProto

        types = [self._type(name) if name else TypeProto() for name in node.input]
        return lambda: (open_function(node, schema, types, self.opset, node.name), {})

    def _agrees(self, node: "NodeProto", specs: list[TensorSpec | None]) -> bool:
        return all(
            spec is None or self.specs.get(name) == spec
            for name, spec in zip(node.output, specs, strict=True)
            if name
        )

    # -- subgraphs

    def _control(self, node: "NodeProto") -> list[TensorSpec | None]:
        """Normalise the bodies of If, Loop or Scan; nothing where the node must stay as it is."""
        if node.op_type not in CONTROL_OPERATORS or node.domain != "":
            return []
        if node.op_type == "Scan":
            check_scan(node, self.specs)
        try:
            found = control_bodies(
                node, self.specs, self.constants, self.declared, self._normalize_body
            )
        except ModelError:
            return []
        if found is None:
            return []
        self.bodies[node.name] = found.bodies
        return list(found.outputs)

    def _normalize_body(self, graph: "GraphProto", inputs: Mapping[str, TensorSpec]) -> Body | None:
        """``graph`` with formal inputs of the given types; None where a value has no type."""
        captured = captured_specs(graph, self.specs)
        own, foreign = small_constants(graph)
        wanted = [value.name for value in graph.output]
        nodes, needed = remove_dead_nodes([*foreign, *_copies(graph.node)], wanted)
        outer = {name: self.constants[name] for name in captured if name in self.constants}
        used = {name: constant for name, constant in own.items() if name in needed}
        inner = Normalizer(
            self.opsets, {**captured, **inputs}, outer | used, declared_specs(graph), self.keep
        )
        inner._names, inner._counts = self._names, self._counts
        inner.run(nodes, wanted)
        outputs = [inner.resolve(name) for name in wanted]
        alive, needed = remove_dead_nodes(inner.nodes, outputs)
        return Body(
            inputs=[value.name for value in graph.input],
            outputs=outputs,
            nodes=alive,
            specs=inner.specs,
            constants={n: c for n, c in inner.constants.items() if n in needed and n not in outer},
            bodies=inner.bodies,
        )

    # -- types

    def _infer(self, node: "NodeProto") -> list[TensorSpec | None]:
        """The static type of each output; None where onnx cannot tell."""
        if is_port_node(node):
            if node.op_type == UNPACK:
                self._types[node.output[0]] = port_type(node)
            return [None]
        schema = _schema(node.op_type, self.opsets.get(node.domain, 1), node.domain)
        if schema is None or not schema.has_type_and_shape_inference_function:
            return [None] * len(node.output)
        reads = used_names(node)
        kinds = self._infer_types(schema, node, reads)
        specs = [
            None if kind is None else spec_of(kind, self.declared.get(name))
            for name, kind in zip(node.output, kinds, strict=True)
        ]
        for name, spec, kind in zip(node.output, specs, kinds, strict=True):
            if spec is None and kind is not None:
                self._types[name] = kind
        if specs[0] is not None and all(name in self.specs for name in reads):
            shapes = [self.specs[name].shape if name else None for name in node.input]
            check_operands(node, shapes, specs[0].shape)
        if node.op_type == "Range":
            known = [self.constants.get(name) for name in node.input]
            values = [v.item() for v in known if isinstance(v, np.ndarray)]
            if len(values) == len(known):
                check_range(node, *values)
        return specs

    def _infer_types(
        self, schema: "OpSchema", node: "NodeProto", reads: list[str]
    ) -> list["TypeProto | None"]:
        """What onnx says of each output; nodes alike in all that decides it are asked once."""
        from onnx import checker, shape_inference

        data = {name: self._data_of(name) for name in reads if name in self.constants}
        shown = {name: tensor for name, tensor in data.items() if tensor is not None}
        has_subgraphs = any(True for _ in subgraphs_of(node))
        alike = None
        if not shown and not has_subgraphs and all(name in self.specs for name in reads):
            alike = (
                schema,
                tuple(attribute.SerializeToString() for attribute in node.attribute),
                tuple(self.specs[name] if name else None for name in node.input),
                tuple(map(bool, node.output)),
            )
            if alike in self._inferred:
                return self._inferred[alike]
        types = {name: self._type(name) for name in reads}
        try:
            found = shape_inference.infer_node_outputs(
                schema, node, types, shown, opset_imports=self._imports
            )
            if has_subgraphs and not all(
                name in found and spec_of(found[name]) for name in node.output if name
            ):
                found |= self._infer_as_model(node, types, shown)
        except (
            checker.ValidationError,
            shape_inference.InferenceError,
            RuntimeError,
            ValueError,
        ) as error:
            raise ModelError(
                f"the operands of {node.op_type} must fit together: {first_line(error)}",
                where=node.name,
            ) from None
        kinds = [found.get(name) for name in node.output]
        if alike is not None:
            self._inferred[alike] = kinds
        return kinds

    def _infer_as_model(
        self,
        node: "NodeProto",
        types: Mapping[str, "TypeProto"],
        data: Mapping[str, "TensorProto"],
    ) -> dict[str, "TypeProto"]:
        """Inference of a model of this one node: it follows shapes as data through subgraphs."""
        from onnx import helper, shape_inference

        inputs = []
        for name, kind in types.items():
            value = helper.make_empty_tensor_value_info(name)
            value.type.CopyFrom(kind)
            inputs.append(value)
        outputs = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], "node", inputs, outputs, list(data.values()))
        model = helper.make_model(graph, opset_imports=self._imports)
        inferred = shape_inference.infer_shapes(model, data_prop=True)
        return {value.name: value.type for value in inferred.graph.output}

    def _infer_loosely(self, node: "NodeProto") -> list[TensorSpec | None]:
        """Inference where some operand has no static type; it may still tell the result's."""
        try:
            return self._infer(node)
        except ModelError:
            return [None] * len(node.output)

    def _append(self, node: "NodeProto", specs: list[TensorSpec | None]) -> None:
        unknown = self._unknown
        causes = [unknown[n] for n in used_names(node) if n in unknown] if unknown else []
        loose = bool(causes)
        for name, inferred in zip(node.output, specs, strict=True):
            if not name:
                continue
            spec = inferred or self._declared(name)
            if spec is None:
                self._unknown[name] = causes[0] if causes else no_type(node, name)
                loose = True
                if is_plain_pad(node) and not causes:
                    self._pads[name] = node
                continue
            check_size(spec, node.name)
            self.specs[name] = spec
            self._types.pop(name, None)
        (self._loose if loose else self.nodes).append(node)

    def _declared(self, name: str) -> TensorSpec | None:
        """What the model says of a value, unless inference knows that it is something else."""
        spec, known = self.declared.get(name), self._types.get(name)
        spec = spec or self._imply().get(name)
        if spec is None or known is None or known.WhichOneof("value") is None:
            return spec
        element = known.tensor_type.elem_type if known.HasField("tensor_type") else None
        return spec if element in (0, onnx_type_of(spec.dtype)) else None

    def _define_constant(self, name: str, constant: Constant) -> None:
        if isinstance(constant, Deferred) and constant.make and constant.size <= _DATA_ELEMENTS:
            constant = constant.make()
        self.constants[name] = constant
        self.specs[name] = TensorSpec(tuple(constant.shape), constant.dtype)
        check_size(self.specs[name], name)

    def _type(self, name: str) -> "TypeProto":
        kind = self._types.get(name)
        if kind is None:
            from onnx import TypeProto, helper

            if name in self._unknown:
                return TypeProto()
            spec = self.specs[name]
            kind = helper.make_tensor_type_proto(onnx_type_of(spec.dtype), spec.shape)
            self._types[name] = kind
        return kind

    def _data_of(self, name: str) -> "TensorProto | None":
        constant = self.constants[name]
        if not isinstance(constant, np.ndarray) or constant.size > _DATA_ELEMENTS:
            return None
        if name not in self._data:
            self._data[name] = tensor_proto(constant, name)
        return self._data[name]


def _copies(nodes: Iterable["NodeProto"]) -> Iterator["NodeProto"]:
    """Copies of ``nodes``: what is done to them must leave the subgraph as the model has it."""
    for node in nodes:
        copy = type(node)()
        copy.CopyFrom(node)
        yield copy


class _Aliases(dict[str, str]):
    """The aliases of just the names a node reads, so that renaming looks at nothing else."""

    def __init__(self, aliases: Mapping[str, str], names: Iterable[str]) -> None:
        super().__init__((name, aliases[name]) for name in names if name in aliases)


@lru_cache(maxsize=4096)
def _schema(op_type: str, version: int, domain: str) -> "OpSchema | None":
    from onnx import defs

    return defs.get_schema(op_type, version, domain) if defs.has(op_type, version, domain) else None
