"""Formulas in numpy that become map bodies: said once, for constants and for computed values.

    np.floor((x + 0.5) / scale)      arrays  -> an array
                                     Traced  -> addf, divf, floor in a body

A formula may use the operators and functions in :data:`UFUNCS`, ``np.where`` and ``astype``. Types
are promoted as numpy does it: Python numbers take the type of the other operand. Integers are
signed; a function that a body has not raises TypeError.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from xdsl.ir import SSAValue

from ...dialects.body import BodyBuilder, is_float
from ...dialects.types import dtype_named, element_name
from .graph_builder import GraphBuilder

#: numpy function -> (float op, integer op) of a body, or the predicate of a comparison.
UFUNCS: dict[np.ufunc, tuple[str, str] | str] = {
    np.add: ("addf", "addi"),
    np.subtract: ("subf", "subi"),
    np.multiply: ("mulf", "muli"),
    np.true_divide: ("divf", ""),
    np.absolute: ("absf", "absi"),
    np.floor: ("floor", ""),
    np.ceil: ("ceil", ""),
    np.sqrt: ("sqrt", ""),
    np.log10: ("log10", ""),
    np.power: ("powf", ""),
    np.fmod: ("remf", "remsi"),
    np.minimum: ("minimumf", "minsi"),
    np.maximum: ("maximumf", "maxsi"),
    np.bitwise_and: ("", "andi"),
    np.bitwise_or: ("", "ori"),
    np.less: "lt",
    np.less_equal: "le",
    np.greater: "gt",
    np.greater_equal: "ge",
    np.equal: "eq",
}


class Traced(NDArrayOperatorsMixin):
    """The value of register ``register`` of a body, as numpy functions see it."""

    def __init__(self, body: BodyBuilder, register: int) -> None:
        self.body = body
        self.register = register

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return dtype_named(self.body.types[self.register])

    def astype(self, dtype: Any) -> "Traced":
        """Conversion by value."""
        return self._made(self.body.cast(self.register, element_name(np.dtype(dtype))))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        names = UFUNCS.get(ufunc)
        if method != "__call__" or kwargs or names is None:
            return NotImplemented
        registers = self._promoted(inputs)
        floats = is_float(self.body.types[registers[0]])
        if isinstance(names, str):
            predicate = f"o{names}" if floats else names if names == "eq" else f"s{names}"
            return self._made(self.body.cmp(predicate, *registers))
        name, kept = names[0 if floats else 1], self.body.types[registers[0]]
        return self._made(self.body.op(name, kept, *registers)) if name else NotImplemented

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, keywords: Any
    ) -> Any:
        if function is not np.where or keywords:
            return NotImplemented
        condition, *branches = arguments
        chosen = self._promoted(branches)
        return self._made(self.body.select(condition.register, *chosen))

    def _made(self, register: int) -> "Traced":
        return Traced(self.body, register)

    def _promoted(self, values: Sequence[Any]) -> list[int]:
        """Registers of ``values`` in their common type."""
        typed = (Traced, np.generic)
        name = element_name(
            np.result_type(*(v.dtype if isinstance(v, typed) else v for v in values))
        )
        return [
            self.body.cast(v.register, name)
            if isinstance(v, Traced)
            else self.body.const(v.item() if isinstance(v, np.generic) else v, name)
            for v in values
        ]


def map_formula(
    b: GraphBuilder, formula: Callable[..., Any], *operands: SSAValue, dtype: Any = None
) -> SSAValue:
    """One map of ``formula`` over the broadcast operands, its result as ``dtype`` if said."""
    body = b.body(*operands)
    result = formula(*(Traced(body, register) for register in range(len(operands))))
    if dtype is not None:
        result = result.astype(dtype)
    return b.map(operands, body.finish(result.register))


#: An array that is known, or a value that is computed while running.
Operand = np.ndarray | SSAValue


def constant_or_value(b: GraphBuilder, value: SSAValue) -> Operand:
    """The array behind ``value`` where that is a constant."""
    array = b.const_of(value) if b.has_bytes(value) else None
    return value if array is None else array


def as_value(b: GraphBuilder, operand: Operand, hint: str = "constant") -> SSAValue:
    """``operand`` as a value; a constant is named after ``hint``."""
    return operand if isinstance(operand, SSAValue) else b.constant(operand, hint)


def evaluate(b: GraphBuilder, formula: Callable[..., Any], *operands: Operand) -> Operand:
    """``formula`` of the broadcast operands: known where all of them are, else one map."""
    if not any(isinstance(x, SSAValue) for x in operands):
        return np.asarray(formula(*operands))
    # scalars go into the body
    fixed = [x[()] if isinstance(x, np.ndarray) and x.ndim == 0 else None for x in operands]

    def of_the_rest(*traced: Traced) -> Any:
        rest = iter(traced)
        return formula(*(next(rest) if scalar is None else scalar for scalar in fixed))

    pairs = zip(operands, fixed, strict=True)
    return map_formula(b, of_the_rest, *(as_value(b, x) for x, scalar in pairs if scalar is None))
