"""Heat of placements and of timed programs: sums, closed forms, and what a report says."""

import re
from pathlib import Path

import numpy as np
import pytest

import semc
from semc.backends import targets
from semc.backends.memcap.decode import decode_program
from semc.backends.targets.heat import site_power_w, tile_heat_j
from semc.backends.targets.memcap_cost import mvm_energy_j
from semc.backends.targets.thermal import thermal_network
from semc.compiler.driver import CompileOptions, compile_model
from semc.compiler.placement.heat import Heat, period_s, read_seconds, stack_heat
from semc.runtime.simulate import simulate, time_program

from .changed_target import changed
from .memcap_programs import CHAIN, chain_weights, compiled, demo_target

OF_READS = ("array", "drivers", "dac", "adc", "amplifier", "accumulate")


def test_the_heat_of_a_tile_is_its_energy_split_by_place() -> None:
    target = demo_target()
    sizes = np.array([[100, 10], [7, 32], [100, 10]])
    heat_j = tile_heat_j(target, sizes, 3, 0.5, 4.0, adc_bits=6)
    parts = mvm_energy_j(target, 100, 10, 3, 0.5, 4.0, adc_bits=6)
    assert heat_j[0, 0] == pytest.approx(parts["array"] + parts["drivers"])
    assert heat_j[0].sum() == pytest.approx(sum(parts.values()))
    np.testing.assert_array_equal(heat_j[0], heat_j[2])
    assert heat_j[1, 1] > heat_j[0, 1]


def test_power_is_added_up_by_site_and_by_stack() -> None:
    sites = np.array([[0, 1, 2], [1, 1, 2], [0, 1, 2], [0, 0, 0]])
    heat_j = np.array([[1.0, 10], [2, 20], [4, 40], [8, 80]])
    layer_w, die_w = site_power_w(sites, heat_j, (2, 2, 3), 0.5)
    assert layer_w[0].tolist() == [[16, 0, 0], [0, 0, 10]]
    assert layer_w[1].tolist() == [[0, 0, 0], [0, 0, 4]]
    assert die_w.tolist() == [[160, 0, 0], [0, 0, 140]]


def test_tiles_of_an_array_take_turns() -> None:
    sites = np.array([[0, 0, 0], [0, 0, 0], [0, 1, 0], [2, 0, 0]])
    seconds = read_seconds(sites, np.array([1.0, 2.0, 3.0, 5.0]), 10, 4)
    assert seconds.tolist() == [60.0, 0.0, 50.0, 0.0]


def test_a_period_is_that_of_the_busiest_unit_or_of_the_power_budget() -> None:
    target = changed("memcap-demo")
    assert period_s(target, np.array([1.0, 3.0]), 2.0, 0.0) == 3.0
    assert period_s(target, np.array([1.0, 3.0]), 4.0, 0.0) == 4.0
    assert period_s(target, np.array([1.0]), 0.0, 0.99) == pytest.approx(2.0)
    free = target.model_copy(update={"budget_power_w": 0.0})
    assert period_s(free, np.array([1.0]), 0.0, 99.0) == 1.0


def test_numbers_are_the_whole_of_it() -> None:
    heat = Heat(thermal_network(demo_target()), 85.0, 0.5, 1e-6, 0.01)
    assert Heat.of_numbers(heat.numbers()) == heat


def test_a_stack_of_one_site_is_a_ladder() -> None:
    """All heat goes through the package; what a layer makes warms those above as much as itself."""
    target = changed("memcap-demo", stack={"grid_rows": 1, "grid_cols": 1, "layers": 2})
    network = thermal_network(target)
    heat = Heat(network, 85.0, 0.0, 2.0, 0.25)
    found = stack_heat(np.array([[0, 0, 0, 5, 5]]), np.array([[0.5, 0.3]]), (2, 1, 1), heat)
    assert found.layer_w.tolist() == [0.25, 0.0]
    assert found.total_w == pytest.approx(0.65)
    base_c = 25 + 0.65 / network.sink
    expected = [base_c, base_c + 0.25 / network.attach, base_c + 0.25 / network.attach]
    np.testing.assert_allclose(found.temperature_c[:, 0, 0], expected)


@pytest.mark.parametrize("name", ["memcap-demo", "memcap-phone"])
@pytest.mark.parametrize("executed", [False, True], ids=["timed", "executed"])
def test_the_arrays_heat_is_their_energy(examples: Path, name: str, executed: bool) -> None:
    program = semc.compile(examples / "digits_cnn.onnx", name)
    image = np.load(examples / "digits_test.npz")["image"][:2]
    result = simulate(program, {"image": image} if executed else None, mode="quantized")
    parts_j = result.timing.parts_j
    assert result.heat is not None
    of_reads = sum(parts_j.get(part, 0.0) for part in OF_READS)
    assert result.heat.heat_j.sum() == pytest.approx(of_reads)
    report = result.as_dict()["temperature_c"]
    inside_w = sum(v for k, v in parts_j.items() if not k.startswith("host")) / result.latency_s
    thermal = program.target.thermal
    # What the package alone adds; the base die and the layers add less than a kelvin.
    package_c = thermal.ambient_c + inside_w * thermal.package_k_per_w
    assert package_c < report["base_die"] < package_c + 1
    assert report["hottest"] == max(report["layers"])
    assert report["layers"][report["hottest_layer"]] == report["hottest"]
    assert len(report["layers"]) == len(report["layer_power_w"]) == program.target.stack.layers
    in_layers = sum(parts_j[part] for part in ("array", "drivers")) / result.latency_s
    assert sum(report["layer_power_w"]) == pytest.approx(in_layers)


def test_heat_stands_where_the_tiles_do() -> None:
    decoded = decode_program(compiled(CHAIN, chain_weights()))
    timed = time_program(decoded, None)
    # Three positions of each of the two matrices, twice, in two layers each.
    assert sorted(timed.reads.values()) == [6, 6, 6, 6]
    result = simulate(compiled(CHAIN, chain_weights()), None)
    assert result.heat is not None
    used = {tuple(site) for site in result.heat.sites.tolist()}
    assert used == {(0, 0, 0), (1, 1, 1), (2, 1, 1)}


def test_loops_read_as_often_as_they_run(examples: Path) -> None:
    """An LSTM of eight steps reads its recurrent matrix eight times."""
    result = simulate(semc.compile(examples / "digits_lstm.onnx", "memcap-demo"), None)
    assert result.heat is not None
    of_reads = sum(result.timing.parts_j.get(part, 0.0) for part in OF_READS)
    assert result.heat.heat_j.sum() == pytest.approx(of_reads)
    assert max(result.timing.reads.values()) >= 8


def test_a_mesh_has_no_stack(examples: Path) -> None:
    result = simulate(semc.compile(examples / "digits_mlp.onnx", "mesh-small"), None)
    assert result.as_dict()["temperature_c"] is None


def test_reports_say_what_is_over_its_limit(
    examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from semc.runtime.report.console import print_simulation

    text = (Path(targets.__file__).parent / "memcap-demo.toml").read_text()
    for limit, words in (("85.0", "(limit 85 C)"), ("28.0", "(over the limit of 28 C)")):
        chip = tmp_path / f"chip{limit}.toml"
        chip.write_text(text.replace("max_temperature_c = 85.0", f"max_temperature_c = {limit}"))
        print_simulation(simulate(semc.compile(examples / "digits_cnn.onnx", chip), None).as_dict())
        line = next(x for x in capsys.readouterr().out.splitlines() if x.startswith("temperature"))
        assert re.search(r"C in layer \d, the hottest of 4 layers", line)
        assert words in line


def test_a_placement_that_is_too_hot_is_refused(examples: Path, tmp_path: Path) -> None:
    text = (Path(targets.__file__).parent / "memcap-demo.toml").read_text()
    chip = tmp_path / "chip.toml"
    chip.write_text(text.replace("max_layer_power_w = 0.0", "max_layer_power_w = 1e-9"))
    with pytest.raises(semc.errors.IRError, match="of heat, which must be at most 1e-09 W"):
        semc.compile(examples / "digits_cnn.onnx", chip)


def test_a_compilation_tells_what_its_arrays_make(examples: Path) -> None:
    done = compile_model(examples / "digits_cnn.onnx", CompileOptions(target="memcap-demo"))
    facts = done.report()["temperature_c"]
    target = demo_target()
    least_c = target.thermal.ambient_c + target.leakage_w * target.thermal.package_k_per_w
    assert least_c < facts["hottest"] < least_c + 5
    assert facts["layers"][facts["hottest_layer"]] == facts["hottest"]
    # An inference cannot be quicker than its busiest unit, and the simulator finds it slower.
    timed = simulate(done.program, None)
    assert 0 < facts["period_s"] <= timed.latency_s
    heat_j = sum(facts["layer_power_w"]) * facts["period_s"]
    assert timed.heat is not None
    assert heat_j == pytest.approx(timed.heat.heat_j[:, 0].sum(), rel=1e-6)
    assert "temperature_c" not in done.program.manifest["stats"]
