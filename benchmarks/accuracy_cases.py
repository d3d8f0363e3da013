"""The trained models whose accuracy is measured, with their held-out data."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from semc.arrays import read_arrays

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A model, and how many of its test samples each part of the measurement takes.

    ``held_out`` samples for float32, exact and quantized, ``chip`` for every noisy chip, ``scan``
    for every point of the ablation and the sweeps: a slow model must not take all the time.
    """

    name: str
    model: Path
    data: str
    held_out: int
    chip: int
    scan: int
    swept: bool = True

    @property
    def calibration(self) -> Path:
        return EXAMPLES / f"{self.data}_calibration.npz"

    @cached_property
    def test(self) -> Arrays:
        return read_arrays(EXAMPLES / f"{self.data}_test.npz")

    def samples(self, count: int) -> Arrays:
        """``count`` samples, evenly spread over the test data."""
        total = len(self.test["labels"])
        chosen = np.linspace(0, total - 1, min(count, total)).astype(int)
        return {name: array[chosen] for name, array in self.test.items()}

    def shortened(self, share: float) -> "Case":
        """The same with ``share`` of the samples, at least two each time."""
        counts = (max(2, round(share * n)) for n in (self.held_out, self.chip, self.scan))
        return Case(self.name, self.model, self.data, *counts, self.swept)


def cases(minilm: Path | None) -> list[Case]:
    """All cases; that of the sentence model, which is not in the repository, when it is given."""
    shipped = [
        _example("digits_mlp", "digits", 450, 450, 450),
        _example("digits_cnn", "digits", 450, 450, 225),
        _example("digits_transformer", "digits", 450, 450, 150),
        _example("digits_lstm", "digits", 450, 450, 150),
        _example("char_lm", "char_lm", 128, 32, 12),  # 64 labels a sample
    ]
    if minilm is None:
        return shipped
    return [*shipped, Case("minilm", minilm, "minilm", 800, 200, 16, swept=False)]


def _example(name: str, data: str, held_out: int, chip: int, scan: int) -> Case:
    return Case(name, EXAMPLES / f"{name}.onnx", data, held_out, chip, scan)
