"""What must hold of every simulation: parts add up, nobody works longer than the run takes."""

from pathlib import Path

import numpy as np
import pytest

import semc
from semc.backends.memcap.decode import decode_program
from semc.backends.memcap.isa import Opcode
from semc.backends.program import Program
from semc.errors import InputError, ProgramError
from semc.runtime.simulate import SimulationResult, simulate

from .onnx_models import perceptron


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


def test_a_reference_needs_inputs(program: Program, examples: Path) -> None:
    with pytest.raises(InputError, match="a reference needs inputs"):
        simulate(program, None, reference=examples / "digits_cnn.onnx")


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(2, np.int64),
        np.zeros((3, 10)),
        np.array(["a", "b", "c"]),
        np.array([0.5, 1, 2]),
        np.zeros(0, np.int64),
        np.zeros(6, np.int64),
    ],
)
def test_labels_that_mean_nothing_are_refused(program: Program, labels: np.ndarray) -> None:
    images = np.ones((3, 1, 8, 8), np.float32)
    with pytest.raises(InputError, match=r"labels must be|one row of class scores"):
        simulate(program, {"image": images, "labels": labels})


def test_labels_may_be_a_column_or_float(program: Program) -> None:
    images = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    scores = simulate(program, {"image": images}).outputs["logits"]
    right = scores.argmax(axis=-1)
    for labels in (right, right[:, None], right.astype(np.float32)):
        assert simulate(program, {"image": images, "labels": labels}).accuracy == 1.0


def test_a_sample_may_have_several_rows_of_scores() -> None:
    x = np.random.default_rng(0).random((5, 2, 4), np.float32)  # the perceptron answers two rows
    program = semc.compile(perceptron(hidden=3), "mesh-cpu")
    (scores,) = simulate(program, {"x": x}).outputs.values()
    labels = scores.reshape(5, 2, 3).argmax(axis=-1)
    labels[0, 1] += 1  # one of ten is wrong
    for given in (labels, labels.reshape(-1)):
        assert simulate(program, {"x": x, "labels": given}).accuracy == 0.9


def test_no_sample_is_refused(program: Program) -> None:
    with pytest.raises(InputError, match="at least one sample"):
        simulate(program, {"image": np.zeros((0, 1, 8, 8), np.float32)})


@pytest.mark.filterwarnings("error")
def test_infinite_inputs_do_not_warn(program: Program) -> None:
    result = simulate(program, {"image": np.full((1, 1, 8, 8), np.inf, np.float32)})
    assert result.samples == 1


@pytest.mark.parametrize("target", ["memcap-demo", "mesh-cpu"])
def test_without_weights_a_program_is_timed_and_not_run(examples: Path, target: str) -> None:
    model = examples / "digits_cnn.onnx"
    whole, bare = semc.compile(model, target), semc.compile(model, target, weights=False)
    assert bare.nbytes < whole.nbytes / 2
    assert simulate(bare, None).latency_s == simulate(whole, None).latency_s
    with pytest.raises(ProgramError, match="weights"):
        simulate(bare, {"image": np.ones((1, 1, 8, 8), np.float32)})


def test_what_is_driven_into_the_arrays_comes_back(examples: Path) -> None:
    """Every range of tiles that gets an input is converted and accumulated once."""
    program = decode_program(semc.compile(examples / "digits_cnn.onnx", "memcap-demo"))
    for stream in program.blocks[0]:
        steps = [(i.opcode, i.index, i.tiles) for i in stream.instructions]
        driven = [key for op, *key in steps if op is Opcode.DRIVE]
        assert driven == [key for op, *key in steps if op is Opcode.CONVERT]
        assert driven == [key for op, *key in steps if op is Opcode.ACCUMULATE]
    for stream in program.blocks[0]:
        for i in stream.instructions:
            if i.opcode is Opcode.MOVE:
                source, target = program.buffers[i.ins[0]], program.buffers[i.outs[0]]
                assert source.nbytes == target.nbytes
