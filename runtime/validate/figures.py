"""Published figures of a macro, as a TOML file beside its target.

``NAME.figures.toml`` names the target, the conditions of the calibration point and one table for
each series of figures: the quantity, the published values, and what differs from the conditions.
"""

import tomllib
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ...backends import targets
from ...backends.targets import MemcapTarget, target_from_toml
from ...backends.targets.schema import Fraction, Name, NonNegative, Positive, Section
from ...backends.targets.schema import validate_target as validate_section
from ...errors import TargetError

Quantity = Literal[
    "tops", "tops_per_w", "tops_per_mm2", "energy", "energy_share", "latency", "area",
    "area_share", "survey_adc_energy", "survey_adc_area",
]  # fmt: skip
"""SI units and mm2: TOPS, TOPS/W, TOPS/mm2, J, share, s, mm2."""
Use = Literal["prediction", "calibration", "plausibility"]
_FOLDER = resources.files(targets) / "published"
_SUFFIX = ".figures.toml"


class Conditions(Section):
    """Under what a figure holds."""

    supply_v: Positive
    mean_square_input: Fraction = 1 / 3
    mean_abs_input: Fraction | None = None
    mean_level: NonNegative | None = None
    average_output: NonNegative | None = None
    """Of the converters, in codes: inputs and weights are each sqrt(X / X_max) of their largest."""
    weight_bits: Annotated[int, Field(ge=1, le=16)] | None = None
    input_bits: Annotated[int, Field(ge=1, le=16)] | None = None


class Series(Section):
    """Published values of one quantity, and the conditions in which they differ."""

    quantity: Quantity
    published: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]
    at: Annotated[
        dict[str, Annotated[tuple[int | float, ...], Field(strict=False)]],
        Field(default_factory=dict),
    ]
    """By condition, its value for each published one."""
    parts: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Parts of the energy or area that the figure counts; none = all."""
    per: Literal["read", "column", "mac"] = "read"
    use: Use = "prediction"
    source: str

    @model_validator(mode="after")
    def _complete(self) -> "Series":
        short = [k for k, values in self.at.items() if len(values) != len(self.published)]
        if short:
            raise ValueError(f"at.{short[0]} must have {len(self.published)} values")
        return self


class Figures(Section):
    """All figures of one macro."""

    target: Name
    title: str
    conditions: Conditions
    figures: Annotated[tuple[Series, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _rows_are_whole(self) -> "Figures":
        list(self.rows())  # merging checks each row's conditions
        return self

    def rows(self) -> Iterator[tuple[Series, Conditions, float]]:
        """Each single figure: its series, its conditions, its published value."""
        for series in self.figures:
            for index, published in enumerate(series.published):
                changed = {key: values[index] for key, values in series.at.items()}
                merged = self.conditions.model_dump() | changed
                yield series, Conditions.model_validate(merged), published


def list_macros() -> list[str]:
    """Names of the published macros that come with semc, sorted."""
    names = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


def load_macro(name_or_path: str) -> tuple[MemcapTarget, Figures]:
    """The target and the figures of a macro, by name or by the path of its figures' file.

    Raises:
        TargetError: no such macro, or faults in one of its two files.
    """
    folder: Path | Traversable
    file: Path | Traversable
    if name_or_path.endswith(_SUFFIX):
        folder, file = Path(name_or_path).parent, Path(name_or_path)
    elif name_or_path in list_macros():
        folder, file = _FOLDER, _FOLDER / f"{name_or_path}{_SUFFIX}"
    else:
        raise TargetError(
            f"the macro must be one of {', '.join(list_macros())} or a {_SUFFIX} file, "
            f"came {name_or_path!r}"
        )
    try:
        data = tomllib.loads(_read(file))
    except ValueError as error:
        raise TargetError(
            f"published figures must be valid TOML: {error}", where=name_or_path
        ) from None
    figures = validate_section(Figures, data, name_or_path)
    target_file = f"{figures.target}.toml"
    target = target_from_toml(_read(folder / target_file), target_file)
    if not isinstance(target, MemcapTarget):
        raise TargetError("a published macro must be a memcap machine", where=target_file)
    return target, figures


def _read(file: Path | Traversable) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise TargetError(
            f"a file of a macro must be readable: {error.strerror}", where=str(file)
        ) from None
