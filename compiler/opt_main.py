"""``semc opt``: run passes over textual IR, with the habits of ``mlir-opt``.

    text --split--> modules --parse, verify, passes--> text

Faults are one line each. With ``verify_diagnostics`` they are the expected result: they are
printed where the IR would have been, and a file without any is itself a fault.
"""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import IRError, SemcError
from .pipeline import parse_pipeline, run_passes

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass

    from .weights import WeightStore


@dataclass(frozen=True, slots=True)
class OptOptions:
    """What to do with one file; ``file`` is a path or ``-`` for standard input."""

    file: str = "-"
    pipeline: str = ""
    allow_unregistered_dialect: bool = False
    print_debuginfo: bool = False
    print_ir_after_all: bool = False
    print_op_generic: bool = False
    split_input_file: bool = False
    verify_diagnostics: bool = False
    weights: str | None = None


@dataclass(frozen=True, slots=True)
class OptResult:
    """The IR of each module that went through, what was refused, and seconds per pass."""

    texts: tuple[str, ...] = ()
    diagnostics: tuple[SemcError, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """The output as one file: modules apart by ``// -----``."""
        return "// -----\n".join(self.texts)

    def as_dict(self) -> dict[str, Any]:
        """The same with stable keys, for ``--json``."""
        return {
            "ir": list(self.texts),
            "diagnostics": [error.as_dict() for error in self.diagnostics],
            "pass_s": dict(self.timings),
        }


def run_opt(options: OptOptions) -> OptResult:
    """Run the pipeline of ``options`` over its file.

    Raises PipelineError (usage), and IRError at the first module that is refused unless faults are
    expected. ``print_ir_after_all`` writes to standard error, as mlir-opt does.
    """
    from .parse import split_input
    from .weights import WeightStore

    passes = parse_pipeline(options.pipeline)
    weights = WeightStore.load(options.weights) if options.weights else WeightStore()
    text, name = read_text(options.file)
    chunks = split_input(text) if options.split_input_file else [(text, 0)]
    texts: list[str] = []
    diagnostics: list[SemcError] = []
    timings: dict[str, float] = {}
    for chunk, line_offset in chunks:
        try:
            texts.append(_run_module(chunk, name, line_offset, passes, weights, options, timings))
        except SemcError as error:
            if not options.verify_diagnostics:
                raise
            diagnostics.append(error)
            texts.append("".join(f"error: {fault}\n" for fault in all_faults(error)))
    if options.verify_diagnostics and not diagnostics:
        raise IRError("an error was expected, and there was none", where=name)
    return OptResult(tuple(texts), tuple(diagnostics), timings)


def all_faults(error: SemcError) -> tuple[SemcError, ...]:
    """``error`` and the faults it carries, in order."""
    return (error, *error.faults)


def read_text(file: str) -> tuple[str, str]:
    """The text of ``file`` (``-``: standard input) and its name for messages."""
    try:
        if file == "-":
            return sys.stdin.read(), "<stdin>"
        return Path(file).read_text(encoding="utf-8"), os.fspath(file)
    except UnicodeDecodeError as error:
        raise IRError("IR must be UTF-8 text", where=f"{file}: byte {error.start}") from error


def print_module(module: ModuleOp, *, generic: bool = False, debuginfo: bool = False) -> str:
    """``module`` as text that parses back, ending with a newline."""
    from xdsl.printer import Printer

    out = io.StringIO()
    printer = Printer(stream=out, print_generic_format=generic, print_debuginfo=debuginfo)
    printer.print_op(module)
    return out.getvalue() + "\n"


def _run_module(
    text: str,
    name: str,
    line_offset: int,
    passes: list[ModulePass],
    weights: WeightStore,
    options: OptOptions,
    timings: dict[str, float],
) -> str:
    from .context import new_context
    from .parse import parse_module

    def print_text(module: ModuleOp) -> str:
        return print_module(
            module, generic=options.print_op_generic, debuginfo=options.print_debuginfo
        )

    def print_after(step: ModulePass, module: ModuleOp) -> None:
        print(f"// -----// IR Dump After {step.name} //----- //", file=sys.stderr)
        print(print_text(module), file=sys.stderr)

    ctx = new_context(weights, allow_unregistered=options.allow_unregistered_dialect)
    module = parse_module(text, ctx, name, line_offset)
    run_passes(
        module,
        passes,
        ctx=ctx,
        print_after=print_after if options.print_ir_after_all else None,
        timings=timings,
    )
    return print_text(module)
