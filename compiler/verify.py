"""Verify a module and name every operation that is wrong, not only the first."""

from collections.abc import Iterator

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException

from ..errors import IRError
from .diagnostics import single_line, where_of

# A broken table can make every operation of a large model wrong; more than this is noise.
_MOST_FAULTS = 20


def verify_module(module: ModuleOp, after: str | None = None) -> None:
    """Raise IRError with all faults of ``module``; ``after`` names the pass that ran last."""
    try:
        module.verify()
    except (DiagnosticException, ValueError) as first:
        faults = list(_faults_of_operations(module)) or [_fault(module.name, first, None)]
        note = f" (after pass {after})" if after else ""
        head = faults[0]
        message = f"{head.message}{note}"
        rest = faults[1:_MOST_FAULTS]
        raise IRError(message, where=head.where, faults=rest) from first


def _faults_of_operations(module: ModuleOp) -> Iterator[IRError]:
    for op in module.walk():
        try:
            op.verify(verify_nested_ops=False)
        except (DiagnosticException, ValueError) as error:
            yield _fault(op.name, error, where_of(op))


def _fault(op_name: str, error: Exception, where: str | None) -> IRError:
    return IRError(f"'{op_name}' {single_line(str(error))}", where=where)
