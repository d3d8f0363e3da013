"""The wheel holds all of the package and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

# Folders of the source tree that are no part of the package.
OUTSIDE = {"benchmarks", "build", "dist", "docs", "examples", "tests"}


def package_folders(root: Path) -> list[str]:
    """Dotted names of the folders under ``root`` that hold Python files."""
    found = []
    for folder in (root, *root.rglob("*/")):
        parts = folder.relative_to(root).parts
        hidden = any(part.startswith((".", "__")) or part.endswith(".egg-info") for part in parts)
        if hidden or (parts and parts[0] in OUTSIDE):
            continue
        if any(folder.glob("*.py")):
            found.append(".".join(("semc", *parts)))
    return sorted(found)


@pytest.fixture(scope="session")
def wheel_names(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of a wheel built from a copy of the source tree."""
    copy = tmp_path_factory.mktemp("source") / "any name"
    ignored = shutil.ignore_patterns(
        ".*", "build", "tests", "examples", "*.egg-info", "__pycache__"
    )
    shutil.copytree(repository, copy, ignore=ignored)
    out = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(out), "."]
    subprocess.run([sys.executable, "-m", *command], cwd=copy, check=True, timeout=120)
    (wheel,) = out.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_listed_packages_are_the_folders(repository: Path) -> None:
    settings = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert sorted(settings["tool"]["setuptools"]["packages"]) == package_folders(repository)


def test_wheel_has_one_top_level_name(wheel_names: list[str]) -> None:
    tops = {name.partition("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"semc"}
    assert len(tops) == 2


def test_wheel_holds_every_data_file(repository: Path, wheel_names: list[str]) -> None:
    targets = sorted((repository / "backends/targets").rglob("*.toml"))
    assert targets
    for path in targets:
        assert f"semc/{path.relative_to(repository).as_posix()}" in wheel_names
    assert "semc/py.typed" in wheel_names


def test_wheel_holds_only_the_package(wheel_names: list[str]) -> None:
    inside = [name for name in wheel_names if name.startswith("semc/")]
    assert "semc/cli.py" in inside
    others = [name for name in inside if not name.endswith((".py", ".toml", "/py.typed"))]
    assert others == []
    assert not any(name.split("/")[1] in OUTSIDE for name in inside)
    assert "semc/pyproject.toml" not in inside


def test_import_is_lazy() -> None:
    code = (
        "import sys, semc; assert semc.__version__; import semc.cli;"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'xdsl', 'rich', 'pydantic', 'networkx', 'numba'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_unknown_attribute_is_an_attribute_error() -> None:
    import semc

    assert not hasattr(semc, "no_such_thing")
    assert semc.pal.encode is not None
    assert set(dir(semc)) == {"__version__", "compile", "load", "pal", "simulate"}
