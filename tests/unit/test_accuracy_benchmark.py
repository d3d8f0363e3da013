"""What benchmarks/accuracy.py changes of a target, and what it makes of scores."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from accuracy_cases import Case, cases
from accuracy_measure import Sweep, ablation, compile_for, sweeps
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


def test_without_effects_every_chip_is_the_quantized_one(mlp: Case) -> None:
    found = ablation(mlp, compile_for(mlp, BASE), 2)
    first, second = found["none"]
    assert first == second
    assert first["sqnr_db"] > 25  # 8-bit codes and converters
    assert set(found["alone"]) == set(found["without"]) == set(EFFECTS)
    assert found["all"][0] != found["all"][1]


def test_the_page_says_how_many_chips_hold() -> None:
    def scores(*lost: float) -> list[dict[str, Any]]:
        return [{"points_lost": x, "sqnr_db": 20.0} for x in lost]

    (exact,), (quantized,) = scores(0), scores(0.25)
    model = {
        "float32": 0.975,
        "labels": 450,
        "exact": exact,
        "quantized": quantized,
        "noisy": scores(0, 1, 2),
        "noisy_labels": 90,
    }
    found = {"command": "c", "semc": "v", "seconds": 1, "target": "t", "models": {"m": model}}
    text = page(found | {"ablation": {}, "sweeps": {}}, {}, Path())
    assert "| m | 450 | 97.50% | 0.00 | 0.25 | 90 | 1.00 ± 0.82 | 2.00 | 3 | 2 |" in text
