"""The ``onnx`` dialect: ONNX operators as they are, one op class per schema, made on demand.

    op       ::= `onnx.` name `(` (operand | `_`)* `)` captures? props? attr-dict `:` types region*
    name     ::= operator of ai.onnx, or domain `.` operator
    captures ::= `captures` `(` operand* `)`              values that subgraphs read
    props    ::= `<{` (attribute `=` value)* `}>`         attributes at their default are left out
    types    ::= `(` type* `)` `->` `(` (type | `_`)* `)` `_` marks an output nobody asked for

``onnx.Subgraph`` holds several nodes for the host at once, those between which no value has a
static type. All schemas are those of the newest operator set. Subgraphs (If, Loop, Scan) are kept
as the bytes of their GraphProto, which the host can run, and, where all their types are static, as
regions too, which end in ``onnx.yield``: these are lowered. Verifiers hold the schemas' element
types.

    %y = onnx.Gemm(%x, %w, _) <{transB = 1 : i64}>
      : (tensor<1x4xf32>, tensor<3x4xf32>) -> (tensor<1x3xf32>)
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    Float32Type,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Dialect
from xdsl.irdl import (
    AnyAttr,
    AttrConstraint,
    AttrSetConstraint,
    AttrSizedOperandSegments,
    AttrSizedResultSegments,
    BaseAttr,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    opt_result_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.traits import Pure

from ..errors import IRError
from .elements import ELEMENTS
from .onnx_op import (
    BODIES,
    CAPTURE_NAMES,
    CAPTURES,
    OnnxOp,
    Signature,
    capture_names_attr,
    create_op,
    needs_segments,
    python_value,
)
from .tensor_ops import yield_op
from .types import element_type

if TYPE_CHECKING:
    from onnx.defs import OpSchema

__all__ = [
    "Onnx",
    "OnnxOp",
    "SubgraphOp",
    "YieldOp",
    "capture_names_attr",
    "create_op",
    "onnx_dialect",
    "op_class",
    "python_value",
]

_ELEMENTS = {f"tensor({entry.onnx_name})": element_type(entry.dtype) for entry in ELEMENTS}
#: Operators whose results differ from run to run.
RANDOM_OPS = frozenset(
    (
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    )
)
# Members of an Operation instance, which no field may hide.
_OPERATION_FIELDS = frozenset(
    (
        "attributes",
        "location",
        "name",
        "operands",
        "parent",
        "properties",
        "regions",
        "results",
        "successors",
    )
)
_CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))


@cache
def op_class(op_type: str, domain: str = "") -> type[OnnxOp]:
    """The class of an operator, made from its newest schema at first use (about 0.5 ms).

    Raises IRError for an operator that onnx does not define.
    """
    from onnx import defs

    if not defs.has(op_type, domain=domain):
        raise IRError(f"an ONNX operator must be one of onnx's schemas, not {domain}.{op_type}")
    return _make_class(defs.get_schema(op_type, domain=domain))


@cache
def onnx_dialect() -> Dialect:
    """The whole dialect; a factory for ``Context.register_dialect``, costs about 0.15 s."""
    from onnx import defs

    schemas = [schema for schema in defs.get_all_schemas() if not schema.deprecated]
    classes = [op_class(schema.name, schema.domain) for schema in schemas]
    return Dialect("onnx", [*classes, SubgraphOp, YieldOp], [])


def _make_class(schema: "OpSchema") -> type[OnnxOp]:
    from onnx import helper
    from onnx.defs import OpSchema

    options = {
        OpSchema.FormalParameterOption.Single: "single",
        OpSchema.FormalParameterOption.Optional: "optional",
        OpSchema.FormalParameterOption.Variadic: "variadic",
    }
    allowed = {t.type_param_str: t.allowed_type_strs for t in schema.type_constraints}

    def constraint(parameter: Any) -> AttrConstraint:
        strings = allowed.get(parameter.type_str, [parameter.type_str])
        elements = frozenset(_ELEMENTS[s] for s in strings if s in _ELEMENTS)
        if not elements:
            return AnyAttr()
        single: AttrConstraint = AttrSetConstraint(elements)
        if parameter.type_str in allowed and parameter.is_homogeneous:
            single = VarConstraint(parameter.type_str, single)
        return TensorType.constr(single)

    body: dict[str, Any] = {}
    operand_defs: dict[str, Any] = {
        "single": operand_def,
        "optional": opt_operand_def,
        "variadic": var_operand_def,
    }
    result_defs: dict[str, Any] = {
        "single": result_def,
        "optional": opt_result_def,
        "variadic": var_result_def,
    }
    formal_inputs = [(_field(p.name, {}), options[p.option]) for p in schema.inputs]
    formal_outputs = [(_field(p.name, {}), options[p.option]) for p in schema.outputs]
    for parameter, (name, kind) in zip(schema.inputs, formal_inputs, strict=True):
        body[name] = operand_defs[kind](constraint(parameter))
    outputs = []
    for parameter, (name, kind) in zip(schema.outputs, formal_outputs, strict=True):
        # BatchNormalization and others use a name for an input and an output.
        name = name if name not in body else f"{name}_out"
        body[name] = result_defs[kind](constraint(parameter))
        outputs.append((name, kind))
    defaults = {}
    for name, attribute in schema.attributes.items():
        definition = prop_def if attribute.required else opt_prop_def
        body[_field(name, body)] = definition(_attribute_constraint(attribute), prop_name=name)
        if attribute.default_value.type:
            defaults[name] = _as_text(helper.get_attribute_value(attribute.default_value))
    if any(a.type == OpSchema.AttrType.GRAPH for a in schema.attributes.values()):
        body[CAPTURES] = var_operand_def(BaseAttr(TensorType))
        body[CAPTURE_NAMES] = opt_prop_def(ArrayAttr)
        body[BODIES] = var_region_def("single_block")
        formal_inputs.append((CAPTURES, "variadic"))
    pure = schema.name not in RANDOM_OPS and schema.name not in _CONTROL
    prefix = f"{schema.domain}." if schema.domain else ""
    return _define(
        f"onnx.{prefix}{schema.name}",
        body,
        Signature(schema.name, schema.domain, tuple(formal_inputs), tuple(outputs), defaults),
        pure=pure,
    )


def _define(name: str, body: dict[str, Any], signature: Signature, *, pure: bool) -> type[OnnxOp]:
    options: list[Any] = []
    if needs_segments(signature.inputs):
        options.append(AttrSizedOperandSegments(as_property=True))
    if needs_segments(signature.outputs):
        options.append(AttrSizedResultSegments(as_property=True))
    namespace = {
        **body,
        "name": name,
        "irdl_options": tuple(options),
        "traits": traits_def(Pure()) if pure else traits_def(),
        "__annotations__": {},
        "__module__": __name__,
        "__doc__": f"ONNX operator {name.removeprefix('onnx.')}.",
    }
    class_name = name.removeprefix("onnx.").replace(".", "_") + "Op"
    made: type[OnnxOp] = irdl_op_definition(type(class_name, (OnnxOp,), namespace))
    made.SIGNATURE = signature
    return made


def _as_text(value: Any) -> Any:
    """``value`` with strings where onnx has bytes."""
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def _attribute_constraint(attribute: Any) -> AttrConstraint:
    from onnx.defs import OpSchema

    kinds = OpSchema.AttrType
    return {
        kinds.INT: IntegerAttr.constr(i64),
        kinds.FLOAT: BaseAttr(FloatAttr),
        kinds.STRING: BaseAttr(StringAttr),
        kinds.INTS: DenseArrayBase.constr(i64),
        kinds.FLOATS: DenseArrayBase.constr(Float32Type()),
        kinds.STRINGS: BaseAttr(ArrayAttr),
    }.get(attribute.type, BaseAttr(DenseIntOrFPElementsAttr))


def _field(name: str, body: Mapping[str, Any]) -> str:
    """A Python field for a parameter, apart from ``body`` and the members of every op."""
    taken = name in body or hasattr(OnnxOp, name) or name in _OPERATION_FIELDS
    return f"{name}_" if taken else name


#: Ends the regions of If, Loop and Scan.
YieldOp = yield_op("onnx")
SubgraphOp = _define(
    "onnx.Subgraph",
    {
        "operands_": var_operand_def(BaseAttr(TensorType)),
        "outcomes": var_result_def(BaseAttr(TensorType)),
        "body": prop_def(DenseIntOrFPElementsAttr),
    },
    Signature("Subgraph", "", (("operands_", "variadic"),), (("outcomes", "variadic"),), {}),
    pure=False,
)
SubgraphOp.__doc__ = """ONNX nodes that only the host can run, as the bytes of a GraphProto.

They use operators of foreign domains, or values without a static shape between them.
"""

Onnx = onnx_dialect
