"""Shipped memcap targets with some of their keys changed."""

from typing import Any

from semc.backends import targets


def changed(name: str, **sections: dict[str, Any]) -> targets.MemcapTarget:
    """A shipped target with some keys of some sections changed, validated."""
    data = targets.target_to_dict(targets.load_target(name))
    for section, keys in sections.items():
        data[section] = {**(data[section] or {}), **keys}
    made = targets.target_from_dict(data)
    assert isinstance(made, targets.MemcapTarget)
    return made
