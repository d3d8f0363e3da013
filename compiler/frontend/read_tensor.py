"""A TensorProto as an array, without trusting it: dims, type and size are checked before use.

Elements of less than a byte get one each, their code in the low bits.
"""

import math
import sys
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...dialects.elements import OF_DTYPE, Element
from ...dialects.types import dtype_of_onnx
from ...errors import ModelError
from ..weights import Constant, Deferred, constant_values
from .external_data import ExternalFiles

if TYPE_CHECKING:
    from onnx import SparseTensorProto, TensorProto

MAX_TENSOR_BYTES = 1 << 37  # 128 GiB: no single tensor of a sane model is larger

_EXTERNAL = 1  # TensorProto.DataLocation
# TensorProto field that holds a type's values when raw_data does not, by ONNX type number.
_TYPED_FIELDS = {
    1: "float_data",
    7: "int64_data",
    11: "double_data",
    12: "uint64_data",
    13: "uint64_data",
}
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")


def read_tensor(
    tensor: "TensorProto", files: ExternalFiles, *, may_be_absent: bool = False
) -> Constant:
    """The constant of an ONNX tensor; external data are mapped, inline data are not copied twice.

    With ``may_be_absent`` a tensor whose file is missing is known by shape only. Raises ModelError
    where type, dims and bytes contradict each other.
    """
    name = tensor.name or "a constant"
    dtype = dtype_of_onnx(tensor.data_type, name)
    shape = _checked_shape(tensor, dtype, name)
    packed = _is_packed(OF_DTYPE[dtype])
    nbytes = math.prod(shape) * dtype.itemsize
    if packed:
        nbytes = _packed_bytes(math.prod(shape), OF_DTYPE[dtype].bits)
    try:
        data = _raw_bytes(tensor, files, nbytes, name)
    except FileNotFoundError as error:
        if may_be_absent:
            return Deferred(shape, dtype)
        raise ModelError(
            f"the file of external data must exist: {error.filename}",
            where=name,
            help="put it next to the model, or compile by shapes only with --no-weights",
        ) from None
    if data is None:
        return _typed_values(tensor, dtype, shape, name)
    if packed:
        return Deferred(shape, dtype, partial(_unpack, data, dtype, shape))
    if sys.byteorder == "big":
        swapped = data.view(f"u{dtype.itemsize}").byteswap()
        return swapped.view(dtype).reshape(shape)
    return data.view(dtype).reshape(shape)


def read_sparse_tensor(tensor: "SparseTensorProto", files: ExternalFiles) -> np.ndarray:
    """A sparse initialiser as a dense array (at most MAX_TENSOR_BYTES / 128)."""
    name = tensor.values.name or "a sparse constant"
    values = read_tensor(tensor.values, files)
    indices = read_tensor(tensor.indices, files)
    values, indices = constant_values(values), constant_values(indices)
    shape = tuple(tensor.dims)
    size = math.prod(shape)
    if min(shape, default=0) < 0 or size * values.dtype.itemsize > MAX_TENSOR_BYTES // 128:
        raise ModelError(f"a sparse tensor of shape {list(shape)} is too large", where=name)
    if indices.ndim == 2 and indices.shape == (values.size, len(shape)):
        inside = bool(np.all((indices >= 0) & (indices < np.array(shape))))
        flat = np.ravel_multi_index(tuple(indices.T), shape) if inside else indices
    else:
        flat = indices
    if flat.ndim != 1 or flat.size != values.size or np.any((flat < 0) | (flat >= size)):
        raise ModelError("the indices of a sparse tensor must lie within its dims", where=name)
    dense = np.zeros(size, values.dtype)
    dense[flat] = values.reshape(-1)
    return dense.reshape(shape)


def _checked_shape(tensor: "TensorProto", dtype: np.dtype, name: str) -> tuple[int, ...]:
    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0 or len(shape) > 64:
        raise ModelError(
            f"a tensor must have at most 64 dims, none negative, not {list(shape)[:8]}", where=name
        )
    if math.prod(shape) * dtype.itemsize > MAX_TENSOR_BYTES:
        raise ModelError(
            f"a tensor must have at most {MAX_TENSOR_BYTES} bytes, not the "
            f"{math.prod(shape) * dtype.itemsize} of dims {list(shape)}",
            where=name,
        )
    return shape


def _raw_bytes(
    tensor: "TensorProto", files: ExternalFiles, nbytes: int, name: str
) -> np.ndarray | None:
    """The tensor's bytes, or None where they are in a typed field."""
    typed = [field for field in _FIELDS if len(getattr(tensor, field))]
    if tensor.data_location == _EXTERNAL:
        if typed or tensor.HasField("raw_data"):
            raise ModelError("a tensor must be external or inline, not both", where=name)
        return files.read(tensor.external_data, nbytes, name)
    if not tensor.HasField("raw_data"):
        return None
    if typed:
        raise ModelError(f"a tensor must hold raw_data or {typed[0]}, not both", where=name)
    raw = tensor.raw_data
    if len(raw) != nbytes:
        raise ModelError(
            f"a tensor of dims {list(tensor.dims)} must have {nbytes} bytes, not {len(raw)}",
            where=name,
        )
    return np.frombuffer(raw, np.uint8)


def _typed_values(
    tensor: "TensorProto", dtype: np.dtype, shape: tuple[int, ...], name: str
) -> np.ndarray:
    """Values of the field that belongs to the type; floats in int32 are bit patterns."""
    field = _TYPED_FIELDS.get(tensor.data_type, "int32_data")
    others = [other for other in _FIELDS if other != field and len(getattr(tensor, other))]
    values = getattr(tensor, field)
    element = OF_DTYPE[dtype]
    # six bits are packed in raw_data only
    packed = _is_packed(element) and element.bits != 6
    count = math.prod(shape)
    if packed:
        count = _packed_bytes(count, element.bits)
    if others or len(values) != count:
        raise ModelError(
            f"a tensor of dims {list(shape)} must have {count} values in {field}, "
            f"not {len(values)}" + (f" and values in {others[0]}" if others else ""),
            where=name,
        )
    if packed:
        return _unpack(np.array(values, np.int64).astype(np.uint8), dtype, shape)
    if element.is_float and field == "int32_data":
        codes = np.array(values, np.int64) & ((1 << element.bits) - 1)
        return codes.astype(f"u{dtype.itemsize}").view(dtype).reshape(shape)
    return np.array(values).astype(dtype).reshape(shape)


def _is_packed(element: Element) -> bool:
    return element.is_narrow and element.bits < 8


def _packed_bytes(count: int, bits: int) -> int:
    return (count * bits + 7) // 8


def _unpack(data: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Elements of less than a byte from a stream of bits, the first one in the lowest."""
    bits = OF_DTYPE[dtype].bits
    group = math.lcm(bits, 8) // 8  # bytes that hold a whole number of elements
    words = data[:, None]
    if group > 1:
        padded = np.zeros((-(-len(data) // group), 4), np.uint8)
        filled = np.pad(data, (0, -len(data) % group))
        padded[:, :group] = filled.reshape(-1, group)
        words = padded.view("<u4")
    shifts = np.arange(0, 8 * group, bits, dtype=words.dtype)
    codes = (words >> shifts & ((1 << bits) - 1)).astype(np.uint8, copy=False)
    return codes.reshape(-1)[: math.prod(shape)].view(dtype).reshape(shape)
