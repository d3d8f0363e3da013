"""Spread over chips and reads, the cost of effects, noise budgets: against closed forms."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semc
from semc.arrays import read_arrays
from semc.backends.memcap.decode import decode_program
from semc.backends.program import Program
from semc.backends.targets.memcap_sections import EFFECTS
from semc.errors import InputError, WorkerError
from semc.runtime.execute.memcap import MOST_READ_SEED
from semc.runtime.execute.products import Products
from semc.runtime.simulate import simulate
from semc.runtime.variation.ablation import all_but
from semc.runtime.variation.monte_carlo import MonteCarlo
from semc.runtime.variation.noise_budget import MOST_ROWS, ROUNDINGS, InputSamples, noise_budget
from semc.runtime.variation.study import Study
from semc.runtime.variation.trials import Trial, program_file
from semc.runtime.variation.variance import deviation, variance_components
from semc.runtime.variation.worker_pool import map_blocks

#: Effects that are drawn at every read; the others belong to the chip.
READ_EFFECTS = ("thermal", "read", "adc_noise", "adc_inl")


@pytest.fixture(scope="module")
def model(examples: Path) -> Path:
    return examples / "digits_mlp.onnx"


@pytest.fixture(scope="module")
def program(model: Path, examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    path = tmp_path_factory.mktemp("program") / "digits.semc"
    semc.compile(model, "memcap-demo", calibrate=examples / "digits_calibration.npz", out=path)
    return semc.load(path)


@pytest.fixture(scope="module")
def data(examples: Path) -> dict[str, np.ndarray]:
    return {name: a[:24] for name, a in read_arrays(examples / "digits_test.npz").items()}


def switched_off(program: Program, off: tuple[str, ...]) -> Program:
    """``program`` on a target whose file switches the effects ``off`` off."""
    target = program.manifest["target"]
    noise = {**target["noise"], "off": list(off)}
    return Program({**program.manifest, "target": {**target, "noise": noise}}, program.tensors)


def study(program: Program, data: dict[str, np.ndarray], **asked: Any) -> Any:
    return simulate(program, data, mode="noisy", study=Study(**asked)).findings


# Variance components


def test_components_of_a_small_table() -> None:
    # Means 2 and 6, MS_b = 2 (4 + 4) / 1 = 16, MS_w = 4 / 2 = 2.
    found = variance_components(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert (found.mean, found.devices, found.reads) == (4.0, 7.0, 2.0)


def test_components_recover_what_was_drawn() -> None:
    generator = np.random.default_rng(0)
    chips = generator.normal(10, 3, (4000, 1))
    found = variance_components(chips + generator.normal(0, 2, (4000, 3)))
    assert found.mean == pytest.approx(10, abs=0.2)
    assert found.devices == pytest.approx(9, rel=0.1)
    assert found.reads == pytest.approx(4, rel=0.1)


def test_what_cannot_be_told_is_none() -> None:
    one_chip = variance_components(np.array([[1.0, 2.0]]))
    assert (one_chip.devices, one_chip.reads) == (None, 0.5)
    assert variance_components(np.ones((3, 1))).reads is None
    assert variance_components(np.array([[1.0, np.inf], [1.0, 1.0]])).reads is None
    assert (deviation(None), deviation(-1.0), deviation(4.0)) == (None, 0.0, 2.0)


def test_worst_cases_are_named_with_their_seeds() -> None:
    sqnr = [[20.0, 21.0], [25.0, 18.0], [19.0, 20.0]]
    trials = [
        [Trial(5 + chip, read, value, 1 / value, None) for read, value in enumerate(row)]
        for chip, row in enumerate(sqnr)
    ]
    found = MonteCarlo(trials).summary("sqnr_db")
    assert found is not None
    assert found["worst"] == {"value": 18.0, "seed": 6, "read_seed": 1}
    assert found["devices"]["worst"] == {"value": 19.5, "seed": 7}
    assert found["reads"]["worst"] == {"departure": -3.5, "value": 18.0, "seed": 6, "read_seed": 1}
    error = MonteCarlo(trials).summary("max_rel_error")
    assert error is not None
    assert error["worst"]["seed"] == 6
    assert MonteCarlo(trials).summary("accuracy") is None


# Worker processes


def test_results_come_in_the_order_of_the_blocks() -> None:
    done: list[int] = []
    assert map_blocks(abs, [-3, -1, -2], 2, done.append) == [3, 1, 2]
    assert sorted(done) == [0, 1, 2]


def test_the_block_of_a_dead_worker_is_done_again(tmp_path: Path) -> None:
    flag = str(tmp_path / "flag")
    die = f"(open({flag!r}, 'w').close(), __import__('os')._exit(1))"
    dies_once = f"__import__('os').path.exists({flag!r}) or {die}"
    assert map_blocks(eval, ["1", dies_once, "3"], 2, lambda _: None) == [1, True, 3]


def test_workers_that_always_die_are_an_error() -> None:
    with pytest.raises(WorkerError, match="died 3 times"):
        map_blocks(eval, ["__import__('os')._exit(1)"] * 2, 2, lambda _: None)


def test_what_the_work_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        map_blocks(eval, ["1", "1 / 0"], 2, lambda _: None)


def test_workers_have_one_thread_a_library() -> None:
    before = dict(os.environ)
    threads = "__import__('os').environ['OMP_NUM_THREADS']"
    assert map_blocks(eval, [threads, threads], 2, lambda _: None) == ["1", "1"]
    assert dict(os.environ) == before


def test_workers_read_the_very_program(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "p.semc"
    program.save(path)
    loaded = semc.load(path)
    with program_file(loaded) as found:
        assert found == str(path)
    switched_off(program, EFFECTS).save(path)  # a new file of that name
    for changed in (loaded, Program(program.manifest, program.tensors)):
        assert changed.path is None
        with program_file(changed) as found:
            assert semc.load(found).manifest == program.manifest
        assert not Path(found).exists()


# Monte Carlo


def test_the_result_does_not_depend_on_the_number_of_processes(
    program: Program, data: dict[str, np.ndarray]
) -> None:
    one = study(program, data, runs=3, noise_budget=True, jobs=1).as_dict()
    assert study(program, data, runs=3, noise_budget=True, jobs=2).as_dict() == one
    assert [trial["seed"] for trial in one["runs"]["trials"]] == [0, 0, 1, 1, 2, 2]


def test_a_trial_is_the_simulation_with_its_seeds(
    program: Program, data: dict[str, np.ndarray], model: Path
) -> None:
    asked = Study(runs=3)
    result = simulate(program, data, mode="noisy", seed=4, reference=model, study=asked)
    assert result.findings is not None
    assert result.findings.runs is not None
    for trial in (trial for chip in result.findings.runs.trials for trial in chip):
        again = simulate(
            program,
            data,
            mode="noisy",
            seed=trial.seed,
            read_seed=trial.read_seed,
            reference=model,
        )
        assert again.reference is not None
        assert (trial.accuracy, trial.sqnr_db) == (again.accuracy, again.reference["sqnr_db"])
    first = result.findings.runs.trials[0][0]
    assert (first.seed, first.read_seed) == (4, 0)
    assert result.reference is not None
    assert first.sqnr_db == result.reference["sqnr_db"]


def test_without_read_noise_reads_of_a_chip_are_equal(
    program: Program, data: dict[str, np.ndarray]
) -> None:
    off = tuple(effect for effect in EFFECTS if effect in READ_EFFECTS)
    found = study(switched_off(program, off), data, runs=3, reads=3).as_dict()["runs"]["metrics"]
    for metric in found.values():
        assert metric["reads"]["variance"] == 0.0
    assert found["sqnr_db"]["devices"]["deviation"] > 0


def test_without_device_effects_chips_differ_by_their_reads_only(
    program: Program, data: dict[str, np.ndarray]
) -> None:
    noisy_reads = switched_off(program, all_but("thermal", "adc_noise"))
    found = study(noisy_reads, data, runs=12).as_dict()["runs"]["metrics"]["sqnr_db"]
    # MS_b / MS_w is F(11, 12) distributed: above 7.1 in one case of 1,000.
    ratio = 2 * found["devices"]["variance"] / found["reads"]["variance"] + 1
    assert 0.1 < ratio < 7.1


@pytest.mark.parametrize(
    ("mode", "asked", "message"),
    [
        ("exact", {"runs": 1}, "needs mode 'noisy'"),
        ("noisy", {"runs": -1}, "runs must be at least 0"),
        ("noisy", {"runs": 1, "reads": 1}, "reads must be at least 2"),
        ("noisy", {"ablation": True, "jobs": 0}, "jobs must be at least 1"),
    ],
)
def test_questions_that_make_no_sense_are_refused(
    program: Program, data: dict[str, np.ndarray], mode: str, asked: dict, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        simulate(program, data, mode=mode, study=Study(**asked))


def test_a_study_needs_inputs_and_a_chip(program: Program, model: Path) -> None:
    with pytest.raises(InputError, match="needs inputs"):
        simulate(program, None, mode="noisy", study=Study(runs=2))
    mesh = semc.compile(model, "mesh-small")
    with pytest.raises(InputError, match="memcap programs only"):
        simulate(mesh, {}, mode="noisy", study=Study(noise_budget=True))
    with pytest.raises(InputError, match="a read seed must be"):
        simulate(program, {"image": np.zeros((1, 1, 8, 8), np.float32)}, read_seed=-1)
    assert MOST_READ_SEED << 40 < 1 << 63


# Ablation


def test_rows_of_an_ablation_are_simulations(
    program: Program, data: dict[str, np.ndarray], model: Path
) -> None:
    few = {name: array[:8] for name, array in data.items()}
    result = simulate(
        program, few, mode="noisy", reference=model, study=Study(runs=2, ablation=True)
    )
    assert result.findings is not None
    found = result.findings.as_dict()["ablation"]

    def mean(off: tuple[str, ...], mode: str = "noisy") -> float:
        variant = switched_off(program, off)
        references = [
            simulate(variant, few, mode=mode, seed=seed, reference=model).reference
            for seed in (0, 1)
        ]
        return float(np.mean([reference["sqnr_db"] for reference in references if reference]))

    assert found["none"]["sqnr_db"] == pytest.approx(mean((), "quantized"), rel=1e-12)
    assert found["all"]["sqnr_db"] == pytest.approx(mean(()), rel=1e-12)
    rows = {entry["effect"]: entry for entry in found["effects"]}
    assert set(rows) == set(EFFECTS)
    alone, without = rows["drift"]["alone"], rows["drift"]["without"]
    assert alone["sqnr_db"] == pytest.approx(mean(all_but("drift")), rel=1e-12)
    assert without["sqnr_db"] == pytest.approx(mean(("drift",)), rel=1e-12)
    assert alone["sqnr_change_db"] == alone["sqnr_db"] - found["none"]["sqnr_db"]
    assert without["accuracy_points"] == pytest.approx(
        100 * (without["accuracy"] - found["all"]["accuracy"])
    )
    costs = [entry["alone"]["sqnr_db"] for entry in found["effects"]]
    assert costs == sorted(costs)


def test_effects_that_the_target_switches_off_are_left_out(
    program: Program, data: dict[str, np.ndarray]
) -> None:
    few = {name: array[:2] for name, array in data.items()}
    asked = switched_off(program, all_but("drift", "thermal"))
    found = study(asked, few, ablation=True).as_dict()["ablation"]
    assert {entry["effect"] for entry in found["effects"]} == {"drift", "thermal"}
    assert found["chips"] == 3


# Noise budget


@pytest.fixture(scope="module")
def inputs(program: Program) -> dict[int, np.ndarray]:
    """Inputs for each matrix, of which one in 32 exceeds the largest code."""
    generator, found = np.random.default_rng(1), {}
    for number, matrix in enumerate(decode_program(program).matrices):
        assert matrix.input_scale is not None
        x = generator.uniform(-1, 1, (200, matrix.shape[1]))
        x[:, ::32] = 1.5
        found[number] = (matrix.input_scale * x).astype(np.float32)
    return found


def test_roundings_are_those_of_the_codes(program: Program, inputs: dict[int, np.ndarray]) -> None:
    decoded = decode_program(program)
    bits = decoded.target.numerics.input_bits
    budgets = {b.matrix: b for b in noise_budget(decoded, inputs, seed=0)}
    for number, matrix in enumerate(decoded.matrices):
        weights = program.tensors[str(matrix.weights)][0].astype(np.float64)
        codes = program.tensors[str(matrix.codes)][0] * program.tensors[str(matrix.scale)]
        x = inputs[number].astype(np.float64)
        top = float(np.float32(matrix.input_scale))
        cut = x.clip(-top, top)
        step = top / (2 ** (bits - 1) - 1)
        rounded = np.rint(cut / step) * step

        def rms(error: np.ndarray) -> float:
            return float(np.sqrt(np.square(error).mean()))

        found = budgets[matrix.name]
        assert found.inputs_clipped == pytest.approx(1 / 32, rel=0.1)
        assert found.signal_rms == pytest.approx(rms(x @ weights), rel=1e-6)
        assert found.sources["input_clipping"] == pytest.approx(rms((cut - x) @ weights), rel=1e-4)
        expected = rms((rounded - cut) @ weights)
        assert found.sources["input_rounding"] == pytest.approx(expected, rel=1e-3)
        expected = rms(rounded @ (codes - weights))
        assert found.sources["weight_rounding"] == pytest.approx(expected, rel=1e-3)


def test_independent_sources_add_up_to_the_measured_error(
    program: Program, inputs: dict[int, np.ndarray]
) -> None:
    effects = ("thermal", "dac", "adc_gain", "adc_offset", "adc_noise")
    decoded = decode_program(switched_off(program, all_but(*effects)))
    # The digital bias was fitted to other inputs.
    plain = [replace(matrix, bias=None) for matrix in decoded.matrices]
    decoded = replace(decoded, matrices=plain)
    inside = {number: x / 3 for number, x in inputs.items()}
    for budget in noise_budget(decoded, inside, seed=0):
        assert set(budget.sources) == {*ROUNDINGS, *effects}
        assert budget.sources["input_clipping"] == budget.inputs_clipped == 0
        assert budget.sum_rms == pytest.approx(budget.error_rms, rel=0.05)
        expected = 20 * np.log10(budget.signal_rms / budget.error_rms)
        assert budget.snr_db == pytest.approx(expected)
        assert budget.enob == pytest.approx((expected - 1.76) / 6.02)


def test_noise_of_the_converters_is_that_of_the_target(
    program: Program, inputs: dict[int, np.ndarray]
) -> None:
    """Rounding a spread-out sum has an RMS of step / sqrt(12), and noise one of noise_lsb steps."""
    decoded = decode_program(switched_off(program, all_but("adc_noise")))
    expected = decoded.target.adc.noise_lsb * np.sqrt(12)
    for budget in noise_budget(decoded, {n: x / 3 for n, x in inputs.items()}, seed=0):
        ratio = budget.sources["adc_noise"] / budget.sources["adc_rounding"]
        assert ratio == pytest.approx(expected, rel=0.05)


def test_a_budget_names_the_nodes_and_begins_with_the_worst(
    program: Program, data: dict[str, np.ndarray]
) -> None:
    budgets = study(program, data, noise_budget=True).noise_budget
    nodes = {node for budget in budgets for node in budget.nodes}
    assert nodes == {"node_linear", "node_linear_1", "node_linear_2"}
    assert [b.snr_db for b in budgets] == sorted(b.snr_db for b in budgets)
    assert all(set(budget.sources) == {*ROUNDINGS, *EFFECTS} for budget in budgets)


def test_without_effects_the_budget_is_that_of_quantized_mode(
    program: Program, inputs: dict[int, np.ndarray]
) -> None:
    decoded = decode_program(switched_off(program, EFFECTS))
    for budget in noise_budget(decoded, inputs, seed=0):
        number = [m.name for m in decoded.matrices].index(budget.matrix)
        tiles = (0, len(decoded.matrices[number].tiles))
        x = inputs[number]
        exact = Products(decoded, "exact", 0).run(number, tiles, x, 0)
        quantized = Products(decoded, "quantized", 0).run(number, tiles, x, 0)
        error = float(np.sqrt(np.square(quantized - exact).mean()))
        assert set(budget.sources) == set(ROUNDINGS)
        assert budget.error_rms == pytest.approx(error, rel=1e-2)


def test_rows_are_spread_over_runs_and_positions() -> None:
    samples = InputSamples(4)
    for run in range(8):
        samples(3, np.full((100, 2), run) + np.arange(100)[:, None] / 1000)
    rows = samples.inputs[3]
    assert rows.shape == (MOST_ROWS, 2)
    assert sorted(set(np.floor(rows[:, 0]))) == [0, 1, 2, 3]
    assert rows[:64, 0].min() == 0
    assert rows[:64, 0].max() == pytest.approx(0.099)
