"""What must hold of every simulation: parts add up, nobody works longer than the run takes."""

from pathlib import Path

import numpy as np
import pytest

import semc
from semc.backends.program import Program
from semc.errors import InputError
from semc.runtime.simulate import SimulationResult, simulate


@pytest.fixture(scope="module", params=["memcap-demo", "memcap-phone", "mesh-small", "mesh-cpu"])
def program(request: pytest.FixtureRequest, examples: Path) -> Program:
    return semc.compile(examples / "digits_cnn.onnx", request.param)


@pytest.fixture(scope="module")
def result(program: Program) -> SimulationResult:
    return simulate(program, {"image": np.ones((3, 1, 8, 8), np.float32)})


def test_energy_parts_sum_to_the_energy(result: SimulationResult) -> None:
    report = result.as_dict()
    assert sum(report["energy_parts_j"].values()) == pytest.approx(report["energy_j"])
    assert min(report["energy_parts_j"].values()) >= 0
    assert report["power_w"] == pytest.approx(report["energy_j"] / report["latency_s"])


def test_nobody_is_busy_longer_than_the_run(result: SimulationResult) -> None:
    line = result.timing.timeline
    assert all(0 <= busy <= line.makespan_s * (1 + 1e-9) for busy in line.busy_s().values())
    assert all(0 <= share <= 1 + 1e-9 for share in result.as_dict()["utilisation"].values())


def test_every_multiply_of_the_model_is_timed(result: SimulationResult) -> None:
    # 3x3 convolutions 1->16 and 16->32 on 8x8, 32->32 on 4x4, then 128->64->10.
    expected = 64 * 9 * 16 + 64 * 9 * 16 * 32 + 16 * 9 * 32 * 32 + 128 * 64 + 64 * 10
    assert result.timing.work.macs == expected


def test_time_does_not_depend_on_values(program: Program, result: SimulationResult) -> None:
    other = simulate(program, {"image": np.full((1, 1, 8, 8), -7, np.float32)})
    assert other.latency_s == result.latency_s
    assert simulate(program, None).latency_s == result.latency_s


def test_several_samples_are_stacked(result: SimulationResult) -> None:
    assert result.outputs["logits"].shape == (3, 10)
    assert result.samples == 3


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "must hold an array 'image'"),
        ({"image": np.zeros((1, 1, 8, 9), np.float32)}, "must have shape"),
        ({"image": np.zeros((1, 1, 8, 8), np.complex64)}, "must be float32"),
    ],
)
def test_wrong_inputs_are_one_line(
    program: Program, inputs: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        simulate(program, inputs)


def test_an_unknown_mode_is_refused(program: Program) -> None:
    with pytest.raises(InputError, match="mode must be one of"):
        simulate(program, None, mode="wrong")
