"""The command line: parse, call, print, exit code. Nothing is decided here.

Every command has ``--json`` (one object on standard output, with ``schema_version``) and
``--debug``. Progress and errors go to standard error. Commands import what they need when they
run, so that ``semc --help`` and shell completion answer at once.

Exit codes: 0 done; 1 the model, IR, program or data are refused; 2 wrong usage; 3 the model does
not fit the target; 4 numbers out of tolerance; 70 a fault of semc itself.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from . import __version__
from .console import (
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    ReportingCommand,
    check_output,
    print_columns,
    print_json,
    print_tree,
    progress_bars,
    progress_printer,
)
from .errors import InputError, ToleranceError
from .files import is_special, replacing

if TYPE_CHECKING:
    from .backends.program import Program
    from .compiler.driver import Compilation

LEVELS = ("onnx", "graph", "tile", "place", "analog", "pal")
MODES = ("exact", "quantized", "noisy")


def _dimensions(
    _ctx: click.Context, _param: click.Parameter, given: Sequence[str]
) -> dict[str, int]:
    dims: dict[str, int] = {}
    for item in given:
        name, _, size = item.rpartition("=")
        if not name or not size.isdecimal():
            raise click.BadParameter(f"must be NAME=N with N >= 0, came {item!r}")
        dims[name] = int(size)
    return dims


def _pins(
    _ctx: click.Context, _param: click.Parameter, given: Sequence[str]
) -> list[tuple[str, tuple[int, int, int], int]]:
    """(node, (layer, row, col), tile) of each pin."""
    pins = []
    for item in given:
        found = re.fullmatch(r"(.+?)(?::(\d+))?=(\d+),(\d+),(\d+)", item, re.DOTALL)
        numbers = [int(n or 0) for n in found.groups()[1:]] if found else []
        if found is None or max(numbers) >= 1 << 31:
            raise click.BadParameter(f"must be NODE=LAYER,ROW,COL, came {item!r}")
        tile, layer, row, col = numbers
        pins.append((found.group(1), (layer, row, col), tile))
    return pins


def _range_method(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    from .compiler.quantize.range_method import RangeMethod

    try:
        RangeMethod.parse(given)
    except InputError as error:
        raise click.BadParameter(error.message) from error
    return given


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 refused, 2 wrong usage, 3 does not fit, 4 out of tolerance, "
    "70 our own fault.",
)
@click.version_option(__version__, prog_name="semc")
def cli() -> None:
    """Compile ONNX models for 3-D memcapacitor chips and PAL meshes, and simulate them there."""


cli.command_class = ReportingCommand


@cli.command("compile")
@click.argument("model", type=click.Path())
@click.option(
    "-t",
    "--target",
    default="memcap-demo",
    show_default=True,
    metavar="TARGET",
    help="A target's name (see `semc targets`) or a TOML file.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="OUT",
    help="The program file (MODEL.semc if not given), or the IR of --emit (its weights go beside "
    "it as OUT.safetensors).",
)
@click.option(
    "--calibrate",
    type=click.Path(),
    metavar="DATA.npz",
    help="Sample inputs that set the ranges of the converters.",
)
@click.option(
    "--ranges",
    default="mse",
    show_default=True,
    callback=_range_method,
    metavar="METHOD",
    help="How samples set ranges: mse, minmax or percentile[:P].",
)
@click.option(
    "--dynamic-inputs",
    is_flag=True,
    help="Find the range of each input vector while running, though there are samples.",
)
@click.option(
    "--rounding",
    type=click.Choice(("nearest", "compensated")),
    default="nearest",
    show_default=True,
    help="How weights are rounded; compensated pays errors back where samples show a gain.",
)
@click.option(
    "--energy-budget",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Give each matrix's converters the bits that leave the arrays this share of their energy.",
)
@click.option(
    "--min-sqnr",
    "min_sqnr_db",
    type=float,
    metavar="DB",
    help="Give each matrix's converters the fewest bits that leave the outputs this SQNR.",
)
@click.option(
    "--sensitivity",
    is_flag=True,
    help="Report what each matrix's converters do to the outputs, at several resolutions.",
)
@click.option(
    "--dim",
    "dims",
    multiple=True,
    callback=_dimensions,
    metavar="NAME=N",
    help="Bind a symbolic dimension; may be repeated.",
)
@click.option(
    "--on-overflow",
    type=click.Choice(("error", "reload", "chips")),
    default="error",
    show_default=True,
    help="When the matrices do not fit the chip: stop, write them anew while running, or take "
    "several chips.",
)
@click.option(
    "--placement-effort",
    type=click.IntRange(0, 10),
    default=1,
    show_default=True,
    metavar="N",
    help="How long arrays may look for better places: 0 takes the first, 10 a minute or so.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of that search."
)
@click.option(
    "--pin",
    "pins",
    multiple=True,
    callback=_pins,
    metavar="NODE=LAYER,ROW,COL",
    help="Put the matrix of an ONNX node (NODE:TILE=... one tile of it) into this array; may be "
    "repeated.",
)
@click.option(
    "--copies",
    type=click.IntRange(1),
    metavar="N",
    help="Write a matrix into at most N places of the arrays (default: as many as pay).",
)
@click.option(
    "--emit",
    "level",
    type=click.Choice(LEVELS),
    help="Print the IR of this level instead of writing a program.",
)
@click.option(
    "--print-debuginfo",
    is_flag=True,
    help="Print locations with --emit: what `semc opt` needs to go on naming the ONNX nodes.",
)
@click.option(
    "--no-weights",
    is_flag=True,
    help="Use shapes only: no weight is read, the program can be timed but not run.",
)
@click.option(
    "--check-levels", is_flag=True, help="Execute every level on one sample and compare them."
)
@click.option("-q", "--quiet", is_flag=True, help="No progress lines.")
def compile_command(
    model: str,
    target: str,
    output: str | None,
    calibrate: str | None,
    ranges: str,
    dynamic_inputs: bool,
    rounding: str,
    energy_budget: float | None,
    min_sqnr_db: float | None,
    sensitivity: bool,
    dims: dict[str, int],
    on_overflow: str,
    placement_effort: int,
    seed: int,
    pins: list[tuple[str, tuple[int, int, int], int]],
    copies: int | None,
    level: str | None,
    print_debuginfo: bool,
    no_weights: bool,
    check_levels: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Compile MODEL (an ONNX file) into a program file."""
    from pathlib import Path

    from .compiler.driver import PHASES, CompileOptions, compile_model, emit_level
    from .compiler.recipe import Pin, Quantization
    from .runtime.execute.quantized_product import quantized_product
    from .runtime.interpret.interpret import interpret_function
    from .runtime.simulate import simulate

    if level is not None and check_levels:
        raise click.UsageError("--emit and --check-levels exclude each other")
    if print_debuginfo and level is None:
        raise click.UsageError("--print-debuginfo needs --emit")
    if no_weights and check_levels:
        raise click.UsageError("--check-levels needs the weights")
    if no_weights and calibrate is not None:
        raise click.UsageError("--calibrate needs the weights")
    if energy_budget is not None and min_sqnr_db is not None:
        raise click.UsageError("--energy-budget and --min-sqnr exclude each other")
    if calibrate is None and (sensitivity or energy_budget is not None or min_sqnr_db is not None):
        raise click.UsageError("--energy-budget, --min-sqnr and --sensitivity need --calibrate")
    options = CompileOptions(
        target=target,
        calibrate=calibrate,
        quantization=Quantization(
            ranges, rounding, energy_budget, min_sqnr_db, sensitivity, dynamic_inputs
        ),
        dims=dims,
        on_overflow=on_overflow,
        placement_effort=placement_effort,
        seed=seed,
        copies=copies or 0,
        weights=not no_weights,
        keep_levels=check_levels,
        progress=None if quiet else progress_printer(len(PHASES)),
        interpreter=interpret_function,
        product=quantized_product,
        pins=[Pin(*pin) for pin in pins],
    )
    if level is not None:
        check_output(output)
        text, weights = emit_level(model, options, level, debuginfo=print_debuginfo)
        if output is not None:
            write_text(output, text)
            if not no_weights and output != "-" and not is_special(output):
                weights.save(Path(output).with_suffix(".safetensors"))
        if as_json:
            print_json({"level": level, "ir": text})
        elif output is None:
            click.echo(text, nl=False)
        return
    path = str(Path(model).with_suffix(".semc")) if output is None else output
    if path == "-":
        raise click.UsageError("a program is no text: -o takes a file, or /dev/stdout")
    check_output(path)
    compilation = compile_model(model, options)
    estimate = simulate(compilation.program, None).estimate()
    report = compilation.report() | {"program": path, "estimate": estimate}
    if check_levels:
        report["levels"] = compare_levels(compilation, calibrate)
    compilation.program.save(path)
    if as_json:
        print_json(report)
    else:
        from .runtime.report.console import print_compilation

        print_compilation(report)


def compare_levels(compilation: Compilation, calibrate: str | None) -> list[dict[str, Any]]:
    """Run all levels on the first calibration sample, or a random one; refuse a difference."""
    from .arrays import input_specs, random_arrays, read_arrays, split_samples
    from .check_levels import check_levels, refuse_differences

    specs = input_specs(compilation.program)
    arrays = read_arrays(calibrate) if calibrate else random_arrays(specs, 1, seed=0)
    checks = check_levels(compilation, split_samples(arrays, specs)[0])
    refuse_differences(checks)
    return [check.as_dict() for check in checks]


@cli.command("simulate")
@click.argument("program", type=click.Path())
@click.option(
    "--input",
    "input_file",
    type=click.Path(),
    metavar="DATA.npz",
    help="One array per graph input, samples along the first axis; "
    "an array `labels` gives the accuracy.",
)
@click.option(
    "--random",
    "samples",
    type=click.IntRange(1),
    metavar="N",
    help="Run N samples of random inputs (drawn with --seed).",
)
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="exact",
    show_default=True,
    help="Float arithmetic, integer codes, or codes with device physics.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of the random inputs and of the chip that noisy mode draws.",
)
@click.option(
    "--read-seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seed of what differs from read to read of one chip.",
)
@click.option(
    "--reference",
    type=click.Path(),
    metavar="MODEL.onnx",
    help="Compare the outputs with those of ONNX Runtime.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    metavar="X",
    help="Exit with 4 when an output differs from the reference by more than X.",
)
@click.option("--output", type=click.Path(), metavar="OUT.npz", help="Write the outputs there.")
@click.option(
    "--runs",
    type=click.IntRange(1),
    metavar="N",
    help="Monte Carlo over N chips (seeds from --seed on): mean, deviation and worst case.",
)
@click.option(
    "--reads",
    type=click.IntRange(2),
    metavar="R",
    help="Reads of each chip of --runs, 2 if not given.",
)
@click.option(
    "--ablation",
    is_flag=True,
    help="What each physical effect costs, over the chips of --runs, or 3.",
)
@click.option(
    "--noise-budget",
    is_flag=True,
    help="What each source of error adds to the products of each matrix.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes for --runs, --ablation and --noise-budget; all cores if not given.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def simulate_command(
    program: str,
    input_file: str | None,
    samples: int | None,
    mode: str,
    seed: int,
    read_seed: int,
    reference: str | None,
    tolerance: float | None,
    output: str | None,
    runs: int | None,
    reads: int | None,
    ablation: bool,
    noise_budget: bool,
    jobs: int | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run PROGRAM on data and report time, energy and accuracy.

    Without data the program is timed and not executed.
    """
    if input_file is not None and samples is not None:
        raise click.UsageError("--input and --random exclude each other")
    if tolerance is not None and reference is None:
        raise click.UsageError("--tolerance needs --reference")
    if input_file is None and samples is None and (reference or output) is not None:
        option = "--output" if reference is None else "--reference"
        raise click.UsageError(f"{option} needs data: --input or --random")
    study = {"--runs": runs, "--ablation": ablation, "--noise-budget": noise_budget}
    for option in (name for name, given in study.items() if given):
        if mode != "noisy":
            raise click.UsageError(f"{option} needs --mode noisy")
        if input_file is None and samples is None:
            raise click.UsageError(f"{option} needs data: --input or --random")
    if reads is not None and runs is None:
        raise click.UsageError("--reads needs --runs")
    from .arrays import input_specs, random_arrays, read_arrays, write_arrays
    from .backends.program import load_program
    from .runtime.simulate import simulate
    from .runtime.variation.study import Study

    check_output(output)
    loaded = load_program(program)
    inputs = None
    if input_file is not None:
        inputs = read_arrays(input_file)
    elif samples is not None:
        inputs = random_arrays(input_specs(loaded), samples, seed)
    with progress_bars(quiet or not any(study.values())) as progress:
        result = simulate(
            loaded,
            inputs,
            mode=mode,
            seed=seed,
            read_seed=read_seed,
            reference=reference,
            study=Study(runs or 0, reads or 2, ablation, noise_budget, jobs, progress),
        )
    if output is not None:
        write_arrays(output, result.outputs)
    report = result.as_dict()
    if as_json:
        print_json(report)
    else:
        from .runtime.report.console import print_simulation

        print_simulation(report)
    if tolerance is not None:
        check_tolerance(report["reference"]["max_abs_error"], tolerance)


def check_tolerance(worst: float, tolerance: float) -> None:
    """Raise ToleranceError unless ``worst`` <= ``tolerance`` (so also when it is not a number)."""
    if not worst <= tolerance:
        raise ToleranceError(
            f"outputs must be within {tolerance:g} of the reference, the largest error is {worst:g}"
        )


@cli.command("opt")
@click.argument("file", type=click.Path(), default="-")
@click.option(
    "-p",
    "--pass-pipeline",
    "pipeline",
    default="",
    metavar="PASS,PASS{option=value}",
    help="Passes to run, in order (see `semc passes`).",
)
@click.option(
    "-o",
    "output",
    type=click.Path(),
    metavar="OUT.mlir",
    help="Write the IR there instead of to standard output.",
)
@click.option(
    "--weights",
    type=click.Path(),
    metavar="FILE.safetensors",
    help="The weights that the IR names.",
)
@click.option(
    "--split-input-file",
    is_flag=True,
    help="Treat the parts between `// -----` lines as modules of their own.",
)
@click.option(
    "--verify-diagnostics",
    is_flag=True,
    help="Errors are expected: print them and exit with 0, or with 1 if there is none.",
)
@click.option("--print-ir-after-all", is_flag=True, help="Print the IR after each pass (stderr).")
@click.option("--print-op-generic", is_flag=True, help="Print the generic form of operations.")
@click.option("--print-debuginfo", is_flag=True, help="Print locations.")
@click.option(
    "--allow-unregistered-dialect", is_flag=True, help="Accept operations of unknown dialects."
)
@click.option("--time-passes", is_flag=True, help="Print the seconds of each pass (stderr).")
def opt_command(
    file: str, output: str | None, time_passes: bool, as_json: bool, **settings: Any
) -> None:
    """Run passes over textual IR (FILE, or standard input), as mlir-opt does."""
    from .compiler.opt_main import OptOptions, run_opt

    check_output(output)
    result = run_opt(OptOptions(file=file, **settings))
    if time_passes:
        for name, seconds in result.timings.items():
            click.echo(f"{seconds:10.4f} s  {name}", err=True)
    if output is not None:
        write_text(output, result.text())
    if as_json:
        print_json(result.as_dict())
    elif output is None:
        click.echo(result.text(), nl=False)


def write_text(path: str, text: str) -> None:
    """Write ``text`` to ``path``, which is replaced only when all of it is written."""
    if path == "-":
        click.echo(text, nl=False)
        return
    with replacing(path) as file:
        file.write(text.encode())


@cli.command("inspect")
@click.argument("program", type=click.Path())
@click.option("--asm", is_flag=True, help="List the instructions.")
@click.option("--weights", is_flag=True, help="List the stored tensors.")
def inspect_command(program: str, asm: bool, weights: bool, as_json: bool) -> None:
    """Show what a program file holds."""
    from .backends.program import load_program

    loaded = load_program(program)
    data: dict[str, Any] = {"program": program, **program_summary(loaded)}
    if weights:
        entries = {name: loaded.tensors.entry(name) for name in loaded.tensors}
        data["tensors"] = [
            {"name": name, "shape": list(entry.shape), "dtype": str(entry.dtype)}
            for name, entry in entries.items()
        ]
    if asm:
        data["asm"] = listing(loaded)
    if as_json:
        print_json(data)
        return
    tensors, text = data.pop("tensors", ()), data.pop("asm", None)
    print_tree(data)
    for tensor in tensors:
        click.echo(f"{tensor['dtype']:>10} {tensor['shape']!s:<20} {tensor['name']}")
    if text is not None:
        click.echo(text)


def listing(program: Program) -> str:
    """The instructions or tasks of ``program``, as text."""
    if program.machine == "mesh":
        from .backends.pal.list_tasks import list_tasks

        return list_tasks(program)
    from .backends.memcap.disassemble import disassemble

    return disassemble(program)


def program_summary(program: Program) -> dict[str, Any]:
    """What the manifest of ``program`` says, without its tables."""
    manifest = program.manifest
    chosen = (
        *("format_version", "semc", "machine", "chips", "model", "options"),
        *("inputs", "outputs", "stats"),
    )
    return {
        **{key: manifest[key] for key in chosen if key in manifest},
        "target": manifest["target"]["name"],
        "sections": len(program.tensors),
        "bytes": program.nbytes,
    }


@cli.command("targets")
@click.argument("name", required=False)
def targets_command(name: str | None, as_json: bool) -> None:
    """List the targets, or show the one called NAME (or a TOML file).

    A memcap target that states its technology is shown beside what is published for its node.
    """
    from .backends.targets.load import list_targets, load_target, target_to_dict
    from .backends.targets.standing import standings

    if name is not None:
        target = load_target(name)
        data = target_to_dict(target)
        known = [standing.as_dict() for standing in standings(target)]
        if as_json:
            print_json({"target": data, "standings": known})
        else:
            print_tree(data | ({"standings": known} if known else {}))
        return
    targets = [target_to_dict(load_target(each)) for each in list_targets()]
    rows = [{key: target[key] for key in ("name", "machine", "description")} for target in targets]
    if as_json:
        print_json({"targets": rows})
    else:
        print_columns([tuple(map(str, row.values())) for row in rows])


@cli.command("validate")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print tables in Markdown.")
def validate_command(names: tuple[str, ...], as_markdown: bool, as_json: bool) -> None:
    """Compare published macros with what the energy, time and area model says of them.

    NAME is a macro that comes with semc (all of them if none is named) or the path of a
    .figures.toml file beside its target.
    """
    from .runtime.validate.evaluate import validate

    if as_markdown and as_json:
        raise click.UsageError("--markdown and --json exclude each other")
    validation = validate(names)
    if as_json:
        print_json(validation.as_dict())
    elif as_markdown:
        from .runtime.report.validation_text import markdown

        click.echo(markdown(validation), nl=False)
    else:
        from .runtime.report.console import print_validation

        print_validation(validation)


@cli.command("passes")
def passes_command(as_json: bool) -> None:
    """List the passes and named pipelines that `semc opt -p` takes."""
    from .compiler.pipeline import PASSES, PIPELINES

    passes = [(name, PASSES[name].summary) for name in sorted(PASSES)]
    pipelines = [(name, PIPELINES[name].summary) for name in sorted(PIPELINES)]
    if as_json:
        print_json(
            {
                "passes": [{"name": name, "summary": text} for name, text in passes],
                "pipelines": [{"name": name, "summary": text} for name, text in pipelines],
            }
        )
        return
    print_columns(passes)
    if pipelines:
        click.echo("\npipelines (option target=TARGET)")
        print_columns(pipelines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` if no ``arguments``); returns the exit code."""
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="semc",
            standalone_mode=False,
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`semc passes | head`); what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_REFUSED
    return status if isinstance(status, int) else 0


def run() -> NoReturn:
    """The command as a process of its own: no garbage is collected, and none is freed at the end.

    The IR of a large model is millions of objects with cycles; looking for garbage among them, or
    taking them apart one by one before the process ends, costs seconds and gains nothing.
    """
    gc.disable()
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
