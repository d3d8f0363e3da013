"""Passes by name: the registry, the pipeline language, and running a pipeline.

A pass is a file in ``passes/``: ``convert_graph_to_tile.py`` holds the one ``ModulePass`` called
``convert-graph-to-tile``, a frozen dataclass whose fields are its options. Adding the file
registers it. Nothing is imported to list passes; a pass is imported when it is first used.

    pipeline = pass ("," pass)*
    pass     = name ("{" option (" " option)* "}")?        name of a pass or of a named pipeline
    option   = key ("=" value ("," value)*)?
"""

from __future__ import annotations

import ast
import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IRError, SemcError
from .recipe import PIPELINES

if TYPE_CHECKING:
    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass
    from xdsl.utils.arg_spec import ArgSpec

    AfterPass = Callable[[ModulePass, ModuleOp], None]

#: What a named pipeline is for when its use does not say.
DEFAULT_TARGET = "memcap-demo"

_FOLDER = Path(__file__).parent / "passes"

# Clean-ups that xDSL already has, under xDSL's names.
_STOCK_PASSES = {
    "canonicalize": ("xdsl.transforms.canonicalize", "Fold and simplify operations"),
    "cse": ("xdsl.transforms.common_subexpression_elimination", "Merge equal pure operations"),
    "dce": ("xdsl.transforms.dead_code_elimination", "Remove pure operations nobody uses"),
}


class PipelineError(SemcError):
    """A pipeline text names no pass, or gives a pass wrong options."""

    exit_code = 2


@dataclass(frozen=True)
class PassInfo:
    """One registered pass; ``module`` is imported by ``load``."""

    name: str
    module: str
    path: Path | None = None
    text: str = ""

    @property
    def stock(self) -> bool:
        """Whether the pass is xDSL's own."""
        return self.path is None

    @cached_property
    def summary(self) -> str:
        """One line on what the pass does: the first of its file's docstring."""
        if self.path is None:
            return self.text
        docstring = ast.get_docstring(ast.parse(self.path.read_bytes())) or ""
        return docstring.partition("\n")[0].rstrip(".")

    def load(self) -> type[ModulePass]:
        """Import the pass. Raises TypeError when its file does not hold the pass of its name."""
        from xdsl.passes import ModulePass

        module = import_module(self.module)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, ModulePass):
                own = value.__module__ == module.__name__
                if own and getattr(value, "name", None) == self.name:
                    return value
        raise TypeError(f"{self.module} must define the pass {self.name!r}, and does not")


def _discover() -> dict[str, PassInfo]:
    passes = {
        name: PassInfo(name, module, text=text) for name, (module, text) in _STOCK_PASSES.items()
    }
    for path in sorted(_FOLDER.glob("[!_]*.py")):
        # Files beside the passes may hold what several of them share.
        if "(ModulePass)" in path.read_text(encoding="utf-8"):
            name = path.stem.replace("_", "-")
            passes[name] = PassInfo(name, f"{__package__}.passes.{path.stem}", path)
    return passes


PASSES: dict[str, PassInfo] = _discover()


def parse_pipeline(text: str) -> list[ModulePass]:
    """The passes that ``text`` names, with their options. Raises PipelineError."""
    from xdsl.utils.arg_spec import parse_pipeline as parse_specs
    from xdsl.utils.exceptions import ArgSpecParseError

    try:
        specs = list(parse_specs(text))
    except ArgSpecParseError as error:  # a BaseException in xDSL
        reason = str(error).strip().splitlines()[-1].strip()
        raise PipelineError(
            f"a pipeline must read PASS,PASS{{option=value}}, not {text!r}: {reason}"
        ) from error
    passes: list[ModulePass] = []
    for spec in specs:
        if spec.name in PIPELINES:
            passes += _named_passes(spec)
        else:
            passes.append(_make_pass(spec))
    return passes


def _named_passes(spec: ArgSpec) -> list[ModulePass]:
    """The passes of a named pipeline for the target, and with the options, that its use gives."""
    pipeline = PIPELINES[spec.name]
    texts = {key: ",".join(map(_option_text, v)) for key, v in spec.parameters.items()}
    options = {key.replace("-", "_"): text.strip('"') for key, text in texts.items()}
    known = ("target", *pipeline.options)
    if unknown := sorted(set(options) - set(known)):
        raise PipelineError(
            f"pipeline {spec.name!r} has no option {unknown[0]!r}; it has: {', '.join(known)}"
        )
    return pipeline.passes(options.pop("target", DEFAULT_TARGET), **options)


def run_passes(
    module: ModuleOp,
    passes: Sequence[ModulePass] | str,
    *,
    ctx: Context | None = None,
    verify: bool = True,
    verify_input: bool = True,
    print_after: AfterPass | None = None,
    timings: dict[str, float] | None = None,
) -> None:
    """Run ``passes`` over ``module`` in place, verifying before, between and after them.

    A pass that says it changed nothing (``say_unchanged``) is followed by no verification.

    Without ``verify_input`` the first verification is left out: the module comes from a run that
    ended with one. ``print_after`` is called after each pass; ``timings`` receives seconds per pass
    name (added up when a pass runs twice, verification not counted). Raises IRError when the module
    does not verify or a pass refuses it.
    """
    from .context import new_context
    from .verify import verify_module

    if isinstance(passes, str):
        passes = parse_pipeline(passes)
    ctx = ctx if ctx is not None else new_context()
    if verify and verify_input:
        verify_module(module)
    for step in passes:
        start = time.perf_counter()
        _apply(step, ctx, module)
        if timings is not None:
            elapsed_s = time.perf_counter() - start
            timings[step.name] = timings.get(step.name, 0.0) + elapsed_s
        if print_after is not None:
            print_after(step, module)
        if verify and not getattr(ctx, "unchanged", False):
            verify_module(module, after=step.name)


def _apply(step: ModulePass, ctx: Context, module: ModuleOp) -> None:
    from xdsl.utils.exceptions import DiagnosticException

    from .context import CompilerContext
    from .diagnostics import single_line, where_of

    if isinstance(ctx, CompilerContext):
        ctx.unchanged = False
    try:
        step.apply(ctx, module)
    except DiagnosticException as error:
        # xDSL's exceptions do not say which operation; our passes raise IRError, which does.
        message = f"pass {step.name}: {single_line(str(error))}"
        raise IRError(message, where=where_of(module)) from error


def _make_pass(spec: ArgSpec) -> ModulePass:
    info = PASSES.get(spec.name)
    if info is None:
        close = difflib.get_close_matches(spec.name, [*PASSES, *PIPELINES], n=3)
        help = f"did you mean {' or '.join(close)}?" if close else "`semc passes` lists all"
        raise PipelineError(f"there is no pass {spec.name!r}", help=help)
    try:
        return info.load().from_spec(spec)
    except ValueError as error:
        raise PipelineError(f"pass {spec.name}: {error}") from error


def _option_text(value: str | int | float | bool) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str() if not value.replace("-", "_").isidentifier():
            return f'"{value}"'
    return str(value)
