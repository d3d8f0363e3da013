"""The pal machine: a mesh of CPUs, GPUs and SPUs joined by links.

A device has one number format for what it computes on (``format``), optionally another for
stationary operands (``weight_format``), and a throughput per class of operator. Data between
devices that share no link go over the path of least latency, store and forward.
"""

import heapq
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field, model_validator

from .schema import Count, Name, NonNegative, Positive, Section, unsourced

Format = Literal[
    "fp32", "bf16", "fp16", "pal16", "pal8", "pal8k16", "pal8lite", "pal6", "pal4", "pal4k32"
]


class Throughput(Section):
    """Sustained rates by class of operator: 1e9 floating operations, elements or bytes a second."""

    matmul_gflops: Positive
    elementwise_gops: Positive
    special_gops: Positive
    move_gb_s: Positive


class DeviceEnergy(Section):
    """Energy of a device above its idle power, pJ."""

    matmul_pj_per_flop: NonNegative
    elementwise_pj: NonNegative
    memory_pj_per_byte: NonNegative


class Device(Section):
    """One processor with its own memory."""

    name: Name
    kind: Name
    format: Format
    weight_format: Format | None = None
    throughput: Throughput
    memory_bytes: Count
    memory_gb_s: Positive
    launch_us: NonNegative
    energy: DeviceEnergy
    idle_w: NonNegative
    area_mm2: NonNegative


class Link(Section):
    """A two-way link between devices ``a`` and ``b``."""

    a: Name
    b: Name
    gb_s: Positive
    latency_us: NonNegative
    pj_per_byte: NonNegative


@dataclass(frozen=True, slots=True)
class Route:
    """How data get from one device to another: the devices passed, and the sums over the links."""

    hops: tuple[str, ...]
    latency_us: float
    gb_s: float
    pj_per_byte: float


class MeshTarget(Section):
    """A whole mesh; what a program file carries and a simulation needs."""

    name: Name
    machine: Literal["mesh"]
    description: str
    devices: Annotated[tuple[Device, ...], Field(min_length=1, strict=False)]
    links: Annotated[tuple[Link, ...], Field(strict=False)] = ()
    sources: dict[str, str]

    @model_validator(mode="after")
    def _consistent(self) -> "MeshTarget":
        faults = []
        names = [device.name for device in self.devices]
        faults += [
            f"devices: two are called {n!r}" for n in sorted(set(names)) if names.count(n) > 1
        ]
        for index, link in enumerate(self.links):
            faults += [
                f"links[{index}].{end}: no device {name!r}"
                for end, name in (("a", link.a), ("b", link.b))
                if name not in names
            ]
            if link.a == link.b:
                faults.append(f"links[{index}]: must join two devices, came {link.a!r} twice")
        if all(device.kind != "cpu" for device in self.devices):
            faults.append("devices: one must be of kind 'cpu', which runs the host operators")
        if not faults:
            reached = set(_routes_from(self, names[0]))
            faults += [f"links: {n!r} cannot be reached" for n in names if n not in reached]
        faults += unsourced(("devices", "links"), self.sources)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def __hash__(self) -> int:
        return hash((self.name, self.devices, self.links))

    @property
    def host(self) -> Device:
        """The device that runs host operators: the first CPU."""
        return next(device for device in self.devices if device.kind == "cpu")

    @property
    def area_mm2(self) -> float:
        """Area of all devices, mm2."""
        return sum(device.area_mm2 for device in self.devices)

    @property
    def idle_w(self) -> float:
        """Idle power of all devices, W."""
        return sum(device.idle_w for device in self.devices)

    def device(self, name: str) -> Device:
        """The device called ``name``; KeyError where there is none."""
        for device in self.devices:
            if device.name == name:
                return device
        raise KeyError(name)

    @cached_property
    def routes(self) -> dict[tuple[str, str], Route]:
        """The route between every two devices, least latency first, then fewest hops."""
        return {
            (source.name, end): route
            for source in self.devices
            for end, route in _routes_from(self, source.name).items()
        }

    def link_between(self, a: str, b: str) -> Route:
        """The route from device ``a`` to ``b``; of infinite speed where they are the same."""
        return self.routes[a, b]


def _routes_from(target: MeshTarget, source: str) -> dict[str, Route]:
    """Dijkstra over latency, then hops, then names, so that equal paths are chosen alike."""
    neighbours: dict[str, list[Link]] = {device.name: [] for device in target.devices}
    for link in target.links:
        neighbours[link.a].append(link)
        neighbours[link.b].append(link)
    done: dict[str, Route] = {}
    heap: list[tuple[float, int, tuple[str, ...], float, float]] = [
        (0.0, 0, (source,), math.inf, 0.0)
    ]
    while heap:
        latency_us, count, hops, gb_s, pj_per_byte = heapq.heappop(heap)
        here = hops[-1]
        if here in done:
            continue
        done[here] = Route(hops, latency_us, gb_s, pj_per_byte)
        for link in neighbours[here]:
            there = link.b if link.a == here else link.a
            if there not in done:
                # Store and forward: the times per byte of the links add.
                rate_gb_s = 1.0 / (1.0 / gb_s + 1.0 / link.gb_s)
                heapq.heappush(
                    heap,
                    (
                        latency_us + link.latency_us,
                        count + 1,
                        (*hops, there),
                        rate_gb_s,
                        pj_per_byte + link.pj_per_byte,
                    ),
                )
    return done
