"""What every target section shares: the base model, the value types, and how faults are told.

A target is data: one TOML file, units in its keys, nothing optional that changes a result without
saying so. Faults of a file are listed all at once, each with its path in the TOML, as one
``TargetError`` whose ``faults`` hold the single ones.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import TargetError

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
#: Counts stay exact as doubles and fit the 64-bit integers of IR and programs.
Count = Annotated[int, Field(ge=1, le=1 << 53)]
Bits = Annotated[int, Field(ge=1, le=24)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]


class Section(BaseModel):
    """A frozen table of a target file; unknown keys and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def unsourced(sections: Iterable[str], sources: Mapping[str, str]) -> list[str]:
    """The fault that the figures of some ``sections`` have no origin, if they have none."""
    missing = [s for s in sections if not sources.get(s, "").strip()]
    return [f"sources must name the origin of {', '.join(missing)}"] if missing else []


T = TypeVar("T", bound=Section)


def validate_target(model: type[T], data: Mapping[str, Any], where: str) -> T:
    """``data`` as a ``model``.

    Raises:
        TargetError: one that carries every fault found, each with its path in the file.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise target_error(error, where) from None


def target_error(error: ValidationError, where: str) -> TargetError:
    """All faults of ``error`` as one ``TargetError`` with a fault per TOML path."""
    faults = [
        TargetError(_fault_text(fault), where=f"{where}: {_path(fault['loc'])}")
        for fault in error.errors(include_url=False)
    ]
    listed = "; ".join(f"{fault.where.split(': ')[-1]}: {fault.message}" for fault in faults)  # type: ignore[union-attr]
    count = f"{len(faults)} fault" + ("s" if len(faults) != 1 else "")
    return TargetError(
        f"a target must be complete and consistent, came {count}: {listed}",
        where=where,
        help="see docs/targets.md for every key, its unit and its range",
        faults=faults,
    )


def _path(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(file)"


def _fault_text(fault: Any) -> str:
    kind, text, came = fault["type"], fault["msg"], fault["input"]
    if kind == "missing":
        return "this key is required"
    if kind == "extra_forbidden":
        return "no such key"
    text = text.removeprefix("Value error, ").replace("Input should", "must")
    return f"{text}, came {came!r}" if isinstance(came, int | float | str | bool) else text
