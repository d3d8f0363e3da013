"""Numbers with a unit, for people."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"),
             (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"), (1e-18, "a"))  # fmt: skip


def quantity(value: float, unit: str) -> str:
    """``value`` with an SI prefix and three significant digits: ``12.3 us``, ``2 k images/s``."""
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor * 0.9995:  # which prints as 1000 of the smaller prefix
            gap = " " if prefix and len(unit) > 2 else ""
            return f"{value / factor:.3g} {prefix}{gap}{unit}"
    return f"{value:.3g} {unit}"
