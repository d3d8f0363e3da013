"""Published macros: what is counted how, and that the page shows what the command says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import semc
from semc.errors import TargetError
from semc.runtime.report.validation_text import markdown
from semc.runtime.validate.evaluate import (
    Validation,
    evaluate_macro,
    read_energy_j,
    summarise,
    validate,
)
from semc.runtime.validate.figures import Conditions, list_macros, load_macro

MACROS = [
    "colonnade-jssc-2021",
    "demasius-natelec-2021",
    "jia-jssc-2020",
    "sinangil-jssc-2021",
    "wang-vlsi-2022",
]
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "validation.md"
PUBLISHED = ROOT / "backends" / "targets" / "published"


@pytest.fixture(scope="module")
def validated() -> Validation:
    return validate(())


def test_shipped_macros():
    assert list_macros() == MACROS


@pytest.mark.parametrize("name", MACROS)
def test_the_calibration_point_is_met(name):
    """A constant that was taken from a figure must give it back, at one supply only."""
    target, figures = load_macro(name)
    rows = evaluate_macro(target, figures)
    calibrated = [row for row in rows if row.use == "calibration"]
    assert all(abs(row.error) < 0.005 for row in calibrated)
    assert len({row.condition for row in calibrated if row.condition}) <= 1
    assert target.technology is not None
    assert target.technology.supply_v == figures.conditions.supply_v


def test_calibration_and_plausibility_are_no_predictions(validated):
    rows, summaries = validated.rows, validated.summaries
    counted = [row for row in rows if row.use == "prediction"]
    assert summaries["all"].predictions == len(counted) == 54
    errors = [abs(row.simulated / row.published - 1) for row in counted]
    assert summaries["all"].mean_error == pytest.approx(sum(errors) / len(errors))
    assert summaries["all"].worst_error == pytest.approx(max(errors))
    assert summarise([]).predictions == 0


def test_plain_scaling_differs_in_the_supply_alone(validated):
    for row in validated.rows:
        nominal = row.v2_scaled is None
        assert nominal or row.quantity in ("energy", "tops_per_w")
    jia = [r for r in validated.rows if r.macro == "jia-jssc-2020" and r.parts == ("adc",)]
    low, high = (row for row in jia if row.quantity == "energy")
    assert high.v2_scaled == pytest.approx(low.simulated * (1.2 / 0.85) ** 2)


@pytest.mark.parametrize("name", ["wang-vlsi-2022", "jia-jssc-2020", "sinangil-jssc-2021"])
def test_mean_errors_of_the_charge_domain_macros(validated, name):
    """What is reached; docs/validation.md says why the rest is not."""
    summary = validated.summaries[name]
    assert summary.mean_error < 0.065
    assert summary.scaled_mean_error < summary.v2_mean_error + 0.001


def test_energy_of_a_read_includes_control_and_leakage():
    target, figures = load_macro("jia-jssc-2020")
    parts = read_energy_j(target, figures.conditions)
    assert parts["leakage"] == pytest.approx(target.leakage_w * 1350e-9)
    assert parts["adc"] == pytest.approx(256 * 1.79e-12, rel=1e-3)


def test_average_output_sets_inputs_and_weights_alike():
    target, figures = load_macro("sinangil-jssc-2021")
    full = read_energy_j(target, figures.conditions)
    quarter = read_energy_j(target, Conditions(supply_v=0.8, average_output=15 / 4))
    assert quarter["drivers"] == pytest.approx(full["drivers"] / 2)
    assert quarter["array"] == pytest.approx(full["array"] / 4, rel=1e-3)
    assert quarter["adc"] == full["adc"]


def test_a_macro_of_ones_own_is_read_by_path(tmp_path):
    for name in ("jia-jssc-2020.toml", "jia-jssc-2020.figures.toml"):
        (tmp_path / name).write_text((PUBLISHED / name).read_text())
    path = tmp_path / "jia-jssc-2020.figures.toml"
    assert load_macro(str(path)) == load_macro("jia-jssc-2020")
    path.write_text(path.read_text().replace('"latency"', '"delay"').replace("supply_v = 0.85", ""))
    with pytest.raises(TargetError) as caught:
        load_macro(str(path))
    assert len(caught.value.faults) == 2
    path.write_text("target = ")
    with pytest.raises(TargetError, match="valid TOML"):
        load_macro(str(path))
    path.unlink()
    with pytest.raises(TargetError, match="must be readable"):
        load_macro(str(path))
    with pytest.raises(TargetError, match="one of colonnade"):
        load_macro("nobody")


def test_series_of_unequal_length_are_refused(tmp_path):
    text = (PUBLISHED / "jia-jssc-2020.figures.toml").read_text()
    path = tmp_path / "x.figures.toml"
    path.write_text(text.replace("published = [2.185]", "published = [2.185, 2.2]"))
    with pytest.raises(TargetError, match="must have 2 values"):
        load_macro(str(path))


@pytest.mark.parametrize("name", ["sinangil-jssc-2021", "colonnade-jssc-2021"])
def test_a_macro_is_a_machine_like_any_other(name, repository, tmp_path):
    """With enough weights behind it, it runs a network: pulses, and adders in the cells."""
    text = (PUBLISHED / f"{name}.toml").read_text()
    target = tmp_path / "deep.toml"
    target.write_text(text.replace("\nlayers = 1\n", "\nlayers = 32\n"))
    examples = repository / "examples"
    program = semc.compile(
        examples / "digits_mlp.onnx",
        target=str(target),
        calibrate=examples / "digits_calibration.npz",
    )
    with np.load(examples / "digits_test.npz") as data:
        result = semc.simulate(program, dict(data), mode="quantized").as_dict()
    assert result["accuracy"] > 0.95
    assert 0 < result["tops_per_w"] <= result["array_tops_per_w"]


def test_the_page_shows_what_the_command_says(validated):
    """Run ``semc validate --markdown`` and put it between the two marks when this fails."""
    page = PAGE.read_text(encoding="utf-8")
    block = re.search(r"<!-- semc validate --markdown -->\n\n(.*)\n<!-- end -->", page, re.S)
    assert block is not None
    assert block[1] == markdown(validated)


def test_error_figures_in_the_text_of_the_page_are_those_of_the_tables():
    """Percentages outside the tables must stand in them, or say that they are of something else."""
    page = PAGE.read_text(encoding="utf-8")
    text, _, tables = page.partition("<!-- semc validate --markdown -->")
    quoted = re.findall(r"[+-]?\d+\.\d%", text)
    assert quoted
    assert [figure for figure in quoted if figure.lstrip("+-") not in tables] == []


def test_command_in_json(semc_command):
    done = semc_command("validate", "wang-vlsi-2022", "--json")
    assert done.code == 0
    data = json.loads(done.out)
    assert data["summary"]["wang-vlsi-2022"]["predictions"] == 14
    row = data["figures"][0]
    assert row["quantity"] == "tops_per_w"
    assert row["use"] == "calibration"
    assert row["error"] == pytest.approx(0, abs=1e-3)
