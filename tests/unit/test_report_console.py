"""Figures as people read them."""

import pytest

from semc.runtime.report.console import counted, share
from semc.runtime.report.quantity import quantity


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "J", "0 J"),
        (12.34e-6, "s", "12.3 us"),
        (999.9, "B", "1 kB"),
        (16730, "inferences/s", "16.7 k inferences/s"),
        (237e3, "parameters/cm2", "237 k parameters/cm2"),
        (46.0, "mm2", "46 mm2"),
        (0.0526, "W", "52.6 mW"),
        (3e15, "B", "3e+03 TB"),
    ],
)
def test_quantities(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


def test_counts_and_shares() -> None:
    assert [counted(n, "tile") for n in (0, 1, 1024)] == ["0 tiles", "1 tile", "1,024 tiles"]
    assert [share(x) for x in (0, 1e-6, 0.0005, 0.5, 1)] == [
        "0.0%",
        "<0.1%",
        "0.1%",
        "50.0%",
        "100.0%",
    ]
