"""Run a program on inputs, time it, and say what it took: the simulator's front door."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import input_specs, split_samples
from ..backends.memcap.overflow_report import overflow_report
from ..backends.program import Program
from ..backends.targets import MemcapTarget
from ..errors import InputError
from .compare import Difference, compare, worst_of
from .energy import efficiency
from .feasibility import feasibility
from .scoring import labels_of, output_accuracy, stack_outputs
from .timing.timed_program import TimedProgram

if TYPE_CHECKING:
    import onnx

    from ..backends.memcap.decode import MemcapProgram
    from ..backends.pal.tasks import MeshProgram
    from .execute.executor import Executor
    from .execute.products import InputObserver
    from .heat import TileHeat
    from .variation.study import Findings, Study

MODES = ("exact", "quantized", "noisy")
#: What a simulation says without any input.
_ESTIMATE = (
    "latency_s", "throughput_per_s", "energy_j", "energy_parts_j", "power_w", "tops_per_w",
    "array_tops_per_w", "parameters_per_cm2", "feasibility",
)  # fmt: skip

Arrays = Mapping[str, np.ndarray]


@dataclass
class SimulationResult:
    """What a simulation found. Times and energies are those of one inference on the machine."""

    program: Program
    mode: str
    samples: int
    outputs: dict[str, np.ndarray]
    timing: TimedProgram
    execute_s: float
    accuracy: float | None = None
    reference: dict[str, Any] | None = None
    differences: dict[str, Difference] = field(default_factory=dict)
    #: What a study of the variation found.
    findings: "Findings | None" = None
    #: The heat of the arrays, on a machine that has them.
    heat: "TileHeat | None" = None

    @property
    def latency_s(self) -> float:
        return self.timing.timeline.makespan_s

    @property
    def energy_j(self) -> float:
        return float(sum(self.timing.parts_j.values()))

    def estimate(self) -> dict[str, Any]:
        """The keys of ``semc compile --json`` under ``estimate``: what needs no input."""
        every = self.as_dict()
        return {key: every[key] for key in _ESTIMATE}

    def temperature_c(self) -> dict[str, Any] | None:
        """How warm the stack becomes where one inference follows another; None for a mesh."""
        if self.heat is None or not self.latency_s:
            return None
        from .heat import temperature_report

        assert isinstance(self.program.target, MemcapTarget)
        parts_j = self.timing.parts_j
        chips = self.program.manifest.get("chips", 1)
        return temperature_report(self.program.target, self.heat, parts_j, self.latency_s, chips)

    def as_dict(self) -> dict[str, Any]:
        """The keys of ``semc simulate --json``."""
        target = self.program.target
        latency_s, energy_j = self.latency_s, self.energy_j
        devices = [] if isinstance(target, MemcapTarget) else target.devices
        idle = {device.name: 0.0 for device in devices}
        figures = efficiency(self.timing.array_macs, self.timing.work.macs, self.timing.parts_j)
        parameters = self.program.manifest.get("model", {}).get("parameters", 0)
        budget = target if isinstance(target, MemcapTarget) else None
        chips = self.program.manifest.get("chips", 1)
        if budget is not None:  # no more are there at a time
            parameters = min(parameters, chips * budget.weight_capacity)
        area_mm2 = chips * float(target.area_mm2)
        return {
            "model": self.program.manifest.get("model", {}).get("name"),
            "target": target.name,
            "mode": self.mode,
            "samples": self.samples,
            "latency_s": latency_s,
            "throughput_per_s": 1 / latency_s if latency_s else 0.0,
            "energy_j": energy_j,
            "energy_parts_j": dict(sorted(self.timing.parts_j.items())),
            "power_w": energy_j / latency_s if latency_s else 0.0,
            "budget_power_w": chips * budget.budget_power_w if budget else 0.0,
            "temperature_c": self.temperature_c(),
            "area_mm2": area_mm2,
            "budget_area_mm2": chips * budget.budget_area_mm2 if budget else 0.0,
            "tops_per_w": figures.system_tops_per_w,
            "array_tops_per_w": figures.array_tops_per_w,
            "parameters_per_cm2": parameters / (area_mm2 / 100) if area_mm2 else 0.0,
            "feasibility": budget and feasibility(budget, latency_s, self.timing.parts_j, chips),
            "macs": self.timing.work.macs,
            "array_macs": self.timing.array_macs,
            "elementwise_ops": self.timing.work.elementwise,
            "utilisation": idle | self.timing.timeline.utilisation(),
            "busy_s": sum(self.timing.node_s.values()),
            "slowest_nodes_s": _largest(self.timing.node_s, 10),
            "execute_s": self.execute_s,
            "accuracy": self.accuracy,
            "reference": self.reference,
            **(overflow_report(self.program, latency_s) if budget else {}),
            **(self.findings.as_dict() if self.findings else {}),
        }


def simulate(
    program: Program,
    inputs: Arrays | None,
    *,
    mode: str = "exact",
    seed: int = 0,
    read_seed: int = 0,
    reference: "str | os.PathLike[str] | onnx.ModelProto | None" = None,
    study: "Study | None" = None,
) -> SimulationResult:
    """Execute ``program`` on ``inputs`` (None: only time it) and time one inference.

    ``seed`` draws the chip of noisy mode, ``read_seed`` what differs between reads of that chip;
    ``study`` asks more about them. Raises InputError for data that do not fit, ProgramError for a
    damaged program.
    """
    if mode not in MODES:
        raise InputError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if study:
        study.check(mode, program.machine, inputs)
    if inputs is None:
        if reference is not None:
            raise InputError("a reference needs inputs on which to compare")
        decoded = decode(program)
        timing = time_program(decoded, None)
        heat = heat_of(decoded, timing, None)
        return SimulationResult(program, mode, 0, {}, timing, 0.0, heat=heat)
    samples = split_samples(inputs, input_specs(program))
    labels = labels_of(inputs, program, len(samples))
    expected = None if reference is None else stack_outputs(_run_reference(reference, samples))
    decoded = decode(program)
    observed = None
    if study and study.noise_budget:
        from .variation.noise_budget import InputSamples

        observed = InputSamples(len(samples))
    executor = executor_for(decoded, mode, seed, read_seed, observed)
    start = time.perf_counter()
    with np.errstate(all="ignore"):  # inputs may hold infinities: those of the model, not ours
        outputs = stack_outputs([executor.run(sample) for sample in samples])
    execute_s = time.perf_counter() - start
    result = SimulationResult(
        program, mode, len(samples), outputs, time_program(decoded, executor), execute_s
    )
    result.heat = heat_of(decoded, result.timing, executor)
    if labels is not None:
        result.accuracy = output_accuracy(outputs, labels)
    if expected is not None:
        _compare(result, expected, labels)
    if study:
        from .variation.study import run_study
        from .variation.trials import Bench

        bench = Bench(program, samples, expected, labels)
        result.findings = run_study(study, decoded, bench, observed, seed, execute_s)
    return result


def decode(program: Program) -> "MemcapProgram | MeshProgram":
    """``program`` as checked data of its machine. Raises ProgramError when it is malformed."""
    if isinstance(program.target, MemcapTarget):
        from ..backends.memcap.decode import decode_program

        return decode_program(program)
    from ..backends.pal.decode import decode_program as decode_mesh

    return decode_mesh(program)


def executor_for(
    decoded: "MemcapProgram | MeshProgram",
    mode: str,
    seed: int,
    read_seed: int = 0,
    observe_inputs: "InputObserver | None" = None,
) -> "Executor":
    """The executor of the program's machine; the last two are of memcap programs."""
    from ..backends.memcap.decode import MemcapProgram

    if isinstance(decoded, MemcapProgram):
        from .execute.memcap import MemcapExecutor

        return MemcapExecutor(
            decoded,
            mode,  # type: ignore[arg-type]
            seed,
            read_seed=read_seed,
            observe_inputs=observe_inputs,
        )
    from .execute.mesh import MeshExecutor

    return MeshExecutor(decoded, mode, seed)


def time_program(
    decoded: "MemcapProgram | MeshProgram", executor: "Executor | None"
) -> TimedProgram:
    """Time and energy of one inference, with what ``executor`` measured when there is one."""
    from ..backends.memcap.decode import MemcapProgram

    if isinstance(decoded, MemcapProgram):
        from .timing.memcap import time_program as time_memcap

        host_macs = decoded.program.manifest.get("stats", {}).get("host_macs", {})
        squares = getattr(executor, "mean_squares", None)
        levels = getattr(executor, "mean_levels", None)
        runs = getattr(executor, "block_runs", None)
        return time_memcap(decoded, squares, host_macs, runs, levels)
    from .timing.mesh import time_program as time_mesh

    return time_mesh(decoded, getattr(executor, "block_runs", None))


def heat_of(
    decoded: "MemcapProgram | MeshProgram", timed: TimedProgram, executor: "Executor | None"
) -> "TileHeat | None":
    """The heat of the arrays in one inference, with what ``executor`` measured; None for a mesh."""
    from ..backends.memcap.decode import MemcapProgram

    if not isinstance(decoded, MemcapProgram):
        return None
    from .heat import tile_heat

    squares = getattr(executor, "mean_squares", None)
    levels = getattr(executor, "mean_levels", None)
    return tile_heat(decoded, timed, squares or {}, levels or {})


def _run_reference(
    model: "str | os.PathLike[str] | onnx.ModelProto", samples: Sequence[Arrays]
) -> list[dict[str, np.ndarray]]:
    """ONNX Runtime on the same samples."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    source = (
        os.fspath(model) if isinstance(model, (str, os.PathLike)) else model.SerializeToString()
    )
    try:
        session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        wanted = {i.name for i in session.get_inputs()}
        return [
            dict(
                zip(
                    names,
                    session.run(names, {k: v for k, v in sample.items() if k in wanted}),
                    strict=True,
                )
            )
            for sample in samples
        ]
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise InputError(
            f"the reference must run on ONNX Runtime: {error}",
            where=source if isinstance(source, str) else "reference model",
        ) from error


def _compare(
    result: SimulationResult, expected: dict[str, np.ndarray], labels: np.ndarray | None
) -> None:
    missing = [name for name in result.outputs if name not in expected]
    if missing:
        raise InputError(f"the reference has no output {missing[0]!r}")
    result.differences = {
        name: compare(found, expected[name]) for name, found in result.outputs.items()
    }
    result.reference = {
        **worst_of(result.differences),
        "accuracy": output_accuracy(expected, labels) if labels is not None else None,
        "outputs": {name: d.as_dict() for name, d in result.differences.items()},
    }


def _largest(seconds: Mapping[str, float], count: int) -> dict[str, float]:
    """The ``count`` largest entries, largest first."""
    return dict(sorted(seconds.items(), key=lambda item: (-item[1], item[0]))[:count])
