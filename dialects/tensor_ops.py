"""Digital tensor operations, defined once and offered by the ``graph`` and ``tile`` dialects.

    op    ::= result `=` dialect `.` kind `(` operands `)` field* attr-dict? `:` function-type body?
    field ::= name `=` (integer | `[` integers `]` | `true` | `false` | float | word) `,`?
    body  ::= `{` `^bb0` `(` scalars `)` `:` arith-and-math-ops dialect`.yield` value `}`

Fields stand in the order of ``kernel.FIELDS``; those at their default are not printed. A
discardable attribute ``value`` (or ``values``) names the ONNX value that a result is, so that
levels compare.

    %1 = tile.reduce(%0) kind = sum, axes = [1] : (tensor<4x8xf32>) -> tensor<4xf32>
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np
from xdsl.dialects.builtin import (
    BytesAttr,
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    TensorType,
    f64,
    i1,
    i8,
    i64,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    AnyAttr,
    IRDLOperation,
    irdl_op_definition,
    prop_def,
    traits_def,
    var_operand_def,
    var_region_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import IsolatedFromAbove, IsTerminator, OpTrait, Pure
from xdsl.utils.exceptions import VerifyException

from .body import body_of, region_of, result_type_name, type_name
from .interned import int_attr, ints_attr, text_attr
from .kernel import CHOICES, DEFAULTS, FIELDS, Body, FieldType, Kernel, with_defaults
from .shapes import ARITY, RULES
from .types import dtype_named, dtype_of, element_type, shape_of, tensor_type
from .verify_once import SelfContained


class TensorOp(SelfContained):
    """A kernel on SSA tensors. Concrete classes come from :func:`tensor_op`."""

    KIND: ClassVar[str]
    TERMINATOR: ClassVar[type[Operation]]
    ins = var_operand_def()
    outs = var_result_def()
    body = var_region_def("single_block")

    @classmethod
    def make(
        cls,
        ins: Sequence[SSAValue],
        shape: Sequence[int] | None = None,
        *,
        body: Body | None = None,
        dtype: np.dtype | None = None,
        result_types: Sequence[Attribute] | None = None,
        location: LocationAttr | None = None,
        **attrs: Any,
    ) -> Self:
        """Build the op, deriving the result type where the rule can (all but view, window, host).

        Raises VerifyException when the operands do not fit the rule.
        """
        if result_types is None:
            result_types = [cls._result_type(ins, shape, body, dtype, attrs)]
        full = with_defaults(cls.KIND, attrs)
        op = cls.create(
            operands=list(ins),
            result_types=list(result_types),
            properties={
                name: encode_field(full[name], type_)
                for name, type_ in FIELDS[cls.KIND]
                if type_ != "body"
            },
            regions=[region_of(body, cls.TERMINATOR)] if body is not None else [],
        )
        if location is not None:
            op.location = location
        return op

    @classmethod
    def _result_type(
        cls,
        ins: Sequence[SSAValue],
        shape: Sequence[int] | None,
        body: Body | None,
        dtype: np.dtype | None,
        attrs: Mapping[str, Any],
    ) -> Attribute:
        shapes = [shape_of(x) for x in ins]
        full = with_defaults(cls.KIND, dict(attrs))
        try:
            found = RULES[cls.KIND](full, shapes, tuple(shape or ()))
        except ValueError as error:
            raise VerifyException(f"{cls.name}: {error}") from error
        if body is not None:
            dtype = dtype_named(result_type_name(body))
            found = tuple(shape) if shape is not None else found
        elif dtype is None:
            dtype = result_dtype(cls.KIND, full, dtype_of(ins[0]))
        return tensor_type(found, dtype)

    @property
    def attrs(self) -> dict[str, Any]:
        """The fields as plain Python values (without the body)."""
        return {
            name: decode_field(self.properties[name], type_)
            for name, type_ in FIELDS[self.KIND]
            if type_ != "body"
        }

    @property
    def kernel(self) -> Kernel:
        """The op as plain data."""
        attrs = self.attrs
        if self.KIND == "map":
            attrs = {"body": body_of(self.regions[0])}
        return Kernel(self.KIND, attrs)

    def verify_(self) -> None:
        least, most = ARITY[self.KIND]
        if len(self.operands) < least or (most is not None and len(self.operands) > most):
            wants = str(least) if least == most else f"at least {least}"
            raise VerifyException(f"{self.name} takes {wants} operands, got {len(self.operands)}")
        for value in (*self.operands, *self.results):
            if not isinstance(value.type, TensorType) or -1 in value.type.get_shape():
                raise VerifyException(f"{self.name} works on static tensors, got {value.type}")
        if self.KIND != "host":
            self._verify_kernel()

    def _verify_kernel(self) -> None:
        if len(self.results) != 1:
            raise VerifyException(f"{self.name} has one result, got {len(self.results)}")
        attrs = self.attrs
        for name, word in attrs.items():
            allowed = CHOICES.get((self.KIND, name))
            if allowed is not None and word not in allowed:
                raise VerifyException(f"{self.name}: {name} must be one of {allowed}, got {word}")
        out = shape_of(self.results[0])
        ins = [shape_of(x) for x in self.operands]
        try:
            expected = RULES[self.KIND](attrs, ins, out)
        except ValueError as error:
            raise VerifyException(f"{self.name}: {error}") from error
        if tuple(expected) != out and not (self.KIND == "map" and _widens(expected, out)):
            raise VerifyException(f"{self.name} yields shape {tuple(expected)}, declared {out}")
        self._verify_types(attrs)

    def _verify_types(self, attrs: dict[str, Any]) -> None:
        result = dtype_of(self.results[0])
        if self.KIND == "map":
            self._verify_body(result)
            return
        expected = result_dtype(self.KIND, attrs, dtype_of(self.operands[0]))
        if result != expected:
            raise VerifyException(f"{self.name} yields elements of {expected}, declared {result}")
        same = {"concat": self.operands, "contract": self.operands}.get(self.KIND, ())
        if any(dtype_of(x) != expected for x in same):
            raise VerifyException(f"{self.name}: operands must share one element type")
        if self.KIND in ("gather", "scatter", "update", "resample") and (
            dtype_of(self.operands[1]).kind not in "iu"
        ):
            raise VerifyException(f"{self.name}: indices must be integers")

    def _verify_body(self, result: np.dtype) -> None:
        if len(self.regions) != 1:
            raise VerifyException(f"{self.name} needs a body")
        body = body_of(self.regions[0])
        given = tuple(type_name(element_type(dtype_of(x))) for x in self.operands)
        if body.inputs != given:
            raise VerifyException(f"{self.name}: body takes {body.inputs}, operands are {given}")
        if dtype_named(result_type_name(body)) != result:
            raise VerifyException(
                f"{self.name}: body yields {result_type_name(body)}, declared {result}"
            )

    def print(self, printer: Printer) -> None:
        printer.print_string("(")
        printer.print_list(self.operands, printer.print_operand)
        printer.print_string(")")
        attrs = self.attrs
        shown = [
            name
            for name, _ in FIELDS[self.KIND]
            if name in attrs and not _is_default(self.KIND, name, attrs)
        ]
        for i, name in enumerate(shown):
            printer.print_string(f"{',' if i else ''} {name} = ")
            _print_field(printer, self.properties[name])
        printer.print_op_attributes(self.attributes)
        printer.print_string(" : ")
        printer.print_function_type(self.operand_types, self.result_types)
        if self.regions:
            printer.print_string(" ")
            printer.print_region(self.regions[0], print_empty_block=False)

    @classmethod
    def parse(cls, parser: Parser) -> Self:
        pos = parser.pos
        unresolved = parser.parse_comma_separated_list(
            parser.Delimiter.PAREN, parser.parse_unresolved_operand
        )
        types = dict(FIELDS[cls.KIND])
        found: dict[str, Attribute] = {}
        while (name := parser.parse_optional_identifier()) is not None:
            if name not in types:
                parser.raise_error(f"{cls.name} has no field {name}, it has {list(types)}")
            parser.parse_punctuation("=")
            found[name] = _parse_field(parser, types[name])
            if parser.parse_optional_punctuation(",") is None:
                break
        attributes = parser.parse_optional_attr_dict()
        parser.parse_punctuation(":")
        function_type = parser.parse_function_type()
        operands = parser.resolve_operands(unresolved, list(function_type.inputs), pos)
        region = parser.parse_optional_region()
        properties = _complete(cls.KIND, found)
        missing = [n for n, t in FIELDS[cls.KIND] if t != "body" and n not in properties]
        if missing:
            parser.raise_error(f"{cls.name} needs {', '.join(missing)}", pos)
        return cls.create(
            operands=operands,
            result_types=list(function_type.outputs),
            properties=properties,
            attributes=attributes,
            regions=[region] if region is not None else [],
        )


def window_attrs(window: DictionaryAttr) -> dict[str, Any]:
    """The fields of a window that an operation carries, as plain values."""
    return {name: decode_field(window.data[name], type_) for name, type_ in FIELDS["window"]}


def window_dictionary(attrs: Mapping[str, Any]) -> DictionaryAttr:
    """The inverse of :func:`window_attrs`."""
    return DictionaryAttr({name: encode_field(attrs[name], t) for name, t in FIELDS["window"]})


def tensor_op(dialect: str, kind: str, terminator: type[Operation]) -> type[TensorOp]:
    """The op class ``dialect.kind`` with the fields of ``kernel.FIELDS[kind]`` as properties."""
    namespace: dict[str, Any] = {
        "name": f"{dialect}.{kind}",
        "KIND": kind,
        "TERMINATOR": terminator,
        "__annotations__": {"KIND": ClassVar[str], "TERMINATOR": ClassVar[type[Operation]]},
        "__module__": f"{__package__}.{dialect}",
        "__doc__": f"``{kind}`` on tensors; see the table of kernels in docs/kernels.md.",
    }
    for field, type_ in FIELDS[kind]:
        if type_ != "body":
            namespace[f"{field}_"] = prop_def(_CONSTRAINTS[type_], prop_name=field)
    traits: list[OpTrait] = [] if kind == "host" else [Pure()]
    if any(type_ == "body" for _, type_ in FIELDS[kind]):
        traits.append(IsolatedFromAbove())
    namespace["traits"] = traits_def(*traits)
    name = f"{kind.capitalize()}Op"
    return cast(type[TensorOp], irdl_op_definition(type(name, (TensorOp,), namespace)))


def yield_op(dialect: str) -> type[Operation]:
    """The terminator ``dialect.yield`` of map bodies and control regions."""
    namespace = {
        "name": f"{dialect}.yield",
        "values": var_operand_def(AnyAttr()),
        "traits": traits_def(IsTerminator(), Pure()),
        "assembly_format": "$values attr-dict `:` type($values)",
        "__annotations__": {},
        "__module__": f"{__package__}.{dialect}",
    }
    return irdl_op_definition(type("YieldOp", (IRDLOperation,), namespace))


def result_dtype(kind: str, attrs: Mapping[str, Any], first: np.dtype) -> np.dtype:
    """Element type of a kernel's result, from its first operand's."""
    if kind == "argsort" or (kind == "reduce" and attrs["kind"].startswith("arg")):
        return np.dtype(np.int64)
    return first


def _widens(found: Sequence[int], declared: Sequence[int]) -> bool:
    """Whether operands of broadcast shape ``found`` may fill ``declared``."""
    if len(found) > len(declared):
        return False
    tail = declared[len(declared) - len(found) :]
    return all(a in (1, b) for a, b in zip(found, tail, strict=True))


_CONSTRAINTS: dict[FieldType, Any] = {
    "int": IntegerAttr,
    "ints": DenseArrayBase.constr(i64),
    "bool": IntegerAttr,
    "float": FloatAttr,
    "str": StringAttr,
    "bytes": DenseIntOrFPElementsAttr,
}


def encode_field(value: Any, type_: FieldType) -> Attribute:
    """A plain field value as an attribute."""
    match type_:
        case "int":
            return int_attr(value)
        case "bool":
            return int_attr(value, i1)
        case "ints":
            return ints_attr(value)
        case "float":
            return FloatAttr(float(value), f64)
        case "str":
            return text_attr(value)
        case _:
            return DenseIntOrFPElementsAttr(TensorType(i8, [len(value)]), BytesAttr(value))


def decode_field(attr: Attribute, type_: FieldType) -> Any:
    """The inverse of :func:`encode_field`."""
    match attr:
        case IntegerAttr():
            return bool(attr.value.data) if type_ == "bool" else attr.value.data
        case DenseArrayBase():
            return tuple(attr.get_values())
        case FloatAttr():
            return attr.value.data
        case StringAttr():
            return attr.data
        case DenseIntOrFPElementsAttr():
            return attr.data.data
    raise VerifyException(f"expected a {type_}, got {attr}")


def _is_default(kind: str, name: str, attrs: Mapping[str, Any]) -> bool:
    if (kind, name) == ("pad", "interior"):
        return not any(attrs[name])
    default = DEFAULTS.get((kind, name), ...)
    return bool(repr(attrs[name]) == repr(default))


def _complete(kind: str, found: dict[str, Attribute]) -> dict[str, Attribute]:
    """``found`` with defaults filled in, in field order."""
    full = dict(found)
    for name, type_ in FIELDS[kind]:
        if name in full:
            continue
        if (kind, name) in DEFAULTS:
            full[name] = encode_field(DEFAULTS[kind, name], type_)
        elif (kind, name) == ("pad", "interior") and "low" in full:
            zeros = (0,) * len(decode_field(full["low"], "ints"))
            full[name] = encode_field(zeros, "ints")
    return full


def _print_field(printer: Printer, attr: Attribute) -> None:
    match attr:
        case IntegerAttr() if attr.type == i1:
            printer.print_string("true" if attr.value.data else "false")
        case IntegerAttr():
            printer.print_string(str(attr.value.data))
        case DenseArrayBase():
            printer.print_string(f"[{', '.join(map(str, attr.get_values()))}]")
        case FloatAttr():
            printer.print_attribute(attr)
        case StringAttr():
            printer.print_string(attr.data)
        case _:
            printer.print_attribute(attr)


def _parse_field(parser: Parser, type_: FieldType) -> Attribute:
    match type_:
        case "int":
            return encode_field(parser.parse_integer(), "int")
        case "ints":
            values = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, parser.parse_integer
            )
            return encode_field(values, "ints")
        case "bool":
            return encode_field(parser.parse_boolean(), "bool")
        case "str":
            return encode_field(parser.parse_identifier(), "str")
        case _:
            return parser.parse_attribute()
