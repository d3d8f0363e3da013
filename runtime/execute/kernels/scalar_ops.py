"""The scalar operations of ``map`` bodies as array functions: arith, math and casts by name.

Each entry of :func:`function_of` is called as ``f(*operands, out=None)`` and returns its result,
written to ``out`` when that is given and the function can use it. Integers are signless: an
operation that depends on the sign reads the same bits as signed or unsigned.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ....dialects.elements import is_float, is_narrow
from ....errors import ProgramError
from .dtypes import FLOAT32, signed, unsigned
from .special import erf

Function = Callable[..., np.ndarray]
Out = np.ndarray | None

#: Operations that numpy has under another name, on the operands as they are.
PLAIN: dict[str, np.ufunc] = {
    "addf": np.add, "subf": np.subtract, "mulf": np.multiply, "divf": np.divide,
    "negf": np.negative, "remf": np.fmod, "maximumf": np.maximum, "minimumf": np.minimum,
    "maxnumf": np.fmax, "minnumf": np.fmin, "addi": np.add, "subi": np.subtract,
    "muli": np.multiply, "andi": np.bitwise_and, "ori": np.bitwise_or, "xori": np.bitwise_xor,
    "shli": np.left_shift, "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log,
    "log2": np.log2, "log10": np.log10, "log1p": np.log1p, "sqrt": np.sqrt, "cbrt": np.cbrt,
    "powf": np.power, "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin,
    "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2,
    "ceil": np.ceil, "floor": np.floor, "trunc": np.trunc, "roundeven": np.rint,
    "absf": np.absolute, "copysign": np.copysign,
}  # fmt: skip

SIGNED: dict[str, np.ufunc] = {
    "floordivsi": np.floor_divide, "remsi": np.fmod, "maxsi": np.maximum, "minsi": np.minimum,
    "shrsi": np.right_shift, "absi": np.absolute,
}  # fmt: skip

UNSIGNED: dict[str, np.ufunc] = {
    "divui": np.floor_divide, "remui": np.fmod, "maxui": np.maximum, "minui": np.minimum,
    "shrui": np.right_shift,
}  # fmt: skip

#: Arithmetic modulo two: what the operations mean on i1, where signed true is -1.
ON_BOOL: dict[str, np.ufunc] = {
    "addi": np.logical_xor, "subi": np.logical_xor, "muli": np.logical_and,
    "andi": np.logical_and, "ori": np.logical_or, "xori": np.logical_xor,
    "maxui": np.logical_or, "minui": np.logical_and,
    "maxsi": np.logical_and, "minsi": np.logical_or,
}  # fmt: skip

COMPARE: dict[str, np.ufunc] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


def divsi(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
    """Signed division toward zero."""
    a, b = signed(a), signed(b)
    return np.floor_divide(np.subtract(a, np.fmod(a, b)), b)


def ceildivsi(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
    """Signed division toward plus infinity."""
    a, b = signed(a), signed(b)
    quotient = np.floor_divide(a, b)
    return quotient + (np.multiply(quotient, b) != a)


def rsqrt(x: np.ndarray, out: Out = None) -> np.ndarray:
    root = np.sqrt(x, out=out)
    return np.divide(root.dtype.type(1), root, out=out)


def round_half_away(x: np.ndarray, out: Out = None) -> np.ndarray:
    """C's ``round``: halves away from zero."""
    whole = np.trunc(x)
    away = np.absolute(np.subtract(x, whole)) >= 0.5
    return whole + np.copysign(away.astype(whole.dtype), x)


def fpowi(x: np.ndarray, n: np.ndarray, out: Out = None) -> np.ndarray:
    return np.power(x, n.astype(x.dtype), out=out)


def ipowi(x: np.ndarray, n: np.ndarray, out: Out = None) -> np.ndarray:
    """Signed integer power that wraps; a negative exponent truncates 1/x**-n (0 where x is 0)."""
    x, n = signed(x), signed(n)
    power = np.power(x, np.maximum(n, 0))
    odd = np.where(np.bitwise_and(n, 1) == 1, x, np.multiply(x, x))
    inverse = np.where(np.absolute(x) == 1, odd, 0).astype(x.dtype)
    return np.where(n < 0, inverse, power)


def select(c: np.ndarray, a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
    if out is None:
        return np.where(c, a, b)
    np.copyto(out, b)
    np.copyto(out, a, where=c)
    return out


def function_of(name: str, imm: Any, operands: tuple[np.dtype, ...], result: np.dtype) -> Function:
    """The array function of one operation on operands of the given types.

    Raises ProgramError for an operation or predicate that does not exist.
    """
    source = operands[0] if operands else result
    if name in CONVERT:
        return CONVERT[name](result)
    if name == "select":
        return select
    if is_narrow(source):
        raise ProgramError(f"a map body may convert {source}, not compute {name} on it")
    if name in ("cmpf", "cmpi"):
        return _comparison(name, str(imm))
    if source.kind == "b":
        if name not in ON_BOOL:
            raise ProgramError(f"a map body may not use {name} on i1")
        return ON_BOOL[name]
    if name in SPECIAL:
        function = SPECIAL[name]
    elif name in PLAIN:
        function = PLAIN[name]
    elif name in SIGNED:
        return _on_bits(SIGNED[name], signed)
    elif name in UNSIGNED:
        return _on_bits(UNSIGNED[name], unsigned)
    else:
        raise ProgramError(f"a map body may use arith and math operations, not {name!r}")
    return function if not is_float(source) else _in_own_type(function, source, len(operands))


def _on_bits(ufunc: np.ufunc, read: Callable[[np.ndarray], np.ndarray]) -> Function:
    """``ufunc`` on the bits of its operands seen through ``read``."""

    def run(*operands: np.ndarray, out: Out = None) -> np.ndarray:
        target = None if out is None else read(out)
        result = ufunc(*map(read, operands), out=target)
        return result if out is None else out

    return run


def _in_own_type(function: Function, dtype: np.dtype, arity: int) -> Function:
    """``function`` itself if it keeps ``dtype``, else by way of float32 (bfloat16 lacks some)."""
    if isinstance(function, np.ufunc):
        with np.errstate(all="ignore"):
            try:
                if function(*[np.ones(1, dtype)] * arity).dtype == dtype:
                    return function
            except TypeError:
                pass
    elif dtype.itemsize > 2:
        return function

    def run(*operands: np.ndarray, out: Out = None) -> np.ndarray:
        return function(*(x.astype(FLOAT32) for x in operands)).astype(dtype)

    return run


def _comparison(name: str, predicate: str) -> Function:
    if name == "cmpi":
        if predicate in ("eq", "ne"):
            return COMPARE[predicate]
        if predicate[:1] in ("s", "u") and predicate[1:] in ("lt", "le", "gt", "ge"):
            read = signed if predicate[0] == "s" else unsigned
            return _compare_bits(COMPARE[predicate[1:]], read)
    elif predicate in FLOAT_PREDICATES:
        return FLOAT_PREDICATES[predicate]
    raise ProgramError(f"{name} has no predicate {predicate!r}")


def _compare_bits(ufunc: np.ufunc, read: Callable[[np.ndarray], np.ndarray]) -> Function:
    def run(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
        return ufunc(read(a), read(b), out=out)

    return run


def _negated(function: Function) -> Function:
    def run(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
        return np.logical_not(function(a, b), out=out)

    return run


def _ordered_unequal(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
    return np.logical_or(np.less(a, b), np.greater(a, b), out=out)


def _unordered(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
    return np.logical_or(np.isnan(a), np.isnan(b), out=out)


def _constantly(value: bool) -> Function:
    def run(a: np.ndarray, b: np.ndarray, out: Out = None) -> np.ndarray:
        return np.full(np.broadcast_shapes(np.shape(a), np.shape(b)), value)

    return run


#: LLVM's predicates: o... is false and u... is true where either operand is NaN.
FLOAT_PREDICATES: dict[str, Function] = {
    "false": _constantly(False), "true": _constantly(True),
    "oeq": np.equal, "one": _ordered_unequal, "ogt": np.greater, "oge": np.greater_equal,
    "olt": np.less, "ole": np.less_equal, "ord": _negated(_unordered), "uno": _unordered,
    "ueq": _negated(_ordered_unequal), "une": np.not_equal, "ugt": _negated(np.less_equal),
    "uge": _negated(np.less), "ult": _negated(np.greater_equal), "ule": _negated(np.greater),
}  # fmt: skip

SPECIAL: dict[str, Function] = {
    "divsi": divsi, "ceildivsi": ceildivsi, "rsqrt": rsqrt, "round": round_half_away,
    "fpowi": fpowi, "ipowi": ipowi, "erf": erf,
}  # fmt: skip


def _cast(x: np.ndarray, result: np.dtype, out: Out) -> np.ndarray:
    if out is None:
        return x.astype(result)
    np.copyto(out, x, casting="unsafe")
    return out


def _converter(read: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.dtype], Function]:
    """Value conversion of what ``read`` sees; narrowing integers keeps the low bits."""

    def make(result: np.dtype) -> Function:
        def run(x: np.ndarray, out: Out = None) -> np.ndarray:
            source = read(x)
            if result.kind == "b" and not is_float(source.dtype):
                return np.bitwise_and(source, 1).astype(bool)
            return _cast(source, result, out)

        return run

    return make


def _float_to_int(wide_of: Callable[[np.dtype], str]) -> Callable[[np.dtype], Function]:
    """Float to integer as ONNX Runtime casts on x86-64: narrow types keep the low bits.

    Narrow results go through an explicit wider integer, because the direct conversion of a value
    out of range is undefined in C and differs between scalar and vector code.
    """

    def make(result: np.dtype) -> Function:
        wide = wide_of(result)

        def run(x: np.ndarray, out: Out = None) -> np.ndarray:
            return _cast(x.astype(wide), result, out)

        return run

    return make


def _reinterpret(result: np.dtype) -> Function:
    def run(x: np.ndarray, out: Out = None) -> np.ndarray:
        return x.view(result)

    return run


def _as_is(x: np.ndarray) -> np.ndarray:
    return x


#: Conversions by name: each makes the function for a result type.
CONVERT: dict[str, Callable[[np.dtype], Function]] = {
    "extf": _converter(_as_is), "truncf": _converter(_as_is),
    "extsi": _converter(signed), "extui": _converter(unsigned), "trunci": _converter(signed),
    "sitofp": _converter(signed), "uitofp": _converter(unsigned),
    "fptosi": _float_to_int(lambda t: "i4" if t.itemsize < 4 else f"i{t.itemsize}"),
    "fptoui": _float_to_int(lambda t: {1: "i4", 2: "i4", 4: "i8"}.get(t.itemsize, "u8")),
    "bitcast": _reinterpret, "unrealized_conversion_cast": _reinterpret,
}  # fmt: skip

#: Operations whose result is the operand's memory.
ALIASING = ("bitcast", "unrealized_conversion_cast")
#: Functions that read an operand again after having written ``out``.
NOT_IN_PLACE = ("select", "erf")
