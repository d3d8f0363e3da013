"""The vector engine's arithmetic: run one digital kernel on numpy arrays.

The one semantics of the digital operations, used by the interpreters of every level and by the
executor of programs. A program comes from a file, so nothing in it may reach memory outside its
operands: each kernel checks what numpy does not, and whatever numpy refuses becomes a ProgramError.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...dialects.kernel import Kernel
from ...errors import ProgramError
from .kernels.argsort import argsort
from .kernels.contract import contract
from .kernels.cumulate import cumulate
from .kernels.indexing import gather, scatter, update, update_row
from .kernels.map_body import map_body
from .kernels.movement import concat, pad, view
from .kernels.reduce import reduce
from .kernels.resample import resample
from .kernels.window import window

Runner = Callable[[Mapping[str, Any], Sequence[np.ndarray], tuple[int, ...], np.dtype], np.ndarray]

RUNNERS: dict[str, Runner] = {
    "map": map_body,
    "reduce": reduce,
    "view": view,
    "pad": pad,
    "concat": concat,
    "gather": gather,
    "scatter": scatter,
    "update": update,
    "resample": resample,
    "window": window,
    "contract": contract,
    "cumulate": cumulate,
    "argsort": argsort,
}


def run_kernel(
    kernel: Kernel,
    inputs: Sequence[np.ndarray],
    out_shape: Sequence[int],
    out_dtype: np.dtype | type,
) -> np.ndarray:
    """The result of ``kernel`` as a fresh row-major array of ``out_shape`` and ``out_dtype``.

    Raises ProgramError when the operands, attributes and output type do not fit each other, or
    when an index or view leaves its operand. ``host`` kernels are run by ``host.run_host``.
    """
    runner = RUNNERS.get(kernel.kind)
    if runner is None:
        raise ProgramError(f"a vector kernel must be one of {sorted(RUNNERS)}, not {kernel.kind!r}")
    shape, dtype = tuple(int(n) for n in out_shape), np.dtype(out_dtype)
    arrays = [np.asarray(x) for x in inputs]
    try:
        with np.errstate(all="ignore"):
            return runner(kernel.attrs, arrays, shape, dtype)
    except (LookupError, ValueError, TypeError, ArithmeticError, MemoryError) as error:
        operands = ", ".join(f"{x.dtype}{list(x.shape)}" for x in arrays)
        raise ProgramError(
            f"a {kernel.kind} kernel must fit its operands: ({operands}) -> {dtype}{list(shape)}: "
            f"{error or type(error).__name__}"
        ) from error


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two row-major arrays are the same bytes."""
    where = a.__array_interface__["data"][0], a.shape, a.dtype
    return where == (b.__array_interface__["data"][0], b.shape, b.dtype)


def run_kernel_into(kernel: Kernel, inputs: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write the result of ``kernel`` to ``out``; an ``update`` of ``out`` itself touches one row.

    Raises ProgramError as :func:`run_kernel` does.
    """
    if kernel.kind == "update" and len(inputs) == 3 and _is_same(inputs[0], out):
        update_row(out, *inputs[1:])
    else:
        out[...] = run_kernel(kernel, inputs, out.shape, out.dtype)
