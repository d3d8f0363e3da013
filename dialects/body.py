"""Scalar bodies of ``map``: build them as data, print them as arith/math regions.

``BodyBuilder`` makes a :class:`~.kernel.Body`; :func:`region_of` writes it as a region of arith and
math ops and :func:`body_of` reads it back. Passes that fuse maps compose bodies as data, so that
no scalar op is built before the result is known.
"""

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import (
    FloatAttr,
    IntegerAttr,
    IntegerType,
    UnrealizedConversionCastOp,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.utils.exceptions import VerifyException

from .elements import OF_NAME, Element
from .interned import int_attr
from .kernel import Body, MicroOp
from .scalar import RemfOp
from .types import dtype_named, dtype_of, element_name, element_type
from .verify_once import FactMemo, premises_of_region

CAST = "unrealized_conversion_cast"
#: Predicates by their number in arith.
CMPF = (
    "false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord",
    "ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true",
)  # fmt: skip
CMPI = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")


def scalar_type(name: str) -> Attribute:
    """The xDSL type of an element type name such as ``f32``, ``i64``, ``ui8``."""
    return element_type(dtype_named(name))


def type_name(type_: Attribute) -> str:
    """The inverse of :func:`scalar_type`."""
    return element_name(dtype_of(type_))


@cache
def scalar_ops() -> dict[str, type[Operation]]:
    """Scalar op classes by their name without the dialect."""
    ops: list[type[Operation]] = [*arith.Arith.operations, *math.Math.operations, RemfOp]
    return {op.name.split(".")[1]: op for op in ops} | {CAST: UnrealizedConversionCastOp}


@cache
def _default_properties(op: type[Operation]) -> dict[str, Attribute]:
    definition = op.get_irdl_definition()  # type: ignore[attr-defined]
    return {
        name: prop.default_value
        for name, prop in definition.properties.items()
        if prop.default_value is not None
    }


def is_float(name: str) -> bool:
    """Whether the element type name is a floating-point type."""
    return OF_NAME[name].is_float


def is_unsigned(name: str) -> bool:
    """Whether the element type name is an unsigned integer."""
    return OF_NAME[name].is_unsigned


def _between(source: Element, to: Element) -> str | None:
    """The type by way of which narrow elements are converted, where that is not done at once."""
    if source.is_narrow and source.is_float:
        return "f32" if to.name != "f32" else None
    if to.is_narrow and to.is_float:
        return "f32" if source.name not in ("f32", "f64") else None
    return "i32" if source.is_narrow and (to.is_narrow or to.name == "i1") else None


class BodyBuilder:
    """Builds a :class:`Body`; registers are plain integers.

    Unsigned inputs are used through :meth:`signless` because arith works on signless integers.
    """

    def __init__(self, *inputs: str) -> None:
        self.inputs = tuple(inputs)
        self.types: list[str] = list(inputs)
        self.ops: list[MicroOp] = []
        self._constants: dict[tuple[float | int, str], int] = {}

    def op(
        self, name: str, type_: str, *operands: int, imm: float | int | str | None = None
    ) -> int:
        """Append one operation with result type ``type_``; returns its register."""
        self.ops.append(MicroOp(name, type_, operands, imm))
        self.types.append(type_)
        return len(self.types) - 1

    def const(self, value: float | int, type_: str) -> int:
        """A constant of a float or signless integer type."""
        key = (float(value) if is_float(type_) else int(value), type_)
        # repr keeps -0.0 apart from 0.0 and finds NaN again
        found = self._constants.get((repr(key[0]), type_))  # type: ignore[arg-type]
        if found is None:
            found = self.op("constant", type_, imm=key[0])
            self._constants[(repr(key[0]), type_)] = found  # type: ignore[index]
        return found

    def unary(self, name: str, x: int) -> int:
        """A math or arith op that keeps the type of its operand."""
        return self.op(name, self.types[x], x)

    def binary(self, name: str, x: int, y: int) -> int:
        """A two-operand op that keeps the type of its operands."""
        return self.op(name, self.types[x], x, y)

    def _pick(self, x: int, float_name: str, int_name: str) -> str:
        return float_name if is_float(self.types[x]) else int_name

    def add(self, x: int, y: int) -> int:
        return self.binary(self._pick(x, "addf", "addi"), x, y)

    def sub(self, x: int, y: int) -> int:
        return self.binary(self._pick(x, "subf", "subi"), x, y)

    def mul(self, x: int, y: int) -> int:
        return self.binary(self._pick(x, "mulf", "muli"), x, y)

    def cmp(self, predicate: str, x: int, y: int) -> int:
        """Compare by an arith predicate: ``oeq``... for floats, ``eq``/``slt``... for integers."""
        return self.op(self._pick(x, "cmpf", "cmpi"), "i1", x, y, imm=predicate)

    def select(self, condition: int, x: int, y: int) -> int:
        return self.op("select", self.types[x], condition, x, y)

    def signless(self, x: int) -> int:
        """An unsigned register seen as the signless integer of the same bits."""
        name = self.types[x]
        return self.op(CAST, name.removeprefix("u"), x) if is_unsigned(name) else x

    def unsigned(self, x: int, type_: str) -> int:
        """A signless register seen as the unsigned type ``type_`` of the same bits."""
        return self.op(CAST, type_, x) if is_unsigned(type_) else x

    def cast(self, x: int, to: str) -> int:
        """Value conversion with ONNX semantics (float to int truncates, to bool is ``!= 0``).

        Narrow floats are converted from and to float32 or float64, and rounded to nearest-even.
        """
        source = self.types[x]
        if source == to:
            return x
        between = _between(OF_NAME[source], OF_NAME[to])
        if between is not None:
            return self.cast(self.cast(x, between), to)
        unsigned = is_unsigned(source) or source == "i1"
        if not is_float(source):
            x = self.signless(x)
        if to == "i1":
            zero = self.const(0, self.types[x])
            return self.cmp("une" if is_float(source) else "ne", x, zero)
        return self.unsigned(self._convert(x, to.removeprefix("u"), unsigned, is_unsigned(to)), to)

    def _convert(self, x: int, to: str, unsigned: bool, to_unsigned: bool) -> int:
        source = self.types[x]
        if source == to:
            return x
        if is_float(source) and is_float(to):
            if {source, to} == {"f16", "bf16"}:
                x = self.op("extf", "f32", x)
                source = "f32"
            widen = OF_NAME[source].bits < OF_NAME[to].bits
            return self.op("extf" if widen else "truncf", to, x)
        if is_float(source):
            return self.op("fptoui" if to_unsigned else "fptosi", to, x)
        if is_float(to):
            return self.op("uitofp" if unsigned else "sitofp", to, x)
        widen = int(to[1:]) > int(source[1:])
        return self.op(("extui" if unsigned else "extsi") if widen else "trunci", to, x)

    def inline(self, body: Body, arguments: Sequence[int]) -> int:
        """Append the operations of ``body`` with its inputs bound to ``arguments``."""
        registers = list(arguments)
        for op in body.ops:
            if op.name == "constant":
                assert isinstance(op.imm, (int, float))
                registers.append(self.const(op.imm, op.type))
            else:
                operands = tuple(registers[i] for i in op.operands)
                registers.append(self.op(op.name, op.type, *operands, imm=op.imm))
        return registers[body.result]

    def finish(self, result: int) -> Body:
        """The body that yields register ``result``, without operations that nothing uses."""
        return _prune(Body(self.inputs, tuple(self.ops), result))


def result_type_name(body: Body) -> str:
    """Element type name of the body's result."""
    n = len(body.inputs)
    return body.inputs[body.result] if body.result < n else body.ops[body.result - n].type


def _prune(body: Body) -> Body:
    n = len(body.inputs)
    live = {body.result}
    for i in range(len(body.ops) - 1, -1, -1):
        if n + i in live:
            live.update(body.ops[i].operands)
    number = {i: i for i in range(n)}
    ops: list[MicroOp] = []
    for i, op in enumerate(body.ops):
        if n + i in live:
            number[n + i] = n + len(ops)
            ops.append(MicroOp(op.name, op.type, tuple(number[o] for o in op.operands), op.imm))
    return Body(body.inputs, tuple(ops), number[body.result])


def region_of(body: Body, terminator: type[Operation]) -> Region:
    """``body`` as a single-block region of arith and math ops ended by ``terminator``."""
    block = Block(arg_types=[scalar_type(name) for name in body.inputs])
    values: list[SSAValue] = list(block.args)
    for op in body.ops:
        new = _scalar_op(op, [values[i] for i in op.operands])
        block.add_op(new)
        values.append(new.results[0])
    block.add_op(terminator.create(operands=[values[body.result]]))
    return Region(block)


def _scalar_op(op: MicroOp, operands: Sequence[SSAValue]) -> Operation:
    cls = scalar_ops()[op.name]
    properties = dict(_default_properties(cls))
    if op.name == "constant":
        properties["value"] = _constant_attr(op.type, repr(op.imm))
    elif op.name in ("cmpf", "cmpi"):
        names = CMPF if op.name == "cmpf" else CMPI
        properties["predicate"] = int_attr(names.index(str(op.imm)))
    return cls.create(operands=operands, result_types=[scalar_type(op.type)], properties=properties)


@lru_cache(4096)
def _constant_attr(type_name: str, literal: str) -> Attribute:
    """The constant that Python writes as ``literal``: equal floats may differ, -0.0 and 0.0 do."""
    type_ = scalar_type(type_name)
    if isinstance(type_, IntegerType):
        return IntegerAttr(int(literal), type_, truncate_bits=True)
    with np.errstate(over="ignore"):  # beyond a narrow type's range is infinite, not an error
        value = float(np.float64(float(literal)).astype(dtype_named(type_name)))
    return FloatAttr(value, type_)  # type: ignore[call-overload]


def body_of(region: Region) -> Body:
    """The scalar program of a region.

    Raises VerifyException for anything but arith, math and casts in one block.
    """
    premises = premises_of_region(region)
    body = None if premises is None else _READ.get(premises)
    if body is None:
        body = _read_body(region)
        if premises is not None:
            _READ.put(premises, body)
    return body


_READ: FactMemo[Body] = FactMemo()


def _read_body(region: Region) -> Body:
    block = region.block
    numbers: dict[SSAValue, int] = {arg: i for i, arg in enumerate(block.args)}
    ops: list[MicroOp] = []
    known = scalar_ops()
    last = block.last_op
    if last is None or len(last.operands) != 1:
        raise VerifyException("a map body must end by yielding one value")
    for op in block.ops:
        if op is last:
            break
        name = op.name.split(".")[-1]
        if known.get(name) is not type(op) or len(op.results) != 1:
            raise VerifyException(f"{op.name} is not a scalar operation of a map body")
        operands = []
        for operand in op.operands:
            if operand not in numbers:
                raise VerifyException("a map body may only use its own arguments")
            operands.append(numbers[operand])
        numbers[op.results[0]] = len(numbers)
        ops.append(MicroOp(name, type_name(op.results[0].type), tuple(operands), _imm(op)))
    if last.operands[0] not in numbers:
        raise VerifyException("a map body may only yield its own values")
    inputs = tuple(type_name(arg.type) for arg in block.args)
    return Body(inputs, tuple(ops), numbers[last.operands[0]])


def _imm(op: Operation) -> float | int | str | None:
    if isinstance(op, arith.ConstantOp):
        value = op.value
        if isinstance(value, IntegerAttr):
            return int(value.value.data)
        assert isinstance(value, FloatAttr)
        return float(value.value.data)
    if isinstance(op, arith.CmpfOp):
        return CMPF[op.predicate.value.data]
    if isinstance(op, arith.CmpiOp):
        return CMPI[op.predicate.value.data]
    return None
