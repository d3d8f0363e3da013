"""How every command speaks: errors as one line each, JSON, progress, plain tables."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from .errors import InputError, SemcError, one_line
from .files import is_special

#: Version of the objects that ``--json`` prints; it grows when a key changes its meaning.
SCHEMA_VERSION = 1

#: Characters after which a line is cut, so that what it lists is not all told.
ONE_LINE = 2000

#: The longest name of a file that common file systems take.
NAME_BYTES = 255

EXIT_REFUSED = 1
EXIT_INTERNAL = 70
EXIT_INTERRUPTED = 130


class ReportingCommand(click.Command):
    """A command with ``--json`` and ``--debug`` that turns every exception into one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON object."),
            click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        debug = ctx.params.pop("debug")
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)
        except Exception as error:
            if debug:
                raise
            ctx.exit(report_error(error, as_json=ctx.params["as_json"]))


def report_error(error: Exception, *, as_json: bool) -> int:
    """Print ``error`` as one line a fault (and as JSON); returns the exit code."""
    if isinstance(error, SemcError):
        code, data = error.exit_code, error.as_dict()
        head = str(error)
        lines = [head, *(str(fault) for fault in error.faults if not _said(fault, error))]
    elif isinstance(error, OSError):
        code = EXIT_REFUSED
        where = f"{error.filename}: " if error.filename else ""
        lines = [one_line(f"{where}{error.strerror or error}")]
        data = {"error": type(error).__name__, "message": lines[0]}
    else:
        code = EXIT_INTERNAL
        detail = one_line(f"{type(error).__name__}: {error}")
        lines = [f"semc itself failed ({detail}); use --debug for the traceback"]
        data = {"error": "InternalError", "message": detail}
    for line in lines:
        click.echo(f"error: {line}", err=True)
    if as_json:
        print_json({"exit_code": code, **data})
    return code


def _said(fault: SemcError, error: SemcError) -> bool:
    """Whether the message of ``error`` already tells ``fault``: what is wrong and where."""
    message = error.message if len(str(error)) < ONE_LINE else ""
    where = (fault.where or "").removeprefix(f"{error.where}: ")
    placed = where in ("", error.where) or repr(where) in fault.message
    return (fault.message if placed else f"{where}: {fault.message}") in message


def print_json(data: dict[str, Any]) -> None:
    """Print ``data`` as one object; numbers that JSON cannot hold (inf, nan) become null."""
    text = json.dumps(_plain({"schema_version": SCHEMA_VERSION, **data}), indent=2, allow_nan=False)
    click.echo(text)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if abs(value) != float("inf") and value == value else None
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return _plain(value.tolist())
    return str(value)


def check_output(path: str | None) -> None:
    """Refuse an output that cannot be written, before the work is done that would be lost."""
    if path is None or path == "-":
        return
    if is_special(path):
        if not os.access(path, os.W_OK):
            raise InputError("the output must be writable, it is not", where=path)
        return
    folder = os.path.dirname(os.path.realpath(path))
    if not path:
        raise InputError("the output must have a name, it is empty")
    if os.path.isdir(path):
        raise InputError("the output must be a file, it is a folder", where=path)
    if not os.path.isdir(folder):
        raise InputError(f"the output's folder must exist, {folder} does not", where=path)
    if len(os.fsencode(os.path.basename(path))) > NAME_BYTES:
        raise InputError(f"the output's name must have at most {NAME_BYTES} bytes", where=path)
    if not os.access(folder, os.W_OK):
        raise InputError(f"the output's folder must be writable, {folder} is not", where=path)


def progress_printer(total: int) -> Callable[[str, float], None]:
    """A callback that prints ``[3/9] place tiles  1.2 s`` on standard error after each phase."""
    if _plain_progress():

        def show(line: str) -> None:
            click.echo(line, err=True)
    else:
        from rich.console import Console

        console = Console(stderr=True, highlight=False)

        def show(line: str) -> None:
            count, _, rest = line.partition("] ")
            console.print(f"[dim]\\{count}][/dim] {rest}")

    done = 0

    def phase(name: str, seconds: float) -> None:
        nonlocal done
        done += 1
        show(f"[{done}/{total}] {name}  {seconds:.1f} s")

    return phase


def _plain_progress() -> bool:
    """Whether progress is lines of plain text: in a pipe, and where colour is not wanted."""
    return not sys.stderr.isatty() or "NO_COLOR" in os.environ


@contextlib.contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A callback for (what is done, how much, of how much), on standard error.

    On a terminal a bar for each piece of work, gone when the block ends; else at most ten lines
    ``[20/100] runs  1.2 s`` a piece.
    """
    if quiet:
        yield lambda _what, _done, _total: None
    elif _plain_progress():
        yield _progress_lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        bars: dict[str, Any] = {}
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

            def show(what: str, done: int, total: int) -> None:
                if what not in bars:
                    bars[what] = progress.add_task(what, total=total)
                progress.update(bars[what], completed=done)

            yield show


def _progress_lines() -> Callable[[str, int, int], None]:
    since: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        start = since.setdefault(what, time.perf_counter())
        if done and (done == total or done * 10 // total > (done - 1) * 10 // total):
            click.echo(f"[{done}/{total}] {what}  {time.perf_counter() - start:.1f} s", err=True)

    return show


def print_columns(rows: Sequence[tuple[str, ...]]) -> None:
    """Rows of text under each other, every column but the last as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def print_tree(data: dict[str, Any], indent: int = 0) -> None:
    for key, value in data.items():
        if isinstance(value, dict):
            click.echo(f"{' ' * indent}{key}")
            print_tree(value, indent + 2)
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            for number, item in enumerate(value):
                name = item.get("name")
                click.echo(f"{' ' * indent}{key}[{number}]{f' {name}' if name else ''}")
                print_tree({k: v for k, v in item.items() if k != "name"}, indent + 2)
        else:
            click.echo(f"{' ' * indent}{key} = {one_line(plain_text(value))}")


def plain_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_plain(value))
