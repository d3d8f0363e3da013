"""Laws of node and supply against closed forms, and the surveys against what they are made from."""

import math

import pytest

from semc.backends.targets import load_target, target_from_dict, target_to_dict
from semc.backends.targets.standing import standings
from semc.backends.targets.supply import at_supply
from semc.backends.targets.survey import (
    ENVELOPE_CORNER_HZ,
    adc_area_um2,
    adc_energy_fj,
    adc_envelope_fj,
    sndr_db,
)
from semc.backends.targets.technology import (
    Technology,
    area_ratio,
    delay_ratio,
    digital_energy_pj,
    leakage_ratio,
    logic_leakage_w_per_mm2,
    short_circuit_share,
    sram_area_mm2,
    switching_ratio,
    vector_area_mm2,
)
from semc.errors import TargetError

PROCESS = Technology(node_nm=22, supply_v=1.0, threshold_v=0.4, alpha=2.0)


def test_delay_is_the_alpha_power_law():
    # alpha = 2: t ~ V / (V - Vt)^2.
    assert delay_ratio(PROCESS, 0.7) == pytest.approx(0.7 / 0.3**2 * 0.6**2)
    assert delay_ratio(PROCESS, 1.0) == 1.0


def test_short_circuit_needs_both_transistors_on():
    assert short_circuit_share(0.8, 0.4) == 0.0
    assert short_circuit_share(1.0, 0.4) == pytest.approx(0.2**3 / (6 * 0.6**2))
    # A large supply over the threshold tends to Veendrick's V^3: a sixth of C V^2.
    assert short_circuit_share(1e6, 0.4) == pytest.approx(1 / 6, rel=1e-5)
    assert switching_ratio(PROCESS, 0.7) == pytest.approx(0.49 / (1 + 0.2**3 / (6 * 0.6**2)))


def test_leakage_falls_with_the_barrier():
    assert leakage_ratio(PROCESS, 1.0) == 1.0
    assert leakage_ratio(PROCESS, 0.61) == pytest.approx(0.61 * math.exp(-1.0))


def test_nodes_of_the_table_and_between():
    assert area_ratio(65, 7) == pytest.approx(0.039)
    assert area_ratio(22, 65) * area_ratio(65, 22) == pytest.approx(1.0)
    assert area_ratio(65, 32) > area_ratio(65, 22) > area_ratio(65, 20)
    assert digital_energy_pj("add", 45) == pytest.approx(0.9)
    assert digital_energy_pj("sram_byte", 7) == pytest.approx(1.75)
    # The middle of the two nodes on a logarithmic scale is the geometric mean.
    assert digital_energy_pj("mul", math.sqrt(45 * 7)) == pytest.approx(math.sqrt(3.7 * 1.31))
    with pytest.raises(ValueError, match="7 to 130 nm"):
        area_ratio(65, 5)


def test_areas_by_hand():
    # 1 MiB of 45 nm cells at 60 % is 4.84 mm2; 32 lanes at 45 nm, 0.76 mm2.
    assert sram_area_mm2(1 << 20, 45) == pytest.approx(8 * 1048576 * 0.346e-6 / 0.6)
    assert vector_area_mm2(32, 45) == pytest.approx(32 * 2 * 11884e-6)
    assert vector_area_mm2(32, 7) == pytest.approx(32 * 2 * 11884e-6 * 0.039 / 0.66)


def test_leakage_of_logic_by_hand():
    # 800,000 gates x 4 x 0.195 um / 4 = 156 mm of leaking width, at 1 nA/um and 1 V.
    assert logic_leakage_w_per_mm2(65, 1.0, 1.0) == pytest.approx(156e3 * 1e-9)
    assert logic_leakage_w_per_mm2(65, 1.0, 100.0) == pytest.approx(156e3 * 1e-7)


def test_envelope_is_the_schreier_figure_of_merit():
    # FOM = SNDR + 10 log10(f / 2 / P), 186.7 dB at low rates; 3 dB less at the corner.
    joules = adc_envelope_fj(8, 1e3) * 1e-15
    assert sndr_db(8) + 10 * math.log10(0.5 / joules) == pytest.approx(186.723, abs=1e-3)
    assert adc_envelope_fj(8, ENVELOPE_CORNER_HZ) / adc_envelope_fj(8, 1.0) == pytest.approx(
        math.sqrt(2)
    )
    assert adc_envelope_fj(9, 1.0) == pytest.approx(4 * adc_envelope_fj(8, 1.0))


@pytest.mark.parametrize("rate_hz", [1e6, 1e8, 1e9])
@pytest.mark.parametrize("node_nm", [65, 22, 7])
def test_expected_converter_grows_as_it_should(rate_hz, node_nm):
    energies = [adc_energy_fj(bits, rate_hz, node_nm) for bits in range(4, 13)]
    assert energies == sorted(energies)
    assert all(e >= adc_envelope_fj(b, rate_hz) for b, e in enumerate(energies, 4))
    assert adc_energy_fj(8, rate_hz, node_nm) <= adc_energy_fj(8, rate_hz, 2 * node_nm)
    assert adc_energy_fj(8, rate_hz, node_nm) <= adc_energy_fj(8, 10 * rate_hz, node_nm)
    assert adc_area_um2(8, rate_hz, node_nm) < adc_area_um2(8, rate_hz, 2 * node_nm)


def test_expected_converter_by_hand():
    # 8 bit at 65 nm is limited by its resolution: FOM 154.07 dB at SNDR 49.93 dB is 19.3 pJ,
    # times exp(24.579 + 1.880 ln 65 - 2.829 ln 8) = 0.336 after the change from J to pJ.
    assert adc_energy_fj(8, 1e8, 65) == pytest.approx(6494, rel=1e-3)


@pytest.mark.parametrize("name", ["memcap-demo", "memcap-phone"])
def test_shipped_constants_are_within_six_times_of_the_survey(name):
    found = standings(load_target(name))
    assert len(found) == 9
    for standing in found:
        assert standing.value >= standing.least, standing
        assert 1 / 6 < standing.ratio < 6, standing


def test_only_a_target_with_a_technology_has_a_standing():
    assert standings(load_target("mesh-small")) == []


def test_at_supply_scales_each_constant_by_its_law():
    phone = load_target("memcap-phone")
    low = at_supply(phone, 0.6)
    process = phone.technology
    assert process is not None
    energy, delay = switching_ratio(process, 0.6), delay_ratio(process, 0.6)
    assert low.array.read_voltage_v == pytest.approx(0.8)
    assert low.array.settle_ns == pytest.approx(delay * phone.array.settle_ns)
    assert low.adc.energy_fj == pytest.approx(energy * phone.adc.energy_fj)
    assert low.vector.energy_pj.mul == pytest.approx(energy * phone.vector.energy_pj.mul)
    assert low.vector.clock_ghz == pytest.approx(phone.vector.clock_ghz / delay)
    assert low.leakage_w == pytest.approx(phone.leakage_w * leakage_ratio(process, 0.6))
    assert low.host == phone.host
    assert low.technology is not None
    assert low.technology.supply_v == 0.6
    # There and back again.
    back = at_supply(low, 0.75)
    assert back.adc.energy_fj == pytest.approx(phone.adc.energy_fj)
    assert back.leakage_w == pytest.approx(phone.leakage_w)
    assert target_from_dict(target_to_dict(low)) == low


def test_what_has_its_own_supply_stays():
    data = target_to_dict(load_target("memcap-phone"))
    data["technology"]["fixed"] = ["read_voltage", "adc", "clock"]
    fixed = target_from_dict(data)
    low = at_supply(fixed, 0.6)
    assert low.array.read_voltage_v == fixed.array.read_voltage_v
    assert low.adc == fixed.adc
    assert low.vector.clock_ghz == fixed.vector.clock_ghz
    assert low.dac.energy_fj < fixed.dac.energy_fj


def test_a_supply_that_cannot_be_is_refused():
    phone = load_target("memcap-phone")
    with pytest.raises(TargetError, match="above threshold_v"):
        at_supply(phone, 0.3)
    with pytest.raises(TargetError, match=r"needs the section \[technology\]"):
        at_supply(phone.model_copy(update={"technology": None}), 0.7)
    data = target_to_dict(phone)
    data["technology"]["threshold_v"] = 0.8
    with pytest.raises(TargetError, match="above threshold_v"):
        target_from_dict(data)
