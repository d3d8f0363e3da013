"""The model file as a ModelProto whose versions and operator sets are known to be supported."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

MIN_IR_VERSION = 3  # the first that has operator sets
_MAX_FILE_BYTES = (1 << 31) - 1  # protobuf's own limit


def read_model(model: "str | os.PathLike[str] | bytes | ModelProto") -> "ModelProto":
    """Parse a model file (or its bytes); a ModelProto is copied, so the caller's stays as it is.

    External data are not read. Raises ModelError for a file that is missing, no ONNX model, or of
    a version this compiler does not know.
    """
    import onnx

    proto = onnx.ModelProto()
    where: str | None = None
    if isinstance(model, onnx.ModelProto):
        proto.CopyFrom(model)
    else:
        where = None if isinstance(model, bytes) else os.fspath(model)
        data = model if isinstance(model, bytes) else _read_file(Path(model))
        try:
            proto.ParseFromString(data)
        except Exception as error:  # protobuf's DecodeError, whose module depends on its backend
            raise ModelError(
                f"an ONNX model must be a whole protobuf message ({error})",
                where=where,
                help="check that the file is complete and really is an ONNX model",
            ) from None
    try:
        check_versions(proto)
    except ModelError as error:
        raise ModelError(error.message, where=error.where or where, help=error.help) from None
    return proto


def _read_file(path: Path) -> bytes:
    if not path.exists():
        raise ModelError("the model file must exist", where=str(path))
    if not path.is_file():
        raise ModelError("a model must be a regular file", where=str(path))
    size = path.stat().st_size
    if size > _MAX_FILE_BYTES:
        raise ModelError(
            f"a model file must be smaller than 2 GiB, not {size} bytes",
            where=str(path),
            help="save the weights as external data",
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the model file must be readable: {error.strerror}", where=str(path)
        ) from None


def check_versions(proto: "ModelProto") -> None:
    """Check IR version, operator sets and domains against those of the installed onnx."""
    import onnx

    if not proto.HasField("graph") or not proto.opset_import:
        raise ModelError(
            "an ONNX model must have a graph and import an operator set",
            help="check that the file is complete and really is an ONNX model",
        )
    if not MIN_IR_VERSION <= proto.ir_version <= onnx.IR_VERSION:
        raise ModelError(
            f"the IR version must be {MIN_IR_VERSION} to {onnx.IR_VERSION}, not {proto.ir_version}",
            help="export the model again, or update the onnx package",
        )
    seen: set[str] = set()
    for entry in proto.opset_import:
        domain = canonical_domain(entry.domain)
        if domain in seen:
            raise ModelError(f"each domain must be imported once, {domain or 'ai.onnx'!r} is not")
        seen.add(domain)
        newest = newest_opset(domain)
        if newest is not None and not 1 <= entry.version <= newest:
            raise ModelError(
                f"the operator set of {domain or 'ai.onnx'} must be 1 to {newest}, "
                f"not {entry.version}",
                help="export the model with an older opset_version, or update the onnx package",
            )


def canonical_domain(domain: str) -> str:
    """The default domain has two names; "" is the one used here."""
    return "" if domain == "ai.onnx" else domain


def newest_opset(domain: str) -> int | None:
    """The newest operator set of a domain that onnx defines, None for other people's domains."""
    from onnx import defs

    versions = defs.C.schema_version_map() if hasattr(defs.C, "schema_version_map") else {}
    if domain in versions:
        return int(versions[domain][1])
    return defs.onnx_opset_version() if domain == "" else None
