"""Targets: the machines semc compiles for, each one TOML file validated by one model."""

from .area import area_parts_mm2, die_area_mm2
from .load import (
    Target,
    list_targets,
    load_target,
    target_from_dict,
    target_from_toml,
    target_to_dict,
)
from .memcap import EFFECTS, HOST_BYTES, SUM_BYTES, MemcapTarget
from .mesh import Device, Link, MeshTarget, Route

__all__ = [
    "EFFECTS",
    "HOST_BYTES",
    "SUM_BYTES",
    "Device",
    "Link",
    "MemcapTarget",
    "MeshTarget",
    "Route",
    "Target",
    "area_parts_mm2",
    "die_area_mm2",
    "list_targets",
    "load_target",
    "target_from_dict",
    "target_from_toml",
    "target_to_dict",
]
