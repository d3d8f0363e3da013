"""Values that are no tensors of the IR, carried by tensors of bytes.

A port, a buffer and a kernel operand have a static shape and an element type of ``elements.py``.
Whatever else ONNX has (strings, sequences, optionals, tensors whose shape depends on data) crosses
them as a record, into which only the host looks:

    record   uint8 [RECORD_BYTES]; the size n as 8 bytes, least first, then n bytes of the
             TensorProto, SequenceProto or OptionalProto, then zeros
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .elements import OF_NUMBER

if TYPE_CHECKING:
    from onnx import TypeProto

#: Bytes of a record; a larger value is refused.
RECORD_BYTES = 1 << 16
#: The mark of a record, in the ``doc_string`` of a host model's input or output.
RECORD = "record"


def needs_record(kind: "TypeProto") -> bool:
    """Whether a value of this type crosses a port as a record."""
    tensor = kind.tensor_type
    if not kind.HasField("tensor_type") or tensor.elem_type not in OF_NUMBER:
        return True
    dims = tensor.shape.dim
    return not tensor.HasField("shape") or any(
        not d.HasField("dim_value") or d.dim_value < 0 for d in dims
    )


def to_record(value: Any, kind: "TypeProto") -> np.ndarray:
    """The bytes of ``value`` of type ``kind``, which needs a record.

    Raises InputError where the value is of another type, or too large.
    """
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
    from onnx import numpy_helper

    if record.dtype != np.uint8 or record.shape != (RECORD_BYTES,):
        raise InputError(f"a record must be uint8[{RECORD_BYTES}]")
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
