"""Measure what a chip leaves of a model's accuracy: plain dictionaries, ready for JSON.

A score is ``{"accuracy", "float32", "points_lost", "sqnr_db"}``: shares of right answers on the
chip and in ONNX Runtime on the same samples, 100 times their difference, and the smallest
signal-to-error ratio of the outputs (None where nothing differs).
"""

import json
import math
import tempfile
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accuracy_cases import Arrays, Case

import semc
from semc.backends.program import Program
from semc.backends.targets import EFFECTS
from semc.errors import SemcError

Score = dict[str, float | None]
TargetData = dict[str, Any]


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


def score(program: Program, case: Case, data: Arrays, mode: str, seed: int = 0) -> Score:
    """How ``program`` answers ``data``."""
    result = semc.simulate(program, data, mode=mode, seed=seed, reference=case.model)
    assert result.accuracy is not None
    assert result.reference is not None
    float32, sqnr_db = result.reference["accuracy"], result.reference["sqnr_db"]
    return {
        "accuracy": result.accuracy,
        "float32": float32,
        "points_lost": 100 * (float32 - result.accuracy),
        "sqnr_db": sqnr_db if math.isfinite(sqnr_db) else None,
    }


def chips(program: Program, case: Case, data: Arrays, runs: int) -> list[Score]:
    """The scores of ``runs`` chips, one seed each."""
    return [score(program, case, data, "noisy", seed) for seed in range(min(runs, case.runs))]


def accuracy(case: Case, program: Program, runs: int) -> dict[str, Any]:
    """Exact and quantized on the held-out data, and ``runs`` noisy chips."""
    data = case.samples(case.held_out)
    exact = score(program, case, data, "exact")
    few = case.samples(case.chip)
    return {
        "float32": exact["float32"],
        "labels": int(data["labels"].size),
        "exact": exact,
        "quantized": score(program, case, data, "quantized"),
        "noisy": chips(program, case, few, runs),
        "noisy_labels": int(few["labels"].size),
    }


def ablation(case: Case, program: Program, runs: int) -> dict[str, Any]:
    """Each effect alone, and all but each; ``none`` is noisy mode without any."""
    base, data = program.manifest["target"], case.samples(case.scan)

    def without(*off: str) -> list[Score]:
        target = deepcopy(base)
        target["noise"]["off"] = sorted({*base["noise"]["off"], *off})
        return chips(on_target(program, target), case, data, runs)

    return {
        "labels": int(data["labels"].size),
        "none": without(*EFFECTS),
        "all": without(),
        "alone": {e: without(*(other for other in EFFECTS if other != e)) for e in EFFECTS},
        "without": {e: without(e) for e in EFFECTS},
    }


def sweep(
    case: Case, program: Program, what: Sweep, runs: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The scores at each value of ``what``; ``say`` hears of values that are refused."""
    base, data = program.manifest["target"], case.samples(case.scan)
    points = []
    for value in what.values:
        target = what.target(base, value)
        try:
            there = compile_for(case, target) if what.in_program else on_target(program, target)
            points.append({"value": value, "scores": chips(there, case, data, runs)})
        except SemcError as error:
            say(f"{case.name} at {what.axis} = {value:g} is left out: {error}")
    return {"labels": int(data["labels"].size), "points": points}


def _toml(data: Mapping[str, Any], section: str = "") -> str:
    """``data`` as TOML. JSON's numbers, texts, booleans and lists are TOML's as well."""
    plain = {k: v for k, v in data.items() if not isinstance(v, Mapping) and v is not None}
    lines = [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    text = (f"\n[{section}]\n" if section else "") + "\n".join(lines) + "\n"
    for key, value in data.items():
        if isinstance(value, Mapping):
            text += _toml(value, f"{section}.{key}" if section else key)
    return text
