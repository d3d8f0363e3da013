"""The shipped models keep their accuracy on the demo chip, on the whole held-out set."""

from pathlib import Path

import numpy as np
import pytest

import semc
from semc.arrays import read_arrays
from semc.backends.program import Program


@pytest.fixture(scope="module", params=["digits_mlp", "digits_cnn"])
def model(request: pytest.FixtureRequest, examples: Path) -> Path:
    return examples / f"{request.param}.onnx"


@pytest.fixture(scope="module")
def program(model: Path, examples: Path) -> Program:
    return semc.compile(model, "memcap-demo", calibrate=examples / "digits_calibration.npz")


@pytest.fixture(scope="module")
def held_out(examples: Path) -> dict[str, np.ndarray]:
    return read_arrays(examples / "digits_test.npz")


def _accuracies(
    program: Program, data: dict[str, np.ndarray], model: Path, mode: str, seed: int = 0
) -> tuple[float, float]:
    result = semc.simulate(program, data, mode=mode, seed=seed, reference=model)
    assert result.accuracy is not None
    assert result.reference is not None
    return result.accuracy, result.reference["accuracy"]


def test_exact_is_the_reference(
    program: Program, held_out: dict[str, np.ndarray], model: Path
) -> None:
    result = semc.simulate(program, held_out, mode="exact", reference=model)
    assert result.reference is not None
    assert result.reference["max_rel_error"] < 1e-5
    assert result.reference["top1_agreement"] == 1.0
    assert result.accuracy == result.reference["accuracy"]


def test_quantized_is_within_half_a_point(
    program: Program, held_out: dict[str, np.ndarray], model: Path
) -> None:
    found, reference = _accuracies(program, held_out, model, "quantized")
    assert abs(found - reference) <= 0.005


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_noisy_is_within_one_point(
    program: Program, held_out: dict[str, np.ndarray], model: Path, seed: int
) -> None:
    found, reference = _accuracies(program, held_out, model, "noisy", seed)
    assert found >= reference - 0.01


def test_a_seed_is_a_chip(program: Program, held_out: dict[str, np.ndarray]) -> None:
    few = {name: array[:4] for name, array in held_out.items()}

    def run(seed: int) -> np.ndarray:
        return next(iter(semc.simulate(program, few, mode="noisy", seed=seed).outputs.values()))

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))
