"""Find, read and write targets."""

import difflib
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import TargetError
from .defects import merge_defect_file
from .memcap import MemcapTarget
from .mesh import MeshTarget
from .schema import validate_target

Target = MemcapTarget | MeshTarget


def list_targets() -> list[str]:
    """Names of the targets that come with semc, sorted."""
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_target(name_or_path: str | Path) -> Target:
    """The target called so, or read from a ``.toml`` file.

    Raises:
        TargetError: no such target or file, not TOML, or faults in it (all listed).
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        return _read(Path(name_or_path))
    if text in list_targets():
        return _shipped(text)
    names = list_targets()
    close = difflib.get_close_matches(text, names, n=1)
    raise TargetError(
        f"the target must be one of {', '.join(names)} or a .toml file, came {text!r}",
        help=f"did you mean {close[0]}?" if close else "semc targets lists them",
    )


def target_from_toml(text: str, where: str = "target", folder: Path | None = None) -> Target:
    """The target that a TOML text describes; ``where`` names it in faults.

    A file of defects is looked for in ``folder``, that of the target's file.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        fault = "tables and lists must not be nested this deep"
        raise TargetError(f"a target must be valid TOML: {fault}", where=where) from None
    except ValueError as error:  # TOMLDecodeError, and numbers longer than Python reads
        raise TargetError(f"a target must be valid TOML: {error}", where=where) from None
    if folder is not None:
        data = merge_defect_file(data, folder, where)
    return target_from_dict(data, where)


def target_to_dict(target: Target) -> dict[str, Any]:
    """Plain data (str, int, float, bool, list, dict) from which ``target_from_dict`` rebuilds."""
    return target.model_dump(mode="json")


def target_from_dict(data: Mapping[str, Any], where: str = "target") -> Target:
    """The target in ``data``, as ``target_to_dict`` or a TOML file gives it.

    Raises:
        TargetError: it carries every fault found, each with its path.
    """
    machine = data.get("machine") if isinstance(data, Mapping) else None
    if machine == "memcap":
        return validate_target(MemcapTarget, data, where)
    if machine == "mesh":
        return validate_target(MeshTarget, data, where)
    raise TargetError(
        f"machine must be 'memcap' or 'mesh', came {machine!r}", where=f"{where}: machine"
    )


@cache
def _shipped(name: str) -> Target:
    file = resources.files(__package__) / f"{name}.toml"
    return target_from_toml(file.read_text(encoding="utf-8"), f"{name}.toml")


def _read(path: Path) -> Target:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise TargetError(f"a target file must be readable: {reason}", where=str(path)) from None
    return target_from_toml(text, str(path), path.parent)
