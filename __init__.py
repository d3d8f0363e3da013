"""semc: compile ONNX models for 3-D memcapacitor chips and PAL meshes, and simulate them there.

    program = semc.compile("model.onnx", target="memcap-demo", calibrate="data.npz")
    program.save("model.semc")
    result = semc.simulate(semc.load("model.semc"), {"image": x}, mode="noisy", seed=1)

Importing this module costs nothing: every function imports what it needs when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from types import ModuleType

    import numpy as np
    import onnx

    from .backends.program import Program
    from .runtime.simulate import SimulationResult

    Arrays = Mapping[str, np.ndarray]

__version__ = "0.1.0"
__all__ = ["__version__", "compile", "load", "pal", "simulate"]


def compile(
    model: str | PathLike[str] | onnx.ModelProto,
    target: str = "memcap-demo",
    *,
    calibrate: str | PathLike[str] | Arrays | None = None,
    dims: Mapping[str, int] | None = None,
    out: str | PathLike[str] | None = None,
    progress: Callable[[str, float], None] | None = None,
    **options: Any,
) -> Program:
    """Compile ``model`` (a file or a ``ModelProto``) for ``target`` (a name or a TOML file).

    ``calibrate`` holds one array per graph input (as a mapping or an ``.npz`` file), samples along
    the first axis; ``dims`` binds symbolic dimensions; ``out`` also saves the program there.
    ``quantization`` (in ``options``) is a :class:`semc.compiler.recipe.Quantization`;
    ``options`` are further fields of :class:`semc.compiler.driver.CompileOptions`. Raises
    ``ModelError`` when the model is refused and ``CapacityError`` when it does not fit.
    """
    from .compiler.driver import CompileOptions, compile_model
    from .runtime.execute.quantized_product import quantized_product
    from .runtime.interpret.interpret import interpret_function

    settings = CompileOptions(
        target=target,
        calibrate=calibrate,
        dims=dict(dims or {}),
        progress=progress,
        interpreter=interpret_function,
        product=quantized_product,
        **options,
    )
    program = compile_model(model, settings).program
    if out is not None:
        program.save(out)
    return program


def load(path: str | PathLike[str]) -> Program:
    """Read a program file. Raises ``ProgramError`` when it is not one, or is damaged."""
    from .backends.program import load_program

    return load_program(path)


def simulate(
    program: Program,
    inputs: Arrays,
    *,
    mode: str = "exact",
    seed: int = 0,
    read_seed: int = 0,
    reference: str | PathLike[str] | onnx.ModelProto | None = None,
    runs: int = 0,
    reads: int = 2,
    ablation: bool = False,
    noise_budget: bool = False,
    jobs: int = 1,
) -> SimulationResult:
    """Run ``program`` on ``inputs`` (one array per graph input) and time it.

    ``mode`` is ``exact``, ``quantized`` or ``noisy``; ``seed`` draws the devices of the chip in
    noisy mode, and ``read_seed`` what differs from read to read of it; ``reference`` is the ONNX
    model to compare the outputs with. An extra input ``labels`` makes the result report accuracy.

    In noisy mode, ``runs`` also reads so many chips (seeds from ``seed`` on) ``reads`` times each,
    ``ablation`` finds what each physical effect costs, and ``noise_budget`` what each source of
    error adds to each matrix; the answers are in ``result.findings``. They do not depend on
    ``jobs``, the number of processes (more than one: call this from under
    ``if __name__ == "__main__":``, as the standard library's process pools ask).
    """
    from .runtime.simulate import simulate as run
    from .runtime.variation.study import Study

    return run(
        program,
        inputs,
        mode=mode,
        seed=seed,
        read_seed=read_seed,
        reference=reference,
        study=Study(runs, reads, ablation, noise_budget, jobs),
    )


def __getattr__(name: str) -> ModuleType:
    """``semc.pal``, the PAL number format, imported on first use."""
    if name == "pal":
        from importlib import import_module

        return import_module(".pal", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
