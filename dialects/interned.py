"""Attributes that occur again and again, each made once.

xDSL checks an attribute whenever it is constructed, which costs more than the operation that
carries it; and equal attributes that are one object compare at once (see verify_once.py).
"""

from collections.abc import Sequence
from functools import lru_cache

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, IntegerType, StringAttr, i64

_MOST = 1 << 16


def int_attr(value: int, type_: IntegerType = i64) -> IntegerAttr:
    """``value : type_``."""
    return _int_attr(int(value), type_)


def ints_attr(values: Sequence[int], type_: IntegerType = i64) -> DenseArrayBase:
    """``array<type_: values>``."""
    return _ints_attr(tuple(map(int, values)), type_)


@lru_cache(_MOST)
def text_attr(text: str) -> StringAttr:
    """``"text"``."""
    return StringAttr(text)


@lru_cache(_MOST)
def _int_attr(value: int, type_: IntegerType) -> IntegerAttr:
    return IntegerAttr(value, type_)


@lru_cache(_MOST)
def _ints_attr(values: tuple[int, ...], type_: IntegerType) -> DenseArrayBase:
    return DenseArrayBase.from_list(type_, list(values))
