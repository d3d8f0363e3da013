"""Models that do not fit a chip: refused, written anew, or spread over chips."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semc
from semc.backends.memcap.decode import decode_program
from semc.backends.memcap.isa import Opcode
from semc.backends.program import Program
from semc.backends.targets import load_target
from semc.errors import CapacityError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The demo chip with six arrays."""
    source = Path(str(semc.__file__)).parent / "backends/targets/memcap-demo.toml"
    text = source.read_text(encoding="utf-8")
    for old, new in (
        ('name = "memcap-demo"', 'name = "tiny"'),
        ("\nlayers = 4", "\nlayers = 2"),
        ("grid_rows = 4", "grid_rows = 1"),
        ("grid_cols = 4", "grid_cols = 3"),
    ):
        assert old in text
        text = text.replace(old, new)
    path = tmp_path_factory.mktemp("target") / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def simulated(program: Program, model: Path, mode: str = "exact") -> dict[str, Any]:
    data = {
        port["name"]: np.random.default_rng(0).standard_normal(port["shape"]).astype(np.float32)
        for port in program.manifest["inputs"]
    }
    return semc.simulate(program, data, mode=mode, reference=model).as_dict()


def test_reloaded_models_compute_the_same(tiny: str, examples: Path) -> None:
    model = examples / "digits_transformer.onnx"
    with pytest.raises(CapacityError, match="--on-overflow reload"):
        semc.compile(model, tiny)
    program = semc.compile(model, tiny, on_overflow="reload")
    exact = simulated(program, model)
    assert exact["reference"]["max_rel_error"] < 1e-5
    capacity = load_target(tiny).weight_capacity
    assert exact["parameters_per_cm2"] == capacity / (exact["area_mm2"] / 100)
    reload = exact["reload"]
    assert reload["window_arrays"] == 3
    assert 17 - 6 + 3 <= reload["arrays_written"] <= 17
    assert reload["inferences_to_wear_out"] == 1e9 / reload["most_writes"]
    wear_out_s = reload["inferences_to_wear_out"] * exact["latency_s"]
    assert reload["time_to_wear_out_s"] == wear_out_s
    assert exact["energy_parts_j"]["program"] > 0
    for mode, sqnr_db in (("quantized", 15), ("noisy", 10)):
        result = simulated(program, model, mode)
        assert result["reference"]["sqnr_db"] > sqnr_db


def test_matrices_that_do_not_fit_are_driven_once(
    tiny: str, examples: Path, tmp_path: Path
) -> None:
    smaller = Path(tiny).read_text(encoding="utf-8").replace("grid_cols = 3", "grid_cols = 2")
    path = tmp_path / "smaller.toml"
    path.write_text(smaller, encoding="utf-8")
    program = semc.compile(examples / "digits_cnn.onnx", str(path), on_overflow="reload")
    streams = decode_program(program).blocks[0]
    products = [i for stream in streams for i in stream.instructions]
    driven = [(i.index, i.tiles) for i in products if i.opcode is Opcode.DRIVE]
    assert len(driven) == len(set(driven))
    assert simulated(program, examples / "digits_cnn.onnx")["reference"]["max_rel_error"] < 1e-5


def test_the_report_counts_what_is_needed(
    semc_command: Callable[..., Any], tiny: str, examples: Path, tmp_path: Path
) -> None:
    out, model = str(tmp_path / "p.semc"), str(examples / "digits_transformer.onnx")
    options = ("-t", tiny, "-o", out, "--json", "--no-weights")
    reloaded = json.loads(semc_command("compile", model, "--on-overflow", "reload", *options).out)
    assert reloaded["arrays"]["used"] == reloaded["arrays"]["available"] == 6
    stays = reloaded["arrays"]["used"] - reloaded["reload"]["window_arrays"]
    assert reloaded["arrays"]["needed"] == stays + reloaded["reload"]["arrays_written"]
    spread = json.loads(semc_command("compile", model, "--on-overflow", "chips", *options).out)
    assert spread["arrays"]["available"] == 18
    assert sum(spread["chips"]["arrays"]) == spread["arrays"]["used"]
    assert spread["area_mm2"] == 3 * load_target(tiny).area_mm2


def test_several_chips_compute_the_same(tiny: str, examples: Path) -> None:
    model = examples / "digits_transformer.onnx"
    program = semc.compile(model, tiny, on_overflow="chips")
    exact = simulated(program, model)
    assert exact["reference"]["max_rel_error"] < 1e-5
    chips = exact["chips"]
    assert chips["used"] == 3
    assert max(chips["arrays"]) <= 6
    assert sum(chips["arrays"]) >= 17
    one = load_target(tiny)
    assert exact["area_mm2"] == 3 * one.area_mm2
    assert chips["crossing_bytes"] > 0
    link_j = chips["crossing_bytes"] * one.chip_link.energy_pj_per_byte * 1e-12
    assert exact["energy_parts_j"]["chip_link"] == pytest.approx(link_j)
    for mode, sqnr_db in (("quantized", 15), ("noisy", 10)):
        result = simulated(program, model, mode)
        assert result["reference"]["sqnr_db"] > sqnr_db


def test_loops_stay_on_a_chip(tiny: str, examples: Path) -> None:
    model = examples / "digits_lstm.onnx"
    exact = simulated(semc.compile(model, tiny, on_overflow="chips"), model)
    assert exact["reference"]["max_rel_error"] < 1e-5
    assert exact["chips"]["used"] == 3


def test_what_fits_stays_as_it_is(examples: Path, tmp_path: Path) -> None:
    model = examples / "digits_mlp.onnx"
    for on_overflow in ("error", "reload", "chips"):
        program = semc.compile(model, "memcap-demo", on_overflow=on_overflow)
        program.manifest["options"].pop("on_overflow")
        program.save(tmp_path / on_overflow)
    plain = (tmp_path / "error").read_bytes()
    assert plain == (tmp_path / "reload").read_bytes() == (tmp_path / "chips").read_bytes()


def test_matrices_of_a_loop_stay(tiny: str, examples: Path) -> None:
    with pytest.raises(CapacityError, match="take matrices out of control flow"):
        semc.compile(examples / "digits_lstm.onnx", tiny, on_overflow="reload")


def test_the_command_says_what_is_written(
    semc_command: Callable[..., Any], tiny: str, examples: Path, tmp_path: Path
) -> None:
    out = str(tmp_path / "p.semc")
    model = str(examples / "digits_transformer.onnx")
    done = semc_command("compile", model, "-t", tiny, "--on-overflow", "reload", "-o", out)
    assert done.code == 0, done.err
    assert "6 of 6 on 2 layers" in done.out
    assert "written anew" in done.out
    timed = semc_command("simulate", out)
    assert "without a pause" in timed.out
