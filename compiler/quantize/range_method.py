"""How a range is chosen from data: the names that passes and the command line share.

mse              least mean squared error, clipping and rounding together (Banner et al.,
                 NeurIPS 2019, arXiv 1810.05723, with the data in place of a fitted density)
minmax           nothing that was seen clips
percentile:P     P percent of the magnitudes do not clip (Wu et al. 2020, arXiv 2004.09602)
statistics       from the weights and the inputs' mean square alone (converters only)
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from ...errors import InputError

Name = Literal["mse", "minmax", "percentile", "statistics"]

#: Share of magnitudes in range when none is said; 99.9 to 99.9999 are usual (Wu et al. 2020).
DEFAULT_PERCENTILE = 99.9


@dataclass(frozen=True, slots=True)
class RangeMethod:
    """A method; ``percentile`` in (0, 100] is the share of magnitudes in range, None for mse."""

    name: Name = "mse"
    percentile: float | None = None

    @staticmethod
    def of(name: str, percentile: float | None = None) -> "RangeMethod":
        """The method ``name``. Raises InputError for another name or share."""
        if name not in get_args(Name):
            raise InputError(
                f"a range must be chosen by {', '.join(get_args(Name))}, came {name!r}"
            )
        if percentile is not None and name != "percentile":
            raise InputError(f"only the method percentile takes a share, not {name}")
        if name == "minmax":
            percentile = 100.0
        elif name == "percentile" and percentile is None:
            percentile = DEFAULT_PERCENTILE
        if percentile is not None and not 0 < percentile <= 100:
            raise InputError(f"a percentile must lie above 0 and up to 100, came {percentile:g}")
        return RangeMethod(cast(Name, name), percentile)

    @property
    def share(self) -> float | None:
        """``percentile`` where the method's name does not say it."""
        return self.percentile if self.name == "percentile" else None

    @staticmethod
    def parse(text: str) -> "RangeMethod":
        """``NAME`` or ``percentile:P``. Raises InputError."""
        name, colon, share = text.partition(":")
        try:
            return RangeMethod.of(name, float(share) if colon else None)
        except ValueError:
            raise InputError(f"a percentile must be a number, came {share!r}") from None
