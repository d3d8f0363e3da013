"""The command line as a user meets it: shipped examples, JSON keys, exit codes, error lines."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import semc
from semc.arrays import random_arrays, read_arrays, split_samples, write_arrays
from semc.console import print_json, report_error
from semc.errors import InputError, ModelError

Semc = Callable[..., Any]

COMPILE_KEYS = {
    "area_mm2",
    "arrays",
    "fits",
    "host_ops",
    "ir_ops",
    "layers_used",
    "model",
    "on_chip_ops_share",
    "on_chip_work_share",
    "parameters",
    "peak_rss_bytes",
    "phase_s",
    "program",
    "schema_version",
    "target",
    "tiles",
}
SIMULATE_KEYS = {
    "accuracy",
    "area_mm2",
    "energy_j",
    "energy_parts_j",
    "execute_s",
    "latency_s",
    "mode",
    "parameters_per_cm2",
    "power_w",
    "reference",
    "samples",
    "schema_version",
    "throughput_per_s",
    "tops_per_w",
    "utilisation",
}
REFERENCE_KEYS = {
    "accuracy",
    "cosine",
    "max_abs_error",
    "max_rel_error",
    "sqnr_db",
    "top1_agreement",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """The digit classifier compiled for the demo chip, as the README does it."""
    path = tmp_path_factory.mktemp("program") / "digits.semc"
    compiled = semc.compile(
        examples / "digits_mlp.onnx", calibrate=examples / "digits_calibration.npz", out=path
    )
    assert compiled is not None
    return path


@pytest.fixture
def few_samples(tmp_path: Path, examples: Path) -> Path:
    """The first 20 test samples."""
    path = tmp_path / "few.npz"
    write_arrays(path, {k: v[:20] for k, v in read_arrays(examples / "digits_test.npz").items()})
    return path


def test_compile_reports_every_key_and_writes_the_same_bytes_twice(
    semc_command: Semc, examples: Path, tmp_path: Path
) -> None:
    model = str(examples / "digits_mlp.onnx")
    first, second = tmp_path / "first.semc", tmp_path / "second.semc"
    done = semc_command("compile", model, "-t", "memcap-demo", "-o", str(first), "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert set(report) >= COMPILE_KEYS
    assert report["fits"] is True
    assert report["parameters"] == 17226
    assert Path(report["program"]) == first
    assert semc_command("compile", model, "-o", str(second), "--quiet").code == 0
    assert first.read_bytes() == second.read_bytes()


def test_compile_shows_progress_as_plain_lines(
    semc_command: Semc, examples: Path, tmp_path: Path
) -> None:
    model = str(examples / "digits_mlp.onnx")
    done = semc_command("compile", model, "-o", str(tmp_path / "p.semc"))
    lines = done.err.splitlines()
    assert lines
    assert all(line.startswith(f"[{i}/{len(lines)}] ") for i, line in enumerate(lines, start=1))
    assert all(line.endswith(" s") for line in lines)


@pytest.mark.parametrize("level", ["graph", "tile", "place", "analog"])
def test_emitted_level_can_be_read_by_opt(
    semc_command: Semc, examples: Path, level: str, tmp_path: Path
) -> None:
    model, path = str(examples / "digits_mlp.onnx"), tmp_path / "level.mlir"
    done = semc_command("compile", model, "--emit", level, "-q")
    assert done.code == 0, done.err
    assert semc_command("compile", model, "--emit", level, "-o", str(path), "-q").out == ""
    assert path.read_text() == done.out
    again = semc_command("opt", str(path))
    assert again.code == 0, again.err
    assert again.out == done.out


def test_simulate_compares_with_the_reference(
    semc_command: Semc, program: Path, few_samples: Path, examples: Path, tmp_path: Path
) -> None:
    outputs = tmp_path / "out.npz"
    done = semc_command(
        *("simulate", str(program), "--input", str(few_samples), "--output", str(outputs)),
        *("--reference", str(examples / "digits_mlp.onnx"), "--tolerance", "0.001", "--json"),
    )
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert set(report) >= SIMULATE_KEYS
    assert set(report["reference"]) >= REFERENCE_KEYS
    assert report["samples"] == 20
    assert report["accuracy"] >= 0.9
    logits = read_arrays(outputs)["logits"]
    labels = read_arrays(few_samples)["labels"]
    assert report["accuracy"] == pytest.approx(np.mean(logits.reshape(20, 10).argmax(1) == labels))


def test_simulate_out_of_tolerance_exits_with_4(
    semc_command: Semc, program: Path, few_samples: Path, examples: Path
) -> None:
    done = semc_command(
        *("simulate", str(program), "--input", str(few_samples), "--mode", "noisy"),
        *("--reference", str(examples / "digits_mlp.onnx"), "--tolerance", "0"),
    )
    assert done.code == 4
    assert "error: outputs must be within 0 of the reference" in done.err


def test_random_inputs_are_drawn_from_the_seed(
    semc_command: Semc, program: Path, tmp_path: Path
) -> None:
    found = []
    for number, seed in enumerate(("1", "1", "2")):
        out = tmp_path / f"{number}.npz"
        done = semc_command(
            *("simulate", str(program), "--random", "2", "--seed", seed, "--output", str(out))
        )
        assert done.code == 0, done.err
        found.append(out.read_bytes())
    assert found[0] == found[1]
    assert found[0] != found[2]


def test_a_study_is_reported_and_its_worst_run_shown_again(
    semc_command: Semc, program: Path, few_samples: Path
) -> None:
    noisy = ("simulate", str(program), "--input", str(few_samples), "--mode", "noisy", "--json")
    done = semc_command(*noisy, "--seed", "3", "--runs", "3", "--reads", "2", "--jobs", "1")
    assert done.code == 0, done.err
    assert done.err.splitlines()[-1].startswith("[6/6] runs  ")
    runs = json.loads(done.out)["runs"]
    assert (runs["chips"], runs["reads"], runs["seed"]) == (3, 2, 3)
    assert set(runs["metrics"]) == {"accuracy", "max_rel_error", "sqnr_db"}
    for metric in runs["metrics"].values():
        assert set(metric) == {"deviation", "devices", "mean", "reads", "worst"}
    worst = runs["metrics"]["accuracy"]["worst"]
    seeds = ("--seed", str(worst["seed"]), "--read-seed", str(worst["read_seed"]))
    assert json.loads(semc_command(*noisy, *seeds).out)["accuracy"] == worst["value"]


def test_ablation_and_noise_budget_are_reported(semc_command: Semc, program: Path) -> None:
    asked = ("--mode", "noisy", "--ablation", "--noise-budget", "--runs", "1", "-q")
    done = semc_command("simulate", str(program), "--random", "2", *asked, "--json")
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    assert set(report["ablation"]) == {"all", "chips", "effects", "none", "seed"}
    for entry in report["ablation"]["effects"]:
        assert set(entry) == {"alone", "effect", "without"}
    assert report["runs"]["metrics"]["sqnr_db"]["devices"]["variance"] is None
    budget = report["noise_budget"]
    assert [node for entry in budget for node in entry["nodes"]]
    assert set(budget[0]) == {
        *("enob", "error_rms", "inputs_clipped", "matrix", "nodes", "results_clipped", "rows"),
        *("signal_rms", "snr_db", "sources_rms", "sum_rms"),
    }
    shown = semc_command("simulate", str(program), "--random", "2", *asked).out
    for text in ("1 chip, 2 reads each", "mean of 1 chip", "none (quantized)", "noise budget"):
        assert text in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_inspect_lists_tensors_and_instructions(semc_command: Semc, program: Path) -> None:
    plain = semc_command("inspect", str(program), "--asm", "--weights")
    assert plain.code == 0, plain.err
    done = semc_command("inspect", str(program), "--asm", "--weights", "--json")
    data = json.loads(done.out)
    assert data["tensors"]
    assert data["asm"].splitlines()[0] in plain.out


def test_targets_and_passes_are_listed(semc_command: Semc) -> None:
    targets = json.loads(semc_command("targets", "--json").out)["targets"]
    names = {target["name"] for target in targets}
    assert names >= {"memcap-demo", "memcap-phone", "mesh-small", "mesh-cpu"}
    for name in names:
        assert name in semc_command("targets").out
        assert f"name = {name}" in semc_command("targets", name).out
    passes = json.loads(semc_command("passes", "--json").out)["passes"]
    for entry in passes:
        assert f"{entry['name']} " in semc_command("passes").out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["compile", "missing.onnx"], 1, "error: missing.onnx: "),
        (["simulate", "missing.semc"], 1, "error: missing.semc: "),
        (["inspect", "missing.semc"], 1, "error: missing.semc: "),
        (["opt", "missing.mlir"], 1, "error: missing.mlir: No such file"),
        (["targets", "memcap-dem"], 1, "did you mean memcap-demo?"),
        (["compile"], 2, "Missing argument 'MODEL'"),
        (["compile", "m.onnx", "--dim", "batch"], 2, "must be NAME=N with N >= 0, came 'batch'"),
        (["compile", "m.onnx", "--dim", "batch=-1"], 2, "must be NAME=N with N >= 0"),
        (["compile", "m.onnx", "--check-levels", "--emit", "tile"], 2, "exclude each other"),
        (["compile", "m.onnx", "--check-levels", "--no-weights"], 2, "needs the weights"),
        (["compile", "m.onnx", "--calibrate", "d.npz", "--no-weights"], 2, "needs the weights"),
        (["simulate", "p.semc", "--tolerance", "1"], 2, "--tolerance needs --reference"),
        (["simulate", "p.semc", "--random", "1", "--input", "x"], 2, "exclude each other"),
        (["simulate", "p.semc", "--random", "1", "--runs", "2"], 2, "--runs needs --mode noisy"),
        (["simulate", "p.semc", "--mode", "noisy", "--ablation"], 2, "--ablation needs data"),
        (["simulate", "p.semc", "--reads", "3"], 2, "--reads needs --runs"),
        (["simulat"], 2, "Did you mean 'simulate'?"),
        (["opt", "-", "-p", "nothing"], 2, "error: there is no pass 'nothing'"),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    semc_command: Semc, arguments: list[str], code: int, message: str
) -> None:
    done = semc_command(*arguments)
    assert done.code == code
    assert done.out == ""
    assert message in done.err
    assert "Traceback" not in done.err
    if code == 1:
        assert done.err.count("\n") == 1


def test_error_is_json_too(semc_command: Semc) -> None:
    done = semc_command("opt", "-", "--json", stdin="\n  oops")
    data = json.loads(done.out)
    assert (data["exit_code"], data["error"]) == (1, "IRError")
    assert data["where"].startswith("<stdin>:2:")
    assert data["schema_version"] == 1


def test_every_fault_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    faults = [ModelError("a second fault", where="node 'b'")]
    error = ModelError("a first fault", where="node 'a'", faults=faults)
    assert report_error(error, as_json=False) == 1
    assert capsys.readouterr().err == (
        "error: node 'a': a first fault\nerror: node 'b': a second fault\n"
    )


def test_own_fault_is_one_line_and_70(semc_command: Semc, monkeypatch: pytest.MonkeyPatch) -> None:
    import semc.compiler.opt_main

    def fail(_options: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(semc.compiler.opt_main, "run_opt", fail)
    done = semc_command("opt", "-")
    assert done.code == 70
    assert done.err == (
        "error: semc itself failed (ZeroDivisionError: two\\nlines); "
        "use --debug for the traceback\n"
    )
    with pytest.raises(ZeroDivisionError):
        semc_command("opt", "-", "--debug")


def test_json_has_no_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("inf"), "b": [np.float32("nan"), np.int64(3)], "c": np.arange(2)})
    data = json.loads(capsys.readouterr().out)
    assert data == {"schema_version": 1, "a": None, "b": [None, 3], "c": [0, 1]}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"plain text"])
def test_data_that_are_no_npz_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"data\.npz: data must be an \.npz file"):
        read_arrays(path)


def test_pickled_and_nameless_data_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "object.npz", a=np.array([{}], dtype=object))
    np.save(tmp_path / "single.npy", np.zeros(3))
    for name in ("object.npz", "single.npy"):
        with pytest.raises(InputError):
            read_arrays(tmp_path / name)


def test_arrays_survive_any_name(tmp_path: Path) -> None:
    arrays = {"file": np.arange(3), "a/b:0": np.float32(2), "empty": np.zeros((0, 4), np.int8)}
    write_arrays(tmp_path / "plain", arrays)
    found = read_arrays(tmp_path / "plain")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_random_arrays_fit_their_inputs() -> None:
    specs = {"x": ((1, 3), np.dtype(np.float32)), "ids": ((2,), np.dtype(np.int64))}
    arrays = random_arrays(specs, 4, seed=1)
    assert {name: array.shape for name, array in arrays.items()} == {"x": (4, 1, 3), "ids": (4, 2)}
    assert len(split_samples(arrays, specs)) == 4
    assert set(np.unique(arrays["ids"])) == {0, 1}
    assert np.abs(arrays["x"]).max() <= 1
    for name, again in random_arrays(specs, 4, seed=1).items():
        np.testing.assert_array_equal(again, arrays[name], strict=True)


def test_check_levels_reports_each_level(
    semc_command: Semc, examples: Path, tmp_path: Path
) -> None:
    done = semc_command(
        *("compile", str(examples / "digits_cnn.onnx"), "-o", str(tmp_path / "p.semc")),
        *("--calibrate", str(examples / "digits_calibration.npz"), "--check-levels", "--json"),
    )
    assert done.code == 0, done.err
    levels = json.loads(done.out)["levels"]
    assert [level["level"] for level in levels] == ["graph", "tile", "place", "analog"]
    assert all(level["compared"] > 0 for level in levels)


def test_help_costs_little() -> None:
    """CPU time of the best of three runs; onnx or xDSL alone would take longer."""
    seconds = []
    for _ in range(3):
        before = os.times()
        subprocess.run([sys.executable, "-m", "semc", "--help"], check=True, capture_output=True)
        after = os.times()
        seconds.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(seconds) < 0.25


def test_a_closed_pipe_is_no_traceback() -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "semc", "targets"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    child.wait(timeout=60)
    assert b"Traceback" not in error


def test_a_fault_that_the_message_tells_is_not_told_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = ModelError("must be 1", where="x.toml: adc.bits")
    error = ModelError("came 1 fault: adc.bits: must be 1", where="x.toml", faults=[told])
    assert report_error(error, as_json=False) == 1
    assert capsys.readouterr().err == "error: x.toml: came 1 fault: adc.bits: must be 1\n"
    same = [ModelError("must be finite", where="node 'b'")]
    report_error(ModelError("must be finite", where="node 'a'", faults=same), as_json=False)
    assert capsys.readouterr().err.splitlines()[1:] == ["error: node 'b': must be finite"]


@pytest.mark.parametrize("option", ["--reference", "--output"])
def test_what_needs_data_is_wrong_usage_without(
    semc_command: Semc, program: Path, tmp_path: Path, option: str
) -> None:
    path = tmp_path / "x.npz"
    done = semc_command("simulate", str(program), option, str(path))
    assert done.code == 2
    assert f"{option} needs data" in done.err
    assert not path.exists()


@pytest.mark.parametrize("command", ["compile", "simulate", "opt"])
def test_an_output_that_cannot_be_written_is_told_first(
    semc_command: Semc, tmp_path: Path, command: str
) -> None:
    extra = ("--random", "1", "--output") if command == "simulate" else ("-o",)
    away = tmp_path / "away" / "out"
    done = semc_command(command, str(tmp_path / "nothing"), *extra, str(away))
    folder = away.parent
    assert done.code == 1
    assert done.err == f"error: {away}: the output's folder must exist, {folder} does not\n"
    done = semc_command(command, str(tmp_path / "nothing"), *extra, str(tmp_path))
    assert done.err == f"error: {tmp_path}: the output must be a file, it is a folder\n"


def test_reports_are_whole_lines_in_a_pipe(
    semc_command: Semc, program: Path, few_samples: Path, examples: Path, monkeypatch: Any
) -> None:
    words = ("simulate", str(program), "--input", str(few_samples), "--reference")
    monkeypatch.delenv("COLUMNS")
    done = semc_command(*words, str(examples / "digits_mlp.onnx"))
    assert all(line == line.rstrip() for line in done.out.splitlines())
    assert any("SQNR" in line and "top-1 agreement" in line for line in done.out.splitlines())
    monkeypatch.setenv("COLUMNS", "60")
    folded = semc_command(*words, str(examples / "digits_mlp.onnx")).out.splitlines()
    assert max(map(len, folded)) <= 60


def test_shares_of_nodes_are_of_all_nodes(semc_command: Semc, program: Path) -> None:
    report = json.loads(semc_command("simulate", str(program), "--json").out)
    assert sum(report["slowest_nodes_s"].values()) <= report["busy_s"] * (1 + 1e-12)
    assert report["budget_area_mm2"] == 16.0
    assert report["budget_power_w"] == 0.5


def test_a_mesh_has_the_same_keys(semc_command: Semc, examples: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "mesh.semc")
    words = ("compile", str(examples / "digits_mlp.onnx"), "-t", "mesh-small", "-o", path)
    report = json.loads(semc_command(*words, "--json", "-q").out)
    assert set(report) >= COMPILE_KEYS
    assert report["arrays"] == {"needed": 0, "used": 0, "available": 0}
    assert report["work"]["array_macs"] == 0
    done = json.loads(semc_command("simulate", path, "--json").out)
    assert set(done) >= SIMULATE_KEYS
    assert set(done["utilisation"]) >= {"cpu0", "gpu0", "spu0", "spu1"}
    assert semc_command("compile", *words[1:], "-q").out.count("arrays") == 0


@pytest.mark.parametrize("level", ["tile", "place"])
def test_emitted_ir_names_nodes_when_asked(semc_command: Semc, examples: Path, level: str) -> None:
    words = ("compile", str(examples / "digits_mlp.onnx"), "--emit", level, "-q")
    assert 'loc("' not in semc_command(*words).out
    assert 'loc("node_linear")' in semc_command(*words, "--print-debuginfo").out
    assert semc_command(*words[:2], "--print-debuginfo").code == 2


def test_calibration_refuses_what_is_no_number(
    semc_command: Semc, examples: Path, tmp_path: Path
) -> None:
    data = tmp_path / "nan.npz"
    write_arrays(data, {"image": np.full((2, 1, 8, 8), np.nan, np.float32)})
    words = ("compile", str(examples / "digits_mlp.onnx"), "--calibrate", str(data), "-q", "-o")
    done = semc_command(*words, str(tmp_path / "x.semc"))
    assert done.code == 1
    assert done.err == "error: calibration samples must be numbers, 'image' holds NaN\n"
