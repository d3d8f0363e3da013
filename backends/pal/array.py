"""PalArray: a tensor in an OpenPAL format, as packed bytes, and its decoding."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, ProgramError
from .formats import (
    FORMATS,
    MAX_EXPONENT,
    SCALE_BITS,
    Format,
    code_depths,
    power_of_grid,
)
from .packing import Codes, unpack_codes
from .parallel import for_row_ranges

Index = int | slice | EllipsisType


@dataclass(frozen=True, slots=True, eq=False)
class PalArray:
    """A tensor whose values are OpenPAL codes, in blocks along one axis.

    codes            uint8 [*outer, blocks, bytes of a block]: packed element codes
    exponents        uint8 [*outer, blocks]: a block's scale lies this many 1/16 octaves below
                     the tensor's; 255 marks a block of NaN
    tensor_exponent  the tensor's scale in 1/16 octave (the "T" of the definition)
    format           a key of FORMATS
    shape            the logical shape; the last block along ``axis`` is padded with zeros
    axis             the axis (>= 0) that is cut into blocks; ``outer`` is the shape without it
    """

    codes: npt.NDArray[np.uint8]
    exponents: npt.NDArray[np.uint8]
    tensor_exponent: int
    format: str
    shape: tuple[int, ...]
    axis: int

    @property
    def spec(self) -> Format:
        return FORMATS[self.format]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes stored for the tensor: codes and block exponents, padding included."""
        return self.codes.nbytes + self.exponents.nbytes

    @property
    def T(self) -> "PalArray":
        """The transpose: axes in reverse order, the same bytes."""
        return self.transpose()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"PalArray(shape={self.shape}, format={self.format!r}, axis={self.axis})"

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        if copy is False:
            raise ValueError("a PAL tensor cannot be seen as an array without decoding a copy")
        values = self.decode(np.float64 if dtype == np.float64 else np.float32)
        return values if dtype is None else values.astype(dtype, copy=False)

    def decode(self, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """The values as a fresh contiguous float32 or float64 array, each rounded once.

        Values beyond the type's range become its largest finite number.
        """
        return np.ascontiguousarray(self.decode_view(dtype))

    def decode_view(self, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
        """As :meth:`decode`, but in the order of the blocks in memory: strided when transposed."""
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise InputError(f"PAL decodes to float32 or float64, not {dtype}")
        spec = self.spec
        values = np.empty((prod(self.exponents.shape), spec.block), dtype)
        if values.size:
            self._decode_into(values)
        outer = self.exponents.shape[:-1]
        whole = values.reshape(*outer, self.exponents.shape[-1] * spec.block)
        return np.moveaxis(whole[..., : self.shape[self.axis]], -1, self.axis)

    def _decode_into(self, out: npt.NDArray[Any]) -> None:
        from . import kernels

        spec = self.spec
        codes = self.unpacked().reshape(out.shape)
        exponents = np.ascontiguousarray(self.exponents).reshape(-1)
        steps = 1 << (spec.grid_bits - SCALE_BITS)
        table = _value_table(spec, self.tensor_exponent, out.dtype)

        def run(rows: slice) -> None:
            kernels.decode_blocks(
                codes[rows],
                exponents[rows],
                code_depths(spec),
                table,
                steps,
                spec.sign_bit,
                out[rows],
            )

        for_row_ranges(run, len(out), spec.block)

    def unpacked(self) -> Codes:
        """One code per element: uint8 or uint16 [*outer, blocks, block]."""
        return unpack_codes(self.codes, self.spec.bits)

    def transpose(self, *axes: int) -> "PalArray":
        """The axes in the given order (reversed when none is given), without copying."""
        order = tuple(range(self.ndim))[::-1] if not axes else _normal_axes(axes, self.ndim)
        outer = [a for a in range(self.ndim) if a != self.axis]
        moved = [outer.index(a) for a in order if a != self.axis]
        n = len(outer)
        return replace(
            self,
            codes=self.codes.transpose(*moved, n, n + 1),
            exponents=self.exponents.transpose(*moved, n),
            shape=tuple(self.shape[a] for a in order),
            axis=order.index(self.axis),
        )

    def __getitem__(self, index: Index | tuple[Index, ...]) -> "PalArray":
        """A part of the tensor, as a view of the same bytes: integers and slices.

        Along the block axis only slices of whole blocks (a multiple of the block to a multiple
        of the block, or to the end) are possible. Raises InputError for any other.
        """
        items = _expand_index(index, self.ndim)
        along = items.pop(self.axis)
        blocks, length = self._block_slice(along)
        outer_shape = [s for a, s in enumerate(self.shape) if a != self.axis]
        kept = [
            len(range(s)[i])
            for s, i in zip(outer_shape, items, strict=True)
            if isinstance(i, slice)
        ]
        axis = sum(isinstance(i, slice) for i in items[: self.axis])
        return replace(
            self,
            codes=self.codes[(*items, blocks)],
            exponents=self.exponents[(*items, blocks)],
            shape=(*kept[:axis], length, *kept[axis:]),
            axis=axis,
        )

    def _block_slice(self, along: int | slice) -> tuple[slice, int]:
        length, block = self.shape[self.axis], self.spec.block
        if isinstance(along, slice):
            start, stop, step = along.indices(length)
            stop = max(start, stop)
            if step == 1 and start % block == 0 and (stop % block == 0 or stop == length):
                return slice(start // block, -(-stop // block)), stop - start
        raise InputError(
            f"axis {self.axis} of a {self.format} tensor is cut into blocks of {block}: "
            f"a part must be a slice of whole blocks, not {along}",
            help="decode the tensor first",
        )

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[np.uint8]], dict[str, Any]]:
        """Plain uint8 arrays and a small dictionary of JSON values, for storing in a file."""
        facts = {
            "format": self.format,
            "shape": list(self.shape),
            "axis": self.axis,
            "tensor_exponent": self.tensor_exponent,
        }
        arrays = {
            "codes": np.ascontiguousarray(self.codes),
            "exponents": np.ascontiguousarray(self.exponents),
        }
        return arrays, facts

    @staticmethod
    def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], facts: Mapping[str, Any]) -> "PalArray":
        """The inverse of :meth:`to_arrays`, without copying. Raises ProgramError on a mismatch."""
        try:
            name, axis = str(facts["format"]), operator.index(facts["axis"])
            shape = tuple(operator.index(s) for s in facts["shape"])
            tensor_exponent = operator.index(facts["tensor_exponent"])
            codes, exponents = arrays["codes"], arrays["exponents"]
        except (KeyError, TypeError) as error:
            raise ProgramError(f"a stored PAL tensor is incomplete: {error!r}") from error
        if name not in FORMATS:
            raise ProgramError(f"a stored PAL tensor has the unknown format {name!r}")
        if not 0 <= axis < len(shape) or min(shape) < 0 or abs(tensor_exponent) > 1 << 20:
            raise ProgramError(
                f"a stored PAL tensor has shape {list(shape)}, axis {axis}, "
                f"tensor exponent {tensor_exponent}"
            )
        spec = FORMATS[name]
        outer = tuple(s for a, s in enumerate(shape) if a != axis)
        expected = (*outer, -(-shape[axis] // spec.block))
        for part, array, want in (
            ("codes", codes, (*expected, spec.block_bytes)),
            ("exponents", exponents, expected),
        ):
            if array.dtype != np.uint8 or array.shape != want:
                raise ProgramError(
                    f"the {part} of a stored {name} tensor must be uint8 {list(want)}, "
                    f"not {array.dtype} {list(array.shape)}"
                )
        return PalArray(codes, exponents, tensor_exponent, name, shape, axis)


@lru_cache(32)
def _value_table(spec: Format, tensor_exponent: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The powers from the tensor's largest level down, one per grid step, rounded to ``dtype``."""
    shift = spec.grid_bits - SCALE_BITS
    count = (MAX_EXPONENT << shift) + spec.depths[-1] + 1
    exact = power_of_grid((tensor_exponent << shift) - np.arange(count), spec.grid_bits)
    table: npt.NDArray[Any] = np.minimum(exact, np.finfo(dtype).max).astype(dtype)
    table.setflags(write=False)
    return table


def _normal_axes(axes: tuple[int, ...], ndim: int) -> tuple[int, ...]:
    order = tuple(a + ndim if a < 0 else a for a in axes)
    if sorted(order) != list(range(ndim)):
        raise InputError(f"axes must be an order of 0..{ndim - 1}, not {axes}")
    return order


def _expand_index(index: Index | tuple[Index, ...], ndim: int) -> list[int | slice]:
    """One entry per axis: the ellipsis filled in, missing entries as whole slices."""
    given = index if isinstance(index, tuple) else (index,)
    dots = [n for n, i in enumerate(given) if isinstance(i, EllipsisType)]
    missing = ndim - len(given) + len(dots)
    if len(dots) > 1 or missing < 0:
        raise InputError(f"{len(given)} indices for a tensor of {ndim} axes")
    where = dots[0] if dots else len(given)
    filled = (*given[:where], *[slice(None)] * missing, *given[where + len(dots) :])
    items: list[int | slice] = []
    for i in filled:
        if isinstance(i, slice):
            items.append(i)
        else:
            try:
                items.append(operator.index(i))  # type: ignore[arg-type]
            except TypeError:
                raise InputError(
                    f"a PAL tensor is indexed by integers and slices, not {type(i).__name__}",
                    help="decode the tensor first",
                ) from None
    return items
