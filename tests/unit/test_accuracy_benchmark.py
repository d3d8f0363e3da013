"""What benchmarks/accuracy.py changes of a target, and what it makes of scores."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from accuracy_cases import Case, cases
from accuracy_measure import Sweep, ablation, accuracy, compile_for, sweeps
from accuracy_page import page

from semc.backends.targets import EFFECTS, load_target, target_from_dict, target_to_dict

BASE = target_to_dict(load_target("memcap-phone"))
SWEEPS = sweeps(BASE)


@pytest.fixture(scope="module")
def mlp() -> Case:
    return next(case for case in cases(None) if case.name == "digits_mlp").shortened(0)


@pytest.mark.parametrize("what", SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_changes_what_it_names_and_nothing_else(what: Sweep) -> None:
    assert target_from_dict(what.target(BASE, what.nominal(BASE))) == load_target("memcap-phone")
    for value in what.values:
        changed = target_to_dict(target_from_dict(what.target(BASE, value)))
        keys = {
            (section, key)
            for section, entries in BASE.items()
            if isinstance(entries, dict)
            for key in entries
            if changed[section][key] != entries[key]
        }
        assert keys <= set(what.keys)
        assert keys or value == what.nominal(BASE)


def test_a_target_travels_as_text(mlp: Case) -> None:
    program = compile_for(mlp, SWEEPS["adc_bits"].target(BASE, 6))
    assert program.target == target_from_dict(SWEEPS["adc_bits"].target(BASE, 6))


def test_figures_are_against_float32(mlp: Case) -> None:
    program = compile_for(mlp, BASE)
    found, effects = accuracy(mlp, program, 2, 1), ablation(mlp, program, 1, 1)
    assert found["exact"] == {"points_lost": 0.0, "sqnr_db": pytest.approx(135, abs=15)}
    assert found["quantized"] == effects["none"]  # the same two samples
    assert [len(chip) for chip in found["noisy"]] == [2, 2]
    assert found["noisy"][0] != found["noisy"][1]
    assert effects["all"] == found["noisy"][0][0]
    assert set(effects["alone"]) == set(effects["without"]) == set(EFFECTS)


def test_the_page_counts_the_reads_that_hold() -> None:
    def figures(*lost: float) -> list[dict[str, float]]:
        return [{"points_lost": x, "sqnr_db": 20.0} for x in lost]

    (exact,), (quantized,) = figures(0), figures(0.25)
    model = {
        "float32": 0.975,
        "labels": 450,
        "exact": exact,
        "quantized": quantized,
        "noisy": [figures(0, 1), figures(2, 3)],
        "chips_deviation": 1.5,
        "reads_deviation": None,
        "noisy_labels": 90,
    }
    found = {"command": "c", "semc": "v", "seconds": 1, "target": "t", "models": {"m": model}}
    text = page(found | {"ablation": {}, "sweeps": {}}, {}, Path())
    row = "| m | 450 | 97.50% | 0.00 | 0.25 | 90 | 1.50 | 1.50 | - | 3.00 | 2 of 4 |"
    assert row in text.splitlines()
