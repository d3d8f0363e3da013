"""What all tests share: a deterministic search, plain output, and the command run in-process."""

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

# Same examples in every run; a slow machine is no failure.
settings.register_profile("semc", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("semc")


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def run_semc(*arguments: str, stdin: str = "") -> Finished:
    """Run the command ``semc`` in this process, as the installed script would."""
    from semc.cli import main

    out, err = io.StringIO(), io.StringIO()
    source = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    previous, sys.stdin = sys.stdin, source
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(arguments)
    finally:
        sys.stdin = previous
    return Finished(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def semc_command() -> Callable[..., Finished]:
    """``semc_command("opt", "-", stdin=text)`` -> code, out, err."""
    return run_semc


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def examples(repository: Path) -> Path:
    """The folder of the shipped models and data."""
    return repository / "examples"
