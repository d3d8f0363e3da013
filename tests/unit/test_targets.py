"""Targets: the shipped files load and are consistent, faults are listed at once, costs add up."""

import json
import tomllib
from pathlib import Path

import pytest

from semc.backends import targets
from semc.backends.targets.memcap_cost import (
    ARRAY_PARTS,
    adiabatic_factor,
    host_energy_j,
    host_latency_s,
    mvm_energy_j,
    mvm_latency_s,
    settle_latency_s,
    vector_energy_j,
    vector_latency_s,
    write_energy_j,
)
from semc.backends.targets.mesh_cost import (
    Work,
    task_energy_j,
    task_latency_s,
    transfer_energy_j,
    transfer_latency_s,
)
from semc.errors import TargetError
from semc.runtime.energy import add_parts, efficiency

from .changed_target import changed

SHIPPED = ["memcap-demo", "memcap-phone", "mesh-cpu", "mesh-small"]


def demo_dict() -> dict:
    return targets.target_to_dict(targets.load_target("memcap-demo"))


def mesh_dict() -> dict:
    return targets.target_to_dict(targets.load_target("mesh-small"))


def test_shipped_names():
    assert targets.list_targets() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_target_round_trips_through_json(name):
    target = targets.load_target(name)
    assert target.name == name
    text = json.dumps(targets.target_to_dict(target))
    again = targets.target_from_dict(json.loads(text))
    assert again == target
    assert hash(again) == hash(target)
    assert json.dumps(targets.target_to_dict(again)) == text


@pytest.mark.parametrize("name", ["memcap-demo", "memcap-phone"])
def test_memcap_fits_the_area_it_was_meant_for(name):
    target = targets.load_target(name)
    parts = targets.area_parts_mm2(target)
    assert target.area_mm2 == parts["die"] == max(parts["base"], parts["layer"])
    assert parts["base"] == pytest.approx(
        sum(v for k, v in parts.items() if k not in ("base", "layer", "die"))
    )
    assert target.area_mm2 <= target.budget_area_mm2


def test_phone_holds_ten_billion_weights():
    target = targets.load_target("memcap-phone")
    assert target.arrays == 16 * 100 * 100
    assert target.weights_per_array == 512 * 128
    assert target.weight_capacity >= 10e9


def test_derived_numbers():
    target = targets.load_target("memcap-demo")
    assert (target.cell_bits, target.slices, target.columns_per_weight) == (4, 2, 4)
    assert target.weight_cols == 32
    assert target.adcs_per_array == 8
    assert target.array.level_ff == pytest.approx(19 / 15)
    assert target.adc.energy_fj == pytest.approx(14 * 256 + 2.4e-4 * 65536)


def test_load_from_path(tmp_path: Path):
    source = Path(targets.__file__).parent / "memcap-demo.toml"
    path = tmp_path / "mine.toml"
    path.write_text(source.read_text().replace('"memcap-demo"', '"mine"'))
    assert targets.load_target(path).name == "mine"
    assert targets.load_target(str(path)).name == "mine"


def test_all_faults_are_listed_with_their_paths():
    data = demo_dict()
    data["array"]["rows"] = -1
    data["array"]["colour"] = "red"
    del data["adc"]["bits"]
    data["stack"]["layers"] = "4"
    data["noise"]["off"] = ["gravity"]
    with pytest.raises(TargetError) as caught:
        targets.target_from_dict(data, "bad.toml")
    where = {fault.where for fault in caught.value.faults}
    assert where == {
        "bad.toml: array.rows",
        "bad.toml: array.colour",
        "bad.toml: adc.bits",
        "bad.toml: stack.layers",
        "bad.toml: noise.off",
    }
    assert "5 faults" in str(caught.value)
    assert "came -1" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "key", "value", "words"),
    [
        ("array", "levels", 12, "power of 2"),
        ("array", "c_off_ff", 30.0, "must be below c_on_ff"),
        ("array", "feedback_ff", 0.0, "amplifier readout needs"),
        ("array", "cols", 3, "must hold one weight"),
        ("array", "read_voltage_v", float("inf"), "finite"),
        ("stack", "max_active_layers", 5, "must not exceed"),
        ("adc", "columns_per_adc", 256, "must not exceed array.cols"),
        ("dac", "bits", 6, "at least numerics.input_bits"),
        ("noise", "stuck_on_fraction", 1.0, "must be <= 1"),
        ("sources", "adc", " ", "origin of adc"),
    ],
)
def test_inconsistent_memcap_is_refused(section, key, value, words):
    data = demo_dict()
    data[section][key] = value
    with pytest.raises(TargetError, match=words):
        targets.target_from_dict(data)


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(TargetError, match="did you mean memcap-demo"):
        targets.load_target("memcap-dem")


@pytest.mark.parametrize(
    ("text", "words"), [("a = [", "valid TOML"), ('machine = "loom"', "machine must be")]
)
def test_bad_file_is_one_clear_error(tmp_path, text, words):
    path = tmp_path / "t.toml"
    path.write_text(text)
    with pytest.raises(TargetError, match=words):
        targets.load_target(path)


def test_missing_file_and_directory(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(TargetError, match="must be readable"):
            targets.load_target(path)


def test_mesh_routes_take_the_least_latency_path():
    data = mesh_dict()
    data["links"] = [
        {"a": "cpu0", "b": "gpu0", "gb_s": 10.0, "latency_us": 1.0, "pj_per_byte": 5.0},
        {"a": "gpu0", "b": "spu0", "gb_s": 10.0, "latency_us": 1.0, "pj_per_byte": 7.0},
        {"a": "cpu0", "b": "spu0", "gb_s": 99.0, "latency_us": 9.0, "pj_per_byte": 1.0},
        {"a": "spu0", "b": "spu1", "gb_s": 20.0, "latency_us": 0.5, "pj_per_byte": 1.0},
    ]
    mesh = targets.target_from_dict(data)
    route = mesh.link_between("cpu0", "spu0")
    assert route.hops == ("cpu0", "gpu0", "spu0")
    assert (route.latency_us, route.pj_per_byte) == (2.0, 12.0)
    assert route.gb_s == pytest.approx(5.0)
    assert mesh.link_between("spu0", "cpu0").hops == ("spu0", "gpu0", "cpu0")
    assert transfer_latency_s(mesh.link_between("gpu0", "gpu0"), 1e9) == 0.0
    assert transfer_latency_s(route, 5e9) == pytest.approx(1.000002)
    assert transfer_energy_j(route, 1e12) == pytest.approx(12.0)


def test_shipped_mesh_is_fully_connected_by_direct_links():
    mesh = targets.load_target("mesh-small")
    assert mesh.host.name == "cpu0"
    assert len(mesh.routes) == 16
    assert all(len(r.hops) == 2 for (a, b), r in mesh.routes.items() if a != b)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["devices"].pop(0), "no device 'cpu0'"),
        (lambda d: d["devices"][0].update(kind="gpu"), "kind 'cpu'"),
        (lambda d: d["devices"][1].update(name="cpu0"), "two are called 'cpu0'"),
        (lambda d: d.update(links=[]), "cannot be reached"),
        (lambda d: d["links"][0].update(b="cpu0"), "must join two devices"),
        (lambda d: d["devices"][2].update(format="pal9"), "pal8lite"),
        (lambda d: d.update(devices=[]), "at least 1 item"),
    ],
)
def test_inconsistent_mesh_is_refused(change, words):
    data = mesh_dict()
    change(data)
    with pytest.raises(TargetError, match=words):
        targets.target_from_dict(data)


def test_device_roofline_and_energy():
    device = targets.load_target("mesh-small").device("gpu0")
    bound_by_compute = Work(matmul_flops=80e12, memory_bytes=8e9)
    assert task_latency_s(device, bound_by_compute) == pytest.approx(1.0 + 5e-6)
    bound_by_memory = Work(matmul_flops=8e9, memory_bytes=800e9)
    assert task_latency_s(device, bound_by_memory) == pytest.approx(1.0 + 5e-6)
    energy = task_energy_j(device, Work(1e12, 1e12, 1e12, 1e12, 1e12))
    assert energy == pytest.approx({"matmul": 0.7, "elementwise": 30.0, "memory": 88.0})


def test_mvm_energy_by_hand():
    target = targets.load_target("memcap-demo")
    parts = mvm_energy_j(target, 100, 10, 3, 0.5, mean_level=4.0)
    row_ff = 128 * 1.0 + 10 * 2 * 4.0 * 19 / 15
    assert parts["array"] == pytest.approx(300 * row_ff * 1e-15 * 0.25 * 0.5)
    assert parts["drivers"] == pytest.approx(300 * 256 * 0.2e-15 * 0.25 * 0.5)
    assert parts["dac"] == pytest.approx(300 * 1.3e-12)
    assert parts["adc"] == pytest.approx(60 * target.adc.energy_fj * 1e-15)
    assert parts["accumulate"] == pytest.approx(60 * 0.9e-12)
    # 20 pairs over 8 converters: three rounds of 50 ns after 20 ns.
    assert mvm_latency_s(target, 3, 10) == pytest.approx(3 * 170e-9)
    assert parts["amplifier"] == pytest.approx(40 * 10e-6 * 3 * 170e-9)


def test_mvm_energy_of_no_input_is_converters_only():
    parts = mvm_energy_j(targets.load_target("memcap-phone"), 512, 128, 1, 0.0)
    assert parts["array"] == parts["drivers"] == 0.0
    assert parts["adc"] > 0


def test_adiabatic_factor_limits():
    # The closed form and its expansion for large r meet; r -> 0 charges without loss.
    assert adiabatic_factor(1.0) == pytest.approx(0.36788, abs=1e-5)
    assert adiabatic_factor(0.1) == pytest.approx(0.09, abs=1e-4)
    assert adiabatic_factor(0.01) == pytest.approx(0.0099, abs=1e-6)
    assert adiabatic_factor(999.0) == pytest.approx(adiabatic_factor(1001.0), abs=1e-6)
    assert adiabatic_factor(1e9) == pytest.approx(0.5)


def test_system_events_by_hand():
    target = targets.load_target("memcap-demo")
    assert vector_energy_j(target, {"add": 2, "mul": 1}) == pytest.approx(5.5e-12)
    assert vector_latency_s(target, {"add": 33, "special": 1}) == pytest.approx(2 / 0.2e9)
    assert host_latency_s(target, 20e9, 1e9) == pytest.approx(2.00001)
    assert host_energy_j(target, 2.0, 1e9) == pytest.approx(10.1)
    assert write_energy_j(target, 10) == pytest.approx(40 * 2e-12)
    with pytest.raises(ValueError, match="operation class"):
        vector_energy_j(target, {"div": 1.0})


def test_efficiency_keeps_array_and_system_apart():
    parts = add_parts({"array": 1e-12, "adc": 1e-12}, {"sram": 2e-12, "adc": 1e-12})
    assert parts == {"array": 1e-12, "adc": 2e-12, "sram": 2e-12}
    found = efficiency(3.0, 5.0, parts)
    assert found.array_tops_per_w == pytest.approx(2.0)
    assert found.system_tops_per_w == pytest.approx(2.0)
    assert efficiency(1.0, 1.0, {}).array_tops_per_w == 0.0
    assert set(ARRAY_PARTS) < set(mvm_energy_j(targets.load_target("memcap-demo"), 1, 1, 1, 1.0))


def test_documentation_names_every_key():
    text = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    for name in ("memcap-phone", "mesh-small"):
        file = Path(targets.__file__).parent / f"{name}.toml"
        missing = [key for key in _keys(tomllib.loads(file.read_text())) if f"`{key}`" not in text]
        assert missing == []


def test_documentation_names_every_key_of_optional_sections():
    text = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()

    for section in ("defects", "digital", "technology", "thermal"):
        assert f"### `{section}`" in text
    models = (targets.defects.Defects, targets.thermal.Thermal)

    assert [key for model in models for key in model.model_fields if f"`{key}`" not in text] == []


def _keys(data: dict) -> set[str]:
    found = set()
    for key, value in data.items():
        found.add(key)
        tables = value if isinstance(value, list) else [value]
        if key != "sources":
            found |= {k for t in tables if isinstance(t, dict) for k in _keys(t)}
    return found


def test_documentation_explains_every_effect():
    text = (Path(__file__).parents[2] / "docs" / "physics.md").read_text()
    assert [effect for effect in targets.EFFECTS if f"\n| `{effect}` |" not in text] == []


def test_bit_serial_inputs_drive_and_convert_for_every_bit():
    serial = changed("memcap-demo", numerics={"input_coding": "bit-serial"})
    whole = targets.load_target("memcap-demo")
    assert (serial.pulses_per_input, serial.numerics.pulses) == (7, 7)
    assert (whole.pulses_per_input, whole.numerics.pulses) == (1, 1)
    assert mvm_latency_s(serial, 3, 10) == pytest.approx(7 * mvm_latency_s(whole, 3, 10))
    bits, amplitude = (mvm_energy_j(t, 100, 10, 3, 1 / 3) for t in (serial, whole))
    for part in ("adc", "dac", "accumulate", "amplifier"):
        assert bits[part] == pytest.approx(7 * amplitude[part])
    # Of uniform inputs half the seven bits are set, against a mean square of a third.
    assert bits["array"] == pytest.approx(3.5 * 3 * amplitude["array"])
    # Inputs of a quarter of the range leave the two upper bits unset.
    quarter = mvm_energy_j(serial, 100, 10, 3, 1 / 48)
    assert quarter["drivers"] == pytest.approx(bits["drivers"] * 5 / 7)
    assert mvm_energy_j(serial, 100, 10, 3, 0.0)["array"] == 0.0


def test_single_bit_inputs_count_as_often_as_they_are_set():
    serial = changed("memcap-demo", numerics={"input_coding": "bit-serial", "input_bits": 2})
    whole = targets.load_target("memcap-demo")
    one, other = (mvm_energy_j(t, 100, 10, 3, 0.25) for t in (serial, whole))
    assert one["array"] == pytest.approx(other["array"])


def test_pulses_follow_the_size_of_the_input():
    pulsed = changed("memcap-demo", array={"drive": "pulses"})
    whole = targets.load_target("memcap-demo")
    assert (pulsed.pulses_per_input, pulsed.numerics.pulses) == (127, 1)
    most, half = (mvm_energy_j(pulsed, 100, 10, 1, x * x, mean_abs_input=x) for x in (1.0, 0.5))
    assert half["array"] == pytest.approx(most["array"] / 2)
    step = mvm_energy_j(whole, 100, 10, 1, 1.0)
    assert most["array"] == pytest.approx(127 * step["array"])
    assert most["adc"] == step["adc"]
    settle_s = 127 * whole.array.settle_ns * 1e-9
    assert settle_latency_s(pulsed, 2) == pytest.approx(2 * settle_s)
    assert mvm_latency_s(pulsed, 1, 10) == pytest.approx(settle_s + 150e-9)
    with pytest.raises(TargetError, match="exclude each other"):
        changed(
            "memcap-demo",
            array={"drive": "pulses"},
            numerics={"input_coding": "bit-serial"},
        )


def test_sampling_twice_converts_the_reset_too():
    double = changed("memcap-demo", array={"double_sampling": True, "reset_bits": 4})
    whole = targets.load_target("memcap-demo")
    twice, once = (mvm_energy_j(t, 100, 10, 3, 1 / 3) for t in (double, whole))
    adc = whole.adc
    reset_fj = adc.fom_walden_fj * 16 + adc.fom_thermal_fj * 4.0**8 * 4 / 8
    assert twice["adc"] - once["adc"] == pytest.approx(60 * reset_fj * 1e-15)
    assert twice["array"] == once["array"]
    # Three rounds of twelve cycles in place of eight.
    assert mvm_latency_s(double, 1, 10) == pytest.approx(20e-9 + 3 * 75e-9)


def test_passive_cells_are_in_series_with_their_column():
    array = {"readout": "passive", "c_off_ff": 0.0, "c_on_ff": 15.0}
    passive = changed("memcap-demo", array=array)
    held = changed("memcap-demo", array={**array, "readout": "amplifier"})
    whole = mvm_energy_j(held, 4, 32, 1, 1.0, mean_level=15.0)["array"]
    # Four driven cells of 15 fF on a column with 0.2 fF/um of 256 um wire and a 50 fF converter.
    share = 1 - 15 / (4 * 15 + 51.2 + 50)
    found = mvm_energy_j(passive, 4, 32, 1, 1.0, mean_level=15.0)["array"]
    assert found == pytest.approx(whole * share)


def test_a_resistor_ladder_draws_current_as_long_as_it_drives():
    ladder = changed("memcap-demo", dac={"ladder_kohm": 10.0, "energy_fj": 0.0})
    energy = mvm_energy_j(ladder, 100, 10, 3, 0.5)["dac"]
    assert energy == pytest.approx(100 * 0.5 * 0.25 / 10e3 * 3 * 170e-9)


def test_a_converter_caps_the_system_whatever_the_array_does():
    """1 pJ a conversion over 512 rows is 1.95 fJ a multiply-add: 1,024 TOPS/W."""
    target = changed(
        "memcap-phone",
        array={
            "c_on_ff": 1e-6,
            "c_off_ff": 0.0,
            "line_capacitance_ff_um": 0.0,
            "levels": 128,
            "double_sampling": False,
        },
        adc={"fom_walden_fj": 1000 / 256, "fom_thermal_fj": 0.0},
        dac={"energy_fj": 0.0},
    )
    assert target.adc.energy_fj == pytest.approx(1000.0)
    parts = mvm_energy_j(target, 512, target.weight_cols, 1, 1 / 3)
    macs = 512 * target.weight_cols
    conversions = {part: parts[part] for part in ("array", "adc")}
    assert efficiency(macs, macs, conversions).system_tops_per_w == pytest.approx(1024, rel=1e-4)
    assert efficiency(macs, macs, parts).system_tops_per_w < 1024
    assert efficiency(macs, macs, {"array": parts["array"]}).array_tops_per_w > 1e6


def digital() -> targets.MemcapTarget:
    """An array of 128 x 128 adders."""
    section = {
        "carry_columns": 7, "clock_ns": 10.0, "adder_fj": 4.0, "multiplier_fj": 1.0,
        "driver_fj": 300.0, "rows_per_register": 8, "register_fj": 5.0, "control_fj": 5000.0,
    }  # fmt: skip
    return changed("memcap-demo", digital=section)


def test_adders_in_the_cells_by_hand():
    target = digital()
    assert (target.columns_per_weight, target.weight_cols) == (15, 8)
    parts = mvm_energy_j(target, 100, 4, 2, 1 / 3)
    clocks = 2 * 8
    assert parts["array"] == pytest.approx(clocks * 128 * (128 * 4.0 + 8 * 8 * 1.0) * 1e-15)
    assert parts["drivers"] == pytest.approx(clocks * 128 * 300e-15)
    assert parts["accumulate"] == pytest.approx(clocks * 16 * 128 * 5e-15)
    assert parts["controller"] == pytest.approx(clocks * 5e-12)
    assert mvm_latency_s(target, 2, 4) == pytest.approx(clocks * 10e-9)
    assert settle_latency_s(target, 2) == 0.0


def test_layers_of_a_planar_macro_lie_side_by_side():
    stacked = targets.area_parts_mm2(targets.load_target("memcap-demo"))
    planar = targets.area_parts_mm2(changed("memcap-demo", stack={"planar": True}))
    assert planar["die"] == pytest.approx(stacked["base"] + 4 * stacked["layer"])
