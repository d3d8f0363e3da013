"""Loops compiled by numba, kept on disk where that is possible. numba takes half a second to load,
so whoever has such loops imports them late."""

from collections.abc import Callable, Collection
from typing import Any

import numba

Function = Callable[..., Any]


def compiled(*, fastmath: Collection[str] = ()) -> Callable[[Function], Function]:
    """A decorator that compiles a function of arrays and scalars, without the interpreter lock.

    ``fastmath`` are LLVM's flags of what may be assumed of floating point; none by default, so that
    results are IEEE's in the order written. A function may call only compiled functions of its own
    file: numba's cache looks at no other for changes.
    """

    def decorate(function: Function) -> Function:
        options: dict[str, Any] = {"nogil": True, "fastmath": set(fastmath) or False}
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no writable folder for the cache: compile again in each process
            return numba.njit(**options)(function)

    return decorate
