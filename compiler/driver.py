"""From an ONNX file to a program, by the recipe.

    load -> import -> graph -> tile -> quantize -> place -> lower -> emit

Both machines share everything down to the tile level. The compiler runs no executor of its own:
calibration takes the interpreter as a function from whoever calls.
"""

import gc
import hashlib
import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ..backends.memcap.overflow_report import overflow_report
from ..backends.targets import MemcapTarget, Target, load_target
from ..dialects.functions import main_function
from ..errors import InputError
from . import recipe
from .context import CompilerContext, Network, new_context
from .frontend.import_onnx import import_model, input_names
from .frontend.load import load_model
from .frontend.lowering import lowerings
from .pipeline import run_passes
from .recipe import Pin, Quantization
from .report import heat_report, level_report, quantization_report
from .weights import WeightStore

if TYPE_CHECKING:
    import onnx

    from ..backends.program import Program
    from .quantize.product import ProductOf

PHASES = ("load", "import", "graph", "tile", "quantize", "place", "lower", "emit")
#: Calibration samples that are run at most.
CALIBRATION_SAMPLES = 64

#: Of these, as many measure how sensitive the outputs are to each matrix.
SENSITIVITY_SAMPLES = 8

Interpreter = Callable[..., list[np.ndarray]]


@dataclass(frozen=True)
class CompileOptions:
    """What a compilation may choose. ``keep_levels`` keeps a copy of the module at each level.

    ``on_overflow`` is what to do with matrices that do not fit the arrays: ``error``, ``reload`` or
    ``chips``; ``placement_effort`` (0 to 10) is how much the engine that places arrays may try,
    from ``seed``. ``quantization`` says how matrices get their codes and ranges. ``interpreter``
    and ``product`` are ``runtime.interpret.interpret_function`` and
    ``runtime.execute.quantized_product``. ``pins`` are positions that placement must
    respect, ``copies`` how often a matrix may lie in the arrays at most, 0 as often as it pays.
    """

    target: str = "memcap-demo"
    calibrate: str | os.PathLike[str] | Mapping[str, np.ndarray] | None = None
    quantization: Quantization = field(default_factory=Quantization)
    on_overflow: str = "error"
    placement_effort: int = 1
    seed: int = 0
    dims: Mapping[str, int] = field(default_factory=dict)
    copies: int = 0
    weights: bool = True
    verify: bool = True
    keep_levels: bool = False
    progress: Callable[[str, float], None] | None = None
    interpreter: Interpreter | None = None
    product: "ProductOf | None" = None
    pins: Sequence[Pin] = ()


@dataclass
class Compilation:
    """Everything a finished compilation knows."""

    target: Target
    context: CompilerContext
    module: ModuleOp
    program: "Program"
    facts: dict[str, Any]
    phase_s: dict[str, float]
    levels: dict[str, ModuleOp]

    @property
    def last_level(self) -> str:
        """``analog`` or ``pal``."""
        return last_level(self.target)

    @cached_property
    def peak_rss_bytes(self) -> int:
        """Largest resident memory of this process until now."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def report(self) -> dict[str, Any]:
        """The facts of ``semc compile --json``."""
        timing = {"phase_s": self.phase_s, "peak_rss_bytes": self.peak_rss_bytes}
        return {**self.facts, **timing}


def compile_model(
    model: "str | os.PathLike[str] | bytes | onnx.ModelProto", options: CompileOptions
) -> Compilation:
    """Compile ``model`` for ``options.target``.

    Raises ModelError when the model is refused, TargetError for a bad target and CapacityError
    when it does not fit.
    """
    with _collector_paused():
        return _Driver(options).compile(model)


def emit_level(
    model: "str | os.PathLike[str] | bytes | onnx.ModelProto",
    options: CompileOptions,
    level: str,
    *,
    debuginfo: bool = False,
) -> tuple[str, WeightStore]:
    """The textual IR of one level (``onnx`` ... ``analog``, ``pal``) and the weights it names.

    ``debuginfo`` prints the locations too: the ONNX node of each operation.
    """
    from .opt_main import print_module

    driver = _Driver(options)
    with _collector_paused():
        module = driver.lower(model, level)
    return print_module(module, debuginfo=debuginfo), driver.context.weights


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's collector of cycles: IR is alive as it grows, and it would walk all of it.

    What a pass replaces is freed at once when its references are dropped.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Driver:
    def __init__(self, options: CompileOptions) -> None:
        self.options = options
        self.target = load_target(options.target)
        self.phase_s: dict[str, float] = {}
        self.levels: dict[str, ModuleOp] = {}
        self.facts: dict[str, Any] = {"target": self.target.name}
        self.verified = False
        self.calibrated = 0
        self.quantization: dict[str, Any] = {}
        self.heat: dict[str, Any] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.phase_s[name] = time.perf_counter() - start
        if self.options.progress is not None:
            self.options.progress(name, self.phase_s[name])

    def compile(self, model: "str | os.PathLike[str] | bytes | onnx.ModelProto") -> Compilation:
        module = self.lower(model, None)
        with self.phase("emit"):
            emit = _emitter(self.target)
            manifest = {"model": self.model_facts, "options": self.manifest_options()}
            manifest["stats"] = dict(self.facts)
            program = emit(module, self.context.weights, self.target, manifest)
            program.manifest["stats"] |= overflow_report(program)
            self.facts |= program.manifest["stats"]
            self.facts |= self.quantization | self.heat
        return Compilation(
            target=self.target,
            context=self.context,
            module=module,
            program=program,
            facts=self.facts,
            phase_s=self.phase_s,
            levels=self.levels,
        )

    def manifest_options(self) -> dict[str, Any]:
        """The options that decide the program's bytes."""
        return {
            "dims": dict(sorted({**self.facts["assumed_dims"], **self.options.dims}.items())),
            "calibrated": self.options.calibrate is not None,
            **asdict(self.options.quantization),
            "on_overflow": self.options.on_overflow,
            "placement_effort": self.options.placement_effort,
            "seed": self.options.seed,
            "copies": self.options.copies,
            **({"pins": [asdict(pin) for pin in self.options.pins]} if self.options.pins else {}),
            "weights": self.options.weights,
        }

    def lower(
        self, model: "str | os.PathLike[str] | bytes | onnx.ModelProto", until: str | None
    ) -> ModuleOp:
        """The module of level ``until``, or the last one."""
        options = self.options
        if until in ("analog", "pal") and until != last_level(self.target):
            raise InputError(
                f"{self.target.name} is a {self.target.machine}: its last level is "
                f"{last_level(self.target)}, not {until}"
            )
        if options.pins and not isinstance(self.target, MemcapTarget):
            raise InputError(f"only arrays can be pinned, {self.target.name} has none")
        with self.phase("load"):
            known = lowerings()
            loaded = load_model(
                model,
                options.dims,
                keep=lambda domain, op: domain in ("", "ai.onnx") and op in known,
                shapes_only=not options.weights,
            )
        name = Path(model).stem if isinstance(model, (str, os.PathLike)) else loaded.name
        self.facts["model"] = name
        self.facts["parameters"] = loaded.parameters
        self.facts["assumed_dims"] = loaded.assumed_dims
        self.model_facts = {
            "name": name,
            "parameters": loaded.parameters,
            "sha256": _digest(model),
        }
        with self.phase("import"):
            module, weights = import_model(loaded)
            if not options.weights:
                weights.forget_values()
            self.context = new_context(weights)
            self.context.product = self.options.product
        if self._reached("onnx", module, until):
            return module
        with self.phase("graph"):
            self.run(module, recipe.graph_passes(self.options.target))
        if self._reached("graph", module, until):
            return module
        with self.phase("tile"):
            self.run(module, recipe.tile_passes(self.options.target))
        with self.phase("quantize"):
            self.calibrate(module)
            quantization = self.options.quantization
            self.run(module, recipe.quantize_passes(self.options.target, quantization))
            self.quantization = quantization_report(
                module, self.target, self.context, self.calibrated
            )
        if self._reached("tile", module, until):
            return module
        with self.phase("place"):
            choices = options.on_overflow, options.placement_effort, options.seed
            passes = recipe.place_passes(options.target, *choices, options.copies, options.pins)
            self.run(module, passes)
            self.heat = heat_report(module)
        if self._reached("place", module, until):
            return module
        with self.phase("lower"):
            self.run(module, recipe.machine_passes(self.options.target))
        self._reached(last_level(self.target), module, until)
        return module

    def _reached(self, level: str, module: ModuleOp, until: str | None) -> bool:
        if until is None:
            self.facts |= level_report(level, module, self.target, self.facts)
        if self.options.keep_levels:
            self.levels[level] = module.clone()
        return level == until

    def run(self, module: ModuleOp, passes: Sequence[ModulePass]) -> None:
        run_passes(
            module,
            passes,
            ctx=self.context,
            verify=self.options.verify,
            verify_input=not self.verified,
        )
        self.verified = self.options.verify

    def calibrate(self, module: ModuleOp) -> None:
        """Collect what the matrices' inputs look like on the calibration samples."""
        data = self.options.calibrate
        if data is None or not isinstance(self.target, MemcapTarget):
            if self.options.quantization.needs_samples:
                raise InputError("budgets and sensitivity are measured on samples: give calibrate")
            return
        if self.options.interpreter is None:
            raise InputError("calibration needs an interpreter: call semc.compile")
        from .quantize.calibration import Calibration

        main = main_function(module)
        calibration, samples = Calibration(), calibration_samples(data, main)
        for sample in samples:
            self.options.interpreter(main, sample, self.context.weights, calibration.observe)
        self.context.calibration, self.calibrated = calibration, len(samples)
        self.context.network = self.network(main, samples[:SENSITIVITY_SAMPLES])

    def network(self, main: func.FuncOp, samples: Sequence[list[np.ndarray]]) -> Network:
        """The outputs of ``main`` on ``samples``, as a function of what replaces its products."""
        interpreter = self.options.interpreter
        assert interpreter is not None
        weights = self.context.weights

        def run(replace: Callable[..., np.ndarray | None] | None) -> list[np.ndarray]:
            outs = [interpreter(main, sample, weights, replace=replace) for sample in samples]
            return [y for out in outs for y in out if y.dtype.kind == "f"]

        return run


def last_level(target: Target) -> str:
    """The level that the machine's backend reads."""
    return "analog" if isinstance(target, MemcapTarget) else "pal"


def calibration_samples(
    data: str | os.PathLike[str] | Mapping[str, np.ndarray], main: func.FuncOp
) -> list[list[np.ndarray]]:
    """Inputs of ``main``, a list a sample, from arrays by input name."""
    from ..arrays import read_arrays, split_samples
    from ..dialects.types import dtype_of, shape_of

    arrays = data if isinstance(data, Mapping) else read_arrays(data)
    specs = {
        name: (shape_of(arg), dtype_of(arg))
        for name, arg in zip(input_names(main), main.body.block.args, strict=True)
    }
    for name in specs.keys() & arrays.keys():
        if arrays[name].dtype.kind == "f" and np.isnan(arrays[name]).any():
            raise InputError(f"calibration samples must be numbers, {name!r} holds NaN")
    samples = split_samples(arrays, specs)
    return [list(sample.values()) for sample in samples[:CALIBRATION_SAMPLES]]


def _emitter(target: Target) -> "Callable[..., Program]":
    if isinstance(target, MemcapTarget):
        from ..backends.memcap.emit import emit_program

        return emit_program
    from ..backends.pal.emit import emit_program as emit_mesh_program

    return emit_mesh_program


def _digest(model: "str | os.PathLike[str] | bytes | onnx.ModelProto") -> str:
    """SHA-256 of the model file (external data apart)."""
    if isinstance(model, (str, os.PathLike)):
        with open(Path(model), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    data = model if isinstance(model, bytes) else model.SerializeToString(deterministic=True)
    return hashlib.sha256(data).hexdigest()
