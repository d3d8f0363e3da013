"""The errors a user can cause, as one family.

Every message says what must hold and what came; ``where`` names the ONNX node or the file (and
line), ``help`` says what to change. ``str(error)`` is the one line a terminal shows.
"""

from collections.abc import Sequence
from typing import Any


class SemcError(Exception):
    """Base of every error a user can cause. ``exit_code`` is the command's exit status."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        where: str | None = None,
        help: str | None = None,
        faults: Sequence["SemcError"] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.help = help
        self.faults = tuple(faults)

    def __str__(self) -> str:
        parts = [f"{self.where}: " if self.where else "", self.message]
        if self.help:
            parts.append(f" (help: {self.help})")
        return one_line("".join(parts))

    def as_dict(self) -> dict[str, Any]:
        """The same facts with stable keys, for ``--json``."""
        return {
            "error": type(self).__name__,
            "message": self.message,
            "where": self.where,
            "help": self.help,
            "faults": [fault.as_dict() for fault in self.faults],
        }


class ModelError(SemcError):
    """The ONNX model is invalid, or uses something that cannot be compiled."""


class IRError(SemcError):
    """Textual IR does not parse or verify, or a pass refuses it."""


class TargetError(SemcError):
    """A target file is missing, malformed or inconsistent."""


class ProgramError(SemcError):
    """A program file is truncated, altered, of another version or not a program."""


class InputError(SemcError):
    """The data given to a program do not fit its inputs."""


class WorkerError(SemcError):
    """Worker processes of a simulation die, for want of memory as a rule."""


class CapacityError(SemcError):
    """The model does not fit the target.

    ``demand`` and ``available`` are counts by resource (arrays, layers, parameters, bytes);
    ``levers`` are changes of the input that would each suffice.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        demand: dict[str, float] | None = None,
        available: dict[str, float] | None = None,
        levers: Sequence[str] = (),
        where: str | None = None,
    ) -> None:
        super().__init__(message, where=where, help="; or ".join(levers) if levers else None)
        self.demand = dict(demand or {})
        self.available = dict(available or {})
        self.levers = tuple(levers)

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {
            "demand": self.demand,
            "available": self.available,
            "levers": list(self.levers),
        }


class ToleranceError(SemcError):
    """Outputs differ from the reference by more than the tolerance asked for."""

    exit_code = 4


def one_line(text: str, limit: int = 2000) -> str:
    """``text`` with control characters escaped, so that a hostile name cannot forge output."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
