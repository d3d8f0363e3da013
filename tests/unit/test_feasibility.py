"""Budgets and prices against arithmetic written out."""

import math

import pytest

from semc.backends.targets import load_target
from semc.backends.targets.price import chip_usd, die_yield, dies_per_wafer, inference_usd
from semc.runtime.feasibility import feasibility


def test_dies_and_yield_by_hand():
    assert dies_per_wafer(100.0, 300.0) == pytest.approx(706.858 - 66.643, abs=1e-2)
    assert dies_per_wafer(1e6, 300.0) == 0.0
    assert die_yield(100.0, 0.0) == 1.0
    assert die_yield(300.0, 1.0) == pytest.approx((1 + 3 / 3) ** -3)


def test_a_chip_is_paid_by_what_it_computes():
    phone = load_target("memcap-phone")
    assert phone.price is not None
    good = dies_per_wafer(phone.area_mm2, 300.0) * die_yield(phone.area_mm2, 0.09)
    expected = (9346.0 + 16 * 500.0) / good + 3.0
    assert chip_usd(phone) == pytest.approx(expected)
    life_s = 3 * 365.25 * 86400
    each = inference_usd(phone, 3.6e6, 100.0)  # a kilowatt-hour each
    assert each == pytest.approx(expected / (100 * life_s) + 0.16)
    assert chip_usd(load_target("memcap-demo")) is None


def test_a_chip_over_its_power_runs_slower():
    phone = load_target("memcap-phone")
    found = feasibility(phone, 1e-3, {"sram": 2e-3, "adc": 1e-3, "leakage": 5e-5})
    assert found["full_power_w"] == pytest.approx(3.0 + phone.leakage_w)
    assert found["power_w"] == pytest.approx(phone.budget_power_w)
    assert found["rate_per_s"] == pytest.approx((0.5 - phone.leakage_w) / 3e-3)
    assert found["energy_j"] == pytest.approx(3e-3 + phone.leakage_w / found["rate_per_s"])
    area, power = found["limits"]
    assert area["met"]
    assert not area["levers"]
    assert not power["met"]
    assert power["levers"] == [
        "150 inferences/s in place of 1 k inferences/s",
        "sram takes 66%; without it 1.05 W are left",
        "adc takes 33%; without it 2.05 W are left",
    ]


def test_a_part_that_alone_is_too_much_is_named_with_what_may_stay():
    phone = load_target("memcap-phone")
    found = feasibility(phone, 1e-3, {"host_link": 4e-4, "sram": 2e-4})
    # 0.4 + 0.2 + 0.05 W against 0.5: of the link's 0.4 W 0.25 may stay.
    assert "host_link: 62% of its 400 uJ an inference would do" in found["limits"][1]["levers"]


def test_a_chip_too_large_says_how_many_layers_would_do():
    phone = load_target("memcap-phone")
    small = phone.model_copy(update={"budget_area_mm2": 20.0})
    limit = feasibility(small, 1e-3, {})["limits"][0]
    assert not limit["met"]
    layers = math.ceil(16 * limit["value"] / 20.0)
    assert f"as many arrays on {layers} layers of 20 mm2" in limit["levers"] or any(
        "less on the base die" in lever for lever in limit["levers"]
    )


def test_a_chip_within_its_budgets_runs_at_full_speed():
    found = feasibility(load_target("memcap-demo"), 1e-3, {"sram": 1e-6})
    assert found["rate_per_s"] == found["full_rate_per_s"] == 1000.0
    assert all(limit["met"] for limit in found["limits"])
    assert found["usd_per_million"] is None
