"""Run the RUN lines of every ``.mlir`` file beside this one, in this process.

    // RUN: semc opt %s -p "canonicalize" | filecheck %s
    // RUN: not semc opt %s 2>&1 | filecheck %s --check-prefix=ERROR

``%s`` is the file, ``%t`` a temporary path of its own, a trailing backslash continues a line. The
commands are ``semc`` and ``filecheck``, after ``not`` a failure is asked for, and a pipe fails when
one of its commands does. Every IR in the files must also survive printing and parsing, in the
custom and in the generic form.
"""

import contextlib
import io
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filecheck.finput import FInput
from filecheck.matcher import Matcher
from filecheck.options import parse_argv_options
from filecheck.parser import Parser as CheckParser
from filecheck.parser import pattern_for_opts

from semc.cli import main
from semc.compiler.context import new_context
from semc.compiler.opt_main import print_module
from semc.compiler.parse import parse_module, split_input
from semc.compiler.verify import verify_module
from semc.errors import SemcError

HERE = Path(__file__).parent
FILES = sorted(HERE.rglob("*.mlir"))
NAMES = [path.relative_to(HERE).as_posix() for path in FILES]


def run_lines(text: str) -> list[str]:
    """The commands of a file's RUN lines, continued lines joined."""
    commands: list[str] = []
    open_line = False
    for line in text.splitlines():
        _, marker, rest = line.partition("RUN:")
        if not marker or not line.lstrip().startswith("//"):
            continue
        command = rest.strip()
        if open_line:
            command = f"{commands.pop()} {command}"
        open_line = command.endswith("\\")
        commands.append(command.removesuffix("\\").rstrip())
    return commands


def run_line(command: str, source: Path, temporary: Path) -> None:
    """Run one pipe; fails the test when one of its commands fails."""
    text = command.replace("%s", shlex.quote(str(source))).replace(
        "%t", shlex.quote(str(temporary))
    )
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    stages: list[list[str]] = [[]]
    for word in lexer:
        if word == "|":
            stages.append([])
        else:
            stages[-1].append(word)
    stdin = ""
    for stage in stages:
        expect_failure = stage[:1] == ["not"]
        code, stdout, stderr = run_stage(stage[1:] if expect_failure else stage, stdin)
        if (code != 0) != expect_failure:
            pytest.fail(f"{command}\n{stage[0]} ended with {code}\n{stderr}{stdout}")
        stdin = stdout


def run_stage(words: list[str], stdin: str) -> tuple[int, str, str]:
    """Run one command of a pipe: (exit code, standard output, standard error)."""
    merged = "2>&1" in words
    program, *arguments = [word for word in words if word != "2>&1"]
    out = io.StringIO()
    err = out if merged else io.StringIO()
    previous, sys.stdin = sys.stdin, io.StringIO(stdin)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = COMMANDS[program](arguments)
    finally:
        sys.stdin = previous
    return code, out.getvalue(), "" if merged else err.getvalue()


def filecheck(arguments: list[str]) -> int:
    options = parse_argv_options(["filecheck", *arguments])
    with open(options.match_filename, encoding="utf-8") as checks:
        parser = CheckParser(options, checks, *pattern_for_opts(options))
        return Matcher(options, FInput("-", sys.stdin.read()), parser).run()


COMMANDS = {"semc": main, "filecheck": filecheck}


@pytest.mark.parametrize("source", FILES, ids=NAMES)
def test_run_lines(source: Path, tmp_path: Path) -> None:
    commands = run_lines(source.read_text(encoding="utf-8"))
    assert commands, f"{source.name} must have a RUN line"
    for command in commands:
        run_line(command, source, tmp_path / source.stem)


def modules(source: Path) -> Iterator[str]:
    """The valid modules of a file, printed in the custom form."""
    for text, line_offset in split_input(source.read_text(encoding="utf-8")):
        ctx = new_context()
        try:
            module = parse_module(text, ctx, str(source), line_offset)
            verify_module(module)
        except SemcError:
            continue
        yield print_module(module)


@pytest.mark.parametrize("source", FILES, ids=NAMES)
def test_round_trip(source: Path) -> None:
    commands = " ".join(run_lines(source.read_text(encoding="utf-8")))
    texts = list(modules(source))
    if not texts:
        assert "--verify-diagnostics" in commands or "not semc" in commands
    for custom in texts:
        ctx = new_context()
        module = parse_module(custom, ctx, "custom")
        assert print_module(module) == custom
        generic = print_module(module, generic=True)
        again = parse_module(generic, ctx, "generic")
        assert print_module(again, generic=True) == generic
        assert print_module(again) == custom


def test_a_failing_check_fails(tmp_path: Path) -> None:
    source = tmp_path / "wrong.mlir"
    source.write_text("// CHECK: func.func @other\nfunc.func private @f()\n")
    with pytest.raises(pytest.fail.Exception, match="filecheck ended with 1"):
        run_line("semc opt %s | filecheck %s", source, tmp_path / "t")
    run_line("semc opt %s | not filecheck %s", source, tmp_path / "t")


def test_a_failing_command_fails_the_pipe(tmp_path: Path) -> None:
    source = tmp_path / "broken.mlir"
    source.write_text("// CHECK: error: {{.*}}broken.mlir:2:{{[0-9]+}}: \nthis is not IR\n")
    with pytest.raises(pytest.fail.Exception, match="semc ended with 1"):
        run_line("semc opt %s", source, tmp_path / "t")
    run_line("not semc opt %s 2>&1 | filecheck %s", source, tmp_path / "t")
