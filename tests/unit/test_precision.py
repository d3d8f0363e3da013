"""Resolutions of converters under a budget, sensitivity, and what is at risk without samples."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import semc
from semc.backends.memcap.decode import decode_program
from semc.backends.targets import MemcapTarget, load_target
from semc.backends.targets.memcap_cost import mvm_energy_j, mvm_latency_s
from semc.compiler.driver import Compilation, CompileOptions, compile_model
from semc.compiler.quantize.precision import choose_within, output_sqnr_db
from semc.compiler.recipe import Quantization
from semc.errors import CapacityError, InputError
from semc.runtime.execute.quantized_product import quantized_product
from semc.runtime.interpret.interpret import interpret_function


def compiled(examples: Path, calibrated: bool = True, **quantization: object) -> Compilation:
    options = CompileOptions(
        calibrate=examples / "digits_calibration.npz" if calibrated else None,
        quantization=Quantization(**quantization),  # type: ignore[arg-type]
        interpreter=interpret_function,
        product=quantized_product,
    )
    return compile_model(examples / "digits_mlp.onnx", options)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_the_choice_is_the_best_within_the_budget(items: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cost = rng.uniform(0, 10, (items, kinds))
    # whole weights and a budget of as many steps as the table has: nothing is rounded
    weight = rng.integers(0, 12, (items, kinds)).astype(float) * 16
    budget = 4096.0 / 64
    every = list(itertools.product(range(kinds), repeat=items))
    rows = np.arange(items)
    fitting = [c for c in every if weight[rows, list(c)].sum() <= budget]
    found = choose_within(cost, weight, budget)
    if not fitting:
        assert found is None
        return
    assert found is not None
    assert weight[rows, found].sum() <= budget
    best = min(cost[rows, list(c)].sum() for c in fitting)
    assert cost[rows, found].sum() == pytest.approx(best)


def test_no_budget_no_choice() -> None:
    one = np.ones((1, 1))
    assert choose_within(one, one, 0.0) is None
    assert choose_within(one, one, 1.0) is not None
    assert output_sqnr_db(100.0, 1.0) == pytest.approx(20.0)
    assert output_sqnr_db(1.0, 0.0) == float("inf")


def test_fewer_bits_take_less_time_and_energy() -> None:
    demo = load_target("memcap-demo")
    assert isinstance(demo, MemcapTarget)
    whole, half = (mvm_energy_j(demo, 128, 32, 1, 0.1, adc_bits=b) for b in (8, 4))
    walden, thermal = demo.adc.fom_walden_fj, demo.adc.fom_thermal_fj
    pairs = 32 * demo.slices
    assert half["adc"] == pytest.approx(pairs * (walden * 2**4 + thermal * 4**4) * 1e-15)
    assert whole["adc"] == mvm_energy_j(demo, 128, 32, 1, 0.1)["adc"]
    settle_s = demo.array.settle_ns * 1e-9
    full_s, half_s = (mvm_latency_s(demo, 1, 32, b) for b in (None, 4))
    assert half_s - settle_s == pytest.approx((full_s - settle_s) / 2)


def test_an_energy_budget_is_kept(examples: Path) -> None:
    budgeted, uniform = compiled(examples, energy_budget=0.75), compiled(examples)
    bits = [matrix.adc_bits for matrix in decode_program(budgeted.program).matrices]
    assert any(b is not None and b < 8 for b in bits)
    parts = ("array", "drivers", "dac", "amplifier", "adc", "accumulate")
    x = dict(np.load(examples / "digits_calibration.npz"))
    spent, whole = (
        sum(semc.simulate(c.program, x, mode="quantized").timing.parts_j[p] for p in parts)
        for c in (budgeted, uniform)
    )
    assert spent <= 0.76 * whole
    notes = budgeted.report()["matrices"]
    assert [note["adc_bits"] for note in notes] == [8 if b is None else b for b in bits]
    assert sum(note["energy_share"] for note in notes) <= 0.75


def test_an_accuracy_budget_steers_the_error(examples: Path) -> None:
    compilation = compiled(examples, min_sqnr_db=24.0)
    x = dict(np.load(examples / "digits_calibration.npz"))
    model = examples / "digits_mlp.onnx"
    found = semc.simulate(compilation.program, x, mode="quantized", reference=model).reference
    assert found is not None
    assert 22 < found["sqnr_db"] < 30


def test_a_budget_that_nothing_meets_is_refused(examples: Path) -> None:
    with pytest.raises(CapacityError, match=r"at full resolution the outputs have \d+\.\d dB"):
        compiled(examples, min_sqnr_db=90.0)
    with pytest.raises(CapacityError, match="of the energy at full resolution"):
        compiled(examples, energy_budget=0.01)
    with pytest.raises(InputError, match="one budget"):
        compiled(examples, energy_budget=0.5, min_sqnr_db=10.0)
    with pytest.raises(InputError, match="measured on samples"):
        compiled(examples, calibrated=False, sensitivity=True)


def test_sensitivity_falls_with_bits_and_changes_nothing(examples: Path) -> None:
    measured, plain = compiled(examples, sensitivity=True), compiled(examples)
    for note in measured.report()["matrices"]:
        assert [row["adc_bits"] for row in note["sensitivity"]] == [8, 7, 6, 5, 4]
        sqnr_db = [row["sqnr_db"] for row in note["sensitivity"]]
        energy_j = [row["energy_j"] for row in note["sensitivity"]]
        assert sqnr_db[0] > sqnr_db[2] > sqnr_db[4]
        assert energy_j == sorted(energy_j, reverse=True)
    for name, tensor in plain.program.tensors.items():
        np.testing.assert_array_equal(tensor, measured.program.tensors[name])


def test_the_report_says_what_samples_would_change(examples: Path) -> None:
    calibration = compiled(examples, calibrated=False).report()["calibration"]
    assert calibration["samples"] == 0
    assert len(calibration["at_risk"]) == 3
    for entry in calibration["at_risk"]:
        assert entry["one_sided_db"] < entry["calibrated_db"]
    known = compiled(examples).report()["calibration"]
    assert known == {"samples": 64, "at_risk": []}
