"""The README's commands and its Python block do what they say, run in the order of the page."""

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Semc = Callable[..., Any]


@pytest.fixture
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def scratch(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the examples, in which the commands may leave their files."""
    shutil.copytree(examples, tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(readme: str) -> list[list[str]]:
    """The arguments of every indented line that starts with ``semc``, parted at ``&&``."""
    lines = re.findall(r"^    (semc .*)$", readme, re.MULTILINE)
    parts = [part for line in lines for part in line.split(" && ")]
    return [shlex.split(part)[1:] for part in parts]


def test_every_command_of_the_tour_works(semc_command: Semc, readme: str, scratch: Path) -> None:
    found = commands(readme)
    assert {words[0] for words in found} == {
        "compile",
        "inspect",
        "opt",
        "passes",
        "simulate",
        "targets",
    }
    for words in found:
        done = semc_command(*words)
        assert done.code == 0, f"semc {shlex.join(words)}: {done.err}"
        assert done.out or "-o" in words


def test_the_python_block_works(
    readme: str, scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
    shape, largest = capsys.readouterr().out.splitlines()
    assert shape.startswith("(32, 10) ")
    assert float(largest) == pytest.approx(1.0, rel=0.1)
    assert (scratch / "digits.semc").is_file()


def test_options_and_files_that_the_page_names_exist(
    semc_command: Semc, readme: str, repository: Path
) -> None:
    helps = "".join(
        semc_command(name, "--help").out for name in ("compile", "simulate", "opt", "inspect")
    )
    text = re.sub(r"```.*?```|^    .*$", "", readme, flags=re.DOTALL | re.MULTILINE)
    for option in set(re.findall(r"`(--[a-z-]+)", text)):
        assert option in helps, option
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (repository / link).exists(), link
