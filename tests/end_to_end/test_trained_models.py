"""Trained networks of other kinds keep their answers on the phone chip, on held-out samples."""

from pathlib import Path

import numpy as np
import pytest

import semc
from semc.arrays import read_arrays
from semc.backends.program import Program

# Of each model its data, and how many samples are taken for the calibration and of the test.
MODELS = {
    "digits_transformer": ("digits", 32, 60),
    "digits_lstm": ("digits", 32, 60),
    "char_lm": ("char_lm", 6, 4),  # 64 characters each
}
Case = tuple[Program, dict[str, np.ndarray], Path]


@pytest.fixture(scope="module", params=MODELS)
def case(request: pytest.FixtureRequest, examples: Path) -> Case:
    data, shown, tested = MODELS[request.param]
    model = examples / f"{request.param}.onnx"
    calibration = first(shown, examples / f"{data}_calibration.npz")
    program = semc.compile(model, "memcap-phone", calibrate=calibration)
    return program, first(tested, examples / f"{data}_test.npz"), model


def first(count: int, path: Path) -> dict[str, np.ndarray]:
    return {name: array[:count] for name, array in read_arrays(path).items()}


def test_exact_is_the_reference(case: Case) -> None:
    program, data, model = case
    result = semc.simulate(program, data, mode="exact", reference=model)
    assert result.reference is not None
    assert result.reference["max_rel_error"] < 1e-5
    assert result.reference["top1_agreement"] == 1.0
    assert result.accuracy == result.reference["accuracy"]
    assert result.accuracy > 0.4  # of 83 characters; the digits have 0.98


def test_quantized_answers_like_the_reference(case: Case) -> None:
    program, data, model = case
    result = semc.simulate(program, data, mode="quantized", reference=model)
    assert result.reference is not None
    assert result.reference["sqnr_db"] > 20
    assert result.reference["top1_agreement"] >= 0.95
