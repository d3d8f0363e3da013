"""Measure what a chip leaves of a model's accuracy: plain dictionaries, ready for JSON.

*Figures* are ``points_lost``, 100 times the shares of right answers of ONNX Runtime less those of
the chip on the same samples, and ``sqnr_db``, the smallest signal-to-error ratio of the outputs.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from accuracy_cases import Arrays, Case

import semc
from semc.backends.program import Program
from semc.errors import SemcError

Figures = dict[str, float]
TargetData = dict[str, Any]
#: Where nothing differs, for JSON knows no infinity.
MOST_DB = 200.0


@dataclass(frozen=True)
class Sweep:
    """One property of the target, the values it takes, and how a target gets one.

    ``in_program`` says whether the compiler reads it; otherwise one program serves all values.
    """

    title: str
    axis: str
    values: tuple[float, ...]
    keys: tuple[tuple[str, str], ...]
    in_program: bool = True
    scale: bool = False
    """The value multiplies what the keys hold (a temperature by its square)."""
    names: tuple[str, ...] = ()
    """What the values are called, where the number says little."""

    def target(self, base: TargetData, value: float) -> TargetData:
        data = deepcopy(base)
        for section, key in self.keys:
            factor = value**2 if key == "temperature_k" else value
            data[section][key] = data[section][key] * factor if self.scale else value
        return data

    def nominal(self, base: TargetData) -> float:
        """The value at which the target is what it was."""
        section, key = self.keys[0]
        return 1.0 if self.scale else base[section][key]


def sweeps(base: TargetData) -> dict[str, Sweep]:
    """The sweeps of the target ``base``, by name."""
    days = 86400.0
    return {
        "adc_bits": Sweep(
            "resolution of the converters",
            "converter bits",
            (4, 5, 6, 7, 8, 9, 10),
            (("adc", "bits"),),
        ),
        "levels": Sweep(
            "levels of a cell", "levels per cell", (2, 4, 8, 16, 32, 128), (("array", "levels"),)
        ),
        "rows": Sweep(
            "size of an array", "rows of an array", (64, 128, 256, 512, 1024), (("array", "rows"),)
        ),
        "noise": Sweep(
            "size of all random errors",
            "random errors, times those of the target",
            (0.25, 0.5, 1, 2, 4, 8),
            tuple(_random_errors(base)),
            in_program=False,
            scale=True,
        ),
        "drift": Sweep(
            "age of the stored weights",
            "time since programming",
            (1, 60, 3600, days, 30 * days, 365 * days, 3650 * days),
            (("noise", "drift_time_s"),),
            in_program=False,
            names=("1 s", "1 min", "1 h", "1 d", "30 d", "1 yr", "10 yr"),
        ),
    }


def _random_errors(base: TargetData) -> Iterable[tuple[str, str]]:
    """What random errors are proportional to, by its names; kT/C goes by the temperature."""
    marks = ("sigma", "noise_lsb", "mismatch", "residual", "imbalance", "tolerance")
    for section in ("noise", "adc", "dac"):
        for key in base[section]:
            if any(mark in key for mark in marks):
                yield section, key
    yield "noise", "temperature_k"


def compile_for(case: Case, target: TargetData) -> Program:
    """``case`` compiled for a target that is in no file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.toml"
        path.write_text(_toml(target), encoding="utf-8")
        return semc.compile(case.model, str(path), calibrate=case.calibration)


def on_target(program: Program, target: TargetData) -> Program:
    """The same program on a chip that differs in what no compiler looks at."""
    return Program({**program.manifest, "target": target}, program.tensors)


def accuracy(case: Case, program: Program, runs: int, jobs: int) -> dict[str, Any]:
    """Exact and quantized on the held-out data, and ``runs`` noisy chips, each read twice."""
    data, few = case.samples(case.held_out), case.samples(case.chip)
    modes = {mode: simulate(program, case, data, mode=mode) for mode in ("exact", "quantized")}
    noisy = simulate(program, case, few, mode="noisy", runs=runs, jobs=jobs)
    trials, float32 = noisy.findings.runs, noisy.reference["accuracy"]
    spread = trials.summary("accuracy")
    return {
        "float32": modes["exact"].reference["accuracy"],
        "labels": int(data["labels"].size),
        **{mode: _own_figures(result) for mode, result in modes.items()},
        "noisy": [[_figures(read, float32) for read in chip] for chip in trials.trials],
        "chips_deviation": _points(spread["devices"]["deviation"]),
        "reads_deviation": _points(spread["reads"]["deviation"]),
        "noisy_labels": int(few["labels"].size),
    }


def ablation(case: Case, program: Program, runs: int, jobs: int) -> dict[str, Any]:
    """The mean over chips with no effect (quantized), all, each effect alone, and all but each."""
    data, chips = case.samples(case.scan), runs
    result = simulate(program, case, data, mode="noisy", runs=chips, jobs=jobs, ablation=True)
    found, float32 = result.findings.ablation, result.reference["accuracy"]
    return {
        "labels": int(data["labels"].size),
        "chips": found.chips,
        "none": _figures(found.none, float32),
        "all": _figures(found.all, float32),
        "alone": {cost.effect: _figures(cost.alone, float32) for cost in found.effects},
        "without": {cost.effect: _figures(cost.without, float32) for cost in found.effects},
    }


def sweep(
    case: Case, program: Program, what: Sweep, runs: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The mean over chips at each value of ``what``; ``say`` hears of values that are refused."""
    base, data = program.manifest["target"], case.samples(case.scan)
    points = []
    for value in what.values:
        target = what.target(base, value)
        try:
            there = compile_for(case, target) if what.in_program else on_target(program, target)
            chips = [
                _own_figures(simulate(there, case, data, mode="noisy", seed=seed))
                for seed in range(runs)
            ]
        except SemcError as error:
            say(f"{case.name} at {what.axis} = {value:g} is left out: {error}")
            continue
        points.append({"value": value, **{key: fmean(f[key] for f in chips) for key in chips[0]}})
    return {"labels": int(data["labels"].size), "chips": runs, "points": points}


def simulate(program: Program, case: Case, data: Arrays, **options: Any) -> Any:
    """``program`` on ``data``, beside ONNX Runtime."""
    return semc.simulate(program, data, reference=case.model, **options)


def _figures(found: Any, float32: float) -> Figures:
    """What ``found`` (a trial, or means by name) lost against the accuracy ``float32``."""
    values = found if isinstance(found, Mapping) else found.as_dict()
    return {
        "points_lost": _points(float32 - values["accuracy"]),
        "sqnr_db": min(values["sqnr_db"], MOST_DB),
    }


def _own_figures(result: Any) -> Figures:
    """Those of the run that a simulation reports itself."""
    found = {"accuracy": result.accuracy, "sqnr_db": result.reference["sqnr_db"]}
    return _figures(found, result.reference["accuracy"])


def _points(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _toml(data: Mapping[str, Any], section: str = "") -> str:
    """``data`` as TOML. JSON's numbers, texts, booleans and lists are TOML's as well."""
    plain = {k: v for k, v in data.items() if not isinstance(v, Mapping) and v is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    text = (f"\n[{section}]\n" if section else "") + "\n".join(lines) + "\n"
    for key, value in data.items():
        if isinstance(value, Mapping):
            text += _toml(value, f"{section}.{key}" if section else key)
    return text
