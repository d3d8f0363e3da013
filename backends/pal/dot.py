"""Arithmetic on OpenPAL tensors: products by integer addition, and two kinds of matrix product.

Per pair of blocks with scales Sa, Sb (E = (Sa + Sb) >> m, F = (Sa + Sb) mod 2^m) the exact
dot product is defined as

    u_i    = F - (depth_a_i + depth_b_i)
    term_i = +-((ANTILOG[u_i mod 2^m] << G) >> -(u_i >> m))      ANTILOG has W fraction bits
    result = sum over blocks of 2^(E - W - G) * sum_i term_i

in integers, rounded once to float64 at the very end: no order of summation can change a bit, so
any parallel schedule gives the same result. The fast matrix product decodes to float32 and calls
BLAS; :func:`matmul_bound` says how far the two can be apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .array import PalArray
from .formats import NAN_EXPONENT, SCALE_BITS, antilog_table, code_depths, power_of_grid
from .parallel import for_row_ranges

#: The depth of zero in a plane: every product with it is shifted out, in all formats.
_ZERO_DEPTH = 1 << 20
#: Table and guard bits together: keeps a block's sum, shifted by the range of scales, in 64 bits.
_MAX_UNIT_BITS = 24


@dataclass(frozen=True, slots=True, eq=False)
class Logs:
    """Signed powers of two: (-1)^negative * 2^(log / 2^grid_bits), or zero, or NaN.

    The exact value of PAL elements and of their products; arrays of one (logical) shape.
    """

    negative: npt.NDArray[np.bool_]
    log: npt.NDArray[np.int64]
    zero: npt.NDArray[np.bool_]
    nan: npt.NDArray[np.bool_]
    grid_bits: int

    def decode(self) -> npt.NDArray[np.float64]:
        values = power_of_grid(self.log, self.grid_bits)
        values = np.where(self.zero, 0.0, np.where(self.negative, -values, values))
        return np.where(self.nan, np.nan, values)


def logs(x: PalArray) -> Logs:
    """The integer logarithms of a tensor's elements."""
    spec = x.spec
    codes = x.unpacked().astype(np.int64)
    magnitude = codes & (spec.sign_bit - 1)
    shift = spec.grid_bits - SCALE_BITS
    scale = (x.tensor_exponent - x.exponents.astype(np.int64)) << shift
    negative, zero = codes >= spec.sign_bit, magnitude == 0
    nan = (zero & negative) | (x.exponents == NAN_EXPONENT)[..., None]
    log = np.where(zero, 0, scale[..., None] - code_depths(spec)[magnitude])

    def lay_out(blocks: npt.NDArray[Any]) -> npt.NDArray[Any]:
        lines = blocks.reshape(*blocks.shape[:-2], blocks.shape[-2] * blocks.shape[-1])
        return np.moveaxis(lines[..., : x.shape[x.axis]], -1, x.axis)

    return Logs(lay_out(negative), lay_out(log), lay_out(zero & ~nan), lay_out(nan), spec.grid_bits)


def multiply(a: PalArray | Logs, b: PalArray | Logs) -> Logs:
    """The exact products, element by element (broadcast): signs xored, logarithms added."""
    a = logs(a) if isinstance(a, PalArray) else a
    b = logs(b) if isinstance(b, PalArray) else b
    grid = max(a.grid_bits, b.grid_bits)
    nan = a.nan | b.nan
    return Logs(
        a.negative ^ b.negative,
        (a.log << (grid - a.grid_bits)) + (b.log << (grid - b.grid_bits)),
        (a.zero | b.zero) & ~nan,
        nan,
        grid,
    )


def matmul(a: PalArray | npt.ArrayLike, b: PalArray | npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The matrix product of the decoded operands, in float32 (numpy.matmul's shapes).

    Either operand may also be an ordinary array. Raises InputError when shapes do not fit.
    """
    left, right = (
        x.decode_view(np.float32) if isinstance(x, PalArray) else np.asarray(x, np.float32)
        for x in (a, b)
    )
    try:
        return np.asarray(np.matmul(left, right), dtype=np.float32)
    except ValueError as error:
        raise InputError(
            f"matmul needs [.., M, K] x [.., K, N], not {left.shape} x {right.shape}"
        ) from error


def matmul_exact(
    a: PalArray,
    b: PalArray,
    *,
    table_bits: int | None = None,
    guard_bits: int | None = None,
) -> npt.NDArray[np.float64]:
    """The matrix product by the exact dot product above, correctly rounded to float64.

    a [.., M, K] in blocks along K (axis -1), b [.., K, N] in blocks along K (axis -2); batch axes
    broadcast. The operands may be of different formats. A NaN makes its row or column NaN.
    ``table_bits`` and ``guard_bits`` default to the larger of the two formats'. Raises InputError.
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise InputError(f"matmul needs [.., M, K] x [.., K, N], not {a.shape} x {b.shape}")
    if a.axis != a.ndim - 1 or b.axis != b.ndim - 2:
        raise InputError(
            "the exact product needs blocks along the contracted axis: "
            f"a has them along axis {a.axis} of {a.ndim}, b along axis {b.axis} of {b.ndim}",
            help="encode a with axis=-1 and b with axis=-2",
        )
    from . import kernels

    pair = _align(a, b, table_bits, guard_bits)
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise InputError(f"batch axes of {a.shape} and {b.shape} do not broadcast") from error
    planes_a, scales_a = _broadcast(pair.a, batch)
    planes_b, scales_b = _broadcast(pair.b, batch)
    out = np.empty((*batch, a.shape[-2], b.shape[-1]))
    for n in np.ndindex(*batch):
        pa, sa, pb, sb, result = planes_a[n], scales_a[n], planes_b[n], scales_b[n], out[n]

        def run(
            rows: slice, pa: Any = pa, sa: Any = sa, pb: Any = pb, sb: Any = sb, out: Any = result
        ) -> None:
            kernels.dot_all_pairs(
                pa[rows], pb, sa[rows], sb, pair.antilogs, pair.grid_bits, pair.lowest, out[rows]
            )

        for_row_ranges(run, len(result), a.shape[-1] * b.shape[-1])
    out = np.ldexp(out, pair.unit)
    bad = pair.a.bad[..., :, None] | pair.b.bad[..., None, :]
    return np.where(bad, np.nan, out)


def dot_exact(
    a: PalArray,
    b: PalArray,
    *,
    table_bits: int | None = None,
    guard_bits: int | None = None,
) -> npt.NDArray[np.float64]:
    """The exact dot products along the last axis of two tensors of one shape [.., K] -> [..].

    Both must be cut into blocks along the last axis. Raises InputError.
    """
    if a.shape != b.shape or not a.shape or a.axis != a.ndim - 1 or b.axis != b.ndim - 1:
        raise InputError(
            f"dot needs two tensors of one shape with blocks along the last axis, "
            f"not {a.shape} (axis {a.axis}) and {b.shape} (axis {b.axis})"
        )
    from . import kernels

    pair = _align(a, b, table_bits, guard_bits)
    rows = a.size // a.shape[-1] if a.shape[-1] else int(np.prod(a.shape[:-1]))
    planes, scales = pair.a.planes, pair.a.scales
    out = np.empty(rows)
    kernels.dot_rows(
        planes.reshape(rows, *planes.shape[-2:]),
        pair.b.planes.reshape(rows, *planes.shape[-2:]),
        scales.reshape(rows, scales.shape[-1]),
        pair.b.scales.reshape(rows, scales.shape[-1]),
        pair.antilogs,
        pair.grid_bits,
        pair.lowest,
        out,
    )
    sums = np.ldexp(out, pair.unit).reshape(a.shape[:-1])
    return np.where(pair.a.bad | pair.b.bad, np.nan, sums)


def matmul_bound(a: PalArray, b: PalArray) -> npt.NDArray[np.float64]:
    """A bound on |matmul(a, b) - matmul_exact(a, b)|, element by element.

    sum|a b| * (2^(-W-1) + 2^-22 + K 2^-24) for the table's and float32's rounding, and one unit
    2^(E-W-G) per term for the bits shifted out, E of the largest pair of scales.
    """
    pair = _align(a, b, None, None)
    inner = a.shape[-1]
    magnitude = np.abs(a.decode_view(np.float64)) @ np.abs(b.decode_view(np.float64))
    top = pair.a.scales.max(initial=pair.lowest) + pair.b.scales.max(initial=pair.lowest)
    padded = pair.a.planes.shape[-1] * pair.a.planes.shape[-2]
    shifted_out = padded * 2.0 ** ((int(top) >> pair.grid_bits) - pair.table_bits - pair.guard_bits)
    relative = 2.0 ** (-pair.table_bits - 1) + 2.0**-22 + inner * 2.0**-24
    return np.asarray(magnitude * relative + shifted_out)


@dataclass(frozen=True, slots=True)
class _Operand:
    """planes int32 [*outer, blocks, k]: depth << 1 | sign; scales int64 [*outer, blocks] on the
    common grid; bad bool [*outer]: a NaN lies on this line."""

    planes: npt.NDArray[np.int32]
    scales: npt.NDArray[np.int64]
    bad: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Pair:
    a: _Operand
    b: _Operand
    grid_bits: int
    table_bits: int
    guard_bits: int
    lowest: int
    antilogs: npt.NDArray[np.int64]

    @property
    def unit(self) -> int:
        """Exponent of the power of two that the kernels' sums are counted in."""
        return self.lowest - self.table_bits - self.guard_bits


def _align(a: PalArray, b: PalArray, table_bits: int | None, guard_bits: int | None) -> _Pair:
    """Both operands on the finer grid and in the smaller blocks: no value changes."""
    grid = max(a.spec.grid_bits, b.spec.grid_bits)
    block = min(a.spec.block, b.spec.block)
    table = max(a.spec.table_bits, b.spec.table_bits) if table_bits is None else table_bits
    guard = max(a.spec.guard_bits, b.spec.guard_bits) if guard_bits is None else guard_bits
    if table < 1 or guard < 0 or table + guard > _MAX_UNIT_BITS:
        raise InputError(
            f"table bits (at least 1) and guard bits together must be at most {_MAX_UNIT_BITS}, "
            f"not {table} and {guard}"
        )
    blocks = -(-a.shape[a.axis] // block)
    least = (a.tensor_exponent + b.tensor_exponent - 2 * NAN_EXPONENT) << (grid - SCALE_BITS)
    return _Pair(
        _operand(a, grid, block, blocks),
        _operand(b, grid, block, blocks),
        grid,
        table,
        guard,
        least >> grid,
        antilog_table(grid, table) << guard,
    )


def _operand(x: PalArray, grid_bits: int, block: int, blocks: int) -> _Operand:
    spec = x.spec
    codes = x.unpacked()
    plane_of = _plane_of_codes(x, grid_bits)
    outer = codes.shape[:-2]
    planes = plane_of[codes].reshape(*outer, -1, block)[..., :blocks, :]
    scales = (x.tensor_exponent - x.exponents.astype(np.int64)) << (grid_bits - SCALE_BITS)
    scales = np.repeat(scales, spec.block // block, axis=-1)[..., :blocks]
    bad = (x.exponents == NAN_EXPONENT).any(axis=-1)
    if spec.has_nan_code:
        bad |= (codes == spec.sign_bit).any(axis=(-2, -1))
    return _Operand(np.ascontiguousarray(planes), np.ascontiguousarray(scales), bad)


def _plane_of_codes(x: PalArray, grid_bits: int) -> npt.NDArray[np.int32]:
    spec = x.spec
    depths = code_depths(spec) << (grid_bits - spec.grid_bits)
    depths[0] = _ZERO_DEPTH
    return np.concatenate([depths << 1, (depths << 1) | 1]).astype(np.int32)


def _broadcast(
    x: _Operand, batch: tuple[int, ...]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    return (
        np.broadcast_to(x.planes, (*batch, *x.planes.shape[-3:])),
        np.broadcast_to(x.scales, (*batch, *x.scales.shape[-2:])),
    )
