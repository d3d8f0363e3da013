"""Values that are no tensors of the IR, carried by tensors of bytes.

A port, a buffer and a kernel operand have a static shape and an element type that arithmetic knows.
Whatever else ONNX has crosses them in one of two forms, which only the host looks into:

    packed   an element type of at most a byte (float8, int4, ...): uint8 of the same shape, an
             element a byte, as numpy's ml_dtypes keep them
    record   strings, sequences, optionals, tensors whose shape depends on data:
             uint8 [RECORD_BYTES]; the size n as 8 bytes, least first, then n bytes of the
             TensorProto, SequenceProto or OptionalProto, then zeros
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from onnx import TypeProto

#: Bytes of a record; a larger value is refused.
RECORD_BYTES = 1 << 16
PACKED, RECORD = "packed", "record"

# TensorProto.DataType of the element types that ml_dtypes keep in a byte: the four float8 of
# operator set 19, uint4, int4, float4e2m1, float8e8m0, uint2, int2.
_BYTE_ELEMENTS = frozenset((17, 18, 19, 20, 21, 22, 23, 24, 25, 26))


def record_form(kind: "TypeProto") -> str | None:
    """How a value of this type crosses a port: as it is (None), ``packed`` or ``record``."""
    if not kind.HasField("tensor_type"):
        return RECORD
    element = kind.tensor_type.elem_type
    if _static_shape(kind) is None:
        return RECORD
    from .types import is_supported  # here, because types needs xDSL and executors do not

    if is_supported(element):
        return None
    return PACKED if element in _BYTE_ELEMENTS else RECORD


def record_shape(kind: "TypeProto") -> tuple[int, ...]:
    """The shape of the bytes that carry a value of this type."""
    shape = _static_shape(kind)
    return shape if shape is not None and record_form(kind) == PACKED else (RECORD_BYTES,)


def to_record(value: Any, kind: "TypeProto") -> np.ndarray:
    """The bytes of ``value`` of type ``kind``, which has a record form.

    Raises InputError where the value is of another type, or too large.
    """
    from onnx import helper

    if record_form(kind) == PACKED:
        array = np.asarray(value)
        dtype = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
        if array.dtype != dtype or array.shape != record_shape(kind):
            wants = f"{dtype}{list(record_shape(kind))}"
            raise InputError(f"a value must be {wants}, came {array.dtype}{list(array.shape)}")
        return np.ascontiguousarray(array).view(np.uint8).reshape(array.shape)
    try:
        data = _proto_of(value, kind).SerializeToString()
    except (TypeError, ValueError) as error:
        field = kind.WhichOneof("value")
        raise InputError(f"a value must fit its type, {field}: {error}") from error
    if len(data) + 8 > RECORD_BYTES:
        raise InputError(
            f"a value without a static tensor type must have at most {RECORD_BYTES - 8} bytes, "
            f"not {len(data)}"
        )
    record = np.zeros(RECORD_BYTES, np.uint8)
    record[:8] = np.frombuffer(len(data).to_bytes(8, "little"), np.uint8)
    record[8 : 8 + len(data)] = np.frombuffer(data, np.uint8)
    return record


def from_record(record: np.ndarray, kind: "TypeProto") -> Any:
    """The value that :func:`to_record` wrote. Raises InputError for bytes that are none."""
    import onnx
    from onnx import helper, numpy_helper

    if record.dtype != np.uint8 or record.shape != record_shape(kind):
        raise InputError(f"a record must be uint8{list(record_shape(kind))}")
    if record_form(kind) == PACKED:
        dtype = helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type)
        return np.ascontiguousarray(record).view(dtype).reshape(record.shape)
    size = int.from_bytes(record[:8].tobytes(), "little")
    if size + 8 > RECORD_BYTES:
        raise InputError(f"a record must have at most {RECORD_BYTES - 8} bytes, not {size}")
    data = record[8 : 8 + size].tobytes()
    try:
        match kind.WhichOneof("value"):
            case "tensor_type":
                return numpy_helper.to_array(onnx.TensorProto.FromString(data))
            case "sequence_type":
                return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
            case "optional_type":
                return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    except Exception as error:  # protobuf's DecodeError, whose module depends on its backend
        raise InputError(f"a record must hold a value of its type: {error}") from error
    raise InputError(f"a record must be a tensor, sequence or optional, not {kind}")


def _proto_of(value: Any, kind: "TypeProto") -> Any:
    from onnx import SequenceProto, numpy_helper

    match kind.WhichOneof("value"):
        case "tensor_type":
            return numpy_helper.from_array(np.asarray(value))
        case "sequence_type":
            inner = kind.sequence_type.elem_type.WhichOneof("value")
            nested = inner == "sequence_type"
            element = SequenceProto.SEQUENCE if nested else SequenceProto.TENSOR
            return numpy_helper.from_list(list(value), dtype=element)
        case "optional_type":
            if isinstance(value, tuple):
                value = list(value)
            if value is not None and not isinstance(value, list):
                value = np.asarray(value)
            return numpy_helper.from_optional(value)
    raise TypeError("neither tensor, sequence nor optional")


def _static_shape(kind: "TypeProto") -> tuple[int, ...] | None:
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        return None
    shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim)
    return None if min(shape, default=0) < 0 else shape
